"""The documentation is true where a machine can tell: settings, commands, links, and Python that is printed."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

import click
import pytest

from portero.cli import portero

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
HEADING_LINK = re.compile(r"\]\(([^)#\s:]*\.md|)#([^)\s]+)\)")
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"(?<![\w/.])(?<!from )portero ((?:[a-z]+(?:-[a-z]+)* ?)+)")


def each_page() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def test_the_page_of_settings_is_the_one_the_settings_make() -> None:
    made = runpy.run_path(str(ROOT / "docs/reference/make_settings.py"))["page"]()
    assert made == (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")


@each_page()
def test_every_link_leads_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [] == [link for link in links if not (page.parent / link).exists()]


@each_page()
def test_every_link_to_a_heading_finds_it(page: Path) -> None:
    links = HEADING_LINK.findall(page.read_text(encoding="utf-8"))
    assert [] == [
        f"{file}#{name}" for file, name in links if name not in headings(page.parent / file if file else page)
    ]


def headings(page: Path) -> set[str]:
    """Give the names of a page's headings as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


@each_page()
def test_printed_python_is_python(page: Path) -> None:
    for block in PYTHON.findall(page.read_text(encoding="utf-8")):
        ast.parse(block)


def test_what_these_tests_look_for_is_found_on_some_page() -> None:
    """What looks for nothing finds no fault."""
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    assert [] == [
        pattern.pattern for pattern in (LINK, HEADING_LINK, PYTHON, COMMAND) if not any(map(pattern.search, texts))
    ]


@each_page()
def test_printed_commands_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```\n(.*?)```", PYTHON.sub("", text), re.DOTALL) + re.findall(r"`([^`\n]+)`", text)
    unknown = []
    for block in blocks:
        for words in COMMAND.findall(block):
            known: click.Command = portero
            for word in words.split():
                if not isinstance(known, click.Group):
                    break
                if (found := known.get_command(click.Context(known), word)) is None:
                    unknown.append(f"portero {words}")
                    break
                known = found
    assert [] == unknown


def test_every_command_is_in_the_reference() -> None:
    reference = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")
    assert [] == [path for path in paths(portero, "portero") if f"`{path}" not in reference]


def paths(command: click.Command, path: str) -> list[str]:
    if not isinstance(command, click.Group):
        return [path]
    context = click.Context(command)
    named = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
    return [found for name, each in named if each is not None for found in paths(each, f"{path} {name}")]
