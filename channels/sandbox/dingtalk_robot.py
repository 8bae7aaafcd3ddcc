"""A stand-in for DingTalk's custom robots (钉钉自定义机器人), after open.dingtalk.com's pages on them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from aiohttp import web

from channels.sandbox.robots import SECRET, Heard, Refused, RobotStandIn, Window, lacks, part, texts

PER_MINUTE = 20
THROTTLE = 600.0  # seconds
BODY = 20_000  # bytes
SKEW = 3600.0  # seconds either way
MORE = ", more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]"


class DingTalkRobotStandIn(RobotStandIn):
    kind: ClassVar[str] = "dingtalk_robot"
    platform: ClassVar[tuple[str, str]] = ("DingTalk custom robot", "钉钉自定义机器人")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self._window = Window(PER_MINUTE, 60)
        self.throttled_until = 0.0

    def routes(self) -> Iterable[web.RouteDef]:
        return [web.post("/robot/send", self.receive)]

    def keys(self, url: str, own: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.aimed(url, own, "token"), "secret": SECRET}

    def judge(self, request: web.Request, body: bytes, message: Mapping[str, Any]) -> Heard:
        words = self.known(request.query.get("access_token", ""))
        self._signed(request)
        self._paced()
        if len(body) > BODY:
            raise Refused(460101, "message too long, exceed 20000 bytes")
        if not request.content_type.startswith("application/json"):
            raise Refused(43004, "invalid contenttype")
        heard = _read(message)
        if lacks(words, heard.searched):
            raise Refused(310000, "keywords not in content" + MORE)
        self._window.take(self.clock())
        return heard

    def _signed(self, request: web.Request) -> None:
        """The query is decoded once, by the server: what was encoded twice no longer fits."""
        stamp, given = request.query.get("timestamp", ""), request.query.get("sign", "")
        if not stamp.isdigit() or abs(int(stamp) / 1000 - self.clock()) > SKEW:
            raise Refused(310000, "invalid timestamp" + MORE)
        mac = hmac.new(SECRET.encode(), f"{stamp}\n{SECRET}".encode(), hashlib.sha256).digest()
        if not hmac.compare_digest(base64.b64encode(mac), given.encode()):
            raise Refused(310000, "sign not match" + MORE)

    def _paced(self) -> None:
        now = self.clock()
        if now < self.throttled_until:
            raise Refused(410100, "robot is throttled")
        if self._window.full(now):
            self.throttled_until = now + THROTTLE
            raise self.busy()

    def busy(self) -> Refused:
        return Refused(130101, "send too fast, exceed 20 times per minute")

    def gone(self) -> Refused:
        return Refused(300001, "token is not exist")

    def said(self, refused: Refused | None) -> Mapping[str, Any]:
        return {"errcode": refused.code, "errmsg": refused.text} if refused else {"errcode": 0, "errmsg": "ok"}


def _read(message: Mapping[str, Any]) -> Heard:
    sort = message.get("msgtype")
    if sort not in _FIELDS:
        raise Refused(400105, "unsupported message type")
    inner = part(message, str(sort))
    if missing := [name for name in _FIELDS[sort] if not inner.get(name)]:
        raise Refused(40035, f"miss param: {sort}->{missing[0]}")
    text = texts([inner.get("content"), inner.get("text")])
    everybody = "\n@所有人" if part(message, "at").get("isAtAll") else ""
    return Heard(str(inner.get("title", "")), text + everybody, searched=text)


_FIELDS: Mapping[Any, tuple[str, ...]] = {
    "text": ("content",),
    "markdown": ("title", "text"),
    "link": ("title", "text", "messageUrl"),
    "actionCard": ("title", "text"),
}
STAND_IN = DingTalkRobotStandIn
