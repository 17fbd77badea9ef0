"""The batch in the OpenAPI document: an extension of PostgREST, described as far as the operations are.

What an operation may be stands with the tables and functions; here is only the form of the list and of its answer.
"""

from __future__ import annotations

from typing import Any, Final

from portero.data import openapi_answers as answers

_REFUSALS: Final = (300, 400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 416, 503)
_METHODS: Final = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE")
_HEADERS: Final = (
    "Accept",
    "Prefer",
    "Range",
    "Range-Unit",
    "Accept-Profile",
    "Content-Profile",
    "Content-Type",
    "If-Match",
)
_DESCRIPTION: Final = (
    "Runs operations on any tables and functions in one transaction, in order: all of them, or none. Each is what it "
    "would be alone, with the same policies. The first refusal undoes everything and is the answer; `operation` is its "
    "place in the list. `Prefer: tx=…` and who asks are said by the batch's own headers."
)


def schemas(most: int) -> dict[str, Any]:
    """Describe the list of operations and the list of answers.

    Args:
        most: most operations of one batch.
    """
    operation = {
        "type": "object",
        "required": ["method", "path"],
        "additionalProperties": False,
        "properties": {
            "method": {"type": "string", "enum": list(_METHODS)},
            "path": {"type": "string", "description": "A table's or a function's, with its query.", "pattern": "^/."},
            "headers": {
                "type": "object",
                "additionalProperties": False,
                "properties": {name: {"type": "string"} for name in _HEADERS},
            },
            "body": {"description": "JSON; a text where Content-Type says something else. GET and HEAD have none."},
        },
    }
    answer = {
        "type": "object",
        "required": ["status", "headers", "body"],
        "properties": {
            "status": {"type": "integer"},
            "headers": {"type": "object", "additionalProperties": {"type": "string"}},
            "body": {"description": "JSON as JSON, anything else as text, null without one."},
        },
    }
    return {
        "Batch": {"type": "array", "maxItems": most, "items": operation},
        "BatchAnswers": {"type": "array", "items": answer},
    }


def path() -> dict[str, Any]:
    """Describe the endpoint."""
    tags = ["Batch"]
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/BatchAnswers"}}}
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/Batch"}}}
    post = {
        "tags": tags,
        "summary": "Run several operations, all or none",
        "description": _DESCRIPTION,
        "requestBody": {"required": True, "content": body},
        "responses": {
            "200": {"description": "The answers of the operations, in their order.", "content": content},
            **answers.refusals(_REFUSALS),
        },
    }
    allow = {"200": answers.empty("The methods.", "Allow"), **answers.refusals((401, 503))}
    return {"post": post, "options": {"tags": tags, "summary": "Ask for the methods", "responses": allow}}
