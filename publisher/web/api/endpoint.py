"""What one address of the API is: the same record serves the requests and writes the OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from publisher.texts import Text, bilingual
from publisher.web.api.asks import NoQuery
from publisher.web.api.faults import PLAIN_HEADERS, BadRequest, invalid, too_large
from publisher.web.api.parts import WebParts
from publisher.web.auth import Caller, Role

SMALL = 64 * 1024  # bytes; every JSON request but a submission fits in it many times over

B = TypeVar("B")
Q = TypeVar("Q")


class Takes(StrEnum):
    """The body of a request."""

    NOTHING = "nothing"
    JSON = "json"
    SUBMISSION = "submission"


@dataclass(frozen=True, slots=True)
class Call(Generic[B, Q]):
    """One request that has passed the door: the caller may do this, body and query fit their models."""

    request: web.Request
    parts: WebParts
    caller: Caller
    body: B
    query: Q

    def place(self, name: str) -> str:
        """A variable part of the address."""
        return self.request.match_info[name]


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` None: no content. Bytes go out as they are, as `content_type`."""

    body: BaseModel | bytes | None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


Handler = Callable[[Call[Any, Any]], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`path` is below /api/v1. `roles` None: no token is asked for. `answers` are status -> model, or media type of
    raw bytes, or None for no content; `refuses` are the statuses of its own that a caller must expect.
    """

    method: str
    path: str
    name: str
    summary: str
    roles: frozenset[Role] | None
    handler: Handler
    answers: Mapping[int, type[BaseModel] | str | None]
    body: type[BaseModel] | None = None
    query: type[BaseModel] = NoQuery
    takes: Takes = Takes.NOTHING
    refuses: tuple[int, ...] = ()
    keyed: bool = False


def read_query(request: web.Request, model: type[BaseModel]) -> BaseModel:
    """Raises `BadRequest`; a key that is given twice is refused, for nobody could say which one holds."""
    given = request.query
    if repeated := sorted(k for k in set(given) if len(given.getall(k)) > 1):
        raise BadRequest(
            400,
            "repeated_key",
            bilingual("{name} is given more than once.", name=repeated[0][:40]),
            bilingual("Give it once."),
        )
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise invalid(error, 400) from None


async def read_json(request: web.Request, model: type[BaseModel]) -> BaseModel:
    """Raises `BadRequest` for another media type, malformed JSON, or JSON that does not fit the model."""
    if request.content_type != "application/json":
        raise BadRequest(
            415,
            "media_type",
            bilingual("This address takes application/json."),
            bilingual("Send JSON with the header Content-Type: application/json."),
        )
    raw = await read_bytes(request, SMALL)
    if not isinstance(_parsed(raw), dict):
        raise _malformed(bilingual("a JSON object is expected"))
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise invalid(error) from None


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except json.JSONDecodeError as error:
        raise _malformed(bilingual("line {line}", line=error.lineno)) from None
    except (ValueError, RecursionError):
        raise _malformed(bilingual("it is no text in UTF-8")) from None


def _malformed(where: Text) -> BadRequest:
    message = bilingual("The body is not valid JSON ({where}).", where=where)
    return BadRequest(400, "malformed_json", message, bilingual("Send one JSON object in UTF-8."))


async def read_bytes(request: web.Request, limit: int) -> bytes:
    """The body, at most `limit` bytes; a longer one is refused by its announced length, or as soon as it is seen."""
    check_length(request, limit)
    parts = bytearray()
    async for chunk in request.content.iter_any():
        parts += chunk
        if len(parts) > limit:
            raise too_large(limit)
    return bytes(parts)


def check_length(request: web.Request, limit: int) -> None:
    """Raises `BadRequest` from the headers alone. A compressed body is not taken: its true size is not announced."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        message = bilingual("Compressed requests are not taken.")
        raise BadRequest(415, "content_coding", message, bilingual("Send the body as it is, without Content-Encoding."))
    if (request.content_length or 0) > limit:
        raise too_large(limit)


def render(answer: Answer) -> web.Response:
    headers = {**PLAIN_HEADERS, **answer.headers}
    if answer.body is None:
        return web.Response(status=answer.status, headers=headers)
    raw = answer.body if isinstance(answer.body, bytes) else answer.body.model_dump_json().encode()
    return web.Response(status=answer.status, body=raw, headers={**headers, "Content-Type": answer.content_type})
