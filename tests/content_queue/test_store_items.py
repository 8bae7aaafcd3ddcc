"""Items, sign-offs and the queue: the part of the store's promises before anything is a delivery."""

from __future__ import annotations

import asyncio

import pytest
from queue_trade import STAGES, Trade, paper

from content_queue.model import Signoff
from content_queue.states import RevisionState
from content_queue.store import Conflict, Forbidden, Unknown


class TestSubmit:
    async def test_what_was_submitted_is_kept_byte_for_byte(self, trade: Trade) -> None:
        new = paper("item-1", "words", source=b"\xef\xbb\xbfraw \r\n\x00bytes", source_format="text")
        made = await trade.store.items.submit(new, now=trade.clock(), actor="an")
        assert (made.number, made.state, made.content) == (1, RevisionState.DRAFT, new.content)
        assert (made.content_hash, made.created_at) == (new.content_hash, trade.clock())
        assert await trade.store.items.source(made.id) == (new.source, "text")
        assert (await trade.store.items.revision(made.id)) == made
        await trade.check()

    async def test_a_blocked_revision_is_held_at_once(self, trade: Trade) -> None:
        assert (await trade.submit("item-1", blocked=True)).state is RevisionState.HELD
        await trade.check()

    async def test_an_item_is_submitted_once(self, trade: Trade) -> None:
        await trade.submit("item-1")
        with pytest.raises(Conflict):
            await trade.submit("item-1", "other words")
        assert len(await trade.store.items.history("item-1")) == 1

    async def test_a_correction_makes_the_next_revision_and_ends_an_unreleased_one(self, trade: Trade) -> None:
        first = await trade.approved("item-1")
        second = await trade.submit("item-1", "better", correction=True, note="mended")
        assert (second.number, second.note) == (2, "mended")
        states = [r.state for r in await trade.store.items.history("item-1")]
        assert states == [RevisionState.SUPERSEDED, RevisionState.DRAFT]
        with pytest.raises(Conflict):
            await trade.release(first, "site")
        await trade.check()

    async def test_a_correction_leaves_what_is_out_alone_until_it_is_released(self, trade: Trade) -> None:
        await trade.out("item-1", "site")
        await trade.submit("item-1", "better", correction=True)
        states = [r.state for r in await trade.store.items.history("item-1")]
        assert states == [RevisionState.RELEASED, RevisionState.DRAFT]

    async def test_a_correction_of_nothing_is_refused(self, trade: Trade) -> None:
        with pytest.raises(Unknown):
            await trade.submit("item-1", correction=True)
        with pytest.raises(Unknown):
            await trade.store.items.latest("item-1")

    async def test_a_withdrawn_item_takes_no_correction(self, trade: Trade) -> None:
        await trade.submit("item-1")
        await trade.withdraw("item-1")
        with pytest.raises(Forbidden):
            await trade.submit("item-1", "again", correction=True)
        await trade.check()

    async def test_a_repeated_key_gets_the_first_answer(self, trade: Trade) -> None:
        first = await trade.submit("item-1", reply=("key", "hash"))
        again = await trade.submit("item-2", reply=("key", "hash"))
        assert again == first
        assert [i.id for i in await trade.store.items.listing()] == ["item-1"]
        assert len([e for e in await trade.entries() if e.kind == "submitted"]) == 1

    async def test_a_repeated_key_gets_its_own_revision_after_later_ones(self, trade: Trade) -> None:
        await trade.submit("item-1")
        second = await trade.submit("item-1", "b", correction=True, reply=("key", "hash"))
        await trade.submit("item-1", "c", correction=True)
        again = await trade.submit("item-1", "b", correction=True, reply=("key", "hash"))
        assert (again.id, again.number) == (second.id, 2)

    async def test_a_key_used_for_another_request_is_refused(self, trade: Trade) -> None:
        await trade.submit("item-1", reply=("key", "hash"))
        with pytest.raises(Conflict):
            await trade.submit("item-2", reply=("key", "other hash"))
        with pytest.raises(Unknown):
            await trade.store.items.history("item-2")

    async def test_racing_requests_with_one_key_get_one_answer(self, trade: Trade) -> None:
        racing = [trade.submit(f"item-{n}", reply=("key", "hash")) for n in range(8)]
        answers = await asyncio.gather(*racing)
        assert len({a.id for a in answers}) == 1
        assert len(await trade.store.items.listing()) == 1

    async def test_racing_submissions_of_one_item_store_one(self, trade: Trade) -> None:
        racing = [trade.submit("item-1", f"words {n}") for n in range(8)]
        answers = await asyncio.gather(*racing, return_exceptions=True)
        assert sum(isinstance(a, Conflict) for a in answers) == 7
        assert len(await trade.store.items.history("item-1")) == 1
        await trade.check()

    async def test_racing_corrections_are_numbered_without_gaps(self, trade: Trade) -> None:
        await trade.submit("item-1")
        await asyncio.gather(*(trade.submit("item-1", f"words {n}", correction=True) for n in range(6)))
        history = await trade.store.items.history("item-1")
        assert [r.number for r in history] == [1, 2, 3, 4, 5, 6, 7]
        assert [r.state for r in history] == [RevisionState.SUPERSEDED] * 6 + [RevisionState.DRAFT]
        await trade.check()


class TestSignOff:
    async def test_the_last_stage_approves(self, trade: Trade) -> None:
        revision = await trade.submit("item-1")
        seen = [(await trade.sign(revision, stage)).state for stage in STAGES]
        assert seen == [RevisionState.DRAFT, RevisionState.DRAFT, RevisionState.APPROVED]
        signed = await trade.store.items.signoffs(revision.id)
        assert [(s.stage, s.person, s.content_hash) for s in signed] == [
            ("first", "bo", revision.content_hash),
            ("second", "chen", revision.content_hash),
            ("final", "deng", revision.content_hash),
        ]
        await trade.check()

    async def test_a_signature_is_bound_to_the_hash(self, trade: Trade) -> None:
        revision = await trade.submit("item-1")
        with pytest.raises(Conflict):
            await trade.sign(revision, "first", hash="0" * 64)
        assert await trade.store.items.signoffs(revision.id) == []

    async def test_stages_are_signed_in_order(self, trade: Trade) -> None:
        revision = await trade.submit("item-1")
        for early in ("second", "final"):
            with pytest.raises(Conflict):
                await trade.sign(revision, early)
        await trade.sign(revision, "first")
        with pytest.raises(Conflict):
            await trade.sign(revision, "first", "somebody else")

    async def test_one_person_signs_one_stage(self, trade: Trade) -> None:
        revision = await trade.submit("item-1")
        await trade.sign(revision, "first", "bo")
        with pytest.raises(Forbidden):
            await trade.sign(revision, "second", "bo")

    async def test_whoever_submitted_it_signs_nothing(self, trade: Trade) -> None:
        """Naming somebody else as the drafter does not help."""
        revision = await trade.submit("item-1", drafter="an")
        signoff = Signoff(revision.id, STAGES[0], revision.submitter, revision.content_hash, trade.clock())
        with pytest.raises(Forbidden):
            await trade.store.items.sign(signoff, stages=STAGES, actor=revision.submitter)

    async def test_the_drafter_signs_nothing(self, trade: Trade) -> None:
        revision = await trade.submit("item-1", drafter="an")
        with pytest.raises(Forbidden):
            await trade.sign(revision, "first", "an")

    async def test_an_unknown_stage_is_refused(self, trade: Trade) -> None:
        revision = await trade.submit("item-1")
        with pytest.raises(Forbidden):
            await trade.sign(revision, "fourth", "bo")

    async def test_an_edit_needs_new_signatures(self, trade: Trade) -> None:
        first = await trade.approved("item-1")
        second = await trade.submit("item-1", "better", correction=True)
        assert await trade.store.items.signoffs(second.id) == []
        assert await trade.store.items.due(now=trade.clock()) == []
        with pytest.raises(Conflict):
            await trade.sign(first, "first", "somebody")

    async def test_a_held_revision_cannot_be_signed(self, trade: Trade) -> None:
        revision = await trade.submit("item-1", blocked=True)
        with pytest.raises(Conflict):
            await trade.sign(revision, "first")

    async def test_holding_lapses_the_signatures(self, trade: Trade) -> None:
        revision = await trade.approved("item-1")
        report = {"ruleset": "r2", "findings": [{"severity": "block", "rule_id": "SEC-01"}]}
        held = await trade.store.items.hold(revision.id, report, now=trade.clock(), actor="system")
        assert (held.state, held.report) == (RevisionState.HELD, report)
        assert await trade.store.items.due(now=trade.clock()) == []
        cleared = await trade.store.items.clear(
            revision.id, {"ruleset": "r3", "findings": []}, now=trade.clock(), actor="bo"
        )
        assert (cleared.state, await trade.store.items.signoffs(revision.id)) == (RevisionState.DRAFT, [])
        await trade.check()

    async def test_racing_signatures_of_one_stage_leave_one(self, trade: Trade) -> None:
        revision = await trade.submit("item-1")
        racing = [trade.sign(revision, "first", f"person {n}") for n in range(6)]
        answers = await asyncio.gather(*racing, return_exceptions=True)
        assert sum(not isinstance(a, BaseException) for a in answers) == 1
        assert all(isinstance(a, Conflict) for a in answers if isinstance(a, BaseException))
        assert len(await trade.store.items.signoffs(revision.id)) == 1

    async def test_no_signature_survives_a_hold_that_races_it(self, trade: Trade) -> None:
        for n in range(10):
            revision = await trade.submit(f"item-{n}")
            hold = trade.store.items.hold(revision.id, {"findings": []}, now=trade.clock(), actor="system")
            await asyncio.gather(trade.sign(revision, "first"), hold, return_exceptions=True)
            after = await trade.store.items.revision(revision.id)
            if after.state is RevisionState.HELD:
                assert await trade.store.items.signoffs(revision.id) == []


class TestDue:
    async def test_not_before_is_honoured_by_the_clock(self, trade: Trade) -> None:
        at = trade.clock() + 60_000_000
        revision = await trade.approved("item-1", not_before=at)
        assert await trade.store.items.due(now=at - 1) == []
        assert await trade.store.items.next_due() == at
        assert [r.id for r in await trade.store.items.due(now=at)] == [revision.id]

    async def test_the_earliest_leaves_first(self, trade: Trade) -> None:
        base = trade.clock()
        late = await trade.approved("item-1", not_before=base + 2)
        early = await trade.approved("item-2", not_before=base + 1)
        free = await trade.approved("item-3")
        due = await trade.store.items.due(now=base + 5)
        assert [r.id for r in due] == [free.id, early.id, late.id]
        assert [r.id for r in await trade.store.items.due(now=base + 5, limit=1)] == [free.id]

    async def test_only_a_fully_signed_revision_is_due(self, trade: Trade) -> None:
        revision = await trade.submit("item-1")
        await trade.sign(revision, "first")
        assert await trade.store.items.due(now=trade.clock()) == []
        assert await trade.store.items.next_due() is None

    async def test_expired_are_the_released_whose_time_has_come(self, trade: Trade) -> None:
        end = trade.clock() + 10
        await trade.out("item-1", "site", expires_at=end)
        await trade.approved("item-2", expires_at=end)
        assert await trade.store.items.expired(now=end - 1) == []
        assert [r.item_id for r in await trade.store.items.expired(now=end)] == ["item-1"]


class TestFindings:
    async def test_an_acceptance_is_kept_once_for_exactly_this_text(self, trade: Trade) -> None:
        await trade.submit("item-1")
        for _ in range(2):
            await trade.store.items.accept_finding(
                "item-1", "TXT-10", "h1", person="bo", reason="a name", now=trade.clock()
            )
        assert await trade.store.items.acceptances("item-1") == {("TXT-10", "h1")}
        assert len([e for e in await trade.entries() if e.kind == "finding_accepted"]) == 1
        with pytest.raises(Unknown):
            await trade.store.items.accept_finding("item-9", "TXT-10", "h1", person="bo", reason="", now=0)


class TestListing:
    async def test_newest_first_with_what_is_out(self, trade: Trade) -> None:
        await trade.out("item-1", "site")
        await trade.submit("item-1", "better", correction=True)
        trade.clock.turn(1)
        await trade.submit("item-2", column="policy")
        listed = await trade.store.items.listing()
        assert [i.id for i in listed] == ["item-2", "item-1"]
        assert (listed[1].latest.number, listed[1].released and listed[1].released.number) == (2, 1)
        assert [i.id for i in await trade.store.items.listing(column="policy")] == ["item-2"]
        assert await trade.store.items.listing(state="approved") == []
        assert await trade.store.items.count() == {"released": 1, "draft": 2}
