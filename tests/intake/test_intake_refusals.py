"""What must be refused, and what the refusal says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intake_makers import DEFAULTS, codes, refused, submit

from publisher.intake import DirectoryFiles, IntakeError, Limits
from publisher.intake.problems import quoted


def head(*lines: str) -> str:
    return "\n".join(["---", "title: t", *lines, "---", "text", ""])


@pytest.mark.parametrize("line, code, field", [
    ("titel: x", "unknown_field", "titel"),
    ("created_on: 2026-02-30", "date", "created_on"),
    ("created_on: 2026-2-3", "date", "created_on"),
    ("not_before: 2026-12-01", "time", "not_before"),
    ("not_before: 2026-12-01 24:00", "time", "not_before"),
    ("not_before: 1764550800", "time", "not_before"),
    ("column: nowhere", "unknown_column", "column"),
    ("content_type: CT99", "unknown_content_type", "content_type"),
    ("openness: maybe", "unknown_openness", "openness"),
    ("id: A", "shape", "id"),
    ("links: ['javascript:alert(1)']", "url", "links[0].url"),
    ("links: ['https://user:pw@example.com/']", "url", "links[0].url"),
    ("related: [{rel: likes, id: abc}]", "unknown_related", "related[0]"),
    ("attachments: [absent.pdf]", "file_absent", "attachments[0]"),
    ("title: again", "duplicate_key", "title"),
    ("标题: again", "duplicate_key", "title"),
    ("summary: &a x", "front_matter", ""),
    ("summary: *a", "front_matter", ""),
    ("summary: !!python/name:os.system x", "front_matter", ""),
    ("summary: a: b", "front_matter", ""),
    ('summary: "a\\x00"', "character", "summary"),
    ('summary: "a\\ud800"', "character", "summary"),
    ("language: not a language", "shape", "language"),
    ("body: x", "unknown_field", "body"),
])  # fmt: skip
def test_a_wrong_line_is_named(line: str, code: str, field: str) -> None:
    assert (code, field, 3) in codes(refused(head(line)))


def test_all_problems_come_together() -> None:
    text = (
        head("titel: x", "created_on: 2026-02-30", "column: nowhere")
        + "\n<script>x</script>\n\n[a](javascript:b)\n"
    )
    found = codes(refused(text))
    assert {c for c, _, _ in found} == {"unknown_field", "date", "unknown_column", "scripting"}
    assert [line for c, _, line in found if c == "scripting"] == [9, 11]


def test_did_you_mean() -> None:
    assert "title" in refused(head("titel: x")).problems[0].remedy.zh


def test_what_must_be_given() -> None:
    bare = replace(
        DEFAULTS, openness="", content_type="", column="", drafter="", issuing_body="", drafting_unit=""
    )
    found = {field for code, field, _ in codes(refused("text", defaults=bare)) if code == "missing"}
    needed = {"title", "openness", "content_type", "column", "drafter", "issuing_body", "drafting_unit"}
    assert found == needed
    assert codes(refused("---\ntitle: t\n---\n")) == [("missing", "body", 4)]


def test_a_huge_file_is_refused_before_it_is_read() -> None:
    assert codes(refused(b"\xff" * (50 * 1024 * 1024), "a.txt")) == [("too_large", "", None)]
    small = replace(DEFAULTS, limits=Limits(body=10))
    assert codes(refused("t\n" + "x" * 20, "a.txt", defaults=small)) == [("too_large", "body", 1)]


def test_encodings() -> None:
    error = refused(b"title\nab\xff\n", "a.txt")
    assert codes(error) == [("encoding", "", 2)]
    assert "byte 8 " in error.problems[0].message.en
    assert "GBK" in refused("标题和正文\n都是中文".encode("gbk"), "a.txt").problems[0].message.zh
    assert "GBK" not in refused("标题".encode() + b"\xff", "a.txt").problems[0].message.zh
    for name in ("utf-16", "utf-16-le", "utf-32"):
        assert "UTF-" in refused("title\ntext".encode(name), "a.txt").problems[0].message.en


def test_a_byte_order_mark_is_no_text() -> None:
    found = submit(b"\xef\xbb\xbf" + "标题\n文".encode(), "a.txt")
    assert found.content.body_text == "标题\n文"
    assert found.source.startswith(b"\xef\xbb\xbf")
    assert found.notes
    error = refused(b"\xef\xbb\xbfa\xff", "a.txt")
    assert "byte 4 " in error.problems[0].message.en


@pytest.mark.parametrize("bad", ["\x00", "\x0b", "\x0c", "\x1b", "\x7f", "\x85", "\ufffe", "\uffff"])
def test_characters_that_no_feed_can_carry(bad: str) -> None:
    assert codes(refused(f"t\r\na\r\n{bad}", "a.txt")) == [("character", "", 3)]


@pytest.mark.parametrize("reference", ["&#1;", "&#xFFFE;", "&#11;"])
def test_nor_by_way_of_a_reference(reference: str) -> None:
    for text in (f"<p>a{reference}", f'<p title="{reference}">a'):
        assert codes(refused(text, "a.html", title="t"))[0][0] == "character"


SCRIPTING = [
    "<script>x</script>", "<!--><script>x</script>-->", "<p onclick=x>a",
    "<p OnMouseOver='x'>a", "<svg/onload=x>",
    "<a href='javascript:x'>a</a>", "<a href=' jAva\nscript:x'>a</a>",
    "<a href='&#106;avascript:x'>a</a>",
    "<a href='data:text/html,x'>a</a>", "<a href='vbscript:x'>a</a>",
    "<iframe src=//x></iframe>", "<form>a</form>",
    "<object data=x></object>", "<embed src=x>", "<input value=x>", "<base href=//x>",
    "<math><mi>a</mi></math>",
    "<img src='javascript:x'>", "<p style='width:expression(x)'>a", "<template><p>a</template>",
    "<img src=x onerror=y>", "<noscript>a</noscript>", "<select><option>a</select>",
]  # fmt: skip


PLACES = ("a.html", "a.md", "a.json")
# `<svg/onload=x>` is no tag in CommonMark and stands there as text.
CASES = [(m, f) for m in SCRIPTING for f in PLACES if f != "a.md" or "/" not in m.partition("=")[0][:5]]


@pytest.mark.parametrize(("markup", "filename"), CASES)
def test_what_scripts_is_refused_with_its_line(markup: str, filename: str) -> None:
    text, line = f"<p>a</p>\n\n{markup}\n", 3
    if filename == "a.json":
        text, line = json.dumps({"body_format": "html", "body": text}), 1
    scripting = [c for c in codes(refused(text, filename, title="t")) if c[0] == "scripting"]
    assert scripting
    assert all(found[1] == "body" and found[2] in (line, line + 1) for found in scripting)


def test_markdown_links_that_script() -> None:
    for link in ("[a](javascript:x)", "<javascript:x>", "[a]\n\n[a]: data:text/html,x"):
        assert "scripting" in {c for c, _, _ in codes(refused(link, title="t"))}


def test_personal_numbers_are_not_repeated() -> None:
    for number in ("11010519491231002X", "138 1234 5678", "１１０１０５１９４９１２３１００２Ｘ"):
        text = head(
            f"created_on: {number}", f"'{number}': x", f"column: {number}", f"id: {number}", f"a: '{number}'"
        )
        said = json.dumps(refused(text).to_dict(), ensure_ascii=False)
        assert number not in said
        assert number[:6] not in said


@given(st.text())
def test_a_quotation_is_short_and_without_long_numbers(value: str) -> None:
    import re

    shown = quoted(value)
    assert len(shown) <= 41
    assert not re.search(r"\d{6}", shown)


def test_a_tower_of_elements_is_refused_quickly() -> None:
    for tower in (
        "<div>" * 100_000,
        "<div></p>" * 50_000,
        "<b>" * 100_000,
        "<ul><li>" * 50_000,
        "> " * 20_000,
    ):
        try:
            submit(tower + "x", "a.html", title="t")
        except IntakeError as error:
            assert codes(error)[0][:2] == ("nesting", "body")  # noqa: PT017
        else:
            assert tower.startswith(">")


def test_files_stay_in_their_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "deep" / "a.txt").write_text("fine")
    (folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "within.txt").symlink_to(folder / "deep" / "a.txt")
    files = DirectoryFiles(folder)
    assert files.open("deep/a.txt", 10) == b"fine"
    assert files.open("within.txt", 10) == b"fine"
    for name in (
        "../secret.txt",
        str(tmp_path / "secret.txt"),
        "out.txt",
        "deep/../../secret.txt",
        "",
        "a\0b",
        "..\\x",
    ):
        with pytest.raises(IntakeError) as caught:
            files.open(name, 10)
        assert caught.value.problems[0].code == "file_outside", name
    for name, code in (("absent", "file_absent"), ("deep", "file_absent"), ("deep/a.txt", "too_large")):
        with pytest.raises(IntakeError) as caught:
            files.open(name, 3)
        assert caught.value.problems[0].code == code


ODD = st.lists(st.sampled_from([
    "---\n", "title: t\n", "# h\n", "<p>", "</p>", "<table><tr><td>", "<b onclick=1>", "<!--",
    "-->", "<![CDATA[", "]]>",
    "<?x", "&#0;", "&#x10FFFF;", "{", "}", "[", "]", '"', "\\ud800", ":", ",", "- ", "| a |",
    "\n", "\r", "\t", "*", "_",
    "`", "![a](b.png)", "[a](http://[)", "<body>", "</body>", "<title>",
    "<meta name='gongbao:title' content='x'>",
    "<ruby>a<rt>b", "\u202e", "中", "　", "null", "&amp;", "<svg>", "<pre>\n", "<li value='9'>",
    "\x85", "1", "?", "%TAG",
    "<html lang=", "'", ">", "<img src=b.png alt=x>", "<!DOCTYPE [", "\ufeff", "~", "|", "> ",
]), max_size=25).map("".join).map(str.encode)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["a.md", "a.json", "a.html", "a.txt"]), ODD | st.binary(max_size=200))
def test_whatever_comes_in_is_taken_or_refused(filename: str, raw: bytes) -> None:
    try:
        found = submit(raw, filename)
    except IntakeError as error:
        assert error.problems  # noqa: PT017
        json.dumps(error.to_dict(), ensure_ascii=False).encode()
    else:
        assert found.content.canonical()
        assert found.source == raw
        for offset in range(len(found.content.body_text) + 1):
            line = found.locate("body_text", offset)
            assert line is None or 1 <= line <= raw.count(b"\n") + raw.count(b"\r") + 1


@pytest.mark.parametrize("head, body", [("<script>x</script>", "<body>"), ("", "<body onload=x>")])
def test_a_page_that_scripts_outside_its_text(head: str, body: str) -> None:
    page = f"<!DOCTYPE html>\n<html><head><title>t</title>\n{head}</head>{body}<p>a</p></body></html>"
    assert codes(refused(page, "a.html")) == [("scripting", "body", 3)]


@pytest.mark.parametrize("written, micros", [
    ("2026-12-01 09:00", 1_796_112_000_000_000),
    ("2026-12-01T09:00:00.5+01:00", 1_796_112_000_500_000),
    ("2026-10-25 02:30", None),  # set back at three
    ("2026-03-29 02:30", None),  # set forward at two
    ("2026-10-25T02:30+02:00", 1_792_888_200_000_000),
    ("1969-12-31T23:00Z", None),
    ("0001-01-01T00:00+14:00", None),
    ("2026-12-01T09:00+08:60", None),
])  # fmt: skip
def test_instants(written: str, micros: int | None) -> None:
    berlin = replace(DEFAULTS, zone="Europe/Berlin")
    if micros is None:
        assert codes(refused(head(f"not_before: {written}"), defaults=berlin)) == [("time", "not_before", 3)]
    else:
        assert submit(head(f"not_before: {written}"), defaults=berlin).content.not_before == micros


def test_an_item_cannot_expire_before_it_goes_out() -> None:
    lines = ("not_before: 2026-12-01 09:00", "expires_at: 2026-12-01 09:00")
    assert codes(refused(head(*lines))) == [("time", "expires_at", 4)]


@pytest.mark.parametrize("name, text, code", [
    ("a.md", "![" * 100_000, "too_many"),
    ("a.html", "<p " + " ".join(f"a{i}=1" for i in range(50_000)) + ">a", "nesting"),
    ("a.html", "<!--" * 100_000, "missing"),
])  # fmt: skip
def test_markup_made_to_hold_us_up_is_refused_quickly(name: str, text: str, code: str) -> None:
    assert codes(refused(text, name, title="t"))[0][0] == code
