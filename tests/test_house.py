"""The rules of the house, checked by machine over every file of the product."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "portero"
FILES = sorted(SOURCE.rglob("*.py"))
LONGEST_FILE = 400
LONGEST_FUNCTION = 40
DEEPEST_NESTING = 3
VAGUE_NAMES = {"utils", "helpers", "common", "base", "core", "misc", "manager", "service"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|raise NotImplementedError|for now|placeholder|stub)\b")
BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.TryStar, ast.Match, ast.AsyncFor, ast.AsyncWith)
SECRET_NAMES = re.compile(r"(^|_)(secret|password|mac|digest|signature|refresh_token|api_key|code)s?$")
#: Where a broad `except Exception` may stand: the edge, which answers 500 or 503 and logs.
EDGE = {"web", "cli"}
#: These hand every error to the thread whose work raised it; it is raised there, not swallowed.
CARRIERS = {"store/group_commit.py"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def each_file() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions_of(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, Function))


def length_of(function: Function) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def depth_of(node: ast.AST, depth: int = 0) -> int:
    """Count blocks inside blocks; `elif` is no deeper than its `if`, and an inner function begins anew."""
    deepest = depth
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, Function):
                continue
            is_elif = name == "orelse" and isinstance(node, ast.If) and isinstance(child, ast.If) and len(value) == 1
            step = 1 if isinstance(child, BLOCKS) and not is_elif else 0
            deepest = max(deepest, depth_of(child, depth + step))
    return deepest


@each_file()
def test_a_file_has_at_most_400_lines(path: Path) -> None:
    assert LONGEST_FILE >= len(path.read_text(encoding="utf-8").splitlines())


@each_file()
def test_a_function_has_at_most_40_lines_without_its_docstring(path: Path) -> None:
    assert [] == [
        f"{each.name}: {length_of(each)}" for each in functions_of(path) if length_of(each) > LONGEST_FUNCTION
    ]


@each_file()
def test_blocks_nest_at_most_three_deep(path: Path) -> None:
    assert [] == [f"{each.name}: {depth_of(each)}" for each in functions_of(path) if depth_of(each) > DEEPEST_NESTING]


@each_file()
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree_of(path)), "a module begins with its docstring"


@each_file()
def test_a_public_function_or_class_has_a_docstring(path: Path) -> None:
    def public(body: list[ast.stmt]) -> Iterator[str]:
        for node in body:
            if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
                continue
            if ast.get_docstring(node) is None and not is_outline(node):
                yield node.name
            if isinstance(node, ast.ClassDef) and not is_protocol(node):
                yield from public(node.body)

    assert [] == list(public(tree_of(path).body))


@each_file()
def test_a_public_function_that_raises_says_what(path: Path) -> None:
    """The command line and the views speak in sentences and answers; below them, callers must know what may come."""
    if path.relative_to(SOURCE).parts[0] in EDGE:
        return

    def silent(body: list[ast.stmt]) -> Iterator[str]:
        for node in body:
            if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
                continue
            if isinstance(node, ast.ClassDef):
                yield from silent(node.body)
            elif raises(node) and "Raises:" not in (ast.get_docstring(node) or ""):
                yield node.name

    assert [] == list(silent(tree_of(path).body))


def raises(node: ast.AST) -> bool:
    """Say whether a function raises something itself; what cannot happen (AssertionError) is no promise."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Raise) and child.exc is not None and "AssertionError" not in ast.unparse(child.exc):
            return True
        if not isinstance(child, Function | ast.ClassDef | ast.Lambda) and raises(child):
            return True
    return False


def is_outline(node: ast.AST) -> bool:
    """An overload or a property's setter is described where the first definition stands."""
    decorators = [ast.unparse(each) for each in getattr(node, "decorator_list", [])]
    return any(each == "overload" or each.endswith((".setter", "override")) for each in decorators)


def is_protocol(node: ast.ClassDef) -> bool:
    return any(ast.unparse(each).startswith("Protocol") for each in node.bases)


@each_file()
def test_a_module_is_not_called_by_a_vague_name(path: Path) -> None:
    assert not VAGUE_NAMES & {path.stem, *path.relative_to(SOURCE).parent.parts}


@each_file()
def test_an_import_inside_a_function_has_its_reason_beside_it(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    inner = [
        node.lineno
        for function in functions_of(path)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert [] == [line for line in inner if "#" not in lines[line - 1] and not lines[line - 2].lstrip().startswith("#")]


@each_file()
def test_a_dataclass_is_made_by_records(path: Path) -> None:
    """One that `dataclasses` makes costs a start five times as much."""
    theirs = [
        node.lineno
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom)
        and node.module == "dataclasses"
        and "dataclass" in {name.name for name in node.names}
    ]
    assert [] == theirs or path.name == "records.py"


@each_file()
def test_nothing_is_left_unfinished(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [] == [f"{number}: {line}" for number, line in enumerate(lines, 1) if UNFINISHED.search(line)]


@each_file()
def test_everything_is_caught_at_the_edge_only(path: Path) -> None:
    if path.relative_to(SOURCE).parts[0] in EDGE or path.relative_to(SOURCE).as_posix() in CARRIERS:
        return
    broad = [
        node.lineno
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
        and not any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
    ]
    assert [] == broad


@each_file()
def test_a_secret_is_never_compared_with_equals(path: Path) -> None:
    def names_a_secret(node: ast.expr) -> bool:
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        return bool(SECRET_NAMES.search(name)) and not name.isupper()

    compared = [
        f"{node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Compare)
        and any(isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops)
        and any(names_a_secret(each) for each in [node.left, *node.comparators])
        and not names_an_error_code(node)
        and not is_sql(node)
    ]
    assert [] == compared


def is_sql(node: ast.Compare) -> bool:
    """A comparison with a column is a condition for the database, not one in Python."""
    return any(".c." in ast.unparse(each) for each in [node.left, *node.comparators])


def names_an_error_code(node: ast.Compare) -> bool:
    """`error.code == "PGRST205"` compares a public word."""
    return any(isinstance(each, ast.Attribute) and each.attr == "code" for each in [node.left, *node.comparators])


@each_file()
def test_sql_text_is_not_put_together_from_pieces_in_a_call(path: Path) -> None:
    """`text(f"…")` and `execute(f"…")` are how a caller's text would become SQL; a reason stands beside each."""
    pieced = [
        node.lineno
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] in {"text", "execute", "exec_driver_sql"}
        and node.args
        and isinstance(node.args[0], ast.JoinedStr | ast.BinOp)
    ]
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [] == [
        line for line in pieced if "#" not in lines[line - 1] and not lines[line - 2].lstrip().startswith("#")
    ]


def test_floors_look_down_and_no_imports_go_in_a_circle() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    answer = subprocess.run([command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert 0 == answer.returncode, answer.stdout


def test_no_file_names_a_machine_or_the_address_of_an_index() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    home = re.compile(r"(?<![\w.])/(?:work|root|farm|home)/\w")
    address = re.compile(r"https?://")
    named = []
    for name in tracked:
        path = ROOT / name
        if not path.is_file() or path.suffix in {".gz", ".png"}:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if home.search(text) and name != "tests/test_house.py":
            named.append(name)
        if re.search(r"requirements|lock", path.name) and address.search(text):
            named.append(name)
    assert [] == named


def test_no_test_can_be_skipped() -> None:
    skipping = re.compile(r"\b(skip|skipif|xfail|importorskip)\(|mark\.(skip|xfail)|\bassert True\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if path.name != "test_house.py" and "node_modules" not in path.parts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if skipping.search(line)
    ]
    assert [] == found
