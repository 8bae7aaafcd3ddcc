"""The OpenAPI 3.1 document, written from the table that serves the requests and from the models of its bodies."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from publisher.intake.field_names import FIELDS
from publisher.texts import translate
from publisher.web.api.answers import Fault
from publisher.web.api.asks import CorrectionQuery, SubmissionQuery
from publisher.web.api.endpoint import Endpoint, Takes
from publisher.web.api.faults import PROBLEM_TYPE
from publisher.web.api.papers import DEFAULT_NAMES, FILE_PART, FORM, ITEM_PART
from publisher.web.api.table import ENDPOINTS

PREFIX = "/api/v1"
_PLACE = re.compile(r"{(\w+)}")
_NUMBERS = {"delivery_id", "number"}
_REF = "#/components/schemas/{model}"


@cache
def document_bytes() -> bytes:
    return json.dumps(document(), ensure_ascii=False).encode()


def document() -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(PREFIX + endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gongbao API",
            "version": "1",
            "summary": "Submit, sign, follow and take back the items of a government agency.",
        },
        "paths": paths,
        "components": {
            "schemas": {**_schemas(), "Item": _item_schema()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "gbt_..."}},
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    roles = sorted(endpoint.roles or ())
    told: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": f"{translate(endpoint.summary, 'zh')} Roles: {', '.join(roles) or 'no token needed'}.",
        "parameters": [*_places(endpoint), *_queries(endpoint), *_key(endpoint)],
        "responses": _responses(endpoint),
        "security": [{"token": []}] if roles else [],
    }
    if endpoint.takes is not Takes.NOTHING:
        told["requestBody"] = {"required": True, "content": _content(endpoint)}
    return told


def _places(endpoint: Endpoint) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "integer", "minimum": 0} if name in _NUMBERS else {"type": "string"},
        }
        for name in _PLACE.findall(endpoint.path)
    ]


def _queries(endpoint: Endpoint) -> list[dict[str, Any]]:
    """Schemas stand inline, for a parameter has no key to refer from."""
    whole = endpoint.query.model_json_schema(ref_template=_REF)
    return [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in whole.get("properties", {}).items()
    ]


def _key(endpoint: Endpoint) -> list[dict[str, Any]]:
    if not endpoint.keyed:
        return []
    said = "Recommended: a repeated request with the same key is answered from the first and stores nothing again."
    schema = {"type": "string", "pattern": "^[!-~]{1,200}$"}
    return [{"name": "Idempotency-Key", "in": "header", "required": False, "description": said, "schema": schema}]


def _content(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.body is not None:
        return {"application/json": {"schema": _ref(endpoint.body)}}
    schemas: dict[str, Any] = {kind: {"type": "string"} for kind in DEFAULT_NAMES}
    schemas |= {"application/json": {"$ref": _REF.format(model="Item")}, FORM: _form(endpoint)}
    return {kind: {"schema": schema} for kind, schema in schemas.items()}


def _form(endpoint: Endpoint) -> dict[str, Any]:
    """Fields of the query may stand in the form."""
    parts: dict[str, Any] = {key: {"type": "string"} for key in endpoint.query.model_fields}
    parts |= {ITEM_PART: {"type": "string"}, FILE_PART: {"type": "array", "items": {"type": "string"}}}
    return {"type": "object", "required": [ITEM_PART], "properties": parts, "additionalProperties": False}


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    done = {str(status): _done(endpoint, status) for status in endpoint.answers}
    refusals = {400, *endpoint.refuses, *((401, 403) if endpoint.roles else ())}
    problem = {"description": "A problem (RFC 9457).", "content": {PROBLEM_TYPE: {"schema": _ref(Fault)}}}
    return {**done, **{str(status): problem for status in sorted(refusals)}, "default": problem}


def _done(endpoint: Endpoint, status: int) -> dict[str, Any]:
    answer = endpoint.answers[status]
    told: dict[str, Any] = {"description": endpoint.summary}
    if isinstance(answer, str):
        told["content"] = {answer: {"schema": {"type": "object"}}}
    elif answer is not None:
        told["content"] = {"application/json": {"schema": _ref(answer)}}
    if endpoint.keyed:
        told["headers"] = {
            "Location": {"schema": {"type": "string"}},
            "Idempotency-Replayed": {
                "description": "Present when an earlier request with the same key had stored it.",
                "schema": {"const": "true"},
            },
        }
    return told


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def _schemas() -> dict[str, Any]:
    def models() -> Iterable[tuple[type[BaseModel], JsonSchemaMode]]:
        yield Fault, "serialization"
        for endpoint in ENDPOINTS:
            yield endpoint.query, "validation"
            if endpoint.body is not None:
                yield endpoint.body, "validation"
            for answer in endpoint.answers.values():
                if isinstance(answer, type):
                    yield answer, "serialization"

    unique = dict.fromkeys(pair for pair in models() if pair[0] not in (SubmissionQuery, CorrectionQuery))
    _, found = models_json_schema(list(unique), ref_template=_REF)
    return dict(found["$defs"])


def _item_schema() -> dict[str, Any]:
    """An item as JSON: the names that the intake knows, which checks the values and names the line of a mistake."""
    properties: dict[str, Any] = {}
    for name, also in FIELDS.items():
        properties[name] = {"description": f"Also: {', '.join(also)}." if also else name}
        properties.update({word: {"description": f"The same as {name}."} for word in also})
    return {"type": "object", "properties": properties, "additionalProperties": False}
