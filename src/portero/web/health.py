"""Whether the process answers (threats OP-13): `/health` touches nothing, so asking it often costs nothing."""

from __future__ import annotations

from typing import Final

#: A load balancer asks here. The application's own route of this name, if there is one, comes first.
PATH: Final = "/health"
ALIVE: Final = b'{"status":"ok"}'
#: Contract auth.md §1.1. The version is the contract's, not the product's: who asks is anybody.
CONTRACT: Final = {
    "version": "2024-01-01",
    "name": "GoTrue",
    "description": "Portero, which speaks the contract of Supabase Auth",
}
