"""Dataclasses that cost a start little: `from portero.records import dataclass`, and everything else as ever.

For each frozen class `dataclasses` writes and compiles six functions, a millisecond in all; there are a hundred and
sixty such classes here, a fifth of the time to start. Of these only the constructor differs from class to class, and
only by names where fields get their values alike: so three dozen are compiled, and the others are made of them. What
else they write stands once, below. `dataclasses.fields`, `replace` and `asdict` know such a class. It serves what is
used here and never more: fields, defaults, `field`, `__post_init__`, with slots or without; no `InitVar`, no order, no
inheritance.
"""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Final

_set: Final = object.__setattr__
_ABSENT: Final = type("Absent", (), {"__repr__": lambda self: "<factory>"})()  # as theirs shows itself in a signature
#: What a constructor asks for by name.
_KNOWN: Final[dict[str, Any]] = {"_set": _set, "_ABSENT": _ABSENT}
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


@reprlib.recursive_repr()
def _describe(self: Any) -> str:
    values = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in dataclasses.fields(self) if each.repr)
    return f"{type(self).__qualname__}({values})"


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


def _constructor(cls: type[Any], fields: tuple[Field, ...]) -> Any:
    """Make the constructor of a class: the code of all whose fields get their values alike, with its names in it."""
    code = _code_of(tuple(map(_way_of, fields)), hasattr(cls, "__post_init__"))
    names: dict[Any, str] = {f"f{place}": each.name for place, each in enumerate(fields)}
    code = code.replace(
        co_varnames=tuple([names.get(name, name) for name in code.co_varnames]),
        co_consts=tuple([names.get(value, value) if isinstance(value, str) else value for value in code.co_consts]),
    )
    taken = [each for each in fields if each.init]
    known = {f"_make_f{place}": each.default_factory for place, each in enumerate(fields) if _is_made(each)}
    known |= {f"_default_f{place}": each.default for place, each in enumerate(fields) if not each.init}
    made = FunctionType(code, _KNOWN | known if known else _KNOWN, "__init__", _defaults_by_place(cls, taken))
    optional = [each for each in taken if each.kw_only and _is_optional(each)]
    made.__kwdefaults__ = {each.name: _default_of(each) for each in optional} or None
    made.__qualname__, made.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    made.__annotations__ = {each.name: each.type for each in taken} | {"return": None}
    return made


def _way_of(each: Field) -> tuple[bool, bool, bool, bool]:
    """Give all that the code of a constructor depends on but the name of a field."""
    return each.init, bool(each.kw_only), _is_made(each), not each.init and _is_optional(each)


def _is_made(each: Field) -> bool:
    return each.default_factory is not dataclasses.MISSING


def _is_optional(each: Field) -> bool:
    return each.default is not dataclasses.MISSING or _is_made(each)


def _default_of(each: Field) -> Any:
    return _ABSENT if _is_made(each) else each.default


def _defaults_by_place(cls: type[Any], taken: list[Field]) -> tuple[Any, ...]:
    by_place = [each for each in taken if not each.kw_only]
    defaults = [_default_of(each) for each in by_place if _is_optional(each)]
    if not all(map(_is_optional, by_place[len(by_place) - len(defaults) :])):
        raise TypeError(f"{cls.__qualname__}: a field without a default follows one with a default")
    return tuple(defaults)


@lru_cache(128)
def _code_of(ways: tuple[tuple[bool, bool, bool, bool], ...], has_more: bool) -> CodeType:
    """Compile a constructor whose fields are called f0, f1, …; for all classes together three dozen are enough."""
    by_place, by_name, body = ["self"], ["*"], ["pass"]
    for place, (is_taken, is_by_name, is_made, is_fixed) in enumerate(ways):
        name = f"f{place}"
        if is_taken:
            (by_name if is_by_name else by_place).append(name)
            value = f"_make_{name}() if {name} is _ABSENT else {name}" if is_made else name
        else:
            value = f"_make_{name}()" if is_made else f"_default_{name}"
        if is_taken or is_fixed:
            body.append(f"_set(self, {name!r}, {value})")
    if has_more:
        body.append("self.__post_init__()")
    taken = ", ".join([*by_place, *(by_name if len(by_name) > 1 else [])])
    made: dict[str, Any] = {}
    exec(f"def __init__({taken}):\n " + "\n ".join(body), made)  # noqa: S102 - no text of anybody's is in it
    code: CodeType = made["__init__"].__code__
    return code


def _record(cls: type[Any], *, slots: bool, eq: bool, kw_only: bool) -> type[Any]:
    # They would ask for the signature of a class without a text.
    own = set(cls.__dict__)
    cls.__doc__ = cls.__doc__ or cls.__name__
    made: Any = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)(cls)
    fields = dataclasses.fields(made)
    given: dict[str, Any] = {"__init__": _constructor(made, fields), "__repr__": _describe}
    if eq:
        given["__eq__"], given["__hash__"] = _compared(fields)
    given |= {"__setattr__": _refuse_change, "__delattr__": _refuse_removal}
    if slots:
        given |= {"__getstate__": _state_of, "__setstate__": _restore}
    for name, value in given.items():
        if name not in own:
            setattr(made, name, value)
    return made  # type: ignore[no-any-return]


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - passed on: what a checker sees is theirs
else:

    def dataclass(*, frozen: bool = False, slots: bool = False, eq: bool = True, kw_only: bool = False) -> Any:
        """Make a class a dataclass: the frozen ones as this module does, others as `dataclasses` does."""
        if frozen:
            return lambda cls: _record(cls, slots=slots, eq=eq, kw_only=kw_only)
        return dataclasses.dataclass(frozen=frozen, slots=slots, eq=eq, kw_only=kw_only)
