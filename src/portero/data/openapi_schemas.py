"""Columns and rows as JSON Schema (draft 2020-12, as OpenAPI 3.1 has it), with PostgREST's notes on keys.

It says what the wire types say, nothing of any row. A foreign key is noted only if the reader may see its target.
Obeys contract data.md §4.12 (Root).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import sqlalchemy as sa

from portero.data.catalogue import Column, Model
from portero.data.wire_types import Kind, WireType
from portero.principal import SERVICE_ROLE

Schema = dict[str, Any]

#: PostgreSQL's word for a type → what JSON Schema says of its values.
_TYPES: Final[Mapping[str, Schema]] = {
    "smallint": {"type": "integer", "minimum": -(2**15), "maximum": 2**15 - 1},
    "integer": {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1},
    "bigint": {"type": "integer", "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1},
    "double precision": {"type": "number", "format": "double"},
    "numeric": {"type": "number"},
    "boolean": {"type": "boolean"},
    "uuid": {"type": "string", "format": "uuid"},
    "timestamp with time zone": {"type": "string", "format": "date-time"},
    "timestamp without time zone": {"type": "string"},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string"},
    "bytea": {"type": "string", "description": "Hexadecimal digits after \\x."},
}
_KINDS: Final[Mapping[Kind, Schema]] = {
    Kind.TEXT: {"type": "string"},
    Kind.NUMBER: {"type": "number"},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.MOMENT: {"type": "string"},
    Kind.UUID: {"type": "string", "format": "uuid"},
    Kind.BYTES: {"type": "string"},
}


def row_schema(model: Model, targets: Collection[str]) -> Schema:
    """Describe a row as it is read.

    Args:
        model: the model.
        targets: the models whose rows the reader may see.
    """
    properties = {name: _read(model, column, targets) for name, column in model.columns.items()}
    return _described(model, {"type": "object", "properties": properties})


def new_row_schema(model: Model, role: str) -> Schema:
    """Describe a row as it is sent: what may be written, and what must be."""
    filled = () if role == SERVICE_ROLE else tuple(model.fill)
    properties = {name: column_schema(column) for name, column in model.writable.items()}
    required = [
        name
        for name, column in model.writable.items()
        if not column.nullable and not column.has_default and name not in filled
    ]
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = required
    return _described(model, schema)


def changes_schema(model: Model) -> Schema:
    """Describe the body of a PATCH: any of the columns that may be written."""
    properties = {name: column_schema(column) for name, column in model.writable.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def column_schema(column: Column) -> Schema:
    """Describe one column's values.

    `x-postgresql-type` is PostgreSQL's word for the type, on both databases.
    """
    schema = {**_of_wire(column.wire), "x-postgresql-type": column.wire.name}
    type_ = column.column.type
    if isinstance(type_, sa.Enum):
        schema["enum"] = [*type_.enums, None] if column.nullable else list(type_.enums)
    elif isinstance(type_, sa.String) and type_.length is not None:
        schema["maxLength"] = type_.length
    if column.nullable and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    if column.column.comment:
        schema["description"] = column.column.comment
    return schema


def _of_wire(wire: WireType) -> Schema:
    if wire.kind is Kind.ARRAY:
        items = _of_wire(wire.element) if wire.element else {}
        if "type" in items:
            items["type"] = [items["type"], "null"]
        return {"type": "array", "items": items}
    return dict(_TYPES.get(wire.name) or _KINDS.get(wire.kind) or {})


def _read(model: Model, column: Column, targets: Collection[str]) -> Schema:
    """A column as it is read, with PostgREST's own notes: programs look for `<pk/>` and `<fk table=… column=…/>`."""
    schema = column_schema(column)
    notes = [schema["description"]] if "description" in schema else []
    if column.name in model.primary_key:
        notes.append("Note:\nThis is a Primary Key.<pk/>")
    for relation in model.relations:
        if not relation.refers or relation.target not in targets:
            continue
        for own, other in relation.pairs:
            if own.name == column.name:
                place = f"`{relation.target}.{other.name}`"
                tag = f"<fk table='{relation.target}' column='{other.name}'/>"
                notes.append(f"Note:\nThis is a Foreign Key to {place}.{tag}")
    if notes:
        schema["description"] = "\n\n".join(dict.fromkeys(notes))
    if column.is_generated:
        schema["readOnly"] = True
    return schema


def _described(model: Model, schema: Schema) -> Schema:
    return {**schema, "description": model.table.comment} if model.table.comment else schema
