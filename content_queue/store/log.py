"""The audit log in the database: entries committed with the change they describe, sealed into signed batches.

Entries are ordered by (tx, id). On SQLite there is one writer, tx is 0 and ids follow commits. On PostgreSQL tx is
the transaction's own number (plus an offset that survives a restored dump); the sequencer takes only entries
whose transaction is older than every open one, so no entry can appear behind the sealed edge later.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import Connection, and_, func, insert, or_, select, text, tuple_

from content_queue.audit_log import BatchRow, Checkpoint, EntryRow, Frontier, seal
from content_queue.model import Entry
from content_queue.store import log_key
from content_queue.store.dialects import records, sqlite_rows
from content_queue.store.engine import Database, LogDamaged
from content_queue.tables import deliveries, log_batches, log_entries, meta

SEAL_LIMIT = 20_000  # entries in one batch; bounds memory and the length of the sealing transaction
SEAL_LOCK = 0x60_4E_47_01  # advisory lock: one sequencer at a time

_INSERT_SQLITE = (
    "INSERT INTO log_entries (at, kind, actor, item_id, delivery_id, ref, body, tx)"
    " SELECT column1, column2, column3, column4, column5, column6, column7, 0 FROM (VALUES {rows})"
)
_INSERT_PG = text(
    "INSERT INTO log_entries (tx, at, kind, actor, item_id, delivery_id, ref, body) "
    "SELECT pg_current_xact_id()::text::bigint + coalesce((SELECT value FROM meta WHERE key = 'tx_offset'), 0), "
    "at, kind, actor, item, delivery, ref, body FROM json_to_recordset(CAST(:rows AS json)) "
    "AS v(at bigint, kind text, actor text, item text, delivery bigint, ref text, body text)"
)


T = TypeVar("T")

_FIELDS = ("at", "kind", "actor", "item", "delivery", "ref", "body")


def _encode(facts: Mapping[str, Any]) -> str:
    return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode()



@dataclass(frozen=True, slots=True)
class Line:
    """An entry before it is stored."""

    at: int
    kind: str
    actor: str
    item_id: str | None
    delivery_id: int | None
    ref: str | None
    body: str


def line(
    at: int,
    kind: str,
    actor: str,
    *,
    item: str | None = None,
    delivery: int | None = None,
    ref: str | None = None,
    **facts: Any,
) -> Line:
    return Line(at, kind, actor, item, delivery, ref, _encode(facts))


def append(connection: Connection, lines: Sequence[Line]) -> None:
    """Adds entries inside the caller's transaction."""
    if not lines:
        return
    rows = [(x.at, x.kind, x.actor, x.item_id, x.delivery_id, x.ref, x.body) for x in lines]
    if connection.dialect.name == "sqlite":
        sqlite_rows(connection.connection.cursor(), _INSERT_SQLITE, rows)
        return
    connection.execute(_INSERT_PG, {"rows": records(_FIELDS, rows)})


def _entry(row: Any) -> Entry:
    return Entry(row.tx, row.id, row.at, row.kind, row.actor, row.item_id, row.delivery_id, row.ref, row.body)


class AuditLog:
    def __init__(self, db: Database, *, origin: str, key: Ed25519PrivateKey | None) -> None:
        self._db = db
        self._origin = origin
        self._key = key

    def seal_with(self, key: Ed25519PrivateKey | None) -> None:
        """From now on this process may seal (None: it may not)."""
        self._key = key

    async def key(self) -> bytes | None:
        """The public key that this log is sealed with (32 bytes); None when nobody has said one."""
        return await self._db.read(log_key.known)

    async def claim_key(self, key: Ed25519PublicKey) -> bytes:
        """Says that the log is sealed with `key`; returns the key that holds. A log whose checkpoints another key has
        signed is not claimed: then some other key is returned as holding (of zeros when it is not known)."""
        newest = await self.checkpoint()
        if newest is not None:
            try:
                Checkpoint.open(newest, key)
            except ValueError:
                return await self.key() or bytes(32)
        return await self._db.write(log_key.claim, key.public_bytes_raw())

    async def append(self, lines: Sequence[Line]) -> None:
        await self._db.write(append, lines)

    async def seal(self, *, now: int) -> int:
        """Seals finished entries into one signed batch; returns how many. 0 when another process is at it.

        Raises `LogDamaged` when the newest batch is not the one that was signed.
        """
        return await self._db.write(self._seal, now)

    def _seal(self, connection: Connection, now: int) -> int:
        if self._key is None:
            return 0
        pg = connection.dialect.name != "sqlite"
        if pg and not connection.execute(select(func.pg_try_advisory_xact_lock(SEAL_LOCK))).scalar_one():
            return 0
        last = connection.execute(select(log_batches).order_by(log_batches.c.number.desc()).limit(1)).first()
        edge = (last.last_tx, last.last_id) if last else (-1, -1)
        rows = connection.execute(_unsealed(connection, edge)).all()
        if not rows:
            return 0
        epoch = _meta(connection, "epoch", 1)
        sealed = seal(
            _edge_of_tree(last, self._key.public_key()) if last else Frontier(),
            rows,
            origin=self._origin,
            key=self._key,
            at=now,
            epoch=epoch,
        )
        connection.execute(
            insert(log_batches).values(
                number=last.number + 1 if last else 1,
                first=last.first + last.count if last else 0,
                count=len(rows),
                last_tx=rows[-1].tx,
                last_id=rows[-1].id,
                leaves=sealed.leaves,
                frontier=sealed.frontier.to_bytes(),
                checkpoint=sealed.checkpoint,
            )
        )
        return len(rows)

    async def checkpoint(self) -> str | None:
        """The newest signed checkpoint, as text."""
        newest = select(log_batches.c.checkpoint).order_by(log_batches.c.number.desc()).limit(1)
        return await self._db.read(lambda c: c.execute(newest).scalar())

    async def unsealed(self) -> int:
        """How many entries wait to be sealed (a lower bound while transactions are open)."""

        def count(connection: Connection) -> int:
            last = connection.execute(
                select(log_batches.c.last_tx, log_batches.c.last_id)
                .order_by(log_batches.c.number.desc())
                .limit(1)
            ).first()
            edge = (last.last_tx, last.last_id) if last else (-1, -1)
            return int(
                connection.execute(
                    select(func.count()).select_from(log_entries).where(_behind(connection, edge))
                ).scalar_one()
            )

        return await self._db.read(count)

    async def of_item(self, item_id: str, *, limit: int = 500) -> list[Entry]:
        """Entries of an item and of its deliveries, oldest first."""
        c = log_entries.c
        own = select(log_entries).where(c.item_id == item_id, c.delivery_id.is_(None))
        made = select(deliveries.c.id).where(deliveries.c.item_id == item_id)
        sent = select(log_entries).where(c.delivery_id.in_(made))

        def look(connection: Connection) -> list[Entry]:
            rows = [*connection.execute(own.limit(limit)), *connection.execute(sent.limit(limit))]
            return sorted((_entry(r) for r in rows), key=lambda e: e.id)[:limit]

        return await self._db.read(look)

    async def of_delivery(self, delivery_id: int, item_id: str) -> list[Entry]:
        """A delivery's own entries, the claims they name and the fan-out that made it, oldest first."""

        def look(connection: Connection) -> list[Entry]:
            own = connection.execute(select(log_entries).where(log_entries.c.delivery_id == delivery_id)).all()
            tokens = {r.ref for r in own if r.ref} | _live_tokens(connection, delivery_id)
            also = connection.execute(
                select(log_entries).where(
                    log_entries.c.delivery_id.is_(None),
                    or_(
                        and_(log_entries.c.ref.in_(tokens), log_entries.c.kind == "claimed"),
                        and_(
                            log_entries.c.item_id == item_id,
                            log_entries.c.kind.in_(("released", "recalled")),
                        ),
                    ),
                )
            ).all()
            rows = [*own, *(r for r in also if _mentions(r, delivery_id))]
            return sorted((_entry(r) for r in rows), key=lambda e: e.id)

        return await self._db.read(look)

    async def recent(self, *, limit: int = 100, kind: str | None = None) -> list[Entry]:
        """The newest entries, oldest first."""
        q = select(log_entries).order_by(log_entries.c.tx.desc(), log_entries.c.id.desc()).limit(limit)
        if kind:
            q = q.where(log_entries.c.kind == kind)
        return await self._db.read(lambda c: [_entry(r) for r in reversed(c.execute(q).all())])

    async def read_all(self, use: Callable[..., T], *more: Callable[[Connection], Iterable[Any]]) -> T:
        """Calls `use(entries, batches, ...)` with streaming iterators over one consistent snapshot; each of `more`
        gives one iterator over something else in it."""

        def look(connection: Connection) -> T:
            if connection.dialect.name != "sqlite":
                connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            also = [source(connection) for source in more]
            return use(_stream_entries(connection), _stream_batches(connection), *also)

        return await self._db.read_together(look)


def continue_numbers(connection: Connection, now: int) -> None:
    """PostgreSQL, at the start: a database restored into another server counts transactions from anew. The offset
    puts new entries behind the old ones; the epoch in the checkpoints tells that it happened."""
    if connection.dialect.name == "sqlite":
        return
    c = log_entries.c
    newest = connection.execute(select(c.tx).order_by(c.tx.desc(), c.id.desc()).limit(1)).scalar()
    sealed = connection.execute(select(func.max(log_batches.c.last_tx))).scalar()
    last = max(newest or 0, sealed or 0)
    current = int(connection.execute(text("SELECT pg_current_xact_id()::text::bigint")).scalar_one())
    if last < current + _meta(connection, "tx_offset", 0):
        return
    epoch = _meta(connection, "epoch", 1) + 1
    _set_meta(connection, "tx_offset", last - current + 1)
    _set_meta(connection, "epoch", epoch)
    append(connection, [line(now, "log_continued", "system", ref="log", epoch=epoch)])


def _set_meta(connection: Connection, key: str, value: int) -> None:
    connection.execute(meta.delete().where(meta.c.key == key))
    connection.execute(insert(meta).values(key=key, value=value))


def _edge_of_tree(last: Any, key: Ed25519PublicKey) -> Frontier:
    """The tree so far, if it is the one that was signed: nothing is sealed on top of another. Raises `LogDamaged`."""
    try:
        frontier = Frontier.from_bytes(last.frontier)
        signed = Checkpoint.open(last.checkpoint, key)
    except ValueError as error:
        raise LogDamaged("The newest batch of the log is damaged; run gongbao verify-log.") from error
    if (frontier.size, frontier.root()) != (signed.size, signed.root):
        raise LogDamaged("The newest batch of the log is not the one that was signed; run gongbao verify-log.")
    return frontier


def _mentions(row: Any, delivery_id: int) -> bool:
    facts: Mapping[str, Any] = json.loads(row.body)
    named = facts.get("deliveries", ())
    return delivery_id in (named.values() if isinstance(named, dict) else named)


def _live_tokens(connection: Connection, delivery_id: int) -> set[str]:
    token = connection.execute(text("SELECT token FROM deliveries WHERE id = :id"), {"id": delivery_id}).scalar()
    return {token} if token else set()


def _meta(connection: Connection, key: str, default: int) -> int:
    value = connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar()
    return default if value is None else int(value)


def oldest_unsealed(connection: Connection) -> int | None:
    """When the oldest entry that waits to be sealed was written; None when none waits."""
    edges = select(log_batches.c.last_tx, log_batches.c.last_id).order_by(log_batches.c.number.desc()).limit(1)
    last = connection.execute(edges).first()
    edge = (last.last_tx, last.last_id) if last else (-1, -1)
    first = _unsealed(connection, edge).limit(1)
    row = connection.execute(first).first()
    return None if row is None else int(row.at)


def _behind(connection: Connection, edge: tuple[int, int]) -> Any:
    if connection.dialect.name == "sqlite":
        return log_entries.c.id > edge[1]
    return tuple_(log_entries.c.tx, log_entries.c.id) > tuple_(*edge)


def _unsealed(connection: Connection, edge: tuple[int, int]) -> Any:
    c = log_entries.c
    q = select(c.tx, c.id, c.at, c.kind, c.actor, c.item_id, c.delivery_id, c.ref, c.body)
    q = q.where(_behind(connection, edge)).order_by(c.tx, c.id).limit(SEAL_LIMIT)
    if connection.dialect.name == "sqlite":
        return q.order_by(None).order_by(c.id)
    horizon = text(
        "log_entries.tx < pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
        " + coalesce((SELECT value FROM meta WHERE key = 'tx_offset'), 0)"
    )
    return q.where(horizon)


def _stream_entries(connection: Connection, size: int = 2_000) -> Iterator[EntryRow]:
    """Keyset pages, so that memory stays flat on both databases."""
    c = log_entries.c
    edge = (-1, -1)
    while True:
        q = select(c.tx, c.id, c.at, c.kind, c.actor, c.item_id, c.delivery_id, c.ref, c.body)
        rows = connection.execute(
            q.where(tuple_(c.tx, c.id) > tuple_(*edge)).order_by(c.tx, c.id).limit(size)
            if connection.dialect.name != "sqlite"
            else q.where(c.id > edge[1]).order_by(c.id).limit(size)
        ).all()
        if not rows:
            return
        yield from (EntryRow(*r) for r in rows)
        edge = (rows[-1].tx, rows[-1].id)


def _stream_batches(connection: Connection) -> Iterable[BatchRow]:
    number = 0
    b = log_batches.c
    while True:
        q = select(b.number, b.first, b.count, b.last_tx, b.last_id, b.leaves, b.checkpoint)
        row = connection.execute(q.where(b.number > number).order_by(b.number).limit(1)).first()
        if row is None:
            return
        yield BatchRow(*row)
        number = row.number
