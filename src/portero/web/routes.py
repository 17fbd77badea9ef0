"""Every URL of `/auth/v1` with its gate and its limit, on one screen; the views are in `web/auth`, one file a capability."""

from __future__ import annotations

from flask import Blueprint

from portero.settings import Settings


def blueprint(settings: Settings) -> Blueprint:
    """Return the blueprint that serves Supabase Auth's contract under `settings.auth_path`, and `/health`.

    Register it without a `url_prefix`. It answers JSON for everything below its path: 404, 405, 413 and 500 too.
    """
    raise NotImplementedError
