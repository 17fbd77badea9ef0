"""Portero: sign-in and a data API for Flask applications. The public names, nothing else.

`from portero import JWTManager` is all that an application of Flask-JWT-Extended changes; its names are here too.
"""

import gc

# What is loaded stays. The collector would walk all of it again and again meanwhile: a sixth of the time to start. It
# waits, and finds what was made meanwhile among what is old: to freeze and let go puts it there without a walk. Or else
# the next object that is made were reason to walk through all of it. What an application froze itself stays frozen.
_collects = gc.isenabled()
gc.disable()

from flask_jwt_extended import (  # noqa: E402
    create_access_token,
    create_refresh_token,
    current_user,
    decode_token,
    get_csrf_token,
    get_current_user,
    get_jti,
    get_jwt,
    get_jwt_header,
    get_jwt_request_location,
    get_unverified_jwt_headers,
    set_access_cookies,
    set_refresh_cookies,
    unset_access_cookies,
    unset_jwt_cookies,
    unset_refresh_cookies,
)

from portero.store import sqlite_driver  # noqa: E402

# Before any engine is made: two SQLite libraries in one process lose each other's locks, and with them writes.
sqlite_driver.use_one_library()

from portero import users  # noqa: E402
from portero.data.caller import me  # noqa: E402
from portero.data.decimals import Decimal  # noqa: E402
from portero.data.exposure import expose, expose_table, own  # noqa: E402
from portero.data.functions import rpc  # noqa: E402
from portero.data.policy import allow_all, deny_all  # noqa: E402
from portero.errors import AuthError, ConfigurationError, DatabaseUnavailable, DataError, PorteroError, Refused  # noqa: E402
from portero.extension import JWTManager, Portero  # noqa: E402
from portero.identity.hooks import on  # noqa: E402
from portero.principal import Principal  # noqa: E402
from portero.protection import get_jwt_identity, jwt_required, verify_jwt_in_request  # noqa: E402
from portero.python_api import reading, sign_in, writing  # noqa: E402
from portero.store.tables import Session, User  # noqa: E402

if _collects:
    if not gc.get_freeze_count():
        gc.freeze()
        gc.unfreeze()
    gc.enable()

__all__ = [
    "AuthError",
    "ConfigurationError",
    "DataError",
    "DatabaseUnavailable",
    "Decimal",
    "JWTManager",
    "Portero",
    "PorteroError",
    "Principal",
    "Refused",
    "Session",
    "User",
    "allow_all",
    "create_access_token",
    "create_refresh_token",
    "current_user",
    "decode_token",
    "deny_all",
    "expose",
    "expose_table",
    "get_csrf_token",
    "get_current_user",
    "get_jti",
    "get_jwt",
    "get_jwt_header",
    "get_jwt_identity",
    "get_jwt_request_location",
    "get_unverified_jwt_headers",
    "jwt_required",
    "me",
    "on",
    "own",
    "reading",
    "rpc",
    "set_access_cookies",
    "set_refresh_cookies",
    "sign_in",
    "unset_access_cookies",
    "unset_jwt_cookies",
    "unset_refresh_cookies",
    "users",
    "verify_jwt_in_request",
    "writing",
]
