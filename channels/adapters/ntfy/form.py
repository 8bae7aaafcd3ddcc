"""The message as ntfy wants it, what its refusals mean, and how a message is known again. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import quote

from pydantic import Field, SecretStr

from channels.account_keys import BaseAddress, Frozen
from channels.contract import Measured, Post, Prepared
from channels.notices import Notice, fitting, size
from channels.refusals import Sort

MESSAGE_LIMIT = 4096  # bytes; ntfy documentation, "Limitations": a longer message silently becomes a file
BODY_TIMES = 2  # ntfy server: a JSON body may have twice the bytes of a message
RAW_LIMIT = 4096  # bytes; UnifiedPush server specification, push message
TOPIC = r"^[-_A-Za-z0-9]{1,64}$"  # ntfy server, topic names; the ids of sequences are held to the same

# ntfy server, its list of error codes: status * 100 + n. Others go by their status.
CODES: Mapping[int, Sort] = MappingProxyType(
    {
        40007: Sort.ACCOUNT,  # the priority, which the settings give
        40009: Sort.ACCOUNT,
        40010: Sort.ACCOUNT,
        40014: Sort.POST,
        40017: Sort.POST,
        40101: Sort.ACCOUNT,
        40301: Sort.ACCOUNT,
        40401: Sort.POST,
        41301: Sort.POST,
        41303: Sort.POST,
        42901: Sort.RATE,
        42904: Sort.RATE,
        42908: Sort.RATE,
        42909: Sort.ACCOUNT,
        50701: Sort.LATER,
    }
)
DAILY = 42908
REFILL = 5.0  # seconds; ntfy documentation, "Limitations": one request more every 5 s by default
A_DAY = 86_400  # ntfy documentation: the messages of a day are counted anew at midnight UTC


class Settings(Frozen):
    """`topic` on the ntfy server at `base_url`, or `endpoint` of another gateway that hands bytes to the agency's app.
    `cache_hours` is for how long the server keeps messages (0: it keeps none)."""

    base_url: BaseAddress = "https://ntfy.sh"
    topic: str = Field("", pattern=rf"^$|{TOPIC}")
    endpoint: SecretStr | None = None
    token: SecretStr | None = None
    username: str = ""
    password: SecretStr | None = None
    priority: int = Field(3, ge=1, le=5)  # ntfy documentation, "Message priority"
    tags: tuple[str, ...] = ()
    attach_picture: bool = False
    withdrawal: Literal["replace", "delete"] = "replace"
    message_limit: int = Field(MESSAGE_LIMIT, ge=256, le=1_048_576)
    cache_hours: float = Field(12, ge=0)  # ntfy documentation, "cache-duration"


def problem(settings: Settings) -> str | None:
    """What the settings lack together."""
    if bool(settings.topic) is (settings.endpoint is not None):
        return "needs either topic or endpoint"
    if settings.token and settings.username:
        return "either token, or username and password"
    if bool(settings.username) is not (settings.password is not None):
        return "username and password go together"
    if settings.endpoint is not None and settings.withdrawal == "delete":
        return 'withdrawal = "delete" is for topics of ntfy'
    return None


def prepared(post: Post, settings: Settings) -> Prepared:
    """Raises `Rejected("too_long")`."""
    if settings.endpoint is not None:
        return _raw(post)
    body_limit = settings.message_limit * BODY_TIMES

    def measuring(notice: Notice) -> tuple[Measured, ...]:
        body = size("body", _form(post, notice, settings), body_limit)
        return size("message", notice.line, settings.message_limit), body

    notice, measured = fitting(post, measuring)
    form = _form(post, notice, settings)
    left = tuple(d for d in notice.dropped if d != "images" or "attach" not in form or len(post.images) > 1)
    return Prepared(form, f"{notice.title}\n{notice.line}", measured, left)


def _form(post: Post, notice: Notice, settings: Settings) -> dict[str, Any]:
    form: dict[str, Any] = {
        "topic": settings.topic,
        "title": " ".join(notice.title.split()),  # the server strips it; looking compares what it keeps
        "message": notice.line,
        "click": notice.url,
        "priority": settings.priority,
        "sequence_id": notice.item,
    }
    if settings.tags:
        form["tags"] = list(settings.tags)
    if settings.attach_picture and post.images and not notice.withdrawn:
        form["attach"] = post.images[0].url
    return form


def _raw(post: Post) -> Prepared:
    """For the agency's own app behind a gateway that passes bytes on; `id` lets it drop what comes twice."""

    def form(notice: Notice) -> dict[str, Any]:
        facts = {"id": post.key, "item": notice.item, "revision": notice.revision, "withdrawn": notice.withdrawn}
        return {**facts, "title": notice.title, "message": notice.line, "url": notice.url}

    notice, measured = fitting(post, lambda notice: (size("body", form(notice), RAW_LIMIT),))
    return Prepared(form(notice), f"{notice.title}\n{notice.line}", measured, notice.dropped)


def known_again(message: Mapping[str, Any], form: Mapping[str, Any]) -> bool:
    """Whether a message of the topic is the one that was sent. Servers before 2.16 know no sequences."""
    same = all(message.get(name) == form[name] for name in ("title", "message", "click"))
    return same and message.get("event") == "message" and message.get("sequence_id", form["sequence_id"]) == form[
        "sequence_id"
    ]  # fmt: skip


def took_away(message: Mapping[str, Any], sequence: str) -> bool:
    return message.get("event") == "message_delete" and message.get("sequence_id") == sequence


def messages(body: bytes) -> Iterator[dict[str, Any]]:
    """The whole lines of a topic's listing, one JSON object each."""
    for line in body.split(b"\n"):
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if isinstance(message, dict):
            yield message


def listing(settings: Settings, since: int, title: str | None) -> str:
    """The address of what the topic got since (epoch seconds); with `title`, of the messages that have it."""
    only = "" if title is None else f"&title={quote(title, safe='')}"
    return f"{settings.base_url}/{settings.topic}/json?poll=1&since={since}{only}"


def until_refill(code: int, now: float) -> float:
    return A_DAY - now % A_DAY if code == DAILY else REFILL
