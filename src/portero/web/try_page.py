"""The page on which the data API can be tried, in development only: one file, no assets from anywhere.

It holds nothing of the application: it reads the OpenAPI document as its caller does, and keeps a token in the page's
memory only. Its policy lets run exactly the script and the style that are in the file, by their hashes; all that is
shown is put in as text.
"""

from __future__ import annotations

import html
import re
from importlib.resources import files
from typing import Final

from portero.data.nodes import DataAnswer
from portero.figures import kept
from portero.settings import Settings
from portero.web.headers import security_headers
from portero.web.own_styles import source_of

_BLOCKS: Final = {
    "script": re.compile(r"<script>(.*?)</script>", re.DOTALL),
    "style": re.compile(r"<style>(.*?)</style>", re.DOTALL),
}
_POLICY: Final = "Content-Security-Policy"


def is_wanted(accept: str, method: str, path: str, settings: Settings) -> bool:
    """Say whether a browser asks for the root, and this is development.

    >>> is_wanted("text/html,*/*;q=0.8", "GET", "/", Settings(dev=True))
    True
    >>> is_wanted("text/html,*/*;q=0.8", "GET", "/", Settings())
    False
    >>> is_wanted("application/json", "GET", "/", Settings(dev=True))
    False
    """
    return settings.dev and path in ("", "/") and method in ("GET", "HEAD") and accept.startswith("text/html")


def answer(settings: Settings) -> DataAnswer:
    """Give the page."""
    page, policy = _page(settings.auth_path)
    kept = [header for header in security_headers(settings) if header[0] != _POLICY]
    return DataAnswer(200, [("Content-Type", "text/html; charset=utf-8"), (_POLICY, policy), *kept], page)


@kept("try_pages", 4)
def _page(auth_path: str) -> tuple[bytes, str]:
    text = files("portero.web").joinpath("try_page.html").read_text(encoding="utf-8")
    sources = {name: " ".join(source_of(block) for block in found.findall(text)) for name, found in _BLOCKS.items()}
    policy = (
        f"default-src 'none'; script-src {sources['script']}; style-src {sources['style']}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text.replace("{{auth}}", html.escape(auth_path)).encode(), policy
