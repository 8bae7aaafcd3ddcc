"""The public site over HTTP: looks up what is kept, answers conditions, sends ready bytes. GET and HEAD only.

Paths are those below the site's base address; a proxy that serves the site under a longer path strips it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler

from publisher.web.feeds import FORMATS, Addresses
from publisher.web.pages.drawing import FOREVER, Address
from publisher.web.pages.ledger import File
from publisher.web.pages.negotiate import prefers_json, prefers_page, seconds, tags, takes_gzip
from publisher.web.pages.rendition import COMMON_HEADERS, Rendition
from publisher.web.renditions import Renditions
from publisher.web.view import SiteInfo

# Shown by a browser itself; everything else is offered for saving, so that no uploaded markup runs on the site.
_SHOWN = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "application/pdf"})

# Readers keep a file for ever (its address is its hash); a shared cache asks again, or a recall would not reach it.
_MEDIA_CACHING = f"{FOREVER}, s-maxage=600"

_Pages = Callable[[web.Request], Awaitable[web.StreamResponse]]


class MediaFiles(Protocol):
    def path(self, sha256: str) -> Path:
        """Where the bytes of that hash lie."""
        ...


def public_routes(renditions: Renditions, media: MediaFiles, site: SiteInfo) -> list[web.RouteDef]:
    """Every public address. Feeds have a fixed route each: the router finds those without a pattern."""
    face = _Face(renditions, media, site)
    fixed = [
        web.get("/", face.home),
        web.get("/feeds", face.to_feeds),
        web.get("/feeds/", face.directory),
        web.get("/feeds.opml", face.kept(Address("opml"))),
        web.get("/robots.txt", face.kept(Address("robots"))),
        web.get("/sitemap.xml", face.kept(Address("sitemap"))),
    ]
    feeds = [
        web.get(f"/feeds/{feed.slug}.{suffix}", face.feed(feed.slug, suffix))
        for feed in renditions.feeds
        for suffix in FORMATS
    ]
    patterns = [
        web.get("/sitemap-{number:[1-9][0-9]{0,5}}.xml", face.sitemap),
        web.get("/feeds/{slug}/archive/{number:[1-9][0-9]{0,8}}.atom", face.archive),
        web.get("/feeds/{slug}/", face.preview),
        web.get("/items/{item_id}", face.item),
        web.get("/columns/{slug}", face.column),
        web.get("/assets/{name}", face.asset),
        web.get("/media/{sha256:[0-9a-f]{64}}/{name}", face.file),
    ]
    return fixed + feeds + patterns


def missing_page(renditions: Renditions, *, machine_prefix: str = "/api/") -> Callable[..., Awaitable[object]]:
    """Middleware: an address nobody serves gets the site's own 404 page (or a JSON problem)."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPNotFound:
            if request.path.startswith(machine_prefix):
                raise
            return await not_found(renditions, request)

    return middleware


async def not_found(renditions: Renditions, request: web.Request) -> web.StreamResponse:
    if prefers_json(request.headers.get("Accept", "")):
        return _problem(404, "Not Found", request.path, {})
    page = await renditions.fetch(Address("missing", language=_language(request, renditions)))
    return respond(request, page) if page else web.Response(status=404)


def respond(request: web.Request, kept: Rendition) -> web.Response:
    """If-None-Match wins over If-Modified-Since (RFC 9110, 13.2.2); either coding's tag names the same content."""
    headers = request.headers
    accepted = headers.get("Accept-Encoding")
    coded = kept.zipped if accepted is not None and takes_gzip(accepted) else kept.plain
    if kept.status == 200:
        given = headers.get("If-None-Match")
        if given is not None:
            if given == coded.tag or _matches(given, kept):
                return web.Response(status=304, headers=coded.not_modified)
        elif kept.modified is not None:
            since = headers.get("If-Modified-Since")
            at = None if since is None else seconds(since)
            if at is not None and kept.modified <= at:
                return web.Response(status=304, headers=coded.not_modified)
    return web.Response(body=coded.body, status=kept.status, headers=coded.headers)


def _matches(given: str, kept: Rendition) -> bool:
    known = tags(given)
    return kept.plain.tag in known or kept.zipped.tag in known or "*" in known


def _language(request: web.Request, renditions: Renditions) -> str:
    """`?lang=zh` or `?lang=en`; anything else is the site's own."""
    if request.rel_url.raw_query_string:
        asked = request.query.get("lang", "").lower()[:2]
        if asked in ("zh", "en"):
            return asked
    return renditions.language


class _Face:
    """The handlers, bound to what they serve from."""

    def __init__(self, renditions: Renditions, media: MediaFiles, site: SiteInfo) -> None:
        self._renditions, self._media, self._site = renditions, media, site
        self._to = Addresses.of(site)

    def feed(self, slug: str, suffix: str) -> _Pages:
        """A reader gets the feed; a browser is sent to the page that explains it."""
        address, get = Address(f"feed.{suffix}", slug), self._renditions.get
        where = self._to.preview(slug)

        async def handler(request: web.Request) -> web.StreamResponse:
            accept = request.headers.get("Accept")
            if accept is not None and prefers_page(accept):
                return _see(where)
            kept = get(address)
            return respond(request, kept) if kept is not None else await self._serve(request, address)

        return handler

    def kept(self, address: Address) -> _Pages:
        async def handler(request: web.Request) -> web.StreamResponse:
            return await self._serve(request, address)

        return handler

    async def home(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, Address("home", language=self._language(request)))

    async def to_feeds(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=308, headers={"Location": self._to.feeds(), **COMMON_HEADERS})

    async def directory(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, Address("feeds", language=self._language(request)))

    async def preview(self, request: web.Request) -> web.StreamResponse:
        slug = request.match_info["slug"]
        return await self._serve(request, Address("preview", slug, 0, self._language(request)))

    async def column(self, request: web.Request) -> web.StreamResponse:
        number = request.query.get("page", "1") if request.rel_url.raw_query_string else "1"
        if not (number.isascii() and number.isdigit() and len(number) < 9):
            return await not_found(self._renditions, request)
        address = Address("column", request.match_info["slug"], int(number), self._language(request))
        return await self._serve(request, address)

    async def item(self, request: web.Request) -> web.StreamResponse:
        item_id = request.match_info["item_id"]
        gone = self._renditions.withdrawn(item_id)
        if gone is not None and prefers_json(request.headers.get("Accept", "")):
            return _withdrawn_problem(request, gone)
        return await self._serve(request, Address("item", item_id, 0, self._language(request)))

    async def archive(self, request: web.Request) -> web.StreamResponse:
        found = request.match_info
        return await self._serve(request, Address("archive", found["slug"], int(found["number"])))

    async def sitemap(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, Address("sitemap", number=int(request.match_info["number"])))

    async def asset(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, Address("asset", request.match_info["name"]))

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Files of live items only, under their own names; conditions and ranges are the file response's work."""
        sha256, name = request.match_info["sha256"], request.match_info["name"]
        file, withdrawn = self._renditions.file(sha256, name)
        if file is None:
            return _gone(request) if withdrawn else await not_found(self._renditions, request)
        path = self._media.path(sha256)
        if not await asyncio.to_thread(path.is_file):
            return await not_found(self._renditions, request)
        return web.FileResponse(path, headers=_file_headers(file))

    async def _serve(self, request: web.Request, address: Address) -> web.StreamResponse:
        kept = await self._renditions.fetch(address)
        return respond(request, kept) if kept else await not_found(self._renditions, request)

    def _language(self, request: web.Request) -> str:
        return _language(request, self._renditions)


def _see(path: str) -> web.Response:
    headers = {"Location": path, "Vary": "Accept", "Cache-Control": "no-cache", **COMMON_HEADERS}
    return web.Response(status=302, headers=headers)


def _file_headers(file: File) -> dict[str, str]:
    shown = file.media_type in _SHOWN
    headers = {
        "Content-Type": file.media_type,
        "Content-Disposition": disposition("inline" if shown else "attachment", file.name),
        "Cache-Control": _MEDIA_CACHING,
        **COMMON_HEADERS,
    }
    if file.media_type != "application/pdf":  # a browser's own PDF viewer does not open inside a sandbox
        headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return headers


def disposition(kind: str, name: str) -> str:
    """RFC 6266: a plain ASCII name for old software, the true one by RFC 5987 coding."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%;/' else "_" for c in name)
    exact = quote(name, safe="!#$&+-.^_`|~", errors="replace")
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{exact}"


def _gone(request: web.Request) -> web.Response:
    return _problem(410, "Gone", request.path, {})


def _withdrawn_problem(request: web.Request, gone: tuple[str, str, int]) -> web.Response:
    reason, note, at = gone
    when = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).isoformat()
    return _problem(410, "Withdrawn", request.path, {"detail": reason, "note": note, "withdrawn_at": when})


def _problem(status: int, title: str, path: str, more: dict[str, str]) -> web.Response:
    """RFC 9457."""
    headers = {"Cache-Control": "no-cache", "Vary": "Accept", **COMMON_HEADERS}
    body = {"type": "about:blank", "title": title, "status": status, "instance": path, **more}
    return web.json_response(body, status=status, headers=headers, content_type="application/problem+json")
