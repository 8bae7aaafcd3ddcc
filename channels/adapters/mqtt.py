"""MQTT: each item is one retained topic, so that whoever subscribes later (an app, a public screen) sees how it stands.

The same payload on the same topic leaves one copy, and a retained message is a state rather than an alarm: sending it
twice changes nothing, which is why a lost answer is simply sent again. A correction overwrites; a withdrawal overwrites
with itself, or clears the topic.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field, SecretStr

from channels.account_keys import Frozen
from channels.broker import Broker, NotReadable
from channels.contract import (
    Capabilities,
    Checkup,
    Idempotency,
    Manner,
    Measured,
    Operation,
    Post,
    Prepared,
    Presence,
    Sighting,
)
from channels.notices import Notice, compact, fitting, size
from channels.registry import Tools
from channels.text import utf8
from channels.verdicts import Receipt

CAPABILITIES = Capabilities(Idempotency.NATURAL, parallel=2)
TOPIC_LIMIT = 65_535  # bytes; MQTT 3.1.1, 1.5.3
TLS_PORT = 8883  # IANA service names: secure-mqtt
UTC = datetime.UTC


class Settings(Frozen):
    """`topic` may hold `{column}` and has to hold `{item}`. `payload_limit` is bytes, as the broker allows.
    `read_back`: after publishing, look whether the broker really shows it (the account has to be allowed to read)."""

    host: str = Field(min_length=1, max_length=253, pattern=r"^[^\s/@]+$")
    port: int = Field(TLS_PORT, ge=1, le=65_535)
    tls: bool = True
    ca_file: str = ""
    username: str | None = None
    password: SecretStr | None = None
    topic: str = "gongbao/{column}/{item}"
    withdrawal: Literal["keep", "clear"] = "keep"
    payload_limit: int = Field(65_536, ge=512, le=268_435_455)  # MQTT 3.1.1, 2.2.3: the most a packet can have
    read_back: bool = True
    deadline: float = Field(20, ge=1, le=60)


class Mqtt:
    kind: ClassVar[str] = "mqtt"
    manners: ClassVar[Mapping[str, Manner]] = MappingProxyType({"edit": Manner.REPLACED, "recall": Manner.REPLACED})
    capabilities = CAPABILITIES

    def __init__(self, account: str, settings: Settings, broker: Broker) -> None:
        self.account = account
        self._settings, self._broker = settings, broker

    def prepare(self, post: Post) -> Prepared:
        """`form` is topic and payload. Raises `Rejected("too_long")`."""
        topic = self._topic(post)
        limit = self._settings.payload_limit

        def measuring(notice: Notice) -> tuple[Measured, ...]:
            payload = size("payload", _facts(post, notice), limit)
            return payload, Measured("topic", utf8(topic), TOPIC_LIMIT, "bytes")

        notice, measured = fitting(post, measuring)
        cleared = post.operation is Operation.RECALL and self._settings.withdrawal == "clear"
        payload = b"" if cleared else compact(_facts(post, notice))
        form = {"topic": topic, "payload": payload.decode()}
        return Prepared(form, f"{notice.title}\n{notice.line}", measured, notice.dropped)

    async def publish(self, post: Post) -> Receipt:
        form = self.prepare(post).form
        await self._broker.retain(form["topic"], form["payload"].encode(), read_back=self._settings.read_back)
        return Receipt(form["topic"], post.url)

    async def edit(self, post: Post) -> Receipt:
        return await self.publish(post)

    async def recall(self, post: Post) -> Receipt:
        return await self.publish(post)

    async def confirm(self, post: Post, receipt: Receipt | None) -> Sighting:
        """What a new subscriber would be shown."""
        form = self.prepare(post).form
        try:
            shown = await self._broker.retained(form["topic"])
        except NotReadable:
            return Sighting(Presence.UNKNOWN, detail="the account may not read the topic")
        same = shown == form["payload"].encode()
        found = Receipt(form["topic"], post.url)
        if post.operation is Operation.RECALL:
            return Sighting(Presence.ABSENT if same or not shown else Presence.LIVE, found)
        return Sighting(Presence.LIVE if same else Presence.ABSENT, found if same else None)

    async def check(self) -> Checkup:
        await self._broker.check()
        return Checkup(facts={"broker": "lets us in"})

    def _topic(self, post: Post) -> str:
        """Where the item stands already, else where the settings say: moved to another column it keeps its topic, or
        the old one would go on showing what no longer holds."""
        if post.operation is not Operation.PUBLISH and post.remote and post.remote.remote_id:
            return post.remote.remote_id
        places = {"column": quote(post.column, safe=""), "item": quote(post.item_id, safe="")}
        return self._settings.topic.format_map(places)


def _facts(post: Post, notice: Notice) -> dict[str, Any]:
    """Everything comes from the post, so that the same post gives the same bytes. `id` tells repeats apart."""
    at = datetime.datetime.fromtimestamp(post.occurred_at // 1_000_000, UTC)
    return {
        "id": post.key,
        "item": post.item_id,
        "revision": post.revision,
        "withdrawn": notice.withdrawn,
        "title": notice.title,
        "summary": notice.line,
        "url": post.url,
        "column": post.column,
        "issuing_body": post.issuing_body,
        "sent_at": at.isoformat().replace("+00:00", "Z"),
    }


def _problem(settings: Settings) -> str | None:
    """What is wrong with the settings together."""
    try:
        topic = settings.topic.format_map({"column": "c", "item": "i"})
        other = settings.topic.format_map({"column": "c", "item": "j"})
    except (KeyError, ValueError, IndexError, AttributeError):
        return "topic may hold {column} and {item}, and no other braces"
    if topic == other:
        return "topic needs {item}: or every item would overwrite the one before"
    if any(c in topic for c in "+#\0") or topic.startswith(("$", "/")):
        return "topic may not hold + or #, nor begin with $ or /"
    if settings.password is not None and settings.username is None:
        return "password needs a username"
    return None


def build(account: str, settings: Settings, tools: Tools) -> Mqtt:
    """Raises `ValueError` for a topic that cannot be."""
    if (wrong := _problem(settings)) is not None:
        raise ValueError(wrong)
    password = settings.password.get_secret_value() if settings.password is not None else None
    broker = Broker(
        settings.host,
        settings.port,
        account=account,
        tls=settings.tls,
        ca_file=settings.ca_file,
        username=settings.username,
        password=password,
        reach=tools.transport.reach,
        deadline=settings.deadline,
    )
    return Mqtt(account, settings, broker)
