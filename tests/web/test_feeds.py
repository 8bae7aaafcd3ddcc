"""Feeds as two independent readers and a strict XML parser see them, and each repair of feedgen's faults."""

from __future__ import annotations

import json
import locale
import os
import subprocess
import sys
from pathlib import Path

import fastfeedparser
import feedparser
import pytest
from lxml import etree
from shelf import DAY, SECOND, SITE, START, MemoryShelf, attachment, image, published

from publisher.content import Content
from publisher.web.feeds import FeedDocument, atom, entry_of, feed_of, json_feed, opml, rss
from publisher.web.feeds.generator import ATOM, HISTORY, TOMBSTONES
from publisher.web.view import Published

STYLE = "/assets/feed.css"
NS = {"a": ATOM, "at": TOMBSTONES, "fh": HISTORY, "dc": "http://purl.org/dc/elements/1.1/"}
NS["content"] = "http://purl.org/rss/1.0/modules/content/"


def document(*items: Published, archives: int = 0, archive: int | None = None, hubs: tuple[str, ...] = ()):
    feed = feed_of(SITE, SITE.column("notices"), hubs)
    return FeedDocument(feed, tuple(entry_of(item, SITE) for item in items), archives, archive)


def atom_tree(made: FeedDocument):
    return etree.fromstring(atom(made, SITE, STYLE))


def rss_tree(made: FeedDocument):
    return etree.fromstring(rss(made, SITE, STYLE)).find("channel")


@pytest.fixture
def rich() -> Published:
    files = [attachment(), attachment("附件2.docx", "c" * 64, 99)]
    body = f'<p>见<a href="../policies/1?a=1&amp;b=2">办法</a>。</p><img src="media:{"b" * 64}" alt="图">'
    return published(7, attachments=files, images=[image()], body_html=body, keywords=["版权", "网络"])


def test_both_readers_agree_on_every_format(rich: Published) -> None:
    made = document(rich, published(6))
    for body in (atom(made, SITE, STYLE), rss(made, SITE, STYLE)):
        first = feedparser.parse(body)
        assert not first.bozo, first.get("bozo_exception")
        assert [entry.title for entry in first.entries] == [rich.content.title, published(6).content.title]
        assert first.entries[0].id == "tag:example.gov.cn,2026-01-01:item/item-0007"
        assert first.entries[0].link == "https://www.example.gov.cn/items/item-0007"
        assert first.entries[0].author == "示例市版权局"
    for body in (atom(made, SITE, STYLE), rss(made, SITE, STYLE), json_feed(made, SITE)):
        second = fastfeedparser.parse(body.decode())
        assert [entry.id for entry in second.entries] == [entry.id for entry in made.entries]
        assert [entry.title for entry in second.entries] == [entry.title for entry in made.entries]
        assert second.entries[0].link == "https://www.example.gov.cn/items/item-0007"
        assert second.entries[0].published.startswith("2026-01-01T0")


def test_atom_entry_links_keep_their_relation_type_and_length(rich: Published) -> None:
    links = atom_tree(document(rich)).findall("a:entry/a:link", NS)
    assert [link.get("rel") for link in links] == ["alternate", "enclosure", "enclosure"]
    assert links[0].get("type") == "text/html"
    assert [(link.get("type"), link.get("length")) for link in links[1:]] == [
        ("application/pdf", "12345"),
        ("application/pdf", "99"),
    ]
    assert all(link.get("href").isascii() for link in links)


def test_every_atom_element_is_in_the_atom_namespace(rich: Published) -> None:
    tree = atom_tree(document(rich))
    assert all(element.tag.startswith("{") for element in tree.iter(etree.Element))
    assert b"ns0:" not in atom(document(rich), SITE, STYLE)


def test_rss_has_one_self_link_hubs_and_the_archive_chain() -> None:
    made = document(published(1), archives=2, hubs=("https://hub.example.gov.cn/",))
    found = {link.get("rel"): link.get("href") for link in rss_tree(made).findall("a:link", NS)}
    assert found == {
        "self": "https://www.example.gov.cn/feeds/notices.rss",
        "hub": "https://hub.example.gov.cn/",
        "prev-archive": "https://www.example.gov.cn/feeds/notices/archive/2.atom",
    }
    assert rss_tree(made).findtext("link") == "https://www.example.gov.cn/columns/notices"


def test_rss_has_one_enclosure_a_creator_and_the_summary_before_the_content(rich: Published) -> None:
    item = rss_tree(document(rich)).find("item")
    enclosure = item.find("enclosure")
    assert dict(enclosure.attrib) == {
        "url": "https://www.example.gov.cn/media/" + "a" * 64 + "/%E9%99%84%E4%BB%B61%EF%BC%9A%E7%94%B3%E6%8A%A5"
        "%E8%A1%A8.pdf",
        "length": "12345",
        "type": "application/pdf",
    }
    assert len(item.findall("enclosure")) == 1
    assert item.findtext("dc:creator", namespaces=NS) == "示例市版权局"
    assert item.find("author") is None
    tags = [child.tag for child in item]
    assert tags.index("description") < tags.index(f"{{{NS['content']}}}encoded")
    assert item.find("guid").get("isPermaLink") == "false"


def test_dates_come_from_the_items_and_never_from_the_clock() -> None:
    made = document(published(1))
    channel = rss_tree(made)
    assert channel.findtext("lastBuildDate") == "Thu, 01 Jan 2026 08:01:00 +0800"
    assert channel.findtext("item/pubDate") == "Thu, 01 Jan 2026 08:01:00 +0800"
    assert atom_tree(made).findtext("a:updated", namespaces=NS) == "2026-01-01T08:01:00+08:00"
    assert atom_tree(document()).findtext("a:updated", namespaces=NS) == "2026-01-01T08:00:00+08:00"


def test_drawing_never_touches_the_process_locale(monkeypatch: pytest.MonkeyPatch, rich: Published) -> None:
    def forbidden(*_: object) -> str:
        raise AssertionError("the locale of the process was touched")

    monkeypatch.setattr(locale, "setlocale", forbidden)
    made = document(rich)
    assert rss(made, SITE, STYLE)
    assert atom(made, SITE, STYLE)


def test_entries_keep_the_order_given() -> None:
    made = document(published(3), published(1), published(2))
    ids = [entry.id for entry in made.entries]
    assert [e.text for e in atom_tree(made).findall("a:entry/a:id", NS)] == ids
    assert [e.text for e in rss_tree(made).findall("item/guid")] == ids


def test_bodies_are_html_for_atom_and_quoted_html_for_rss(rich: Published) -> None:
    made = document(rich)
    assert atom_tree(made).find("a:entry/a:content", NS).get("type") == "html"
    assert b"<![CDATA[<p>" in rss(made, SITE, STYLE)


def test_links_and_images_are_absolute_everywhere(rich: Published) -> None:
    html = document(rich).entries[0].html
    assert 'href="https://www.example.gov.cn/policies/1?a=1&amp;b=2"' in html
    assert f'src="https://www.example.gov.cn/media/{"b" * 64}/' in html
    assert "media:" not in html


def test_a_style_sheet_instruction_precedes_the_root() -> None:
    for body in (atom(document(), SITE, STYLE), rss(document(), SITE, STYLE)):
        node = etree.fromstring(body).getprevious()
        assert (node.target, node.text) == ("xml-stylesheet", f'type="text/css" href="{STYLE}"')
    assert b"<feed" in atom(document(), SITE, STYLE)[:512]
    assert b"<rss" in rss(document(), SITE, STYLE)[:512]


def test_a_correction_keeps_the_id_moves_updated_and_says_what_changed() -> None:
    shelf = MemoryShelf()
    shelf.fill(2)
    before = entry_of(shelf.items["item-0001"], SITE)
    after = entry_of(shelf.correct("item-0001", "第二条 <数字> 有误。"), SITE)
    assert (after.id, after.published) == (before.id, before.published)
    assert after.updated > before.updated
    assert "第二条 &lt;数字&gt; 有误。" in after.html
    item = json.loads(json_feed(document(shelf.items["item-0001"]), SITE))["items"][0]
    assert item["_gongbao"]["corrections"][0]["note"] == "第二条 <数字> 有误。"
    assert item["date_modified"] > item["date_published"]


def test_a_withdrawal_leaves_a_notice_and_a_tombstone_that_wins() -> None:
    shelf = MemoryShelf()
    shelf.put(published(1, body_html="<p>秘密的正文</p>", attachments=[attachment()]))
    shelf.withdraw("item-0001", "error", "依据有误。")
    made = document(shelf.items["item-0001"])
    tree = atom_tree(made)
    stone, entry = tree.find("at:deleted-entry", NS), tree.find("a:entry", NS)
    assert stone.get("ref") == entry.findtext("a:id", namespaces=NS) == "tag:example.gov.cn,2026-01-01:item/item-0001"
    assert stone.get("when") > entry.findtext("a:updated", namespaces=NS) > "2026-01-01T08:01:00"
    assert "依据有误。" in entry.findtext("a:content", namespaces=NS)
    channel = rss_tree(made)
    assert channel.find("at:deleted-entry", NS).get("ref") == channel.findtext("item/guid")
    data = json.loads(json_feed(made, SITE))
    assert data["_gongbao"]["withdrawn"][0]["id"] == data["items"][0]["id"]
    assert data["items"][0]["_gongbao"]["withdrawn"]["reason"] == "error"
    for body in (atom(made, SITE, STYLE), rss(made, SITE, STYLE), json_feed(made, SITE)):
        text = body.decode()
        assert "秘密的正文" not in text
        assert "附件" not in text
        assert feedparser.parse(body).entries[0].title.startswith("〔已撤回〕") if b"<?xml" in body else True


@pytest.mark.parametrize(("reason", "shown"), [("error", True), ("privacy", False), ("secrecy", False), ("x", False)])
def test_a_title_is_withheld_where_it_may_be_the_harm(reason: str, shown: bool) -> None:
    shelf = MemoryShelf()
    shelf.put(published(1, title="张三的处罚决定"))
    shelf.withdraw("item-0001", reason)
    made = document(shelf.items["item-0001"])
    for body in (atom(made, SITE, STYLE), rss(made, SITE, STYLE), json_feed(made, SITE)):
        assert ("张三" in body.decode()) is shown


def test_archive_pages_carry_marker_current_and_neighbours() -> None:
    tree = atom_tree(document(published(1), archives=3, archive=2))
    assert tree.find("fh:archive", NS) is not None
    found = {link.get("rel"): link.get("href") for link in tree.findall("a:link", NS)}
    base = "https://www.example.gov.cn/feeds/notices"
    assert found["self"] == f"{base}/archive/2.atom"
    assert found["current"] == f"{base}.atom"
    assert (found["prev-archive"], found["next-archive"]) == (f"{base}/archive/1.atom", f"{base}/archive/3.atom")
    assert tree.findtext("a:id", namespaces=NS) == "tag:example.gov.cn,2026-01-01:feed/notices"
    assert not feedparser.parse(etree.tostring(tree)).bozo


def test_json_feed_has_what_version_1_1_requires(rich: Published) -> None:
    data = json.loads(json_feed(document(rich), SITE))
    assert data["version"] == "https://jsonfeed.org/version/1.1"
    assert data["feed_url"] == "https://www.example.gov.cn/feeds/notices.json"
    item = data["items"][0]
    assert item["tags"] == ["通知公告", "版权", "网络"]
    assert item["attachments"][0]["size_in_bytes"] == 12_345
    assert item["attachments"][0]["mime_type"] == "application/pdf"
    assert item["language"] == "zh-CN"


def test_opml_outlines_have_what_readers_import() -> None:
    body = opml([feed_of(SITE, None), feed_of(SITE, SITE.columns[0])], SITE)
    outlines = etree.fromstring(body).findall("body/outline")
    assert [one.get("xmlUrl") for one in outlines] == [
        "https://www.example.gov.cn/feeds/all.atom",
        "https://www.example.gov.cn/feeds/policies.atom",
    ]
    assert all({"text", "title", "type", "htmlUrl"} <= set(one.attrib) for one in outlines)


def test_an_entry_in_another_language_says_so() -> None:
    tree = atom_tree(document(published(1, language="en"), published(2)))
    assert [e.get("{http://www.w3.org/XML/1998/namespace}lang") for e in tree.findall("a:entry", NS)] == ["en", None]


_PROBE = """
import hashlib, sys
from test_feeds import STYLE, document
from shelf import SITE, MemoryShelf
from publisher.web.feeds import atom, json_feed, rss
from publisher.web.pages.drawing import Drawn
from publisher.web.pages.rendition import made
shelf = MemoryShelf(); shelf.fill(4); shelf.correct("item-0002"); shelf.withdraw("item-0003")
feed = document(*shelf.items.values())
for body in (atom(feed, SITE, STYLE), rss(feed, SITE, STYLE), json_feed(feed, SITE)):
    print(hashlib.sha256(body + made(Drawn(body, "a/b")).zipped.body).hexdigest())
"""


def test_bytes_are_the_same_in_any_process_zone_and_locale() -> None:
    def run(**environment: str) -> str:
        root = Path(__file__).parents[2]
        known = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{Path(__file__).parent}", **environment}
        done = subprocess.run([sys.executable, "-c", _PROBE], env=known, cwd=root, capture_output=True, check=True)
        return done.stdout.decode()

    first = run(TZ="UTC", LC_ALL="C", PYTHONHASHSEED="1")
    assert len(first.split()) == 3
    assert first == run(TZ="America/New_York", LC_ALL="C.UTF-8", LANG="zh_CN.UTF-8", PYTHONHASHSEED="2")


def test_a_very_long_body_becomes_a_summary_and_a_link() -> None:
    entry = document(published(1, body_html=f"<p>{'长' * 100_001}</p>")).entries[0]
    assert "第1号事项的摘要。" in entry.html
    assert f'<a href="{entry.url}">到本站阅读全文</a>' in entry.html
    assert len(entry.html) < 1000
    assert "长" * 99_000 in document(published(1, body_html=f"<p>{'长' * 99_000}</p>")).entries[0].html


def test_updated_is_never_before_published() -> None:
    item = published(1)
    odd = Published(item.item_id, 1, item.content, START + DAY, START)
    assert entry_of(odd, SITE).updated == START + DAY
    assert SECOND == 10**6
    assert isinstance(odd.content, Content)
