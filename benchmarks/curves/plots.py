"""Draws the curves as PNG files; matplotlib is installed for this alone (`make bench-curves`)."""

from __future__ import annotations

import pathlib
from typing import Any

import matplotlib as mpl

from benchmarks.curves.catalogue import Curve
from benchmarks.curves.databases import NAMES

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter

_STYLES = {"sqlite": "-", "postgresql": "--"}
_FAR = 20


def draw(curve: Curve, found: dict[str, Any], file: pathlib.Path) -> None:
    """Draw one curve, of each database a line style, of each series a colour."""
    figure, axes = plt.subplots(figsize=(6.4, 3.6), dpi=100)
    highest = lowest = None
    for database, measured in found.items():
        axes.set_prop_cycle(None)
        for name, values in measured["series"].items():
            label = name if len(found) == 1 else f"{name}, {NAMES[database]}"
            style = {"marker": "o", "markersize": 3.5, "linewidth": 1.4, "label": label}
            [line] = axes.plot(measured["x"], values, _STYLES[database], **style)
            for hand in filter(None, [measured.get("by_hand", {}).get(name)]):
                axes.plot(measured["x"], hand, ":", color=line.get_color(), linewidth=1)
            highest, lowest = max(highest or 0, *values), min(lowest or values[0], *values)
        if measured["x"][-1] > _FAR * max(1, measured["x"][0]):
            axes.set_xscale("log")
        else:
            axes.set_xticks(measured["x"])
    if highest and lowest and (highest > _FAR * lowest or axes.get_xscale() == "log"):
        axes.set_yscale("log")
        axes.set_ylim(lowest / 2, highest * 2)
    else:
        axes.set_ylim(bottom=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    axes.set_xlabel(curve.x)
    axes.set_ylabel(curve.unit)
    axes.set_title(curve.title, fontsize=11)
    axes.grid(visible=True, which="major", linewidth=0.4, alpha=0.6)
    axes.legend(fontsize=7, frameon=False)
    figure.tight_layout()
    # Without the program's name and version, the same figures give the same file.
    figure.savefig(file, metadata={"Software": None})
    plt.close(figure)
