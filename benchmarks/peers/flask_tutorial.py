"""The peer: the application as the tutorials of Flask-JWT-Extended and Flask-SQLAlchemy write it.

`DB` is the path of its SQLite file. `WAL=1` lets it write ahead with synchronous FULL, which no tutorial does.
"""

import os
from datetime import UTC, datetime, timedelta

from flask import Flask, jsonify, request
from flask_jwt_extended import JWTManager, create_access_token, get_jwt_identity, jwt_required
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey, Index, event, func, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, joinedload, mapped_column, relationship
from werkzeug.security import check_password_hash


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)

app = Flask(__name__)
app.config["JWT_SECRET_KEY"] = os.environ["JWT_SECRET_KEY"]
app.config["JWT_ACCESS_TOKEN_EXPIRES"] = timedelta(hours=2)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///" + os.environ["DB"]
jwt = JWTManager(app)
db.init_app(app)

if os.environ.get("WAL"):

    @event.listens_for(Engine, "connect")
    def write_ahead(connection, _):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")


class User(db.Model):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    password: Mapped[str]


class Note(db.Model):
    __tablename__ = "notes"
    __table_args__ = (Index("notes_owner_created_at", "owner", "created_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[int] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str]
    body: Mapped[str]
    done: Mapped[bool]
    created_at: Mapped[datetime]
    author: Mapped[User] = relationship()

    def to_dict(self):
        return {
            "id": self.id,
            "owner": self.owner,
            "title": self.title,
            "body": self.body,
            "done": self.done,
            "created_at": self.created_at.isoformat(),
        }


@app.post("/login")
def login():
    email = request.json.get("email")
    password = request.json.get("password")
    user = db.session.execute(select(User).filter_by(email=email)).scalar_one_or_none()
    if user is None or not check_password_hash(user.password, password):
        return jsonify(msg="Bad email or password"), 401
    return jsonify(access_token=create_access_token(identity=str(user.id)))


@app.get("/whoami")
@jwt_required()
def whoami():
    return jsonify(logged_in_as=get_jwt_identity())


@app.get("/notes/<int:note_id>")
@jwt_required()
def get_note(note_id):
    mine = select(Note).filter_by(id=note_id, owner=int(get_jwt_identity()))
    note = db.session.execute(mine).scalar_one_or_none()
    if note is None:
        return jsonify(msg="Not found"), 404
    return jsonify(note.to_dict())


def newest():
    done = request.args.get("done") == "true"
    mine = select(Note).filter_by(owner=int(get_jwt_identity()), done=done)
    return mine.order_by(Note.created_at.desc()).limit(20)


@app.get("/notes")
@jwt_required()
def list_notes():
    return jsonify([note.to_dict() for note in db.session.execute(newest()).scalars()])


@app.get("/notes/count")
@jwt_required()
def count_notes():
    mine = select(func.count()).select_from(Note).filter_by(owner=int(get_jwt_identity()))
    return jsonify(count=db.session.execute(mine).scalar_one())


@app.get("/notes-with-author")
@jwt_required()
def list_notes_with_author():
    notes = db.session.execute(newest().options(joinedload(Note.author))).scalars()
    return jsonify([note.to_dict() | {"author": {"name": note.author.name}} for note in notes])


@app.post("/notes")
@jwt_required()
def add_note():
    note = Note(
        owner=int(get_jwt_identity()),
        title=request.json["title"],
        body=request.json["body"],
        done=False,
        created_at=datetime.now(UTC).replace(tzinfo=None),
    )
    db.session.add(note)
    db.session.commit()
    return jsonify(note.to_dict()), 201
