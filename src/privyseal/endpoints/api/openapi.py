# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI 3.1 document, from the table of operations and the shapes. Nothing in it is written twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, get_args, get_origin

from privyseal import __version__
from privyseal.endpoints.api import examples
from privyseal.endpoints.api.face import Face
from privyseal.endpoints.api.operation import Kind, Operation, QueryField
from privyseal.endpoints.api.problems import API
from privyseal.endpoints.api.router import PARAMETER
from privyseal.model.access import roles_with
from privyseal.model.api.access_shapes import ApprovalShape, PreviewShape
from privyseal.model.api.codec import optional, shape_fields
from privyseal.model.api.fields import Limits

_ALWAYS: Final = (400, 404, 405, 429, 500, 503)
_SIGNED_IN: Final = (401, 403)
_CHANGING: Final = (409, 413, 415, 422)
_CONDITIONAL: Final = (412, 428)
_PLAIN: Final[Mapping[Any, dict[str, Any]]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    Any: {},
    datetime: {"type": "string", "format": "date-time"},
}


def document(operations: Iterable[Operation], face: Face = API) -> dict[str, Any]:
    """The whole document."""
    schemas: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(f"{face.prefix}{operation.path}", {})[operation.method.lower()] = _operation(
            operation, schemas
        )
    problems = _problems(schemas, face)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": face.title,
            "version": __version__,
            "summary": "A PKI that says what is wrong, why, and how to mend it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "responses": problems,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "privyseal token create"}},
        },
    }


def _operation(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": _who(operation),
        "tags": [operation.path.split("/")[1].split(":")[0]],
        "parameters": [*_path(operation), *map(_query, operation.all_query), *_headers(operation)],
        "responses": _responses(operation, schemas),
    }
    if operation.open_because:
        found["security"] = []
    if operation.body is not None:
        content = {"schema": _reference(operation.body, schemas), "example": operation.body_example}
        found["requestBody"] = {"required": True, "content": {"application/json": content}}
    return found


def _who(operation: Operation) -> str:
    if operation.open_because:
        return f"Open to everybody: {operation.open_because}."
    if operation.permission is None:
        return "For everybody who is signed in."
    roles = ", ".join(roles_with(operation.permission))
    return f"Takes the permission `{operation.permission.value}`, of the roles {roles}."


def _responses(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    found = {str(operation.status): _answer(operation, schemas)}
    if operation.heeds_dry_run and operation.status != 200:
        found["200"] = _json("With `dry_run`: what would happen.", _reference(PreviewShape, schemas), examples.PREVIEW)
    if operation.kind is Kind.ACT:
        shape = _reference(ApprovalShape, schemas)
        example: Any = examples.APPROVAL
        if operation.keeps_secret and operation.answer is not None:
            shape, example = _reference(operation.answer, schemas), {"secret": "pvs_...", "token": None,
                                                                     "approval": examples.APPROVAL}  # fmt: skip
        if operation.later is not None:
            shape = {"anyOf": [shape, _reference(operation.later, schemas)]}
        found["202"] = _json("Somebody else has to approve; it waits.", shape, example)
    codes = list(_ALWAYS)
    if not operation.open_because:
        codes += _SIGNED_IN
    elif operation.changes:
        codes += _SIGNED_IN[1:]
    if operation.changes:
        codes += _CHANGING
    if operation.if_match:
        codes += _CONDITIONAL
    elif operation.may_match:
        codes += _CONDITIONAL[:1]
    for code in sorted(codes):
        found[str(code)] = {"$ref": f"#/components/responses/Problem{code}"}
    return found


def _problems(schemas: dict[str, Any], face: Face) -> dict[str, Any]:
    schema = _reference(face.error, schemas)
    return {
        f"Problem{code}": {
            "description": HTTPStatus(code).phrase,
            "content": {face.error_media: {"schema": schema, "example": face.error_example(code)}},
        }
        for code in sorted((*_ALWAYS, *_SIGNED_IN, *_CHANGING, *_CONDITIONAL))
    }


def _answer(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    said = HTTPStatus(operation.status).phrase
    if operation.status == HTTPStatus.NO_CONTENT:
        return {"description": said}
    if operation.kind is Kind.RAW or operation.answer is None:
        schema: dict[str, Any] = {"type": "object"} if "json" in operation.media else {"type": "string"}
        return {"description": said, "content": {operation.media: {"schema": schema, "example": operation.example}}}
    shape = _reference(operation.answer, schemas)
    if operation.kind in (Kind.ENTITY, Kind.COLLECTION):
        return _json(said, _selected(operation, schemas), operation.example)
    if operation.kind is Kind.PAGE:
        # With `fields` an item has only these, so none of them is required here.
        partial = {"type": "object", "properties": _shape(operation.answer, schemas)["properties"]}
        schema = {
            "type": "object",
            "properties": {
                "items": {"type": "array", "items": partial},
                "next_cursor": {"type": ["string", "null"]},
                "count": {"type": "integer"},
            },
            "required": ["items", "next_cursor"],
            "additionalProperties": False,
        }
        return _json(said, schema, {"items": [operation.example], "next_cursor": None})
    if operation.heeds_dry_run and operation.status == 200:
        shape = {"anyOf": [shape, _reference(PreviewShape, schemas)]}
        said = "Done; with `dry_run`: what would happen"
    answer = _json(said, shape, operation.example)
    if operation.if_match or operation.id.startswith("get_"):
        answer["headers"] = {"ETag": {"schema": {"type": "string"}, "description": "The state; send it as If-Match."}}
    return answer


def _selected(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    """Of an entity, `$select` may leave out anything."""
    if operation.answer is None:
        return {"type": "object"}
    name = f"{operation.answer.__name__}Entity"
    if name not in schemas:
        properties = {**_shape(operation.answer, schemas)["properties"], "@odata.context": {"type": "string"}}
        schemas[name] = {"type": "object", "properties": properties, "additionalProperties": False}
    entity = {"$ref": f"#/components/schemas/{name}"}
    if operation.kind is Kind.ENTITY:
        return entity
    return {
        "type": "object",
        "properties": {
            "@odata.context": {"type": "string"},
            "@odata.count": {"type": "integer"},
            "@odata.nextLink": {"type": "string"},
            "value": {"type": "array", "items": entity},
        },
        "required": ["@odata.context", "value"],
        "additionalProperties": False,
    }


def _json(said: str, schema: dict[str, Any], example: Any) -> dict[str, Any]:
    return {"description": said, "content": {"application/json": {"schema": schema, "example": example}}}


def _path(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {
                "type": "string",
                "minLength": 1,
                "maxLength": 256,
                **({"pattern": operation.path_patterns[name]} if name in operation.path_patterns else {}),
            },
            **({"example": operation.path_examples[name]} if name in operation.path_examples else {}),
        }
        for name in PARAMETER.findall(operation.path)
    ]


def _query(field: QueryField) -> dict[str, Any]:
    schema: dict[str, Any] = dict(_PLAIN[field.kind])
    if field.kind is int:
        schema |= {"minimum": field.least, "maximum": field.most}
    elif field.choices:
        schema["enum"] = list(field.choices)
    elif field.kind is str:
        schema["maxLength"] = field.longest
        if field.pattern:
            schema["pattern"] = field.pattern
    found = {"name": field.name, "in": "query", "required": False, "description": field.doc, "schema": schema}
    return found if field.example is None else {**found, "example": field.example}


def _headers(operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if operation.if_match or operation.may_match:
        said = "The ETag of the state that the change is for."
        found.append(_header("If-Match", said, required=operation.if_match))
    if operation.method == "POST":
        said = "A key of one's own: the same request with the same key has its effect once, for a day."
        found.append(_header("Idempotency-Key", said, required=False))
    return found


def _header(name: str, said: str, *, required: bool) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
    return {"name": name, "in": "header", "required": required, "description": said, "schema": schema}


def _reference(shape: type, schemas: dict[str, Any]) -> dict[str, Any]:
    name = shape.__name__.removesuffix("Shape")
    if name not in schemas:
        schemas[name] = {}
        schemas[name] = _shape(shape, schemas)
    return {"$ref": f"#/components/schemas/{name}"}


def _shape(shape: type, schemas: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required: list[str] = []
    for item, hint, limits in shape_fields(shape):
        properties[item.name] = _schema(hint, limits, schemas)
        if item.default is MISSING and item.default_factory is MISSING:
            required.append(item.name)
    return {
        "type": "object",
        "description": (shape.__doc__ or "").strip(),
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _schema(hint: Any, limits: Limits, schemas: dict[str, Any]) -> dict[str, Any]:
    inner, may_be_null = optional(hint)
    found = _inner(inner, limits, schemas)
    if limits.doc:
        found = {**found, "description": limits.doc}
    if not may_be_null:
        return found
    if "type" in found and "enum" not in found:
        return {**found, "type": [found["type"], "null"]}
    return {"anyOf": [found, {"type": "null"}]}


def _inner(inner: Any, limits: Limits, schemas: dict[str, Any]) -> dict[str, Any]:
    origin = get_origin(inner)
    if hasattr(inner, "__dataclass_fields__"):
        return _reference(inner, schemas)
    if origin is tuple:
        each = _schema(get_args(inner)[0], Limits(choices=limits.choices), schemas)
        return {"type": "array", "items": each, "maxItems": limits.longest or 1000}
    if origin is not None:
        value = dict(_PLAIN.get(get_args(inner)[1], {}))
        if value.get("type") == "string":
            value["maxLength"] = 4096
        more = {"maxProperties": limits.longest} if limits.longest else {}
        return {"type": "object", "additionalProperties": value, **more}
    found = dict(_PLAIN[inner])
    if inner is str:
        found |= {"enum": list(limits.choices)} if limits.choices else {}
        found |= {"pattern": limits.pattern} if limits.pattern else {}
        found |= {"maxLength": limits.longest} if limits.longest else {}
    return found
