"""`/.well-known/jwks.json`: the public keys tokens verify with (contract auth.md §1.1); empty with a shared secret."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from portero.web.runtime import Runtime

#: Clients keep the answer ten minutes by themselves; a new key signs nothing that an old answer cannot wait for.
CACHE_CONTROL: Final = "public, max-age=600"


def jwks(runtime: Runtime, now: datetime) -> dict[str, Any]:
    """Return the key set to publish."""
    held = runtime.identity.keyring.jwks(now.timestamp())["keys"]
    return {"keys": [{**key, "key_ops": ["verify"]} for key in held]}
