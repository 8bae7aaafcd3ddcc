"""What is read every half minute goes through its indexes, however much lies in the tables."""

from __future__ import annotations

import re

import pytest
from queue_trade import Trade
from test_hot_queries import Act, Overheard, filled, plan

READ: Act = lambda t: t.store.signs.read(["first"], now=t.clock())  # noqa: E731
HOT: dict[str, tuple[Act, str, str]] = {
    "in doubt or failed past its deadline": (READ, r"state IN .*state IN .*deadline_at <=", "ix_deliveries_trouble"),
    "waits for somebody past its deadline": (READ, r"awaits <> .*deadline_at <=", "ix_deliveries_awaits"),
    "newest failures": (
        READ, r"SELECT deliveries.id, deliveries.channel, deliveries.updated_at", "ix_deliveries_trouble",
    ),
    "first waiting": (READ, r"min\(deliveries.due_at\)", "ix_deliveries_due"),
    "held in the queue": (READ, r"FROM revisions\s+WHERE revisions.state", "ix_revisions_queue"),
    "broken links": (READ, r"failures >", "ix_link_checks_broken"),
    "links that are due": (
        lambda t: t.store.lookback.take(now=t.clock(), until=t.clock()), r"link_checks.due_at <=", "ix_link_checks_due",
    ),
    "notices that are due": (
        lambda t: t.store.alarms.take(["m"], now=t.clock(), until=t.clock()), r"notices.due_at <=", "ix_notices_due",
    ),
}  # fmt: skip


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", HOT)
async def test_a_query_of_the_lookout_uses_its_index(trade: Trade, name: str) -> None:
    act, pattern, index = HOT[name]
    await filled(trade, 5_000)
    heard = Overheard(trade)
    await act(trade)
    found = await trade.store._db.write(plan, *heard.about(pattern))
    assert index in found, found
    assert not re.search(r"SCAN (deliveries|revisions)(?! USING)", found), found
