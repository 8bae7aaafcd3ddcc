"""The canonical body: what is kept, what is dropped with a note, and how it reads as plain text."""

from __future__ import annotations

import re
from html import unescape

import nh3
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from intake_makers import codes, png, refused, submit

from publisher.intake import IntakeError, Submission


def html(text: str, files: dict[str, bytes] | None = None) -> Submission:
    return submit(text, "a.html", files, title="t")


@pytest.mark.parametrize("markup, text", [
    ("<p>a  b\n c</p><p>d", "a b c\nd"),
    ("<p>公\n  告</p>", "公告"),
    ("<p>公\n告 a\nb</p>", "公告 a b"),
    ("<p>甲 乙</p>", "甲 乙"),
    ("<table><tr><th>姓名<th>证件<tr><td>甲<td><tr><td><p>乙</p><p>丙</p><td>1<br>2</table>",
    "姓名\t证件\n甲\t\n乙 丙\t1 2"),
    ("<ol start=3><li>a<li>b<ul><li>c</ul></ol>", "3. a\n4. b\n• c"),
    ("<pre>a\n  b</pre>c", "a\n  b\nc"),
    ("<ruby>汉<rp>(</rp><rt>hàn</rt><rp>)</rp></ruby>字", "汉（hàn）字"),
    ("a<br>b<hr>c", "a\nb\nc"),
    ("<style>p{}</style><title>x</title><p>a", "a"),
    ("<p>a&nbsp;b　c</p>", "a\u00a0b　c"),
    ("<p>1<b>2</b>3 <i>4</i> 5</p>", "123 4 5"),
])  # fmt: skip
def test_plain_text(markup: str, text: str) -> None:
    assert html(markup).content.body_text == text


def test_tables_and_figures_are_kept() -> None:
    markup = (
        '<figure><figcaption>图</figcaption></figure><table><caption>表</caption><colgroup><col span="2"></colgroup>'
        '<thead><tr><th scope="col" colspan="2">甲</th></tr></thead>'
        '<tbody><tr><td rowspan="2">1</td></tr></tbody></table>'
    )
    assert html(markup).content.body_html == markup


def test_links_keep_full_addresses_only() -> None:
    found = html('<a href="https://example.com/?a=1&amp;b=2">a</a> <a href="b.html">b</a> <a href="#c">c</a>')
    assert found.content.body_html == (
        '<a href="https://example.com/?a=1&amp;b=2" rel="noopener noreferrer">a</a> <a>b</a> <a>c</a>'
    )
    assert len(found.notes) == 2


def test_what_is_dropped_is_noted_with_its_line() -> None:
    found = html('<p>a</p>\n<center class="x">b</center>\n<font color=red>c</font>')
    assert found.content.body_html == "<p>a</p>\nb\nc"
    assert [(n.line, re.search(r"center|font|class|color", n.message.en)[0]) for n in found.notes] == [  # type: ignore[index]
        (2, "center"), (2, "class"), (3, "font"), (3, "color"),
    ]  # fmt: skip


def test_images_are_named_by_hash() -> None:
    files = {"图 1.png": png(), "b.png": png(3, 3)}
    text = "---\ntitle: t\nimages:\n  - {file: b.png, alt: 乙, rights: 自制}\n---\n"
    text += '![甲"](图%201.png)\n\n![](b.png) ![](b.png)\n'
    found = submit(text, files=files)
    first, second = found.content.images[1], found.content.images[0]
    assert (first.name, first.alt, second.alt, second.rights) == ("图 1.png", '甲"', "乙", "自制")
    assert found.blobs[second.sha256] == files["b.png"]
    assert found.content.body_html == (
        f'<p><img src="media:{first.sha256}" alt="甲&quot;"></p>\n'
        f'<p><img src="media:{second.sha256}" alt="乙"> <img src="media:{second.sha256}" alt="乙"></p>'
    )


@pytest.mark.parametrize(
    "src", ["https://example.com/a.png", "//example.com/a.png", "media:" + "0" * 64, "", "absent.png"]
)
def test_an_image_must_come_along(src: str) -> None:
    assert codes(refused(f'<p>a\n<img src="{src}">', "a.html", title="t"))[0][1:] == ("body", 2)


def test_a_tag_inside_an_attribute_stays_there() -> None:
    found = html('<p title="<b onclick=1>">a</p>')
    assert found.content.body_html == '<p title="&lt;b onclick=1&gt;">a</p>'


PIECES = st.lists(st.sampled_from([
    "<p>", "</p>", "<b>", "</b>", "<table>", "<tr>", "<td>", "</td>", "</table>", "<li>",
    "<ul>", "</ul>", "<pre>", "</pre>",
    "a", "b ", "\n", "中", "&lt;script&gt;", "<a href='http://x/'>", "</a>", "<img src=a.png>",
    "<span data-line=7>", "<!-- x -->",
    "<ruby>", "<rt>", "</ruby>", "<p title='<b x=\"'>", "&quot;", "\t", "<br>",
    "<th scope=row>", "&nbsp;", "<x>", "<caption>",
]), max_size=30).map("".join)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(PIECES)
@example("<ruby><li><span data-line=7><rt>")
def test_the_canonical_form_is_final_and_safe(markup: str) -> None:
    try:
        found = html(markup + "x", {"a.png": png()})
    except IntakeError:
        return
    body = found.content.body_html
    again = html(body.replace(f"media:{found.content.images[0].sha256}", "a.png") if found.content.images else body,
                 {"a.png": png()})  # fmt: skip
    assert "data-line" not in body
    assert again.content.body_text == found.content.body_text
    assert not re.search(r"<script|\son\w+=", body)
    letters = "".join(c for c in found.content.body_text if c in "ab中x")
    assert letters == "".join(c for c in unescape(nh3.clean(body, tags=set())) if c in "ab中x")
