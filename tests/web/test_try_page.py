"""The page to try the data API on: in development only, with nothing from elsewhere and a policy that fits it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.web.described_app import make_app

from portero.testing import Api, running

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """An application in development, as every application under test is."""
    with running(make_app(), tmp_path) as opened:
        yield opened


def test_a_browser_gets_the_page_and_a_program_the_document(api: Api) -> None:
    """At the same address."""
    page = api.get("/rest/v1/", headers=BROWSER)
    assert (200, "text/html; charset=utf-8") == (page.status_code, page.headers["Content-Type"])
    assert "application/openapi+json; charset=utf-8" == api.get("/rest/v1/").headers["Content-Type"]
    assert b"" == api.head("/rest/v1/", headers=BROWSER).data


def test_the_policy_lets_run_what_is_in_the_page_and_nothing_else(api: Api) -> None:
    """By hash: no inline script that is not ours, no other host."""
    page = api.get("/rest/v1/", headers=BROWSER)
    (policy,) = page.headers.getlist("Content-Security-Policy")
    for name in ("script", "style"):
        (block,) = re.findall(rf"<{name}>(.*?)</{name}>", page.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_page_needs_nothing_from_elsewhere_and_writes_no_html(api: Api) -> None:
    """Answers are shown as text, and nothing is kept in the browser."""
    text = api.get("/rest/v1/", headers=BROWSER).text
    assert [] == re.findall(r"https?://|\bsrc=|<link|@import|innerHTML|outerHTML|insertAdjacent|eval\(", text)
    assert [] == re.findall(r"localStorage|sessionStorage|document\.cookie| style=| on[a-z]+=\"", text)
    assert 'data-auth="/auth/v1"' in text


def test_in_production_there_is_no_page(tmp_path: Path) -> None:
    """A browser gets the document too, or the refusal of its type."""
    with running(make_app(), tmp_path) as api:
        extension = api.application.extensions["portero"]
        held = extension.hold(api.application, None)
        extension.hold(api.application, replace(held, settings=replace(held.settings, dev=False)))
        assert (
            "application/openapi+json; charset=utf-8" == api.get("/rest/v1/", headers=BROWSER).headers["Content-Type"]
        )
