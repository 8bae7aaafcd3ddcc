"""The short post of an item: never cut, never without its address, and always within the limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_post import correction, post, withdrawal

from channels import text as counting
from channels.contract import Operation
from channels.forms import Room, compose, headline
from channels.verdicts import Rejected

URL = post().url


def test_the_richest_form_that_fits_is_taken() -> None:
    long = post(text="第一条 正文。" * 40)
    assert "第一条" in compose(long, Room(2000)).text
    shorter = compose(long, Room(140))
    assert (long.summary in shorter.text, "第一条" in shorter.text, shorter.dropped) == (True, False, ("body",))
    sparest = compose(long, Room(len(long.title) + len(URL) + 2))
    assert (sparest.text, sparest.dropped) == (f"{long.title}\n\n{URL}", ("body", "summary"))


def test_what_does_not_fit_is_refused_with_count_limit_and_remedy() -> None:
    with pytest.raises(Rejected) as caught:
        compose(post(), Room(10))
    assert caught.value.reason == "too_long"
    for told in (str(len(post().title) + len(URL) + 2), "10", "characters", "wording"):
        assert told in caught.value.detail


def test_a_withdrawal_repeats_nothing_that_may_be_what_had_to_be_taken_back() -> None:
    for language, said in (("zh-CN", "【撤回】"), ("en", "[Withdrawn]")):
        hushed = withdrawal(reason="privacy", note="", language=language)
        assert headline(hushed) == said
        assert post().title not in compose(hushed, Room(500)).text
        assert post().title in headline(withdrawal(reason="error", language=language))


def test_an_editors_wording_replaces_all_and_keeps_the_address_once() -> None:
    assert compose(post(wording="一句话。"), Room(140)).text == f"一句话。\n\n{URL}"
    assert compose(post(wording=f"见 {URL} 。"), Room(140)).text.count(URL) == 1
    with pytest.raises(Rejected):
        compose(post(wording="长" * 141), Room(140))


def test_a_withdrawal_says_so_whatever_the_editor_worded() -> None:
    text = compose(withdrawal(wording="好消息"), Room(140)).text
    assert "撤回" in text
    assert "内容有误" in text
    assert "好消息" not in text


def test_a_correction_says_what_was_corrected() -> None:
    assert headline(correction()).startswith("【更正】")
    assert "更正第三条日期" in compose(correction(), Room(200)).text
    assert headline(correction(language="en")).startswith("[Correction]")


def test_addresses_count_what_the_platform_says() -> None:
    room = Room(60, link_length=23)
    assert room.count(f"ab {URL}") == 3 + 23
    assert room.count(f"ab {URL}，{URL}") == 3 + 23 + 1 + 23


def test_hashtags_fill_what_is_left() -> None:
    roomy = compose(post(text=""), Room(200, hashtags=2, hashtag="#{}#"))
    assert roomy.text.endswith("#示例# #办法#")
    tight = compose(post(text=""), Room(roomy.measured.length - 1, hashtags=2, hashtag="#{}#"))
    assert tight.text.endswith("#示例#")
    assert "hashtags" in tight.dropped
    assert "#" not in compose(withdrawal(), Room(200, hashtags=2)).text


def test_a_converted_edition_says_so() -> None:
    assert "自動轉換" in compose(post(language="zh-Hant", derived_from="zh-CN"), Room(200)).text


@given(
    title=st.text(min_size=1, max_size=60),
    body=st.text(max_size=300),
    summary=st.text(max_size=120),
    limit=st.integers(30, 300),
    operation=st.sampled_from(list(Operation)),
)
def test_it_fits_or_is_refused_and_whatever_is_said_is_whole(
    title: str, body: str, summary: str, limit: int, operation: Operation
) -> None:
    room = Room(limit, "weighted", counting.weighted, hashtags=2)
    given_ = post(title=title, text=body, summary=summary, operation=operation)
    try:
        made = compose(given_, room)
    except Rejected:
        assert room.count(f"{headline(given_).strip()}\n\n{URL}") > limit or operation is not Operation.PUBLISH
        return
    assert made.measured.length == room.count(made.text) <= limit
    assert headline(given_).strip() in made.text
    assert URL in made.text
    if "body" not in made.dropped and operation is Operation.PUBLISH and body.strip() != title.strip():
        assert body.strip() in made.text
