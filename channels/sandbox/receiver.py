"""A stand-in webhook receiver: verifies, drops repeats, shows what came, and misbehaves when told to.

`POST /` and `POST /<any>` take events. The query chooses a misbehaviour that comes after the event was taken:
`?behave=hang`, `reset`, `error`, `drip`, `huge`; or instead of taking it: `limit`, `busy`, `redirect`, `gone`,
`refuse`, `forbid`, `early`. `status=` names the status of `error`, `retry_after=` the wait of `limit` and `busy`,
`times=` how often to misbehave before behaving.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from channels.adapters.webhook.signing import SymmetricKey, public_key, symmetric_key, verify

HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
IDS_KEPT = 100_000  # ids remembered for dropping repeats
BODY_LIMIT = 4 * 1024 * 1024  # bytes
HUGE = 8 * 1024 * 1024  # bytes of the answer of `huge`

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event as taken. `at` is epoch seconds; `schemes` are those whose signature held."""

    message_id: str
    at: float
    schemes: tuple[str, ...]
    event: Mapping[str, Any]


class Inbox:
    """What the receiver remembers. `requests` counts every POST, `repeats` those dropped by id."""

    def __init__(self, secrets: Sequence[SymmetricKey], keys: Sequence[Ed25519PublicKey], keep: int) -> None:
        self.secrets, self.keys = secrets, keys
        self.arrivals: deque[Arrival] = deque(maxlen=keep)
        self.requests = self.repeats = self.refused = self.taken = 0
        self.misbehaved: Counter[str] = Counter()
        self._ids: OrderedDict[str, None] = OrderedDict()

    def take(self, headers: tuple[str, str, str], body: bytes, now: float) -> bool:
        """False when no signature holds. A repeat is taken again without a trace."""
        schemes = verify(headers, body, secrets=self.secrets, public_keys=self.keys, now=now)
        if not schemes:
            self.refused += 1
            return False
        if headers[0] in self._ids:
            self.repeats += 1
            return True
        self._remember(headers[0])
        self.taken += 1
        self.arrivals.append(Arrival(headers[0], now, tuple(sorted(schemes)), json.loads(body)))
        return True

    def _remember(self, message_id: str) -> None:
        self._ids[message_id] = None
        if len(self._ids) > IDS_KEPT:
            self._ids.popitem(last=False)


INBOX = web.AppKey("inbox", Inbox)
_CLOCK: web.AppKey[Callable[[], float]] = web.AppKey("clock")
_CLOSING = web.AppKey("closing", asyncio.Event)


def receiver_app(
    *,
    secrets: Sequence[str] = (),
    public_keys: Sequence[str] = (),
    keep: int = 200,
    clock: Callable[[], float] = time.time,
) -> web.Application:
    """`secrets` are `whsec_...`, `public_keys` are `whpk_...`. Raises `ValueError` for a bad key."""
    app = web.Application(client_max_size=BODY_LIMIT)
    app[INBOX] = Inbox([symmetric_key(s) for s in secrets], [public_key(k) for k in public_keys], keep)
    app[_CLOCK] = clock
    app[_CLOSING] = asyncio.Event()
    app.on_shutdown.append(_end_waits)
    app.router.add_get("/", _page)
    app.router.add_get("/received.json", _listing)
    app.router.add_post("/{path:.*}", _receive)
    return app


async def _receive(request: web.Request) -> web.StreamResponse:
    inbox = request.app[INBOX]
    inbox.requests += 1
    behaviour = _behaviour(request, inbox)
    if behaviour in _INSTEAD:
        await request.read()
        return await _INSTEAD[behaviour](request)
    body = await request.read()
    message_id, stamp, signature = (request.headers.get(name, "") for name in HEADERS)
    try:
        known = inbox.take((message_id, stamp, signature), body, request.app[_CLOCK]())
    except ValueError:
        return web.Response(status=400, text="the body is not JSON")
    if not known:
        return web.Response(status=401, text="no signature holds")
    return await _AFTER.get(behaviour, _ok)(request)


def _behaviour(request: web.Request, inbox: Inbox) -> str:
    chosen = request.query.get("behave", "")
    times = request.query.get("times", "")
    if not times:
        return chosen
    if inbox.misbehaved[request.path_qs] >= int(times):
        return ""
    inbox.misbehaved[request.path_qs] += 1
    return chosen


async def _ok(_: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


async def _end_waits(app: web.Application) -> None:
    app[_CLOSING].set()


async def _hang(request: web.Request) -> web.StreamResponse:
    """Until the receiver is closed."""
    await request.app[_CLOSING].wait()
    return web.Response(status=204)


async def _reset(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=204)


async def _error(request: web.Request) -> web.StreamResponse:
    return web.Response(status=int(request.query.get("status", "500")), text="<html>broken</html>")


async def _drip(request: web.Request) -> web.StreamResponse:
    """One byte a second, for ever."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    with contextlib.suppress(ConnectionError):
        while not request.app[_CLOSING].is_set():
            await answer.write(b".")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(request.app[_CLOSING].wait(), 1)
    return answer


async def _huge(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"x" * HUGE)


async def _limit(request: web.Request) -> web.StreamResponse:
    return web.Response(status=429, headers=_waits(request))


async def _busy(request: web.Request) -> web.StreamResponse:
    return web.Response(status=503, headers=_waits(request))


def _waits(request: web.Request) -> list[tuple[str, str]]:
    """Every `retry_after` of the query becomes a header of its own."""
    return [("Retry-After", value) for value in request.query.getall("retry_after", [])]


def _plain(status: int, headers: Mapping[str, str] = MappingProxyType({})) -> Handler:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers=dict(headers))

    return answer


_AFTER: Mapping[str, Handler] = MappingProxyType(
    {"hang": _hang, "reset": _reset, "error": _error, "drip": _drip, "huge": _huge}
)
_INSTEAD: Mapping[str, Handler] = MappingProxyType(
    {
        "limit": _limit,
        "busy": _busy,
        "redirect": _plain(302, {"Location": "/moved"}),
        "gone": _plain(410),
        "refuse": _plain(400),
        "forbid": _plain(403),
        "early": _plain(425),
    }
)


async def _listing(request: web.Request) -> web.StreamResponse:
    inbox = request.app[INBOX]
    events = [{"id": a.message_id, "at": a.at, "schemes": a.schemes, "event": a.event} for a in inbox.arrivals]
    counts = {name: getattr(inbox, name) for name in ("requests", "taken", "repeats", "refused")}
    return web.json_response(counts | {"events": events})


async def _page(request: web.Request) -> web.StreamResponse:
    inbox = request.app[INBOX]
    rows = "".join(_row(a) for a in reversed(inbox.arrivals)) or _NOTHING
    numbers = {name: getattr(inbox, name) for name in ("taken", "repeats", "refused")}
    policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return web.Response(text=_PAGE.format(rows=rows, **numbers), content_type="text/html", headers=policy)


def _row(arrival: Arrival) -> str:
    data = arrival.event.get("data")
    facts = data if isinstance(data, dict) else {}
    when = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(arrival.at))
    kind, title, url = (str(v) for v in (arrival.event.get("type", ""), facts.get("title", ""), facts.get("url", "")))
    link = f'<a href="{escape(url)}">{escape(title)}</a>' if url.startswith(("https://", "http://")) else escape(title)
    cells = (when, _KINDS.get(kind, escape(kind)), link, escape(", ".join(arrival.schemes)), escape(arrival.message_id))
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n"


_KINDS = {
    "item.published": "published 发布",
    "item.corrected": "corrected 更正",
    "item.withdrawn": "withdrawn 撤回",
}
_NOTHING = '<tr><td colspan="5">Nothing has arrived yet. 尚未收到任何事件。</td></tr>'
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Webhook receiver / 回调接收端</title>
<style>
body{{font:16px/1.6 system-ui,"Noto Sans CJK SC","Microsoft YaHei",sans-serif;max-width:70rem;margin:2rem auto;
padding:0 1rem;color:#1c1c1c;background:#fff}}
.wide{{overflow-x:auto}} table{{border-collapse:collapse;width:100%}}
th,td{{text-align:left;padding:.4rem .8rem .4rem 0;border-bottom:1px solid #ccc;vertical-align:top}}
td:last-child{{font-family:ui-monospace,monospace;font-size:.85em;overflow-wrap:anywhere}}
</style></head><body>
<h1>Webhook receiver <span lang="zh-CN">回调接收端</span></h1>
<p>Verifies each event and takes it once. <span lang="zh-CN">逐条验签，同一事件只收一次。</span></p>
<p><strong>{taken}</strong> taken 已收 · <strong>{repeats}</strong> repeats dropped 重复已弃 ·
<strong>{refused}</strong> refused 已拒</p>
<div class="wide"><table><thead><tr><th>time 时间</th><th>event 事件</th><th>title 标题</th>
<th>signatures 签名</th><th>webhook-id</th></tr></thead><tbody>
{rows}</tbody></table></div>
</body></html>
"""
