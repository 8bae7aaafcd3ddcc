"""API tokens (kept as hashes), the living processes, and small counters."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from content_queue.store.engine import Database, Unknown
from content_queue.store.log import append, line
from content_queue.tables import api_tokens, log_entries, workers

_t = api_tokens.c
_w = workers.c


@dataclass(frozen=True, slots=True)
class Token:
    id: int
    name: str
    role: str
    created_at: int
    expires_at: int | None
    revoked_at: int | None


@dataclass(frozen=True, slots=True)
class Process:
    """A running service process; `seen_at` is its last sign of life."""

    id: str
    roles: tuple[str, ...]
    started_at: int
    seen_at: int


class Access:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(
        self, token_hash: str, *, name: str, role: str, expires_at: int | None, now: int, actor: str
    ) -> int:
        def work(connection: Connection) -> int:
            values = {"token_hash": token_hash, "name": name, "role": role, "expires_at": expires_at}
            row = connection.execute(
                insert(api_tokens).values(**values, created_at=now).returning(_t.id)
            ).scalar_one()
            append(connection, [line(now, "token_created", actor, name=name, role=role, token=int(row))])
            return int(row)

        return await self._db.write(work)

    async def find(self, token_hash: str, *, now: int) -> Token | None:
        """The token, unless it is revoked or has expired."""
        q = select(_t.id, _t.name, _t.role, _t.created_at, _t.expires_at, _t.revoked_at)
        q = q.where(_t.token_hash == token_hash, _t.revoked_at.is_(None))
        row = await self._db.read(lambda c: c.execute(q).first())
        if row is None or (row.expires_at is not None and row.expires_at <= now):
            return None
        return Token(*row)

    async def tokens(self) -> list[Token]:
        q = select(_t.id, _t.name, _t.role, _t.created_at, _t.expires_at, _t.revoked_at).order_by(_t.id)
        return await self._db.read(lambda c: [Token(*r) for r in c.execute(q)])

    async def revoke(self, token_id: int, *, now: int, actor: str) -> None:
        def work(connection: Connection) -> None:
            done = connection.execute(
                update(api_tokens).where(_t.id == token_id, _t.revoked_at.is_(None)).values(revoked_at=now)
            )
            if done.rowcount != 1:
                raise Unknown("There is no token {token}.", token=token_id)
            append(connection, [line(now, "token_revoked", actor, token=token_id)])

        await self._db.write(work)

    async def seen(self, process: Process, *, forget_before: int) -> None:
        """A sign of life; processes silent since `forget_before` are dropped."""

        def work(connection: Connection) -> None:
            done = connection.execute(
                update(workers).where(_w.id == process.id).values(seen_at=process.seen_at)
            )
            if done.rowcount == 0:
                connection.execute(
                    insert(workers).values(
                        id=process.id,
                        roles=",".join(process.roles),
                        started_at=process.started_at,
                        seen_at=process.seen_at,
                    )
                )
            connection.execute(delete(workers).where(_w.seen_at < forget_before))

        await self._db.write(work)

    async def gone(self, process_id: str) -> None:
        await self._db.write(lambda c: c.execute(delete(workers).where(_w.id == process_id)) and None)

    async def processes(self) -> list[Process]:
        q = select(_w.id, _w.roles, _w.started_at, _w.seen_at)
        return await self._db.read(
            lambda c: [Process(r.id, tuple(r.roles.split(",")), r.started_at, r.seen_at) for r in c.execute(q)]
        )


def newest_moment(connection: Connection) -> int:
    seen = connection.execute(select(func.max(_w.seen_at))).scalar() or 0
    logged = connection.execute(select(log_entries.c.at).order_by(log_entries.c.id.desc()).limit(1)).scalar() or 0
    return max(int(seen), int(logged))
