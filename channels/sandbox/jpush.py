"""A stand-in of JPush: remembers a cid for a day, lets a notice be replaced, counts pushes by the minute.

Everybody is subscribed to every tag and segment, those in `empty` apart.
"""

from __future__ import annotations

import base64
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from aiohttp import web

from channels.sandbox.stand_in import Misbehaviour, Shown, StandIn
from channels.text import utf8

APP_KEY, MASTER_SECRET = "5b7e0c1d2a3f4e5d6c7b8a90", "0a1b2c3d4e5f60718293a4b5"
DAY = 86_400
A_MINUTE = 600  # pushes; docs.jiguang.cn, REST API overview
LIMITS = {"android": 4000, "ios": 2000, "hmos": 4000}  # bytes; docs.jiguang.cn, push API v3
TOP = {"cid", "platform", "audience", "notification", "notification_3rd", "message", "sms_message", "options",
       "live_activity", "inapp_message", "callback"}  # fmt: skip
AUDIENCE = {"tag": 20, "tag_and": 20, "tag_not": 20, "alias": 1000, "registration_id": 1000, "segment": 1, "abtest": 1}


class Refused(Exception):
    def __init__(self, status: int, code: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


class JPushStandIn(StandIn):
    kind: ClassVar[str] = "jpush"
    platform: ClassVar[tuple[str, str]] = ("JPush", "极光推送")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self.empty: set[str] = set()  # tags and segments without anybody
        self._cids: dict[str, tuple[float, str]] = {}
        self._pushed: dict[str, tuple[float, Shown]] = {}
        self._recent: deque[float] = deque()
        self._serial = 18_100_000_000

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.post("/v3/push", self._push),
            web.post("/v3/push/validate", self._validate),
            web.get("/v3/push/cid", self._make_cids),
            web.get("/v3/received/detail", self._received),
            web.route("*", "/v3/push", self._wrong_method),
        ]

    def keys(self, url: str, own: Mapping[str, Any]) -> dict[str, Any]:
        pointed = {"base_url": url, "report_url": url, "app_key": APP_KEY, "master_secret": MASTER_SECRET}
        return {**own, **pointed}

    # -- the platform's calls ------------------------------------------------------------------------------

    async def _push(self, request: web.Request) -> web.StreamResponse:
        try:
            self._allowed(request)
            form = await self._form(request)
            return await self._take(request, form)
        except Refused as refused:
            return _refusal(refused)

    async def _take(self, request: web.Request, form: dict[str, Any]) -> web.StreamResponse:
        told = self._known(form.get("cid"))
        if told is None:
            self._overridden(form)
            self._serial += 1
            told = str(self._serial)
            if form.get("cid"):
                self._cids[form["cid"]] = (self.clock(), told)
            if not self.told_to(Misbehaviour.DROP):
                self._show(form, told)
        reply = web.json_response({"sendno": "0", "msg_id": told}, headers=self._quota())
        return await self.answer(request, reply)

    async def _validate(self, request: web.Request) -> web.StreamResponse:
        try:
            self._allowed(request)
            await self._form(request)
        except Refused as refused:
            return _refusal(refused)
        return web.json_response({"sendno": "0", "msg_id": "0"}, headers=self._quota())

    async def _make_cids(self, request: web.Request) -> web.StreamResponse:
        count = request.query.get("count", "1")
        wanted = min(10, int(count)) if count.isdigit() else 1
        return web.json_response({"cidlist": [f"{APP_KEY}-stand-in-{n}" for n in range(wanted)]})

    async def _received(self, request: web.Request) -> web.StreamResponse:
        ids = request.query.get("msg_ids", "").split(",")[:100]
        rows = [{"msg_id": i, "jpush_received": int(i in self._pushed), "ios_apns_sent": 0} for i in ids]
        return web.json_response(rows)

    async def _wrong_method(self, _: web.Request) -> web.StreamResponse:
        return _refusal(Refused(405, 1001, "only POST"))

    # -- its rules -----------------------------------------------------------------------------------------

    def _allowed(self, request: web.Request) -> None:
        expected = "Basic " + base64.b64encode(f"{APP_KEY}:{MASTER_SECRET}".encode()).decode()
        if request.headers.get("Authorization") != expected:
            raise Refused(401, 1004, "authentication failed")
        if self.told_to(Misbehaviour.BUSY):
            raise Refused(429, 2002, "rate limit", {**self._quota(), "X-Rate-Limit-Reset": "7"})
        now = self.clock()
        while self._recent and self._recent[0] <= now - 60:
            self._recent.popleft()
        if len(self._recent) >= A_MINUTE:
            reset = str(max(1, int(self._recent[0] + 60 - now)))
            raise Refused(429, 2002, "rate limit", {**self._quota(), "X-Rate-Limit-Reset": reset})
        self._recent.append(now)

    def _quota(self) -> dict[str, str]:
        left = str(max(0, A_MINUTE - len(self._recent)))
        return {"X-Rate-Limit-Limit": str(A_MINUTE), "X-Rate-Limit-Remaining": left, "X-Rate-Limit-Reset": "60"}

    async def _form(self, request: web.Request) -> dict[str, Any]:
        try:
            form = json.loads(await request.read())
        except ValueError:
            raise Refused(400, 1003, "the body is not JSON") from None
        if not isinstance(form, dict):
            raise Refused(400, 1003, "the body is no object")
        if unknown := set(form) - TOP:
            raise Refused(400, 1009, f"unknown key {sorted(unknown)[0]}")
        for name in ("platform", "audience"):
            if name not in form:
                raise Refused(400, 1002, f"{name} is missing")
        if "notification" not in form and "message" not in form:
            raise Refused(400, 1002, "neither notification nor message")
        self._audience(form["audience"])
        _options(form.get("options", {}))
        _sizes(form.get("notification", {}))
        return form

    def _audience(self, audience: Any) -> None:
        if audience == "all":
            return
        if not isinstance(audience, dict) or not audience:
            raise Refused(400, 1003, "audience is neither all nor an object")
        for kind, values in audience.items():
            if kind not in AUDIENCE or not isinstance(values, list) or not 1 <= len(values) <= AUDIENCE[kind]:
                raise Refused(400, 1003, f"audience.{kind}")
            if kind in ("tag", "tag_and", "tag_not") and any(not v or utf8(str(v)) > 40 for v in values):
                raise Refused(400, 1003, f"audience.{kind}: a tag has at most 40 bytes")
        if any(set(audience.get(k, [])) & self.empty for k in ("tag_and", "segment")):
            raise Refused(400, 1011, "cannot find user by this audience")
        if audience.get("tag") and set(audience["tag"]) <= self.empty:
            raise Refused(400, 1011, "cannot find user by this audience")

    def _known(self, cid: str | None) -> str | None:
        """The first answer to a cid of the last day."""
        at, told = self._cids.get(cid or "", (float("-inf"), ""))
        return told if self.clock() - at < DAY else None

    def _overridden(self, form: Mapping[str, Any]) -> None:
        earlier = form.get("options", {}).get("override_msg_id")
        if earlier is None:
            return
        at, _ = self._pushed.get(str(earlier), (float("-inf"), None))
        if self.clock() - at >= DAY:
            raise Refused(400, 1003, "override_msg_id is not one of the last day")

    def _show(self, form: Mapping[str, Any], told: str) -> None:
        title, text = _words(form.get("notification", {}))
        earlier = self._pushed.get(str(form.get("options", {}).get("override_msg_id")))
        if earlier is not None:
            shown = earlier[1]
            shown.title, shown.text, shown.versions, shown.remote_id = title, text, shown.versions + 1, told
        else:
            shown = Shown(told, title, text, self.clock())
            self.shown.append(shown)
        self._pushed[told] = (self.clock(), shown)


def _options(options: Mapping[str, Any]) -> None:
    life = options.get("time_to_live", DAY)
    if not isinstance(life, int) or not 0 <= life <= 10 * DAY:
        raise Refused(400, 1003, "options.time_to_live")
    if utf8(str(options.get("apns_collapse_id", ""))) > 64:
        raise Refused(400, 1003, "options.apns_collapse_id")


def _sizes(notification: Mapping[str, Any]) -> None:
    if not isinstance(notification, dict) or not notification:
        raise Refused(400, 1003, "notification")
    for name, limit in LIMITS.items():
        part = notification.get(name)
        if part is None:
            continue
        if not isinstance(part, dict) or "alert" not in part or (name == "hmos" and not part.get("category")):
            raise Refused(400, 1002, f"notification.{name}")
        if len(json.dumps(part, ensure_ascii=False, separators=(",", ":")).encode()) > limit:
            raise Refused(400, 1005, f"notification.{name} has more than {limit} bytes")


def _words(notification: Mapping[str, Any]) -> tuple[str, str]:
    for name in ("android", "hmos", "ios"):
        if (part := notification.get(name)) is not None:
            alert = part["alert"]
            both = (alert.get("title", ""), alert.get("body", "")) if isinstance(alert, dict) else ("", alert)
            url = part.get("extras", {}).get("url", "")
            return part.get("title") or both[0], f"{both[1]}\n{url}".strip()
    return "", str(notification.get("alert", ""))


def _refusal(refused: Refused) -> web.Response:
    body = {"error": {"code": refused.code, "message": refused.message}}
    return web.json_response(body, status=refused.status, headers=dict(refused.headers))


STAND_IN = JPushStandIn
