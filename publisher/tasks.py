"""What a person has to do about a delivery that no machine can settle: one sentence each, as data."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from content_queue.states import DeliveryState
from publisher.doubts import MAY_RETURN
from publisher.texts import Text, bilingual, mark

if TYPE_CHECKING:
    from content_queue.model import Delivery
    from content_queue.store import Task

S = DeliveryState

# (state, operation) -> what to do. Places: the delivery's id, its channel, the links.
_TO_DO: Mapping[tuple[DeliveryState, str], str] = MappingProxyType(
    {
        (S.WAITING, "recall"): mark(
            "It can still be seen, and {channel} is at rest: mend the account, then gongbao resume {channel}."
        ),
        (S.IN_DOUBT, "publish"): mark(
            "Look on {channel} whether it is out: gongbao resolve {id} --live URL, or --not-out --reason WHY."
        ),
        (S.IN_DOUBT, "edit"): mark(
            "Look on {channel} for the new text: gongbao resolve {id} --live URL, or --not-out --reason WHY."
        ),
        (S.IN_DOUBT, "recall"): mark(
            "Look on {channel} whether it is gone: gongbao resolve {id} --done --reason WHY, or --not-out --reason WHY."
        ),
        (S.SENT, "publish"): mark(
            "Put it out on {channel} by hand: gongbao resolve {id} --live URL, or --dropped --reason WHY."
        ),
        (S.SENT, "edit"): mark(
            "Put the new text out on {channel} by hand: gongbao resolve {id} --live URL, or --dropped --reason WHY."
        ),
        (S.SENT, "recall"): mark(
            "It can still be seen: take it down on {channel} by hand, then gongbao resolve {id} --done --reason WHY."
        ),
        (S.FAILED, "publish"): mark(
            "{channel} has taken it down: ask there, then gongbao resolve {id} --live URL, or --dropped --reason WHY."
        ),
        (S.FAILED, "edit"): mark(
            "The old text is shown: correct it on {channel} by hand, then gongbao resolve {id} --done --reason WHY."
        ),
        (S.FAILED, "recall"): mark(
            "It is still there: take it down on {channel} by hand, then gongbao resolve {id} --done --reason WHY."
        ),
    }
)
_DECIDES = mark(
    "{channel} has not said what became of it; look, then gongbao resolve {id} --live URL, or --dropped --reason WHY."
)


# Never told to put it out by hand: there would be two.
_INCOMPLETE = mark("It is out on {channel}, but not whole: complete it by hand, then gongbao resolve {id} --live URL.")


# The machine goes on by itself while there is a time at which it does.
_MAY_RETURN = mark(
    "Taken down, but an older request may still put it out: {channel} is asked again by itself. Who has looked: "
    "gongbao resolve {id} --done --reason WHY, or --not-out --reason WHY."
)


def _is_out(d: Delivery) -> bool:
    """Whether readers see a part of it. The reasons of all kinds for that end alike."""
    return d.reason.endswith("_missing") or (d.operation == "publish" and bool(d.url))


def what_to_do(task: Task) -> Text:
    d = task.delivery
    if d.state is S.IN_DOUBT and d.reason == MAY_RETURN and d.look_at is not None:
        return bilingual(_MAY_RETURN, id=d.id, channel=d.channel)
    platform = d.state is S.SENT and d.awaits == "platform" and d.operation != "recall"
    message = _DECIDES if platform else _TO_DO.get((d.state, d.operation), "")
    if d.state is S.SENT and d.awaits == "person" and _is_out(d):
        message = _INCOMPLETE
    return bilingual(message, id=d.id, channel=d.channel)
