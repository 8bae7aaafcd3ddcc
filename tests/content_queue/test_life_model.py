"""Random lives of revisions and deliveries over the real store, beside a small model of what must happen.

More examples: GONGBAO_TEST_EXAMPLES=500.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from life_model import RANK, Clock, Kept, Model, Sent
from queue_trade import LEASE, SECOND, STAGES, Trade
from sqlalchemy.engine import make_url

from content_queue.model import Claimed, Delivery, Outcome, Revision
from content_queue.store import Conflict, Forbidden, Store

T = TypeVar("T")
ITEMS = ("item-a", "item-b")
CHANNELS = ("hook", "robot")  # repeats are dropped by `hook`, kept by `robot`
KEYED = "hook"
LOOK_AFTER, DEADLINE_AFTER = 5 * SECOND, 1_800 * SECOND  # of what a dead worker may have sent
EXAMPLES = int(os.environ.get("GONGBAO_TEST_EXAMPLES", "0"))


class Life(RuleBasedStateMachine):
    """One store, one worker that may forget everything, and people."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory(prefix="gongbao-model-")
        url = self.make_database()
        self.store = Store(url, origin="test.example/log", key=Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
        self.run(self.store.migrate(now=0))
        self.clock = Clock()
        self.trade = Trade(self.store, self.clock)
        self.model = Model()
        self.hand: list[Claimed] = []
        self.lost: list[Claimed] = []

    def make_database(self) -> str:
        return f"sqlite:///{Path(self.folder.name) / 'q.db'}"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        try:
            self.run(self.trade.verified())
        finally:
            self.run(self.store.close())
            self.loop.close()
            self.folder.cleanup()

    def refused(self, work: Coroutine[Any, Any, Any], allowed: bool) -> bool:
        """Runs it; it must be refused exactly when the model says so."""
        try:
            self.run(work)
        except (Conflict, Forbidden):
            assert not allowed
            return True
        assert allowed
        return False

    # -- revisions -------------------------------------------------------------------------------------------

    def newest(self, item: str) -> Kept | None:
        return max((k for (i, _), k in self.model.revisions.items() if i == item),
                   key=lambda k: k.revision.number, default=None)

    @rule(item=st.sampled_from(ITEMS), blocked=st.booleans(), late=st.integers(0, 2))
    def submit(self, item: str, blocked: bool, late: int) -> None:
        newest = self.newest(item)
        facts = {"blocked": blocked, "not_before": self.clock() + late * SECOND if late else None}
        words = f"words {len(self.model.revisions)}"
        work = self.trade.submit(item, words, correction=newest is not None, **facts)
        if item in self.model.withdrawn:
            self.refused(work, False)
            return
        revision = self.run(work)
        for (i, _), kept in self.model.revisions.items():
            if i == item and kept.state in {"draft", "held", "approved"}:
                kept.state = "superseded"
        assert revision.number == (newest.revision.number + 1 if newest else 1)
        self.model.revisions[item, revision.number] = Kept(revision, "held" if blocked else "draft")

    @rule(item=st.sampled_from(ITEMS), stage=st.integers(0, 3))
    def sign(self, item: str, stage: int) -> None:
        """Stage 3 means: all that are missing."""
        kept = self.newest(item)
        if kept is None:
            return
        wanted = range(kept.signed, 3) if stage == 3 else [stage]
        for n in wanted:
            allowed = kept.state == "draft" and n == kept.signed
            if not self.refused(self.trade.sign(kept.revision, STAGES[n]), allowed):
                kept.signed += 1
                if kept.signed == 3:
                    kept.state = "approved"

    @rule(item=st.sampled_from(ITEMS))
    def hold_or_clear(self, item: str) -> None:
        kept = self.newest(item)
        if kept is None or kept.state not in {"draft", "approved", "held"}:
            return
        held = kept.state == "held"
        verb = self.store.items.clear if held else self.store.items.hold
        self.run(verb(kept.revision.id, {"findings": []}, now=self.clock(), actor="system"))
        kept.state, kept.signed = ("draft", 0) if held else ("held", 0)

    @rule(names=st.lists(st.sampled_from(CHANNELS), unique=True))
    def release_due(self, names: list[str]) -> None:
        due = self.run(self.store.items.due(now=self.clock()))
        wanted = {
            key
            for key, k in self.model.revisions.items()
            if k.state == "approved" and (k.revision.not_before or 0) <= self.clock()
        }
        assert {(r.item_id, r.number) for r in due} == wanted
        for revision in due:
            self.release(revision, names)

    def release(self, revision: Revision, names: list[str]) -> None:
        item, model = revision.item_id, self.model
        model.make_room(item)
        wanted = [*names, *(c for c in CHANNELS if c not in names and model.out(item, c))]
        expected = {c: "edit" if model.out(item, c) else "publish" for c in wanted}
        self.look_soon(item)
        made = self.run(self.trade.release(revision, *names))
        assert set(made) == set(wanted)
        self.made(item, revision.number, expected, made)
        for (i, _), kept in model.revisions.items():
            if i == item and kept.state == "released":
                kept.state = "superseded"
        model.revisions[item, revision.number].state = "released"

    def made(self, item: str, revision: int, operations: dict[str, str], ids: dict[str, int]) -> None:
        """Fresh deliveries, each behind what is in flight on its channel."""
        for channel, operation in operations.items():
            flying = self.model.flying(item, channel)
            self.model.sent[ids[channel]] = Sent(
                ids[channel],
                item,
                revision,
                channel,
                operation,
                due=self.clock(),
                after=flying.id if flying else None,
                basis=self.model.basis(item, channel),
            )

    def look_soon(self, item: str) -> None:
        """What something newer waits for is looked at now."""
        for channel in CHANNELS:
            flying = self.model.flying(item, channel)
            if flying and flying.look_at is not None:
                flying.look_at = min(flying.look_at, self.clock())

    @rule(item=st.sampled_from(ITEMS))
    def withdraw(self, item: str) -> None:
        newest, model = self.newest(item), self.model
        if newest is None or item in model.withdrawn:
            return
        model.make_room(item)
        for channel in CHANNELS:
            flying = model.flying(item, channel)
            if flying and flying.shown:
                flying.unsettled()
        self.look_soon(item)
        expected = {c: "recall" for c in CHANNELS if model.out(item, c)}
        made = self.run(self.trade.withdraw(item))
        assert set(made) == set(expected)
        out = next((k for (i, _), k in model.revisions.items() if i == item and k.state == "released"), newest)
        self.made(item, out.revision.number, expected, made)
        model.withdrawn.add(item)
        for (i, _), kept in model.revisions.items():
            if i == item and kept.state != "superseded":
                kept.state = "withdrawn"

    # -- the worker ------------------------------------------------------------------------------------------

    @rule(room=st.integers(1, 3))
    def claim(self, room: int) -> None:
        now, model = self.clock(), self.model
        claims = self.run(self.trade.claim(*CHANNELS, room=room))
        for channel in CHANNELS:
            ready = sorted(  # recalls and corrections first
                (d.operation == "publish", d.due, d.id)
                for d in model.sent.values()
                if d.channel == channel and d.state == "waiting" and d.after is None and d.due <= now
            )
            wanted = [] if model.rests(channel, now) else [i for _, _, i in ready[:room]]
            assert sorted(c.id for c in claims if c.channel == channel) == sorted(wanted)
        for claimed in claims:
            d = model.sent[claimed.id]
            assert claimed.operation == d.operation
            self.knows_what_is_astray(claimed, d)
            d.state, d.token, d.lease = "claimed", claimed.token, now + LEASE
        self.hand += claims

    def knows_what_is_astray(self, claimed: Claimed, d: Sent) -> None:
        """A recall is told of every older request that may still be carried out, and never too early a time."""
        here = [o for o in self.model.sent.values() if (o.item, o.channel) == (d.item, d.channel)]
        astray = [o for o in here if o.doubted and o.operation != "recall"] if d.operation == "recall" else []
        assert {(s.operation, s.seen) for s in claimed.strays} == {(o.operation, o.delivered) for o in astray}
        for stray in claimed.strays:
            same = [o.lost_at for o in astray if (o.operation, o.delivered) == (stray.operation, stray.seen)]
            assert max(same) <= stray.left_by <= self.clock()

    @precondition(lambda self: self.hand)
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        claimed = data.draw(st.sampled_from(self.hand), "claim")
        d = self.model.sent[claimed.id]
        may = d.token == claimed.token and d.state == "claimed" and d.channel != KEYED
        if d.channel == KEYED:
            return
        assert self.run(self.trade.start(claimed)) == ({claimed.id} if may else set())
        if may:
            d.state = "sending"

    @precondition(lambda self: self.hand)
    @rule(data=st.data(), wait=st.integers(0, 2))
    def record(self, data: st.DataObject, wait: int) -> None:
        claimed = data.draw(st.sampled_from(self.hand), "claim")
        d = self.model.sent[claimed.id]
        kinds = ["accept", "defer", "reject", "exhaust", "lose_resend" if d.channel == KEYED else "lose"]
        answer = data.draw(st.sampled_from(kinds), "answer")
        live = d.token == claimed.token
        if d.channel != KEYED and live and d.state == "claimed":
            return  # where repeats are kept, nothing leaves before its start is committed
        outcome = self.outcome(claimed, d, answer, wait)
        assert self.run(self.trade.record(outcome)) == ({claimed.id} if live else set())
        self.hand.remove(claimed)
        if live:
            self.came_to(d, outcome, answer)

    def outcome(self, claimed: Claimed, d: Sent, answer: str, wait: int) -> Outcome:
        outcome = self.trade.outcome(claimed, answer, started=d.channel != KEYED)
        due = None if outcome.due_at is None else self.clock() + wait * SECOND
        return replace(outcome, due_at=due)

    def came_to(self, d: Sent, outcome: Outcome, answer: str) -> None:
        if answer.startswith("lose"):
            d.doubted, d.lost_at = True, self.clock()
        if answer == "accept":
            self.shown(d)
        d.placed = bool(outcome.url)
        since = None if outcome.deadline_at is None else self.clock()
        d.unsettled(str(outcome.awaits), outcome.look_at, since, outcome.deadline_at)
        self.model.settle(d, str(outcome.state), self.clock(), outcome.due_at)

    def shown(self, d: Sent) -> None:
        """Readers see it: nothing newer may have been shown before, and nothing twice."""
        for earlier in self.model.accepted:
            if (earlier.item, earlier.channel) == (d.item, d.channel):
                assert (earlier.revision, RANK[earlier.operation]) < (d.revision, RANK[d.operation])
        self.model.accepted.append(Sent(d.id, d.item, d.revision, d.channel, d.operation))

    @precondition(lambda self: self.hand)
    @rule()
    def give_back(self) -> None:
        self.run(self.store.deliveries.release_claims(self.hand, now=self.clock()))
        for claimed in self.hand:
            d = self.model.sent[claimed.id]
            if d.token == claimed.token and d.state == "claimed":
                self.model.settle(d, "waiting", self.clock())
        self.hand = [c for c in self.hand if self.model.sent[c.id].token == c.token]

    @precondition(lambda self: self.hand)
    @rule()
    def crash(self) -> None:
        """The worker forgets everything; what it had sent may be out."""
        self.hand = []

    @precondition(lambda self: self.hand)
    @rule()
    def beat(self) -> None:
        tokens = {c.token for c in self.hand}
        self.run(self.store.deliveries.beat(sorted(tokens), lease=self.clock() + LEASE))
        for d in self.model.sent.values():
            if d.token in tokens:
                d.lease = self.clock() + LEASE

    @rule()
    def expire(self) -> None:
        gone = self.run(self.trade.expire(KEYED, backoff=SECOND))
        wanted = [d for d in self.model.sent.values() if d.token is not None and d.lease < self.clock()]
        assert sorted(d.id for d in gone) == sorted(d.id for d in wanted)
        for d in wanted:
            if d.channel == KEYED or d.state == "sending":
                d.doubted, d.lost_at = True, self.clock()
            after = "in_doubt" if d.state == "sending" else "waiting"
            now = self.clock()
            d.unsettled()
            if after == "in_doubt":
                d.unsettled("", now + LOOK_AFTER, now, now + DEADLINE_AFTER)
            self.model.settle(d, after, self.clock(), self.clock() + SECOND if after == "waiting" else None)

    @rule(seconds=st.sampled_from([0.5, 1, LEASE / SECOND + 1]))
    def time_passes(self, seconds: float) -> None:
        self.clock.turn(seconds)

    # -- operators -------------------------------------------------------------------------------------------

    @rule(channel=st.sampled_from(CHANNELS))
    def pause_or_resume(self, channel: str) -> None:
        if self.model.rests(channel, self.clock()) and not self.model.stopped:
            self.run(self.store.channels.resume(channel, actor="op", now=self.clock()))
            self.model.paused.discard(channel)
            self.model.held.pop(channel, None)
        else:
            self.run(self.store.channels.pause(channel, reason="r", actor="op", now=self.clock()))
            self.model.paused.add(channel)

    @rule(channel=st.sampled_from(CHANNELS), seconds=st.integers(1, 3))
    def hold(self, channel: str, seconds: int) -> None:
        until = self.clock() + seconds * SECOND
        self.run(self.store.channels.hold(channel, until=until, now=self.clock()))
        self.model.held[channel] = max(until, self.model.held.get(channel, 0))

    @rule(scope=st.sampled_from(["all", "channel:hook"]))
    def stop_or_start_again(self, scope: str) -> None:
        if scope in self.model.stopped:
            self.run(self.store.channels.start_again(scope, actor="op", now=self.clock()))
        else:
            self.run(self.store.channels.stop(scope, actor="op", reason="", now=self.clock()))
        self.model.stopped ^= {scope}

    @precondition(lambda self: self.model.sent)
    @rule(data=st.data())
    def resend(self, data: st.DataObject) -> None:
        d = data.draw(st.sampled_from(list(self.model.sent.values())), "delivery")
        allowed = d.state in {"waiting", "failed", "in_doubt"} and d.after is None and not self.model.passed(d)
        work = self.store.deliveries.resend(d.id, now=self.clock(), actor="op", reason="r")
        if not self.refused(work, allowed):
            d.state, d.due = "waiting", self.clock()
            d.unsettled()

    @rule(data=st.data(), live=st.booleans())
    def resolve(self, data: st.DataObject, live: bool) -> None:
        doubts = [d for d in self.model.sent.values() if d.state == "in_doubt"]
        if not doubts:
            return
        d = data.draw(st.sampled_from(doubts), "delivery")
        if live:
            facts = {"url": "u", "remote_id": "r", "actor": "op", "reason": ""}
            self.run(self.store.deliveries.settle_doubt(d.id, **facts, now=self.clock()))
            self.shown(d)
            d.unsettled()
            self.model.settle(d, "confirmed", self.clock())
        else:
            self.run(self.store.deliveries.settle_absent(d.id, now=self.clock(), actor="op", reason=""))
            d.doubted = False
            d.unsettled()
            self.model.settle(d, "cancelled", self.clock())

    # -- what always holds -----------------------------------------------------------------------------------

    @invariant()
    def the_tables_are_the_model(self) -> None:
        found = self.run(self.store.deliveries.listing(limit=10_000))
        assert {d.id: _told(d) for d in found} == {d.id: _wanted(d) for d in self.model.sent.values()}
        counts = self.run(self.store.items.count())
        wanted = [k.state for k in self.model.revisions.values()]
        assert counts == {s: wanted.count(s) for s in set(wanted)}

    @invariant()
    def books_and_log_agree(self) -> None:
        self.run(self.trade.check())


def _told(d: Delivery) -> tuple[Any, ...]:
    unsettled = (d.awaits, d.look_at, d.looks, d.unsettled_since, d.deadline_at)
    return str(d.state), d.operation, d.after_id, d.basis_id, *unsettled


def _wanted(d: Sent) -> tuple[Any, ...]:
    return d.state, d.operation, d.after, d.basis, d.awaits, d.look_at, d.looks, d.since, d.deadline


def run_machine(machine: type[Life], examples: int, steps: int) -> None:
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES or examples, stateful_step_count=steps, deadline=None, suppress_health_check=quiet
        ),
    )


def test_lives_on_sqlite() -> None:
    run_machine(Life, 40, 40)


def postgres_life(machine: type[Life], postgres: str) -> type[Life]:
    class PostgresLife(machine):
        def make_database(self) -> str:
            with psycopg.connect(postgres, autocommit=True) as connection:
                connection.execute("DROP DATABASE IF EXISTS model WITH (FORCE)")
                connection.execute("CREATE DATABASE model TEMPLATE template0")
            return make_url(postgres).set(database="model").render_as_string(hide_password=False)

    return PostgresLife


def test_lives_on_postgresql(postgres: str) -> None:
    run_machine(postgres_life(Life, postgres), 8, 30)


def test_the_model_is_exercised() -> None:
    """A guard against a model that never gets anywhere: a plain life walks through the very same rules."""
    life = Life()
    try:
        life.submit("item-a", False, 0)
        life.sign("item-a", 3)
        life.release_due(["hook", "robot"])
        life.claim(3)
        life.the_tables_are_the_model()
        assert sorted(d.state for d in life.model.sent.values()) == ["claimed", "claimed"]
        life.withdraw("item-a")
        life.crash()
        life.time_passes(60)
        life.expire()
        life.the_tables_are_the_model()
        states = {(d.channel, d.operation): d.state for d in life.model.sent.values()}
        assert states["robot", "recall"] == "cancelled"
        assert states["hook", "recall"] == "waiting"
        life.books_and_log_agree()
    finally:
        life.teardown()


