"""The data all applications get, the same on every machine: 100 users with 10,000 notes, or 1,000 with 100,000."""

from __future__ import annotations

import datetime
import functools
import random
from collections.abc import Iterator
from dataclasses import dataclass

PASSWORD = "correct-horse-battery-9"
USERS = 100
MANY_USERS = 1_000
NOTES_EACH = 100
DIFFERENT = 5_003
"""So many texts there are; a prime number, so that a user's own are not alike."""
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


def people(many: int = USERS) -> list[Person]:
    """Give the users."""
    return [Person(number, f"user{number}@example.com", f"User Number {number}") for number in range(1, many + 1)]


def notes(users: int = USERS) -> Iterator[Written]:
    """Give the notes: 100 a user, a title of 30 and a body of 200 characters, three in ten of them done.

    >>> first = next(notes())
    >>> (first.id, first.owner, len(first.title), len(first.body))
    (1, 1, 30, 200)
    """
    chance = random.Random(1)
    start = datetime.datetime(2026, 1, 1)
    texts = _texts()
    for number in range(1, users * NOTES_EACH + 1):
        title, body = texts[number % len(texts)]
        yield Written(
            id=number,
            owner=(number - 1) % users + 1,
            title=title,
            body=body,
            done=chance.random() < 0.3,
            created_at=start + datetime.timedelta(seconds=chance.randrange(300 * 86_400)),
        )


@functools.cache
def _texts() -> list[tuple[str, str]]:
    chance = random.Random(2)
    return [(_prose(chance, 30), _prose(chance, 200)) for _ in range(DIFFERENT)]


def owned(owner: int, users: int = USERS) -> range:
    """Give the ids of a user's notes.

    >>> list(owned(3))[:2]
    [3, 103]
    """
    return range(owner, users * NOTES_EACH + 1, users)


def _prose(chance: random.Random, length: int) -> str:
    text = ""
    while len(text) < length:
        text += "".join(chance.choices(SYLLABLES, k=chance.randint(1, 4))) + " "
    return text[:length].rstrip().ljust(length, "x")
