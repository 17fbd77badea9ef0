"""Every setting, one row each: name, type, default, sentence. Read once at freeze, then frozen.

`PORTERO_*` is read from the Flask config, then from the environment (a value in the config wins). An unknown
`PORTERO_*` name is refused: a typing error must not switch a protection off. The `JWT_*` settings stay
Flask-JWT-Extended's; `secret_rules` in `crypto` judges `JWT_SECRET_KEY`.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from portero.errors import ConfigurationError
from portero.records import dataclass

PREFIX = "PORTERO_"
#: Defaults of settings that the store has too, where it is opened without any.
STATEMENT_TIMEOUT: Final = timedelta(seconds=5)
SQLITE_CACHE: Final = 32
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
#: What users can be told by mail without having asked for one.
NOTICES: Final = (
    "new_device",
    "password_changed",
    "email_changed",
    "mfa_factor_enrolled",
    "mfa_factor_unenrolled",
    "account_exists",
)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is wanted")
    return value.strip()


def _whole(value: Any) -> int:
    if isinstance(value, bool):
        raise ValueError("a whole number is wanted")
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise ValueError("a whole number is wanted") from None
    if number < 0:
        raise ValueError("it must not be negative")
    return number


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    try:
        return words[str(value).strip().lower()]
    except KeyError:
        raise ValueError("yes or no is wanted") from None


def _one_of(*words: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        word = _text(value).lower()
        if word not in words:
            raise ValueError(f"it is one of {', '.join(words)}")
        return word

    return read


def _seconds(value: Any) -> timedelta:
    return value if isinstance(value, timedelta) else timedelta(seconds=_whole(value))


def _names(value: Any) -> tuple[str, ...]:
    parts: Iterable[str] = value.split(",") if isinstance(value, str) else value
    return tuple(part.strip() for part in parts if part.strip())


def _some_of(*words: str) -> Callable[[Any], tuple[str, ...]]:
    def read(value: Any) -> tuple[str, ...]:
        found = _names(value)
        unknown = [name for name in found if name not in words]
        if unknown:
            raise ValueError(f"it is some of {', '.join(words)}, or nothing")
        return found

    return read


def _yes_no_auto(value: Any) -> str:
    if str(value).strip().lower() == "auto":
        return "auto"
    return "yes" if _flag(value) else "no"


def _smtp_url(value: Any) -> str:
    """Check the form of a mail server's URL; a fault is told without repeating it, for it holds a password."""
    text = _text(value)
    if not text:
        return ""
    parts = urlsplit(text)
    if parts.scheme not in ("smtps", "smtp+starttls", "smtp") or not parts.hostname or (parts.port or 1) < 1:
        raise ValueError("it is written smtps://user:password@host:port (or smtp+starttls://, or smtp://localhost)")
    if parts.scheme == "smtp" and parts.password and parts.hostname not in LOOPBACK:
        raise ValueError("a password is not sent in the clear: use smtps:// or smtp+starttls://")
    return text


def _https_url(value: Any) -> str:
    text = _text(value).rstrip("/")
    parts = urlsplit(text)
    if text and not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)):
        raise ValueError("it begins with https://, or with http:// on this machine")
    return text


def _row(read: Callable[[Any], Any], default: Any, sentence: str, *, is_secret: bool = False) -> Any:
    metadata = {"read": read, "sentence": sentence, "is_secret": is_secret}
    return field(default=default, metadata=metadata, repr=not is_secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The frozen settings of one application. `docs/reference/settings.md` is made from these rows."""

    url: str = _row(_text, "http://127.0.0.1:8000", "The public address; `iss` of every token is this plus /auth/v1.")
    database_url: str = _row(_text, "", "SQLAlchemy URL; default: Flask-SQLAlchemy's engine, else instance/portero.db.")
    dev: bool = _row(_flag, False, "Development: missing tables are made, sign-ups confirm themselves.")
    auth_path: str = _row(_text, "/auth/v1", "Where Supabase Auth's contract is served.")
    data_path: str = _row(_text, "/rest/v1", "Where PostgREST's protocol is served.")
    data_through_flask: bool = _row(_flag, False, "Serve the data API as a Flask view, so that Flask's hooks see it.")
    disable_signup: bool = _row(_flag, False, "Refuse sign-ups; users are made by administrators only.")
    email_sign_in: bool = _row(
        _flag, True, "Let users sign up and sign in with an e-mail address at the auth API, and recover a password."
    )
    magic_links: bool = _row(_flag, True, "Let users sign in by a mailed link or code (POST /otp).")
    require_api_key: bool = _row(_flag, False, "Refuse requests without an apikey (default: they are the role anon).")
    accept_shared_secret_tokens: bool = _row(
        _flag, False, "Migration only: accept hand-made HS256 tokens without a session. Shown by `portero doctor`."
    )
    captcha_secret: str = _row(
        _text,
        "",
        "Secret of hCaptcha or Turnstile: sign-ups, sign-ins and mails then need a solved captcha.",
        is_secret=True,
    )
    captcha_provider: str = _row(_one_of("hcaptcha", "turnstile"), "hcaptcha", "hcaptcha or turnstile.")
    captcha_url: str = _row(_https_url, "", "Where captchas are verified, if not at the provider's own address.")
    cors_origins: tuple[str, ...] = _row(
        _names, ("*",), "Origins browsers may call from; * allows any, without cookies."
    )
    trusted_proxies: int = _row(_whole, 0, "How many proxies in front set X-Forwarded-For; 0 ignores the header.")
    session_time_box: timedelta = _row(_seconds, timedelta(days=30), "A session ends this long after its sign-in.")
    session_idle: timedelta = _row(_seconds, timedelta(days=14), "A session unrefreshed for this long ends.")
    session_low_aal: timedelta = _row(
        _seconds,
        timedelta(0),
        "A session without the second factor its user has ends this long after its sign-in. 0: not.",
    )
    session_single: bool = _row(
        _flag, False, "Of a user's sessions only the latest signed in or refreshed survives its next refresh."
    )
    password_min_length: int = _row(_whole, 8, "Shortest password; NIST's figure without a second factor is 15.")
    breach_check_url: str = _row(
        _https_url,
        "",
        "Ask here whether a new password was in a breach: https://api.pwnedpasswords.com/range or a copy.",
    )
    password_slots: int = _row(_whole, 0, "Password hashes computed at one time; 0 means one per core.")
    request_timeout: timedelta = _row(
        _seconds, timedelta(seconds=10), "A request to the auth API that takes longer is answered 504; 0: no limit."
    )
    throttle_sign_in: int = _row(_whole, 30, "Sign-in attempts a minute from one address.")
    throttle_sign_up: int = _row(_whole, 20, "Sign-ups a minute from one address.")
    throttle_refresh: int = _row(_whole, 60, "Refreshes a minute of one session.")
    throttle_update: int = _row(_whole, 30, "Changes of a user's own record in five minutes.")
    throttle_mfa: int = _row(_whole, 15, "Challenges and codes of second factors a minute, of one user.")
    mails_per_hour: int = _row(_whole, 0, "Mails that all callers together may cause in an hour; 0: no limit.")
    mfa_enroll: bool = _row(_flag, True, "Let users enrol second factors; those enrolled before go on to count.")
    mfa_verify: bool = _row(
        _flag, True, "Let users show their second factors; without it nobody reaches aal2, and who needs it waits."
    )
    sweep_interval: timedelta = _row(
        _seconds,
        timedelta(minutes=15),
        "How often a server removes what is over; one of its workers does it. 0: never.",
    )
    audit_kept: timedelta = _row(
        _seconds, timedelta(days=365), "How long entries of the audit are kept; 0 keeps them for ever."
    )
    unconfirmed_kept: timedelta = _row(
        _seconds,
        timedelta(days=30),
        "A sign-up whose address nobody confirmed goes this long after its last mail; 0 keeps it for ever.",
    )
    max_rows: int = _row(_whole, 1000, "Most rows in one answer, at every level of a read.")
    max_body: int = _row(_whole, 1024 * 1024, "Largest request body at the data API; bytes.")
    max_batch: int = _row(_whole, 500, "Most rows in one bulk insert.")
    max_embed_depth: int = _row(_whole, 5, "Deepest embed in one read.")
    max_conditions: int = _row(_whole, 100, "Most filter conditions and order terms in one request.")
    max_list: int = _row(_whole, 500, "Longest in.(…) list.")
    max_pattern: int = _row(_whole, 256, "Longest LIKE or regular-expression pattern, or full-text query; characters.")
    statement_timeout: timedelta = _row(_seconds, STATEMENT_TIMEOUT, "Longest run of one statement.")
    sqlite_cache: int = _row(
        _whole,
        SQLITE_CACHE,
        "Megabytes of SQLite's pages that a reading connection keeps; of these a worker has four or more.",
    )
    require_write_filter: bool = _row(_flag, False, "Refuse PATCH and DELETE without a filter.")
    aggregates: bool = _row(_flag, False, "Allow count(), sum(), avg(), min(), max() in select for every model.")
    openapi: bool = _row(_flag, True, "Describe the data API at its root (OpenAPI), to each caller what they may do.")
    transaction_end: str = _row(
        _one_of("commit", "commit-allow-override", "rollback", "rollback-allow-override"),
        "commit",
        "commit, commit-allow-override, rollback or rollback-allow-override; rollback is for tests.",
    )
    errors: str = _row(
        _one_of("full", "minimal"), "full", "What refusals of the data API say: full, or minimal (no details, no hint)."
    )
    embed_names: str = _row(
        _one_of("any", "alias"), "any", "Names of an embed in filters: any, or alias: the alias alone where it has one."
    )
    trace_header: str = _row(
        _text, "", "A request header that the answers of the data API give back, such as X-Request-Id."
    )
    max_embeds: int = _row(_whole, 50, "Most embeds in one read.")
    max_new_shapes: int = _row(
        _whole,
        50,
        "New kinds of data request that a caller may send in a second, five times as many at once; 0: any.",
    )
    max_select: int = _row(_whole, 300, "Most items in one select, those of its embeds included.")
    max_sources: int = _row(
        _whole, 512, "Most tables that one statement reads; a filter on an embed reads the embed's once more."
    )
    max_tree_depth: int = _row(_whole, 32, "Deepest and(…), or(…) within one another.")
    max_json_path: int = _row(_whole, 32, "Most arrows in one JSON path.")
    max_json_depth: int = _row(_whole, 32, "Deepest JSON in a request body.")
    max_operations: int = _row(_whole, 100, "Most operations in one batch: they hold the writer's turn together.")
    max_batch_rows: int = _row(_whole, 10_000, "Most rows that the operations of one batch give back together.")
    server_timing: bool = _row(_flag, False, "Add Server-Timing to the answers of the data API.")
    smtp_url: str = _row(
        _smtp_url, "", "Mail server: smtps://user:password@host:465, or smtp+starttls://…:587.", is_secret=True
    )
    mail_from: str = _row(_text, "", "Whom mails come from, such as Shop <no-reply@shop.example>; needed to send any.")
    site_url: str = _row(
        _text, "", "Where links in mails lead in the end, unless redirect_to says so; default: the URL."
    )
    redirect_urls: tuple[str, ...] = _row(
        _names, (), "Further addresses redirect_to may name; * stands for anything but . and /, ** for anything."
    )
    confirm_email: str = _row(
        _yes_no_auto,
        "auto",
        "Whether sign-ups confirm their address; auto: not in development, nor without mail server.",
    )
    anonymous_users: bool = _row(_flag, False, "Allow sign-ups without an address, which can be added later.")
    otp_silent: bool = _row(_flag, False, "POST /otp with create_user false answers 200 for unknown addresses too.")
    notices: tuple[str, ...] = _row(
        _some_of(*NOTICES), NOTICES, "Of what users are told by mail unasked; empty for nothing. See Send mails."
    )
    require_current_password: bool = _row(
        _flag, False, "Who changes a password says the present one, unless a mailed link or code opened the session."
    )
    reauthenticate_after: timedelta = _row(
        _seconds, timedelta(0), "A session this old changes the password with a mailed nonce only; 0 asks for none."
    )


def read_settings(config: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Read every `PORTERO_*` setting.

    >>> read_settings({"PORTERO_MAX_ROWS": 50}, {"PORTERO_DEV": "yes"}).max_rows
    50

    Raises:
        ConfigurationError: an unknown name, or a value of the wrong type.
    """
    given = {name: value for name, value in environ.items() if name.startswith(PREFIX)}
    given.update({name: value for name, value in config.items() if name.startswith(PREFIX)})
    rows = {PREFIX + row.name.upper(): row for row in dataclasses.fields(Settings)}
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name in OUTSIDE:
            continue
        row = rows.get(name)
        if row is None:
            near = difflib.get_close_matches(name, rows, 1, 0.8)
            meant = f"did you mean {near[0]}? " if near else ""
            raise ConfigurationError(
                f"{name} is not a setting of Portero; {meant}`portero doctor --settings` lists them."
            )
        try:
            values[row.name] = row.metadata["read"](value)
        except (TypeError, ValueError) as error:
            shown = "what it is" if row.metadata["is_secret"] else repr(value)
            raise ConfigurationError(f"{name} cannot be {shown}: {error}.") from None
    return Settings(**values)


#: Names with the prefix that are read by tools around the application, not by it.
OUTSIDE = frozenset({"PORTERO_PACKS", "PORTERO_PUBLISHABLE_KEY", "PORTERO_SECRET_KEY", "PORTERO_APP"})
