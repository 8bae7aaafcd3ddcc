"""A stand-in of an ntfy server, from version 2.16: one account, topics made by use, sequences, a cache of 12 hours."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from aiohttp import web

from channels.sandbox.stand_in import Misbehaviour, Shown, StandIn, Standing
from channels.text import utf8

TOKEN = "tk_standin0123456789abcdefghijklm"  # noqa: S105 - known to everybody
NAME = re.compile(r"[-_A-Za-z0-9]{1,64}")
MESSAGE_LIMIT = 4096  # bytes; ntfy documentation, "Limitations"
BURST, REFILL = 60, 5.0  # requests at once, seconds for one more; the same page
CACHED = 12 * 3600  # seconds; ntfy documentation, "cache-duration"
KNOWN = {"topic", "message", "title", "tags", "priority", "click", "icon", "actions", "attach", "markdown", "filename",
         "delay", "email", "call", "cache", "firebase", "sequence_id"}  # fmt: skip


class Refused(Exception):
    def __init__(self, code: int, error: str) -> None:
        super().__init__(error)
        self.code, self.error = code, error


class NtfyStandIn(StandIn):
    """`sequences` False: as servers before 2.16 were, which pass over what they do not know."""

    kind: ClassVar[str] = "ntfy"
    platform: ClassVar[tuple[str, str]] = ("ntfy", "ntfy 推送")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self.sequences = True
        self._events: dict[str, list[dict[str, Any]]] = {}
        self._tokens, self._filled = float(BURST), clock()
        self._serial = 0

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.post("/", self._publish),
            web.put("/", self._publish),
            web.post("/gateway/{name}", self._raw),
            web.get("/{topic}/json", self._list),
            web.get("/{topic}/auth", self._may_read),
            web.delete("/{topic}/{sequence}", self._delete),
        ]

    def keys(self, url: str, own: Mapping[str, Any]) -> dict[str, Any]:
        kept = {k: v for k, v in own.items() if k not in ("token", "username", "password", "endpoint")}
        if "endpoint" in own:
            return kept | {"endpoint": f"{url}/gateway/app"}
        return kept | {"base_url": url, "token": TOKEN}

    # -- the server's calls --------------------------------------------------------------------------------

    async def _publish(self, request: web.Request) -> web.StreamResponse:
        try:
            self._allowed(request)
            form = _checked(await request.read())
        except Refused as refused:
            return _refusal(refused)
        event = self._event(form["topic"], "message", form.get("sequence_id"))
        event |= {name: form[name] for name in ("title", "click", "priority", "tags") if form.get(name)}
        event["message"] = form.get("message") or "triggered"
        if not self.told_to(Misbehaviour.DROP):
            self._keep(event)
            self._show(event, images=int("attach" in form))
        return await self.answer(request, web.json_response(event))

    async def _raw(self, request: web.Request) -> web.StreamResponse:
        """A gateway that hands bytes to an app."""
        body = await request.read()
        if not 1 <= len(body) <= MESSAGE_LIMIT:
            return web.Response(status=413)
        if self.told_to(Misbehaviour.BUSY):
            return web.Response(status=429, headers={"Retry-After": "7"})
        if not self.told_to(Misbehaviour.DROP):
            told = json.loads(body)
            self.shown.append(Shown(told["id"], told["title"], f"{told['message']}\n{told['url']}", self.clock()))
        return await self.answer(request, web.Response(status=201))

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        try:
            self._allowed(request)
        except Refused as refused:
            return _refusal(refused)
        topic, sequence = request.match_info["topic"], request.match_info["sequence"]
        if not self.sequences or not NAME.fullmatch(topic) or not NAME.fullmatch(sequence):
            return _refusal(Refused(40401, "page not found"))
        event = self._event(topic, "message_delete", sequence)
        if not self.told_to(Misbehaviour.DROP):
            self._keep(event)
            for post in self.shown:
                if post.remote_id == sequence:
                    post.standing = Standing.GONE
        return await self.answer(request, web.json_response(event))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        if not self._known(request):
            return _refusal(Refused(40301, "forbidden"))
        since, title = request.query.get("since", "all"), request.query.get("title")
        begin = float(since) if since.isdigit() else 0.0
        oldest = max(begin, self.clock() - CACHED)
        events = [e for e in self._events.get(request.match_info["topic"], []) if e["time"] >= oldest]
        lines = [json.dumps(e, ensure_ascii=False) for e in events if title is None or e.get("title") == title]
        return web.Response(text="".join(f"{line}\n" for line in lines), content_type="application/x-ndjson")

    async def _may_read(self, request: web.Request) -> web.StreamResponse:
        if "Authorization" in request.headers and not self._known(request):
            return _refusal(Refused(40101, "unauthorized"))
        if not self._known(request):
            return _refusal(Refused(40301, "forbidden"))
        return web.json_response({"success": True})

    # -- its rules -----------------------------------------------------------------------------------------

    def _known(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _allowed(self, request: web.Request) -> None:
        if not self._known(request):
            raise Refused(40101 if "Authorization" in request.headers else 40301, "unauthorized")
        if self.told_to(Misbehaviour.BUSY):
            raise Refused(42901, "limit reached: too many requests")
        now = self.clock()
        self._tokens = min(BURST, self._tokens + max(0.0, now - self._filled) / REFILL)
        self._filled = now
        if self._tokens < 1:
            raise Refused(42901, "limit reached: too many requests")
        self._tokens -= 1

    def _event(self, topic: str, kind: str, sequence: str | None) -> dict[str, Any]:
        self._serial += 1
        event: dict[str, Any] = {"id": f"standin{self._serial:05}", "time": int(self.clock()), "event": kind}
        event |= {"topic": topic, "expires": int(self.clock()) + CACHED}
        return event | ({"sequence_id": sequence} if sequence and self.sequences else {})

    def _keep(self, event: dict[str, Any]) -> None:
        self._events.setdefault(event["topic"], []).append(event)

    def _show(self, event: Mapping[str, Any], images: int) -> None:
        """What phones show: the newest of a sequence."""
        name, text = event.get("sequence_id", event["id"]), f"{event['message']}\n{event.get('click', '')}".strip()
        shown = self.find(name)
        if shown is None or shown.standing is Standing.GONE:
            self.shown.append(Shown(name, event.get("title", ""), text, self.clock(), images=images))
            return
        shown.title, shown.text, shown.versions = event.get("title", ""), text, shown.versions + 1


def _checked(body: bytes) -> dict[str, Any]:
    if len(body) > 2 * MESSAGE_LIMIT:
        raise Refused(41303, "JSON body too large")
    try:
        form = json.loads(body)
    except ValueError:
        form = None
    if not isinstance(form, dict) or set(form) - KNOWN:
        raise Refused(40017, "invalid request: request body must be message JSON")
    if not NAME.fullmatch(str(form.get("topic", ""))):
        raise Refused(40009, "invalid request: topic invalid")
    if form.get("priority", 3) not in (1, 2, 3, 4, 5):
        raise Refused(40007, "invalid request: priority invalid")
    if utf8(form.get("message", "")) > MESSAGE_LIMIT:
        raise Refused(41301, "attachment too large, or bandwidth limit reached")
    return form


def _refusal(refused: Refused) -> web.Response:
    status = refused.code // 100
    return web.json_response({"code": refused.code, "http": status, "error": refused.error}, status=status)


STAND_IN = NtfyStandIn
