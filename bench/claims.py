"""What a claim costs while a thousand, a hundred thousand and a million deliveries wait: it should not grow.

The rows are made in bulk, through the product's own tables. Each round claims 100 deliveries (2 of each of 50
channels) and then defers them to the end of the queue, so that the number waiting stays the same and every round
meets other rows. `python -m bench.claims` prints what one claimed delivery costs.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import BigInteger, Connection, Select, Table, Text, cast, func, insert, literal, select, text, true

from bench.webhooks import _queue as release_some
from bench.webhooks import databases
from content_queue.model import Claimed, Outcome
from content_queue.states import DeliveryEvent, DeliveryState
from content_queue.store import Store
from content_queue.tables import channels, deliveries, fanouts, items, revisions

SIZES = (1_000, 100_000, 1_000_000)
CHANNELS = tuple(f"hook{n:02}" for n in range(50))
ROOMS = dict.fromkeys(CHANNELS, 2)
BATCH = sum(ROOMS.values())
ROUNDS = 80
WARM_UP = 10  # rounds that are not counted: statements are compiled, pages are read
PATIENCE, FEWEST = 30.0, 5  # seconds for the rounds of one size; a claim that is slow is known after a few
BASE = 1_767_225_600_000_000  # microseconds; every delivery is due between here and NOW
NOW = BASE + 10**12


def _numbers(connection: Connection, first: int, last: int) -> Select[Any]:
    """first, first + 1, ... last as the column `n`."""
    if connection.dialect.name == "postgresql":
        return select(func.generate_series(first, last).label("n"))
    one = select(literal(first).label("n")).cte("numbers", recursive=True)
    every = one.union_all(select(one.c.n + 1).where(one.c.n < last))
    return select(every.c.n)


def fill(connection: Connection, first: int, last: int) -> None:
    """Items `first` to `last`, like the one that is there: released to every channel, waiting, in balanced books."""
    n = _numbers(connection, first, last).subquery().c.n
    name, at = literal("item-", Text) + cast(n, Text), literal(BASE, BigInteger) + n
    _copy(connection, items, {"id": name, "created_at": at})
    _copy(connection, revisions, {"item_id": name, "created_at": at})
    r = revisions.c
    new = r.created_at.between(BASE + first, BASE + last)
    of_it = {"item_id": r.item_id, "revision_id": r.id}
    _copy(connection, fanouts, {**of_it, "at": r.created_at}, new)
    waiting = {**of_it, "channel": channels.c.name, "due_at": r.created_at, "created_at": r.created_at}
    _copy(connection, deliveries, waiting, new, revisions.join(channels, true()))


def _copy(
    connection: Connection, table: Table, changed: Mapping[str, Any], where: Any = None, source: Any = None
) -> None:
    """Many rows like the first one of the table; numbered by the database, unless `changed` says how."""
    like = connection.execute(select(table).limit(1)).one()._mapping
    values = {c.name: changed.get(c.name, literal(like[c.name], c.type)) for c in table.c}
    if "id" not in changed:
        del values["id"]
    rows = select(*values.values())
    rows = rows if source is None else rows.select_from(source)
    connection.execute(insert(table).from_select(list(values), rows if where is None else rows.where(where)))


def _look_over(connection: Connection) -> None:
    """What PostgreSQL does by itself within a minute of such growth."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("ANALYZE"))


def _deferred(claim: Claimed, due: int) -> Outcome:
    return Outcome(
        delivery_id=claim.id,
        token=claim.token,
        item_id=claim.item_id,
        channel=claim.channel,
        events=(DeliveryEvent.START, DeliveryEvent.DEFER),
        state=DeliveryState.WAITING,
        at=NOW,
        counted=True,
        due_at=due,
        reason="bench",
    )


async def _round(store: Store, number: int) -> tuple[float, float]:
    """Seconds for the claim and for the record, each with its commit."""
    token = f"round-{number}"
    began = time.perf_counter()
    got = await store.deliveries.claim(ROOMS, token=token, worker="bench", now=NOW, lease=NOW + 10**9)
    claimed = time.perf_counter()
    assert len(got) == BATCH, f"{len(got)} of {BATCH} were claimed"
    later = [_deferred(claim, BASE + 10**9 + number) for claim in got]
    asked = time.perf_counter()
    moved = await store.deliveries.record(later, holds={}, now=NOW)
    recorded = time.perf_counter()
    assert len(moved) == BATCH
    return claimed - began, recorded - asked


async def _rounds(store: Store, number: int, rounds: int) -> list[tuple[float, float]]:
    """`rounds` of them, or as many as the patience allows."""
    for n in range(WARM_UP):
        await _round(store, number + n)
    times: list[tuple[float, float]] = []
    began = time.perf_counter()
    while len(times) < rounds and (len(times) < FEWEST or time.perf_counter() - began < PATIENCE):
        times.append(await _round(store, number + WARM_UP + len(times)))
    return times


async def _measure(address: str, sizes: Sequence[int], rounds: int) -> list[dict[str, Any]]:
    store = Store(address, key=Ed25519PrivateKey.generate(), origin="bench")
    await store.migrate(now=0)
    await release_some(store, list(CHANNELS), items=1, run=0)  # the first item; all others are like it
    write = store._db.write
    rows, filled, number = [], 1, 0
    try:
        for size in sizes:
            began = time.perf_counter()
            await write(fill, filled + 1, size // len(CHANNELS))
            await write(_look_over)
            filled, fill_seconds = size // len(CHANNELS), time.perf_counter() - began
            times = await _rounds(store, number, rounds)
            number += WARM_UP + rounds
            books = await store.deliveries.books()
            assert books.waiting == books.accepted == filled * len(CHANNELS)
            rows.append(_row(books.waiting, times, fill_seconds))
    finally:
        await store.close()
    return rows


def _row(waiting: int, times: Sequence[tuple[float, float]], fill_seconds: float) -> dict[str, Any]:
    per_delivery = 1e6 / BATCH
    claims = sorted(claim for claim, _ in times)
    return {
        "waiting": waiting,
        "claim_us": statistics.median(claims) * per_delivery,
        "claim_p90_us": claims[len(claims) * 9 // 10] * per_delivery,
        "record_us": statistics.median(record for _, record in times) * per_delivery,
        "process_bytes": psutil.Process().memory_info().rss,
        "fill_seconds": fill_seconds,
    }


def run(sizes: Sequence[int] = SIZES, rounds: int = ROUNDS) -> dict[str, list[dict[str, Any]]]:
    """Database -> one row a size, smallest first; microseconds are per delivery, commit included."""
    with tempfile.TemporaryDirectory(prefix="gongbao-bench-") as folder, databases(Path(folder)) as found:
        return {name: uvloop.run(_measure(address, sizes, rounds)) for name, (address, _) in found.items()}


def main() -> None:
    for name, rows in run().items():
        print(name)
        for row in rows:
            print(
                f"{row['waiting']:>11,} waiting: claim {row['claim_us']:7.1f} us (p90 {row['claim_p90_us']:7.1f}), "
                f"record {row['record_us']:7.1f} us, {row['process_bytes'] / 2**20:6.0f} MiB, "
                f"filled in {row['fill_seconds']:.1f} s"
            )


if __name__ == "__main__":
    main()
