"""What the tests about second factors share: an authenticator app, and people who use one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from tests.identity.people import HOME, NOW, signed_up

from portero.crypto import totp
from portero.identity import mfa
from portero.identity.assurance import Asking
from portero.identity.context import Caller, IdentityContext, SignedIn

STEP = timedelta(seconds=totp.STEP)


@dataclass(frozen=True, slots=True)
class App:
    """An authenticator app that holds one factor."""

    factor_id: UUID
    secret: str

    def code(self, now: datetime = NOW) -> str:
        return totp.code_at(self.secret, int(now.timestamp()) // totp.STEP)


def asking(signed_in: SignedIn, now: datetime = NOW, caller: Caller = HOME) -> Asking:
    """Ask as somebody who is signed in."""
    return Asking(signed_in.user.id, signed_in.session.id, caller, now)


def enrolled(context: IdentityContext, signed_in: SignedIn, name: str = "app", now: datetime = NOW) -> App:
    """Enrol a factor, which is unverified."""
    made = mfa.enrol(context, asking(signed_in, now), mfa.Wish("totp", name))
    return App(made.factor.id, made.secret)


def verified(
    context: IdentityContext, signed_in: SignedIn, app: App, now: datetime = NOW, caller: Caller = HOME
) -> SignedIn:
    """Raise a session with a code of this moment."""
    challenge = mfa.challenge(context, asking(signed_in, now, caller), app.factor_id)
    return mfa.verify(context, asking(signed_in, now, caller), app.factor_id, challenge.id, app.code(now))


def with_second_factor(context: IdentityContext, email: str = "ann@example.org") -> tuple[App, SignedIn]:
    """Sign somebody up, with a verified factor and a session at aal2."""
    signed_in = signed_up(context, email)
    app = enrolled(context, signed_in)
    return app, verified(context, signed_in, app)
