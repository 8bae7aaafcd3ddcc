"""A stand-in for WeCom's group robots (企业微信群机器人), after developer.work.weixin.qq.com, pages 91770 and 99110."""

from __future__ import annotations

import base64
import binascii
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from aiohttp import web

from channels.sandbox.robots import Heard, Refused, RobotStandIn, Window, part, size

PER_MINUTE = 20
TEXT, MARKDOWN, TITLE, DESCRIPTION = 2048, 4096, 128, 512  # bytes of UTF-8
ARTICLES = 8
IMAGE = 2 * 1024 * 1024  # bytes before base64


class WeComRobotStandIn(RobotStandIn):
    kind: ClassVar[str] = "wecom_robot"
    platform: ClassVar[tuple[str, str]] = ("WeCom group robot", "企业微信群机器人")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self._window = Window(PER_MINUTE, 60)

    def routes(self) -> Iterable[web.RouteDef]:
        return [web.post("/cgi-bin/webhook/send", self.receive)]

    def keys(self, url: str, own: Mapping[str, Any]) -> dict[str, Any]:
        return self.aimed(url, own, "key")

    def judge(self, request: web.Request, body: bytes, message: Mapping[str, Any]) -> Heard:
        self.known(request.query.get("key", ""))
        if self._window.full(self.clock()):
            raise self.busy()
        sort = message.get("msgtype")
        if sort not in _READERS:
            raise Refused(40008, "invalid message type")
        heard = _READERS[sort](part(message, str(sort)))
        self._window.take(self.clock())
        return heard

    def busy(self) -> Refused:
        return Refused(
            45009, "api freq out of limit, more info at https://open.work.weixin.qq.com/devtool/query?e=45009"
        )

    def gone(self) -> Refused:
        return Refused(93000, "invalid webhook url, more info at https://open.work.weixin.qq.com/devtool/query?e=93000")

    def said(self, refused: Refused | None) -> Mapping[str, Any]:
        return {"errcode": refused.code, "errmsg": refused.text} if refused else {"errcode": 0, "errmsg": "ok"}


def _content(inner: Mapping[str, Any], limit: int) -> Heard:
    content = inner.get("content")
    if not isinstance(content, str) or not content.strip():
        raise Refused(44004, "empty content")
    if size(content) > limit:
        raise Refused(45002, f"content exceed max length {limit}")
    named = (inner.get("mentioned_list") or [], inner.get("mentioned_mobile_list") or [])
    if not all(isinstance(names, list) for names in named):
        raise Refused(40058, "mentions are lists")
    mentions = [name for names in named for name in names]
    return Heard("", content + "".join(f"\n@{name}" for name in mentions))


def _text(inner: Mapping[str, Any]) -> Heard:
    return _content(inner, TEXT)


def _markdown(inner: Mapping[str, Any]) -> Heard:
    return _content(inner, MARKDOWN)


def _news(inner: Mapping[str, Any]) -> Heard:
    articles = inner.get("articles")
    if not isinstance(articles, list) or not 1 <= len(articles) <= ARTICLES or not all(map(_is_object, articles)):
        raise Refused(40058, "articles: 1 to 8 are wanted")
    for article in articles:
        if not article.get("title") or not article.get("url"):
            raise Refused(40058, "an article needs title and url")
        if size(article["title"]) > TITLE or size(article.get("description")) > DESCRIPTION:
            raise Refused(45002, "title or description too long")
    first = articles[0]
    pictures = sum(1 for article in articles if article.get("picurl"))
    return Heard(first["title"], f"{first.get('description', '')}\n{first['url']}".strip(), images=pictures)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _image(inner: Mapping[str, Any]) -> Heard:
    try:
        raw = base64.b64decode(inner.get("base64", ""), validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise Refused(40058, "base64 unreadable") from None
    digest = hashlib.md5(raw, usedforsecurity=False).hexdigest()  # the platform's own check
    if not raw or len(raw) > IMAGE or digest != inner.get("md5"):
        raise Refused(40058, "image too large, or its md5 is another")
    return Heard("", "", images=1)


_READERS: Mapping[Any, Callable[[Mapping[str, Any]], Heard]] = {
    "text": _text,
    "markdown": _markdown,
    "markdown_v2": _markdown,
    "news": _news,
    "image": _image,
}
STAND_IN = WeComRobotStandIn
