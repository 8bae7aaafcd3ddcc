"""The rule machine with what comes after sending: looks, late decisions, tasks by hand, and an older database put back.

Looks are made two at a time and told of late; people and platforms speak in between. `restore` puts a backup beside
the queue as an administrator would put it in its place, lets a fresh process work on it, and compares what that sends
with what readers may have seen in the history that is gone. More examples: GONGBAO_TEST_EXAMPLES=500.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from life_model import PERSON, PLATFORM, Clock, Sent
from queue_trade import LEASE, SECOND, Trade
from test_life_model import CHANNELS, KEYED, Life, postgres_life, run_machine

from content_queue.model import Claimed, Outcome
from content_queue.store import Conflict, Look, Store
from publisher.commands.replay import Replay, compare

ITEMS = ("item-a", "item-b", "item-c", "item-d")
AWAITS = ("", PLATFORM, PERSON)
REMAINING = {"in_doubt", "failed"}
# What an attempt comes to, and who has to act on it; "" leaves it under way.
FATES = (("", 0), ("accept", 0), ("accept", 1), ("accept", 1), ("accept", 2), ("lose", 0), ("lose", 0), ("reject", 0))
TOLD = ("found", "absent", "given_up", "again", "refused", "later")
HOLD, WAIT, DEADLINE = 50 * SECOND, 5 * SECOND, 600 * SECOND
DROPPED = frozenset((KEYED, operation) for operation in ("publish", "edit", "recall"))


@dataclass
class Glance:
    """A look under way, and how it left the delivery."""

    look: Look
    seen: tuple[Any, ...]


class LookLife(Life):
    def __init__(self) -> None:
        super().__init__()
        self.glances: list[Glance] = []
        self.backup: int | None = None  # entries of the log in it

    # -- short ways to where it becomes interesting; what is no rule here is one in `Life` --------------------

    def submit(self, item: str, blocked: bool, late: int) -> None:
        super().submit(item, blocked, late)

    def sign(self, item: str, stage: int) -> None:
        super().sign(item, stage)

    def release_due(self, names: list[str]) -> None:
        super().release_due(names)

    def claim(self, room: int) -> None:
        super().claim(room)

    def hold_or_clear(self, item: str) -> None:
        super().hold_or_clear(item)

    def hold(self, channel: str, seconds: int) -> None:
        super().hold(channel, seconds)

    def stop_or_start_again(self, scope: str) -> None:
        super().stop_or_start_again(scope)

    def withdraw(self, item: str) -> None:
        super().withdraw(item)

    @initialize(data=st.data())
    def something_is_out(self, data: st.DataObject) -> None:
        self.straight_out(ITEMS[0])
        self.off_they_go(data)

    @precondition(lambda self: len(self.model.withdrawn) < len(ITEMS))
    @rule(item=st.sampled_from(ITEMS))
    def straight_out(self, item: str) -> None:
        """Not before everything of the item that waits has left: its cancellation is what `Life` is about."""
        waits = any(d.item == item and d.state == "waiting" and d.after is None for d in self.model.sent.values())
        if item not in self.model.withdrawn and not waits:
            self.submit(item, False, 0)
            self.sign(item, 3)
            self.release_due(list(CHANNELS))

    @precondition(lambda self: any(d.state == "waiting" and d.after is None for d in self.model.sent.values()))
    @rule(data=st.data())
    def off_they_go(self, data: st.DataObject) -> None:
        """Everything due is claimed, its requests leave, and most come to something at once."""
        before = len(self.hand)
        self.claim(2 * len(ITEMS))
        for claimed in self.hand[before:]:
            d = self.model.sent[claimed.id]
            if claimed.channel != KEYED:
                assert self.run(self.trade.start(claimed)) == {claimed.id}
                d.state = "sending"
            fate, wait = data.draw(st.sampled_from(FATES), "fate")
            if fate:
                self.answered(claimed, d, fate if d.channel != KEYED else fate.replace("lose", "lose_resend"), wait)

    def answered(self, claimed: Claimed, d: Sent, answer: str, wait: int) -> None:
        outcome = self.outcome(claimed, d, answer, wait)
        assert self.run(self.trade.record(outcome)) == {claimed.id}
        self.hand.remove(claimed)
        self.came_to(d, outcome, answer)

    # -- sending, with what is still to be settled afterwards ------------------------------------------------

    def outcome(self, claimed: Claimed, d: Sent, answer: str, wait: int) -> Outcome:
        """`wait` also says who has to act on what was accepted."""
        made, now = super().outcome(claimed, d, answer, wait), self.clock()
        if answer == "accept":
            awaits = AWAITS[wait]
            look_at = now + WAIT if awaits == PLATFORM else None
            url = "" if awaits == PLATFORM and claimed.id % 2 else made.url  # some platforms tell it later
            return replace(
                made, url=url, awaits=awaits, look_at=look_at, deadline_at=now + DEADLINE if awaits else None
            )
        if made.state == "in_doubt":
            return replace(made, look_at=now + WAIT, deadline_at=now + DEADLINE)
        if made.state == "failed" and d.operation != "publish":
            return replace(made, deadline_at=now + DEADLINE)
        return made

    # -- looks -----------------------------------------------------------------------------------------------

    @precondition(lambda self: any(d.look_at is not None for d in self.model.sent.values()))
    @rule(room=st.integers(1, 2))
    def take_looks(self, room: int) -> None:
        now = self.clock.turn(WAIT / SECOND)
        due = sorted(d.look_at for d in self.model.sent.values() if d.look_at is not None and d.look_at <= now)
        taken = self.run(self.store.looks.take(CHANNELS, now=now, until=now + HOLD, limit=room))
        found = [self.model.sent[look.delivery.id] for look in taken]
        assert sorted(d.look_at or 0 for d in found) == due[:room]
        for look, d in zip(taken, found, strict=True):
            d.look_at, d.looks = now + HOLD, d.looks + 1
            self.glances.append(Glance(look, d.seen))

    @precondition(lambda self: any(d.awaits or d.state == "in_doubt" for d in self.model.sent.values()))
    @rule(data=st.data())
    def platform_speaks(self, data: st.DataObject) -> None:
        """A callback: nobody has taken a look, and it may be told of late."""
        open_ones = [d for d in self.model.sent.values() if d.awaits or d.state == "in_doubt"]
        d = data.draw(st.sampled_from(open_ones), "delivery")
        self.glances.append(Glance(self.run(self.store.looks.of(d.id)), d.seen))

    @precondition(lambda self: self.glances)
    @rule(data=st.data(), told=st.sampled_from(TOLD), again=st.booleans())
    def look_ends(self, data: st.DataObject, told: str, again: bool) -> None:
        """`again`: it is told of a second time later."""
        glance = data.draw(st.sampled_from(self.glances), "glance")
        d, now = self.model.sent[glance.look.delivery.id], self.clock()
        valid = glance.seen == d.seen and (d.state == "in_doubt" or told not in {"absent", "given_up", "again"})
        valid = valid and (told != "again" or d.operation == "recall")
        if not again:
            self.glances.remove(glance)
        assert self.run(self.tell(glance.look, told)) == valid
        if not valid:
            return
        if told == "later":
            d.look_at = now + WAIT
        elif told == "found":
            if d.state == "in_doubt":
                self.shown(d)
            d.unsettled()
            self.model.settle(d, "confirmed", now)
        elif told == "again":
            d.doubted = False
            d.unsettled()
            self.model.settle(d, "waiting", now, now)
        else:
            self.never_out(d, told, now)

    @precondition(lambda self: any(d.look_at is not None for d in self.model.sent.values()))
    @rule(data=st.data())
    def two_look_at_once(self, data: st.DataObject) -> None:
        """What one has taken is looked at again before it has ended; only the newest look counts."""
        self.take_looks(2)
        self.clock.turn(HOLD / SECOND)
        self.take_looks(2)
        for _ in range(data.draw(st.integers(1, 4), "ends")):
            if self.glances:
                self.look_ends(data, data.draw(st.sampled_from(TOLD), "told"), data.draw(st.booleans(), "again"))

    def never_out(self, d: Sent, told: str, now: int) -> None:
        d.doubted = False
        self.model.gone(d)
        d.unsettled(deadline=now + DEADLINE if told == "refused" else None)
        if told == "refused":
            self.model.settle(d, "failed", now)
        elif self.model.passed(d):
            self.model.settle(d, "cancelled", now)
        else:
            self.model.settle(d, "failed" if told == "given_up" else "waiting", now, now if told == "absent" else None)

    async def tell(self, look: Look, told: str) -> bool:
        looks, facts = self.store.looks, {"detail": "", "now": self.clock()}
        if told == "found":
            return await looks.found(look, remote_id="r", url="u", **facts)
        if told == "refused":
            return await looks.refused(look, reason="r", deadline_at=self.clock() + DEADLINE, **facts)
        if told == "later":
            return await looks.later(look, look_at=self.clock() + WAIT, **facts)
        if told == "again":
            return await looks.again(look, remote_id="r", url="u", reason="r", **facts)
        return await looks.absent(look, due_at=self.clock() if told == "absent" else None, **facts)

    # -- people ----------------------------------------------------------------------------------------------

    @precondition(lambda self: any(d.awaits or d.state in REMAINING for d in self.model.sent.values()))
    @rule(data=st.data(), url=st.sampled_from(["", "https://example.org/by-hand"]))
    def done_by_hand(self, data: st.DataObject, url: str) -> None:
        d = data.draw(st.sampled_from(list(self.model.sent.values())), "delivery")
        waits = d.state in {"in_doubt", "failed"} or (d.state == "sent" and bool(d.awaits))
        allowed = waits and (bool(url) or d.operation != "publish" or d.state == "sent")
        facts = {"url": url, "now": self.clock(), "actor": "op", "reason": "seen"}
        if not self.refused(self.store.remaining.done(d.id, **facts), allowed):
            if d.state == "in_doubt":
                self.shown(d)
            d.unsettled()
            self.model.settle(d, "confirmed", self.clock())

    @precondition(lambda self: any(d.awaits or d.state in REMAINING for d in self.model.sent.values()))
    @rule(data=st.data())
    def given_up_by_hand(self, data: st.DataObject) -> None:
        d = data.draw(st.sampled_from(list(self.model.sent.values())), "delivery")
        task = d.state == "sent" and bool(d.awaits)
        allowed = task or (d.state == "failed" and d.operation != "publish")
        work = self.store.remaining.drop(d.id, now=self.clock(), actor="op", reason="no use")
        undecided = d.awaits == "platform"
        if not self.refused(work, allowed):
            d.unsettled()
            if task:
                self.model.gone(d)
                d.doubted = d.doubted or undecided  # it may still be put out
                self.model.settle(d, "failed", self.clock())

    @rule(items=st.sampled_from([*((item,) for item in ITEMS), ITEMS]))
    def withdraw_all(self, items: tuple[str, ...]) -> None:
        for item in items:
            self.withdraw(item)

    # -- an older database -----------------------------------------------------------------------------------

    @property
    def path(self) -> Path:
        return Path(self.folder.name) / "q.db"

    @precondition(lambda self: self.store._db.is_sqlite)
    @rule()
    def back_up(self) -> None:
        with closing(sqlite3.connect(self.path)) as live, closing(sqlite3.connect(self.path.with_name("b.db"))) as copy:
            live.backup(copy)
        self.backup = len(self.run(self.trade.entries()))

    @precondition(lambda self: self.backup is not None)
    @rule()
    def restore(self) -> None:
        self.run(self.trade.verified())  # seals: the witness remembers all of it
        lost = len(self.run(self.trade.entries())) - (self.backup or 0)
        witness = self.run(self.store.restores.newest(now=self.clock()))
        if witness is None or not lost:
            return
        path = self.path.with_name("restored.db")
        shutil.copy(self.path.with_name("b.db"), path)
        old = Store(f"sqlite:///{path}", origin="test.example/log", key=self.store.log._key)
        try:
            self.run(self.lives_on(old, witness))
        finally:
            self.run(old.close())
            path.unlink()

    async def lives_on(self, old: Store, witness: Any) -> None:
        clock = Clock(self.clock() + SECOND)
        trade = Trade(old, clock, tokens=1_000_000)
        assert await old.restores.older_than(witness)
        assert await old.restores.found(witness, DROPPED, now=clock())
        assert not await old.restores.found(witness, DROPPED, now=clock())
        assert await trade.claim(*CHANNELS) == []  # nothing leaves until somebody has started again
        for channel in CHANNELS:
            await old.channels.resume(channel, actor="op", now=clock())
        for switch in await old.channels.switches():
            await old.channels.start_again(switch.scope, actor="op", now=clock())
        for _ in range(3):
            clock.turn(LEASE / SECOND + 1)
            await trade.expire(KEYED)
            for revision in await old.items.due(now=clock()):
                facts = {"now": clock(), "actor": "system", "dropped": DROPPED}
                await old.deliveries.release(revision.id, CHANNELS, **facts)
            await self.sends_only_what_is_new(trade)
        await trade.check()
        await trade.verified()
        listed = {t.delivery.id for t in await old.remaining.listing(now=clock(), limit=10_000)}
        assert {d.id for d in await old.deliveries.listing(state="in_doubt", limit=10_000)} <= listed

    async def sends_only_what_is_new(self, trade: Trade) -> None:
        """Where repeats are kept: nothing that readers may have seen in the history that is gone."""
        live = {"sent", "confirmed", "sending", "in_doubt"}
        seen = {_what(d) for d in self.model.sent.values() if d.state in live or d.doubted}
        while claims := await trade.claim(*CHANNELS):
            for claimed in claims:
                kept = claimed.channel != KEYED
                assert not (kept and _what(claimed) in seen), claimed
                if not kept or await trade.start(claimed):
                    await trade.record(trade.outcome(claimed, "accept", started=kept))

    # -- what always holds -----------------------------------------------------------------------------------

    @invariant()
    def the_verifier_reads_the_same(self) -> None:
        """The replay that `verify-log` makes, over the same entries and tables."""
        replay = Replay()
        for entry in self.run(self.trade.entries()):
            replay.feed(entry.kind, entry.item_id, entry.delivery_id, entry.body)
        table = self.run(self.store.deliveries.listing(limit=10_000))
        assert list(compare(replay.told, table)) == []

    @invariant()
    def nothing_unsettled_is_forgotten(self) -> None:
        """What is in doubt or awaits somebody is looked at again, or listed for a person."""
        listed = {t.delivery.id for t in self.run(self.store.remaining.listing(now=self.clock(), limit=10_000))}
        for d in self.model.sent.values():
            if d.state == "in_doubt" or (d.state == "sent" and d.awaits):
                assert d.id in listed or d.look_at is not None


def _what(d: Sent | Claimed) -> tuple[str, int, str, bool]:
    item = d.item if isinstance(d, Sent) else d.item_id
    return item, d.revision, d.channel, d.operation == "recall"


def test_looks_and_restores_on_sqlite() -> None:
    run_machine(LookLife, 25, 40)


def test_looks_on_postgresql(postgres: str) -> None:
    run_machine(postgres_life(LookLife, postgres), 5, 30)


def test_a_stale_look_changes_nothing() -> None:
    """A guard against a machine that never gets anywhere: one life through the very same rules."""
    life = LookLife()
    try:
        life.submit("item-a", False, 0)
        life.sign("item-a", 3)
        life.release_due(["robot"])
        life.back_up()
        life.claim(1)
        life.run(life.trade.start(*life.hand))
        life.model.sent[life.hand[0].id].state = "sending"
        life.crash()
        life.time_passes(LEASE / SECOND + 1)
        life.expire()
        life.time_passes(LEASE / SECOND + 1)
        life.take_looks(2)
        life.time_passes(2 * LEASE / SECOND)
        life.take_looks(2)
        stale, glance = life.glances
        assert stale.look.delivery.id == glance.look.delivery.id
        assert not life.run(life.tell(stale.look, "later"))
        assert not life.run(life.tell(stale.look, "found"))
        life.run(life.store.deliveries.settle_absent(glance.look.delivery.id, now=1, actor="op", reason=""))
        assert not life.run(life.tell(glance.look, "found"))
        life.restore()
    except Conflict as surprise:
        raise AssertionError from surprise
    finally:
        life.teardown()


class Told:
    """Stands in for Hypothesis where a plain life says itself what is drawn."""

    def __init__(self, *drawn: Any) -> None:
        self._drawn = list(drawn)

    def draw(self, _strategy: Any, _label: str = "") -> Any:
        return self._drawn.pop(0)


def test_what_is_proven_absent_behind_a_correction_is_not_sent_again() -> None:
    life = LookLife()
    try:
        life.straight_out("item-a")
        life.off_they_go(Told(("lose", 0), ("lose", 0)))
        life.submit("item-a", False, 0)
        life.sign("item-a", 3)
        life.release_due(list(CHANNELS))
        life.take_looks(1)
        life.look_ends(Told(life.glances[0]), "absent", False)
        life.the_tables_are_the_model()
        robot = {d.operation: d.state for d in life.model.sent.values() if d.channel == "robot"}
        assert robot == {"publish": "waiting"}  # the correction, which is now the first that readers see
    finally:
        life.teardown()


def test_a_withdrawal_ends_what_somebody_had_to_do() -> None:
    life = LookLife()
    try:
        life.straight_out("item-a")
        life.off_they_go(Told(("accept", 2), ("accept", 2)))
        assert {d.awaits for d in life.model.sent.values()} == {PERSON}
        life.withdraw_all(("item-a",))
        life.the_tables_are_the_model()
        assert {d.awaits for d in life.model.sent.values()} == {""}
    finally:
        life.teardown()


def test_a_backup_put_back_sends_nothing_a_second_time() -> None:
    life = LookLife()
    try:
        life.straight_out("item-a")
        life.back_up()
        life.off_they_go(Told(("accept", 0), ("accept", 0)))
        life.restore()
    finally:
        life.teardown()
