"""About how many bytes a value holds, so that a cache can refuse what is too heavy to stay. It keeps nothing."""

from __future__ import annotations

from collections.abc import Mapping
from sys import getsizeof
from types import FunctionType
from typing import Any, Final

#: What a dict has of each member, beside the two objects themselves.
_MEMBER: Final = 100
#: What a function that was made in another has of it.
_MADE_WITH: Final = 160
_GROUPS: Final = (tuple, list, set, frozenset)


class NotKept(Exception):
    """Carries what was made past a cache, which keeps no exceptions: it is too heavy to stay."""

    def __init__(self, made: Any) -> None:
        super().__init__()
        self.made = made


def weight_of(value: Any) -> int:
    """Give about how many bytes a value holds: itself, what groups and mappings have in them, and slots of records.

    What is in it twice counts once. Of any other object only the object itself counts, with something for what a
    function was made with: a column, a type belongs to the application.

    >>> weight_of("x" * 1000) > 1000, weight_of(("x" * 1000, {"a": ["y" * 1000]})) > 2000
    (True, True)
    """
    found, waiting, seen = 0, [value], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        found += getsizeof(one)
        if isinstance(one, FunctionType):
            found += _MADE_WITH
        elif isinstance(one, _GROUPS):
            waiting.extend(one)
        elif isinstance(one, Mapping):
            found += _MEMBER * len(one)
            waiting.extend(one.keys())
            waiting.extend(one.values())
        else:
            slots = getattr(type(one), "__slots__", ())
            if slots and type(one).__module__.startswith("portero"):
                waiting.extend([getattr(one, slot) for slot in slots])
    return found
