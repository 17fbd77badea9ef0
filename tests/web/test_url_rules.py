"""Portero's URL rules match and build as Werkzeug's own do, and are compiled for building only when one is asked."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, url_for
from werkzeug.routing import Map, Rule

from portero import JWTManager
from portero.web.url_rules import MatchingRule, matching_rules


def made() -> Flask:
    app = Flask("rules")
    app.config["JWT_SECRET_KEY"] = secrets.token_urlsafe(48)
    JWTManager(app)
    app.add_url_rule("/own/<int:number>", "own", str)
    return app


def plain_map(app: Flask) -> Map:
    return Map([rule.empty() if type(rule) is Rule else plain(rule) for rule in app.url_map.iter_rules()])


def plain(rule: Rule) -> Rule:
    return Rule(rule.rule, endpoint=rule.endpoint, methods=rule.methods)


def test_a_start_compiles_no_builder_of_portero(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compile_builder: Callable[..., Any] = Rule._compile_builder

    def counted(rule: Rule, append_unknown: bool = True) -> Any:
        compiled.append(rule.rule)
        return compile_builder(rule, append_unknown)

    monkeypatch.setattr(Rule, "_compile_builder", counted)
    app = made()
    assert {"/static/<path:filename>", "/own/<int:number>"} == set(compiled)
    with app.test_request_context():
        assert "/auth/v1/admin/users/7" == url_for("portero.GET:/admin/users/<user_id>", user_id="7")
    assert "/auth/v1/admin/users/<user_id>" in compiled


def test_every_rule_builds_and_matches_what_werkzeugs_own_does() -> None:
    app = made()
    ours, theirs = (one.bind("localhost") for one in (app.url_map, plain_map(app)))
    for rule in app.url_map.iter_rules():
        values = dict.fromkeys(rule.arguments, "7" if rule.endpoint != "own" else 7)
        method = min(rule.methods or {"GET"})
        built = theirs.build(rule.endpoint, values | {"q": "a b"}, method)
        assert built == ours.build(rule.endpoint, values | {"q": "a b"}, method)
        path = built.partition("?")[0]
        assert theirs.match(path, method) == ours.match(path, method)


def test_rules_of_the_application_are_made_of_its_own_class() -> None:
    class OwnRule(Rule):
        pass

    app = Flask("rules")
    with matching_rules(app):
        assert app.url_rule_class is MatchingRule
    assert app.url_rule_class is Rule
    app.url_rule_class = OwnRule
    with matching_rules(app):
        assert app.url_rule_class is OwnRule
