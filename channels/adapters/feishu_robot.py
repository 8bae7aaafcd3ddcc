"""A custom bot of Feishu or Lark (飞书). Numbers: open.feishu.cn, custom bot guide."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal
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
from channels.answers import Answer, http_date
from channels.contract import Measured, Post, Prepared, Quota
from channels.phrases import phrase
from channels.refusals import Sort
from channels.registry import Tools
from channels.transport import Response
from channels.verdicts import Verdict

PER_MINUTE = 100  # messages of one bot in one tenant
A_SECOND = Quota("messages_a_second", 5, 1)
BODY = 20_000  # bytes of the whole body: "20 KB", read in the narrower way
SKEW = 3600.0  # seconds: a signature holds for an hour
# The guide's own codes; 9499 is said both of a bad request and of too many. 19001, 19002: in no document, quoted in
# public code as "param invalid: incoming webhook access token invalid" and "param invalid: msg_type".
FAULTS = (
    Fault(9499, Sort.RATE, "too many", "rate", 60),
    Fault(9499, Sort.POST),
    Fault(11232, Sort.RATE, wait=60),
    Fault(19001, Sort.ACCOUNT),
    Fault(19002, Sort.POST),
    Fault(19021, Sort.ACCOUNT),
    Fault(19022, Sort.ACCOUNT),
    Fault(19024, Sort.POST),
)
CLOCK = Fault(19021, Sort.RATE, name="time", wait=300)
_SIGNED = {"timestamp": "0" * 10, "sign": "0" * 44}  # as long as any: seconds, and base64 of 32 bytes


CAPABILITIES = capabilities(PER_MINUTE, A_SECOND)
FILED = False


class Settings(SignedSettings):
    format: Literal["post", "card"] = "post"
    per_minute: int = Field(PER_MINUTE, ge=1, le=PER_MINUTE)
    base_url: BaseAddress = "https://open.feishu.cn"


def sign(timestamp: str, secret: str) -> str:
    """Time and secret are the key, and nothing is signed. `timestamp` is seconds."""
    return base64.b64encode(hmac.digest(f"{timestamp}\n{secret}".encode(), b"", "sha256")).decode()


class FeishuRobot(Robot):
    kind: ClassVar[str] = "feishu_robot"
    name: ClassVar[str] = "feishu"
    faults: ClassVar[tuple[Fault, ...]] = FAULTS
    codes: ClassVar[Mapping[int, Answer] | None] = MappingProxyType({400: Answer.TAKEN})

    def __init__(self, account: str, settings: Settings, tools: Tools) -> None:
        super().__init__(account, settings, tools, capabilities(settings.per_minute, A_SECOND))
        self._settings = settings

    def prepare(self, post: Post) -> Prepared:
        link = phrase("read_on", post.language, url=post.url)
        make = _card if self._settings.format == "card" else _post

        def render(said: Said) -> tuple[dict[str, Any], Measured]:
            form = make(said, link, post.url, self._settings.mention_all)
            sent = {**form, **_SIGNED} if self._settings.secret else form
            return form, Measured("body", len(encoded(sent)), BODY, "bytes")

        form, measured, said = richest(post, self._settings.keywords, render)
        return Prepared(form, shown(said, link), (measured,), left_out(post, said))

    def signed(self, form: Mapping[str, Any], now: float) -> tuple[str, bytes]:
        own = self._settings
        address = f"{own.base_url}/open-apis/bot/v2/hook/{quote(own.token.get_secret_value(), safe='')}"
        if own.secret is None:
            return address, encoded(form)
        timestamp = str(int(now))
        signature = sign(timestamp, own.secret.get_secret_value())
        return address, encoded({**form, "timestamp": timestamp, "sign": signature})

    def code(self, reply: Mapping[str, Any]) -> object:
        """`code` first: an older answer has `StatusCode` alone."""
        return reply["code"] if "code" in reply else reply.get("StatusCode")

    def verdict(self, fault: Fault, detail: str, response: Response) -> Verdict:
        """19021 says of a wrong secret and of a wrong time the same: our clock is compared with theirs."""
        if fault.code == CLOCK.code:
            theirs = http_date(response.headers.get("Date", ""))
            if theirs is not None and abs(theirs - self._clock()) >= SKEW:
                fault = CLOCK
        return super().verdict(fault, detail, response)


def _post(said: Said, link: str, url: str, mention_all: bool) -> dict[str, Any]:
    lines: list[list[dict[str, str]]] = [
        [{"tag": "text", "text": line}] for line in said.text.split("\n") if line.strip()
    ]
    lines.append([{"tag": "a", "text": link, "href": url}])
    if mention_all:
        lines.append([{"tag": "at", "user_id": "all"}])
    title = {"title": said.title} if said.title else {}
    return {"msg_type": "post", "content": {"post": {"zh_cn": {**title, "content": lines}}}}


def _card(said: Said, link: str, url: str, mention_all: bool) -> dict[str, Any]:
    """Texts are plain: nothing in them is taken for markup."""
    elements: list[dict[str, Any]] = []
    if said.text:
        elements.append({"tag": "div", "text": {"tag": "plain_text", "content": said.text}})
    if mention_all:
        elements.append({"tag": "div", "text": {"tag": "lark_md", "content": "<at id=all></at>"}})
    button = {"tag": "button", "text": {"tag": "plain_text", "content": link}, "url": url, "type": "primary"}
    elements.append({"tag": "action", "actions": [button]})
    header = {"header": {"title": {"tag": "plain_text", "content": said.title}}} if said.title else {}
    return {"msg_type": "interactive", "card": {**header, "elements": elements}}


def build(account: str, settings: Settings, tools: Tools) -> FeishuRobot:
    return FeishuRobot(account, settings, tools)
