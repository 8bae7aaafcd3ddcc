"""What a phone shows: never empty, never cut, one line, one name for an item for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_post import correction, post, withdrawal

from channels.contract import Measured, Post
from channels.notices import Notice, compact, fitting, item_name, size, until_midnight
from channels.verdicts import Rejected


def made(it: Post, limit: int = 4000) -> Notice:
    return fitting(it, lambda notice: (size("line", notice.line, limit),))[0]


def test_an_editors_wording_is_the_line_and_is_never_left_out() -> None:
    assert made(post(wording="一句话。")).line == "一句话。"
    assert made(correction(wording="一句话。")).line == "更正说明：更正第三条日期 一句话。"
    with pytest.raises(Rejected, match="too_long: line counts 12 bytes, the limit is 11"):
        made(post(wording="一句话。"), 11)


def test_a_line_is_one_line_and_never_empty() -> None:
    assert made(post(summary="一\n二\t三")).line == "一 二 三"
    bare = post(summary=" ", issuing_body="", column_name="")
    assert made(bare).line == bare.title


def test_what_stays_behind_is_named() -> None:
    assert made(post()).dropped == ("body", "images")
    assert made(post(text="", images=())).dropped == ()
    assert made(post(summary="长" * 100), 60).dropped == ("summary", "body", "images")


def test_why_it_was_withdrawn_is_kept_and_its_summary_is_not_repeated() -> None:
    notice = made(withdrawal())
    assert (notice.withdrawn, notice.line) == (True, "撤回说明：内容有误")
    assert post().summary not in notice.line
    assert made(withdrawal(note="")).line == "此前发布的内容已撤回，请以官方网站为准。"


def test_an_edition_that_was_converted_says_so() -> None:
    converted = post(language="zh-Hant", derived_from="zh-Hans")
    assert made(converted).line.endswith("（本文由簡體中文自動轉換）")


def test_an_item_has_one_name_on_every_revision_and_operation() -> None:
    names = {item_name(it) for it in (post(), correction(), withdrawal(), post(revision=9, title="别的"))}
    assert len(names) == 1
    assert item_name(post(item_id="other")) not in names
    assert len(names.pop()) == 43


@given(st.text(min_size=1), st.text(), st.text(), st.integers(1, 400))
def test_no_text_is_ever_cut(title: str, summary: str, wording: str, limit: int) -> None:
    def measuring(notice: Notice) -> tuple[Measured, ...]:
        return (size("text", notice.title + notice.line, limit),)

    it = post(title=title, summary=summary, wording=wording)
    try:
        notice, _ = fitting(it, measuring)
    except Rejected:
        return
    assert notice.title == title
    whole = [" ".join(text.split()) for text in (wording, summary)]
    assert notice.line in (*whole, f"{it.issuing_body} {it.column_name}")
    assert ("summary" in notice.dropped) == (not wording and bool(summary.strip()) and notice.line != whole[1])


def test_odd_characters_never_break_a_body() -> None:
    assert compact({"a": "\ud800"}) == b'{"a":"?"}'


def test_midnight_is_that_of_shanghai() -> None:
    assert [until_midnight(now) for now in (0, 16 * 3600, 16 * 3600 - 1)] == [16 * 3600, 86_400, 1]
