"""Pages: well-formed, complete, safe, in both languages."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html
from shelf import SITE, START, MemoryShelf, attachment, image, published, related

import publisher.web
from publisher.content import Link, Source
from publisher.texts import LOCALE_DIR
from publisher.web.feeds import entry_of, feed_of
from publisher.web.pages.labels import file_size
from publisher.web.pages.ledger import Ledger
from publisher.web.pages.render import Pages
from publisher.web.view import Column, Published

PAGES = Pages(SITE, [feed_of(SITE, column) for column in (None, *SITE.columns)])


def full_item(**changes: object) -> Published:
    values = {
        "index_number": "000014349/2026-00110",
        "document_number": "示版发〔2026〕12号",
        "created_on": "2026-02-03",
        "effective_on": "2026-03-01",
        "validity": "valid",
        "subject_class": "版权管理",
        "keywords": ["版权", "网络"],
        "attachments": [attachment()],
        "images": [image()],
        "links": [Link(url="https://www.ncac.gov.cn/", text="国家版权局"), Link(url="javascript:alert(1)")],
        "source": Source(name="国家版权局", url="https://www.ncac.gov.cn/"),
        **changes,
    }
    return published(1, **values)


def draw(item: Published, language: str = "zh", kin: list | None = None):
    return html.document_fromstring(PAGES.item(item, kin or [], language).decode())


def facts(page) -> dict[str, str]:
    return {row.findtext("dt"): "".join(row.find("dd").itertext()) for row in page.xpath("//dl[@class='facts']/div")}


def test_the_header_of_an_item_has_the_national_fields() -> None:
    assert facts(draw(full_item())) == {
        "索引号": "000014349/2026-00110",
        "主题分类": "版权管理",
        "发文机关": "示例市版权局",
        "起草单位": "政策法规处",
        "发文字号": "示版发〔2026〕12号",
        "成文日期": "2026年2月3日",
        "发布日期": "2026年1月1日",
        "施行日期": "2026年3月1日",
        "有效性": "有效",
        "公开属性": "主动公开",
        "专栏": "通知公告",
        "主题词": "版权；网络",
        "来源": "国家版权局",
    }
    english = facts(draw(full_item(), "en"))
    assert english["In force from"] == "1 March 2026"
    assert english["Openness"] == "Open to the public"


def test_empty_fields_leave_no_row() -> None:
    assert set(facts(draw(published(1)))) == {"发文机关", "起草单位", "发布日期", "公开属性", "专栏"}


def test_dates_are_those_of_the_agencys_zone() -> None:
    late = replace(published(1), published_at=START - 1, updated_at=START - 1)  # 07:59:59 in Shanghai on the 1st
    assert facts(draw(late))["发布日期"] == "2026年1月1日"
    evening = replace(published(1), published_at=START + 16 * 3600 * 10**6, updated_at=START + 16 * 3600 * 10**6)
    assert facts(draw(evening))["发布日期"] == "2026年1月2日"


def test_landmarks_languages_and_a_skip_link() -> None:
    page = draw(full_item(language="en"))
    assert page.get("lang") == "zh-CN"
    for landmark in ("main", "header", "footer", "nav"):
        assert page.xpath(f"//{landmark}")
    assert page.xpath("//a[@class='skip']/@href")[0] == "#" + page.xpath("//main/@id")[0]
    assert page.xpath("//h1/@lang") == ["en"]
    assert page.xpath("//div[@class='body']/@lang") == ["en"]
    assert len(page.xpath("//h1")) == 1
    assert "width=device-width" in page.xpath("//meta[@name='viewport']/@content")[0]


def test_discovery_canonical_address_and_open_graph() -> None:
    page = draw(full_item())
    alternates = page.xpath("//link[@rel='alternate']")
    assert {link.get("type") for link in alternates} == {
        "application/atom+xml",
        "application/rss+xml",
        "application/feed+json",
    }
    assert len({link.get("title") for link in alternates}) == len(alternates) == 6
    own = "https://www.example.gov.cn/items/item-0001"
    assert page.xpath("//link[@rel='canonical']/@href") == [own]
    assert page.xpath("//meta[@property='og:url']/@content") == [own]
    assert page.xpath("//meta[@property='og:title']/@content") == ["关于第1号事项的通知"]
    assert page.xpath("//meta[@property='article:modified_time']/@content") == ["2026-01-01T08:01:00+08:00"]


def test_files_show_size_type_and_hash() -> None:
    entry = draw(full_item()).xpath("//ul[@class='files']/li")[0]
    text = " ".join(entry.itertext())
    assert "PDF" in text
    assert "12.3 KB" in text
    assert "a" * 64 in text
    assert entry.find("a").get("href").startswith("/media/" + "a" * 64 + "/")


def test_images_come_from_the_site_and_unknown_ones_lose_their_address() -> None:
    body = f'<p><img src="media:{"b" * 64}" alt="图"><img src="media:{"e" * 64}" alt="无"></p>'
    found = draw(full_item(body_html=body)).xpath("//div[@class='body']//img/@src")
    assert found == ["/media/" + "b" * 64 + "/%E5%9B%BE%E8%A7%A3.png"]


def test_links_that_run_are_left_out() -> None:
    page = draw(full_item(body_html='<a href="javascript:alert(1)">x</a><script>alert(1)</script>'))
    assert not [link for link in page.xpath("//@href") if link.startswith("javascript")]
    assert [node.get("type") for node in page.xpath("//script")] == ["application/ld+json"]


def test_wide_tables_scroll_by_themselves_also_when_nested() -> None:
    nested = "<table><tr><td><table><tr><td>内</td></tr></table></td></tr></table><table><tr><td>二</td></tr></table>"
    page = draw(full_item(body_html=nested))
    assert len(page.xpath("//div[@class='body']//table")) == 3
    assert page.xpath("//div[@class='scroll']/table//td[text()='二']")
    assert page.xpath("//footer")
    assert not page.xpath("//div[@class='body']//footer")


def test_corrections_are_told_newest_first() -> None:
    item = replace(full_item(), corrections=((START, "第一次"), (START + 1, "第二次")))
    lines = draw(item).xpath("//section[@class='notice']/p")
    assert ["第二次" in "".join(line.itertext()) for line in lines] == [True, False]


def test_related_items_read_from_this_side() -> None:
    shelf = MemoryShelf()
    shelf.put(published(1))
    shelf.put(published(2, title="解读", related=[related("interprets", "item-0001"), related("x", "none")]))
    ledger = Ledger({}, ()).with_items(shelf.items.values())
    assert [(rel, card.title) for rel, card in ledger.neighbours("item-0001")] == [("interpreted_by", "解读")]
    assert [rel for rel, _ in ledger.neighbours("item-0002")] == ["interprets"]


def test_both_sides_naming_each_other_show_once() -> None:
    first = published(1, related=[related("interpreted_by", "item-0002")])
    second = published(2, related=[related("interprets", "item-0001")])
    ledger = Ledger({}, ()).with_items([first, second])
    assert [rel for rel, _ in ledger.neighbours("item-0001")] == ["interpreted_by"]


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_structured_data_cannot_leave_its_script(text: str) -> None:
    hostile = text + "</script><!--<script>\u2028&"
    raw = PAGES.item(full_item(title=hostile, summary=hostile), [], "zh").decode()
    inside = raw.split('<script type="application/ld+json">')[1].split("</script>")[0]
    data = json.loads(inside)
    assert data["@id"] == "https://www.example.gov.cn/items/item-0001"
    assert data["headline"].endswith("</script><!--<script> &")
    assert raw.count("</script>") == 1


@pytest.mark.parametrize(("reason", "named"), [("error", True), ("privacy", False)])
def test_a_tombstone_says_why_and_withholds_what_did_harm(reason: str, named: bool) -> None:
    shelf = MemoryShelf()
    shelf.put(published(1, title="李四的名单", body_html="<p>正文</p>", summary="摘要"))
    gone = shelf.withdraw("item-0001", reason, "特此说明。")
    for language in ("zh", "en"):
        page = PAGES.tombstone(gone, [], language).decode()
        assert "特此说明。" in page
        assert ("李四的名单" in page) is named
        assert "正文</p>" not in page
        assert "摘要" not in page
    assert "此信息已撤回" in PAGES.tombstone(gone, [], "zh").decode()


def test_size_words() -> None:
    assert [file_size(n, "en") for n in (0, 999, 1000, 12_345, 2_000_000, 3_500_000_000)] == [
        "0 bytes", "999 bytes", "1 KB", "12.3 KB", "2 MB", "3.5 GB"
    ]  # fmt: skip


def test_a_site_below_a_path_keeps_the_path_in_every_link() -> None:
    site = replace(SITE, base_url="https://gov.example.cn/gongbao/")
    pages = Pages(site, [feed_of(site, None)])
    page = html.document_fromstring(pages.item(full_item(), [], "zh").decode())
    local = [link for link in page.xpath("//@href") if link.startswith("/")]
    assert local
    assert all(link.startswith("/gongbao/") for link in local)
    assert entry_of(full_item(), site).url == "https://gov.example.cn/gongbao/items/item-0001"


def test_a_site_in_english_has_english_pages() -> None:
    site = replace(SITE, language="en", columns=(Column("notices", "通知公告", "Notices"),))
    pages = Pages(site, [feed_of(site, None)])
    page = pages.directory("en").decode()
    assert "Example Copyright Office: everything published" in page
    assert 'href="/?lang=en"' not in page
    assert 'href="/?lang=zh"' in pages.directory("zh").decode() or "lang=zh" in page


_TEMPLATE_WORDS = re.compile(r"_\('((?:[^'\\]|\\.)*)'\)")
_CODE_WORDS = re.compile(r'(?:mark|say|translate|_date_row|_time_row)\(\s*"([^"]+)"')


def test_every_word_of_the_pages_has_its_chinese() -> None:
    folder = Path(publisher.web.__file__).parent
    used: set[str] = set()
    for path in (folder / "pages" / "templates").glob("*.html"):
        used |= set(_TEMPLATE_WORDS.findall(path.read_text("utf-8")))
    for part in ("feeds", "pages"):
        for path in (folder / part).glob("*.py"):
            used |= set(_CODE_WORDS.findall(path.read_text("utf-8")))
    with (LOCALE_DIR / "zh_CN" / "web.po").open("rb") as file:
        known = {m.id: m.string for m in read_po(file, locale="zh_CN") if m.id}
    assert len(used) > 80
    assert used - set(known) == set()
    places = re.compile(r"\{\w+\}")
    assert all(sorted(places.findall(str(k))) == sorted(places.findall(str(v))) and v for k, v in known.items())
