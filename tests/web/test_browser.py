"""The pages in a real browser: drawn at phone, desktop and paper size, without scripts and without overflow."""

from __future__ import annotations

import asyncio
import re
import shutil
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from shelf import SITE, MemoryShelf, attachment, published

from publisher.web.public import missing_page, public_routes
from publisher.web.renditions import Renditions

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars"]  # fmt: skip


class _NoFiles:
    def path(self, sha256: str) -> Path:
        return Path(sha256)


# Measures a page of ours in a frame of phone width and writes what it finds into the document.
_GAUGE = """<!doctype html><iframe id=f width=360 height=800 src="{path}"></iframe><script>
f.onload = () => {{
  const d = f.contentDocument, r = d.documentElement, css = f.contentWindow.getComputedStyle(d.body);
  const out = {{width: r.scrollWidth, styled: css.marginTop, lang: r.lang, h1: d.querySelectorAll('h1').length}};
  document.title = JSON.stringify(out);
}};
</script>"""


@pytest.fixture
async def base() -> AsyncIterator[str]:
    shelf = MemoryShelf()
    shelf.fill(3)
    cells = "".join(f"<td>第{n}列的很长很长的内容</td>" for n in range(12))
    long_word = "https://www.example.gov.cn/" + "a" * 200
    body = f"<p>正文。{long_word}</p><table><tr>{cells}</tr></table><pre>{'x' * 300}</pre>"
    shelf.put(published(4, title="版权保护" * 20, body_html=body, attachments=[attachment()], keywords=["a" * 90]))
    shelf.withdraw("item-0003")
    kept = Renditions(shelf, SITE)
    await kept.refresh()

    async def gauge(request: web.Request) -> web.Response:
        return web.Response(text=_GAUGE.format(path=request.query["path"]), content_type="text/html")

    app = web.Application(middlewares=[missing_page(kept)])
    app.add_routes([*public_routes(kept, _NoFiles(), SITE), web.get("/gauge", gauge)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()
    kept.close()


async def chromium(profile: Path, *arguments: str) -> str:
    assert CHROMIUM is not None
    command = [CHROMIUM, *QUIET, f"--user-data-dir={profile}", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(120):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    return out.decode(errors="replace")


@pytest.mark.parametrize("path", ["/items/item-0004", "/items/item-0003", "/", "/feeds/"])
async def test_nothing_is_wider_than_a_phone(base: str, tmp_path: Path, path: str) -> None:
    address = f"{base}/gauge?path={path}"
    dom = await chromium(tmp_path, "--virtual-time-budget=3000", "--dump-dom", address)
    found = re.search(r"<title>(.*?)</title>", dom)
    assert found, dom[:300]
    assert '"width":360' in found[1].replace("&quot;", '"')
    assert '"styled":"0px"' in found[1].replace("&quot;", '"'), "the style sheet did not apply"
    assert '"h1":1' in found[1].replace("&quot;", '"')


async def test_a_browser_that_opens_a_feed_sees_a_page(base: str, tmp_path: Path) -> None:
    dom = await chromium(tmp_path, "--dump-dom", f"{base}/feeds/all.rss")
    assert "这是一个订阅源" in dom
    assert "https://www.example.gov.cn/feeds/all.rss" in dom


@pytest.mark.parametrize("width", [360, 1280])
async def test_an_item_is_drawn(base: str, tmp_path: Path, width: int) -> None:
    shot = tmp_path / "shot.png"
    await chromium(tmp_path, f"--window-size={width},900", f"--screenshot={shot}", f"{base}/items/item-0004")
    raw = shot.read_bytes()
    assert struct.unpack(">II", raw[16:24])[0] == width
    assert len(raw) > 10_000, "the page is empty"


async def test_an_item_prints(base: str, tmp_path: Path) -> None:
    paper = tmp_path / "page.pdf"
    await chromium(tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={paper}", f"{base}/items/item-0004")
    assert paper.read_bytes().startswith(b"%PDF")
