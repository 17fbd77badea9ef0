"""From rounds of measurements to the report: medians, targets met and missed, the machine."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.targets import TARGETS, NotAsked
from benchmarks.workloads import MEANING

COLUMNS = {
    "portero": "Portero",
    "fastify": "Fastify",
    "fastify-cache": "Fastify, token cache",
    "flask": "Flask",
    "fastapi": "FastAPI",
}
SHORT = ("portero", "fastify", "flask", "fastapi")
BESIDE = ("portero, two workers", "portero, PostgreSQL", "psycopg alone")


def summarize(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Give the median of each workload and column, of memory and starts, and each target."""
    workloads = {name: found for name, found in rounds[0].items() if name in MEANING}
    return {
        "workloads": {
            workload: {column: _median([each[workload][column] for each in rounds]) for column in columns}
            for workload, columns in workloads.items()
        },
        "start": {side: _middle([each["start"][side] for each in rounds]) for side in rounds[0]["start"]},
        "memory": {
            side: {key: _middle([each["memory"][side][key] for each in rounds]) for key in ("pss_mb", "rss_mb")}
            for side in rounds[0]["memory"]
        },
        "flood": {
            name: {key: _middle([each["flood"][name][key] for each in rounds]) for key in found}
            for name, found in rounds[0].get("flood", {}).items()
        },
        "targets": [*_judged(rounds)],
    }


def _judged(rounds: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for target in TARGETS:
        with contextlib.suppress(NotAsked):
            yield target.judged(rounds)


def _median(measured: list[dict[str, float]]) -> dict[str, Any]:
    ordered = sorted(measured, key=lambda result: result["rate"])
    return ordered[len(ordered) // 2] | {"rates": [round(each["rate"], 1) for each in measured]}


def _middle(found: list[float]) -> float:
    return sorted(found)[len(found) // 2]


def as_markdown(results: dict[str, Any]) -> str:
    """Write the whole report."""
    lines = ["# Portero beside what one would take instead", "", _how(results), ""]
    lines += _missing(results)
    lines += _table(results, tuple(COLUMNS))
    lines += ["", *_remarks(results), "", "## Targets", "", *_targets(results)]
    lines += ["", "## Portero by other means", "", *_beside(results), "", *_flood(results)]
    lines += ["## Start and memory", "", *_costs(results)]
    lines += ["", "## Measured on", ""]
    lines += [f"* {name}: {value}" for name, value in results["machine"].items()]
    lines += [f"* date: {results['measured_at']}"]
    return "\n".join(lines) + "\n"


def _how(results: dict[str, Any]) -> str:
    return (
        "One worker on one core each, one run; requests a second, p99 in milliseconds in brackets, median of "
        f"{results['rounds']} rounds of {results['seconds']} s, in which the sides of a workload alternate every "
        "second. Made by `make bench`; what is asked: benchmarks/workloads.py; the peers: benchmarks/peers. The peers "
        "trust a valid token; Portero looks at each request whether the session still stands. Its throttles count with "
        "room, its limits and events are on. Two workers of it use both cores, the second one beside the load."
    )


def _missing(results: dict[str, Any]) -> list[str]:
    lines = []
    for column, why in results["missing"].items():
        lines += [f"**{COLUMNS.get(column, column)} could not be set up and was not measured**: {why}", ""]
    return lines


def _table(results: dict[str, Any], columns: Sequence[str]) -> list[str]:
    lines = ["| | workload | " + " | ".join(COLUMNS[column] for column in columns) + " |"]
    lines += ["|---|---|" + "---:|" * len(columns)]
    for workload, measured in results["workloads"].items():
        cells = [_cell(measured.get(column)) for column in columns]
        lines.append(f"| {workload} | {MEANING[workload]} | " + " | ".join(cells) + " |")
    return lines


def _cell(measured: Mapping[str, Any] | None) -> str:
    return "–" if measured is None else f"{_figure(measured['rate'])} ({measured['p99_ms']:.1f})"


def _figure(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"


def _remarks(results: dict[str, Any]) -> list[str]:
    remarks = ["W3d: Portero's own way is W3; the tutorials have SQLite's rollback journal (also FULL)."]
    if "bare hash" in results["workloads"].get("W4", {}):
        bare, sodium = (results["workloads"]["W4"][column]["rate"] for column in ("bare hash", "libsodium alone"))
        remarks.append(
            f"W4: on this core argon2-cffi alone verifies {bare:.1f} times a second with Portero's parameters (19 MiB, "
            f"t=2, p=1), which is the target's bare hash; libsodium alone, which Portero uses, {sodium:.1f} times. The "
            "peers have other hashes, by their frameworks' defaults."
        )
    return remarks


def _targets(results: dict[str, Any]) -> list[str]:
    lines = ["| | target | measured | |", "|---|---:|---:|---|"]
    for row in results["targets"]:
        bound = f"{'≤' if row['is_most'] else '≥'} {written(row['bound'], row['unit'])}"
        if row["value"] is None:
            lines.append(f"| {row['name']} | {bound} | – | not measured: {row['why']} |")
            continue
        lines.append(f"| {row['name']} | {bound} | {_found(row)} | {'met' if row['met'] else 'MISSED'} |")
    return lines


def _found(row: Mapping[str, Any]) -> str:
    """Write the median, and the least and the most of several rounds."""
    least, most = (written(each, "").strip() for each in row["range"])
    return written(row["value"], row["unit"]) + (f" ({least}–{most})" if least != most else "")


def written(value: float, unit: str) -> str:
    """Write a figure with its unit.

    >>> written(1.5, "×"), written(1500.0, "/s"), written(0.95, "s")
    ('1.50 ×', '1,500 /s', '0.95 s')
    """
    return f"{value:,.0f} {unit}" if unit in ("/s", "MB") else f"{value:.2f} {unit}"


def _beside(results: dict[str, Any]) -> list[str]:
    lines = ["| | | requests/s (p99 in ms) |", "|---|---|---:|"]
    for workload, measured in results["workloads"].items():
        found = [column for column in BESIDE if column in measured]
        lines += [f"| {workload} | {column} | {_cell(measured[column])} |" for column in found]
    return [
        *lines,
        "",
        "On PostgreSQL everything that answers, the database too, shares the one core. psycopg alone runs the same "
        "statement with its values made beforehand, behind the same server: no token, no parsing.",
    ]


def _flood(results: dict[str, Any]) -> list[str]:
    if not results["flood"]:
        return []
    lines = ["## While one client floods", ""]
    lines += ["Requests a second. A hundred users read pages (W2) over 32 connections; one client asks over 8 more, as"]
    lines += ["fast as it is answered, from an address of its own. An ordinary client as busy is shown beside it.", ""]
    lines += ["| it asks with | it gets | the others without it | with it | they keep | their p99, ms |"]
    lines += ["|---|---:|---:|---:|---:|---:|"]
    for name, found in results["flood"].items():
        figures = [_figure(found[key]) for key in ("flood", "quiet", "rate")]
        kept = f"{found['rate'] / found['quiet']:.0%}"
        lines.append(f"| {name} | " + " | ".join([*figures, kept, f"{found['p99_ms']:.1f}"]) + " |")
    return [*lines, ""]


def _costs(results: dict[str, Any]) -> list[str]:
    lines = ["| | start to the first answer, s | PSS, MB | RSS, MB |", "|---|---:|---:|---:|"]
    for side, seconds in results["start"].items():
        memory = results["memory"][side]
        lines.append(f"| {side} | {seconds:.2f} | {memory['pss_mb']:.0f} | {memory['rss_mb']:.0f} |")
    return [*lines, "", "Memory after the load, before W4. PSS counts a page that processes share once, RSS in each."]


_IN_README = {
    "README.md": {
        "head": "Requests a second on one core, the same data and questions for each ({machine}; {date}):",
        "names": {
            "W0t": "a route of one's own behind `@jwt_required()`",
            "W1": "one own row by id",
            "W2": "the 20 newest own rows",
            "W5": "the same with an embedded row",
            "W3": "insert a row, on disk before the answer",
            "W10": "80 % reads, 20 % inserts",
            "W6": "refresh a session, on disk",
            "W4": "sign in with a password",
        },
        "targets": "{met} of {all} targets are met{missed}. [All figures](benchmarks/results.md), "
        "made by `make bench`.",
        "missed": "; missed: ",
        "marks": {},
        "its": "its",
    },
    "README.es.md": {
        "head": "Peticiones por segundo en un núcleo, con los mismos datos y las mismas preguntas ({machine}; {date}):",
        "names": {
            "W0t": "una ruta propia tras `@jwt_required()`",
            "W1": "una fila propia por id",
            "W2": "las 20 filas propias más recientes",
            "W5": "lo mismo con una fila anidada",
            "W3": "insertar una fila, en disco antes de responder",
            "W10": "80 % lecturas, 20 % inserciones",
            "W6": "renovar una sesión, en disco",
            "W4": "iniciar sesión con contraseña",
        },
        "targets": "Se cumplen {met} de {all} objetivos{missed}. [Todas las cifras](benchmarks/results.md), "
        "hechas por `make bench`.",
        "missed": "; no: ",
        "marks": str.maketrans({",": "\N{NO-BREAK SPACE}", ".": ","}),  # to a Spanish reader 5,268 is less than six
        "its": "su",
    },
}
READMES = tuple(_IN_README)
_BEGIN, _END = "<!-- make bench: begin -->", "<!-- make bench: end -->"


def into_readme(text: str, name: str, results: dict[str, Any]) -> str:
    """Put the short table between the marks of a README."""
    words: Any = _IN_README[name]
    machine = results["machine"]
    python = machine["python"].replace("its", words["its"])
    where = f"{machine['processor']}, {machine['system'].partition(',')[0]}, Python {python}"
    lines = [words["head"].format(machine=where, date=results["measured_at"]), ""]
    lines += ["| | " + " | ".join(COLUMNS[column] for column in SHORT) + " |", "|---|" + "---:|" * len(SHORT)]
    for workload, meaning in words["names"].items():
        measured = results["workloads"].get(workload)
        if measured is not None:
            rates = [_figure(measured[column]["rate"]) if column in measured else "–" for column in SHORT]
            cells = [rate.translate(words["marks"]) for rate in rates]
            lines.append(f"| {meaning} | " + " | ".join(cells) + " |")
    targets = results["targets"]
    missed = [row["name"] for row in targets if not row["met"]]
    told = words["missed"] + ", ".join(missed) if missed else ""
    sentence = words["targets"].format(met=len(targets) - len(missed), all=len(targets), missed=told)
    block = "\n".join([_BEGIN, *lines, "", sentence, _END])
    return re.sub(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", lambda _: block, text, flags=re.DOTALL)
