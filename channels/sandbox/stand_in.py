"""What every stand-in shares: what readers would see on it, how it is told to misbehave, and its page.

A stand-in enforces the documented rules of its platform. `GET /` shows what it received, `GET /shown.json` the same
for programs, `POST /misbehave?how=hang&times=1` tells it to misbehave.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from html import escape
from typing import Any, ClassVar

from aiohttp import web

BODY_LIMIT = 32 * 1024 * 1024  # bytes
CALLS_KEPT = 500


class Misbehaviour(StrEnum):
    """The first five come after the post was taken: what readers see is the truth, what we are told is not."""

    HANG = "hang"  # never answers
    RESET = "reset"  # breaks the connection
    ERROR = "error"  # answers 502
    GARBAGE = "garbage"  # answers 200 with something unreadable
    PARTIAL = "partial"  # takes only a part of it and says so, where the platform can
    DROP = "drop"  # answers as if taken; nothing ever appears
    BUSY = "busy"  # not taken; asks to come again, in the platform's own way
    TOKEN_KILLED = "token_killed"  # noqa: S105 - the access token has just died; nothing is taken with it
    LATE = "late"  # decides later than usual, where the platform decides later at all
    TWICE = "twice"  # sends its events twice, where it sends events


class Standing(StrEnum):
    LIVE = "live"
    PENDING = "pending"  # taken, not yet decided, or a draft: no reader sees it
    GONE = "gone"  # taken down
    REFUSED = "refused"


@dataclass(slots=True)
class Shown:
    """One post as the platform has it. `at` is epoch seconds; `versions` counts its texts."""

    remote_id: str
    title: str
    text: str
    at: float
    url: str = ""
    images: int = 0
    standing: Standing = Standing.LIVE
    versions: int = 1


class StandIn(ABC):
    """One platform as one account sees it. `clock` is epoch seconds."""

    kind: ClassVar[str]
    platform: ClassVar[tuple[str, str]]  # its name in English and Chinese

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.callback = ""  # where events are sent, for platforms that send some
        self.shown: list[Shown] = []
        self.calls: deque[tuple[float, str, str]] = deque(maxlen=CALLS_KEPT)  # when, path without query, what came
        self._ordered: Counter[Misbehaviour] = Counter()
        self._closing = asyncio.Event()

    @abstractmethod
    def routes(self) -> Iterable[web.RouteDef]:
        """The platform's own interface. `/`, `/shown.json` and `/misbehave` are taken."""

    @abstractmethod
    def keys(self, url: str, own: Mapping[str, Any]) -> dict[str, Any]:
        """The account's keys `own`, pointed at this stand-in at `url` (no trailing slash) with credentials that it
        knows: nothing of the live account is left in them."""

    @contextlib.asynccontextmanager
    async def opened(self, host: str, port: int) -> AsyncIterator[None]:
        """Around the time in which it is served on `port`, for a platform that listens beside HTTP as well. Where it
        listens has to follow from the address of its pages: `keys` is asked in other processes too."""
        yield

    # -- what readers see ----------------------------------------------------------------------------------

    def live(self) -> list[Shown]:
        return [post for post in self.shown if post.standing is Standing.LIVE]

    def find(self, remote_id: str) -> Shown | None:
        return next((post for post in self.shown if post.remote_id == remote_id), None)

    # -- misbehaving ---------------------------------------------------------------------------------------

    def misbehave(self, how: Misbehaviour, times: int = 1) -> None:
        self._ordered[how] += times

    def told_to(self, how: Misbehaviour) -> bool:
        """Whether to misbehave so now; uses up one time."""
        if self._ordered[how] <= 0:
            return False
        self._ordered[how] -= 1
        return True

    async def answer(self, request: web.Request, reply: web.StreamResponse) -> web.StreamResponse:
        """The answer to a request that was taken, unless we were told to lose it. Call it last."""
        if self.told_to(Misbehaviour.HANG):
            await self._closing.wait()
        elif self.told_to(Misbehaviour.RESET) and request.transport is not None:
            request.transport.abort()
        elif self.told_to(Misbehaviour.ERROR):
            return web.Response(status=502, text="<html>bad gateway</html>")
        elif self.told_to(Misbehaviour.GARBAGE):
            return web.Response(status=200, text="<html>welcome</html>", content_type="text/html")
        return reply

    # -- serving -------------------------------------------------------------------------------------------

    def app(self) -> web.Application:
        app = web.Application(client_max_size=BODY_LIMIT, middlewares=[self._note])
        app.router.add_routes(
            [
                web.get("/", self._page),
                web.get("/shown.json", self._listing),
                web.post("/misbehave", self._order),
                *self.routes(),
            ]
        )
        app.on_shutdown.append(self._end_waits)
        return app

    @web.middleware
    async def _note(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Keeps which calls came; never a query or a header, which hold tokens."""
        reply: web.StreamResponse = await handler(request)
        self.calls.append((self.clock(), f"{request.method} {request.path}", str(reply.status)))
        return reply

    async def _end_waits(self, _: web.Application) -> None:
        self._closing.set()

    async def _order(self, request: web.Request) -> web.Response:
        try:
            how, times = Misbehaviour(request.query.get("how", "")), int(request.query.get("times", "1"))
        except ValueError:
            known = ", ".join(Misbehaviour)
            return web.Response(status=400, text=f"how= is one of {known}; times= is a number\n")
        self.misbehave(how, times)
        return web.Response(status=202, text=f"{how}: {times}\n")

    async def _listing(self, _: web.Request) -> web.Response:
        calls = [{"at": at, "call": call, "status": status} for at, call, status in self.calls]
        return web.json_response(
            {"kind": self.kind, "shown": [asdict(post) for post in self.shown], "calls": calls}, dumps=_dumps
        )

    async def _page(self, _: web.Request) -> web.Response:
        policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return web.Response(text=page(self), content_type="text/html", headers=policy)


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_STANDINGS: Mapping[Standing, str] = {
    Standing.LIVE: "visible 可见",
    Standing.PENDING: "not yet visible 尚未可见",
    Standing.GONE: "taken down 已撤下",
    Standing.REFUSED: "refused 已拒绝",
}
_NOTHING = '<tr><td colspan="4">Nothing has arrived yet. 尚未收到任何内容。</td></tr>'


def page(stand_in: StandIn) -> str:
    """What the stand-in received, newest first, in both languages."""
    rows = "".join(_row(post) for post in reversed(stand_in.shown)) or _NOTHING
    en, zh = (escape(name) for name in stand_in.platform)
    return _PAGE.format(rows=rows, en=en, zh=zh, live=len(stand_in.live()), all=len(stand_in.shown))


def _row(post: Shown) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(post.at))
    edited = f" · {post.versions} versions 版本" if post.versions > 1 else ""
    pictures = f"<p>{post.images} pictures 图片</p>" if post.images else ""
    text = f"<strong>{escape(post.title)}</strong><pre>{escape(post.text)}</pre>{pictures}"
    cells = (when, _STANDINGS[post.standing] + edited, text, escape(post.remote_id))
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{en} stand-in / {zh}演练端</title>
<style>
body{{font:16px/1.6 system-ui,"Noto Sans CJK SC","Microsoft YaHei",sans-serif;max-width:70rem;margin:2rem auto;
padding:0 1rem;color:#1c1c1c;background:#fff}}
.wide{{overflow-x:auto}} table{{border-collapse:collapse;width:100%}} pre{{white-space:pre-wrap;font:inherit;margin:0}}
th,td{{text-align:left;padding:.4rem .8rem .4rem 0;border-bottom:1px solid #ccc;vertical-align:top}}
td:last-child{{font-family:ui-monospace,monospace;font-size:.85em;overflow-wrap:anywhere}}
</style></head><body>
<h1>{en} stand-in <span lang="zh-CN">{zh}演练端</span></h1>
<p>Nothing here is on the live platform. <span lang="zh-CN">此处内容均未发布到真实平台。</span></p>
<p><strong>{live}</strong> visible 可见 · <strong>{all}</strong> received 共收到</p>
<div class="wide"><table><thead><tr><th>time 时间</th><th>state 状态</th>
<th>post 内容</th><th>id</th></tr></thead><tbody>
{rows}</tbody></table></div>
</body></html>
"""
