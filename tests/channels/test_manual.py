"""Platforms that a person publishes on: what is prepared, within which limits, and who has to act when."""

from __future__ import annotations

from typing import Any

import pytest
from robot_world import NOW, heavy
from sample_post import correction, post, withdrawal

from channels import registry
from channels.contract import Editable, FollowUp, Idempotency, Operation, Recallable
from channels.registry import BadSettings, Tools
from channels.transport import Transport
from channels.verdicts import Awaits, Receipt, Rejected

OUT = Receipt("gb_first", "https://www.toutiao.com/article/1")
HANDED = Receipt("gb_first")  # handed out, its link not told


def manual(**own: Any) -> Any:
    """The transport is not opened: whatever tried to send would fail."""
    tools = Tools(Transport(user_agent="t"), lambda: NOW)
    return registry.build("acct", "manual", {"platform": "今日头条", **own}, tools)


def test_these_are_public_accounts_and_repeats_do_no_harm() -> None:
    assert registry.kinds()["manual"].filed is True
    assert {manual().capabilities.of(o) for o in Operation} == {Idempotency.NATURAL}


async def test_a_post_becomes_a_task() -> None:
    receipt = await manual().publish(post())
    assert receipt == Receipt(post().key, "", Awaits.PERSON, "task_waits")


@pytest.mark.parametrize(("edits", "recalls"), [(True, True), (True, False), (False, True), (False, False)])
def test_abilities_are_those_of_the_platform(edits: bool, recalls: bool) -> None:
    channel = manual(edits=edits, recalls=recalls)
    assert (isinstance(channel, Editable), isinstance(channel, Recallable)) == (edits, recalls)
    assert isinstance(channel, FollowUp)


async def test_a_correction_replaces_the_text() -> None:
    receipt = await manual().edit(correction(remote=OUT))
    assert receipt == Receipt("gb_first", OUT.url, Awaits.PERSON, "edit_task_waits")
    still_open = await manual().edit(correction(remote=HANDED))
    assert still_open == Receipt("gb_first", "", Awaits.PERSON, "task_waits")
    with pytest.raises(Rejected, match="text counts"):
        await manual(text_limit=5).edit(correction(remote=OUT, wording="一二三四五六"))


async def test_what_is_out_is_taken_down() -> None:
    receipt = await manual().recall(withdrawal(remote=OUT))
    assert receipt == Receipt("gb_first", OUT.url, Awaits.PERSON, "recall_task_waits")


async def test_what_was_handed_out_is_made_sure_of_and_what_was_not_needs_nobody() -> None:
    """Somebody may have posted it and not yet told the link."""
    for channel, call in ((manual(), "recall"), (manual(recalls=False), "follow_up")):
        handed = await getattr(channel, call)(withdrawal(remote=HANDED))
        assert (handed.awaits, handed.reason) == (Awaits.PERSON, "stop_task_waits")
        never = await getattr(channel, call)(withdrawal(remote=None))
        assert never == Receipt("gb_recall")


async def test_where_nothing_can_be_changed_a_notice_is_to_be_posted() -> None:
    channel = manual(edits=False, recalls=False)
    for given, told in ((correction(remote=OUT), "更正第三条日期"), (withdrawal(remote=OUT), "内容有误")):
        receipt = await channel.follow_up(given)
        assert (receipt.remote_id, receipt.awaits, receipt.reason) == (given.key, Awaits.PERSON, "notice_task_waits")
        assert told in channel.prepare(given).form["text"]
    assert (await channel.follow_up(correction(remote=HANDED))).reason == "task_waits"


def test_title_text_link_and_pictures_are_apart() -> None:
    form = manual(ask_for="选“政务”栏目").prepare(post()).form
    assert (form["title"], form["text"], form["link"]) == (post().title, post().text, post().url)
    assert form["platform"] == "今日头条"
    assert form["ask_for"] == "选“政务”栏目"
    [image] = form["images"]
    assert (image["url"], image["sha256"]) == (post().images[0].url, post().images[0].sha256)


def test_without_a_field_for_the_title_it_stands_in_the_text() -> None:
    form = manual(title_limit=0).prepare(post()).form
    assert (form["title"], form["text"]) == ("", f"{post().title}\n\n{post().text}")


def test_hashtags_stand_at_the_end_as_the_platform_writes_them() -> None:
    assert manual(hashtags=2).prepare(post()).form["text"].endswith("#示例# #办法#")
    assert manual(hashtags=1, hashtag="#{}").prepare(post()).form["text"].endswith("#示例")
    assert "#" not in manual(hashtags=2).prepare(withdrawal(remote=OUT)).form["text"]
    for bad in ("#", "#{}#{}#", "{0}", "#{}{"):
        with pytest.raises(BadSettings, match="hashtag"):
            manual(hashtag=bad)


@pytest.mark.parametrize(
    ("unit", "length"),
    [("characters", 6), ("weighted", 5), ("graphemes", 5), ("bytes", 3 + 1 + 4 + 1 + 2 + 3), ("utf16", 7)],
)
def test_every_unit_counts_as_it_says(unit: str, length: float) -> None:
    text = "字a𠮷e\u0301字"  # the accent is a mark of its own
    measured = manual(unit=unit).prepare(post(wording=text)).measured[-1]
    assert (measured.length, measured.limit, measured.unit) == (length, None, unit)


@pytest.mark.parametrize("part", ["title", "text"])
def test_one_past_the_edge_is_refused_with_count_limit_and_remedy(part: str) -> None:
    own = {f"{part}_limit": 30}
    manual(**own).prepare(post(title="题" * 30, wording="文" * 30))
    with pytest.raises(Rejected) as caught:
        manual(**own).prepare(post(title="题" * 31, wording="文" * 31))
    for told in (part, "31", "30", "characters", "wording"):
        assert told in caught.value.detail


def test_a_title_too_full_to_say_so_does_not_hold_a_correction_or_a_withdrawal_back() -> None:
    full = "题" * 30
    corrected = manual(title_limit=30).prepare(correction(title=full)).form
    assert corrected["title"] == full
    assert "【更正】" in corrected["text"]
    withdrawn = manual(title_limit=30, text_limit=60).prepare(withdrawal(title=full, note="因" * 100)).form
    assert withdrawn["title"] == "【撤回】"
    assert f"【撤回】{full}" in withdrawn["text"]
    with pytest.raises(Rejected, match="title counts 31"):
        manual(title_limit=30).prepare(correction(title=full + "题"))


def test_pictures_beyond_the_limit_are_named() -> None:
    prepared = manual(images_limit=9, title_limit=80).prepare(heavy(post))
    assert len(prepared.form["images"]) == 9
    assert [d for d in prepared.dropped if d.startswith("image")] == ["image:10", "image:11", "image:12"]
    assert prepared.form["text"] == heavy(post).text.strip()


@pytest.mark.parametrize("operation", list(Operation))
def test_the_heavy_item_is_prepared_within_the_limits(operation: Operation) -> None:
    make = {Operation.PUBLISH: post, Operation.EDIT: correction, Operation.RECALL: withdrawal}[operation]
    prepared = manual(title_limit=64, text_limit=2000, images_limit=3, unit="graphemes").prepare(heavy(make))
    assert all(m.limit is not None and m.length <= m.limit for m in prepared.measured)
    if operation is Operation.PUBLISH:
        assert "body" in prepared.dropped
        assert prepared.form["text"] == post().summary
