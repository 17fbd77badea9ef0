"""Lists on the command line: aligned columns, never cut, so that what is printed can be copied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table

_WIDER_THAN_ANY_ROW = 1000


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows below their headings."""
    table = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    Console(width=_WIDER_THAN_ANY_ROW, soft_wrap=True, markup=False, highlight=False).print(table)


def moment(at: datetime | None) -> str:
    """Write an instant to the minute, UTC, or `-`."""
    return f"{at:%Y-%m-%d %H:%M}" if at else "-"
