"""The curves: what is measured, over what, and what shape it is to have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.curves import accounts, rows, served, shapes
from benchmarks.curves.databases import Databases
from benchmarks.curves.rows import Found
from benchmarks.curves.timing import Turns

BOTH, SQLITE = ("sqlite", "postgresql"), ("sqlite",)
#: How much more the last point may cost than the first (flat), or a step at the end than one on the average (linear).
BOUND = 1.5


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve.

    Attributes:
        name: of its plot and its case.
        title: what grows.
        x: what the axis counts.
        run: measures it.
        sizes: the points.
        more: further points, where the run is a whole one.
        shape: `flat`, `linear`, `kept` (a rate that does not fall).
        databases: those it is measured on.
        unit: of the figures.
        text: what is asked, for the page.
    """

    name: str
    title: str
    x: str
    run: Callable[[Databases, Turns, Sequence[int]], Found]
    sizes: tuple[int, ...]
    shape: str
    text: str
    more: tuple[int, ...] = ()
    databases: tuple[str, ...] = BOTH
    unit: str = "µs a request"

    def faults(self, database: str, found: Found) -> list[str]:
        """Say which series have not the shape they are to have, and cost more and more than the same by hand."""
        return [told for told, is_own in self._misshapen(database, found) if is_own]

    def grown(self, database: str, found: Found) -> list[str]:
        """Say which series have not their shape only because the same by hand has it not."""
        return [told for told, is_own in self._misshapen(database, found) if not is_own]

    def _misshapen(self, database: str, found: Found) -> Iterator[tuple[str, bool]]:
        """Give what is not in shape, and whether it becomes more of what it costs by hand."""
        for name, values in found["series"].items():
            fault = _fall(values) if self.shape == "kept" else _fault(self.shape, found["x"], values)
            if fault is None:
                continue
            told = f"{self.title}, {name} on {database}: {fault}"
            hand = found.get("by_hand", {}).get(name)
            if hand is None:
                yield told, True
                continue
            # What grows evenly is compared with the point before: the first one is all that a request costs by itself.
            before = 0 if self.shape == "flat" else -2
            times = values[before] / hand[before], values[-1] / hand[-1]
            point = "first" if self.shape == "flat" else "point before"
            told += f"; it costs {times[1]:.2f} × what it does by hand, at the {point} {times[0]:.2f} ×"
            yield told, times[1] > times[0]


def _fault(shape: str, x: Sequence[float], y: Sequence[float]) -> str | None:
    """Judge one series.

    >>> _fault("flat", [10, 100, 1_000], [5, 5.2, 9])
    'the last point costs 1.80 × the first'
    >>> _fault("linear", [1, 10, 100], [5, 14, 104]) is None
    True
    >>> _fault("linear", [1, 10, 100], [5, 14, 404])
    'up to the last point each costs 4.03 × what it costs up to the one before'
    """
    if y[-1] <= BOUND * y[0]:
        return None
    if shape == "flat":
        return f"the last point costs {y[-1] / y[0]:.2f} × the first"
    if shape == "linear":
        before = (y[-2] - y[0]) / (x[-2] - x[0])
        times = (y[-1] - y[0]) / (x[-1] - x[0]) / before if before > 0 else float("inf")
        told = f"up to the last point each costs {times:.2f} × what it costs up to the one before"
        return told if times > BOUND else None
    return None


def _fall(y: Sequence[float]) -> str | None:
    """Judge a rate: it must not fall far from its best.

    >>> _fall([10, 40, 30]), _fall([10, 40, 20])
    (None, 'the best rate is 2.00 × the last')
    """
    times = max(y) / y[-1]
    return f"the best rate is {times:.2f} × the last" if times > BOUND else None


CURVES = (
    Curve(
        "rows", "Rows in the table", "rows", rows.rows, (1_000, 10_000, 100_000, 1_000_000), "flat",
        "A caller has a hundred notes; the others' are ever more. The newest 20 of one's own that are not done, under "
        "`own()` with its index.", more=(10_000_000,),
    ),
    Curve(
        "users", "Users, each with a session", "users", accounts.users, (100, 1_000, 10_000, 100_000), "flat",
        "Fifty of them ask.", more=(1_000_000,),
    ),
    Curve(
        "ended", "Sessions that have ended", "ended sessions", accounts.ended, (1, 1_000, 10_000, 100_000), "flat",
        "An ended session is a row that is gone; what is kept are its entries in the audit, until they are swept. 1 "
        "stands for none.", more=(1_000_000,),
    ),
    Curve(
        "looks", "EXISTS in the policy", "EXISTS", shapes.looks, (0, 1, 2, 3), "linear",
        "100,000 rows, 1,000 of them the caller's own; each must besides pass so many EXISTS over a table of 15,000.",
    ),
    Curve(
        "depth", "Depth of embeds", "embeds inside each other", shapes.depth, (0, 1, 2, 3), "linear",
        "A page of 20; each row holds the row it belongs to (to-one), or the list of the one row that belongs to it "
        "(to-many), and so on.",
    ),
    Curve(
        "columns", "Columns of a row", "columns", rows.columns, (1, 2, 4, 8, 16, 32, 64), "linear",
        "A page of 20; each column holds 20 characters.",
    ),
    Curve(
        "width", "Length of a text", "characters", rows.width, (10, 100, 1_000, 10_000, 100_000), "linear",
        "One row, asked by its id.",
    ),
    Curve(
        "answer", "Rows in the answer", "rows", rows.answer, (1, 10, 100, 1_000, 10_000), "linear",
        "Own notes, newest first; `PORTERO_MAX_ROWS` raised.",
    ),
    Curve(
        "clients", "Clients at one time", "clients", served.clients, (1, 2, 4, 8, 16, 32, 64, 128, 256, 512), "kept",
        "One worker on one core, wrk on another; 100 users.", databases=SQLITE, unit="requests a second",
    ),
    Curve(
        "workers", "Workers", "workers", served.workers, (1, 2), "kept",
        "32 clients. The load generator needs a core of its own; where there are only two, the workers share it.",
        databases=SQLITE, unit="requests a second",
    ),
)  # fmt: skip
