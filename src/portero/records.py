"""Dataclasses that cost a start little: `from portero.records import dataclass`, and everything else as ever.

For each frozen class `dataclasses` writes and compiles six functions, half a millisecond in all; there are a hundred
and fifty such classes here, a tenth of the time to start. This one compiles the constructor alone, which is the same as
theirs; what else they write does the same for every class, so it stands once, below. `dataclasses.fields`, `replace`
and `asdict` know such a class. It serves what is used here and never more: fields, defaults, `field`, `__post_init__`,
slots; no `InitVar`, no order, no inheritance.
"""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

_set: Final = object.__setattr__
_ABSENT: Final = type("Absent", (), {"__repr__": lambda self: "<factory>"})()  # as theirs shows itself in a signature
Field = dataclasses.Field[Any]
#: Makes a named tuple of all its values, in order, past its constructor, which is Python and takes thrice as long.
new_tuple: Final = tuple.__new__


def _refuse_change(self: Any, name: str, value: Any) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_removal(self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state_of(self: Any) -> list[Any]:
    return [getattr(self, each.name) for each in dataclasses.fields(self)]


def _restore(self: Any, state: list[Any]) -> None:
    for each, value in zip(dataclasses.fields(self), state, strict=True):
        _set(self, each.name, value)


def _described(fields: tuple[Field, ...]) -> Callable[[Any], str]:
    shown = [each.name for each in fields if each.repr]

    def describe(self: Any) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__qualname__}({values})"

    return reprlib.recursive_repr()(describe)


def _values_of(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda self: tuple(getattr(self, name) for name in names)


def _compared(fields: tuple[Field, ...]) -> tuple[Callable[[Any, Any], bool], Callable[[Any], int]]:
    values = _values_of([each.name for each in fields if each.compare])
    hashed = _values_of([each.name for each in fields if (each.compare if each.hash is None else each.hash)])

    def is_equal(self: Any, other: Any) -> bool:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def hash_of(self: Any) -> int:
        return hash(hashed(self))

    return is_equal, hash_of


def _default_of(each: Field, known: dict[str, Any]) -> tuple[str, str]:
    """Give how a field's default stands among the parameters and what is set then; note what it needs in `known`."""
    if each.default is not dataclasses.MISSING:
        known[f"_default_{each.name}"] = each.default
        return f"=_default_{each.name}", each.name if each.init else f"_default_{each.name}"
    if each.default_factory is not dataclasses.MISSING:
        known[f"_make_{each.name}"] = each.default_factory
        made = f"_make_{each.name}()"
        return "=_ABSENT", f"{made} if {each.name} is _ABSENT else {each.name}" if each.init else made
    return "", each.name


def _constructor(cls: type[Any], fields: tuple[Field, ...]) -> Any:
    known: dict[str, Any] = {"_set": _set, "_ABSENT": _ABSENT, "__name__": cls.__module__}
    by_place, by_name = ["self"], ["*"]
    body = ["pass"]
    for each in fields:
        default, value = _default_of(each, known)
        if each.init:
            (by_name if each.kw_only else by_place).append(each.name + default)
        if each.init or default:
            body.append(f"_set(self, {each.name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    taken = ", ".join([*by_place, *(by_name if len(by_name) > 1 else [])])
    # No text of a request is in it: names of fields, as they stand in the source.
    exec(f"def __init__({taken}):\n " + "\n ".join(body), known)  # noqa: S102
    made = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__annotations__ = {each.name: each.type for each in fields if each.init} | {"return": None}
    return made


def _record(cls: type[Any], *, eq: bool, kw_only: bool) -> type[Any]:
    # They would ask for the signature of a class without a text.
    own = set(cls.__dict__)
    cls.__doc__ = cls.__doc__ or cls.__name__
    made: Any = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True, kw_only=kw_only)(cls)
    fields = dataclasses.fields(made)
    given: dict[str, Any] = {"__init__": _constructor(made, fields), "__repr__": _described(fields)}
    if eq:
        given["__eq__"], given["__hash__"] = _compared(fields)
    given |= {"__setattr__": _refuse_change, "__delattr__": _refuse_removal}
    given |= {"__getstate__": _state_of, "__setstate__": _restore}
    for name, value in given.items():
        if name not in own:
            setattr(made, name, value)
    return made  # type: ignore[no-any-return]


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - passed on: what a checker sees is theirs
else:

    def dataclass(*, frozen: bool = False, slots: bool = False, eq: bool = True, kw_only: bool = False) -> Any:
        """Make a class a dataclass: the frozen ones with slots as this module does, others as `dataclasses` does."""
        if frozen and slots:
            return lambda cls: _record(cls, eq=eq, kw_only=kw_only)
        return dataclasses.dataclass(frozen=frozen, slots=slots, eq=eq, kw_only=kw_only)
