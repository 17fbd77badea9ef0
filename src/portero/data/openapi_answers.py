"""Every answer the data API gives, described once: statuses, headers, media types, and the one form of a refusal.

Obeys contract data.md §4.5–4.8, §4.10.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Described = dict[str, Any]

#: Status → (component, sentence, further headers).
_REFUSALS: Final[Mapping[int, tuple[str, str, tuple[str, ...]]]] = {
    300: ("Ambiguous", "More than one relation fits an embed; `details` lists them (PGRST201).", ()),
    400: (
        "BadRequest",
        "The request cannot be understood, or a value does not fit (PGRST1xx, PGRST2xx, 22xxx, …).",
        (),
    ),
    401: (
        "Unauthorized",
        "The token is refused, or only signed-in callers may (PGRST30x, 42501).",
        ("WWW-Authenticate",),
    ),
    403: ("Forbidden", "The caller may not, or the written row would not be theirs to write (42501).", ()),
    404: ("NotFound", "No such table or operator (PGRST205, 42883).", ()),
    405: ("MethodNotAllowed", "The method is not served here (PGRST105, PGRST117).", ()),
    406: ("NotAcceptable", "No such media type or schema, or not exactly one row (PGRST106, PGRST107, PGRST116).", ()),
    409: ("Conflict", "A unique or foreign key is violated (23505, 23503).", ()),
    412: ("PreconditionFailed", "If-Match names another version of the row (PORTERO412).", ()),
    413: ("ContentTooLarge", "The body or the batch is too large (PGRST102, 54000).", ()),
    415: ("UnsupportedMediaType", "A compressed body (PGRST102).", ()),
    416: ("RangeNotSatisfiable", "The page is not there (PGRST103).", ()),
    503: ("Unavailable", "The database cannot be asked now (PGRST000).", ("Retry-After",)),
}
_HEADERS: Final[Mapping[str, str]] = {
    "Content-Range": "first-last/total; `*` where there is no row, or nobody asked for the total.",
    "Content-Location": "The path and the parameters, sorted.",
    "Preference-Applied": "What of `Prefer` was followed.",
    "Location": "The new row, with return=headers-only.",
    "ETag": "The version of the only row, if all its columns are shown.",
    "Warning": "An embed with an alias was called by its target's name (299).",
    "Proxy-Status": "The refusal's code.",
    "WWW-Authenticate": "How to sign in.",
    "Retry-After": "Seconds.",
    "Allow": "The methods the table allows.",
}
READ_REFUSALS: Final = (300, 400, 401, 403, 404, 406, 416, 503)
WRITE_REFUSALS: Final = (300, 400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 416, 503)
_OBJECT: Final = "application/vnd.pgrst.object+json"


def headers() -> Described:
    """Describe the headers."""
    return {name: {"description": sentence, "schema": {"type": "string"}} for name, sentence in _HEADERS.items()}


def responses() -> Described:
    """Describe the refusals."""
    return {
        name: {
            "description": sentence,
            "headers": _named("Proxy-Status", *also),
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
        }
        for name, sentence, also in _REFUSALS.values()
    }


def schemas() -> Described:
    """Describe the form of a refusal, and of a row whose form the request decides."""
    text = {"type": ["string", "null"]}
    return {
        "Refusal": {
            "type": "object",
            "required": ["code", "message", "details", "hint"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "details": {"description": "Text; of an ambiguous embed the list of relations."},
                "hint": text,
                "operation": {"type": "integer", "description": "Of a batch: the place of the refused operation."},
            },
        },
        "Selected": {"type": "object", "description": "A row as `select` asked for it."},
    }


def refusals(statuses: tuple[int, ...]) -> Described:
    """Refer to the refusals of an operation."""
    return {str(status): {"$ref": f"#/components/responses/{_REFUSALS[status][0]}"} for status in statuses}


def rows(sentence: str, row: str, *header_names: str) -> Described:
    """Describe an answer with rows of a schema; a `select` may have given them another form.

    Args:
        sentence: what the status says.
        row: the name of the row's schema.
    """
    one = {"anyOf": [{"$ref": f"#/components/schemas/{row}"}, {"$ref": "#/components/schemas/Selected"}]}
    many = {"type": "array", "items": one}
    content = {
        "application/json": {"schema": many},
        _OBJECT: {"schema": one},
        "text/csv": {"schema": {"type": "string"}},
    }
    return {"description": sentence, "headers": _named(*header_names), "content": content}


def empty(sentence: str, *header_names: str) -> Described:
    """Describe an answer without a body."""
    return {"description": sentence, "headers": _named(*header_names)}


def _named(*names: str) -> Described:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
