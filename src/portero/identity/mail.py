"""Mails: written to the outbox in the transaction that wants them, sealed, and read again by who sends or shows them.

Nothing is sent here, so a request never waits for a mail server (threats RL-27). Links in mails are made from the
configured address, never from a request's Host (MF-16).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from portero.crypto import sealing
from portero.errors import AuthError
from portero.identity.context import Caller, Change, IdentityContext
from portero.identity.mail_templates import MailKind, Rendered, language_of
from portero.records import dataclass
from portero.settings import Settings
from portero.store import outbox
from portero.store.outbox import OutgoingMailRecord
from portero.store.users import UserRecord

_SEALED_FOR: Final = "outbox/"


@dataclass(frozen=True, slots=True)
class Message:
    """A mail as it is sent; `values` are what its template was filled with, for the `send_email` hook."""

    to: str
    rendered: Rendered
    kind: str = ""
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    user_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail to be written.

    Attributes:
        kind: which.
        to: the address, in stored form.
        values: what its template is filled with; hold secrets.
        expires_at: after this it is not worth sending.
    """

    kind: MailKind
    to: str
    values: Mapping[str, str] = field(repr=False)
    expires_at: datetime


def can_send(settings: Settings) -> bool:
    """Tell whether mails go anywhere: to a mail server, or in development to the local mail box."""
    return bool(settings.smtp_url) or settings.dev


def confirms_itself(settings: Settings) -> bool:
    """Tell whether a sign-up needs no proof of its address (docs/decisions/0008-sign-in.md)."""
    if settings.confirm_email == "auto":
        return settings.dev or not settings.smtp_url
    return settings.confirm_email == "no"


def require(settings: Settings, status: int = 422) -> None:
    """Refuse what needs a mail where none can be sent.

    Raises:
        AuthError: email_provider_disabled.
    """
    if not can_send(settings):
        raise AuthError(status, "email_provider_disabled", "Email logins are disabled: no mail server is configured")


def require_sign_in(settings: Settings, status: int = 422) -> None:
    """Refuse what signs in by a mail where e-mail addresses sign nobody in, or where no mail can be sent.

    Raises:
        AuthError: email_provider_disabled.
    """
    if not settings.email_sign_in:
        raise AuthError(status, "email_provider_disabled", "Email logins are disabled")
    require(settings, status)


def render(context: IdentityContext, letter: Letter, metadata: Mapping[str, Any], caller: Caller) -> Message:
    """Fill the templates of a mail in its reader's language."""
    language = language_of(metadata.get("locale"), caller.languages)
    rendered = context.mail_templates.render(letter.kind, language, letter.values, metadata)
    return Message(letter.to, rendered, letter.kind.value, letter.values)


def post(
    context: IdentityContext, change: Change, letter: Letter, user: UserRecord, caller: Caller, now: datetime
) -> None:
    """Write a mail to the outbox; it is sent after the transaction's commit."""
    mail_id = uuid4()
    sealed = _sealed(context, render(context, letter, user.user_metadata, caller), str(mail_id))
    record = OutgoingMailRecord(
        id=mail_id,
        user_id=user.id,
        kind=letter.kind.value,
        sealed_message=sealed,
        created_at=now,
        expires_at=letter.expires_at,
        next_try_at=now,
    )
    outbox.insert(change.connection, record)
    change.mails.append(mail_id)


def read(context: IdentityContext, record: OutgoingMailRecord) -> Message | None:
    """Open a mail of the outbox; None if its text was removed, or was sealed under a secret that is no more."""
    if record.sealed_message is None:
        return None
    try:
        opened, _ = sealing.unseal(record.sealed_message, context.outbox_keys, _SEALED_FOR + str(record.id))
    except ValueError:
        return None
    members = json.loads(opened)
    rendered = Rendered(members["subject"], members["text"], members["html"])
    return Message(members["to"], rendered, record.kind, members.get("values", {}), record.user_id)


def _sealed(context: IdentityContext, message: Message, mail_id: str) -> bytes:
    rendered = message.rendered
    members = {
        "to": message.to,
        "subject": rendered.subject,
        "text": rendered.text,
        "html": rendered.html,
        "values": dict(message.values),
    }
    return sealing.seal(json.dumps(members).encode(), context.outbox_keys[0], _SEALED_FOR + mail_id)
