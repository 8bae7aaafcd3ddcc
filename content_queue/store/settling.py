"""The move that a person or a look makes: fenced by the state it was judged by."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, and_, update

from content_queue.model import Delivery
from content_queue.store.engine import Conflict
from content_queue.tables import deliveries

_d = deliveries.c

WATCHED = "watched"  # in `awaits`: confirmed, and the platform may take it down by itself later
GONE = "gone_later"  # the reason of what it took down

SETTLED: Mapping[str, Any] = MappingProxyType(
    {"awaits": "", "look_at": None, "looks": 0, "unsettled_since": None, "deadline_at": None}
)


def move_by_hand(connection: Connection, delivery: Delivery, values: Mapping[str, Any]) -> None:
    """A person's or a look's move: nothing remains to be settled unless `values` says so."""
    done = connection.execute(
        update(deliveries)
        .where(and_(_d.id == delivery.id, _d.state == delivery.state))
        .values(**{**SETTLED, **values})
    )
    if done.rowcount != 1:
        raise Conflict("Delivery {id} changed just now; look again.", id=delivery.id)
