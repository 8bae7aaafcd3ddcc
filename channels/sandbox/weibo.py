"""Weibo's stand-in: the rules of statuses/share, the two shapes of its error codes, repeats, delays and allowances."""

from __future__ import annotations

import html
import ipaddress
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlsplit

from aiohttp import web

from channels.sandbox.stand_in import Misbehaviour, Shown, StandIn, Standing
from channels.text import halves

# Accepted here and nowhere else. Behind it stand the secure domains: Weibo knows the app's by its token.
TOKEN = "2.00standin-access-token"  # noqa: S105
TOKEN_LIFE = 30 * 86_400  # seconds; open.weibo.com, 授权机制: reviewed apps
REQUESTS_A_DAY, POSTS_AN_HOUR = 100, 30  # open.weibo.com wiki "Rate-limiting"
PICTURE_BYTES = 5_000_000  # statuses/share: under 5 MB
REPEAT_WINDOW = 86_400.0  # seconds in which the same text is refused; Weibo names no number
DELAY = 30.0  # seconds until a status that was answered with 20032 can be seen
WINDOW = 3600

_LINK = re.compile(r"https?://[!-~]+")
_TOPIC = re.compile(r"[#＃][^#＃]+[#＃]")
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8")  # how a JPEG, PNG, GIF begins
_WORDS = {
    10008: "param error, see doc for more info",
    10009: "too many pending tasks, system is busy",
    10016: "miss required parameter",
    10017: "parameter value invalid",
    10023: "user requests out of rate limit",
    10024: "user requests for this api out of rate limit",
    20005: "unsupported image type, only support JPG, GIF, PNG",
    20006: "image size too large",
    20008: "content is null",
    20012: "text too long, please input text less than 140 characters",
    20013: "text too long, please input text less than 300 characters",
    20018: "contain illegal website",
    20019: "repeat content",
    20032: "update success, while server slow now, please wait 1-2 minutes",
    20101: "target weibo does not exist",
    21327: "token expired",
    21332: "invalid access token",
}


class Refusal(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class _Hits:
    """When this user's requests and posts came, epoch seconds."""

    requests: list[float] = field(default_factory=list)
    posts: list[float] = field(default_factory=list)


class WeiboStandIn(StandIn):
    kind: ClassVar[str] = "weibo"
    platform: ClassVar[tuple[str, str]] = ("Weibo", "新浪微博")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self.hits = _Hits()
        self._errors = 0

    def routes(self) -> Iterable[web.RouteDef]:
        return (
            web.post("/2/statuses/share.json", self._guarded(self._share)),
            web.post("/2/statuses/destroy.json", self._guarded(self._destroy)),
            web.get("/2/statuses/show.json", self._guarded(self._show)),
            web.get("/2/statuses/user_timeline.json", self._guarded(self._timeline)),
            web.post("/oauth2/get_token_info", self._token_info),
        )

    def keys(self, url: str, own: Mapping[str, Any]) -> dict[str, Any]:
        return {**own, "base_url": url, "access_token": ":".join((TOKEN, *own.get("secure_domains", ())))}

    # -- the calls -------------------------------------------------------------------------------------------

    async def _share(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        text = str(form.get("status", ""))
        self._check(text, str(form.get("rip", "")), form.get("pic"), _bearer(request)[1:])
        if self.told_to(Misbehaviour.BUSY):
            raise Refusal(10009)
        self._count_post()
        if any(p.text == text and p.at > self.clock() - REPEAT_WINDOW for p in self._seen()):
            raise Refusal(20019)
        late = self.told_to(Misbehaviour.LATE)
        post = Shown(_new_id(), "", text, self.clock(), images=int("pic" in form))
        if not self.told_to(Misbehaviour.DROP):
            post.standing = Standing.PENDING if late else Standing.LIVE
            self.shown.append(post)
        if late:
            raise Refusal(20032)
        return await self.answer(request, web.json_response(self._status(post)))

    async def _destroy(self, request: web.Request) -> web.StreamResponse:
        post = self._wanted(str((await request.post()).get("id", "")))
        if self.told_to(Misbehaviour.BUSY):
            raise Refusal(10009)
        if not self.told_to(Misbehaviour.DROP):
            post.standing = Standing.GONE
        return await self.answer(request, web.json_response(self._status(post)))

    async def _show(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._status(self._wanted(request.query.get("id", ""))))

    async def _timeline(self, request: web.Request) -> web.StreamResponse:
        count = min(int(request.query.get("count", "20")), 100)
        newest = [self._status(post) for post in reversed(self._seen())][:count]
        return web.json_response({"statuses": newest, "total_number": len(self._seen())})

    async def _token_info(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        if str(form.get("access_token")).split(":")[0] != TOKEN:
            return self._error(21332, request)
        now = int(self.clock())
        facts = {"uid": 1073880650, "appkey": "1234567890", "scope": None, "create_at": now, "expire_in": TOKEN_LIFE}
        return web.json_response(facts)

    # -- the rules -------------------------------------------------------------------------------------------

    def _guarded(self, handler: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        async def run(request: web.Request) -> web.StreamResponse:
            try:
                self._admit(request)
                found: web.StreamResponse = await handler(request)
                return found
            except Refusal as refusal:
                return self._error(refusal.code, request)

        return run

    def _admit(self, request: web.Request) -> None:
        if _bearer(request)[0] != TOKEN:
            raise Refusal(21332)
        if self.told_to(Misbehaviour.TOKEN_KILLED):
            raise Refusal(21327)
        now = self.clock()
        self.hits.requests = [at for at in self.hits.requests if at > now - 86_400]
        if len(self.hits.requests) >= REQUESTS_A_DAY:
            raise Refusal(10023)
        self.hits.requests.append(now)

    def _check(self, text: str, rip: str, picture: object, domains: list[str]) -> None:
        if not rip:
            raise Refusal(10016)
        if not _is_public(rip):
            raise Refusal(10017)
        if not text.strip():
            raise Refusal(20008)
        if halves(text) > 140:
            raise Refusal(20013 if halves(text) > 300 else 20012)
        hosts = [(urlsplit(link).hostname or "") for link in _LINK.findall(text)]
        if not any(host == d or host.endswith(f".{d}") for host in hosts for d in domains):
            raise Refusal(20018)
        if _TOPIC.search(text):
            raise Refusal(10017)
        if picture is not None:
            self._check_picture(picture)

    def _check_picture(self, picture: object) -> None:
        content = picture.file.read() if isinstance(picture, web.FileField) else b""
        if not content.startswith(_PICTURES):
            raise Refusal(20005)
        if len(content) >= PICTURE_BYTES:
            raise Refusal(20006)

    def _count_post(self) -> None:
        now = self.clock()
        self.hits.posts = [at for at in self.hits.posts if at > now - WINDOW]
        if len(self.hits.posts) >= POSTS_AN_HOUR:
            raise Refusal(10024)
        self.hits.posts.append(now)

    def _seen(self) -> list[Shown]:
        """What can be seen by now; delayed statuses come out when their time has come."""
        for post in self.shown:
            if post.standing is Standing.PENDING and post.at + DELAY <= self.clock():
                post.standing = Standing.LIVE
        return self.live()

    def _wanted(self, remote_id: str) -> Shown:
        found = next((post for post in self._seen() if post.remote_id == remote_id), None)
        if found is None:
            raise Refusal(20101)
        return found

    # -- the answers -----------------------------------------------------------------------------------------

    def _status(self, post: Shown) -> dict[str, Any]:
        """As Weibo shows it: links shortened, signs escaped, the id as a number and as a text."""
        text = _LINK.sub(lambda m: f"http://t.cn/{secrets.token_hex(4)}", post.text)
        made = time.strftime("%a %b %d %H:%M:%S +0800 %Y", time.gmtime(post.at + 8 * 3600))
        ids = {"id": int(post.remote_id), "idstr": post.remote_id, "mid": post.remote_id}
        return {**ids, "created_at": made, "text": html.escape(text, quote=False), "isLongText": False}

    def _error(self, code: int, request: web.Request) -> web.Response:
        """`error_code` is a text in one reply and a number in the next, as it is on Weibo."""
        self._errors += 1
        said = str(code) if self._errors % 2 else code
        body = {"request": request.path, "error_code": said, "error": _WORDS[code]}
        return web.json_response(body, status=403 if code in (10023, 10024, 21327, 21332) else 400)


def _bearer(request: web.Request) -> list[str]:
    return request.headers.get("Authorization", "").removeprefix("OAuth2 ").split(":")


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def _new_id() -> str:
    """Larger than a JavaScript number holds exactly, as Weibo's are."""
    return str((1 << 53) + secrets.randbelow(1 << 52))


STAND_IN = WeiboStandIn
