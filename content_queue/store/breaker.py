"""The breaker and the health of accounts: kept beside the deliveries, moved in the transactions that move them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, and_, or_, select, text, update
from sqlalchemy.engine import Row

from content_queue import breaker
from content_queue.breaker import Sign
from content_queue.model import Claimed, Outcome
from content_queue.store.log import Line, line
from content_queue.store.wake import wake
from content_queue.tables import channels, deliveries

_c, _d = channels.c, deliveries.c
STAMP_EVERY = 60_000_000  # how exact ok_at, failed_at and visible_at are: a row is not written for each delivery

# One statement a batch: of accounts that are well, only the rows whose times are older than that are read.
_LOOK = (
    "SELECT name, failures, failing_since, probe_at, ok_at, visible_at FROM channels WHERE name {silent}"
    " OR (name {spoke} AND (failures > 0 OR coalesce(failed_at, 0) < :stale))"
    " OR (name {well} AND (failures > 0 OR coalesce(ok_at, 0) < :stale))"
    " OR (name {seen} AND coalesce(visible_at, 0) < :stale) ORDER BY name"
)
_GROUPS = ("silent", "spoke", "well", "seen")
_SQLITE_LOOK = text(_LOOK.format(**{g: f"IN (SELECT value FROM json_each(:{g}))" for g in _GROUPS}))  # noqa: S608
_PG_LOOK = text(_LOOK.format(**{g: f"= ANY(CAST(:{g} AS text[]))" for g in _GROUPS}) + " FOR UPDATE")


@dataclass(slots=True)
class _Told:
    """What one batch of outcomes tells of one account."""

    silent: int = 0
    answered: bool = False
    well: bool = False
    visible: bool = False
    probed: bool = False
    probe_failed: bool = False
    reason: str = ""


def record(
    connection: Connection, outcomes: Iterable[Outcome], now: int, chance: Callable[[], float]
) -> list[Line]:
    """Moves the accounts of these outcomes; the entries to append (when a breaker opens or closes)."""
    told = _told(outcomes)
    if not told:
        return []
    lines: list[Line] = []
    plain: list[str] = []
    for row in _rows(connection, told, now):
        here = told[row.name]
        if row.failures or here.silent:
            lines += _move(connection, row, here, now, chance)
        else:
            plain.append(row.name)
    _stamp(connection, {n: told[n] for n in plain}, now)
    if lines:
        wake(connection)
    return lines


def _told(outcomes: Iterable[Outcome]) -> dict[str, _Told]:
    told: dict[str, _Told] = {}
    for o in outcomes:
        if o.sign is Sign.NONE and not o.probe:
            continue
        here = told.setdefault(o.channel, _Told())
        here.silent += o.sign is Sign.SILENT
        here.well |= o.sign is Sign.WELL
        here.answered |= o.sign in (Sign.WELL, Sign.SPEAKS)
        here.visible |= o.visible
        here.probed |= o.probe
        here.probe_failed |= o.probe and o.sign is Sign.SILENT
        here.reason = o.reason if o.sign is Sign.SILENT else here.reason
    return told


def _rows(connection: Connection, told: Mapping[str, _Told], now: int) -> Sequence[Row[Any]]:
    groups = {
        "silent": [n for n, t in told.items() if t.silent or t.probed],
        "spoke": [n for n, t in told.items() if t.answered and not t.well],
        "well": [n for n, t in told.items() if t.well],
        "seen": [n for n, t in told.items() if t.visible],
    }
    sqlite = connection.dialect.name == "sqlite"
    facts = {g: orjson.dumps(names).decode() if sqlite else names for g, names in groups.items()}
    found = connection.execute(_SQLITE_LOOK if sqlite else _PG_LOOK, {**facts, "stale": now - STAMP_EVERY})
    return found.all()


def _move(
    connection: Connection, row: Row[Any], here: _Told, now: int, chance: Callable[[], float]
) -> list[Line]:
    """An account that fails or failed. An answer in the batch outweighs the silence beside it."""
    values: dict[str, Any] = {"ok_at": now} if here.well else {"failed_at": now} if here.silent else {}
    values |= {"visible_at": now} if here.visible else {}
    lines: list[Line] = []
    was, facts = breaker.is_open(row.failures), {"ref": f"channel:{row.name}", "channel": row.name}
    if here.answered:
        values |= {"failures": 0, "failing_since": None, "probe_at": 0}
        if was:
            lines = [line(now, "breaker_closed", "system", **facts, since=row.failing_since)]
    elif here.silent:
        failures = breaker.after(row.failures, here.silent, probed=here.probe_failed)
        values |= {"failures": failures, "failing_since": row.failing_since or now}
        if failures != row.failures and breaker.is_open(failures):
            values["probe_at"] = now + breaker.wait(failures, chance)
        if breaker.is_open(failures) and not was:
            said = {"failures": failures, "reason": here.reason, "probe": values["probe_at"]}
            lines = [line(now, "breaker_opened", "system", **facts, **said)]
    elif was:  # a probe that told nothing: the next may go at once
        values["probe_at"] = now
    if values:
        connection.execute(update(channels).where(_c.name == row.name).values(**values))
    return lines


def _stamp(connection: Connection, told: Mapping[str, _Told], now: int) -> None:
    for column, names in (
        ("ok_at", [n for n, t in told.items() if t.well]),
        ("failed_at", [n for n, t in told.items() if t.answered and not t.well]),
        ("visible_at", [n for n, t in told.items() if t.visible]),
    ):
        if names:
            connection.execute(update(channels).where(_c.name.in_(names)).values({column: now}))


def visible(connection: Connection, name: str, operation: str, now: int) -> None:
    """A post was seen on the platform, by a look or by a person."""
    if operation != "recall":
        stale = or_(_c.visible_at.is_(None), _c.visible_at < now)
        connection.execute(update(channels).where(_c.name == name, stale).values(visible_at=now))


def ready_to_probe(connection: Connection, names: Sequence[str], now: int) -> set[str]:
    """Those of the open ones that may probe now; they stay locked until the claim is committed. One that another
    worker is looking at, or of which something is still under way, is passed over."""
    if not names:
        return set()
    wanted = and_(_c.name.in_(names), _c.failures >= breaker.FAILURES, _c.probe_at <= now)
    q = select(_c.name).where(wanted).order_by(_c.name).with_for_update(skip_locked=True)
    found = set(connection.execute(q).scalars())
    if not found:
        return set()
    under_way = select(_d.channel).where(_d.token.is_not(None), _d.channel.in_(found)).distinct()
    return found - set(connection.execute(under_way).scalars())


def probing(connection: Connection, names: Iterable[str], until: int) -> None:
    """Their probes are in a worker's hand: no other before `until`."""
    if names := sorted(names):
        connection.execute(update(channels).where(_c.name.in_(names)).values(probe_at=until))


def given_back(connection: Connection, claims: Iterable[Claimed], now: int) -> None:
    """Probes that never left: the next may go at once."""
    names = sorted({c.channel for c in claims if c.probe})
    if names:
        still_open = and_(_c.name.in_(names), _c.failures >= breaker.FAILURES)
        connection.execute(update(channels).where(still_open).values(probe_at=now))
