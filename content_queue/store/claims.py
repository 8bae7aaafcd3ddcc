"""Claiming: what may go now, from which accounts, and how much of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection, select

from content_queue.breaker import FAILURES
from content_queue.model import Claimed
from content_queue.store import breaker, dialects, fanout, quotas, strays
from content_queue.store.channels import stopped_scopes
from content_queue.store.dialects import Claim, ClaimedRow
from content_queue.store.log import append, line
from content_queue.store.rows import as_claimed
from content_queue.tables import channels, deliveries

_c, _d = channels.c, deliveries.c


def claim(
    connection: Connection, rooms: dict[str, int], rules: quotas.Rules, worker: str, asked: Claim
) -> list[Claimed]:
    """`rooms` and `rules` (quotas) are by channel."""
    stopped = stopped_scopes(connection)
    if "all" in stopped:
        return []
    shut, silent = _unfit(connection, stopped, asked.now)
    probes = breaker.ready_to_probe(connection, [n for n in silent if rooms.get(n, 0) > 0], asked.now)
    rooms = {n: 1 if n in probes else r for n, r in rooms.items() if r > 0 and n not in shut | (silent - probes)}
    if not rooms:
        return []
    columns = [s.removeprefix("column:") for s in stopped if s.startswith("column:")]
    spent = quotas.budget(connection, rooms, rules, asked.now)
    rows = _rows(connection, rooms, rules, spent, asked._replace(stopped=columns))
    if not rows:
        return []
    breaker.probing(connection, probes & {r.channel for r, _ in rows}, asked.lease)
    quotas.count(connection, spent, asked.now)
    ids = sorted(r.id for r, _ in rows)
    append(connection, [line(asked.now, "claimed", worker, ref=asked.token, deliveries=ids)])
    bases = _bases(connection, [r.basis_id for r, _ in rows if r.basis_id is not None])
    shown = _shown(connection, [r for r, _ in rows])
    made = [
        _claimed(r, asked, bases, r.channel in probes, spent.slices(r.channel, counted, asked.now), spent)
        for r, counted in rows
    ]
    made = [replace(c, shown=shown.get((c.item_id, c.channel), ())) if c.operation == "recall" else c for c in made]
    return strays.with_places(connection, strays.with_strays(connection, made))


def _requests(row: ClaimedRow, shown: Shown) -> int:
    """Where corrections are posts of their own, a recall takes down each of them."""
    return max(len(shown.get((row.item_id, row.channel), ())), 1) if row.operation == "recall" else 1


def _unfit(connection: Connection, stopped: set[str], now: int) -> tuple[set[str], set[str]]:
    """Channels that may not be claimed from, and those that give no answers."""
    kept = _c.paused | _c.closed | (_c.held_until > now)
    rows = connection.execute(select(_c.name, kept.label("kept")).where(kept | (_c.failures >= FAILURES))).all()
    shut = {s.removeprefix("channel:") for s in stopped if s.startswith("channel:")}
    return shut | {r.name for r in rows if r.kept}, {r.name for r in rows if not r.kept}


def _rows(
    connection: Connection, rooms: dict[str, int], rules: quotas.Rules, spent: quotas.Budget, asked: Claim
) -> list[tuple[ClaimedRow, tuple[str, ...]]]:
    """What is taken, each with the quotas that count it."""
    free = {name: room for name, room in rooms.items() if not rules.get(name)}
    found: list[tuple[ClaimedRow, tuple[str, ...]]] = []
    if free:
        found = [(row, ()) for row in dialects.claim(connection, free, asked)]
    for operation in quotas.FIRST_TO_LAST if spent.rooms else ():
        if room := spent.may_take(operation):
            rows = dialects.claim(connection, room, asked, operation)
            shown = _shown(connection, rows)
            found += [(row, spent.take(row.channel, operation, _requests(row, shown))) for row in rows]
    return found


Shown = Mapping[tuple[str, str], tuple[tuple[str, str], ...]]


def _shown(connection: Connection, rows: Sequence[ClaimedRow]) -> Shown:
    return fanout.receipts(connection, [r.item_id for r in rows if r.operation == "recall"])


def _claimed(
    r: ClaimedRow,
    asked: Claim,
    bases: dict[int, tuple[str, str]],
    probe: bool,
    counted: tuple[tuple[str, int], ...],
    spent: quotas.Budget,
) -> Claimed:
    leave_by = spent.leave_by(r.channel, asked.now) if counted else None
    basis = bases.get(r.basis_id) if r.basis_id is not None else None
    return as_claimed(r, basis, token=asked.token, probe=probe, counted=counted, leave_by=leave_by)


def _bases(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    if not ids:
        return {}
    q = select(_d.id, _d.remote_id, _d.url).where(_d.id.in_(ids))
    return {r.id: (r.remote_id, r.url) for r in connection.execute(q)}
