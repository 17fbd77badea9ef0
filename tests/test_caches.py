"""Every cache in the source has a bound, and its hit rate is a metric; none can be added without both."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.web.described_app import make_app

from portero.testing import running

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "portero"
FILES = sorted(SOURCE.rglob("*.py"))
PAGE = ROOT / "docs" / "reference" / "caches.md"
#: What else keeps what it was asked for once, by the name it has among the figures.
BY_HAND = {
    "tokens": "identity/access_tokens.py",
    "api_keys": "identity/api_keys.py",
    "strange_shapes": "data/reads.py",
    "shape_budgets": "data/shape_budget.py",
    "paid_kinds": "data/writes.py",
    "write_statements": "data/writes.py",
    "own_statements": "store/sqlite.py",
    "prepared_statements": "store/postgresql.py",
}
#: Of what only one of the two databases has.
OF_POSTGRESQL = {"prepared_statements"}
#: Files with an `lru_cache` that is no metric, and why.
NO_METRIC = {
    "figures.py": "makes those that are",
    "records.py": "kinds of constructors of the code's own classes, 128; it is below what counts",
}
#: Files in which a dict or a set that is empty at first is kept in an object or a module, and what keeps it small.
GROWING = {
    "cli/serve.py": "the applications of the command line, one a name",
    "data/binds.py": "lives as long as its statement is written",
    "data/functions.py": "the developer's functions",
    "data/request.py": "lives as long as its request is read",
    "data/shape_budget.py": "counts callers, and knows kinds by their hashes; it is among the figures",
    "data/single_inserts.py": "what tables are like, of the developer's models only",
    "figures.py": "the names of the caches",
    "identity/api_keys.py": "publishable keys; among the figures",
    "identity/keys.py": "keys of the application by Portero's own labels, and those the database has",
    "store/postgresql_statements.py": "how one kept statement is prepared: at most four ways",
    "store/compiled_statements.py": "statements by SQLAlchemy's keys; among the figures",
    "store/postgresql_lines.py": "prepared statements, and hashes of 256 that came once; among the figures",
    "store/prepared.py": "texts of one statement, one a database",
}
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def calls_of_kept(path: Path) -> Iterator[ast.Call]:
    if not re.search(r"^from portero.figures import .*\bkept\b", path.read_text(encoding="utf-8"), re.MULTILINE):
        return iter(())
    return (each for each in ast.walk(tree_of(path)) if isinstance(each, ast.Call) and name_of(each.func) == "kept")


def where(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def kept() -> dict[str, str]:
    """The caches of the process: name and file."""
    found: dict[str, str] = {}
    for path in FILES:
        for call in calls_of_kept(path):
            name, most = call.args
            assert isinstance(name, ast.Constant), f"{where(path)}: the name is written out"
            assert isinstance(most, ast.Constant), f"{where(path)}: the bound is written out"
            assert isinstance(most.value, int), f"{where(path)}: the bound is a number"
            assert name.value not in found, f"{name.value}: two caches of one name"
            found[str(name.value)] = where(path)
    return found


def of_applications() -> dict[str, str]:
    """The caches of one application that are lru_caches: name and file; each is told by `of_lru` where it is made."""
    found: dict[str, str] = {}
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for attribute in re.findall(r"self\.(\w+) = lru_cache\(", text):
            names = re.findall(rf'"(\w+)": of_lru\(self\.{attribute}\.cache_info\(\)\)', text)
            assert 1 == len(names), f"{where(path)}: {attribute} is not among the figures"
            found[names[0]] = where(path)
    return found


def bounds_of(directory: Path, database_url: str = "") -> dict[str, int]:
    with running(make_app(), directory, database_url=database_url) as api:
        api.sign_in("anna").get("/rest/v1/notes?select=id")
        with api.application.app_context():
            key = api.application.extensions["portero"].freeze(api.application).identity.api_keys
        secret = key.create("secret", "tests", NOW).value
        answer = api.get("/auth/v1/admin/metrics", headers={"Authorization": f"Bearer {secret}"})
    found = re.findall(r'portero_cache_entries_max\{cache="(\w+)",pid="\d+"\} (\d+)', answer.get_data(as_text=True))
    return {name: int(most) for name, most in found}


def test_a_cache_of_functools_is_made_in_one_place_or_belongs_to_an_object() -> None:
    """`functools.cache` has no bound; `lru_cache` without a number has one that nobody chose."""
    astray = []
    for path in FILES:
        tree, text = tree_of(path), path.read_text(encoding="utf-8")
        owned = len(re.findall(r"self\.\w+ = lru_cache\((\d+|_[A-Z_]+)\)\(", text))
        uses = sum(name_of(each) == "lru_cache" for each in ast.walk(tree))
        imported = {
            alias.name
            for each in ast.walk(tree)
            if isinstance(each, ast.ImportFrom) and each.module == "functools"
            for alias in each.names
        }
        is_said = re.search(r"functools\.(lru_cache|cache)", text) is not None
        if where(path) not in NO_METRIC and (uses != owned or is_said or imported & {"cache", "cached_property"}):
            astray.append(where(path))
    assert [] == astray


def test_whatever_grows_in_an_object_or_a_module_has_something_that_keeps_it_small() -> None:
    found = {where(path) for path in FILES if any(grows(each) for each in ast.walk(tree_of(path)))}
    assert sorted(GROWING) == sorted(found)


def grows(node: ast.AST) -> bool:
    """Say whether a dict or set that is empty at first is given to an attribute of `self` or to a module's name."""
    if not isinstance(node, ast.AnnAssign) or node.value is None:
        return False
    is_lasting = isinstance(node.target, ast.Attribute) or (
        isinstance(node.target, ast.Name) and "Final[dict" in ast.unparse(node.annotation)
    )
    return is_lasting and ast.unparse(node.value) in ("{}", "set()", "OrderedDict()")


def test_every_cache_of_the_source_is_a_metric_and_in_the_documentation_with_its_bound(
    tmp_path: Path, empty_postgresql_url: str
) -> None:
    for path in FILES:
        if list(calls_of_kept(path)):
            importlib.import_module(".".join(("portero", *path.relative_to(SOURCE).with_suffix("").parts)))
    expected = {*kept(), *of_applications(), *BY_HAND}
    assert sorted(expected - OF_POSTGRESQL) == sorted(bounds_of(tmp_path))
    bounds = bounds_of(tmp_path, empty_postgresql_url)
    assert sorted(expected) == sorted(bounds)
    assert dict(sorted(bounds.items())) == dict(sorted(told().items()))


def told() -> dict[str, int]:
    """The names and bounds on the page."""
    rows = [line.split("|") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    return {row[1].strip(" `"): int(row[4].replace(",", "")) for row in rows}
