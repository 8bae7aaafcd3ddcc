"""The public site over real HTTP on the loopback."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import feedparser
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from shelf import SITE, MemoryShelf, attachment, published

from publisher.content import Image
from publisher.web.pages.negotiate import prefers_json, prefers_page, seconds, takes_gzip
from publisher.web.public import disposition, missing_page, public_routes
from publisher.web.renditions import Renditions

CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
FILE = b"%PDF-1.7 " + b"0123456789" * 20
SHA = hashlib.sha256(FILE).hexdigest()


class Folder:
    def __init__(self, where: Path) -> None:
        self.where = where

    def path(self, sha256: str) -> Path:
        return self.where / sha256


class Site:
    """A running site and a client that neither decompresses nor follows redirects."""

    def __init__(self, base: str, session: aiohttp.ClientSession, shelf: MemoryShelf, kept: Renditions) -> None:
        self.base, self.session, self.shelf, self.kept = base, session, shelf, kept

    async def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(method, self.base + path, headers=given, allow_redirects=False) as answer:
            return answer.status, answer.headers, await answer.read()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    (tmp_path / SHA).write_bytes(FILE)
    shelf = MemoryShelf()
    shelf.fill(3)
    shelf.put(published(4, attachments=[attachment("附件 1.pdf", SHA, len(FILE))], title="四号"))
    shelf.put(published(5, title="五号"))
    shelf.withdraw("item-0005", "error", "公告有误。")
    kept = Renditions(shelf, SITE)
    await kept.refresh()
    app = web.Application(middlewares=[missing_page(kept)])
    app.add_routes(public_routes(kept, Folder(tmp_path), SITE))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    bare = aiohttp.ClientSession(auto_decompress=False, skip_auto_headers={"Accept-Encoding", "Accept", "User-Agent"})
    async with bare as session:
        yield Site(f"http://127.0.0.1:{runner.addresses[0][1]}", session, shelf, kept)
    await runner.cleanup()
    kept.close()


PAGES = ["/", "/items/item-0001", "/columns/notices", "/feeds/", "/feeds/all/", "/feeds/notices/"]
FEEDS = ["/feeds/all.atom", "/feeds/all.rss", "/feeds/notices.json", "/feeds.opml", "/sitemap.xml", "/robots.txt"]


@pytest.mark.parametrize("path", PAGES + FEEDS)
async def test_everything_answers_get_head_and_conditions(site: Site, path: str) -> None:
    status, headers, body = await site.ask(path)
    assert status == 200
    assert body
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Accept-Encoding" in headers["Vary"]
    assert "charset=utf-8" in headers["Content-Type"]
    head, head_headers, nothing = await site.ask(path, "HEAD")
    assert (head, nothing) == (200, b"")
    assert head_headers["Content-Length"] == str(len(body))
    assert head_headers["ETag"] == headers["ETag"]
    status, again, nothing = await site.ask(path, If_None_Match=headers["ETag"])
    assert (status, nothing) == (304, b"")
    for name in ("ETag", "Cache-Control", "Vary", "Date"):
        assert name in again
    assert again["ETag"] == headers["ETag"]
    status, _, _ = await site.ask(path, "POST")
    assert status == 405


@pytest.mark.parametrize("path", [PAGES[1], FEEDS[0], FEEDS[1]])
async def test_compressed_bytes_are_the_kept_ones_under_their_own_tag(site: Site, path: str) -> None:
    _, plain, body = await site.ask(path)
    status, packed, small = await site.ask(path, Accept_Encoding="gzip, deflate, br")
    assert (status, packed["Content-Encoding"]) == (200, "gzip")
    assert gzip.decompress(small) == body
    assert packed["ETag"] != plain["ETag"]
    assert "Content-Encoding" not in plain
    _, refused, raw = await site.ask(path, Accept_Encoding="gzip;q=0, identity")
    assert "Content-Encoding" not in refused
    assert raw == body


async def test_if_none_match_is_weak_takes_lists_and_wins(site: Site) -> None:
    _, headers, _ = await site.ask("/feeds/all.atom")
    tag, since = headers["ETag"], headers["Last-Modified"]

    async def status(**given: str) -> int:
        return (await site.ask("/feeds/all.atom", **given))[0]

    assert await status(If_None_Match=f'"other", W/{tag}') == 304
    assert await status(If_None_Match="*") == 304
    assert await status(If_None_Match='"other"') == 200
    assert await status(If_None_Match='"other"', If_Modified_Since=since) == 200
    assert await status(If_Modified_Since=since) == 304
    assert await status(If_Modified_Since="Thu, 01 Jan 1970 00:00:00 GMT") == 200
    assert await status(If_Modified_Since="yesterday") == 200
    site.shelf.fill(1)
    await site.kept.refresh()
    assert await status(If_None_Match=tag) == 200
    assert await status(If_Modified_Since=since) == 200


@pytest.mark.parametrize("accept", ["*/*", "application/rss+xml, text/html;q=0.5", "application/atom+xml,text/html"])
async def test_readers_get_the_feed(site: Site, accept: str) -> None:
    status, headers, body = await site.ask("/feeds/all.rss", Accept=accept)
    assert status == 200
    assert headers["Content-Type"] == "application/rss+xml; charset=utf-8"
    assert "Accept" in [part.strip() for part in headers["Vary"].split(",")]
    assert not feedparser.parse(body).bozo


async def test_browsers_are_sent_to_a_page_about_the_feed(site: Site) -> None:
    status, headers, _ = await site.ask("/feeds/notices.atom", Accept=CHROME)
    assert (status, headers["Location"]) == (302, "/feeds/notices/")
    assert "Accept" in headers["Vary"]
    status, headers, body = await site.ask(headers["Location"], Accept=CHROME)
    assert status == 200
    assert "https://www.example.gov.cn/feeds/notices.rss" in body.decode()


async def test_a_withdrawn_item_answers_410_for_people_and_machines(site: Site) -> None:
    status, headers, body = await site.ask("/items/item-0005", Accept=CHROME)
    assert (status, headers["Content-Type"]) == (410, "text/html; charset=utf-8")
    assert "公告有误。" in body.decode()
    assert "noindex" in body.decode()
    status, headers, body = await site.ask("/items/item-0005", Accept="application/json")
    assert (status, headers["Content-Type"].split(";")[0]) == (410, "application/problem+json")
    problem = json.loads(body)
    assert (problem["status"], problem["note"]) == (410, "公告有误。")
    status, _, _ = await site.ask("/items/item-0005", If_None_Match="*")
    assert status == 410


@pytest.mark.parametrize("path", ["/items/none", "/columns/none", "/columns/notices?page=9", "/columns/notices?page=x",
                                  "/feeds/none.atom", "/feeds/none/", "/feeds/all/archive/1.atom", "/assets/x.css",
                                  "/a/b/c", f"/media/{'0' * 64}/x.pdf"])  # fmt: skip
async def test_nothing_there_is_a_readable_404(site: Site, path: str) -> None:
    status, headers, body = await site.ask(path, Accept=CHROME)
    assert status == 404
    assert "没有找到页面" in body.decode()
    status, headers, body = await site.ask(path, Accept="application/json")
    assert (status, json.loads(body)["status"]) == (404, 404)
    assert headers["Content-Type"].startswith("application/problem+json")


async def test_the_api_keeps_its_own_404(site: Site) -> None:
    status, _, body = await site.ask("/api/v1/none", Accept=CHROME)
    assert status == 404
    assert "没有找到页面" not in body.decode()


async def test_the_language_can_be_chosen(site: Site) -> None:
    for path in ("/", "/items/item-0001", "/feeds/"):
        english = (await site.ask(f"{path}?lang=en"))[2].decode()
        chinese = (await site.ask(f"{path}?lang=zh"))[2].decode()
        assert '<html lang="en">' in english
        assert '<html lang="zh-CN">' in chinese
        assert (await site.ask(f"{path}?lang=xx"))[2].decode() == chinese


async def test_files_have_their_type_name_and_ranges(site: Site) -> None:
    path = f"/media/{SHA}/%E9%99%84%E4%BB%B6%201.pdf"
    status, headers, body = await site.ask(path)
    assert (status, body) == (200, FILE)
    assert headers["Content-Type"] == "application/pdf"
    assert "filename*=UTF-8''%E9%99%84%E4%BB%B6%201.pdf" in headers["Content-Disposition"]
    assert "immutable" in headers["Cache-Control"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    status, headers, part = await site.ask(path, Range="bytes=9-13")
    assert (status, part, headers["Content-Range"]) == (206, b"01234", f"bytes 9-13/{len(FILE)}")
    status, _, _ = await site.ask(path, Range=f"bytes={len(FILE)}-")
    assert status == 416
    _, headers, _ = await site.ask(path)
    assert (await site.ask(path, If_None_Match=headers["ETag"]))[0] == 304
    assert (await site.ask(f"/media/{SHA}/other.pdf"))[0] == 404


async def test_a_file_goes_when_its_item_goes(site: Site) -> None:
    site.shelf.withdraw("item-0004")
    await site.kept.refresh()
    status, _, body = await site.ask(f"/media/{SHA}/%E9%99%84%E4%BB%B6%201.pdf")
    assert status == 410
    assert FILE not in body


async def test_a_file_that_could_run_is_only_offered_for_saving(site: Site, tmp_path: Path) -> None:
    sha = "d" * 64
    (tmp_path / sha).write_bytes(b"<svg onload='alert(1)'/>")
    picture = Image(name="x.svg", sha256=sha, media_type="image/svg+xml", size=24)
    site.shelf.put(published(9, images=[picture]))
    await site.kept.refresh()
    _, headers, _ = await site.ask(f"/media/{sha}/x.svg")
    assert headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in headers["Content-Security-Policy"]


async def test_pages_forbid_scripts_and_outside_sources(site: Site) -> None:
    _, headers, body = await site.ask("/items/item-0001")
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert headers["Referrer-Policy"]
    style = body.decode().split('rel="stylesheet" href="')[1].split('"')[0]
    status, headers, css = await site.ask(style)
    assert (status, headers["Content-Type"]) == (200, "text/css; charset=utf-8")
    assert "immutable" in headers["Cache-Control"]
    assert b"url(" not in css
    assert b"@import" not in css


async def test_a_shared_answer_is_never_changed_by_sending_it(site: Site) -> None:
    kept = {name: dict(coded.headers) for name, coded in _codings(site).items()}
    for _ in range(3):
        await site.ask("/feeds/all.atom", Accept_Encoding="gzip")
        await site.ask("/feeds/all.atom")
    assert kept == {name: dict(coded.headers) for name, coded in _codings(site).items()}
    assert all("Date" not in headers for headers in kept.values())


def _codings(site: Site) -> dict[str, Any]:
    from publisher.web.pages.drawing import Address

    found = site.kept.get(Address("feed.atom", "all"))
    assert found is not None
    return {"plain": found.plain, "zipped": found.zipped}


@pytest.mark.parametrize(
    ("header", "taken"),
    [("gzip", True), ("", False), ("gzip;q=0", False), ("*", True), ("*;q=0", False), ("br", False),
     ("deflate, gzip;q=0.1", True), ("gzip;q=0, *", False), ("GZIP", True), ("identity", False)],
)  # fmt: skip
def test_accept_encoding_with_weights(header: str, taken: bool) -> None:
    assert takes_gzip(header) is taken


@pytest.mark.parametrize(
    ("header", "page"),
    [(CHROME, True), ("*/*", False), ("", False), ("text/html", True), ("text/html, application/atom+xml", False),
     ("application/rss+xml;q=0.9, text/html", True), ("text/*", False), ("text/html;q=0", False)],
)  # fmt: skip
def test_who_wants_a_page(header: str, page: bool) -> None:
    assert prefers_page(header) is page


def test_who_wants_json() -> None:
    assert prefers_json("application/json")
    assert prefers_json("application/problem+json, text/html;q=0.5")
    assert not prefers_json(CHROME)
    assert not prefers_json("*/*")


@given(st.text(max_size=30))
def test_odd_headers_are_harmless(header: str) -> None:
    assert takes_gzip(header) in (True, False)
    assert prefers_page(header) in (True, False)
    assert seconds(header) is None or isinstance(seconds(header), float)


@given(st.text(min_size=1, max_size=40))
def test_a_file_name_cannot_break_the_header(name: str) -> None:
    made = disposition("attachment", name)
    assert made.isascii()
    assert made.isprintable()
    assert made.count('"') == 2
