"""Applications of Flask-JWT-Extended moved here by one import, and what Portero adds to a Flask application."""

from __future__ import annotations

import base64
import hmac
import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import flask_jwt_extended as fje
import jwt as pyjwt
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask, jsonify, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

import portero
from portero import JWTManager, Portero, allow_all, expose, expose_table, own
from portero.errors import ConfigurationError
from portero.testing import running

SECRET = "q8Zr5mY2vK7dT1wX9cL4bN6hJ3gF0sPeUiAoRtMyQxWv"
FORMER = "Hn3kV8sQ1xZ6tB9wM4cR7yL2pD5fJ0gAeUiOoTrEwQaS"

MakeApp = Callable[..., Flask]


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[MakeApp]:
    """Build a Flask application with a proper secret and a database of its own."""
    made: list[Flask] = []

    def make(**config: Any) -> Flask:
        app = Flask(f"app{len(made)}", instance_path=str(tmp_path / f"instance{len(made)}"))
        app.config.update({"JWT_SECRET_KEY": SECRET, "TESTING": True} | config)
        made.append(app)
        return app

    yield make
    for app in made:
        extension = app.extensions.get("portero")
        if extension is not None:
            extension.close(app)


def add_protected(app: Flask, **options: Any) -> None:
    @app.get("/protected")
    @fje.jwt_required(**options)
    def protected() -> Any:
        return jsonify(logged_in_as=fje.get_jwt_identity())


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token_of(app: Flask, identity: Any = "anna", **options: Any) -> str:
    with app.app_context():
        token: str = fje.create_access_token(identity, **options)
        return token


# The eight lines.

EIGHT_LINES = """\
from flask import Flask
from portero import JWTManager

app = Flask(__name__)
app.config["JWT_SECRET_KEY"] = "{secret}"
jwt = JWTManager(app)

from eight_lines import routes
"""
TUTORIAL_ROUTES = """\
from flask import jsonify, request
from flask_jwt_extended import create_access_token, create_refresh_token, get_jwt_identity, jwt_required

from eight_lines import app


@app.route("/login", methods=["POST"])
def login():
    username = request.json.get("username", None)
    password = request.json.get("password", None)
    if username != "test" or password != "test":
        return jsonify({"msg": "Bad username or password"}), 401
    return jsonify(access_token=create_access_token(identity=username))


@app.route("/protected", methods=["GET"])
@jwt_required()
def protected():
    return jsonify(logged_in_as=get_jwt_identity()), 200
"""


@pytest.fixture
def eight_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Flask]]:
    package = tmp_path / "eight_lines"
    package.mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))

    def load(secret: str) -> Flask:
        (package / "__init__.py").write_text(EIGHT_LINES.format(secret=secret))
        (package / "routes.py").write_text(TUTORIAL_ROUTES)
        importlib.invalidate_caches()
        app: Flask = importlib.import_module("eight_lines").app
        return app

    yield load
    for name in ("eight_lines", "eight_lines.routes"):
        sys.modules.pop(name, None)


def test_the_eight_lines_with_a_proper_secret_sign_in_and_protect(
    eight_lines: Callable[[str], Flask], tmp_path: Path
) -> None:
    with running(eight_lines(SECRET), tmp_path) as client:
        assert 401 == client.get("/protected").status_code
        assert 401 == client.post("/login", json={"username": "test", "password": "no"}).status_code
        token = client.post("/login", json={"username": "test", "password": "test"}).json["access_token"]
        assert {"logged_in_as": "test"} == client.get("/protected", headers=bearer(token)).json


@pytest.mark.parametrize("secret", ["super-secret", "", "x" * 64, "your-256-bit-secret"])
def test_the_eight_lines_with_an_unfit_secret_do_not_start(eight_lines: Callable[[str], Flask], secret: str) -> None:
    with pytest.raises(ConfigurationError, match="make a good one"):
        eight_lines(secret)


# Applications of Flask-JWT-Extended.


def test_an_application_that_moves_changes_one_import_only(make_app: MakeApp) -> None:
    app = make_app()
    manager = JWTManager(app)
    assert isinstance(manager, fje.JWTManager)
    assert JWTManager is Portero
    assert manager is app.extensions["flask-jwt-extended"]


def test_every_loader_answers_with_the_developers_body(make_app: MakeApp) -> None:
    app = make_app()
    jwt = JWTManager(app)
    add_protected(app)
    jwt.unauthorized_loader(lambda reason: (jsonify(loader="unauthorized"), 418))
    jwt.invalid_token_loader(lambda reason: (jsonify(loader="invalid"), 418))
    jwt.expired_token_loader(lambda header, claims: (jsonify(loader="expired", sub=claims["sub"]), 418))
    jwt.revoked_token_loader(lambda header, claims: (jsonify(loader="revoked"), 418))
    jwt.token_in_blocklist_loader(lambda header, claims: claims["sub"] == "blocked")
    client = app.test_client()

    def loader(headers: dict[str, str]) -> Any:
        return client.get("/protected", headers=headers).json

    assert {"loader": "unauthorized"} == loader({})
    assert {"loader": "invalid"} == loader(bearer("no.token.this"))
    assert {"loader": "expired", "sub": "anna"} == loader(bearer(token_of(app, expires_delta=timedelta(hours=-1))))
    assert {"loader": "revoked"} == loader(bearer(token_of(app, "blocked")))
    assert {"logged_in_as": "anna"} == loader(bearer(token_of(app)))


def test_without_loaders_a_bad_token_is_401_with_the_usual_body(make_app: MakeApp) -> None:
    app = make_app(JWT_ERROR_MESSAGE_KEY="message")
    JWTManager(app)
    add_protected(app)
    answer = app.test_client().get("/protected", headers=bearer("a.b.c"))
    assert (401, ["message"]) == (answer.status_code, list(answer.json))


def test_users_are_looked_up_by_the_developers_loaders(make_app: MakeApp) -> None:
    app = make_app()
    jwt = JWTManager(app, True)
    people = {"7": {"id": 7, "name": "Anna"}}
    jwt.user_identity_loader(lambda user: str(user["id"]))
    jwt.user_lookup_loader(lambda header, claims: people.get(claims["sub"]))
    jwt.additional_claims_loader(lambda user: {"shoe_size": 39})

    @app.get("/me")
    @fje.jwt_required()
    def me() -> Any:
        return jsonify(name=fje.current_user["name"], shoe_size=fje.get_jwt()["shoe_size"])

    client = app.test_client()
    assert {"name": "Anna", "shoe_size": 39} == client.get("/me", headers=bearer(token_of(app, people["7"]))).json
    stranger = client.get("/me", headers=bearer(token_of(app, {"id": 8})))
    assert (401, {"msg": "Error loading the user 8"}) == (stranger.status_code, stranger.json)


def test_additional_headers_and_claims_come_back(make_app: MakeApp) -> None:
    app = make_app()
    jwt = JWTManager(app)
    jwt.additional_headers_loader(lambda identity: {"tenant": "north"})

    @app.get("/headers")
    @fje.jwt_required()
    def headers() -> Any:
        return jsonify(tenant=fje.get_jwt_header()["tenant"], team=fje.get_jwt()["team"])

    token = token_of(app, additional_claims={"team": "red"})
    assert {"tenant": "north", "team": "red"} == app.test_client().get("/headers", headers=bearer(token)).json


def test_optional_and_fresh_routes_work(make_app: MakeApp) -> None:
    app = make_app()
    JWTManager(app)
    add_protected(app, optional=True)

    @app.get("/fresh")
    @fje.jwt_required(fresh=True)
    def fresh() -> Any:
        return jsonify(fresh=True)

    client = app.test_client()
    assert {"logged_in_as": None} == client.get("/protected").json
    assert {"fresh": True} == client.get("/fresh", headers=bearer(token_of(app, fresh=True))).json
    assert {"msg": "Fresh token required"} == client.get("/fresh", headers=bearer(token_of(app))).json


def test_settings_of_flask_jwt_extended_count(make_app: MakeApp) -> None:
    app = make_app(
        JWT_IDENTITY_CLAIM="identity",
        JWT_ENCODE_ISSUER="north",
        JWT_DECODE_ISSUER="north",
        JWT_ENCODE_AUDIENCE="apps",
        JWT_DECODE_AUDIENCE="apps",
        JWT_HEADER_NAME="X-Token",
        JWT_HEADER_TYPE="",
        JWT_ALGORITHM="HS384",
        JWT_SECRET_KEY=SECRET + SECRET,
    )
    JWTManager(app)
    add_protected(app)
    client = app.test_client()
    assert {"logged_in_as": "anna"} == client.get("/protected", headers={"X-Token": token_of(app)}).json
    app.config["JWT_ENCODE_ISSUER"] = "south"
    assert 401 == client.get("/protected", headers={"X-Token": token_of(app)}).status_code


def test_the_word_bearer_is_matched_without_regard_to_case(make_app: MakeApp) -> None:
    app = make_app()
    JWTManager(app)
    add_protected(app)
    headers = {"Authorization": f"bEaReR {token_of(app)}"}
    assert {"logged_in_as": "anna"} == app.test_client().get("/protected", headers=headers).json


def test_tokens_in_cookies_keep_their_csrf_check(make_app: MakeApp) -> None:
    app = make_app(JWT_TOKEN_LOCATION=["cookies"])
    JWTManager(app)

    @app.post("/sign-in")
    def sign_in() -> Any:
        response = jsonify(ok=True)
        fje.set_access_cookies(response, fje.create_access_token("anna"))
        return response

    @app.post("/protected")
    @fje.jwt_required()
    def protected() -> Any:
        return jsonify(logged_in_as=fje.get_jwt_identity())

    client = app.test_client()
    client.post("/sign-in")
    csrf = client.get_cookie("csrf_access_token")
    assert csrf is not None
    assert {"logged_in_as": "anna"} == client.post("/protected", headers={"X-CSRF-TOKEN": csrf.value}).json
    assert 401 == client.post("/protected").status_code
    assert 401 == client.post("/protected", headers={"X-CSRF-TOKEN": "another"}).status_code


@pytest.fixture(scope="module")
def rsa_pair() -> tuple[str, str]:
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def test_an_application_with_rs256_keys_keeps_them(make_app: MakeApp, rsa_pair: tuple[str, str]) -> None:
    private, public = rsa_pair
    app = make_app(JWT_ALGORITHM="RS256", JWT_PRIVATE_KEY=private, JWT_PUBLIC_KEY=public)
    JWTManager(app)
    add_protected(app)
    client = app.test_client()
    token = token_of(app)
    assert "RS256" == pyjwt.get_unverified_header(token)["alg"]
    assert {"logged_in_as": "anna"} == client.get("/protected", headers=bearer(token)).json


def test_a_public_key_never_serves_as_a_shared_secret(make_app: MakeApp, rsa_pair: tuple[str, str]) -> None:
    private, public = rsa_pair
    algorithms = ["RS256", "HS256"]
    app = make_app(
        JWT_ALGORITHM="RS256", JWT_DECODE_ALGORITHMS=algorithms, JWT_PRIVATE_KEY=private, JWT_PUBLIC_KEY=public
    )
    JWTManager(app)
    add_protected(app)
    header, body = base64url(b'{"alg":"HS256","typ":"JWT"}'), token_of(app).split(".")[1]
    mac = hmac.digest(public.encode(), f"{header}.{body}".encode(), "sha256")
    answer = app.test_client().get("/protected", headers=bearer(f"{header}.{body}.{base64url(mac)}"))
    assert 401 == answer.status_code


def test_a_decode_key_loader_picks_the_key_of_another_issuer(make_app: MakeApp, rsa_pair: tuple[str, str]) -> None:
    private, public = rsa_pair
    app = make_app(JWT_DECODE_ALGORITHMS=["RS256"])
    jwt = JWTManager(app)
    add_protected(app)
    jwt.decode_key_loader(lambda header, claims: {"theirs": public}.get(header.get("kid", ""), SECRET))
    theirs = pyjwt.encode({"sub": "ben", "exp": time.time() + 60}, private, "RS256", headers={"kid": "theirs"})
    unknown = pyjwt.encode({"sub": "ben", "exp": time.time() + 60}, private, "RS256", headers={"kid": "other"})
    client = app.test_client()
    assert {"logged_in_as": "ben"} == client.get("/protected", headers=bearer(theirs)).json
    assert {"logged_in_as": "anna"} == client.get("/protected", headers=bearer(token_of(app))).json
    assert 401 == client.get("/protected", headers=bearer(unknown)).status_code


def test_a_token_of_a_former_secret_is_still_read(make_app: MakeApp) -> None:
    before, after = make_app(), make_app(JWT_SECRET_KEY_FALLBACKS=[FORMER])
    before.config["JWT_SECRET_KEY"] = FORMER
    JWTManager(before)
    JWTManager(after)
    add_protected(after)
    client = after.test_client()
    assert {"logged_in_as": "anna"} == client.get("/protected", headers=bearer(token_of(before))).json
    after.config["JWT_SECRET_KEY_FALLBACKS"] = []
    assert 401 == client.get("/protected", headers=bearer(token_of(before))).status_code


def test_create_refresh_token_can_be_imported_and_says_what_replaces_it(make_app: MakeApp) -> None:
    app = make_app()
    JWTManager(app)
    with app.app_context(), pytest.raises(ConfigurationError, match="grant_type=refresh_token"):
        portero.create_refresh_token("anna")


@pytest.mark.parametrize("place", ["query_string", "json", ["headers", "json"]])
def test_tokens_in_urls_and_bodies_are_refused_at_start(make_app: MakeApp, place: Any) -> None:
    app = make_app(JWT_TOKEN_LOCATION=place)
    with pytest.raises(ConfigurationError, match="Authorization header"):
        JWTManager(app)


@pytest.mark.parametrize("algorithm", ["none", "ES256K", "XX"])
def test_an_algorithm_that_is_not_served_is_refused_at_start(make_app: MakeApp, algorithm: str) -> None:
    with pytest.raises(ConfigurationError, match="JWT_ALGORITHM"):
        JWTManager(make_app(JWT_ALGORITHM=algorithm))


def test_flasks_secret_key_serves_where_it_stands_alone(make_app: MakeApp) -> None:
    app = make_app(SECRET_KEY=SECRET)
    app.config["JWT_SECRET_KEY"] = None
    JWTManager(app)
    add_protected(app)
    assert 200 == app.test_client().get("/protected", headers=bearer(token_of(app))).status_code


def test_an_unknown_setting_is_refused_at_start(make_app: MakeApp) -> None:
    with pytest.raises(ConfigurationError, match="PORTERO_MAX_ROSW is not a setting"):
        JWTManager(make_app(PORTERO_MAX_ROSW=5))


def test_a_token_nobody_would_read_is_not_made(make_app: MakeApp) -> None:
    app = make_app()
    JWTManager(app)
    with pytest.raises(ConfigurationError, match="4096"):
        token_of(app, additional_claims={"much": "x" * 5000})


def test_an_api_key_is_no_access_token(make_app: MakeApp) -> None:
    app = make_app()
    JWTManager(app)
    add_protected(app)
    key = pyjwt.encode({"role": "anon", "sub": "anna"}, SECRET, "HS256")
    answer = app.test_client().get("/protected", headers=bearer(key))
    assert (401, {"msg": "An API key is not an access token"}) == (answer.status_code, answer.json)


def test_a_developers_token_opens_neither_api(make_app: MakeApp) -> None:
    app = make_app()
    JWTManager(app)
    token = token_of(app, str(uuid4()), additional_claims={"role": "service_role", "session_id": str(uuid4())})
    client = app.test_client()
    assert 403 == client.get("/auth/v1/user", headers=bearer(token)).status_code
    assert 401 == client.get("/rest/v1/notes", headers=bearer(token)).status_code


# Sessions on the developer's own routes.


def signed_in(app: Flask) -> Any:
    with app.app_context():
        portero.users.create(username="anna", email="anna@example.com", password="correct horse battery staple")
        return portero.sign_in("anna", "correct horse battery staple")


def test_a_sessions_token_is_fresh_for_a_while_and_names_the_user(make_app: MakeApp) -> None:
    app = make_app()
    JWTManager(app)

    @app.get("/claims")
    @fje.jwt_required(fresh=True)
    def claims() -> Any:
        return jsonify(fje.get_jwt())

    anna = signed_in(app)
    told = app.test_client().get("/claims", headers=bearer(anna.access_token)).json
    assert (str(anna.user.id), "access") == (told["sub"], told["type"])
    assert 890 < told["fresh"] - time.time() < 910


def test_a_session_ended_anywhere_is_refused_at_the_next_request(make_app: MakeApp) -> None:
    app = make_app()
    jwt = JWTManager(app)
    add_protected(app)
    client = app.test_client()
    anna = signed_in(app)
    assert 200 == client.get("/protected", headers=bearer(anna.access_token)).status_code
    assert 204 == client.post("/auth/v1/logout", headers=bearer(anna.access_token)).status_code
    answer = client.get("/protected", headers=bearer(anna.access_token))
    assert (401, {"msg": "Token has been revoked"}) == (answer.status_code, answer.json)
    jwt.revoked_token_loader(lambda header, claims: (jsonify(gone=claims["sub"]), 410))
    assert {"gone": str(anna.user.id)} == client.get("/protected", headers=bearer(anna.access_token)).json


def test_a_banned_users_token_is_refused_at_once(make_app: MakeApp) -> None:
    app = make_app()
    JWTManager(app)
    add_protected(app)
    anna = signed_in(app)
    with app.app_context():
        portero.users.ban(anna.user.id)
    assert 401 == app.test_client().get("/protected", headers=bearer(anna.access_token)).status_code


def test_an_expired_session_token_reaches_the_expired_loader(make_app: MakeApp) -> None:
    app = make_app()
    jwt = JWTManager(app)
    add_protected(app)
    jwt.expired_token_loader(lambda header, claims: (jsonify(alg=header["alg"], type=claims["type"]), 401))
    anna = signed_in(app)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    token, _ = jwt.freeze(app).identity.access_tokens.mint(anna.user, anna.session, yesterday)
    answer = app.test_client().get("/protected", headers=bearer(token))
    assert {"alg": "HS256", "type": "access"} == answer.json
    with app.app_context():
        assert str(anna.user.id) == fje.decode_token(token, allow_expired=True)["sub"]
        with pytest.raises(pyjwt.ExpiredSignatureError):
            fje.decode_token(token)


@pytest.mark.parametrize(("given", "seconds"), [(None, 3600), (600, 600), (timedelta(hours=9), 3600), (False, 3600)])
def test_a_session_token_lives_an_hour_or_less(make_app: MakeApp, given: Any, seconds: int) -> None:
    app = make_app(**({} if given is None else {"JWT_ACCESS_TOKEN_EXPIRES": given}))
    JWTManager(app)
    assert seconds == signed_in(app).expires_in


def test_a_developers_own_token_keeps_flask_jwt_extendeds_quarter_of_an_hour(make_app: MakeApp) -> None:
    app = make_app()
    JWTManager(app)
    claims = pyjwt.decode(token_of(app), options={"verify_signature": False})
    assert 15 * 60 == claims["exp"] - claims["iat"]


def test_a_wrong_password_that_a_route_lets_through_is_a_plain_refusal(make_app: MakeApp) -> None:
    app = make_app()
    JWTManager(app)

    @app.post("/login")
    def login() -> Any:
        return jsonify(token=portero.sign_in(request.json["login"], request.json["password"]).access_token)

    client = app.test_client()
    signed_in(app)
    refused = client.post("/login", json={"login": "anna", "password": "wrong"})
    assert (400, "invalid_credentials") == (refused.status_code, refused.headers["x-sb-error-code"])
    assert 400 == client.post("/login", json={"login": None, "password": 5}).status_code
    right = {"login": "ANNA@example.com", "password": "correct horse battery staple"}
    assert 200 == client.post("/login", json=right).status_code


# Models, factories, mounts.


def notes_base() -> type[DeclarativeBase]:
    class Base(DeclarativeBase):
        pass

    @expose(own("owner_id"))
    class Note(Base):
        __tablename__ = "notes"
        id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
        owner_id: Mapped[UUID] = mapped_column(sa.ForeignKey(portero.User.id))
        title: Mapped[str]

    Base.Note = Note  # type: ignore[attr-defined]  # a registry alone does not keep its classes alive
    return Base


def notes_of(app: Flask, token: str, path: str = "/rest/v1/notes?select=title") -> Any:
    return app.test_client().get(path, headers=bearer(token)).json


def add_note(app: Flask, token: str, title: str, path: str = "/rest/v1/notes") -> int:
    return app.test_client().post(path, headers=bearer(token), json={"title": title}).status_code


def test_models_are_named_at_the_manager_or_by_decorator(make_app: MakeApp) -> None:
    first, second = make_app(), make_app()
    JWTManager(first, models=notes_base())
    jwt = JWTManager(second)
    assert jwt.models(base := notes_base()) is base
    for app in (first, second):
        anna = signed_in(app)
        assert 201 == add_note(app, anna.access_token, "mine")
        assert [{"title": "mine"}] == notes_of(app, anna.access_token)


def test_models_that_are_none_are_refused(make_app: MakeApp) -> None:
    with pytest.raises(ConfigurationError, match="declarative base"):
        JWTManager(make_app(), models="notes")


def test_one_manager_serves_several_applications_apart(make_app: MakeApp) -> None:
    jwt = JWTManager(models=notes_base())
    first, second = make_app(), make_app()
    for app in (first, second):
        jwt.init_app(app)
    anna, ben = signed_in(first), signed_in(second)
    assert 201 == add_note(first, anna.access_token, "first")
    assert [] == notes_of(second, ben.access_token)
    assert 401 == second.test_client().get("/rest/v1/notes", headers=bearer(anna.access_token)).status_code


def test_one_application_has_one_manager(make_app: MakeApp) -> None:
    app = make_app()
    JWTManager(app)
    with pytest.raises(ConfigurationError, match="has a Portero already"):
        JWTManager(app)


def test_flask_sqlalchemys_models_and_engine_are_found(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'theirs.db'}")
    db = SQLAlchemy()
    JWTManager(app)
    db.init_app(app)

    @expose(own("owner_id"))
    class Note(db.Model):  # type: ignore[name-defined, misc]
        __tablename__ = "notes"
        id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
        owner_id: Mapped[UUID] = mapped_column(sa.ForeignKey(portero.User.id))
        title: Mapped[str]

    anna = signed_in(app)
    assert 201 == add_note(app, anna.access_token, "through the API")
    with app.app_context():
        assert ["through the API"] == db.session.scalars(sa.select(Note.title)).all()
        db.session.add(Note(owner_id=anna.user.id, title="through the session"))
        db.session.commit()
        db.session.remove()
        db.engine.dispose()
    assert {"through the API", "through the session"} == {note["title"] for note in notes_of(app, anna.access_token)}


def test_reading_and_writing_open_sessions_on_the_same_database(make_app: MakeApp) -> None:
    app = make_app()
    base = notes_base()
    jwt = JWTManager(app, models=base)
    note = base.Note  # type: ignore[attr-defined]
    anna = signed_in(app)
    with app.app_context():
        with jwt.writing() as session:
            session.add(note(owner_id=anna.user.id, title="mine"))
        with pytest.raises(ZeroDivisionError), jwt.writing() as session:
            session.add(note(owner_id=anna.user.id, title="never"))
            raise ZeroDivisionError
        with jwt.reading() as session:
            assert ["mine"] == session.scalars(sa.select(note.title)).all()
        assert anna.user.id == jwt.sign_in("anna", "correct horse battery staple").user.id


def test_exposing_after_the_freeze_is_refused_with_a_sentence(make_app: MakeApp) -> None:
    app = make_app()
    base = notes_base()
    jwt = JWTManager(app, models=base)
    jwt.freeze(app)

    class Late(base):  # type: ignore[valid-type, misc]
        __tablename__ = "late"
        id: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(ConfigurationError, match="after the application was frozen"):
        expose(select=allow_all)(Late)
    with pytest.raises(ConfigurationError, match="after the application was frozen"):
        expose_table(Late.__table__, select=allow_all)
    with pytest.raises(ConfigurationError, match="after the application was frozen"):
        jwt.models(notes_base())


def test_many_first_requests_freeze_once(make_app: MakeApp) -> None:
    app = make_app()
    jwt = JWTManager(app)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(jwt.freeze(app))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (8, 1) == (len(found), len({id(runtime) for runtime in found}))


def test_the_data_api_stands_inside_middleware_that_was_there_before(make_app: MakeApp) -> None:
    app = make_app(PORTERO_TRUSTED_PROXIES=1)
    seen: list[str] = []

    class Witness:
        def __init__(self, wsgi_app: Any) -> None:
            self.wsgi_app = wsgi_app

        def __call__(self, environ: Any, start_response: Any) -> Any:
            seen.append(environ["PATH_INFO"])
            return self.wsgi_app(environ, start_response)

    app.wsgi_app = Witness(ProxyFix(app.wsgi_app))  # type: ignore[method-assign]
    JWTManager(app, models=notes_base())
    anna = signed_in(app)
    assert [] == notes_of(app, anna.access_token)
    assert ["/rest/v1/notes"] == seen


def test_an_application_below_a_path_serves_both_apis_there(make_app: MakeApp) -> None:
    app, outer = make_app(), make_app()
    JWTManager(app, models=notes_base())
    anna = signed_in(app)
    outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/shop": app})  # type: ignore[method-assign]
    client = outer.test_client()
    headers = bearer(anna.access_token)
    assert 201 == client.post("/shop/rest/v1/notes", headers=headers, json={"title": "below"}).status_code
    assert [{"title": "below"}] == client.get("/shop/rest/v1/notes?select=title", headers=headers).json
    assert 200 == client.get("/shop/auth/v1/user", headers=headers).status_code
    assert 404 == client.get("/rest/v1/notes", headers=headers).status_code


def test_the_data_api_can_go_through_flask(make_app: MakeApp) -> None:
    app = make_app(PORTERO_DATA_THROUGH_FLASK=True)
    JWTManager(app, models=notes_base())
    seen: list[str] = []
    app.before_request(lambda: seen.append(request.path))
    anna = signed_in(app)
    assert 201 == add_note(app, anna.access_token, "through Flask")
    assert [{"title": "through Flask"}] == notes_of(app, anna.access_token)
    assert ["/rest/v1/notes", "/rest/v1/notes"] == seen


def test_paths_can_be_chosen(make_app: MakeApp) -> None:
    app = make_app(PORTERO_AUTH_PATH="/auth", PORTERO_DATA_PATH="/data")
    JWTManager(app, models=notes_base())
    anna = signed_in(app)
    assert [] == notes_of(app, anna.access_token, "/data/notes")
    assert 200 == app.test_client().get("/auth/user", headers=bearer(anna.access_token)).status_code


def test_a_new_sqlite_file_has_its_tables_at_the_first_request_outside_development_too(make_app: MakeApp) -> None:
    app = make_app()
    app.config["TESTING"] = False
    JWTManager(app)
    assert 200 == app.test_client().get("/auth/v1/settings").status_code


def test_outside_development_missing_tables_on_postgresql_are_a_sentence(
    make_app: MakeApp, empty_postgresql_url: str
) -> None:
    app = make_app(PORTERO_DATABASE_URL=empty_postgresql_url)
    app.config["TESTING"] = False
    jwt = JWTManager(app)
    with pytest.raises(ConfigurationError, match="portero db upgrade"):
        jwt.freeze(app)


def test_outside_development_old_tables_are_a_sentence(make_app: MakeApp) -> None:
    app = make_app()
    app.config["TESTING"] = False
    jwt = JWTManager(app)
    with jwt.freeze(app).database.writing() as connection:
        connection.exec_driver_sql("UPDATE portero_version SET version_num = '0001'")
    jwt.close(app)
    with pytest.raises(ConfigurationError, match="portero db upgrade"):
        jwt.freeze(app)


def test_a_mail_server_without_a_sender_is_refused(make_app: MakeApp) -> None:
    app = make_app(PORTERO_SMTP_URL="smtps://user:hidden@mail.example.com")
    jwt = JWTManager(app)
    with pytest.raises(ConfigurationError, match="needs PORTERO_MAIL_FROM"):
        jwt.freeze(app)
