"""A stand-in for the custom bots of Feishu and Lark (飞书自定义机器人), after open.feishu.cn's guide to them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

from aiohttp import web

from channels.sandbox.robots import SECRET, Heard, Refused, RobotStandIn, Window, lacks, part, texts

PER_MINUTE, PER_SECOND = 100, 5
BODY = 20 * 1024  # bytes
SKEW = 3600.0  # seconds either way


class FeishuRobotStandIn(RobotStandIn):
    """Answers in both styles by turns: the newer with `code`, the older with `StatusCode` alone."""

    kind: ClassVar[str] = "feishu_robot"
    platform: ClassVar[tuple[str, str]] = ("Feishu custom bot", "飞书自定义机器人")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self._windows = (Window(PER_MINUTE, 60), Window(PER_SECOND, 1))
        self._older = True

    def routes(self) -> Iterable[web.RouteDef]:
        return [web.post("/open-apis/bot/v2/hook/{token}", self.receive)]

    def keys(self, url: str, own: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.aimed(url, own, "token"), "secret": SECRET}

    def judge(self, request: web.Request, body: bytes, message: Mapping[str, Any]) -> Heard:
        words = self.known(request.match_info["token"])
        now = self.clock()
        if any(window.full(now) for window in self._windows):
            raise self.busy()
        if len(body) > BODY:
            raise Refused(9499, "Bad Request: body over 20 KB")
        self._signed(message)
        heard = _read(message)
        if lacks(words, heard.searched):
            raise Refused(19024, "Key Words Not Found")
        for window in self._windows:
            window.take(now)
        return heard

    def _signed(self, message: Mapping[str, Any]) -> None:
        """Time and secret are the key; the message that is signed is empty."""
        stamp, given = str(message.get("timestamp", "")), str(message.get("sign", ""))
        mac = hmac.new(f"{stamp}\n{SECRET}".encode(), digestmod=hashlib.sha256).digest()
        fresh = stamp.isdigit() and abs(int(stamp) - self.clock()) <= SKEW
        if not fresh or not hmac.compare_digest(base64.b64encode(mac), given.encode()):
            raise Refused(19021, "sign match fail or timestamp is not within one hour from current time")

    def busy(self) -> Refused:
        return Refused(11232, "frequency limited")

    def gone(self) -> Refused:
        return Refused(19001, "param invalid: incoming webhook access token invalid")

    def said(self, refused: Refused | None) -> Mapping[str, Any]:
        if refused:
            return {"code": refused.code, "msg": refused.text, "data": {}}
        self._older = not self._older
        old = {"Extra": None, "StatusCode": 0, "StatusMessage": "success"}
        return old if self._older else {**old, "code": 0, "msg": "success", "data": {}}


def _read(message: Mapping[str, Any]) -> Heard:
    sort = message.get("msg_type")
    if sort not in _READERS:
        raise Refused(9499, "Bad Request: msg_type")
    heard = _READERS[sort](message)
    if not heard.searched.strip():
        raise Refused(9499, "Bad Request: nothing is said")
    return heard


def _text(message: Mapping[str, Any]) -> Heard:
    text = texts([part(message, "content").get("text")])
    return Heard("", text, text)


def _post(message: Mapping[str, Any]) -> Heard:
    """Keywords are looked for in titles and texts, not in links and mentions."""
    languages = part(part(message, "content"), "post")
    first = next((language for language in languages.values() if isinstance(language, dict)), {})
    lines, title = first.get("content"), str(first.get("title", ""))
    if not isinstance(lines, list) or not all(isinstance(line, list) for line in lines):
        raise Refused(9499, "Bad Request: post.content is a list of lines")
    tags = [tag for line in lines for tag in line if isinstance(tag, dict)]
    plain = texts(tag.get("text") for tag in tags if tag.get("tag") == "text")
    links = texts(f"{tag.get('text')} {tag.get('href')}" for tag in tags if tag.get("tag") == "a")
    mentions = texts(f"@{tag.get('user_id')}" for tag in tags if tag.get("tag") == "at")
    return Heard(title, texts([plain, links, mentions]), f"{title}\n{plain}")


def _card(message: Mapping[str, Any]) -> Heard:
    """The card is an object: a text with JSON in it is what the other interface wants."""
    card = part(message, "card")
    title = str(part(part(card, "header"), "title").get("content", ""))
    plain = texts(_contents(card.get("elements")))
    return Heard(title, plain, f"{title}\n{plain}")


def _contents(found: object) -> Iterator[object]:
    if isinstance(found, list):
        for one in found:
            yield from _contents(one)
    elif isinstance(found, dict):
        yield found.get("content")
        yield found.get("url")
        for name in ("text", "actions", "elements"):
            yield from _contents(found.get(name))


_READERS: Mapping[Any, Callable[[Mapping[str, Any]], Heard]] = {"text": _text, "post": _post, "interactive": _card}
STAND_IN = FeishuRobotStandIn
