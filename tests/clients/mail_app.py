"""The application of the mail journeys: nothing but Portero, in development, where addresses are to be proven.

A server loads it by its factory, `tests.clients.mail_app:create_app`; the database comes from MAIL_URL.
"""

from __future__ import annotations

import os
import secrets

from flask import Flask

from portero import JWTManager


def create_app() -> Flask:
    """Make the application; its limits are off, because every step comes from one address."""
    app = Flask("mails")
    app.config.update(
        JWT_SECRET_KEY=os.environ.get("MAIL_SECRET") or secrets.token_urlsafe(48),
        PORTERO_DATABASE_URL=os.environ["MAIL_URL"],
        PORTERO_DEV=True,
        PORTERO_CONFIRM_EMAIL="yes",
        PORTERO_ANONYMOUS_USERS=True,
        PORTERO_SITE_URL="https://app.example",
        PORTERO_THROTTLE_SIGN_UP=0,
        PORTERO_THROTTLE_SIGN_IN=0,
    )
    JWTManager(app)
    return app
