"""What becomes of an article from draft to deletion, against the stand-in; and that a lost answer never doubles it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sample_post import correction, post, withdrawal
from wechat_world import World, edition, images, received, seen, world

from channels import registry
from channels.contract import Idempotency, Operation, Presence
from channels.sandbox.stand_in import Misbehaviour, Standing
from channels.sandbox.wechat_official import SECRET
from channels.sandbox.wechat_official.box import Draft
from channels.verdicts import Awaits, Deferred, OutcomeUnknown, Receipt, Rejected, Suspended

M, P = Misbehaviour, Presence
LOST = (M.HANG, M.RESET, M.ERROR, M.GARBAGE)


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as made:
        yield made


# -- publishing ------------------------------------------------------------------------------------------------


async def test_an_item_becomes_an_article_that_is_confirmed_and_deleted(here: World) -> None:
    channel = here.channel()
    receipt = await channel.publish(post())
    assert receipt.awaits is Awaits.PLATFORM
    assert await seen(channel, post(), receipt) == (P.UNKNOWN, "still_publishing")
    await here.decide()
    live = await channel.confirm(post(), receipt)
    assert live.presence is P.LIVE
    assert live.receipt is not None
    assert live.receipt.url.startswith("https://mp.weixin.qq.com/s/")
    [shown] = here.stand_in.live()
    assert (shown.title, shown.images, shown.remote_id) == (post().title, 1, receipt.remote_id)
    assert "附件.pdf（https://example.gov.cn/media/a.pdf）" in shown.text
    back = withdrawal(remote=received(receipt))
    assert (await channel.recall(back)).awaits is Awaits.NOTHING
    assert here.titles() == []
    assert (await channel.recall(back)).awaits is Awaits.NOTHING
    assert await seen(channel, back, None) == (P.ABSENT, "wechat_deleted")


async def test_the_picture_of_the_body_comes_from_wechats_own_host(here: World) -> None:
    await here.channel().publish(post(html='<p>前<img src="https://example.gov.cn/media/b.png" alt="图">后</p>'))
    [draft] = here.stand_in.box.drafts.values()
    assert 'src="http://mmbiz.qpic.cn/' in draft.articles[0]["content"]
    assert here.stand_in.shown[0].images == 1


@pytest.mark.parametrize(
    ("status", "detail"),
    [(2, "wechat_original"), (3, "wechat_failed"), (4, "wechat_review")],
)
async def test_what_the_platform_turns_down_is_refused(here: World, status: int, detail: str) -> None:
    channel = here.channel()
    receipt = await channel.publish(post())
    await here.decide(status)
    assert await seen(channel, post(), receipt) == (P.REFUSED, detail)
    assert (await channel.recall(withdrawal(remote=received(receipt)))).awaits is Awaits.NOTHING
    assert here.stand_in.box.drafts == {}  # nobody may publish by hand what was withdrawn


@pytest.mark.parametrize(("status", "detail"), [(5, "wechat_deleted"), (6, "wechat_banned")])
async def test_what_is_removed_later_is_noticed(here: World, status: int, detail: str) -> None:
    channel = here.channel()
    receipt = await channel.publish(post())
    [task] = here.undecided()
    await here.decide()
    await here.stand_in.decide(task, status)
    assert await seen(channel, post(), receipt) == (P.REFUSED, detail)
    back = withdrawal(remote=received(receipt))
    await channel.recall(back)
    assert await seen(channel, back, None) == (P.ABSENT, detail)


async def test_a_recall_waits_for_the_platform_to_decide(here: World) -> None:
    channel = here.channel()
    back = withdrawal(remote=received(await channel.publish(post())))
    with pytest.raises(Deferred, match="still_publishing"):
        await channel.recall(back)
    await here.decide()
    await channel.recall(back)
    assert here.titles() == []


# -- lost answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", LOST)
async def test_a_lost_answer_is_found_by_looking(here: World, how: M) -> None:
    channel = here.channel()
    here.stand_in.misbehave(how)
    with pytest.raises(OutcomeUnknown):
        await channel.publish(post())
    await here.decide()
    found = await channel.confirm(post(), None)
    assert found.presence is P.LIVE
    assert found.receipt is not None
    assert len(here.stand_in.live()) == 1
    await channel.recall(withdrawal(remote=found.receipt))
    assert here.titles() == []


async def test_while_it_is_on_its_way_nothing_is_proven(here: World) -> None:
    """The draft that is still in the box counts only after `appears_within`; one that has left it never does."""
    channel = here.channel()
    here.stand_in.misbehave(M.HANG)
    with pytest.raises(OutcomeUnknown):
        await channel.publish(post())
    assert await seen(channel, post(), None) == (P.ABSENT, "draft_waits")
    assert channel.capabilities.appears_within >= 1_800
    here.stand_in.box.drafts.clear()
    assert await seen(channel, post(), None) == (P.UNKNOWN, "not_found")


async def test_a_silent_drop_is_absent_and_may_be_sent_again(here: World) -> None:
    channel = here.channel()
    here.stand_in.misbehave(M.DROP)
    receipt = await channel.publish(post())
    assert await seen(channel, post(), receipt) == (P.ABSENT, "draft_waits")
    await channel.publish(post())
    await here.decide()
    assert here.titles() == [post().title]
    assert here.calls("/draft/add") == 1


async def test_a_lost_draft_is_not_added_twice(here: World) -> None:
    """The draft arrives, its answer does not; nobody can see it, so it is asked again, and found."""
    channel = here.channel(mode="draft")
    here.stand_in.misbehave(M.RESET)
    with pytest.raises(OutcomeUnknown):
        await channel.publish(post())
    assert await seen(channel, post(), None) == (P.UNKNOWN, "draft_waits")
    receipt = await channel.publish(post())
    assert [receipt.remote_id] == [shown.remote_id for shown in here.stand_in.shown]
    assert channel.capabilities.idempotency is Idempotency.NATURAL


async def test_a_draft_that_was_used_meanwhile_is_a_doubt(here: World) -> None:
    channel = here.channel()
    here.stand_in.misbehave(M.BUSY)
    with pytest.raises(Deferred) as busy:
        await channel.publish(post())
    assert (busy.value.reason, busy.value.retry_after, busy.value.whole_endpoint) == ("wechat_45011", 60, True)
    page = here.stand_in.box.listed({"count": 20}, drafts=True)
    here.stand_in.box.drafts.clear()
    here.stand_in.box.listed = lambda asked, drafts: page  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknown, match="wechat_40007"):
        await channel.publish(post())


async def test_a_long_draft_box_is_read_in_smaller_pages(here: World) -> None:
    """Each answer is read to 64 KiB: other people's long drafts must not hide ours."""
    channel = here.channel()
    here.stand_in.misbehave(M.BUSY)
    with pytest.raises(Deferred):
        await channel.publish(post())
    [own] = here.stand_in.box.drafts.values()
    for n in range(20):
        long = {**own.articles[0], "content_source_url": f"https://x.gov.cn/{n}", "digest": "文" * 900}
        here.stand_in.box.add([long] * 8)
    receipt = await channel.publish(post())
    assert here.calls("/draft/add") == 1
    assert here.stand_in.find(receipt.remote_id) is own.shown


# -- tokens ----------------------------------------------------------------------------------------------------


async def test_a_killed_token_is_renewed_once_and_leaves_one_copy(here: World) -> None:
    channel = here.channel()
    here.stand_in.misbehave(M.TOKEN_KILLED)
    await channel.publish(post())
    await here.decide()
    assert len(here.stand_in.live()) == 1
    assert here.stand_in.tokens.issued == 2
    assert here.calls("/freepublish/submit") == 2


async def test_a_token_that_ends_is_asked_for_again_before_it_does(here: World) -> None:
    channel = here.channel()
    await channel.check()
    here.clock.at += 7_200 - 301
    await channel.check()
    assert here.calls("/stable_token") == 1
    here.clock.at += 2
    await channel.check()
    assert here.calls("/stable_token") == 2
    assert not any(status != "200" for _, _, status in here.stand_in.calls)


async def test_two_workers_share_one_token(here: World) -> None:
    first, second = here.channel(), here.channel()
    await first.check()
    await second.check()
    assert here.calls("/stable_token") == 1
    assert here.stand_in.tokens.issued == 1


async def test_another_users_token_call_does_not_disturb(here: World) -> None:
    """`/token` and `stable_token` know nothing of each other."""
    channel = here.channel()
    await channel.check()
    here.stand_in.tokens.plain()
    here.stand_in.tokens.plain()
    await channel.check()
    assert here.calls("/stable_token") == 1


async def test_a_token_that_keeps_being_refused_ends_after_one_retry(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(here.stand_in.tokens, "judge", lambda value: 42001)
    with pytest.raises(Deferred, match="wechat_42001"):
        await here.channel().publish(post())
    assert here.calls("/draft/batchget") == 2
    assert here.calls("/stable_token") == 2


async def test_a_wrong_secret_pauses_the_account_and_shows_nothing(here: World) -> None:
    wrong = "of-another-account"
    keys = {**here.stand_in.keys(here.url, {}), "secret": wrong}
    channel = registry.build("acct", "wechat_official", keys, here.tools)
    with pytest.raises(Suspended) as caught:
        await channel.publish(post())
    assert caught.value.reason == "wechat_40001"
    assert wrong not in str(caught.value)


# -- corrections -----------------------------------------------------------------------------------------------


async def test_a_correction_replaces_the_article_and_says_so(here: World) -> None:
    channel = here.channel()
    receipt = received(await channel.publish(post()))
    await here.decide()
    edit = correction(remote=receipt, title="关于发布《示例办法》的公告（第二版）")
    second = await channel.edit(edit)
    assert second.remote_id != receipt.remote_id
    await here.decide()
    [shown] = here.stand_in.live()
    assert shown.title.endswith("（第二版）")
    assert shown.text.startswith("更正说明：更正第三条日期")
    await channel.recall(edition(2, Operation.RECALL, received(second)))
    assert here.titles() == []


async def test_a_correction_waits_until_the_older_one_is_decided(here: World) -> None:
    channel = here.channel()
    receipt = received(await channel.publish(post()))
    with pytest.raises(Deferred, match="still_publishing"):
        await channel.edit(correction(remote=receipt))
    await here.decide()
    await channel.edit(correction(remote=receipt))
    await here.decide()
    assert len(here.stand_in.live()) == 1
    assert here.calls("/draft/add") == 2  # one for each revision, however often it is tried


@pytest.mark.parametrize("how", [*LOST, M.BUSY, M.TOKEN_KILLED])
async def test_a_correction_with_trouble_never_leaves_two(here: World, how: M) -> None:
    """The first request with trouble is the deletion, which is repeated; the second is the publication."""
    channel = here.channel()
    receipt = received(await channel.publish(post()))
    await here.decide()
    edit = correction(remote=receipt, title="更正后的公告")
    for _ in range(2):
        here.stand_in.misbehave(how)
        try:
            await channel.edit(edit)
        except (OutcomeUnknown, Deferred):
            pass
        await here.decide()
        assert len(here.stand_in.live()) <= 1
        if (await channel.confirm(edit, None)).presence is P.LIVE:
            break
    else:
        await channel.edit(edit)  # proven absent: sent again
        await here.decide()
    assert here.titles() == ["更正后的公告"]


async def test_a_deletion_that_did_nothing_lets_no_second_version_out(here: World) -> None:
    channel = here.channel()
    receipt = received(await channel.publish(post()))
    await here.decide()
    edit = correction(remote=receipt, title="更正后的公告")
    here.stand_in.misbehave(M.DROP)
    with pytest.raises(Deferred, match="old_still_there"):
        await channel.edit(edit)
    await here.decide()
    assert here.titles() == [post().title]
    second = received(await channel.edit(edit))
    await here.decide()
    assert here.titles() == ["更正后的公告"]
    here.stand_in.misbehave(M.DROP)
    with pytest.raises(Deferred, match="old_still_there"):
        await channel.recall(edition(2, Operation.RECALL, second))
    assert here.titles() == ["更正后的公告"]


async def test_an_older_article_that_cannot_be_found_stops_the_correction(here: World) -> None:
    """A person settled it by hand; if it cannot be deleted, publishing would leave two."""
    channel = here.channel()
    with pytest.raises(Rejected, match="old_not_found"):
        await channel.edit(correction(remote=Receipt("", "https://mp.weixin.qq.com/s/by-hand")))
    assert here.calls("/freepublish/submit") == 0


async def test_an_article_settled_by_hand_is_found_by_its_link(here: World) -> None:
    channel = here.channel()
    await channel.publish(post())
    await here.decide()
    [live] = here.stand_in.live()
    receipt = await channel.recall(withdrawal(remote=Receipt("", live.url)))
    assert receipt.awaits is Awaits.NOTHING
    assert here.titles() == []


async def test_what_cannot_be_found_is_left_to_a_person(here: World) -> None:
    receipt = await here.channel().recall(withdrawal(remote=Receipt("", "https://mp.weixin.qq.com/s/by-hand")))
    assert (receipt.awaits, receipt.reason) == (Awaits.PERSON, "delete_by_hand")


# -- drafts only -----------------------------------------------------------------------------------------------


async def test_a_draft_waits_for_a_person(here: World) -> None:
    channel = here.channel(mode="draft")
    here.stand_in.rights = False
    receipt = await channel.publish(post())
    assert (receipt.awaits, receipt.reason) == (Awaits.PERSON, "draft_waits")
    assert here.calls("/freepublish/submit") == 0
    assert await seen(channel, post(), receipt) == (P.UNKNOWN, "draft_waits")
    again = await channel.edit(correction(remote=received(receipt), title="改过的标题"))
    assert (again.remote_id, again.reason) == (receipt.remote_id, "draft_waits")
    [draft] = here.stand_in.shown
    assert (draft.title, draft.versions, draft.standing) == ("改过的标题", 2, Standing.PENDING)
    gone = await channel.recall(withdrawal(remote=received(again)))
    assert gone.awaits is Awaits.NOTHING
    assert here.stand_in.box.drafts == {}


async def test_a_draft_that_has_left_the_box_needs_a_person(here: World) -> None:
    channel = here.channel(mode="draft")
    receipt = received(await channel.publish(post()))
    here.stand_in.box.drafts.clear()  # sent to followers by hand
    here.stand_in.rights = False
    assert await seen(channel, post(), receipt) == (P.UNKNOWN, "draft_gone")
    edit = await channel.edit(correction(remote=receipt))
    assert (edit.awaits, edit.reason) == (Awaits.PERSON, "draft_corrects")
    recall = await channel.recall(withdrawal(remote=receipt))
    assert (recall.awaits, recall.reason) == (Awaits.PERSON, "delete_by_hand")


async def test_a_draft_that_was_published_by_hand_is_seen_and_deleted(here: World) -> None:
    channel = here.channel(mode="draft")
    receipt = received(await channel.publish(post()))
    [draft] = here.stand_in.box.drafts.values()
    here.stand_in.box.decide(here.stand_in.box.begin(draft, mass=False), 0)
    assert (await channel.confirm(post(), receipt)).presence is P.LIVE
    assert (await channel.recall(withdrawal(remote=receipt))).awaits is Awaits.NOTHING
    assert here.titles() == []


OTHER = "https://example.gov.cn/elsewhere"


def together(here: World, own: Draft) -> Draft:
    """A person has put our draft behind another article, in one draft."""
    other = {**own.articles[0], "title": "别的文章", "content_source_url": OTHER}
    del here.stand_in.box.drafts[own.media_id]
    return here.stand_in.box.add([other, *own.articles])


async def test_what_a_person_put_together_with_ours_is_left_alone(here: World) -> None:
    """Neither published, nor overwritten, nor deleted by us: it holds somebody else's article."""
    channel = here.channel()
    here.stand_in.misbehave(M.BUSY)
    with pytest.raises(Deferred):
        await channel.publish(post())
    both = together(here, next(iter(here.stand_in.box.drafts.values())))
    receipt = await channel.publish(post())
    await here.decide()
    assert here.titles() == [post().title]
    await channel.recall(withdrawal(remote=received(receipt)))
    assert list(here.stand_in.box.drafts) == [both.media_id]
    assert both.articles[0]["title"] == "别的文章"


async def test_a_draft_put_together_by_hand_is_corrected_in_its_place(here: World) -> None:
    channel = here.channel(mode="draft")
    await channel.publish(post())
    both = together(here, next(iter(here.stand_in.box.drafts.values())))
    remote = Receipt(f"draft:{both.media_id}")
    await channel.edit(correction(remote=remote, title="改过的标题"))
    assert [one["title"] for one in both.articles] == ["别的文章", "改过的标题"]
    recall = await channel.recall(withdrawal(remote=remote))
    assert (recall.awaits, recall.reason) == (Awaits.PERSON, "delete_by_hand")
    assert list(here.stand_in.box.drafts) == [both.media_id]


async def test_only_our_part_of_a_joint_publication_is_deleted(here: World) -> None:
    channel = here.channel(mode="draft")
    receipt = received(await channel.publish(post()))
    both = together(here, next(iter(here.stand_in.box.drafts.values())))
    task = here.stand_in.box.begin(both, mass=False)
    here.stand_in.box.decide(task, 0)
    found = await channel.confirm(post(), receipt)
    assert found.presence is P.LIVE
    assert found.receipt is not None
    for remote in (receipt, found.receipt):
        assert (await channel.recall(withdrawal(remote=remote))).awaits is Awaits.NOTHING
        assert (task.status, task.deleted) == (0, {2})


async def test_a_draft_of_an_older_revision_does_not_stay_in_the_box(here: World) -> None:
    channel = here.channel()
    here.stand_in.misbehave(M.BUSY)
    with pytest.raises(Deferred):
        await channel.publish(post())
    await channel.publish(edition(4, Operation.PUBLISH, None, title="第四版"))
    assert [draft.articles[0]["title"] for draft in here.stand_in.box.drafts.values()] == ["第四版"]


# -- mass messages ---------------------------------------------------------------------------------------------


async def test_a_mass_message_goes_out_once_whatever_is_lost(here: World) -> None:
    channel = here.channel(mode="mass")
    assert channel.capabilities.idempotency is Idempotency.KEYED
    here.stand_in.misbehave(M.HANG)
    with pytest.raises(OutcomeUnknown):
        await channel.publish(post())
    await here.decide()
    receipt = await channel.publish(post())
    assert receipt.awaits is Awaits.PLATFORM
    assert await seen(channel, post(), receipt) == (P.LIVE, "")
    assert len(here.stand_in.live()) == 1
    assert here.stand_in.find(receipt.remote_id) in here.stand_in.live()
    assert here.stand_in.box.drafts == {}  # the second attempt's draft must not lie about


@pytest.mark.parametrize(("kind", "limit"), [("subscription", 1), ("service", 4)])
async def test_an_allowance_counts_what_wechat_took(here: World, kind: str, limit: int) -> None:
    (quota,) = here.channel(mode="mass", account_type=kind).capabilities.quotas
    assert (quota.limit, quota.taken_only, quota.operations) == (limit, True, {Operation.PUBLISH})


async def test_a_mass_message_is_deleted_after_it_was_sent(here: World) -> None:
    channel = here.channel(mode="mass")
    back = withdrawal(remote=received(await channel.publish(post())))
    with pytest.raises(Deferred, match="still_publishing"):
        await channel.recall(back)
    await here.decide()
    await channel.recall(back)
    await channel.recall(back)
    assert here.titles() == []
    assert await seen(channel, back, None) == (P.ABSENT, "wechat_deleted")


async def test_the_days_allowance_is_waited_for_until_midnight_in_shanghai(here: World) -> None:
    channel = here.channel(mode="mass")
    await channel.publish(post())
    await here.decide()
    with pytest.raises(Deferred) as caught:
        await channel.publish(post(key="gb_another", url="https://example.gov.cn/items/02"))
    assert (caught.value.reason, caught.value.retry_after) == ("wechat_45028", 16 * 3_600)
    assert caught.value.spent
    assert not caught.value.whole_endpoint  # a recall may still go


async def test_a_refused_mass_message_is_refused(here: World) -> None:
    channel = here.channel(mode="mass")
    receipt = await channel.publish(post())
    await here.decide(4)
    assert await seen(channel, post(), receipt) == (P.REFUSED, "wechat_mass_failed")


# -- the account -----------------------------------------------------------------------------------------------


async def test_an_account_without_the_right_is_paused(here: World) -> None:
    here.stand_in.rights = False
    for attempt in (here.channel().check(), here.channel().publish(post())):
        with pytest.raises(Suspended, match="wechat_48001"):
            await attempt
    assert (await here.channel(mode="draft").check()).facts["mode"] == "draft"


async def test_a_check_tells_what_is_left_and_no_secret(here: World) -> None:
    facts = (await here.channel().check()).facts
    assert facts["left_today"] == "100/100"
    assert SECRET not in str(facts)


async def test_pictures_are_uploaded_once_for_all_attempts(here: World) -> None:
    channel = here.channel()
    here.stand_in.misbehave(M.BUSY)
    item = post(images=images(3))
    with pytest.raises(Deferred):
        await channel.publish(item)
    here.stand_in.box.drafts.clear()
    await channel.publish(item)
    assert here.calls("/media/uploadimg") == 3
    assert here.calls("/material/add_material") == 1


async def test_a_cover_that_somebody_deleted_is_uploaded_anew(here: World) -> None:
    channel = here.channel()
    await channel.publish(post())
    here.stand_in.box.materials.clear()
    await channel.publish(post(key="gb_another", url="https://example.gov.cn/items/02"))
    assert here.calls("/material/add_material") == 2
    assert len(here.undecided()) == 2
