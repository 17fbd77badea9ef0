"""Functions and batches in the OpenAPI document: those that callers of a role may call, with their arguments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from portero.data import openapi_answers as answers
from portero.data.functions import Function, Parameter

_REFUSALS = (300, 400, 401, 403, 404, 405, 406, 409, 413, 415, 416, 503)
_TAG = "Functions"


def function_paths(functions: Iterable[Function], role: str) -> dict[str, Any]:
    """Describe the functions that callers of a role may call, by path."""
    return {f"/rpc/{quote(each.name, safe='')}": _path(each) for each in functions if role in each.roles}


def _path(function: Function) -> dict[str, Any]:
    operation = {"tags": [_TAG], "summary": function.summary or f"Call {function.name}"}
    given = _answers()
    post = {**operation, "responses": given, "requestBody": _body(function)}
    path: dict[str, Any] = {"post": post}
    if function.is_read_only:
        arguments = [_argument(each) for each in function.parameters.values()]
        path["get"] = {**operation, "parameters": arguments, "responses": given}
        silent = {status: answers.empty("As for GET, without the body.") for status in given}
        path["head"] = {**operation, "parameters": arguments, "responses": silent}
    allow = answers.empty("The methods.", "Allow")
    path["options"] = {
        "tags": [_TAG],
        "summary": "Ask for the methods",
        "responses": {"200": allow, **answers.refusals((401, 503))},
    }
    return path


def _answers() -> dict[str, Any]:
    content = {"application/json": {"schema": {}}, "text/csv": {"schema": {"type": "string"}}}
    content["application/vnd.pgrst.object+json"] = {"schema": {}}
    return {
        "200": {"description": "What it gives.", "content": content},
        "204": answers.empty("It gives nothing, or return=minimal was preferred."),
        "206": {"description": "A page of its rows; the total was asked for.", "content": content},
        **answers.refusals(_REFUSALS),
    }


def _argument(parameter: Parameter) -> dict[str, Any]:
    argument = {"name": parameter.name, "in": "query", "required": parameter.is_required}
    if parameter.type.schema.get("type") in ("array", "object", None):
        # An array is written {a,b} and a document as its JSON: both are texts in a query.
        return {**argument, "schema": {"type": "string"}}
    return {**argument, "schema": dict(parameter.type.schema)}


def _body(function: Function) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: _schema(each) for name, each in function.parameters.items()},
        "additionalProperties": False,
    }
    required = [name for name, each in function.parameters.items() if each.is_required]
    if required:
        schema["required"] = required
    return {"required": bool(required), "content": {"application/json": {"schema": schema}}}


def _schema(parameter: Parameter) -> dict[str, Any]:
    schema = dict(parameter.type.schema)
    if parameter.type.allows_null and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    return schema
