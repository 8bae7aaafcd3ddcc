"""One attempt: start, send, judge. The table below is THE place where an outcome becomes events."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any

from channels.contract import (
    Capabilities,
    Channel,
    Editable,
    FollowUp,
    Idempotency,
    Named,
    Operation,
    Post,
    Recallable,
)
from channels.leaving import leaving_by
from channels.verdicts import Awaits, Deferred, OutcomeUnknown, Receipt, Rejected, Suspended, Verdict
from content_queue.model import Claimed, Outcome
from content_queue.states import DELIVERY_TABLE, DeliveryEvent, DeliveryState, follow
from publisher import doubts, retry
from publisher.breaker import sign_of

E = DeliveryEvent

STORED_CHARACTERS = 4_000  # of each thing a platform said: far above every known id, address and error text

# Answer -> events after `start`. `OutcomeUnknown` has two rows: may the machine send it again or not.
EVENTS: Mapping[str, tuple[DeliveryEvent, ...]] = MappingProxyType(
    {
        "receipt": (E.ACCEPT,),
        "unbelieved": (E.LOSE,),
        "rejected": (E.REJECT,),
        "deferred": (E.DEFER,),
        "exhausted": (E.EXHAUST,),
        "suspended": (E.DEFER,),
        "unknown_safe": (E.LOSE, E.RESEND),
        "unknown": (E.LOSE,),
    }
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What to record, and what it means for the whole channel.

    `hold_until` obeys a Retry-After for the endpoint; `pause` names why the account cannot publish; `close`
    says that the receiver has ended.
    """

    outcome: Outcome
    hold_until: int | None = None
    pause: str | None = None
    close: str | None = None


def idempotency_key(item_id: str, revision: int, account: str, operation: str) -> str:
    """Derived, not drawn: the same four give the same key for ever. 40 hex digits after `gb_`."""
    joined = "\x00".join((item_id, str(revision), account, operation)).encode()
    return "gb_" + hashlib.sha256(joined).hexdigest()[:40]


def key_of(claimed: Claimed) -> str:
    """A recall that somebody or a look had made once more has a key of its own: as a repeat of the first, which was
    undone or never told, the platform would drop it."""
    once_more = claimed.operation == Operation.RECALL and (claimed.key_since or 0) > claimed.created_at
    operation = f"{claimed.operation}\x00{claimed.key_since}" if once_more else claimed.operation
    return idempotency_key(claimed.item_id, claimed.revision, claimed.channel, operation)


def must_start_first(capabilities: Capabilities, operation: str) -> bool:
    """Whether `start` must be committed before the request leaves: the platform keeps repeats, or takes none before
    tomorrow."""
    return capabilities.of(operation) is Idempotency.NONE or not _has_room(capabilities, operation)


def resendable(capabilities: Capabilities) -> frozenset[str]:
    """The operations that may be sent again at once: the platform drops repeats."""
    return frozenset(o for o in Operation if not must_start_first(capabilities, o))


async def send(
    channel: Channel, post: Post, claimed: Claimed, *, leave_by: float | None = None
) -> Receipt | Verdict | Exception:
    """One request, which must begin to leave before `leave_by` (on `leaving.passing`). Every surprise is handed back
    as a value; cancellation passes through."""
    with leaving_by(leave_by):
        return await _send(channel, post, claimed)


async def _send(channel: Channel, post: Post, claimed: Claimed) -> Receipt | Verdict | Exception:
    try:
        if post.operation is Operation.PUBLISH:
            return await channel.publish(post)
        if post.operation is Operation.EDIT and isinstance(channel, Editable):
            return await channel.edit(post)
        if post.operation is Operation.RECALL and isinstance(channel, Recallable):
            return await _recall(channel, posts_of(channel, post, claimed))
        if isinstance(channel, FollowUp):
            return await channel.follow_up(post)
        if post.operation is Operation.EDIT:
            return Rejected("cannot_edit", f"{channel.kind} cannot change a post that is out")
        return Rejected("cannot_recall", f"{channel.kind} cannot take a post down")
    except Exception as surprise:
        return surprise


def to_take_down(channel: Channel, claimed: Claimed) -> tuple[tuple[str, str], ...]:
    """The receipts of all that was put out, oldest first; and, where names are derived, of what may be: what a request
    without an answer has put up, or still will."""
    if not isinstance(channel, Named):
        return claimed.shown
    known = claimed.shown or ((claimed.basis,) if claimed.basis else ())
    derived = [
        channel.name_of(idempotency_key(claimed.item_id, s.revision, claimed.channel, s.operation), s.released_at)
        for s in claimed.strays
        if not s.seen
    ]
    return (*known, *((r.remote_id, r.url) for r in derived))


def posts_of(channel: Channel, post: Post, claimed: Claimed) -> list[Post]:
    """What a recall is about, one post each: where corrections are posts of their own, several are out."""
    shown = to_take_down(channel, claimed)
    if isinstance(channel, Editable) or not shown or (len(shown) == 1 and post.remote):
        return [post]
    return [replace(post, remote=Receipt(*receipt)) for receipt in shown]


async def _recall(channel: Recallable, posts: Sequence[Post]) -> Receipt:
    """The newest first. One that fails leaves the rest to the next attempt, for which what is down is down; one that
    will never be taken down keeps none of the others up, for there is no next attempt."""
    receipts: list[Receipt] = []
    refused: Rejected | None = None
    for one in reversed(posts):
        try:
            receipts.append(await channel.recall(one))
        except Rejected as refusal:
            refused = refused or refusal
    if refused is not None:
        raise refused
    return next((r for r in receipts if r.awaits), receipts[-1])


def judge(
    claimed: Claimed,
    answer: Receipt | Verdict | Exception,
    capabilities: Capabilities,
    *,
    now: int,
    chance: Callable[[], float],
    evidence: Mapping[str, Any] | None = None,
) -> Judgement:
    """Turns an answer into events, the next due time and the evidence for the log."""
    counted = not isinstance(answer, Suspended)
    attempts = claimed.attempts + counted
    row, due = _row(claimed, answer, capabilities, attempts, now, chance)
    until = _undone_until(claimed, answer, capabilities, (evidence or {}).get("began", now))
    sign = sign_of(answer)
    if until is not None:
        row, answer = "unbelieved", _not_yet(answer)
    begun = not must_start_first(capabilities, claimed.operation)
    events, state = _moves(row, begun)
    receipt = answer if isinstance(answer, Receipt) else None
    reason = _storable(receipt.reason) if receipt else _reason(answer)
    awaits = receipt.awaits if receipt else Awaits.NOTHING
    facts: dict[str, Any] = {"outcome": row, "attempt": attempts, **(evidence or {})}
    if not receipt:
        facts |= {"reason": reason, "detail": _detail(answer)}
    elif awaits:
        facts |= {"awaits": awaits, "reason": reason}
    if claimed.operation == Operation.RECALL:
        facts["since_ms"] = (now - claimed.created_at) // 1000  # the withdrawal made it
    doubtful = state is DeliveryState.IN_DOUBT
    outcome = Outcome(
        delivery_id=claimed.id,
        token=claimed.token,
        item_id=claimed.item_id,
        channel=claimed.channel,
        events=events,
        state=state,
        at=now,
        counted=counted,
        due_at=due if state is DeliveryState.WAITING else None,
        remote_id=_storable(receipt.remote_id) if receipt else "",
        url=_storable(receipt.url) if receipt else "",
        reason=reason,
        awaits=awaits,
        look_at=until or (doubts.next_look(capabilities, 0, now) if doubtful or awaits is Awaits.PLATFORM else None),
        deadline_at=_deadline(claimed.operation, state, awaits, until or now),
        evidence=facts,
        sign=sign,
        visible=receipt is not None and not awaits and claimed.operation != Operation.RECALL,
        probe=claimed.probe,
        unused=_unused(claimed, answer, capabilities),
    )
    return Judgement(outcome, *_for_the_channel(answer, now))


def _unused(
    claimed: Claimed, answer: Receipt | Verdict | Exception, capabilities: Capabilities
) -> tuple[tuple[str, int], ...]:
    """Where this attempt was counted as one that the platform would take, and certainly did not; unless it says itself
    that nothing is left there."""
    if not isinstance(answer, Deferred | Rejected | Suspended) or (isinstance(answer, Deferred) and answer.spent):
        return ()
    taken_only = {q.name for q in capabilities.quotas if q.taken_only}
    return tuple((quota, at) for quota, at in claimed.counted if quota in taken_only)


def _deadline(operation: str, state: DeliveryState, awaits: Awaits, now: int) -> int | None:
    """When a person should have dealt with it. What the platform could not take back or mend is theirs to do."""
    if state is DeliveryState.IN_DOUBT:
        return doubts.doubt_deadline(now)
    if state is DeliveryState.FAILED and operation != Operation.PUBLISH:
        return doubts.deadline(Awaits.PERSON, now)
    return doubts.deadline(awaits, now)


# Said by us, not by the platform: nothing was sent.
_OUR_OWN = frozenset({"cannot_recall", "hash_mismatch"})


def _undone_until(
    claimed: Claimed, answer: Receipt | Verdict | Exception, capabilities: Capabilities, began: int
) -> int | None:
    """None, or until when a platform's word on a recall proves nothing: what it takes down, or does not find, an older
    request of doubtful outcome may still put up."""
    if claimed.operation != Operation.RECALL:
        return None
    if isinstance(answer, Rejected):
        told = not (answer.gone or answer.reason in _OUR_OWN)
    else:
        told = isinstance(answer, Receipt) and answer.awaits is not Awaits.PERSON
    return doubts.believed_from(claimed, capabilities, began) if told else None


def _not_yet(answer: object) -> OutcomeUnknown:
    said = answer.reason if isinstance(answer, Rejected) else ""
    return OutcomeUnknown(doubts.MAY_RETURN, f"the answer was {said}" if said else "")


@cache
def _moves(row: str, begun: bool) -> tuple[tuple[DeliveryEvent, ...], DeliveryState]:
    """The events of a row of the table and the state they lead to; `start` is among them where it was not committed."""
    before = DeliveryState.CLAIMED if begun else DeliveryState.SENDING
    events = (*((E.START,) if begun else ()), *EVENTS[row])
    return events, follow(DELIVERY_TABLE, before, events)


def _row(
    claimed: Claimed,
    answer: Receipt | Verdict | Exception,
    capabilities: Capabilities,
    attempts: int,
    now: int,
    chance: Callable[[], float],
) -> tuple[str, int | None]:
    if isinstance(answer, Receipt):
        return "receipt", None
    if isinstance(answer, Rejected):
        return "rejected", None
    if isinstance(answer, Suspended):
        return "suspended", now
    due = retry.next_due(attempts, now, chance)
    if isinstance(answer, Deferred):
        if due is None:
            return "exhausted", None
        wait = answer.retry_after
        return "deferred", due if wait is None else retry.asked_wait(wait, now)
    resends = _has_room(capabilities, claimed.operation)
    if due is not None and _repeat_is_dropped(claimed, capabilities, due) and resends:
        return "unknown_safe", due
    return "unknown", None


def _has_room(capabilities: Capabilities, operation: str) -> bool:
    """Whether a repeat can go before long. Where the platform takes one in a day, the first was counted as that one:
    what may be out would be called waiting until tomorrow."""
    return all(q.limit > 1 for q in capabilities.quotas if operation in q.operations)


def _repeat_is_dropped(claimed: Claimed, capabilities: Capabilities, due: int) -> bool:
    """Counted from the delivery's making (or a person's word), which is never later than the first request."""
    promised = capabilities.of(claimed.operation)
    if promised is not Idempotency.KEYED:
        return promised is Idempotency.NATURAL
    lifetime = capabilities.key_lifetime
    since = claimed.created_at if claimed.key_since is None else claimed.key_since
    return lifetime is None or due < since + int(lifetime * retry.SECOND)


def may_send(claimed: Claimed, capabilities: Capabilities, now: int) -> Verdict | None:
    """None, or why nothing may be sent: it may be out already, and the platform no longer knows its key.

    Where the platform keeps repeats, only proof or a person's word makes a doubtful delivery wait again.
    """
    keyed = capabilities.of(claimed.operation) is Idempotency.KEYED
    if not (keyed and claimed.doubted) or _repeat_is_dropped(claimed, capabilities, now):
        return None
    return OutcomeUnknown("key_expired", "an earlier attempt may be out and the key has outlived its time")


def _reason(answer: object) -> str:
    return _storable(answer.reason) if isinstance(answer, Verdict) else f"surprise_{type(answer).__name__}"


def _detail(answer: object) -> str:
    """A surprise's own text is not stored: nobody has vouched that it holds no secret."""
    return _storable(answer.detail) if isinstance(answer, Verdict) else ""


def _storable(text: str) -> str:
    """What a platform said, as text that every database takes: no NUL, no lone surrogate, no megabytes."""
    if len(text) <= STORED_CHARACTERS and text.isascii() and "\x00" not in text:
        return text
    return text[:STORED_CHARACTERS].encode("utf-8", "replace").decode().replace("\x00", "")


def _for_the_channel(answer: object, now: int) -> tuple[int | None, str | None, str | None]:
    if isinstance(answer, Suspended):
        return None, answer.reason, None
    if isinstance(answer, Rejected) and answer.gone:
        return None, None, answer.reason
    if isinstance(answer, Deferred) and answer.whole_endpoint and answer.retry_after is not None:
        return retry.asked_wait(answer.retry_after, now), None, None
    return None, None, None


def timing(answer: object) -> dict[str, object]:
    """What the transport knows of a refused request: when its answer began, and whether anything left."""
    told = getattr(answer, "timing", None)
    return {} if told is None else {"first_byte_ms": told.first_byte, "left": told.sent}


def shuts(judgement: Judgement) -> bool:
    """Whether the channel rests after it."""
    return bool(judgement.pause or judgement.close or judgement.hold_until)


def holds(group: Sequence[Judgement]) -> dict[str, int]:
    """channel -> the longest wait that was asked for."""
    found: dict[str, int] = {}
    for judgement in group:
        if judgement.hold_until is not None:
            name = judgement.outcome.channel
            found[name] = max(judgement.hold_until, found.get(name, 0))
    return found
