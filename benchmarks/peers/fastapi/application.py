"""The peer: the service as FastAPI's own tutorials and its full-stack template write it.

SQLModel, PyJWT, pwdlib; functions that are not coroutines; the database session and the current user as dependencies,
the user loaded at each request. `DB` is the path of the SQLite file, `JWT_SECRET_KEY` the secret. `WAL=1` lets it write
ahead with synchronous FULL, which no tutorial does. It runs in a virtual environment of its own.
"""

import os
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from jwt.exceptions import InvalidTokenError
from pwdlib import PasswordHash
from pydantic import BaseModel
from sqlalchemy import event
from sqlalchemy.orm import joinedload
from sqlmodel import Field, Relationship, Session, SQLModel, create_engine, func, select

ALGORITHM = "HS256"
SECRET_KEY = os.environ["JWT_SECRET_KEY"]
engine = create_engine("sqlite:///" + os.environ["DB"], connect_args={"check_same_thread": False})
password_hash = PasswordHash.recommended()
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="/login")
app = FastAPI()

if os.environ.get("WAL"):

    @event.listens_for(engine, "connect")
    def write_ahead(connection, _):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")


class User(SQLModel, table=True):
    __tablename__ = "users"

    id: int | None = Field(default=None, primary_key=True)
    email: str = Field(unique=True, index=True)
    name: str
    password: str
    is_active: bool = True
    notes: list["Note"] = Relationship(back_populates="author")


class NoteCreate(SQLModel):
    title: str
    body: str
    done: bool = False


class Note(NoteCreate, table=True):
    __tablename__ = "notes"

    id: int | None = Field(default=None, primary_key=True)
    owner: int = Field(foreign_key="users.id")
    created_at: datetime
    author: User | None = Relationship(back_populates="notes")


class NotePublic(NoteCreate):
    id: int
    owner: int
    created_at: datetime


class AuthorPublic(SQLModel):
    name: str


class NoteWithAuthor(NotePublic):
    author: AuthorPublic


class Token(BaseModel):
    access_token: str
    token_type: str = "bearer"


class Claims(BaseModel):
    sub: str


def get_session() -> Generator[Session]:
    with Session(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]


def get_claims(token: Annotated[str, Depends(oauth2_scheme)]) -> Claims:
    try:
        return Claims(**jwt.decode(token, SECRET_KEY, algorithms=[ALGORITHM]))
    except InvalidTokenError:
        raise HTTPException(401, "Could not validate credentials") from None


ClaimsDep = Annotated[Claims, Depends(get_claims)]


def get_current_user(session: SessionDep, claims: ClaimsDep) -> User:
    user = session.get(User, int(claims.sub))
    if not user:
        raise HTTPException(401, "Could not validate credentials")
    if not user.is_active:
        raise HTTPException(400, "Inactive user")
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]


@app.post("/login")
def login(session: SessionDep, form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> Token:
    user = session.exec(select(User).where(User.email == form.username)).first()
    if not user or not password_hash.verify(form.password, user.password):
        raise HTTPException(401, "Incorrect email or password")
    expires = datetime.now(UTC) + timedelta(hours=2)
    return Token(access_token=jwt.encode({"sub": str(user.id), "exp": expires}, SECRET_KEY, algorithm=ALGORITHM))


@app.get("/whoami")
def whoami(claims: ClaimsDep) -> Claims:
    return claims


def newest(user: User, done: bool):
    mine = select(Note).where(Note.owner == user.id, Note.done == done)
    return mine.order_by(Note.created_at.desc()).limit(20)


@app.get("/notes", response_model=list[NotePublic])
def list_notes(session: SessionDep, user: CurrentUser, done: bool = False):
    return session.exec(newest(user, done)).all()


@app.get("/notes/count")
def count_notes(session: SessionDep, user: CurrentUser) -> dict[str, int]:
    return {"count": session.exec(select(func.count()).select_from(Note).where(Note.owner == user.id)).one()}


@app.get("/notes/{note_id}", response_model=NotePublic)
def get_note(session: SessionDep, user: CurrentUser, note_id: int):
    note = session.get(Note, note_id)
    if not note or note.owner != user.id:
        raise HTTPException(404, "Not found")
    return note


@app.get("/notes-with-author", response_model=list[NoteWithAuthor])
def list_notes_with_author(session: SessionDep, user: CurrentUser, done: bool = False):
    return session.exec(newest(user, done).options(joinedload(Note.author))).all()


@app.post("/notes", response_model=NotePublic, status_code=201)
def add_note(session: SessionDep, user: CurrentUser, given: NoteCreate):
    note = Note.model_validate(given, update={"owner": user.id, "created_at": datetime.now(UTC)})
    session.add(note)
    session.commit()
    session.refresh(note)
    return note
