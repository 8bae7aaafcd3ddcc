"""Whatever stands in an item, every feed stays readable, and nothing that runs gets through."""

from __future__ import annotations

import json

import fastfeedparser
import feedparser
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree, html
from shelf import SITE, MemoryShelf, attachment, published

from publisher.web.feeds import FeedDocument, atom, entry_of, feed_of, json_feed, rss
from publisher.web.feeds.clean import clean, one_line, shorten
from publisher.web.feeds.markup import public_body

# Pydantic refuses lone surrogates in texts, so they reach us only through code; `clean` takes them all the same.
ODD = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("\x00\x01\x08\x0b\x0c\x1b\x7f\x85\ufeff\ufffe\uffff\u202e\u2028<>&'\"]〔〕龘𠮷😀\r\n\t"),
    ),
    max_size=40,
)
MARKUP = st.lists(
    st.sampled_from(
        ["<p>", "</p>", "]]>", "<![CDATA[", "<b", "&", "&#0;", "&#xFFFE;", "<script>alert(1)</script>", "<table><tr>",
         "<a href='javascript:x'>", "<a href='http://[x'>", "<img src=x onerror=y>", "<svg onload=1>", "<!--", "正文",
         "\x0c"]
    ),
    max_size=12,
).map("".join)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(title=ODD, body=st.one_of(ODD, MARKUP), note=ODD, summary=ODD, name=ODD, withdrawn=st.booleans())
def test_no_text_breaks_a_feed(title: str, body: str, note: str, summary: str, name: str, withdrawn: bool) -> None:
    shelf = MemoryShelf()
    files = [attachment(name or "x")]
    values = {"title": title, "summary": summary, "body_html": body, "body_text": body, "issuing_body": name}
    shelf.put(published(1, attachments=files, keywords=[name, title], **values))
    shelf.put(published(2))
    shelf.correct("item-0001", note)
    if withdrawn:
        shelf.withdraw("item-0001", note, note)
    items = [entry_of(item, SITE) for item in shelf.items.values()]
    made = FeedDocument(feed_of(SITE, None), tuple(items))
    one, two, three = atom(made, SITE, "/f.css"), rss(made, SITE, "/f.css"), json_feed(made, SITE)
    etree.fromstring(one)
    etree.fromstring(two)
    json.loads(three)
    for document in (one, two):
        first = feedparser.parse(document)
        assert not first.bozo, first.get("bozo_exception")
        assert len(first.entries) == 2
    for document in (one, two, three):
        assert len(fastfeedparser.parse(document.decode()).entries) == 2


@settings(max_examples=60, deadline=None)
@given(body=MARKUP)
def test_no_markup_that_runs_survives(body: str) -> None:
    made = public_body(body, lambda link: link)
    tree = html.fragment_fromstring(made or "<p></p>", create_parent="div")
    assert not tree.xpath("//script | //svg | //iframe | //@onerror | //@onload")
    assert not [link for link in tree.xpath("//@href") if link.startswith("javascript")]


@pytest.mark.parametrize("reference", ["&#xFFFE;", "&#xFFFF;", "&#1;", "&#13;", "&#xD800;", "&#0;"])
def test_a_character_reference_in_a_body_does_not_break_the_feed(reference: str) -> None:
    odd = published(1, body_html=f'<p title="{reference}">前{reference}后</p>')
    made = FeedDocument(feed_of(SITE, None), (entry_of(odd, SITE),))
    for document in (atom(made, SITE, "/f.css"), rss(made, SITE, "/f.css")):
        assert not feedparser.parse(document).bozo
        etree.fromstring(document)


@given(st.text(st.characters(), max_size=50))
def test_cleaning_leaves_only_what_xml_holds_and_is_done_once(text: str) -> None:
    done = clean(text)
    assert clean(done) == done
    root = etree.Element("x")
    root.text = done
    back = etree.fromstring(etree.tostring(root, encoding="UTF-8")).text or ""
    assert back == done


@pytest.mark.parametrize("bad", ["\x00", "\x0b", "\x1f", "\ud800", "\ufffe", "\uffff"])
def test_characters_that_xml_cannot_hold_are_dropped(bad: str) -> None:
    assert clean(f"前{bad}后") == "前后"


def test_good_text_is_left_alone() -> None:
    good = "龘𠮷😀é\u200b〔2026〕12号\tx\ny"
    assert clean(good) == good


@given(st.text(max_size=80), st.integers(min_value=2, max_value=40))
def test_shortened_text_fits(text: str, limit: int) -> None:
    made = shorten(text, limit)
    assert len(made) <= limit
    assert "\n" not in made
    if len(one_line(text)) <= limit:
        assert made == one_line(text)
    else:
        assert made.endswith("…")
