"""The application that every builder method of the clients is tried on: films and their directors, open to everybody.

A server loads it by its factory, `tests.clients.methods_app:create_app`; the database comes from METHODS_URL. Tables
are made and filled anew by `POST /refill`. PostgreSQL has a range and a text-search column; SQLite keeps them as text.
"""

from __future__ import annotations

import os
import secrets
from typing import Any

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.dialects.postgresql import INT4RANGE, TSVECTOR

from portero import JWTManager, allow_all, expose_table, rpc
from portero.web.runtime import runtime

DIRECTORS = [{"id": 1, "name": "Mann"}, {"id": 2, "name": "Hill"}]
FILMS: list[dict[str, Any]] = [
    {
        "id": 1,
        "title": "Heat",
        "year": 1995,
        "rating": 8.5,
        "seen": True,
        "info": {"studio": "Regency"},
        "tags": ["crime", "heist"],
        "span": "[1,5)",
        "words": "'heat':1",
        "director_id": 1,
    },
    {
        "id": 2,
        "title": "Thief",
        "year": 1981,
        "rating": 7.5,
        "seen": False,
        "info": {"studio": "UA"},
        "tags": ["crime"],
        "span": "[5,10)",
        "words": "'thief':1",
        "director_id": 1,
    },
    {
        "id": 3,
        "title": "The Driver",
        "year": 1978,
        "rating": None,
        "seen": None,
        "info": None,
        "tags": [],
        "span": "[20,30)",
        "words": "'driver':2",
        "director_id": 2,
    },
]


@rpc(read_only=True, allow=("anon", "authenticated"))
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def create_app() -> Flask:
    """Build the application."""
    metadata = sa.MetaData()
    directors = sa.Table(
        "directors", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text)
    )
    films = sa.Table(
        "films",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("year", sa.Integer),
        sa.Column("rating", sa.Float),
        sa.Column("seen", sa.Boolean),
        sa.Column("info", sa.JSON(none_as_null=True)),
        sa.Column("tags", sa.ARRAY(sa.Text).with_variant(sa.JSON(), "sqlite")),
        sa.Column("span", sa.Text().with_variant(INT4RANGE(), "postgresql")),
        sa.Column("words", sa.Text().with_variant(TSVECTOR(), "postgresql")),
        sa.Column("director_id", sa.ForeignKey("directors.id")),
    )
    for table, search in ((directors, []), (films, ["words"])):
        expose_table(table, select=allow_all, insert=allow_all, update=allow_all, delete=allow_all, search=search)

    app = Flask(__name__)
    app.config["JWT_SECRET_KEY"] = secrets.token_urlsafe(48)
    app.config["PORTERO_DATABASE_URL"] = os.environ["METHODS_URL"]
    app.config["PORTERO_DEV"] = True
    app.config["PORTERO_MAX_NEW_SHAPES"] = 0  # every method at once, from one address
    app.config["PORTERO_TRANSACTION_END"] = "commit-allow-override"
    JWTManager(app, models=metadata, functions=add)

    @app.post("/refill")
    def refill() -> tuple[str, int]:
        with runtime().database.writing() as connection:
            for table in (films, directors):
                connection.execute(sa.delete(table))
            connection.execute(sa.insert(directors), DIRECTORS)
            connection.execute(sa.insert(films), FILMS)
        return "", 204

    return app
