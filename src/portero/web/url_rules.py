"""URL rules that match at once and learn to build URLs when somebody first asks for one.

Werkzeug compiles two functions for each rule, for `url_for`; of the ninety of Portero hardly one is ever asked, and to
compile them took a twentieth of the time to start. What they match, and what `app.url_map` shows, is the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask
from werkzeug.routing import Rule


class MatchingRule(Rule):
    """A rule whose builders are compiled when they are first called."""

    # Werkzeug's own step. Were it called otherwise in a later version, nothing would be put off, and all would work.
    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        made: list[Callable[..., tuple[str, str]]] = []

        def build(rule: Rule, **values: Any) -> tuple[str, str]:
            if not made:
                # Two threads may both come here: then it is compiled twice, to the same.
                made.append(Rule._compile_builder(rule, append_unknown))
            return made[0](rule, **values)

        return build


@contextlib.contextmanager
def matching_rules(app: Flask) -> Iterator[None]:
    """Let an application's rules be made so in the block, unless it has a class of its own for them."""
    plain = app.url_rule_class
    if plain is Rule:
        app.url_rule_class = MatchingRule
    try:
        yield
    finally:
        app.url_rule_class = plain
