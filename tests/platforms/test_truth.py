"""The judge of the fault matrix sees every kind of lie."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from truth import FIRST, SECOND, Seen, Told, lies

from channels.sandbox.stand_in import Shown, Standing
from content_queue.model import Delivery
from content_queue.states import DeliveryState as S


async def _edit(_: object) -> None: ...


REPLACES: Any = SimpleNamespace(edit=_edit)
SAYS_ANEW: Any = SimpleNamespace(follow_up=_edit)


def one(number: int, operation: str, state: S, **facts: Any) -> Delivery:
    revision = 1 if operation == "publish" else 2
    return Delivery(number, "i", revision, revision, "c", operation, state, 0, 1, 0, 0, **facts)


OUT, EDITED = one(1, "publish", S.SENT), one(2, "edit", S.SENT)
DOWN = one(3, "recall", S.SENT)


@pytest.mark.parametrize(
    ("deliveries", "listed", "seen", "true"),
    [
        ([OUT], (), (1, 0, 0), True),
        ([OUT], (), (2, 0, 0), False),
        ([OUT], (), (0, 0, 0), False),
        ([one(1, "publish", S.CONFIRMED)], (), (0, 0, 0), False),
        ([one(1, "publish", S.WAITING)], (), (1, 0, 0), False),
        ([one(1, "publish", S.FAILED)], (), (1, 0, 0), False),
        ([one(1, "publish", S.IN_DOUBT)], (1,), (1, 0, 0), True),
        ([one(1, "publish", S.IN_DOUBT)], (1,), (2, 0, 0), False),
        ([one(1, "publish", S.IN_DOUBT)], (), (0, 0, 0), False),
        ([OUT, EDITED], (), (0, 1, 0), True),
        ([OUT, EDITED], (), (1, 1, 0), False),
        ([OUT, EDITED], (), (1, 0, 0), False),
        ([OUT, one(2, "edit", S.IN_DOUBT)], (2,), (1, 1, 0), False),
        ([OUT, one(2, "edit", S.FAILED)], (), (1, 0, 0), False),
        ([OUT, EDITED, DOWN], (), (0, 0, 1), True),
        ([OUT, EDITED, DOWN], (), (0, 1, 0), False),
        ([OUT, EDITED, DOWN], (), (0, 0, 2), False),
        ([OUT, EDITED, one(3, "recall", S.SENT, awaits="person")], (3,), (0, 1, 1), True),
        ([OUT, EDITED, one(3, "recall", S.SENT, awaits="person")], (), (0, 1, 1), False),
        ([OUT, EDITED, one(3, "recall", S.WAITING)], (), (0, 1, 0), False),
    ],
)
def test_each_lie_is_seen(deliveries: list[Delivery], listed: Any, seen: Any, true: bool) -> None:
    assert (lies(Told(deliveries, listed), Seen(*seen), REPLACES) == []) is true


def test_where_a_correction_is_a_post_of_its_own_both_are_live() -> None:
    assert lies(Told([OUT, EDITED]), Seen(1, 1, 0), SAYS_ANEW) == []
    assert lies(Told([OUT, EDITED]), Seen(0, 1, 0), SAYS_ANEW)
    assert lies(Told([OUT, EDITED]), Seen(1, 2, 0), SAYS_ANEW)


def test_only_a_mere_word_may_be_the_platforms_own() -> None:
    assert lies(Told([OUT], lied={1}), Seen(0, 0, 0), REPLACES) == []
    assert lies(Told([one(1, "publish", S.CONFIRMED)], lied={1}), Seen(0, 0, 0), REPLACES)
    assert lies(Told([OUT], lied={1}), Seen(2, 0, 0), REPLACES)


def test_copies_are_counted_by_what_they_say() -> None:
    shown = [
        Shown("1", f"题（{FIRST}）", "", 0.0),
        Shown("2", f"题（{SECOND}）", f"更正{FIRST}", 0.0),
        Shown("3", "【撤回】", "", 0.0),
        Shown("4", f"题（{FIRST}）", "", 0.0, standing=Standing.GONE),
    ]
    assert Seen.of(shown) == Seen(1, 1, 1)
