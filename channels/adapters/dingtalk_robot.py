"""A custom robot of DingTalk (钉钉). Numbers: open.dingtalk.com, custom robot: security settings and message types."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import Field

from channels.account_keys import BaseAddress
from channels.adapters._robots import (
    Fault,
    Robot,
    Said,
    SignedSettings,
    capabilities,
    encoded,
    left_out,
    richest,
    shown,
)
from channels.contract import Measured, Post, Prepared
from channels.forms import headline
from channels.phrases import phrase
from channels.refusals import Sort
from channels.registry import Tools
from channels.verdicts import Deferred, Verdict

PER_MINUTE = 20  # messages of one robot
THROTTLE = 600.0  # seconds for which a robot that was too fast takes nothing
BODY = 20_000  # bytes of the whole body
GATEWAY_WAIT = 60.0  # seconds; the unit of the gateway's own `wait` is documented nowhere
# Mirrors of open.dingtalk.com's table of errors. 310000 has one code for four settings and tells them apart in words:
# the older English ones of the robot's page, and the Chinese ones that are answered since, whose remedy for a wrong
# signature speaks of the timestamp too (as quoted in public code; so the signature is looked for first).
FAULTS = (
    Fault(-1, Sort.DOUBT),
    Fault(40035, Sort.POST),
    Fault(43002, Sort.POST),
    Fault(43004, Sort.POST),
    Fault(130101, Sort.RATE, wait=THROTTLE),
    Fault(300001, Sort.ACCOUNT),
    Fault(300005, Sort.ACCOUNT),
    Fault(310000, Sort.ACCOUNT, "签名不匹配", "sign"),
    Fault(310000, Sort.RATE, "签名过期", "time", 300),
    Fault(310000, Sort.POST, "关键词", "keyword"),
    Fault(310000, Sort.ACCOUNT, "白名单", "ip"),
    Fault(310000, Sort.POST, "keywords", "keyword"),
    Fault(310000, Sort.RATE, "timestamp", "time", 300),
    Fault(310000, Sort.ACCOUNT, "sign", "sign"),
    Fault(310000, Sort.ACCOUNT, "whitelist", "ip"),
    Fault(310000, Sort.ACCOUNT),
    Fault(400013, Sort.GONE),
    Fault(400101, Sort.ACCOUNT),
    Fault(400102, Sort.ACCOUNT),
    Fault(400105, Sort.POST),
    Fault(400106, Sort.ACCOUNT),
    Fault(410100, Sort.RATE, wait=THROTTLE),
    Fault(460101, Sort.POST),
)


CAPABILITIES = capabilities(PER_MINUTE)
FILED = False


class Settings(SignedSettings):
    per_minute: int = Field(PER_MINUTE, ge=1, le=PER_MINUTE)
    base_url: BaseAddress = "https://oapi.dingtalk.com"


def sign(timestamp: str, secret: str) -> str:
    """Base64, not yet percent-encoded. `timestamp` is milliseconds."""
    message = f"{timestamp}\n{secret}".encode()
    return base64.b64encode(hmac.digest(secret.encode(), message, "sha256")).decode()


class DingTalkRobot(Robot):
    kind: ClassVar[str] = "dingtalk_robot"
    name: ClassVar[str] = "dingtalk"
    faults: ClassVar[tuple[Fault, ...]] = FAULTS

    def __init__(self, account: str, settings: Settings, tools: Tools) -> None:
        super().__init__(account, settings, tools, capabilities(settings.per_minute))
        self._settings = settings

    def prepare(self, post: Post) -> Prepared:
        link = phrase("read_on", post.language, url=post.url)
        named = phrase("read_on", post.language, url=f"[{post.url}]({post.url})")

        def render(said: Said) -> tuple[dict[str, Any], Measured]:
            inner = _text(said, link) if said.has_markup else _markdown(said, named, said.title or headline(post))
            form = {**inner, "at": {"isAtAll": self._settings.mention_all}}
            return form, Measured("body", len(encoded(form)), BODY, "bytes")

        form, measured, said = richest(post, self._settings.keywords, render)
        return Prepared(form, shown(said, link), (measured,), left_out(post, said))

    def signed(self, form: Mapping[str, Any], now: float) -> tuple[str, bytes]:
        """The signature is percent-encoded once."""
        own = self._settings
        address = f"{own.base_url}/robot/send?access_token={quote(own.token.get_secret_value(), safe='')}"
        if own.secret is not None:
            timestamp = str(int(now * 1000))
            signature = quote(sign(timestamp, own.secret.get_secret_value()), safe="")
            address += f"&timestamp={timestamp}&sign={signature}"
        return address, encoded(form)

    def code(self, reply: Mapping[str, Any]) -> object:
        return reply.get("errcode")

    def odd(self, reply: Mapping[str, Any]) -> Verdict:
        """The gateway in front of the robots speaks another language: it turns requests away before they are read."""
        if reply.get("punish") != "deny":
            return super().odd(reply)
        asked = reply.get("wait")
        wait = max(GATEWAY_WAIT, float(asked)) if isinstance(asked, int | float) else GATEWAY_WAIT
        detail = f"{self.account}: turned away by the gateway"
        return Deferred("dingtalk_gateway", detail, retry_after=wait, whole_endpoint=True)


def _text(said: Said, link: str) -> dict[str, Any]:
    return {"msgtype": "text", "text": {"content": shown(said, link)}}


def _markdown(said: Said, link: str, title: str) -> dict[str, Any]:
    """`title` is what the list of chats shows. A single line break would be shown as a blank."""
    heading = f"### {said.title}" if said.title else ""
    text = shown(Said(heading, re.sub(r"\n+", "\n\n", said.text)), link)
    return {"msgtype": "markdown", "markdown": {"title": title, "text": text}}


def build(account: str, settings: Settings, tools: Tools) -> DingTalkRobot:
    return DingTalkRobot(account, settings, tools)
