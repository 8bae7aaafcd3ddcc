"""Hot queries use their index, and the work of a claim does not grow with what waits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from queue_trade import Trade
from sqlalchemy import Connection, event, text

FEW, MANY = 1_000, 100_000
CHANNELS = ("hook", "mail")


def fill(connection: Connection, count: int, now: int) -> None:
    """`count` deliveries waiting on each of two channels, half of them due; some under way; as many revisions."""
    template = connection.execute(text("SELECT * FROM deliveries ORDER BY id LIMIT 1")).one()._mapping
    revision = connection.execute(text("SELECT * FROM revisions ORDER BY id LIMIT 1")).one()._mapping
    series = (
        "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < :count) "
        if connection.dialect.name == "sqlite"
        else "WITH s AS (SELECT generate_series(1, :count) AS n) "
    )
    facts = {"count": count, "now": now}
    changed: dict[str, str | None] = {
        "id": None,
        "number": "n + (SELECT max(number) FROM revisions)",
        "state": "CASE WHEN n % 50 = 0 THEN 'approved' ELSE 'superseded' END",
    }
    connection.execute(text(copy("revisions", revision, changed, series)), {**revision, **facts})
    for channel in CHANNELS:
        changed = {
            "id": None,
            "revision_id": "(SELECT max(id) FROM revisions) - n + 1",
            "channel": f"'{channel}'",
            "state": "CASE WHEN n % 100 = 0 THEN 'claimed' ELSE 'waiting' END",
            "token": "CASE WHEN n % 100 = 0 THEN 'tok' END",
            "lease_until": "CASE WHEN n % 100 = 0 THEN :now + n END",
            "due_at": ":now + (n - :count / 2)",
            "after_id": "CASE WHEN n % 7 = 0 THEN n END",
        }
        connection.execute(text(copy("deliveries", template, changed, series)), {**template, **facts})


def copy(table: str, template: Any, changed: dict[str, str | None], series: str) -> str:
    names = [c for c in template if not (c in changed and changed[c] is None)]
    values = [changed.get(c) or f":{c}" for c in names]
    if "generate_series" in series:  # PostgreSQL wants to know the types of bare parameters
        values = [v if v[0] != ":" or v.startswith(":now") else literal(template[v[1:]]) for v in values]
    return f"INSERT INTO {table} ({', '.join(names)}) {series}SELECT {', '.join(values)} FROM s"


def literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes | memoryview):
        return f"'\\x{bytes(value).hex()}'::bytea"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


async def filled(trade: Trade, count: int) -> None:
    await trade.out("item-1", "first")
    await trade.store._db.write(fill, count, trade.clock())
    if not trade.store._db.is_sqlite:
        await trade.store._db.write(lambda c: c.execute(text("ANALYZE")) and None)


class Overheard:
    """The statements that an act runs, with their parameters, as the driver gets them."""

    def __init__(self, trade: Trade) -> None:
        self.said: list[tuple[str, Any]] = []
        for engine in {trade.store._db.engine, trade.store._db._write_engine}:
            event.listen(engine, "before_cursor_execute", self._hear)

    def _hear(self, _c: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        self.said.append((statement, parameters))

    def about(self, pattern: str) -> tuple[str, Any]:
        return next(s for s in self.said if re.search(pattern, s[0], re.S))


def plan(connection: Connection, statement: str, parameters: Any) -> str:
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return "\n".join(str(r[3]) for r in rows)
    return "\n".join(str(r[0]) for r in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters))


Act = Callable[[Trade], Any]
HOT: dict[str, tuple[Act, str, str]] = {
    "oldest due": (
        lambda t: t.store.deliveries.oldest_due(["hook"]), r"min\(due_at\)", "ix_deliveries_due",
    ),
    "due revisions": (lambda t: t.store.items.due(now=t.clock()), r"revisions.content.*LIMIT", "ix_revisions_queue"),
    "next due revision": (lambda t: t.store.items.next_due(), r"min\(coalesce", "ix_revisions_queue"),
    "expired revisions": (
        lambda t: t.store.items.expired(now=t.clock()), r"expires_at <=", "ix_revisions_expiry",
    ),
    "looks": (
        lambda t: t.store.looks.take(["hook"], now=t.clock(), until=t.clock()), r"look_at <=", "ix_deliveries_look",
    ),
    "next look": (lambda t: t.store.looks.next_due(["hook"]), r"look_at IS NOT NULL", "ix_deliveries_look"),
    "a platform's word": (
        lambda t: t.store.looks.by_remote("hook", "r"), r"deliveries.remote_id = ", "ix_deliveries_remote",
    ),
    "recalls at rest": (
        lambda t: t.store.remaining.listing(now=t.clock()),
        r"deliveries.operation = .*channels",
        "ix_deliveries_urgent",
    ),
    "tasks": (
        lambda t: t.store.remaining.listing(now=t.clock()), r"deliveries.awaits = .*ORDER BY", "ix_deliveries_awaits",
    ),
    "trouble": (
        lambda t: t.store.remaining.listing(now=t.clock()), r"deliveries.operation !=.*EXISTS", "ix_deliveries_trouble",
    ),
    "lease expiry": (lambda t: t.expire("hook"), r"deliveries.*lease_until <", "ix_deliveries_lease"),
}


@pytest.mark.parametrize("name", HOT)
async def test_a_hot_query_uses_its_index(trade: Trade, name: str) -> None:
    act, pattern, index = HOT[name]
    await filled(trade, FEW * 5)
    heard = Overheard(trade)
    await act(trade)
    found = await trade.store._db.write(plan, *heard.about(pattern))
    assert index in found, found
    assert not re.search(r"SCAN (deliveries|revisions)(?! USING)|Seq Scan on (?!channels\b)", found), found


async def test_dependents_are_found_by_their_index(trade: Trade) -> None:
    await filled(trade, FEW * 5)
    (claimed, *_) = await trade.claim("hook")
    heard = Overheard(trade)
    await trade.record(trade.outcome(claimed, "accept"))
    found = await trade.store._db.write(plan, *heard.about(r"deliveries.after_id IN"))
    assert "ix_deliveries_after" in found, found


async def test_the_pick_of_a_claim_uses_its_index(trade: Trade) -> None:
    await filled(trade, FEW * 5)
    if trade.store._db.is_sqlite:
        found = await trade.store._db.write(sqlite_claim_plans, trade)
    else:
        heard = Overheard(trade)
        await trade.claim(*CHANNELS)
        found = await trade.store._db.write(plan, *heard.about("SKIP LOCKED"))
    assert "ix_deliveries_due" in found, found
    assert "ix_deliveries_urgent" in found, found
    assert not re.search(r"SCAN deliveries(?! USING)|Seq Scan on deliveries", found), found


def sqlite_claim_plans(connection: Connection, _trade: Trade) -> str:
    """Every statement of a claim on SQLite goes to the driver itself: they are heard there."""
    from content_queue.store import dialects

    raw = connection.connection.driver_connection
    assert raw is not None
    heard: list[str] = []
    raw.set_trace_callback(heard.append)
    dialects.claim(connection, dict.fromkeys(CHANNELS, 5), dialects.Claim("t", 2**61, 2**61))
    raw.set_trace_callback(None)
    wanted = [s for s in heard if "deliveries" in s and not s.lstrip().startswith("--")]
    return "\n".join(str(r[3]) for s in wanted for r in raw.execute(f"EXPLAIN QUERY PLAN {s}"))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_statements_are_planned_with_their_values(trade: Trade) -> None:
    """A prepared claim may otherwise be planned without them, and then reads all that is due: bench/claims.py saw
    39 ms instead of 35 us a delivery at a million waiting."""
    asked = "SHOW plan_cache_mode"
    for run in (trade.store._db.write, trade.store._db.read):
        assert await run(lambda c: c.execute(text(asked)).scalar_one()) == "force_custom_plan"


async def test_the_work_of_a_claim_is_flat(trade: Trade) -> None:
    """Work is counted, not timed: SQLite's instructions, PostgreSQL's buffers."""
    work = []
    for count in (FEW, MANY - FEW):
        await filled(trade, count) if not work else await trade.store._db.write(fill, count, trade.clock())
        measure = sqlite_work if trade.store._db.is_sqlite else postgres_work
        if not trade.store._db.is_sqlite:
            await trade.store._db.write(lambda c: c.execute(text("ANALYZE deliveries")) and None)
        work.append(await trade.store._db.write(measure, trade.clock()))
    assert work[1] < work[0] * 1.5 + 40, work


def sqlite_work(connection: Connection, now: int) -> int:
    """Hundreds of virtual machine instructions that one claim of twenty runs."""
    from content_queue.store import dialects

    raw, steps = connection.connection.driver_connection, 0
    assert raw is not None

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    raw.set_progress_handler(step, 100)
    assert len(dialects.claim(connection, dict.fromkeys(CHANNELS, 10), dialects.Claim("t", now, now))) == 20
    raw.set_progress_handler(None, 0)
    return steps


def nodes(plan: Any) -> Iterator[Any]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def postgres_work(connection: Connection, now: int) -> int:
    """Buffers that one claim of twenty touches, as the server counts them."""
    from content_queue.store import dialects

    said = str(dialects._PG_CLAIM)
    facts = {"names": list(CHANNELS), "rooms": [10, 10], "stopped": [], "now": now, "token": "t", "lease": now}
    explained = text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {said}")
    found = connection.execute(explained, facts).scalar_one()
    top = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    (taken,) = [node for node in nodes(top) if node["Node Type"] == "ModifyTable"]
    assert taken["Actual Rows"] == 20
    return int(top["Shared Hit Blocks"]) + int(top["Shared Read Blocks"])

