"""The OpenAPI 3.1 document of the data API, for one role: what it may see and do, and nothing else.

It is made from the catalogue alone; no row, no user and no policy's text is in it. A verb that has no policy, or the
policy `deny_all`, is not there for that role. Obeys contract data.md §4.8, §4.12.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import field
from typing import Any, Final
from urllib.parse import quote

import sqlalchemy as sa

from portero.data import openapi_answers as answers
from portero.data import openapi_batch
from portero.data import openapi_parameters as parameters
from portero.data import openapi_schemas as schemas
from portero.data.catalogue import Catalogue, Model
from portero.data.functions import Function
from portero.data.openapi_functions import function_paths
from portero.data.policy import Verb
from portero.data.relations import Relation
from portero.principal import SERVICE_ROLE
from portero.records import dataclass

_UNFIT: Final = re.compile(r"[^A-Za-z0-9._-]")
_INFO: Final = {
    "title": "Data API",
    "version": "1",
    "description": "Tables of this application over HTTP, in PostgREST's protocol, as the present caller may use them.",
}


def document(
    catalogue: Catalogue, role: str, server: str, functions: Iterable[Function] = (), most_operations: int = 100
) -> dict[str, Any]:
    """Describe the API as callers of a role may use it.

    Args:
        catalogue: the exposed models.
        role: the caller's.
        server: where the data API is served, such as `/rest/v1`.
        functions: those that are served.
        most_operations: most operations of one batch.
    """
    writer = _Writer(catalogue, role)
    paths = {"/": _root_path()}
    for model in catalogue.models.values():
        verbs = verbs_of(model, role)
        if verbs:
            paths[f"/{quote(model.name, safe='')}"] = writer.path(model, verbs)
    paths |= function_paths(functions, role)
    paths["/-/batch"] = openapi_batch.path()
    return {
        "openapi": "3.1.0",
        "info": _INFO,
        "servers": [{"url": server or "/"}],
        "security": [{}, {"apikey": []}, {"bearer": []}],
        "tags": writer.tags,
        "paths": paths,
        "components": {
            "schemas": {**answers.schemas(), **openapi_batch.schemas(most_operations), **writer.schemas},
            "parameters": {**parameters.shared_parameters(), **writer.parameters},
            "headers": answers.headers(),
            "responses": answers.responses(),
            "securitySchemes": {
                "apikey": {"type": "apiKey", "in": "header", "name": "apikey"},
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
    }


def allows(model: Model, verb: Verb, role: str) -> bool:
    """Say whether callers of a role may ever do this to some row of a model."""
    if role == SERVICE_ROLE:
        return True
    clause = getattr(model.policies, verb.value)
    return clause is not None and not isinstance(clause, sa.False_)


def verbs_of(model: Model, role: str) -> set[Verb]:
    """Tell what callers of a role may do; to change or delete a row, one must see it."""
    verbs = {verb for verb in Verb if allows(model, verb, role)}
    return verbs if Verb.SELECT in verbs else verbs & {Verb.INSERT}


def methods_of(model: Model, role: str) -> list[str]:
    """Give the HTTP methods that are served for a model to callers of a role, as `Allow` lists them."""
    verbs = verbs_of(model, role)
    served = [
        ("OPTIONS", True),
        ("GET", Verb.SELECT in verbs),
        ("HEAD", Verb.SELECT in verbs),
        ("POST", Verb.INSERT in verbs),
        ("PUT", {Verb.SELECT, Verb.INSERT, Verb.UPDATE} <= verbs and bool(model.primary_key)),
        ("PATCH", Verb.UPDATE in verbs),
        ("DELETE", Verb.DELETE in verbs),
    ]
    return [method for method, is_served in served if is_served]


@dataclass(slots=True)
class _Writer:
    """Writes the paths, and gathers the components they refer to."""

    catalogue: Catalogue
    role: str
    schemas: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    tags: list[dict[str, str]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def path(self, model: Model, verbs: set[Verb]) -> dict[str, Any]:
        """Describe every operation on a model."""
        name = self._name(model.name)
        self.tags.append({"name": model.name, **({"description": model.table.comment} if model.table.comment else {})})
        filters = self._components(model, name, verbs)
        path: dict[str, Any] = {}
        if Verb.SELECT in verbs:
            path |= self._reads(model, name, filters)
        if Verb.INSERT in verbs:
            path["post"] = self._insert(model, name, verbs)
        if {Verb.SELECT, Verb.INSERT, Verb.UPDATE} <= verbs and model.primary_key:
            path |= self._put(model, name)
        if Verb.UPDATE in verbs:
            path["patch"] = self._change(model, name, "Change rows", filters)
            path["patch"]["requestBody"] = _body(f"{name}.changes", is_many=False)
        if Verb.DELETE in verbs:
            path["delete"] = self._change(model, name, "Delete rows", filters)
        allow = answers.empty("The methods.", "Allow")
        path["options"] = _operation(model, "Ask for the methods", [], {"200": allow, **answers.refusals((401, 503))})
        return path

    def _components(self, model: Model, name: str, verbs: set[Verb]) -> list[str]:
        """Add a model's schemas and parameters; give the names of the parameters that pick rows."""
        targets = [name for name, each in self.catalogue.models.items() if allows(each, Verb.SELECT, self.role)]
        if Verb.INSERT in verbs:
            self.schemas[f"{name}.new"] = schemas.new_row_schema(model, self.role)
        if Verb.UPDATE in verbs:
            self.schemas[f"{name}.changes"] = schemas.changes_schema(model)
        if Verb.SELECT not in verbs:
            return []
        self.schemas[name] = schemas.row_schema(model, targets)
        embeddable = [each for each in model.relations if self._is_embeddable(each, targets)]
        self.parameters[f"{name}.select"] = parameters.select_parameter(model, embeddable)
        self.parameters[f"{name}.order"] = parameters.order_parameter(model)
        filters = []
        for place, column in enumerate(model.columns.values()):
            label = f"{name}.filter.{_UNFIT.sub('_', column.name)}"
            label = label if label not in self.parameters else f"{label}.{place}"
            self.parameters[label] = parameters.filter_parameter(column, self.catalogue.dialect)
            filters.append(label)
        for joiner in ("and", "or"):
            self.parameters[f"{name}.{joiner}"] = parameters.tree_parameter(model, joiner)
        return [*filters, f"{name}.and", f"{name}.or"]

    def _is_embeddable(self, relation: Relation, targets: Sequence[str]) -> bool:
        return relation.target in targets and (relation.junction is None or relation.junction.model in targets)

    def _name(self, model: str) -> str:
        """Give a model a component's name, which may hold fewer characters."""
        name = _UNFIT.sub("_", model)
        while name in self.names or name in answers.schemas() or name in openapi_batch.schemas(0):
            name += "_"
        self.names[name] = model
        return name

    def _reads(self, model: Model, name: str, filters: Sequence[str]) -> dict[str, Any]:
        used = [f"{name}.select", *filters, f"{name}.order", "limit", "offset", "range", "rangeUnit", "prefer.read"]
        also = ("Content-Range", "Content-Location", "Preference-Applied", "ETag", "Warning")
        get = {
            "200": answers.rows("The rows.", name, *also),
            "206": answers.rows("A page of the rows; the total was asked for.", name, *also),
        }
        head = {status: answers.empty(each["description"], *also) for status, each in get.items()}
        refused = answers.refusals(answers.READ_REFUSALS)
        silent = {status: answers.empty("As for GET, without the body.", "Proxy-Status") for status in refused}
        return {
            "get": _operation(model, "Read rows", used, {**get, **refused}),
            "head": _operation(model, "Count rows, or ask whether there are any", used, {**head, **silent}),
        }

    def _insert(self, model: Model, name: str, verbs: set[Verb]) -> dict[str, Any]:
        also = ("Content-Range", "Preference-Applied", "Location", "ETag", "Warning")
        if Verb.SELECT in verbs:
            used = [f"{name}.select", "columns", "on_conflict", "prefer.insert"]
            given = {
                "200": answers.rows("An upsert to which no row was new.", name, *also),
                "201": answers.rows("Inserted; with rows if return=representation was preferred.", name, *also),
            }
        else:
            used = ["columns", "on_conflict", "prefer.insert"]
            given = {"201": answers.empty("Inserted.", *also)}
        operation = _operation(model, "Insert rows", used, {**given, **answers.refusals(answers.WRITE_REFUSALS)})
        return {**operation, "requestBody": _body(f"{name}.new", is_many=True)}

    def _put(self, model: Model, name: str) -> dict[str, Any]:
        """Only a key that may be read and written can be named in a PUT."""
        if not all(column in model.writable for column in model.primary_key):
            return {}
        given = {
            "200": answers.rows("Replaced; the row was preferred.", name, "Preference-Applied", "ETag"),
            "201": answers.rows("Inserted; the row was preferred.", name, "Preference-Applied", "ETag"),
            "204": answers.empty("Written.", "Preference-Applied"),
        }
        used = [f"{name}.select", "prefer.insert", "ifMatch"]
        operation = _operation(model, "Insert or replace one row", used, {**given, **_write_refusals()})
        operation["parameters"] += [parameters.key_parameter(model.columns[key]) for key in model.primary_key]
        return {"put": {**operation, "requestBody": _body(f"{name}.new", is_many=False)}}

    def _change(self, model: Model, name: str, sentence: str, filters: Sequence[str]) -> dict[str, Any]:
        also = ("Content-Range", "Preference-Applied", "ETag", "Warning")
        given = {
            "200": answers.rows("Done; the rows were preferred.", name, *also),
            "204": answers.empty("Done.", *also),
        }
        return _operation(
            model,
            sentence,
            [f"{name}.select", *filters, "columns", "prefer.change", "ifMatch"],
            {**given, **_write_refusals()},
        )


def _write_refusals() -> dict[str, Any]:
    return answers.refusals(answers.WRITE_REFUSALS)


def _operation(model: Model, sentence: str, used: Iterable[str], given: dict[str, Any]) -> dict[str, Any]:
    return {
        "tags": [model.name],
        "summary": sentence,
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in used],
        "responses": given,
    }


def _body(schema: str, *, is_many: bool) -> dict[str, Any]:
    one = {"$ref": f"#/components/schemas/{schema}"}
    form = {"anyOf": [one, {"type": "array", "items": one}]} if is_many else one
    content: dict[str, Any] = {"application/json": {"schema": form}}
    if is_many:
        content["text/csv"] = {"schema": {"type": "string"}}
    return {"required": True, "content": content}


def _root_path() -> dict[str, Any]:
    made = {"schema": {"type": "object"}}
    refused = (401, 406, 503)
    content = {"application/openapi+json": made, "application/json": made}
    given = {"200": {"description": "This document.", "content": content}, **answers.refusals(refused)}
    silent = {"200": answers.empty("As for GET, without the body.")} | {
        str(status): answers.empty("As for GET, without the body.", "Proxy-Status") for status in refused
    }
    allow = {"200": answers.empty("The methods.", "Allow"), **answers.refusals((401, 503))}
    return {
        "get": {"summary": "Describe the API", "responses": given},
        "head": {"summary": "Ask whether there is a description", "responses": silent},
        "options": {"summary": "Ask for the methods", "responses": allow},
    }
