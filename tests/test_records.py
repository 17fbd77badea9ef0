"""A record does what a frozen dataclass with slots does; each class is made both ways and compared."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError, field
from typing import Any

import pytest

from portero import records

Decorator = Callable[..., Any]


def plain(decorator: Decorator) -> Any:
    @decorator(frozen=True, slots=True)
    class Point:
        """Where something is."""

        x: int
        y: int = 2
        secret: str = field(default="s3cret", repr=False)
        seen: list[int] = field(default_factory=list, compare=False)
        mark: int = field(default=7, init=False)

    return Point


def by_name(decorator: Decorator) -> Any:
    @decorator(frozen=True, slots=True, kw_only=True)
    class Named:
        """Given by name."""

        first: str = "a"
        second: Mapping[str, int]

    return Named


def with_own_hash(decorator: Decorator) -> Any:
    @decorator(frozen=True, slots=True)
    class Kept:
        """Knows its hash."""

        value: float
        kept: int = field(default=0, init=False, repr=False, compare=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "kept", 41)

        def __hash__(self) -> int:
            return self.kept

    return Kept


def by_identity(decorator: Decorator) -> Any:
    @decorator(frozen=True, slots=True, eq=False)
    class Held:
        """Equal to itself alone."""

        value: int

    return Held


def empty(decorator: Decorator) -> Any:
    @decorator(frozen=True, slots=True)
    class Nothing:
        """Holds nothing."""

    return Nothing


def without_slots(decorator: Decorator) -> Any:
    @decorator(frozen=True, kw_only=True)
    class Row:
        """Has a dictionary."""

        key: str = field(default_factory=str)
        values: Mapping[str, int] = field(default_factory=dict)
        size: int
        kind: str = "row"

    return Row


MADE: list[tuple[Callable[[Decorator], Any], tuple[Any, ...], dict[str, Any]]] = [
    (plain, (1,), {}),
    (plain, (1, 3), {"secret": "other", "seen": [1]}),
    (by_name, (), {"second": {"a": 1}}),
    (with_own_hash, (float("nan"),), {}),
    (empty, (), {}),
    (without_slots, (), {"size": 2, "values": {"a": 1}}),
]
CLASSES = [plain, by_name, with_own_hash, by_identity, empty, without_slots]


@records.dataclass(frozen=True, slots=True)
class Kept:
    """Can be found by its name, as pickle needs it."""

    number: int
    text: str = "a"


def both(make: Callable[[Decorator], Any]) -> tuple[Any, Any]:
    return make(dataclasses.dataclass), make(records.dataclass)


@pytest.mark.parametrize("make", CLASSES)
def test_its_constructor_and_its_fields_are_the_same(make: Callable[[Decorator], Any]) -> None:
    theirs, ours = both(make)
    assert str(inspect.signature(theirs)) == str(inspect.signature(ours))
    assert theirs.__match_args__ == ours.__match_args__
    assert getattr(theirs, "__slots__", None) == getattr(ours, "__slots__", None)
    assert theirs.__init__.__annotations__ == ours.__init__.__annotations__
    assert [each.name for each in dataclasses.fields(theirs)] == [each.name for each in dataclasses.fields(ours)]


@pytest.mark.parametrize(("make", "arguments", "options"), MADE)
def test_its_values_its_text_and_its_hash_are_the_same(
    make: Callable[[Decorator], Any], arguments: tuple[Any, ...], options: dict[str, Any]
) -> None:
    theirs, ours = (made(*arguments, **options) for made in both(make))
    assert (repr(theirs), str(dataclasses.asdict(theirs))) == (repr(ours), str(dataclasses.asdict(ours)))
    assert refusal(lambda: hash(theirs)) == refusal(lambda: hash(ours))
    assert (theirs == copy.copy(theirs)) is (ours == copy.copy(ours)) is True
    assert ours != theirs


def refusal(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except (TypeError, AttributeError) as error:
        return type(error), str(error).replace("_set", "")


@pytest.mark.parametrize("taken", [((), {}), ((1, 2, 3, 4, 5), {}), ((1,), {"mark": 1}), ((1,), {"z": 1})])
def test_a_wrong_call_is_refused_with_the_same_sentence(taken: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
    theirs, ours = (refusal(lambda made=made: made(*taken[0], **taken[1])) for made in both(plain))
    assert theirs[0] is TypeError
    assert theirs == ours


def test_records_of_equal_values_are_equal_and_what_is_not_compared_does_not_count() -> None:
    made = plain(records.dataclass)
    assert made(1, seen=[1]) == made(1, seen=[2])
    assert made(1) != made(2)
    assert made(1) != (1, 2)
    assert 1 == len({Kept(1), Kept(1)})


def test_a_record_without_equality_is_equal_to_itself_alone() -> None:
    made = by_identity(records.dataclass)
    one = made(1)
    assert one == one
    assert made(1) != one
    assert 2 == len({made(1), one})


@pytest.mark.parametrize("name", ["x", "mark", "unknown"])
def test_nothing_of_a_record_can_be_changed_or_removed(name: str) -> None:
    theirs, ours = (made(1) for made in both(plain))
    with pytest.raises(FrozenInstanceError, match=f"cannot assign to field '{name}'"):
        setattr(ours, name, 1)
    with pytest.raises(FrozenInstanceError, match=f"cannot delete field '{name}'"):
        delattr(ours, name)
    assert repr(theirs) == repr(ours)


def test_a_record_can_be_replaced_copied_and_pickled() -> None:
    assert Kept(2) == dataclasses.replace(Kept(1), number=2)
    assert Kept(1, "b") == copy.deepcopy(Kept(1, "b")) == pickle.loads(pickle.dumps(Kept(1, "b")))


def test_each_record_has_a_list_of_its_own_from_a_factory() -> None:
    made = plain(records.dataclass)
    assert made(1).seen is not made(1).seen


def test_a_record_that_holds_itself_can_be_shown() -> None:
    made = plain(records.dataclass)
    one = made(1)
    one.seen.append(one)
    assert "Point(x=1, y=2, seen=[...], mark=7)" in repr(one)


def test_a_field_without_a_default_after_one_with_a_default_is_refused() -> None:
    with pytest.raises(TypeError, match="follows one with a default"):

        @records.dataclass(frozen=True, slots=True)
        class Wrong:
            first: int = 1
            second: int  # type: ignore[misc]  # as dataclasses would refuse it


def test_what_is_not_frozen_is_an_ordinary_dataclass() -> None:
    @records.dataclass(slots=True)
    class Open:
        value: int

    one = Open(1)
    one.value = 2
    assert "Open(value=2)" in repr(one)
