"""States and events of revisions and deliveries, and the two tables that say what may follow what.

The tables are the only place where a move is written down; every derived set below is computed from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar


class RevisionState(StrEnum):
    DRAFT = "draft"  # waits for sign-offs
    HELD = "held"  # the checklist blocks it
    APPROVED = "approved"  # fully signed: in the queue
    RELEASED = "released"  # has become deliveries
    SUPERSEDED = "superseded"  # a newer revision replaced it
    WITHDRAWN = "withdrawn"


class RevisionEvent(StrEnum):
    HOLD = "hold"
    CLEAR = "clear"
    APPROVE = "approve"
    RELEASE = "release"
    SUPERSEDE = "supersede"
    WITHDRAW = "withdraw"


class DeliveryState(StrEnum):
    WAITING = "waiting"
    CLAIMED = "claimed"
    SENDING = "sending"
    SENT = "sent"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"
    CANCELLED = "cancelled"


class DeliveryEvent(StrEnum):
    CLAIM = "claim"
    START = "start"
    RELEASE = "release"
    ACCEPT = "accept"
    CONFIRM = "confirm"
    DEFER = "defer"
    REJECT = "reject"
    EXHAUST = "exhaust"
    LOSE = "lose"
    FOUND = "found"
    RESEND = "resend"
    CANCEL = "cancel"
    REFUSE = "refuse"
    SETTLE = "settle"  # a person did by hand what the platform could not
    MISS = "miss"  # it is out, but not whole: the rest is a person's


R, RE, D, DE = RevisionState, RevisionEvent, DeliveryState, DeliveryEvent

REVISION_TABLE: Mapping[tuple[RevisionState, RevisionEvent], RevisionState] = MappingProxyType(
    {
        (R.DRAFT, RE.HOLD): R.HELD,
        (R.HELD, RE.CLEAR): R.DRAFT,
        (R.DRAFT, RE.APPROVE): R.APPROVED,
        (R.APPROVED, RE.HOLD): R.HELD,
        (R.APPROVED, RE.RELEASE): R.RELEASED,
        (R.DRAFT, RE.SUPERSEDE): R.SUPERSEDED,
        (R.HELD, RE.SUPERSEDE): R.SUPERSEDED,
        (R.APPROVED, RE.SUPERSEDE): R.SUPERSEDED,
        (R.RELEASED, RE.SUPERSEDE): R.SUPERSEDED,
        (R.DRAFT, RE.WITHDRAW): R.WITHDRAWN,
        (R.HELD, RE.WITHDRAW): R.WITHDRAWN,
        (R.APPROVED, RE.WITHDRAW): R.WITHDRAWN,
        (R.RELEASED, RE.WITHDRAW): R.WITHDRAWN,
    }
)

DELIVERY_TABLE: Mapping[tuple[DeliveryState, DeliveryEvent], DeliveryState] = MappingProxyType(
    {
        (D.WAITING, DE.CLAIM): D.CLAIMED,
        (D.CLAIMED, DE.RELEASE): D.WAITING,
        (D.CLAIMED, DE.START): D.SENDING,
        (D.SENDING, DE.ACCEPT): D.SENT,
        (D.SENDING, DE.DEFER): D.WAITING,
        (D.SENDING, DE.REJECT): D.FAILED,
        (D.SENDING, DE.EXHAUST): D.FAILED,
        (D.SENDING, DE.LOSE): D.IN_DOUBT,
        (D.SENT, DE.CONFIRM): D.CONFIRMED,
        (D.SENT, DE.REFUSE): D.FAILED,
        (D.SENT, DE.MISS): D.SENT,
        (D.CONFIRMED, DE.MISS): D.SENT,  # a look saw it before the platform said what is missing
        (D.CONFIRMED, DE.REFUSE): D.FAILED,
        (D.IN_DOUBT, DE.FOUND): D.CONFIRMED,
        (D.IN_DOUBT, DE.RESEND): D.WAITING,
        (D.IN_DOUBT, DE.CANCEL): D.CANCELLED,
        (D.IN_DOUBT, DE.REFUSE): D.FAILED,
        (D.FAILED, DE.RESEND): D.WAITING,
        (D.FAILED, DE.SETTLE): D.CONFIRMED,
        (D.WAITING, DE.CANCEL): D.CANCELLED,
        (D.WAITING, DE.LOSE): D.IN_DOUBT,  # an older database was restored: it may have gone out since
    }
)

State = TypeVar("State", RevisionState, DeliveryState)
Event = TypeVar("Event", RevisionEvent, DeliveryEvent)


class IllegalMove(Exception):
    """The table has no such move; nothing was changed."""


def follow(table: Mapping[tuple[State, Event], State], state: State, events: Iterable[Event]) -> State:
    """The state after `events` in order. Raises `IllegalMove`."""
    for event in events:
        try:
            state = table[state, event]
        except KeyError:
            raise IllegalMove(f"{state.value} has no move on {event.value}") from None
    return state


def sources(table: Mapping[tuple[State, Event], State], event: Event) -> frozenset[State]:
    """The states in which `event` may happen."""
    return frozenset(s for s, e in table if e is event)


# A worker holds it: between claim and record. `IN_DOUBT` waits for proof and is not under way.
UNDER_WAY = frozenset(
    s for s in DeliveryState if s in {DELIVERY_TABLE[D.WAITING, DE.CLAIM], DELIVERY_TABLE[D.CLAIMED, DE.START]}
)
# The platform has it, as far as is known.
DELIVERED = frozenset({DELIVERY_TABLE[D.SENDING, DE.ACCEPT], DELIVERY_TABLE[D.SENT, DE.CONFIRM]})
# A newer operation on the same item and channel must wait for these to settle.
UNSETTLED = UNDER_WAY | {D.IN_DOUBT}
