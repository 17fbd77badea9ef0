"""Where a link may lead (contract auth.md §4.5, threats BR-10)."""

from __future__ import annotations

import logging

import pytest

from portero.errors import AuthError
from portero.identity import redirects
from portero.settings import Settings

SITE = Settings(url="https://api.example", site_url="https://app.example", redirect_urls=("com.app://login/**",))

EVIL = [
    "//evil.example", r"/\evil.example", "https:evil.example", "https:///evil.example", "\t//evil.example",
    "/%09/evil.example", "https://app.example@evil.example", r"https://app.example\@evil.example",
    r"https://evil.example\.app.example", "javascript:alert(1)", "javascript://app.example/%0aalert(1)",
    "data:text/html,x", "/..//evil.example", "https://app.example\r\nLocation: https://evil.example",
    "https://app.example.evil.example", "https://evilapp.example", "http://app.example", "https://app.example:444",
    "https://3232235777", "https://0x7f000001", "https://192.0.2.1", "https://app.example.", "https://аpp.example",
    "HTTPS://evil.example", "https://app.example%2eevil.example", " https://app.example", "https://app.example ",
    "com.app://other", "https://", "", "https://app.example:99999", "file:///etc/passwd", "/relative",
    "https://" + "a" * 3000,
]  # fmt: skip


@pytest.mark.parametrize("url", EVIL)
def test_what_browsers_and_parsers_may_read_differently_is_never_good(url: str) -> None:
    assert False is redirects.is_allowed(url, SITE)
    assert "https://app.example" == redirects.choose([url], url, SITE)


@pytest.mark.parametrize(
    "url",
    [
        "https://app.example", "https://app.example/", "https://APP.example/x/y?z=1&w=%20#f", "https://app.example:443/",
        "http://127.0.0.1:3000/x", "http://[::1]:3000", "com.app://login/x", "https://app.example/?sb_flow_id=abc",
    ],
)  # fmt: skip
def test_the_site_this_machine_and_the_list_are_good(url: str) -> None:
    assert url == redirects.choose([None, url], None, SITE)


@pytest.mark.parametrize(
    ("expected", "pattern", "url"),
    [
        (True, "https://*.b.example", "https://x.b.example/"),
        (False, "https://*.b.example", "https://x.y.b.example/"),
        (True, "https://**.b.example", "https://x.y.b.example/"),
        (False, "https://*.b.example/*", "https://x.b.example/y/z"),
        (True, "https://*.b.example/**", "https://x.b.example/y/z?q=1"),
        (True, "https://b.example/in", "https://b.example/in?sb_flow_id=1"),
        (True, "https://b.example/in?a=1", "https://b.example/in?sb_flow_id=1&a=1"),
        (False, "https://b.example/in", "https://b.example/in2"),
        (False, "https://b.example.*", "https://b.example.evil/x"),
        (True, "http://localhost:3000/**", "http://localhost:3000/x"),
    ],
)
def test_a_star_stops_at_dots_and_slashes_and_two_do_not(expected: bool, pattern: str, url: str) -> None:
    assert expected is redirects.is_allowed(url, Settings(url="https://api.example", redirect_urls=(pattern,)))


def test_a_bad_one_is_dropped_with_a_line_in_the_log_and_the_referrer_comes_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "portero.redirects"):
        found = redirects.choose(["https://evil.example"], "https://app.example/page", SITE)
    assert "https://app.example/page" == found
    assert "PORTERO_REDIRECT_URLS" in caplog.text


def test_in_development_a_bad_one_is_refused_by_name_and_localhost_is_good() -> None:
    development = Settings(dev=True)
    with pytest.raises(AuthError, match=r"https://evil\.example is not in the allow list"):
        redirects.choose(["https://evil.example"], None, development)
    assert "http://localhost:5173/x" == redirects.choose(["http://localhost:5173/x"], None, development)


def test_the_content_security_policy_names_an_origin_or_an_apps_scheme() -> None:
    sources = [redirects.parse(url) for url in ("https://a.example/x", "http://a.example:81", "com.app://login")]
    assert ["https://a.example", "http://a.example:81", "com.app:"] == [each.source for each in sources if each]
