"""Notices that an older database has been put in the place of a newer one, and puts what may be out already in doubt.

The log cannot tell: a restored one is whole. A witness outside the database remembers the newest checkpoint; a log that
is shorter, or another one at that size, is older than what was lived through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from content_queue.audit_log import Frontier, split_leaves
from content_queue.model import Delivery, Revision
from content_queue.states import DeliveryState, RevisionState
from content_queue.store import doubting
from content_queue.store.doubting import STANDING, SUSPECT_UNTIL, get_meta, put_meta
from content_queue.store.engine import Database, LogDamaged
from content_queue.store.log import append, line
from content_queue.store.rows import DELIVERY_COLUMNS, REVISION_COLUMNS, as_delivery, as_revision
from content_queue.store.wake import wake
from content_queue.tables import deliveries, log_batches, revisions, switches

_d, _r, _b = deliveries.c, revisions.c, log_batches.c
RESTORE_LOCK = 0x60_4E_47_02  # advisory lock: one process puts things in doubt
HASH = 32  # bytes
ALL = "all"
EPOCH, RESTORED_EPOCH, MISSING = "epoch", "restored_epoch", "restored_missing"
SHOWN = 1_000  # names in one log entry


@dataclass(frozen=True, slots=True)
class Witness:
    """The newest checkpoint as somebody outside remembers it. `log` is the hash of its first entry: it names the log.
    `at` is when it was written down, microseconds."""

    log: str
    size: int
    root: str
    epoch: int
    at: int


@dataclass(frozen=True, slots=True)
class Standing:
    """An older database runs and nobody has started again. `missing` are entries of the log that are gone."""

    since: int
    missing: int


@dataclass(frozen=True, slots=True)
class Suspects:
    """What may be out already. `doubtful` are in doubt, `repeated` go on under a key that their platform knows,
    `parked` wait for a doubtful one, `unreleased` may have been released in the history that is gone."""

    since: int | None
    missing: int
    standing: bool
    doubtful: Sequence[Delivery]
    repeated: Sequence[Delivery]
    parked: Sequence[Delivery]
    unreleased: Sequence[Revision]


class Restores:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def newest(self, *, now: int) -> Witness | None:
        """What there is to be remembered; None while nothing has been sealed (since a restored database was found)."""
        return await self._db.read(_newest, now)

    async def older_than(self, witness: Witness) -> bool:
        """Whether this database has lost what the witness remembers, and nobody has dealt with it yet. The witness
        must have been read before this is asked."""
        return await self._db.read(_is_older, witness)

    async def found(self, witness: Witness, dropped: doubting.Dropped, *, now: int) -> bool:
        """Stops everything, begins a new epoch and puts what may be out in doubt, in one commit. `dropped` are
        (channel, operation) whose repeats the platform drops. False when another process was first."""
        return await self._db.write(_found, witness, dropped, now)

    async def standing(self) -> Standing | None:
        return await self._db.read(_standing)

    async def suspects(self, *, limit: int = 1_000) -> Suspects:
        return await self._db.read(_suspects, limit)


def _edge(connection: Connection) -> Any:
    return connection.execute(select(log_batches).order_by(_b.number.desc()).limit(1)).first()


def _name(connection: Connection) -> str:
    leaves = connection.execute(select(_b.leaves).where(_b.number == 1)).scalar()
    return bytes(leaves)[:HASH].hex() if leaves else ""


def _newest(connection: Connection, now: int) -> Witness | None:
    last = _edge(connection)
    if last is None:
        return None
    epoch = _epoch_of(last.checkpoint)
    if epoch < (get_meta(connection, RESTORED_EPOCH) or 0):
        return None
    root = _tree(last.frontier).root().hex()
    return Witness(_name(connection), last.first + last.count, root, epoch, now)


def _epoch_of(checkpoint: str) -> int:
    """The signature is the auditor's matter: whoever can write here can sign as well."""
    found = next((x for x in checkpoint.splitlines() if x.startswith("epoch ")), "epoch 1")
    return int(found.removeprefix("epoch "))


def _tree(frontier: bytes) -> Frontier:
    try:
        return Frontier.from_bytes(bytes(frontier))
    except ValueError as error:
        raise LogDamaged("The newest batch of the log is damaged; run gongbao verify-log.") from error


def _is_older(connection: Connection, witness: Witness) -> bool:
    if _name(connection) not in {witness.log, ""}:
        return False  # another log: a database of its own. An empty one has lost everything
    handled = get_meta(connection, RESTORED_EPOCH)
    if handled is not None and witness.epoch < handled and witness.at <= (get_meta(connection, SUSPECT_UNTIL) or 0):
        return False
    last = _edge(connection)
    size = last.first + last.count if last else 0
    if size < witness.size or (get_meta(connection, EPOCH) or 1) < witness.epoch:
        return True
    return _root_at(connection, witness.size) != witness.root


def _root_at(connection: Connection, size: int) -> str:
    """The root of the first `size` entries, from the batch that holds the last of them."""
    row = connection.execute(select(log_batches).where(_b.first < size).order_by(_b.number.desc()).limit(1)).one()
    before = connection.execute(select(_b.frontier).where(_b.number == row.number - 1)).scalar()
    tree = _tree(before) if before else Frontier()
    tree.extend(split_leaves(bytes(row.leaves)[: HASH * (size - row.first)]))
    return tree.root().hex()


def _found(connection: Connection, witness: Witness, dropped: doubting.Dropped, now: int) -> bool:
    if connection.dialect.name != "sqlite":
        connection.execute(select(func.pg_advisory_xact_lock(RESTORE_LOCK)))
    if not _is_older(connection, witness):
        return False
    last = _edge(connection)
    size = last.first + last.count if last else 0
    missing = max(witness.size - size, 0)
    epoch = max(get_meta(connection, EPOCH) or 1, witness.epoch) + 1
    until = max(witness.at, now)
    values = {EPOCH: epoch, RESTORED_EPOCH: epoch, SUSPECT_UNTIL: until, MISSING: missing, STANDING: 1}
    for key, value in values.items():
        put_meta(connection, key, value)
    connection.execute(delete(switches).where(switches.c.scope == ALL))
    connection.execute(insert(switches).values(scope=ALL, actor="system", reason=doubting.RESTORED, at=now))
    doubts = doubting.doubt(connection, _d.created_at <= until, dropped, now)
    facts: dict[str, Any] = {"witness": witness.size, "size": size, "missing": missing, "epoch": epoch}
    facts["doubtful"] = len(doubts)
    named = [x.delivery_id for x in doubts[:SHOWN]]
    stopped = line(now, "stopped", "system", ref=ALL, scope=ALL, reason=doubting.RESTORED)
    append(connection, [line(now, "restored", "system", ref="log", suspects=named, **facts), stopped, *doubts])
    wake(connection)
    return True


def _standing(connection: Connection) -> Standing | None:
    if not get_meta(connection, STANDING):
        return None
    return Standing(get_meta(connection, SUSPECT_UNTIL) or 0, get_meta(connection, MISSING) or 0)


def _suspects(connection: Connection, limit: int) -> Suspects:
    until = get_meta(connection, SUSPECT_UNTIL)

    def look(*wanted: Any) -> list[Delivery]:
        q = select(*DELIVERY_COLUMNS).where(*wanted).order_by(_d.id).limit(limit)
        return [as_delivery(r) for r in connection.execute(q)]

    if until is None:
        return Suspects(None, 0, False, (), (), (), ())
    waiting = (_d.state == DeliveryState.WAITING, _d.doubted, _d.created_at <= until)
    marked = _d.reason.in_(doubting.DOUBTED)
    return Suspects(
        since=until,
        missing=get_meta(connection, MISSING) or 0,
        standing=bool(get_meta(connection, STANDING)),
        doubtful=look(_d.state == DeliveryState.IN_DOUBT, marked),
        repeated=look(*waiting, _d.after_id.is_(None)),
        parked=look(*waiting, _d.after_id.is_not(None)),
        unreleased=_unreleased(connection, until, limit),
    )


def _unreleased(connection: Connection, until: int, limit: int) -> list[Revision]:
    open_states = (RevisionState.DRAFT, RevisionState.HELD, RevisionState.APPROVED, RevisionState.WITHDRAWN)
    q = select(*REVISION_COLUMNS)
    q = q.where(_r.state.in_(open_states), _r.released_at.is_(None), _r.created_at <= until)
    return [as_revision(row) for row in connection.execute(q.order_by(_r.id).limit(limit))]

