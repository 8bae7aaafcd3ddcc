"""Each format as an editor would write it."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_makers import codes, docx, png, refused, submit

from publisher.content import Openness, Related, Source
from publisher.intake import IntakeError
from publisher.intake.field_names import FIELDS, RELATIONS

CLEAN = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff\ufeff"), min_size=1
)

MARKDOWN = """---
标题: 关于印发《办法》的通知
内容概述: 概述
专栏: 通知公告
公开属性: 依申请公开
发文字号: 示版发〔2026〕7号
成文日期: 2026年4月2日
施行日期: 2026-05-01
关键词: 登记，资助
不早于: 2026-12-01 09:00
失效时间: 2027-12-01T09:00:00Z
来源: {名称: 示例网, 网址: "https://example.com/a"}
相关:
  - interprets: other-item
附件:
  - 文件: form.docx
    名称: 附件1.申请表
---
# 一

第一段
续行

| 姓名 | 号 |
| --- | --- |
| 甲 | |
"""


def test_markdown_fields_by_their_chinese_names() -> None:
    content = submit(MARKDOWN, files={"form.docx": docx()}).content
    assert content.title == "关于印发《办法》的通知"
    assert (content.column, content.openness) == ("notices", Openness.ON_REQUEST)
    assert (content.created_on, content.effective_on) == ("2026-04-02", "2026-05-01")
    assert content.keywords == ("登记", "资助")
    assert content.not_before == 1_796_086_800_000_000  # 2026-12-01T01:00Z
    assert content.expires_at == 1_827_651_600_000_000
    assert content.source == Source(name="示例网", url="https://example.com/a")
    assert content.related == (Related(rel="interprets", id="other-item"),)
    assert content.attachments[0].name == "附件1.申请表.docx"


def test_markdown_text_and_its_lines() -> None:
    found = submit(MARKDOWN, files={"form.docx": docx()})
    text = found.content.body_text
    assert text == "一\n第一段续行\n姓名\t号\n甲\t"
    lines = MARKDOWN.split("\n")
    for word in ("第一段", "续行", "姓名", "甲"):
        line = found.locate("body_text", text.index(word))
        assert line is not None
        assert word in lines[line - 1]
    assert found.locate("title") == 2
    assert found.locate("attachments[0].name") == lines.index("    名称: 附件1.申请表") + 1
    assert found.locate("body_html", 0) is None
    assert found.locate("body_text", len(text) + 1) is None


def test_markdown_without_front_matter_takes_its_first_heading_as_title() -> None:
    found = submit("# 标题\n\n正文\n")
    assert (found.content.title, found.content.body_text) == ("标题", "正文")
    assert found.locate("body_text", 0) == 3
    assert "标题" in found.notes[0].message.zh


@given(CLEAN.filter(str.strip))
def test_plain_text_is_kept_exactly(text: str) -> None:
    for ends in ("\n", "\r\n", "\r"):
        whole = f"{text}{ends}  second{ends}"
        content = submit(whole, "a.txt", title="t").content
        assert content.body_text == whole
        assert content.from_canonical(content.canonical()) == content


def test_plain_text_title_and_lines() -> None:
    found = submit("\n 标题 |\r\n||||\r\n\r\n正文<b>&\r\n", "a.txt")
    assert found.content.title == "标题 |"
    assert found.content.body_html == "<p>||||</p>\n<p>正文&lt;b&gt;&amp;</p>"
    assert found.locate("body_text", found.content.body_text.index("正文")) == 5
    assert found.locate("title") == 2


def test_json_with_an_attachment_inside() -> None:
    item = {
        "id": "my-item",
        "title": "t",
        "body_format": "html",
        "body": "<p>a<script></script></p>".replace("<script></script>", ""),
        "attachments": [{"name": "form.docx", "data": base64.b64encode(docx()).decode()}],
        "images": [{"file": "a.png", "alt": "图", "decorative": True, "ai_generated": False}],
    }
    found = submit(json.dumps(item), "a.json", {"a.png": png()})
    assert found.item_id == "my-item"
    assert set(found.blobs) == {found.content.attachments[0].sha256, found.content.images[0].sha256}
    assert found.blobs[found.content.attachments[0].sha256] == docx()
    assert found.content.images[0].decorative
    assert found.content.images[0].alt == "图"


def test_html_head_and_body() -> None:
    page = """<!DOCTYPE html><html lang="zh-TW"><head><title> 标
题 </title><meta name="Description" content="概述"><meta name="viewport" content="x">
<meta name="gongbao:drafter" content="甲"><style>p{}</style></head>
<body class="x"><p>一</p>
<p>二<br>三</p></body></html>"""
    found = submit(page, "a.html")
    assert (found.content.title, found.content.summary, found.drafter) == ("标 题", "概述", "甲")
    assert found.content.language == "zh-TW"
    assert found.content.body_text == "一\n二\n三"
    assert found.locate("body_text", 2) == 5
    assert found.locate("drafter") == 3


def test_overrides_win_and_defaults_fill() -> None:
    found = submit("---\ntitle: a\ncolumn: notices\n---\nx", column="policies")
    assert found.content.column == "policies"
    assert found.content.issuing_body == "示例市版权局"
    assert found.drafter == "起草人"


@pytest.mark.parametrize(
    "filename, media_type",
    [
        ("a", None),
        ("a.doc", None),
        ("a.md", "text/html"),
        ("a.txt", "text/plain; charset=gbk"),
        ("a.txt", "image/png"),
    ],
)
def test_the_format_is_never_guessed(filename: str, media_type: str | None) -> None:
    refused("title", filename, media_type=media_type)


def test_the_media_type_alone_tells_the_format() -> None:
    assert submit("t\nx", "upload", media_type="text/plain").content.title == "t"


@pytest.mark.parametrize("text, code, line", [
    ('{"title": "a",\n "title": "b"}', "duplicate_key", 2),
    ('{"title": \nNaN}', "json", 2),
    ("[" * 10_000, "json", 1),
    ('{"a": [1,]}', "json", 1),
    ('{"a": 01}', "json", 1),
    ('{"a": 1} x', "json", 1),
    ('[]', "json", 1),
    ('{"title": "a\\ud800", "body_format": "plain",\n "body": "x"}', "character", 1),
    ('{"title": "a", "body_format": "plain",\n "body": "x\\u0000"}', "character", 2),
    ('{"title": "a", "body_format": "mrkdown", "body": "x"}', "body_format", 1),
])  # fmt: skip
def test_broken_json(text: str, code: str, line: int) -> None:
    assert codes(refused(text, "a.json"))[0][::2] == (code, line)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12,
))  # fmt: skip
def test_json_values_are_read_as_the_standard_reader_reads_them(value: object) -> None:
    from publisher.intake.json_source import read_json
    from publisher.intake.model import Node

    def plain(node: Node) -> object:
        if isinstance(node.value, dict):
            return {key: plain(part) for key, part in node.value.items()}
        return [plain(part) for part in node.value] if isinstance(node.value, list) else node.value

    def words(thing: object) -> object:
        if isinstance(thing, dict):
            return {key: words(part) for key, part in thing.items()}
        if isinstance(thing, list):
            return [words(part) for part in thing]
        return thing if isinstance(thing, str | None) else json.dumps(thing)

    try:
        found = read_json(json.dumps({"a": value}, indent=1))
    except IntakeError as error:
        assert "nested" in error.problems[0].message.en  # noqa: PT017
    else:
        assert plain(found["a"]) == words(value)


@pytest.mark.parametrize("page", ["submitting.md", "submitting.zh-CN.md"])
def test_the_guide_shows_what_works(page: str) -> None:
    guide = (Path(__file__).parents[2] / "docs" / page).read_text("utf-8")
    example = guide.partition("```markdown\n")[2].partition("```")[0]
    content = submit(example, files={"form.docx": docx(), "outage.png": png()}).content
    assert content.content_type == "CT35"
    assert len(content.attachments) == len(content.images) == 1
    for name in (*FIELDS, *RELATIONS):
        assert f"`{name}`" in guide
