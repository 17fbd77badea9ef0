"""One process of the soak's load: users who come and go, and what must be true of every answer.

Every step takes one user for itself, so it knows what each of that user's sessions is worth; what happens at one time
to one session happens on purpose (tabs that refresh together, a sign-out in the middle of a refresh). All other users
go on meanwhile. What an answer says that cannot be is a *fault*; so is any 5xx, and no answer.

`python -m benchmarks.soak_load` reads what to do from stdin, as JSON, and writes what it saw to stdout, as JSON.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.soak_http import Answer, Connections, NoAnswer

#: Seconds by which this process and the server may read their clock apart.
SLACK = 0.5
TABS = (2, 5)
_PATIENCE = 120.0
KEPT_FAULTS = 40
#: How often which step is taken, of all of them.
WEIGHTS = {
    "sign_in": 14,
    "wrong_password": 1,
    "refresh": 32,
    "tabs": 6,
    "lost_answer": 4,
    "look": 26,
    "list": 6,
    "sign_out": 5,
    "sign_out_elsewhere": 1,
    "sign_out_everywhere": 1,
    "sign_out_while_refreshing": 2,
    "old_token": 2,
}
USED = "refresh_token_already_used"


@dataclass(slots=True)
class Session:
    """What is known of a session: whose, the tokens that led here, when it was opened and refreshed.

    Of each instant the earliest and the latest that it can be: when it was asked for, and when the answer was there.
    """

    id: str
    user: str
    access: str
    tokens: list[str]
    opened: tuple[float, float]
    touched: tuple[float, float]
    reuses: int = 0
    is_over: bool = False

    @property
    def counter(self) -> int:
        """How often it was refreshed."""
        return len(self.tokens) - 1


@dataclass(slots=True)
class Person:
    """A user, the address they come from, and their sessions."""

    id: str
    email: str
    password: str
    address: str
    sessions: list[Session] = field(default_factory=list)
    is_busy: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """What a process is to do: whom it plays, for how long, until how many refreshes, how many requests at one time,
    and the server's limits of time."""

    port: int
    people: list[tuple[str, str, str]]
    seconds: float
    refreshes: int
    clients: int
    seed: int
    time_box: float
    idle: float


class Fault(Exception):
    """An answer that cannot be."""


class Players:
    """Plays the users of one process."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._chance = random.Random(task.seed)
        self._web = Connections(task.port, random.Random(task.seed + 1))
        self._people = [
            Person(*each, address=f"10.{task.seed % 250}.{number // 250}.{number % 250 + 1}")
            for number, each in enumerate(task.people)
        ]
        self._present: list[Person] = []
        self._successors: dict[tuple[str, int], str] = {}
        self._sessions: dict[str, Session] = {}
        self._statuses: Counter[str] = Counter()
        self._milliseconds: defaultdict[str, list[float]] = defaultdict(list)
        self._faults: list[str] = []
        self._fault_count = 0
        self._steps: dict[str, Callable[[Person], Awaitable[None]]] = {name: getattr(self, name) for name in WEIGHTS}

    async def play(self) -> dict[str, Any]:
        """Play until the time is over; give what was seen."""
        await asyncio.gather(*(self._client(time.monotonic()) for _ in range(self._task.clients)))
        self._web.close()
        return {
            "statuses": dict(self._statuses),
            "milliseconds": {name: sorted(each) for name, each in self._milliseconds.items()},
            "faults": self._faults,
            "fault_count": self._fault_count,
            "generations": len(self._successors),
            "reuses": sum(each.reuses for each in self._sessions.values()),
            "sessions": [
                {
                    "id": each.id,
                    "user": each.user,
                    "counter": each.counter,
                    "opened_at": each.opened[0],
                    "touched_at": each.touched[0],
                    "reuses": each.reuses,
                    "is_over": each.is_over,
                }
                for each in self._sessions.values()
            ],
        }

    def _goes_on(self, started_at: float) -> bool:
        """Say whether the time is not over, or too few refreshes were granted in it, as on a machine that is busy."""
        seconds = time.monotonic() - started_at
        return seconds < self._task.seconds or (
            len(self._successors) < self._task.refreshes and seconds < self._task.seconds + _PATIENCE
        )

    async def _client(self, started_at: float) -> None:
        names, weights = list(WEIGHTS), list(WEIGHTS.values())
        while self._goes_on(started_at):
            (name,) = self._chance.choices(names, weights)
            person = await self._somebody(name)
            person.is_busy = True
            try:
                await self._steps[name](person)
            except (Fault, NoAnswer) as fault:
                self._fault_count += 1
                if len(self._faults) < KEPT_FAULTS:
                    self._faults.append(f"{name}, user {person.id}: {fault}")
            finally:
                person.is_busy = False

    async def _somebody(self, step: str) -> Person:
        """Choose who is not busy; who is to do more than sign in should be there."""
        while True:
            is_there = self._present and step not in ("sign_in", "wrong_password")
            people = self._present if is_there and self._chance.random() < 0.98 else self._people
            place = self._chance.randrange(len(people))
            person = people[place]
            if is_there and people is self._present and not person.sessions and not person.is_busy:
                people[place] = people[-1]
                people.pop()
            elif not person.is_busy:
                return person
            await asyncio.sleep(0)

    # -- asking

    async def _ask(
        self, step: str, method: str, path: str, person: Person, access: str = "", body: Any = None
    ) -> Answer:
        headers = {"X-Forwarded-For": person.address}
        if access:
            headers["Authorization"] = f"Bearer {access}"
        started = time.perf_counter()
        answer = await self._web.ask(method, path, headers, body)
        self._milliseconds[step].append(round((time.perf_counter() - started) * 1000, 1))
        self._statuses[f"{step} {answer.status}"] += 1
        if answer.status >= 500:
            raise Fault(f"{method} {path} answered {answer.status} {answer.body}")
        return answer

    async def _refreshed(self, person: Person, token: str) -> Answer:
        return await self._ask(
            "refresh", "POST", "/auth/v1/token?grant_type=refresh_token", person, body={"refresh_token": token}
        )

    def _may_be_over(self, session: Session) -> bool:
        """Say whether time may have ended a session by now."""
        now = time.time() + SLACK
        return now - session.opened[0] > self._task.time_box or now - session.touched[0] > self._task.idle

    def _was_over(self, session: Session, asked_at: float) -> bool:
        """Say whether time had ended a session for certain when something was asked."""
        now = asked_at - SLACK
        return now - session.opened[1] > self._task.time_box or now - session.touched[1] > self._task.idle

    # -- judging

    def judge(self, person: Person, session: Session, spent: int, answer: Answer, asked_at: float) -> bool:
        """Judge the answer to a refresh with the token of a number; give whether it was granted.

        Raises:
            Fault: it cannot be.
        """
        if answer.status != 200:
            if answer.status == 400 and self._may_be_over(session):
                _end(session)
                return False
            raise Fault(f"a refresh answered {answer.status} {answer.body} (session {session.id}, number {spent})")
        if self._was_over(session, asked_at):
            raise Fault(f"session {session.id} was refreshed after its time")
        sid, counter = self._check_tokens(person, answer.body)
        if (sid, counter) != (session.id, spent + 1):
            raise Fault(f"session {session.id}, number {spent}: the successor is {sid}, number {counter}")
        token = answer.body["refresh_token"]
        if self._successors.setdefault((sid, spent), token) != token:
            raise Fault(f"session {sid} forked at number {spent}")
        if counter > session.counter:
            session.tokens.append(token)
        session.access, session.touched = answer.body["access_token"], (asked_at, time.time())
        return True

    def _check_tokens(self, person: Person, body: Any) -> tuple[str, int]:
        """Check whose tokens these are; give the session and its number."""
        claims = json.loads(_decoded(body["access_token"].split(".")[1]))
        sid, counter = _read_refresh_token(body["refresh_token"])
        who = {body["user"]["id"], claims["sub"]}
        if who != {person.id} or body["user"]["email"] != person.email or claims["session_id"] != sid:
            raise Fault(f"tokens of somebody else: {who}, {claims['session_id']}, {sid}")
        return sid, counter

    async def _check_over(self, person: Person, session: Session) -> None:
        """The session has ended: neither of its tokens is good for anything, whichever worker is asked."""
        _end(session)
        answer = await self._ask("look", "GET", "/auth/v1/user", person, session.access)
        codes = {"session_not_found"} | ({"bad_jwt"} if self._may_be_over(session) else set())
        if answer.status != 403 or answer.body["error_code"] not in codes:
            raise Fault(f"session {session.id} has ended, and {answer.status} {answer.body}")
        answer = await self._refreshed(person, session.tokens[-1])
        if answer.status != 400:
            raise Fault(f"session {session.id} has ended, and a refresh answered {answer.status} {answer.body}")

    # -- what a user does

    async def sign_in(self, person: Person) -> None:
        """Sign in: a new session, of this user."""
        form, asked_at = {"email": person.email, "password": person.password}, time.time()
        answer = await self._ask("sign_in", "POST", "/auth/v1/token?grant_type=password", person, body=form)
        if answer.status != 200:
            raise Fault(f"the right password answered {answer.status} {answer.body}")
        sid, counter = self._check_tokens(person, answer.body)
        if sid in self._sessions or counter != 0:
            raise Fault(f"not a new session: {sid}, number {counter}")
        when = (asked_at, time.time())
        session = Session(sid, person.id, answer.body["access_token"], [answer.body["refresh_token"]], when, when)
        self._sessions[sid] = session
        person.sessions.append(session)
        self._present.append(person)

    async def wrong_password(self, person: Person) -> None:
        """Mistype the password."""
        form = {"email": person.email, "password": person.password + "x"}
        answer = await self._ask("wrong_password", "POST", "/auth/v1/token?grant_type=password", person, body=form)
        if (answer.status, (answer.body or {}).get("error_code")) != (400, "invalid_credentials"):
            raise Fault(f"a wrong password answered {answer.status} {answer.body}")

    async def refresh(self, person: Person) -> None:
        """Refresh one session."""
        session = self._one(person)
        if session is not None:
            asked_at = time.time()
            self.judge(person, session, session.counter, await self._refreshed(person, session.tokens[-1]), asked_at)

    async def tabs(self, person: Person) -> None:
        """Refresh in several tabs at one moment: one successor for all of them."""
        session = self._one(person)
        if session is None:
            return
        spent, asked_at = session.counter, time.time()
        asked = (self._refreshed(person, session.tokens[-1]) for _ in range(self._chance.randint(*TABS)))
        granted = {self.judge(person, session, spent, answer, asked_at) for answer in await asyncio.gather(*asked)}
        if len(granted) == 2 and not self._may_be_over(session):
            raise Fault(f"session {session.id}, number {spent}: some tabs were refused, some not")

    async def lost_answer(self, person: Person) -> None:
        """Refresh, lose the answer, and ask again with the same token."""
        session = self._one(person)
        if session is None:
            return
        spent, token = session.counter, session.tokens[-1]
        for _ in range(2):
            asked_at = time.time()
            if not self.judge(person, session, spent, await self._refreshed(person, token), asked_at):
                return

    async def look(self, person: Person) -> None:
        """Look at one's own record, by both APIs."""
        session = self._one(person)
        if session is None:
            return
        answer = await self._ask("look", "GET", "/auth/v1/user", person, session.access)
        if answer.status == 403 and self._may_be_over(session):
            _end(session)
            return
        if answer.status != 200 or answer.body["id"] != person.id:
            raise Fault(f"asked who I am: {answer.status} {answer.body}")
        answer = await self._ask("rows", "GET", "/rest/v1/users?select=id,email", person, session.access)
        if answer.status == 401 and self._may_be_over(session):
            _end(session)
        elif answer.status != 200 or answer.body != [{"id": person.id, "email": person.email}]:
            raise Fault(f"asked for my row: {answer.status} {answer.body}")

    async def list(self, person: Person) -> None:
        """List one's sessions: all of one's own, nobody else's."""
        session = self._one(person)
        if session is None:
            return
        answer = await self._ask("list", "GET", "/auth/v1/user/sessions", person, session.access)
        if answer.status == 403 and self._may_be_over(session):
            _end(session)
            return
        found = {each["id"] for each in answer.body} if answer.status == 200 else None
        all_mine = {each.id for each in person.sessions}
        surely = {each.id for each in person.sessions if not self._may_be_over(each)}
        if found is None or not surely <= found <= all_mine:
            raise Fault(f"asked for my sessions: {answer.status} {answer.body}; they are {sorted(all_mine)}")

    async def sign_out(self, person: Person) -> None:
        """Sign out here."""
        await self._sign_out(person, "local", lambda session, each: each is session)

    async def sign_out_elsewhere(self, person: Person) -> None:
        """Sign out everywhere but here."""
        await self._sign_out(person, "others", lambda session, each: each is not session)

    async def sign_out_everywhere(self, person: Person) -> None:
        """Sign out everywhere."""
        await self._sign_out(person, "global", lambda session, each: True)

    async def _sign_out(self, person: Person, scope: str, ends: Callable[[Session, Session], bool]) -> None:
        session = self._one(person)
        if session is None:
            return
        answer = await self._ask("sign_out", "POST", f"/auth/v1/logout?scope={scope}", person, session.access)
        if answer.status == 403 and self._may_be_over(session):
            _end(session)
            return
        if answer.status != 204:
            raise Fault(f"signed out ({scope}): {answer.status} {answer.body}")
        for each in [each for each in person.sessions if ends(session, each)]:
            await self._check_over(person, each)
        person.sessions = [each for each in person.sessions if not each.is_over]

    async def sign_out_while_refreshing(self, person: Person) -> None:
        """Refresh and sign out at one moment: whichever comes first, afterwards nothing is left."""
        session = self._one(person)
        if session is None:
            return
        spent, asked_at = session.counter, time.time()
        refreshed, left = await asyncio.gather(
            self._refreshed(person, session.tokens[-1]),
            self._ask("sign_out", "POST", "/auth/v1/logout?scope=local", person, session.access),
        )
        if left.status != 204 and not (left.status == 403 and self._may_be_over(session)):
            raise Fault(f"signed out while refreshing: {left.status} {left.body}")
        if refreshed.status == 200:
            self.judge(person, session, spent, refreshed, asked_at)
        elif refreshed.status != 400:
            raise Fault(f"refreshed while signing out: {refreshed.status} {refreshed.body}")
        await self._check_over(person, session)
        person.sessions.remove(session)

    async def old_token(self, person: Person) -> None:
        """Show a token older than the parent, as a thief would: the session ends."""
        session = self._one(person)
        if session is None or session.counter < 2:
            return
        answer = await self._refreshed(person, session.tokens[self._chance.randrange(session.counter - 1)])
        code = (answer.body or {}).get("error_code")
        if answer.status != 400 or (code != USED and not self._may_be_over(session)):
            raise Fault(f"an old token answered {answer.status} {answer.body}")
        session.reuses += code == USED
        await self._check_over(person, session)
        person.sessions.remove(session)

    def _one(self, person: Person) -> Session | None:
        """Choose one of a user's sessions; forget those that time has ended."""
        person.sessions = [each for each in person.sessions if not each.is_over]
        return self._chance.choice(person.sessions) if person.sessions else None


def _end(session: Session) -> None:
    session.is_over = True


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _read_refresh_token(token: str) -> tuple[str, int]:
    """Take a refresh token apart as anybody can: the session's id and its number of refreshes."""
    data = _decoded(token)
    text = data[1:17].hex()
    counter = 0
    for place, byte in enumerate(data[17:]):
        counter |= (byte & 0x7F) << (7 * place)
        if not byte & 0x80:
            break
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}", counter


def main() -> None:
    """Read the task, play, write what was seen."""
    task = Task(**json.load(sys.stdin))
    json.dump(asyncio.run(Players(task).play()), sys.stdout)


if __name__ == "__main__":
    main()
