"""How an application's runtime is put together: configuration, store, keys, models; each step refuses what is unsafe.

`extension.freeze` calls it once. It knows Flask's configuration and Flask-SQLAlchemy's `db`, and no request. Nothing it
makes changes afterwards. Obeys ARCHITECTURE.md, "Start".
"""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import registry

from portero import hook_assembly
from portero.crypto.algorithms import ALGORITHMS
from portero.crypto.claims import LONGEST_LIFETIME, Issuing
from portero.crypto.passwords import Passwords
from portero.crypto.secret_rules import check_fallbacks, check_secret
from portero.data import catalogue, dialects, search_index
from portero.data.exposure import Exposure, exposure_of, exposures_of, seal
from portero.data.functions import Functions
from portero.data.pipeline import DataApi
from portero.errors import ConfigurationError
from portero.identity import factor_secrets, mail
from portero.identity.access_tokens import AccessTokens
from portero.identity.api_keys import ApiKeys
from portero.identity.context import IdentityContext
from portero.identity.hooks import Hook
from portero.identity.keys import KeyRing
from portero.identity.mail_templates import Templates
from portero.records import dataclass
from portero.settings import Settings, read_settings
from portero.store import migrations, sessions
from portero.store.engine import Database
from portero.store.sqlite_driver import refuse_other_library
from portero.web.function_context import session_in_context
from portero.web.mail_worker import MailWorker
from portero.web.runtime import Runtime
from portero.web.sweep_worker import sweeper

#: Flask-JWT-Extended's default for a developer's own tokens. The object itself, not its value, says that nobody set it.
DEFAULT_LIFETIME: Final = timedelta(minutes=15)
_PLACES: Final = {
    "query_string": "in a URL a token stands in logs, histories and Referer headers; send the Authorization header",
    "json": "a token is no part of a body; send the Authorization header",
}


@dataclass(frozen=True, slots=True)
class Store:
    """An application's opened database, before anything is read from it.

    Attributes:
        settings: the settings of this moment.
        database: opened; whoever opened it closes it.
        metadatas: the tables of the developer's models.
        exposures: what of them the data API serves.
    """

    settings: Settings
    database: Database
    metadatas: tuple[sa.MetaData, ...]
    exposures: tuple[Exposure, ...]

    def make_missing_tables(self) -> None:
        """Make those tables of the developer's models that are not there; never changes one that is."""
        with self.database.migrating() as connection:
            for metadata in self.metadatas:
                metadata.create_all(connection)
                search_index.make_missing(metadata.sorted_tables, connection)


def assemble(
    app: Flask,
    models: Iterable[Any],
    passwords: Passwords | None = None,
    functions: Iterable[Any] = (),
    *,
    hooks: Iterable[Hook] = (),
) -> Runtime:
    """Build the runtime of an application.

    Args:
        app: the application.
        models: what `Portero.models` collected.
        passwords: for tests: another cost of password hashes.
        functions: what `Portero.functions` collected.
        hooks: what `Portero.hooks` collected.

    Raises:
        ConfigurationError: something cannot be served; the sentence says what and what to do.
        DatabaseUnavailable: the database cannot be reached.
    """
    check_tokens_config(app.config)
    store = open_store(app, models)
    asked = hook_assembly.hooks_of(app, hooks)
    store = dataclasses.replace(store, settings=hook_assembly.with_mails_by_hook(store.settings, asked))
    try:
        _prepare_tables(store)
        context = dataclasses.replace(_identity(app, store, passwords), hooks=asked)
        data = _data(app, store, functions)
    except BaseException:
        store.database.close()
        raise
    for metadata in store.metadatas:
        seal(metadata)
    transport = hook_assembly.transport_of(store.settings, asked)
    worker = None if transport is None else MailWorker(context, transport)
    return Runtime(store.settings, store.database, context, data, worker, sweeper(store.settings, store.database))


def open_store(app: Flask, models: Iterable[Any]) -> Store:
    """Open the database of an application: `PORTERO_DATABASE_URL`, else Flask-SQLAlchemy's, else instance/portero.db.

    Raises:
        ConfigurationError: a setting, or a database that is not safe or not served.
    """
    settings = read_settings(app.config, os.environ)
    if app.debug or app.testing:
        settings = dataclasses.replace(settings, dev=True)
    sources = [*models, *_flask_sqlalchemy_models(app)]
    database = Database.open(
        _database_url(app, settings),
        statement_timeout=settings.statement_timeout,
        sqlite_cache=settings.sqlite_cache,
        sqlite_functions=dialects.SQLITE_FUNCTIONS,
    )
    metadatas = tuple(dict.fromkeys(metadata for source in sources for metadata in _metadatas_of(source)))
    exposures = tuple(dict.fromkeys(exposure for source in sources for exposure in _exposures_of(source)))
    return Store(settings, database, metadatas, exposures)


def secrets_of(config: Mapping[str, Any]) -> tuple[bytes, tuple[bytes, ...]]:
    """Give the present secret and the former ones. As with Flask-JWT-Extended, `SECRET_KEY` serves if it stands alone.

    Raises:
        ConfigurationError: missing or unfit.
    """
    secret = config.get("JWT_SECRET_KEY") or config.get("SECRET_KEY")
    return check_secret(secret), check_fallbacks(config.get("JWT_SECRET_KEY_FALLBACKS"))


def check_tokens_config(config: Mapping[str, Any]) -> None:
    """Refuse token places and algorithms that are not served.

    Raises:
        ConfigurationError: `JWT_TOKEN_LOCATION` or `JWT_ALGORITHM`; the sentence names what replaces it.
    """
    places = config.get("JWT_TOKEN_LOCATION") or ("headers",)
    for place in [places] if isinstance(places, str) else places:
        if place in _PLACES:
            raise ConfigurationError(f"JWT_TOKEN_LOCATION cannot be {place!r}: {_PLACES[place]}.")
    algorithm = config.get("JWT_ALGORITHM") or "HS256"
    if algorithm not in ALGORITHMS:
        raise ConfigurationError(f"JWT_ALGORITHM cannot be {algorithm!r}; it is one of {', '.join(ALGORITHMS)}.")


def flattened(models: Any) -> list[Any]:
    """Give the declarative bases, metadata and exposures in `models` as a list.

    Raises:
        ConfigurationError: there is something else among them.
    """
    if isinstance(models, list | tuple):
        return [each for entry in models for each in flattened(entry)]
    if isinstance(models, sa.MetaData | Exposure) or isinstance(getattr(models, "registry", None), registry):
        return [models]
    raise ConfigurationError(
        f"models= is a declarative base, a MetaData, what expose_table gave, or a list of these; not {models!r}."
    )


def mount_innermost(app: Flask, mount: Callable[[Any], Any]) -> None:
    """Put `mount` directly in front of Flask, inside the middleware that is there already (ProxyFix and its like).

    Middleware that shows what it wraps as `.app` or `.wsgi_app` is followed; other middleware stays inside.
    """
    holder, name = app, "wsgi_app"
    while True:
        inner = getattr(holder, name)
        deeper = next((each for each in ("app", "wsgi_app") if callable(getattr(inner, each, None))), None)
        if deeper is None or getattr(inner, "__self__", None) is app:
            break
        holder, name = inner, deeper
    setattr(holder, name, mount(getattr(holder, name)))


def _prepare_tables(store: Store) -> None:
    if store.settings.dev:
        migrations.upgrade(store.database)
        store.make_missing_tables()
    elif store.database.dialect_name == "sqlite" and migrations.current(store.database) is None:
        # A file without any table of Portero: nothing can be lost, and an application that moved here by one import
        # must answer its first request. What is old is migrated by command only.
        migrations.upgrade(store.database)
    else:
        migrations.check(store.database)


def _identity(app: Flask, store: Store, passwords: Passwords | None) -> IdentityContext:
    settings = store.settings
    _check_mail(settings)
    secret, fallbacks = secrets_of(app.config)
    keyring = KeyRing.open(store.database, secret, fallbacks, now=time.time())
    access_tokens = AccessTokens(
        keyring,
        Issuing(issuer=settings.url.rstrip("/") + settings.auth_path),
        _lifetime(app),
        accept_shared_secret_tokens=settings.accept_shared_secret_tokens,
    )
    context = IdentityContext(
        database=store.database,
        settings=settings,
        keyring=keyring,
        access_tokens=access_tokens,
        api_keys=ApiKeys(store.database),
        passwords=passwords or Passwords(settings.password_slots),
        mail_templates=Templates.read(Path(app.root_path) / "templates" / "mail"),
    )
    factor_secrets.reseal_all(context)
    return context


def _check_mail(settings: Settings) -> None:
    """Refuse settings of mails that do not fit together."""
    if settings.smtp_url and not settings.mail_from:
        raise ConfigurationError("PORTERO_SMTP_URL needs PORTERO_MAIL_FROM: whom mails come from.")
    if settings.confirm_email == "yes" and not mail.can_send(settings):
        raise ConfigurationError("PORTERO_CONFIRM_EMAIL=yes needs PORTERO_SMTP_URL: nobody could confirm an address.")


def _lifetime(app: Flask) -> timedelta:
    """Give the life of a session's access token: an hour, or less where `JWT_ACCESS_TOKEN_EXPIRES` was set."""
    longest = timedelta(seconds=LONGEST_LIFETIME)
    given = app.config["JWT_ACCESS_TOKEN_EXPIRES"]
    if given is DEFAULT_LIFETIME or given is False:
        return longest
    return min(longest, given if isinstance(given, timedelta) else timedelta(seconds=int(given)))


def _data(app: Flask, store: Store, functions: Iterable[Any]) -> DataApi:
    built = catalogue.build(store.exposures, store.database.dialect_name)
    around = functools.partial(session_in_context, app)
    return DataApi(built, store.database, store.settings, sessions.standing(), Functions(functions), around)


def _database_url(app: Flask, settings: Settings) -> str | sa.URL:
    db = app.extensions.get("sqlalchemy")
    if db is not None:
        with app.app_context():
            engine: sa.Engine = db.engine
        if not settings.database_url or sa.make_url(settings.database_url).database == engine.url.database:
            refuse_other_library(engine)
            return engine.url
    if settings.database_url:
        return settings.database_url
    instance = Path(app.instance_path)
    instance.mkdir(mode=0o700, parents=True, exist_ok=True)
    return sa.URL.create("sqlite", database=str(instance / "portero.db"))


def _flask_sqlalchemy_models(app: Flask) -> list[Any]:
    db = app.extensions.get("sqlalchemy")
    return [] if db is None else [db.Model]


def _metadatas_of(source: Any) -> list[sa.MetaData]:
    if isinstance(source, sa.MetaData):
        return [source]
    if isinstance(source, Exposure):
        return []
    return [source.metadata]


def _exposures_of(source: Any) -> list[Exposure]:
    if isinstance(source, Exposure):
        return [source]
    found = () if isinstance(source, sa.MetaData) else exposures_of([source.registry])
    tables = [exposure_of(table) for metadata in _metadatas_of(source) for table in metadata.sorted_tables]
    return [*found, *(each for each in tables if each is not None)]
