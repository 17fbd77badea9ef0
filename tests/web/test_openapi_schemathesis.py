"""Schemathesis, driven by the API's own description, finds no fault of the server and no answer not described."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask import Flask
from schemathesis import engine
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events
from tests.web.described_app import make_app

from portero.testing import Api, running

#: What is asked here is what is answered; whether a strange request should have been refused is PostgREST's to say.
OTHER_QUESTIONS = ("negative_data_rejection", "positive_data_acceptance", "missing_required_header", "ignored_auth")


@dataclass
class Found:
    """What a run came to."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def config(headers: dict[str, str], *, at_the_edges: bool) -> SchemathesisConfig:
    """Bound the run, and make it the same each time; the edges of every parameter take most of the time."""
    return SchemathesisConfig.from_dict(
        {
            "seed": 20260501,
            "headers": headers,
            "generation": {"max-examples": 5, "deterministic": True, "database": "none"},
            "phases": {"stateful": {"enabled": False}, "coverage": {"enabled": at_the_edges}},
            "checks": {name: {"enabled": False} for name in OTHER_QUESTIONS},
        }
    )


def explore(app: Flask, headers: dict[str, str], *, at_the_edges: bool) -> Found:
    """Let schemathesis loose on the application as a caller with these headers."""
    found = Found()
    chosen = config(headers, at_the_edges=at_the_edges)
    schema = schemathesis.openapi.from_wsgi("/rest/v1/", app, config=chosen, headers=headers)
    for event in engine.from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            found.faults.append(str(event))
        elif isinstance(event, events.ScenarioFinished):
            judge(event.recorder, found)
    return found


def judge(recorder: Any, found: Found) -> None:
    """Count the answers, and note what schemathesis finds wrong with them."""
    for interaction in recorder.interactions.values():
        if interaction.response is not None:
            found.answers[interaction.request.method, interaction.response.status_code] += 1
    for case, checks in recorder.checks.items():
        interaction = recorder.interactions[case]
        for check in checks:
            if check.status.name != "SUCCESS" and not is_silent(interaction.response):
                request = interaction.request
                answer = f"{interaction.response.status_code} {interaction.response.content[:200]!r}"
                found.faults.append(f"{check.name}: {request.method} {request.uri} {request.body!r} -> {answer}")


def is_silent(response: Any) -> bool:
    """Rows are given back only if they are preferred: without content, 201 has no type. OpenAPI cannot say that."""
    return response.status_code == 201 and not response.content


@pytest.fixture
def api(database_url: str, tmp_path: Path) -> Iterator[Api]:
    """The application with a column of every type, on each kind of database."""
    with running(make_app(), tmp_path, database_url=database_url) as opened:
        yield opened


def test_nothing_goes_wrong_for_who_is_signed_in(api: Api) -> None:
    """Reads and writes, by example, at the edges and at random."""
    found = explore(api.application, {"Authorization": f"Bearer {api.sign_in('anna').access_token}"}, at_the_edges=True)
    assert [] == found.faults
    # 403, 409 and 416 are met in most runs: whether a random row meets a taken key is luck, so they are not demanded.
    assert {200, 201, 204, 206, 400} <= {status for _, status in found.answers}
    assert {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} <= {method for method, _ in found.answers}


def test_nothing_goes_wrong_for_who_is_nobody(api: Api) -> None:
    """Who has not signed in is refused with 401 at the most."""
    found = explore(api.application, {}, at_the_edges=False)
    assert [] == found.faults
    statuses = {status for _, status in found.answers}
    # Whether a random row is one that a policy refuses is luck, too.
    assert {200, 201, 400} <= statuses
    assert 403 not in statuses
