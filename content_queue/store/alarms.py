"""Incidents, and the outbox of what operators are told about them.

An incident and its notices are written in one commit, and the database allows one open incident of a key: however
often something is found wrong, and by however many processes, it is told once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection, delete, func, insert, select, update

from content_queue.model import PARKED
from content_queue.store.engine import Database
from content_queue.store.log import append, line
from content_queue.store.rows import insert_or_skip
from content_queue.store.turns import holds
from content_queue.tables import incidents, meta, notices

TURN = "alarms"
DIGEST = "digest"
OPENED, WORSE, REMINDER, CLEARED = "opened", "worse", "reminder", "cleared"
NOBODY = "system"
KEPT_DAYS = 90  # notices; the incidents themselves stay
DAY = 86_400_000_000

_i, _n = incidents.c, notices.c


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that is wrong now. `key` names it; `level` rises as it grows worse, and every rise is told.

    `remind_every` is microseconds between reminders, `reminders` how many there are at most; None: only the digest.
    """

    key: str
    kind: str
    severity: str
    facts: Mapping[str, Any]
    level: int = 0
    remind_every: int | None = None
    reminders: int = 0


@dataclass(frozen=True, slots=True)
class Incident:
    """What was wrong from `opened_at` to `closed_at` (None: it still is); last seen so at `seen_at`."""

    id: int
    key: str
    kind: str
    severity: str
    facts: Mapping[str, Any]
    opened_at: int
    seen_at: int
    closed_at: int | None = None
    level: int = 0
    reminders: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to one target. `attempts` counts those begun; `due_at` is when it may be sent (again)."""

    id: int
    target: str
    kind: str
    body: str
    created_at: int
    due_at: int
    attempts: int
    sent_at: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """What one evaluation changed: what is told of (`opened` ...) -> incidents."""

    told: Mapping[str, tuple[Incident, ...]] = field(default_factory=dict)


# What is told of, and the incidents -> (target, body) of each message.
Tell = Callable[[str, Sequence[Incident]], Sequence[tuple[str, str]]]


class Alarms:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def settle(
        self,
        found: Sequence[Alarm],
        *,
        kinds: Collection[str],
        tell: Tell,
        turn: int,
        now: int,
        calm: int,
        digest_at: int | None,
    ) -> Settled | None:
        """Opens, worsens, reminds and closes in one commit, with the log entries and the notices.

        `kinds` are those that were looked at: an open incident of one of them that was not found for `calm`
        microseconds is closed. `digest_at` is the newest moment at which a digest was due. None, and nothing is
        changed, when the turn (`Turns.take`, `TURN`) that ends at `turn` has passed to another process.
        """
        return await self._db.write(_settle, tuple(found), frozenset(kinds), tell, turn, now, calm, digest_at)

    async def open(self) -> list[Incident]:
        """Oldest first."""
        q = select(incidents).where(_i.closed_at.is_(None)).order_by(_i.opened_at, _i.id)
        return await self._db.read(lambda c: [_incident(row) for row in c.execute(q)])

    async def recent(self, *, limit: int = 20) -> list[Incident]:
        """Closed ones, newest first."""
        q = select(incidents).where(_i.closed_at.is_not(None)).order_by(_i.id.desc()).limit(limit)
        return await self._db.read(lambda c: [_incident(row) for row in c.execute(q)])

    async def counts(self) -> dict[tuple[str, str], int]:
        """(kind, severity) -> open incidents."""
        q = select(_i.kind, _i.severity, func.count()).where(_i.closed_at.is_(None)).group_by(_i.kind, _i.severity)
        return await self._db.read(lambda c: {(r[0], r[1]): int(r[2]) for r in c.execute(q)})

    async def take(self, names: Sequence[str], *, now: int, until: int, limit: int = 20) -> list[Notice]:
        """Notices of these targets that are due, oldest first. Nobody else sends them before `until`."""
        return await self._db.write(_take, tuple(names), now, until, limit)

    async def next_due(self, names: Sequence[str]) -> int | None:
        q = select(func.min(_n.due_at)).where(_n.sent_at.is_(None), _n.target.in_(names))
        return await self._db.read(lambda c: c.execute(q).scalar())

    async def sent(self, notice: Notice, *, now: int) -> bool:
        """False when somebody else took it meanwhile."""
        return await self._db.write(_end, notice, {"sent_at": now, "reason": ""})

    async def not_sent(self, notice: Notice, *, reason: str, due_at: int | None) -> bool:
        """`due_at` None: it is given up, and stays listed."""
        return await self._db.write(_end, notice, {"due_at": PARKED if due_at is None else due_at, "reason": reason})

    async def undelivered(self, *, limit: int = 50) -> list[Notice]:
        """Those that wait or were given up, newest first."""
        q = select(notices).where(_n.sent_at.is_(None)).order_by(_n.id.desc()).limit(limit)
        return await self._db.read(lambda c: [_notice(row) for row in c.execute(q)])


def _settle(
    connection: Connection,
    found: tuple[Alarm, ...],
    kinds: frozenset[str],
    tell: Tell,
    turn: int,
    now: int,
    calm: int,
    digest_at: int | None,
) -> Settled | None:
    if not holds(connection, TURN, turn):
        return None
    here = {i.key: i for i in _open(connection)}
    told: dict[str, list[Incident]] = {OPENED: [], WORSE: [], REMINDER: [], CLEARED: []}
    for alarm in {a.key: a for a in found}.values():
        known = here.get(alarm.key)
        event = _raise(connection, alarm, now) if known is None else _renew(connection, known, alarm, now)
        if event:
            told[event].append(_by_key(connection, alarm.key))
    keys = {a.key for a in found}
    for incident in here.values():
        if incident.kind in kinds and incident.key not in keys and now - incident.seen_at >= calm:
            told[CLEARED].append(_close(connection, incident, now))
    if digest_at is not None and _digest_due(connection, digest_at) and (still := _open(connection)):
        told[DIGEST] = still
    for event, which in told.items():
        if which:
            _write(connection, event, tell(event, which), now)
    connection.execute(delete(notices).where(_n.created_at < now - KEPT_DAYS * DAY))
    return Settled({event: tuple(which) for event, which in told.items() if which})


def _open(connection: Connection) -> list[Incident]:
    q = select(incidents).where(_i.closed_at.is_(None)).order_by(_i.opened_at, _i.id)
    return [_incident(row) for row in connection.execute(q)]


def _by_key(connection: Connection, key: str) -> Incident:
    return _incident(connection.execute(select(incidents).where(_i.key == key, _i.closed_at.is_(None))).one())


def _raise(connection: Connection, alarm: Alarm, now: int) -> str | None:
    values = {"key": alarm.key, "kind": alarm.kind, "severity": alarm.severity, "level": alarm.level}
    remind_at = None if alarm.remind_every is None else now + alarm.remind_every
    times = {"opened_at": now, "seen_at": now, "remind_at": remind_at}
    if not insert_or_skip(connection, incidents, **values, **times, facts=_json(alarm.facts)):
        return None
    _log(connection, "alarm_raised", _by_key(connection, alarm.key), now)
    return OPENED


def _renew(connection: Connection, known: Incident, alarm: Alarm, now: int) -> str | None:
    """It is still wrong; worse, or time for a reminder."""
    values: dict[str, Any] = {"seen_at": max(now, known.seen_at), "facts": _json(alarm.facts)}
    event = None
    if alarm.level > known.level:
        event = WORSE
        values |= {"level": alarm.level, "severity": alarm.severity}
    elif alarm.remind_every is not None and known.reminders < alarm.reminders:
        due = connection.execute(select(_i.remind_at).where(_i.id == known.id)).scalar()
        if due is not None and due <= now:
            event = REMINDER
            values |= {"reminders": known.reminders + 1, "remind_at": now + alarm.remind_every}
    connection.execute(update(incidents).where(_i.id == known.id).values(**values))
    if event is WORSE:
        _log(connection, "alarm_worse", _by_key(connection, alarm.key), now)
    return event


def _close(connection: Connection, incident: Incident, now: int) -> Incident:
    connection.execute(update(incidents).where(_i.id == incident.id).values(closed_at=now))
    _log(connection, "alarm_cleared", incident, now)
    return _incident(connection.execute(select(incidents).where(_i.id == incident.id)).one())


def _digest_due(connection: Connection, at: int) -> bool:
    """Once for each moment. The first service start only remembers: what it finds is told by itself."""
    if insert_or_skip(connection, meta, key=DIGEST, value=at):
        return False
    newer = update(meta).where(meta.c.key == DIGEST, meta.c.value < at).values(value=at)
    return connection.execute(newer).rowcount == 1


def _write(connection: Connection, event: str, messages: Sequence[tuple[str, str]], now: int) -> None:
    rows = [{"target": t, "kind": event, "body": body, "created_at": now, "due_at": now} for t, body in messages]
    if rows:
        connection.execute(insert(notices), rows)


def _log(connection: Connection, kind: str, incident: Incident, now: int) -> None:
    facts: dict[str, Any] = {"about": incident.kind, "key": incident.key, "severity": incident.severity}
    append(connection, [line(now, kind, NOBODY, ref=f"incident:{incident.id}", **facts)])


def _take(connection: Connection, names: tuple[str, ...], now: int, until: int, limit: int) -> list[Notice]:
    due = (
        select(_n.id)
        .where(_n.sent_at.is_(None), _n.due_at <= now, _n.target.in_(names))
        .order_by(_n.due_at, _n.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(connection.execute(due).scalars())
    if not ids:
        return []
    connection.execute(update(notices).where(_n.id.in_(ids)).values(due_at=until, attempts=_n.attempts + 1))
    return [_notice(row) for row in connection.execute(select(notices).where(_n.id.in_(ids)).order_by(_n.id))]


def _end(connection: Connection, notice: Notice, values: Mapping[str, Any]) -> bool:
    mine = (_n.id == notice.id, _n.attempts == notice.attempts, _n.sent_at.is_(None))
    return connection.execute(update(notices).where(*mine).values(**values)).rowcount == 1


def _incident(row: Any) -> Incident:
    return Incident(
        id=row.id,
        key=row.key,
        kind=row.kind,
        severity=row.severity,
        facts=json.loads(row.facts),
        opened_at=row.opened_at,
        seen_at=row.seen_at,
        closed_at=row.closed_at,
        level=row.level,
        reminders=row.reminders,
    )


def _notice(row: Any) -> Notice:
    return Notice(**row._mapping)


def _json(facts: Mapping[str, Any]) -> str:
    return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode()
