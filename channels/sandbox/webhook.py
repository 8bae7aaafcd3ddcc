"""A stand-in for receivers of signed webhooks while an agency rehearses: verifies, drops repeats, shows what came."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from aiohttp import web

from channels.adapters.webhook.signing import symmetric_key, verify
from channels.sandbox.stand_in import Misbehaviour, Shown, StandIn, Standing

SECRET = "whsec_" + base64.b64encode(b"a rehearsal, not a real secret!!").decode()
KEPT = ("deadline", "parallel", "body_limit", "key_lifetime")
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
WAIT_SECONDS = "2"  # what BUSY asks for


class WebhookStandIn(StandIn):
    kind: ClassVar[str] = "webhook"
    platform: ClassVar[tuple[str, str]] = ("Webhook receiver", "回调接收方")

    def keys(self, url: str, own: Mapping[str, Any]) -> dict[str, Any]:
        return {k: own[k] for k in KEPT if k in own} | {"url": f"{url}/in", "secrets": [SECRET]}

    def routes(self) -> Iterable[web.RouteDef]:
        self._seen: set[str] = set()
        return [web.post("/in", self._take)]

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if self.told_to(Misbehaviour.BUSY):
            return web.Response(status=503, headers={"Retry-After": WAIT_SECONDS})
        message_id, stamp, signature = (request.headers.get(name, "") for name in HEADERS)
        try:
            known = verify(
                (message_id, stamp, signature), body, secrets=[symmetric_key(SECRET)], public_keys=[], now=self.clock()
            )
            event = json.loads(body)
        except ValueError:
            return web.Response(status=400, text="the body is not JSON")
        if not known:
            return web.Response(status=401, text="no signature holds")
        if message_id not in self._seen and not self.told_to(Misbehaviour.DROP):
            self._show(event)
            self._seen.add(message_id)
        return await self.answer(request, web.Response(status=204))

    def _show(self, event: Mapping[str, Any]) -> None:
        data = event["data"]
        known = self.find(str(data["id"]))
        title = str(data.get("title") or "")  # a withdrawal does not always repeat it
        text = str(data.get("summary") or data.get("note") or "")
        if known is None:
            known = Shown(str(data["id"]), title, text, self.clock(), str(data["url"]), versions=0)
            self.shown.append(known)
        known.title, known.text, known.versions = title, text, known.versions + 1
        known.standing = Standing.GONE if event["type"] == "item.withdrawn" else Standing.LIVE


STAND_IN = WebhookStandIn
