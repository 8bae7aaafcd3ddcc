"""Where a platform takes one in a day, what may be out is never called waiting."""

from __future__ import annotations

import pytest

from channels.contract import Capabilities, Idempotency, Operation, Quota
from channels.verdicts import Deferred, OutcomeUnknown, Verdict
from content_queue.model import Claimed
from content_queue.states import DeliveryState as S
from publisher.delivery import judge

NOW = 1_767_225_600_000_000
LOST = OutcomeUnknown("late_answer")


@pytest.mark.parametrize(
    ("limit", "operation", "answer", "state"),
    [
        (1, "publish", LOST, S.IN_DOUBT),
        (1, "publish", Deferred("busy"), S.WAITING),  # certainly not out: it waits for tomorrow
        (1, "recall", LOST, S.WAITING),  # not counted by that quota
        (4, "publish", LOST, S.WAITING),  # the repeat goes soon, and the platform drops it
    ],
)
def test_what_may_be_out_is_in_doubt(limit: int, operation: str, answer: Verdict, state: S) -> None:
    one = Quota("mass", limit, 86_400, daily=True, operations=frozenset({Operation.PUBLISH}))
    claimed = Claimed(7, "item-1", 3, 1, "mass", "notices", operation, 0, NOW, "token")
    promised = Capabilities(Idempotency.KEYED, key_lifetime=86_400, quotas=(one,))
    judged = judge(claimed, answer, promised, now=NOW, chance=lambda: 0.5)
    assert judged.outcome.state is state
    assert (judged.outcome.deadline_at is not None) == (state is S.IN_DOUBT)
