"""One attempt judged, and when the next is due: pure, so tried over the whole range."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.contract import Capabilities, Idempotency, Operation, Post, Quota
from channels.verdicts import Deferred, OutcomeUnknown, Receipt, Rejected, Suspended
from content_queue.model import Claimed
from content_queue.states import DELIVERY_TABLE, DeliveryState, follow
from publisher import retry
from publisher.delivery import EVENTS, idempotency_key, judge, must_start_first, send

S = DeliveryState
NOW = 1_767_225_600_000_000
SECOND = 1_000_000
chances = st.floats(0, 1, exclude_max=True)
words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8)


def claimed(attempts: int = 0, created_at: int = NOW) -> Claimed:
    return Claimed(7, "item-1", 3, 1, "hook", "notices", "publish", attempts, created_at, "token")


def promise(kind: Idempotency, lifetime: float | None = None) -> Capabilities:
    return Capabilities(kind, key_lifetime=lifetime)


class TestRetry:
    def test_twelve_attempts_over_seventy_two_hours(self) -> None:
        assert len(retry.CAPS_SECONDS) == 11
        assert sum(retry.CAPS_SECONDS) == 72 * 3600
        assert retry.next_due(12, NOW, lambda: 0.5) is None
        assert retry.next_due(11, NOW, lambda: 0.5) is not None

    def test_the_waits_grow(self) -> None:
        caps = [retry.next_due(n, 0, lambda: 0.5) for n in range(1, 12)]
        assert caps == sorted(caps, key=lambda c: c or 0)
        assert len(set(caps)) == 11

    @given(st.integers(1, 11), chances)
    def test_full_jitter(self, attempts: int, chance: float) -> None:
        due = retry.next_due(attempts, NOW, lambda: chance)
        assert due is not None
        assert NOW <= due <= NOW + retry.CAPS_SECONDS[attempts - 1] * SECOND
        assert abs((due - NOW) - chance * retry.CAPS_SECONDS[attempts - 1] * SECOND) <= 1

    @given(st.floats(0, 86_400))
    def test_an_asked_wait_is_never_cut_short(self, seconds: float) -> None:
        assert seconds * SECOND <= retry.asked_wait(seconds, 0) <= seconds * SECOND + 1

    @pytest.mark.parametrize(("asked", "waited"), [(-5.0, 0), (0.0, 0), (1e9, 86_400), (float("inf"), 86_400)])
    def test_an_absurd_wait_is_bounded(self, asked: float, waited: int) -> None:
        assert retry.asked_wait(asked, NOW) == NOW + waited * SECOND


class TestKey:
    @given(words, st.integers(1, 99), words, words)
    def test_the_same_four_give_the_same_key(self, item: str, revision: int, account: str, operation: str) -> None:
        key = idempotency_key(item, revision, account, operation)
        assert key == idempotency_key(item, revision, account, operation)
        assert re.fullmatch(r"gb_[0-9a-f]{40}", key)

    @given(st.lists(st.tuples(words, st.integers(1, 99), words, words), min_size=2, max_size=20, unique=True))
    def test_different_ones_differ(self, many: list[tuple[str, int, str, str]]) -> None:
        assert len({idempotency_key(*four) for four in many}) == len(many)

    def test_it_never_changes(self) -> None:
        """A key that a new version derives differently would publish everything twice."""
        assert idempotency_key("item-1", 1, "hook", "publish") == "gb_683946cd9ed8959a070a1cebcb5f7c819a064c81"


NEVER, KEYED, NATURAL = (promise(k) for k in (Idempotency.NONE, Idempotency.KEYED, Idempotency.NATURAL))
TABLE: list[tuple[Any, Capabilities, int, S, bool]] = [
    # answer, promise, attempts before, state after, counted
    (Receipt("r", "u"), KEYED, 0, S.SENT, True),
    (Receipt("r", "u"), NEVER, 11, S.SENT, True),
    (Rejected("http_400"), KEYED, 0, S.FAILED, True),
    (Deferred("http_503"), KEYED, 0, S.WAITING, True),
    (Deferred("http_503"), NEVER, 10, S.WAITING, True),
    (Deferred("http_503"), KEYED, 11, S.FAILED, True),
    (Deferred("http_503", retry_after=5), KEYED, 11, S.FAILED, True),
    (Suspended("token"), KEYED, 11, S.WAITING, False),
    (Suspended("token"), NEVER, 0, S.WAITING, False),
    (OutcomeUnknown("timeout"), NEVER, 0, S.IN_DOUBT, True),
    (OutcomeUnknown("timeout"), KEYED, 0, S.WAITING, True),
    (OutcomeUnknown("timeout"), NATURAL, 0, S.WAITING, True),
    (OutcomeUnknown("timeout"), KEYED, 11, S.IN_DOUBT, True),
    (ValueError("x"), NEVER, 0, S.IN_DOUBT, True),
    (ValueError("x"), KEYED, 0, S.WAITING, True),
]


class TestJudgement:
    @pytest.mark.parametrize(("answer", "capabilities", "attempts", "state", "counted"), TABLE)
    def test_the_table(
        self, answer: Any, capabilities: Capabilities, attempts: int, state: S, counted: bool
    ) -> None:
        found = judge(claimed(attempts), answer, capabilities, now=NOW, chance=lambda: 0.5).outcome
        assert (found.state, found.counted) == (state, counted)
        before = S.SENDING if must_start_first(capabilities, "publish") else S.CLAIMED
        assert follow(DELIVERY_TABLE, before, found.events) is state
        assert (found.due_at is not None) == (state is S.WAITING)
        assert found.evidence["attempt"] == attempts + counted

    def test_every_row_can_be_followed(self) -> None:
        for events in EVENTS.values():
            follow(DELIVERY_TABLE, S.SENDING, events)

    @given(st.floats(0, 1e6), st.integers(1, 10), chances)
    def test_no_repeat_leaves_after_the_key_has_died(self, lifetime: float, attempts: int, chance: float) -> None:
        answer, keyed = OutcomeUnknown("timeout"), promise(Idempotency.KEYED, lifetime)
        found = judge(claimed(attempts), answer, keyed, now=NOW, chance=lambda: chance).outcome
        if found.due_at is not None:
            assert found.due_at < NOW + lifetime * SECOND
        else:
            assert found.state is S.IN_DOUBT

    def test_retry_after_is_obeyed_for_the_delivery_and_the_endpoint(self) -> None:
        one = judge(claimed(), Deferred("r", retry_after=7), KEYED, now=NOW, chance=lambda: 0.0)
        assert (one.outcome.due_at, one.hold_until) == (NOW + 7 * SECOND, None)
        whole = judge(claimed(), Deferred("r", retry_after=7, whole_endpoint=True), KEYED, now=NOW, chance=lambda: 0.0)
        assert (whole.outcome.due_at, whole.hold_until) == (NOW + 7 * SECOND, NOW + 7 * SECOND)

    def test_what_it_means_for_the_channel(self) -> None:
        paused = judge(claimed(), Suspended("token"), KEYED, now=NOW, chance=lambda: 0.0)
        assert (paused.pause, paused.close, paused.hold_until) == ("token", None, None)
        gone = judge(claimed(), Rejected("http_410", gone=True), KEYED, now=NOW, chance=lambda: 0.0)
        assert (gone.pause, gone.close, gone.hold_until) == (None, "http_410", None)
        plain = judge(claimed(), Rejected("http_400"), KEYED, now=NOW, chance=lambda: 0.0)
        assert (plain.pause, plain.close, plain.hold_until) == (None, None, None)

    @pytest.mark.parametrize(
        ("answer", "unused"),
        [
            (Deferred("busy"), True),
            (Deferred("used_up", spent=True), False),
            (Suspended("token"), True),
            (Rejected("bad_word"), True),
            (Receipt("r"), False),
            (OutcomeUnknown("timeout"), False),
            (ValueError("surprise"), False),
        ],
    )
    def test_which_quota_an_attempt_did_not_use(self, answer: Any, unused: bool) -> None:
        """That of what the platform takes, where it certainly took nothing; never that of requests."""
        quotas = (Quota("mass_a_day", 1, 86_400, daily=True, taken_only=True), Quota("requests", 9, 60))
        capabilities = dataclasses.replace(KEYED, quotas=quotas)
        one = dataclasses.replace(claimed(), counted=(("mass_a_day", 5), ("mass_a_day", 6), ("requests", 7)))
        found = judge(one, answer, capabilities, now=NOW, chance=lambda: 0.5).outcome.unused
        assert found == ((("mass_a_day", 5), ("mass_a_day", 6)) if unused else ())

    def test_a_surprise_s_own_words_are_not_kept(self) -> None:
        found = judge(claimed(), ValueError("token=abc"), NEVER, now=NOW, chance=lambda: 0.0).outcome
        assert found.reason == "surprise_ValueError"
        assert "abc" not in repr(found)


class Plain:
    kind: ClassVar[str] = "plain"
    account = "hook"
    capabilities = NEVER

    async def publish(self, post: Post) -> Receipt:
        raise RuntimeError("broken")


class TestSend:
    @pytest.mark.parametrize(
        ("operation", "reason"), [(Operation.EDIT, "cannot_edit"), (Operation.RECALL, "cannot_recall")]
    )
    async def test_what_a_channel_cannot_do_is_rejected(self, operation: Operation, reason: str) -> None:
        texts = dict.fromkeys(("summary", "html", "text", "url", "column", "column_name", "content_type"), "")
        more = dict.fromkeys(("language", "issuing_body", "drafting_unit", "content_hash", "title"), "")
        named = {"key": "k", "item_id": "item-1", "revision": 1, "released_at": 0, "occurred_at": 0}
        post = Post(operation=operation, **named, **texts, **more)
        answer = await send(Plain(), post, claimed())
        assert isinstance(answer, Rejected)
        assert answer.reason == reason

    async def test_a_surprise_is_handed_back_as_a_value(self) -> None:
        texts = dict.fromkeys(("summary", "html", "text", "url", "column", "column_name", "content_type"), "")
        more = dict.fromkeys(("language", "issuing_body", "drafting_unit", "content_hash", "title"), "")
        named = {"key": "k", "item_id": "i", "revision": 1, "released_at": 0, "occurred_at": 0}
        post = Post(operation=Operation.PUBLISH, **named, **texts, **more)
        assert isinstance(await send(Plain(), post, claimed()), RuntimeError)
