"""The peers' side: one SQLite file with users and notes, the hash each of them keeps a password as, and their tokens.

All three keep the same two tables, so that they differ in nothing but themselves.
"""

from __future__ import annotations

import datetime
import hashlib
import pathlib
import sqlite3
import time
from contextlib import closing

import argon2
import jwt
from flask import Flask
from flask_jwt_extended import JWTManager, create_access_token
from werkzeug.security import generate_password_hash

from benchmarks.data import PASSWORD, notes, people

TOKEN_SECONDS = 12 * 3600
_TABLES = """
    CREATE TABLE users (
        id INTEGER NOT NULL PRIMARY KEY, email VARCHAR NOT NULL UNIQUE, name VARCHAR NOT NULL,
        password VARCHAR NOT NULL, is_active BOOLEAN NOT NULL DEFAULT 1
    );
    CREATE TABLE notes (
        id INTEGER NOT NULL PRIMARY KEY, owner INTEGER NOT NULL REFERENCES users (id), title VARCHAR NOT NULL,
        body VARCHAR NOT NULL, done BOOLEAN NOT NULL, created_at DATETIME NOT NULL
    );
    CREATE INDEX notes_owner_created_at ON notes (owner, created_at);
"""


def stored_password(peer: str) -> str:
    """Hash the password of all users as the peer's framework does by default."""
    if peer == "flask":
        return generate_password_hash(PASSWORD)
    if peer == "fastapi":
        return argon2.PasswordHasher().hash(PASSWORD)
    salt = "5f3c0e2a9b7d4c11"
    derived = hashlib.scrypt(PASSWORD.encode(), salt=salt.encode(), n=16_384, r=8, p=1, dklen=64)
    return f"{salt}${derived.hex()}"


def fill(path: pathlib.Path, password: str, users: int) -> None:
    """Make and fill the file, in SQLite's default journal mode."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(_TABLES)
        everybody = [(person.number, person.email, person.name, password) for person in people(users)]
        connection.executemany("INSERT INTO users (id, email, name, password) VALUES (?, ?, ?, ?)", everybody)
        rows = (
            (note.id, note.owner, note.title, note.body, note.done, note.created_at.isoformat(" ", "microseconds"))
            for note in notes(users)
        )
        connection.executemany("INSERT INTO notes VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.execute("ANALYZE")
        connection.commit()


def tokens(peer: str, secret: str, users: int) -> dict[int, str]:
    """Make an access token for each user, as the peer's own sign-in makes it."""
    numbers = [person.number for person in people(users)]
    if peer == "flask":
        app = Flask("tokens")
        app.config["JWT_SECRET_KEY"] = secret
        JWTManager(app)
        with app.app_context():
            life = datetime.timedelta(seconds=TOKEN_SECONDS)
            return {number: create_access_token(str(number), expires_delta=life) for number in numbers}
    now = int(time.time())
    claims = {"iat": now, "exp": now + TOKEN_SECONDS}
    return {number: jwt.encode({"sub": str(number), **claims}, secret, algorithm="HS256") for number in numbers}
