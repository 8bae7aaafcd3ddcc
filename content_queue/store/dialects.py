"""The three statements that carry the load, written for each database's own strength.

Both claim and settle many rows at once. SQLite reads its parameters from JSON, PostgreSQL from arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, text

from content_queue.model import Outcome

_PG_CLAIM_OF = (
    "WITH room AS (SELECT * FROM unnest(CAST(:names AS text[]), CAST(:rooms AS int[])) AS r(channel, n)), "
    "picked AS (SELECT d.id FROM room CROSS JOIN LATERAL ("
    " SELECT id FROM deliveries WHERE channel = room.channel AND state = 'waiting' AND due_at <= :now"
    " AND column_slug <> ALL(CAST(:stopped AS text[])){only}"
    " ORDER BY due_at, id LIMIT room.n FOR UPDATE SKIP LOCKED) d), "
    "taken AS (UPDATE deliveries SET state = 'claimed', token = :token, lease_until = :lease, updated_at = :now"
    # an array: the planner would take `picked` for a tenth of the queue and read the whole table beside it
    " WHERE deliveries.id = ANY(ARRAY(SELECT id FROM picked)) "
    "RETURNING deliveries.id, item_id, revision_id, revision, channel, operation, attempts, created_at,"
    " basis_id, column_slug, cause, note, key_since, doubted) "
    "SELECT CAST(coalesce(json_agg(json_build_array(id, item_id, revision_id, revision, channel, operation, attempts,"
    " created_at, basis_id, column_slug, cause, note, key_since, doubted)), '[]') AS text) FROM taken"
)
_PG_CLAIM = text(_PG_CLAIM_OF.format(only=""))
_PG_CLAIM_ONE = text(_PG_CLAIM_OF.format(only=" AND operation = :operation"))

# One row holds everything: every row that Python's driver fetches gives the interpreter lock away and waits for it.
_SQLITE_PICK = (
    "SELECT json_group_array(json_array(c.value, (SELECT json_group_array(id) FROM ("
    " SELECT id FROM deliveries WHERE channel = c.value AND state = 'waiting' AND due_at <= ?1"
    " AND column_slug NOT IN (SELECT value FROM json_each(?2)) AND (?5 IS NULL OR operation = ?5)"
    " ORDER BY due_at, id LIMIT ?3)))) FROM json_each(?4) c"
)
_SQLITE_CLAIM = (
    "UPDATE deliveries SET state = 'claimed', token = ?, lease_until = ?, updated_at = ?"
    " WHERE id IN (SELECT value FROM json_each(?)) AND state = 'waiting'"
)
_SQLITE_CLAIMED = (
    "SELECT json_group_array(json_array(id, item_id, revision_id, revision, channel, operation, attempts,"
    " created_at, basis_id, column_slug, cause, note, key_since, doubted)) FROM deliveries"
    " WHERE id IN (SELECT value FROM json_each(?)) AND token = ?"
)

_PG_SETTLE = text(
    "WITH moved AS (UPDATE deliveries d SET state = v.state, due_at = coalesce(v.due_at, d.due_at),"
    " attempts = d.attempts + v.counted, remote_id = v.remote_id, url = v.url, reason = v.reason,"
    " doubted = d.doubted OR v.doubted, token = NULL, lease_until = NULL, updated_at = v.at,"
    " awaits = v.awaits, look_at = v.look_at, looks = 0, deadline_at = v.deadline_at,"
    " unsettled_since = v.unsettled_since "
    # one JSON text: the driver would build ten arrays element by element
    "FROM json_to_recordset(CAST(:rows AS json)) AS v(id bigint, token text, state text, due_at bigint, counted int,"
    " remote_id text, url text, reason text, doubted boolean, at bigint, awaits text, look_at bigint,"
    " deadline_at bigint, unsettled_since bigint) "
    "WHERE d.id = v.id AND d.token = v.token AND d.state IN ('claimed', 'sending') RETURNING d.id) "
    "SELECT CAST(coalesce(json_agg(id), '[]') AS text) FROM moved"
)
_SETTLE_FIELDS = (
    "id", "token", "state", "due_at", "counted", "remote_id", "url", "reason", "doubted", "at", "awaits", "look_at",
    "deadline_at", "unsettled_since",
)  # fmt: skip

_SQLITE_SETTLE = (
    "UPDATE deliveries SET state = v.column3, due_at = coalesce(v.column4, deliveries.due_at),"
    " attempts = deliveries.attempts + v.column5, remote_id = v.column6, url = v.column7, reason = v.column8,"
    " doubted = deliveries.doubted OR v.column9, token = NULL, lease_until = NULL, updated_at = v.column10,"
    " awaits = v.column11, look_at = v.column12, looks = 0, deadline_at = v.column13, unsettled_since = v.column14 "
    "FROM (VALUES {rows}) v "
    "WHERE deliveries.id = v.column1 AND deliveries.token = v.column2 AND deliveries.state IN ('claimed', 'sending')"
)
# Rows in one statement. Few sizes, so that SQLite keeps each statement compiled; 128 x 14 values stay below its
# limit of 32,766 parameters.
SQLITE_SIZES = (128, 16, 1)


def sqlite_rows(cursor: Any, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Runs `statement`, whose `{rows}` is replaced by as many places as fit, over all rows; the rows it changed.

    One statement for many rows: after each statement Python's driver must win the interpreter lock back.
    """
    changed = at = 0
    for size in SQLITE_SIZES:
        while len(rows) - at >= size:
            chunk = rows[at : at + size]
            cursor.execute(_sized(statement, size, len(chunk[0])), [value for row in chunk for value in row])
            changed += cursor.rowcount
            at += size
    return changed


@cache
def _sized(statement: str, size: int, width: int) -> str:
    return statement.format(rows=", ".join(["(" + ", ".join("?" * width) + ")"] * size))


class ClaimedRow(NamedTuple):
    """A claimed delivery as the database tells it."""

    id: int
    item_id: str
    revision_id: int
    revision: int
    channel: str
    operation: str
    attempts: int
    created_at: int
    basis_id: int | None
    column_slug: str
    cause: str
    note: str
    key_since: int
    doubted: bool


class Claim(NamedTuple):
    """Whose claim it is and until when; `stopped` are columns that are passed over."""

    token: str
    now: int
    lease: int
    stopped: Sequence[str] = ()


def claim(
    connection: Connection, rooms: Mapping[str, int], asked: Claim, operation: str | None = None
) -> list[ClaimedRow]:
    """Takes up to `rooms[channel]` due deliveries of each channel (of one operation, or of all); earliest due first
    within a channel."""
    if connection.dialect.name == "sqlite":
        return _claim_sqlite(connection, rooms, asked, operation)
    facts: dict[str, Any] = {"names": list(rooms), "rooms": list(rooms.values()), "stopped": list(asked.stopped)}
    facts |= {"now": asked.now, "token": asked.token, "lease": asked.lease}
    if operation is not None:
        rows = connection.execute(_PG_CLAIM_ONE, {**facts, "operation": operation})
    else:
        rows = connection.execute(_PG_CLAIM, facts)
    return [ClaimedRow(*row) for row in orjson.loads(rows.scalar_one())]


def _claim_sqlite(
    connection: Connection, rooms: Mapping[str, int], asked: Claim, operation: str | None
) -> list[ClaimedRow]:
    cursor = connection.connection.cursor()
    try:
        most, out = max(rooms.values()), _json(list(asked.stopped))
        cursor.execute(_SQLITE_PICK, (asked.now, out, most, _json(list(rooms)), operation))
        ids = [i for name, due in _one_json(cursor) for i in due[: rooms[name]]]
        if not ids:
            return []
        wanted = _json(ids)
        cursor.execute(_SQLITE_CLAIM, (asked.token, asked.lease, asked.now, wanted))
        cursor.execute(_SQLITE_CLAIMED, (wanted, asked.token))
        return [ClaimedRow(*row) for row in _one_json(cursor)]
    finally:
        cursor.close()


_SQLITE_DUE = text(
    "SELECT json_group_object(c.value, (SELECT min(due_at) FROM deliveries WHERE channel = c.value"
    " AND state = 'waiting' AND due_at < :parked)) FROM json_each(:names) c"
)
_PG_DUE = text(
    "SELECT CAST(coalesce(json_object_agg(c.name, (SELECT min(due_at) FROM deliveries WHERE channel = c.name"
    " AND state = 'waiting' AND due_at < :parked)), '{}') AS text) FROM unnest(CAST(:names AS text[])) AS c(name)"
)


def oldest_due(connection: Connection, names: Sequence[str], parked: int) -> dict[str, int]:
    """channel -> due time of its first waiting delivery; one index probe a channel, one statement for all."""
    sqlite = connection.dialect.name == "sqlite"
    facts = {"names": _json(list(names)) if sqlite else list(names), "parked": parked}
    found = orjson.loads(connection.execute(_SQLITE_DUE if sqlite else _PG_DUE, facts).scalar_one())
    return {name: due for name, due in found.items() if due is not None}


def records(fields: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> str:
    """Rows as the JSON text that PostgreSQL's `json_to_recordset` reads."""
    return _json([dict(zip(fields, row, strict=True)) for row in rows])


def _one_json(cursor: Any) -> Any:
    return orjson.loads(cursor.fetchone()[0])


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def settle(connection: Connection, outcomes: Sequence[Outcome], doubted: Sequence[bool]) -> set[int]:
    """One fenced UPDATE a delivery. Returns the ids that moved; the others had lost their lease."""
    rows = [_settled_row(o, d) for o, d in zip(outcomes, doubted, strict=True)]
    if connection.dialect.name == "sqlite":
        return _settle_sqlite(connection, rows)
    return set(orjson.loads(connection.execute(_PG_SETTLE, {"rows": records(_SETTLE_FIELDS, rows)}).scalar_one()))


def _settled_row(o: Outcome, doubted: bool) -> tuple[Any, ...]:
    """In the order of `_SETTLE_FIELDS`."""
    came_to = (o.delivery_id, o.token, o.state.value, o.due_at, int(o.counted), o.remote_id, o.url, o.reason)
    since = None if o.deadline_at is None else o.at
    return (*came_to, doubted, o.at, str(o.awaits), o.look_at, o.deadline_at, since)


def _settle_sqlite(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> set[int]:
    """All at once; one by one when some have lost their lease, to learn which."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute("SAVEPOINT settle")
        if sqlite_rows(cursor, _SQLITE_SETTLE, rows) == len(rows):
            cursor.execute("RELEASE settle")
            return {row[0] for row in rows}
        cursor.execute("ROLLBACK TO settle")
        cursor.execute("RELEASE settle")
        return {row[0] for row in rows if sqlite_rows(cursor, _SQLITE_SETTLE, [row]) == 1}
    finally:
        cursor.close()
