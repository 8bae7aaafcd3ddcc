"""The audit log for auditors, and the two public addresses with which an outsider checks it."""

from __future__ import annotations

from aiohttp import web

from content_queue.store import Store
from publisher.problems import NotFound
from publisher.texts import bilingual
from publisher.web.api import answers, shown
from publisher.web.api.asks import LogQuery, NoQuery
from publisher.web.api.endpoint import Answer, Call
from publisher.web.api.faults import PLAIN_HEADERS
from publisher.web.api.parts import WebParts

PLAIN_TEXT = "text/plain; charset=utf-8"


async def entries(call: Call[None, LogQuery]) -> Answer:
    q, log = call.query, call.parts.store.log
    found = await (log.of_item(q.item, limit=q.limit) if q.item else log.recent(limit=q.limit, kind=q.kind))
    return Answer(answers.EntryList(entries=[shown.entry(e) for e in found]))


async def checkpoint(call: Call[None, NoQuery]) -> Answer:
    newest = await _newest(call.parts.store)
    return Answer(answers.Sealed(checkpoint=newest, vkey=call.parts.log_vkey))


async def _newest(store: Store) -> str:
    found = await store.log.checkpoint()
    if found is None:
        message = bilingual("The log has no checkpoint yet.")
        raise NotFound("no_checkpoint", message, bilingual("Ask again once something has been logged and sealed."))
    return found


def well_known(parts: WebParts) -> list[web.RouteDef]:
    """RFC 8615 addresses, for anybody: witnesses and mirrors need no token."""

    async def newest(_: web.Request) -> web.Response:
        return _plain(await _newest(parts.store), "no-cache")

    async def vkey(_: web.Request) -> web.Response:
        return _plain(parts.log_vkey.strip() + "\n", "max-age=3600")

    return [
        web.get("/.well-known/gongbao/checkpoint", newest),
        web.get("/.well-known/gongbao/log.vkey", vkey),
    ]


def _plain(text: str, caching: str) -> web.Response:
    headers = {**PLAIN_HEADERS, "Content-Type": PLAIN_TEXT, "Cache-Control": caching}
    return web.Response(body=text.encode(), headers=headers)
