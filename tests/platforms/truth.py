"""Whether what the queue says of an item is what readers see on the platform."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from channels.contract import Channel, Editable
from channels.sandbox.stand_in import Shown, Standing
from content_queue.model import Delivery
from content_queue.states import DELIVERED
from content_queue.states import DeliveryState as S

FIRST, SECOND = "甲版", "乙版"  # a word of each revision's title
FEW, NONE, ONE = frozenset({0, 1}), frozenset({0}), frozenset({1})


@dataclass(frozen=True)
class Seen:
    """How many copies readers see: of the first revision, of the second, and other notices of the item."""

    first: int
    second: int
    other: int

    @classmethod
    def of(cls, shown: Sequence[Shown]) -> Seen:
        """A text that quotes both words is the second's."""
        live = [post.title + post.text for post in shown if post.standing is Standing.LIVE]
        second = sum(SECOND in text for text in live)
        first = sum(FIRST in text and SECOND not in text for text in live)
        return cls(first, second, len(live) - first - second)

    def __str__(self) -> str:
        return f"{self.first}+{self.second}" + (f"+{self.other}" if self.other else "")


Copies = frozenset[int]


@dataclass(frozen=True)
class Told:
    """What the queue says of one account: its deliveries, oldest first, which of them a person finds in the remaining
    list, whether the account is shown as paused. `lied` are those to which the platform answered as if it took them."""

    deliveries: Sequence[Delivery]
    listed: Collection[int] = ()
    paused: bool = False
    lied: Collection[int] = ()

    def of(self, revision: int) -> Delivery | None:
        return next((d for d in reversed(self.deliveries) if d.revision == revision and d.operation != "recall"), None)

    @property
    def recall(self) -> Delivery | None:
        return next((d for d in reversed(self.deliveries) if d.operation == "recall"), None)

    def deceived(self, delivery: Delivery) -> bool:
        """A mere "sent" is the platform's word; "confirmed" would be ours."""
        return delivery.id in self.lied and delivery.state is S.SENT


def lies(told: Told, seen: Seen, channel: Channel) -> list[str]:
    """What is not true, in words; empty when all is."""
    first, second, recall = told.of(1), told.of(2), told.recall
    may_first, may_second = _copies(told, first), _copies(told, second)
    replaces = second is not None and isinstance(channel, Editable)
    if second is not None and replaces:
        may_first = _replaced(told, second, may_first)
    if recall is not None:
        may_first, may_second = _taken_down(told, recall, may_first), _taken_down(told, recall, may_second)
    others = FEW if recall is not None and recall.state in (*DELIVERED, S.IN_DOUBT) else NONE
    found = [
        f"{what}: {live} live, and the queue says {_said(delivery)}"
        for what, live, may, delivery in (
            ("the first revision", seen.first, may_first, first),
            ("the second revision", seen.second, may_second, second),
            ("other notices", seen.other, others, recall),
        )
        if live not in may
    ]
    if replaces and seen.first + seen.second > 1:
        found.append("two versions are live")
    if recall is not None and seen.first + seen.second and not (told.paused or _shown_to_a_person(told)):
        found.append("withdrawn, live, and nobody is told")
    return found + _unlisted(told)


def _copies(told: Told, delivery: Delivery | None) -> Copies:
    """How many copies readers may see when this is the last word."""
    if delivery is None:
        return NONE
    if delivery.state in DELIVERED and not delivery.awaits:
        return FEW if told.deceived(delivery) else ONE
    if delivery.state is S.CANCELLED and delivery.reason == "superseded" and told.deliveries[-1].id in told.listed:
        return FEW  # whether it had gone out is a part of what the newer one asks of a person
    return FEW if delivery.state in (*DELIVERED, S.IN_DOUBT) else NONE


def _replaced(told: Told, by: Delivery, before: Copies) -> Copies:
    if by.state in DELIVERED and not by.awaits:
        return before | NONE if told.deceived(by) else NONE
    return before if by.state in (S.WAITING, S.CANCELLED) else before | NONE


def _taken_down(told: Told, recall: Delivery, before: Copies) -> Copies:
    if recall.state in DELIVERED and not recall.awaits:
        return before | NONE if told.deceived(recall) else NONE
    return before if recall.state in (S.WAITING, S.CANCELLED) else before | NONE


def _shown_to_a_person(told: Told) -> bool:
    return any(d.id in told.listed or told.deceived(d) for d in told.deliveries)


def _unlisted(told: Told) -> list[str]:
    """What no machine settles has to be in the list for people."""
    newest = told.deliveries[-1]
    return [
        f"nobody is told of the {d.operation}, which is {_said(d)}"
        for d in told.deliveries
        if d.id not in told.listed
        and (
            d.state is S.IN_DOUBT
            or (d.state in DELIVERED and d.awaits == "person")
            or (d.state in DELIVERED and d.awaits == "platform" and d.look_at is None)
            or (d.state is S.FAILED and d.operation != "publish" and d is newest)
        )
    ]


def _said(delivery: Delivery | None) -> str:
    if delivery is None:
        return "nothing"
    awaits = f", awaits the {delivery.awaits}" if delivery.awaits else ""
    reason = f" ({delivery.reason})" if delivery.reason else ""
    return f"{delivery.operation} {delivery.state}{awaits}{reason}"
