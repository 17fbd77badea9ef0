"""The parameters of a statement: the caller's facts, the request's values, constants; and the order the text wants.

Nothing of a caller is kept here: facts are put in at each execution. Their forms, what a driver takes for them, are
kept by the caller's own record, which lives as long as its token is remembered. `store.prepared` binds by name, with
a look-up a value, and keeps nothing between two runs: enough for statements of ours, too slow for a read's.

Obeys docs/explanation/speed.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

from portero.data.binds import KEYS, Binds, Codec
from portero.data.caller import ME_ID, ME_ROLE, ME_TEXT
from portero.figures import kept
from portero.principal import Principal
from portero.records import dataclass
from portero.store.prepared import WrittenOut
from portero.store.sessions import NOW, SESSION_ID

FACTS = (ME_ID, ME_TEXT, ME_ROLE, SESSION_ID, NOW)
Process = Callable[[Any], Any]
Parameters = tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What a statement's parameters are, each named once, and where they belong.

    Attributes:
        facts: those of the caller, each with what makes its form.
        form: names facts and forms, the instant's where it is asked for; the same for all statements that ask alike.
        instant: makes the form of the present instant.
        template: the other parameters, with the constants in place.
        codecs: (place in the template, slot, codec) of the request's values.
        arranged: gives the order of the text, from facts, instant, the others, and the keys of a keyed read.
    """

    facts: tuple[tuple[str, Process | None], ...]
    form: str
    instant: Process
    template: Parameters
    codecs: tuple[tuple[int, int, Codec], ...]
    arranged: Callable[[Parameters], Parameters]

    def filled(self, values: Sequence[str]) -> Parameters:
        """Give the parameters that are not the caller's, the request's values among them.

        Raises:
            DataError: a value that is none of its column's type, a list too long, a bad limit.
        """
        filled = list(self.template)
        for place, slot, codec in self.codecs:
            filled[place] = codec(values[slot])
        return tuple(filled)

    def complete(self, filled: Parameters, principal: Principal, now: datetime, keys: str | None = None) -> Parameters:
        """Give the parameters of one execution; `keys` are those of a keyed read."""
        held = principal.forms.get(self.form)
        if held is None or held[0] is not now:
            facts = self._forms(principal, now) if held is None else held[2]
            held = principal.forms[self.form] = now, (*facts, _form_of(self.instant, now)), facts
        known: Parameters = held[1] + filled
        return self.arranged(known if keys is None else (*known, keys))

    def _forms(self, principal: Principal, now: datetime) -> Parameters:
        values = facts_of(principal, now)
        return tuple([values[name] if process is None else process(values[name]) for name, process in self.facts])


@kept("instants", 64)
def _form_of(process: Process, now: datetime) -> Any:
    """Make the form of the present instant, anew only when it changed: the edge gives whole seconds."""
    return process(now)


def layout_of(written: WrittenOut, binds: Binds, compiled: Any) -> Layout:
    """Say what belongs where in a statement that SQLAlchemy compiled and `written_out` wrote."""
    names = tuple(dict.fromkeys(written.names))
    facts = tuple(name for name in names if name in FACTS and name != NOW)
    others = tuple(name for name in names if name not in (*FACTS, KEYS))
    template: list[Any] = [None] * len(others)
    codecs = []
    for place, name in enumerate(others):
        process = written.processors.get(name)
        if name in binds.codecs:
            slot, codec = binds.codecs[name]
            codecs.append((place, slot, _chained(codec, process)))
        else:
            value = written.values[name]
            template[place] = value if process is None else process(value)
    types = [f"{name} {compiled.binds[name].type!r}" for name in (*facts, NOW) if name in names]
    return Layout(
        facts=tuple((name, written.processors.get(name)) for name in facts),
        form=", ".join([compiled.dialect.name, *types]),
        instant=written.processors.get(NOW, as_it_is),
        template=tuple(template),
        codecs=tuple(codecs),
        arranged=_picks([(*facts, NOW, *others, KEYS).index(name) for name in written.names]),
    )


def _picks(places: Sequence[int]) -> Callable[[Parameters], Parameters]:
    """Give what picks several places of a tuple, as a tuple, without a loop in Python."""
    if len(places) > 1:
        return itemgetter(*places)
    return itemgetter(slice(places[0], places[0] + 1) if places else slice(0))


def as_it_is(value: Any) -> Any:
    """Take a value that has its form already."""
    return value


def _chained(codec: Codec, process: Process | None) -> Codec:
    if process is None:
        return codec
    if codec is as_it_is:
        return process
    return lambda text: process(codec(text))


def facts_of(principal: Principal, now: datetime) -> dict[str, Any]:
    """Give the caller's facts by the names of their binds."""
    user_id = principal.user_id
    return {
        ME_ID: user_id,
        ME_TEXT: None if user_id is None else str(user_id),
        ME_ROLE: principal.role,
        SESSION_ID: principal.session_id,
        NOW: now,
    }
