"""The grammar of filters and logic trees (contract data.md §4.3, §4.4).

Texts in, nodes out; values go to a list beside the tree. It never resolves a name and raises DataError only: PGRST100
with the place of the fault. The doctests are its specification.
"""

from __future__ import annotations

import re
from typing import NoReturn

from portero.data.grammar import read_steps
from portero.data.nodes import Condition, Expression, Field, Path, Tree
from portero.data.scanner import FIELD_NAME, Scanner
from portero.errors import DataError

COMPARISONS = frozenset({"eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "match", "imatch", "isdistinct"})
QUANTIFIED = COMPARISONS - {"neq", "isdistinct"}
TEXT_SEARCHES = frozenset({"fts", "plfts", "phfts", "wfts"})
RANGES = frozenset({"cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj"})
OPERATORS = COMPARISONS | TEXT_SEARCHES | RANGES | {"in", "is"}
IS_WORDS = frozenset({"null", "not_null", "true", "false", "unknown"})
_EXPECTED = "operator (eq, gt, ...)"
_OPERAND = f"{FIELD_NAME}, negation operator (not) or logic operator (and, or)"
_QUOTED_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"(?= *[,)])', re.DOTALL)


def parse_key(text: str) -> tuple[Path, Field]:
    """Read the left side of a filter: the embeds on the way, and the field.

    >>> parse_key("directors.name")
    (('directors',), Field(name='name', steps=()))
    >>> parse_key("info->>studio")[1].steps
    (JsonStep(key='studio', as_text=True),)

    Raises:
        DataError: PGRST100.
    """
    scanner = Scanner(text, "tree path")
    path, target = _dotted(scanner)
    steps = read_steps(scanner)
    if not scanner.at_end():
        scanner.fail('"." or end of input')
    return path, Field(target, steps)


def has_operator(text: str) -> bool:
    """Say whether a parameter's value looks like a filter's.

    >>> has_operator("not.eq.1"), has_operator("eq(any).{1}"), has_operator("1990"), has_operator("e.g. this")
    (True, True, False, False)
    """
    word, dot, _ = text.removeprefix("not.").partition(".")
    return bool(dot) and word.partition("(")[0] in OPERATORS


def _dotted(scanner: Scanner) -> tuple[Path, str]:
    names = [scanner.name()]
    while scanner.take("."):
        names.append(scanner.name())
    return tuple(names[:-1]), names[-1]


def parse_path(text: str) -> Path:
    """Read the embeds before `.order`, `.limit`, `.offset`, `.or`, `.and`; empty text is the top.

    >>> parse_path("projects.tasks")
    ('projects', 'tasks')

    Raises:
        DataError: PGRST100.
    """
    if not text:
        return ()
    path, last = _dotted(scanner := Scanner(text, "tree path"))
    if not scanner.at_end():
        scanner.fail('"." or end of input')
    return (*path, last)


def parse_operation(target: Field, text: str, values: list[str]) -> Condition:
    """Read `not.op(modifier).value`, the whole rest being the value, and put the value into `values`.

    >>> values = []
    >>> parse_operation(Field("year"), "not.eq.1995", values) == Condition(Field("year"), "eq", 0, is_negated=True)
    True
    >>> values
    ['1995']
    >>> parse_operation(Field("rating"), "is.NULL", values).word
    'null'
    >>> parse_operation(Field("year"), "eq(any).{1,2}", values).modifier
    'any'
    >>> parse_operation(Field("year"), "1995", values)
    Traceback (most recent call last):
    ...
    portero.errors.DataError: PGRST100: "failed to parse filter (1995)" (line 1, column 1)

    Raises:
        DataError: PGRST100.
    """
    scanner = Scanner(text, "filter")
    is_negated = scanner.take("not.")
    operator, modifier = _operator(scanner)
    rest = scanner.text[scanner.at :]
    return _condition(scanner, target, operator, modifier, is_negated, rest, values)


def _operator(scanner: Scanner) -> tuple[str, str | None]:
    start = scanner.at
    operator = scanner.word()
    if operator not in OPERATORS:
        scanner.at = start
        scanner.fail(_EXPECTED if scanner.text.startswith("not.") else f'"not" or {_EXPECTED}')
    modifier = None
    if scanner.take("("):
        modifier = scanner.word()
        fits = modifier in ("any", "all") if operator in QUANTIFIED else operator in TEXT_SEARCHES and modifier
        if not fits:
            scanner.at = start
            scanner.fail(_EXPECTED)
        scanner.expect(")")
    scanner.expect(".")
    return operator, modifier


def _condition(
    scanner: Scanner,
    target: Field,
    operator: str,
    modifier: str | None,
    is_negated: bool,
    raw: str,
    values: list[str],
) -> Condition:
    if operator == "is":
        word = raw.lower()
        if word not in IS_WORDS:
            scanner.fail("isVal: (null, not_null, true, false, unknown)")
        return Condition(target, operator, None, is_negated, None, word)
    if operator == "in" and not (raw.startswith("(") and raw.endswith(")")):
        if raw.startswith("("):
            scanner.at = len(scanner.text)
            scanner.fail('")"')
        scanner.fail('"("')
    values.append(raw)
    return Condition(target, operator, len(values) - 1, is_negated, modifier)


def parse_tree(joiner: str, is_negated: bool, text: str, values: list[str], deepest: int = 32) -> Tree:
    """Read the value of `and=` or `or=`, in which trees may stand `deepest` deep.

    >>> values = []
    >>> tree = parse_tree("or", False, '(year.lt.1950,not.and(title.eq."a,b",id.in.(1,2)))', values)
    >>> tree.operands[1].is_negated, values
    (True, ['1950', 'a,b', '(1,2)'])
    >>> parse_tree("or", False, "()", values)
    Traceback (most recent call last):
    ...
    portero.errors.DataError: PGRST100: "failed to parse logic tree (())" (line 1, column 4)

    Raises:
        DataError: PGRST100.
    """
    # PostgREST reads the operator and the value as one text, and counts its columns so.
    operator = f"not.{joiner}" if is_negated else joiner
    scanner = Scanner(operator + text, "logic tree", start=len(operator), shown=text)
    tree = Tree("and" if joiner == "and" else "or", _operands(scanner, values, deepest), is_negated)
    if not scanner.at_end():
        scanner.fail("end of input")
    return tree


def _operands(scanner: Scanner, values: list[str], depth_left: int) -> tuple[Expression, ...]:
    if depth_left <= 0:
        raise DataError(400, "PGRST100", "a logic tree is nested too deeply", hint="Ask for a flatter condition.")
    scanner.skip_blanks()
    scanner.expect("(")
    found = [_operand(scanner, values, depth_left)]
    while scanner.take(","):
        found.append(_operand(scanner, values, depth_left))
    if not scanner.take(")"):
        scanner.fail('"," or ")"')
    scanner.skip_blanks()
    return tuple(found)


_BRANCH = re.compile(r"(not\.)?(and|or) *(?=\()")


def _operand(scanner: Scanner, values: list[str], depth_left: int) -> Expression:
    scanner.skip_blanks()
    branch = _BRANCH.match(scanner.text, scanner.at)
    if branch is not None:
        scanner.at = branch.end()
        joiner = branch[2]
        return Tree(
            "and" if joiner == "and" else "or", _operands(scanner, values, depth_left - 1), branch[1] is not None
        )
    start = scanner.at
    name = scanner.name(_OPERAND)
    target = Field(name, read_steps(scanner))
    if not scanner.take("."):
        _fail_after_name(scanner, start)
    is_negated = scanner.take("not.")
    if scanner.text.startswith("not.", start) and _word_ahead(scanner) not in OPERATORS:
        scanner.fail("logic operator (and, or)")
    operator, modifier = _operator(scanner)
    raw = _tree_value(scanner, operator)
    condition = _condition(scanner, target, operator, modifier, is_negated, raw, values)
    scanner.skip_blanks()
    return condition


def _word_ahead(scanner: Scanner) -> str:
    start = scanner.at
    word = scanner.word()
    scanner.at = start
    return word


def _fail_after_name(scanner: Scanner, start: int) -> NoReturn:
    """A name that begins like `and` or `or` is taken for one of them."""
    for joiner in ("and", "or"):
        if scanner.text.startswith(joiner, start):
            scanner.at = start + len(joiner)
            scanner.fail('"("')
    scanner.fail("delimiter (.)")


def _tree_value(scanner: Scanner, operator: str) -> str:
    """Read a value inside a tree: a list, a quoted text, a `{…}` group, or everything up to `,` or `)`."""
    if operator == "in":
        return _list_text(scanner)
    text, start = scanner.text, scanner.at
    if scanner.peek('"'):
        found = scanner.quoted()
        if scanner.at_end() or text[scanner.at] in ",) ":
            return found
        scanner.at = start
    if scanner.peek("{"):
        return _group(scanner)
    while not scanner.at_end() and text[scanner.at] not in ",)":
        scanner.at += 1
    return text[start : scanner.at].rstrip(" ") if operator == "is" else text[start : scanner.at]


def _group(scanner: Scanner) -> str:
    start, depth = scanner.at, 0
    while not scanner.at_end():
        mark = scanner.text[scanner.at]
        if mark == '"':
            scanner.quoted()
            continue
        scanner.at += 1
        depth += (mark == "{") - (mark == "}")
        if depth == 0:
            return scanner.text[start : scanner.at]
    return scanner.fail('"}"')


def _list_text(scanner: Scanner) -> str:
    start = scanner.at
    scanner.expect("(")
    while not scanner.at_end() and not scanner.peek(")"):
        _list_element(scanner)
        scanner.take(",")
    scanner.expect(")")
    return scanner.text[start : scanner.at]


def split_list(text: str) -> list[str]:
    r"""Take a list `(a,"b,c")` apart; an element is quoted only if its closing quote stands before `,` or `)`.

    >>> split_list('(1,"a,b",x"y"z,"c\\"d")')
    ['1', 'a,b', 'x"y"z', 'c"d']
    >>> split_list("()"), split_list("( 1, 2 )")
    ([], ['1', ' 2 '])
    >>> split_list('("a"b,c)')
    ['"a"b', 'c']

    Raises:
        DataError: PGRST100.
    """
    scanner = Scanner(text, "filter")
    scanner.expect("(")
    scanner.skip_blanks()
    if text[scanner.at :] == ")":
        return []
    found = [_list_element(scanner)]
    while scanner.take(","):
        found.append(_list_element(scanner))
    scanner.expect(")")
    if not scanner.at_end():
        scanner.fail("end of input")
    return found


def _list_element(scanner: Scanner) -> str:
    text, start = scanner.text, scanner.at
    scanner.skip_blanks()
    if scanner.peek('"'):
        closing = _QUOTED_ELEMENT.match(text, scanner.at)
        if closing is not None:
            scanner.at = closing.end()
            scanner.skip_blanks()
            return re.sub(r"\\(.)", r"\1", closing[1], flags=re.DOTALL)
    scanner.at = start
    while not scanner.at_end() and text[scanner.at] not in ",)":
        scanner.at += 1
    return text[start : scanner.at]
