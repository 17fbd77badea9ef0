"""The data both applications get: 100 users, 10,000 notes, the same on every machine."""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterator
from dataclasses import dataclass

PASSWORD = "correct-horse-battery-9"
USERS = 100
NOTES = 10_000
SYLLABLES = [consonant + vowel for consonant in "bdgklmnrst" for vowel in "aeiou"]


@dataclass(frozen=True, slots=True)
class Person:
    """A user; `number` counts from 1."""

    number: int
    email: str
    name: str


@dataclass(frozen=True, slots=True)
class Written:
    """A note; `owner` is the number of a user."""

    id: int
    owner: int
    title: str
    body: str
    done: bool
    created_at: datetime.datetime


def people() -> list[Person]:
    """Give the users."""
    return [Person(number, f"user{number}@example.com", f"User Number {number}") for number in range(1, USERS + 1)]


def notes() -> Iterator[Written]:
    """Give the notes: 100 a user, a title of 30 and a body of 200 characters, three in ten of them done.

    >>> first = next(notes())
    >>> (first.id, first.owner, len(first.title), len(first.body))
    (1, 1, 30, 200)
    """
    chance = random.Random(1)
    start = datetime.datetime(2026, 1, 1)
    for number in range(1, NOTES + 1):
        yield Written(
            id=number,
            owner=(number - 1) % USERS + 1,
            title=_prose(chance, 30),
            body=_prose(chance, 200),
            done=chance.random() < 0.3,
            created_at=start + datetime.timedelta(seconds=chance.randrange(300 * 86_400)),
        )


def owned(owner: int) -> range:
    """Give the ids of a user's notes.

    >>> list(owned(3))[:2]
    [3, 103]
    """
    return range(owner, NOTES + 1, USERS)


def _prose(chance: random.Random, length: int) -> str:
    text = ""
    while len(text) < length:
        text += "".join(chance.choices(SYLLABLES, k=chance.randint(1, 4))) + " "
    return text[:length].rstrip().ljust(length, "x")
