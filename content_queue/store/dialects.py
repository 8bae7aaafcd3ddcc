"""The three statements that carry the load, written for each database's own strength.

Both claim and settle many rows at once. SQLite reads its parameters from JSON, PostgreSQL from arrays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from content_queue.model import Outcome

_PG_CLAIM = text(
    "WITH room AS (SELECT * FROM unnest(CAST(:names AS text[]), CAST(:rooms AS int[])) AS r(channel, n)), "
    "picked AS (SELECT d.id FROM room CROSS JOIN LATERAL ("
    " SELECT id FROM deliveries WHERE channel = room.channel AND state = 'waiting' AND due_at <= :now"
    " AND column_slug <> ALL(CAST(:stopped AS text[]))"
    " ORDER BY due_at, id LIMIT room.n FOR UPDATE SKIP LOCKED) d) "
    "UPDATE deliveries SET state = 'claimed', token = :token, lease_until = :lease, updated_at = :now,"
    " started = false FROM picked WHERE deliveries.id = picked.id "
    "RETURNING deliveries.id, item_id, revision_id, revision, channel, operation, attempts, created_at,"
    " basis_id, column_slug, cause, note"
)

_SQLITE_PICK = (
    "SELECT id FROM deliveries WHERE channel = ? AND state = 'waiting' AND due_at <= ?"
    " AND column_slug NOT IN (SELECT value FROM json_each(?)) ORDER BY due_at, id LIMIT ?"
)
_SQLITE_CLAIM = (
    "UPDATE deliveries SET state = 'claimed', token = ?, lease_until = ?, updated_at = ?, started = 0"
    " WHERE id IN (SELECT value FROM json_each(?)) AND state = 'waiting'"
    " RETURNING id, item_id, revision_id, revision, channel, operation, attempts, created_at, basis_id,"
    " column_slug, cause, note"
)

_PG_SETTLE = text(
    "UPDATE deliveries d SET state = v.state, due_at = coalesce(v.due_at, d.due_at),"
    " attempts = d.attempts + v.counted, remote_id = v.remote_id, url = v.url, reason = v.reason,"
    " doubted = d.doubted OR v.doubted, token = NULL, lease_until = NULL, updated_at = v.at "
    "FROM unnest(CAST(:id AS bigint[]), CAST(:token AS text[]), CAST(:state AS text[]), CAST(:due_at AS bigint[]),"
    " CAST(:counted AS int[]), CAST(:remote_id AS text[]), CAST(:url AS text[]), CAST(:reason AS text[]),"
    " CAST(:doubted AS boolean[]), CAST(:at AS bigint[]))"
    " AS v(id, token, state, due_at, counted, remote_id, url, reason, doubted, at) "
    "WHERE d.id = v.id AND d.token = v.token AND d.state IN ('claimed', 'sending') RETURNING d.id"
)
_SETTLE_FIELDS = ("id", "token", "state", "due_at", "counted", "remote_id", "url", "reason", "doubted", "at")

_SQLITE_SETTLE = (
    "UPDATE deliveries SET state = ?, due_at = coalesce(?, due_at), attempts = attempts + ?, remote_id = ?,"
    " url = ?, reason = ?, doubted = doubted OR ?, token = NULL, lease_until = NULL, updated_at = ?"
    " WHERE id = ? AND token = ? AND state IN ('claimed', 'sending')"
)


def claim(
    connection: Connection, rooms: Mapping[str, int], stopped: Sequence[str], token: str, now: int, lease: int
) -> list[Any]:
    """Takes up to `rooms[channel]` due deliveries of each channel; earliest due first within a channel."""
    if connection.dialect.name != "sqlite":
        facts = {"names": list(rooms), "rooms": list(rooms.values()), "stopped": list(stopped)}
        return list(connection.execute(_PG_CLAIM, {**facts, "now": now, "token": token, "lease": lease}))
    out = json.dumps(list(stopped))
    ids: list[int] = []
    cursor = connection.connection.cursor()
    for name, room in rooms.items():
        cursor.execute(_SQLITE_PICK, (name, now, out, room))
        ids.extend(row[0] for row in cursor.fetchall())
    cursor.close()
    if not ids:
        return []
    return list(connection.exec_driver_sql(_SQLITE_CLAIM, (token, lease, now, json.dumps(ids))))


def settle(connection: Connection, outcomes: Sequence[Outcome], doubted: Sequence[bool]) -> set[int]:
    """One fenced UPDATE a delivery. Returns the ids that moved; the others had lost their lease."""
    if connection.dialect.name == "sqlite":
        return _settle_sqlite(connection, outcomes, doubted)
    rows = [
        (o.delivery_id, o.token, str(o.state), o.due_at, int(o.counted), o.remote_id, o.url, o.reason, d, o.at)
        for o, d in zip(outcomes, doubted, strict=True)
    ]
    columns = zip(*rows, strict=True)
    facts = {name: list(values) for name, values in zip(_SETTLE_FIELDS, columns, strict=True)}
    return {row.id for row in connection.execute(_PG_SETTLE, facts)}


def _settle_sqlite(connection: Connection, outcomes: Sequence[Outcome], doubted: Sequence[bool]) -> set[int]:
    rows = [
        (str(o.state), o.due_at, int(o.counted), o.remote_id, o.url, o.reason, d, o.at, o.delivery_id, o.token)
        for o, d in zip(outcomes, doubted, strict=True)
    ]
    cursor = connection.connection.cursor()
    try:
        cursor.execute("SAVEPOINT settle")
        cursor.executemany(_SQLITE_SETTLE, rows)
        if cursor.rowcount == len(rows):
            cursor.execute("RELEASE settle")
            return {o.delivery_id for o in outcomes}
        cursor.execute("ROLLBACK TO settle")
        cursor.execute("RELEASE settle")
        moved = set()
        for outcome, row in zip(outcomes, rows, strict=True):
            cursor.execute(_SQLITE_SETTLE, row)
            if cursor.rowcount == 1:
                moved.add(outcome.delivery_id)
        return moved
    finally:
        cursor.close()
