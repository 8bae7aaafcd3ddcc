"""Whose turn it is: work that one process at a time does, whoever comes first."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, update

from content_queue.store.engine import Database
from content_queue.store.items import one_at_a_time
from content_queue.store.rows import insert_or_skip
from content_queue.tables import meta


class Turns:
    """A turn ends by itself, so that a process that dies in one keeps nobody waiting for long."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def take(self, name: str, *, now: int, until: int) -> bool:
        """True when nobody else may do `name` before `until`. A turn that ends impossibly late (a clock was set back
        meanwhile) does not count."""
        return await self._db.write(_take, name, now, until)

    async def give_back(self, name: str, *, until: int, now: int) -> None:
        """Ends the turn that was taken up to `until`; one that somebody else has taken since stays theirs."""

        def end(connection: Connection) -> None:
            connection.execute(update(meta).where(_mine(name, until)).values(value=now))

        await self._db.write(end)


def _take(connection: Connection, name: str, now: int, until: int) -> bool:
    if insert_or_skip(connection, meta, key=_key(name), value=until):
        return True
    free = (meta.c.value <= now) | (meta.c.value > until + (until - now))
    taken = connection.execute(update(meta).where(meta.c.key == _key(name), free).values(value=until))
    return taken.rowcount == 1


def holds(connection: Connection, name: str, until: int) -> bool:
    """Whether the turn taken up to `until` is still the newest. Nobody takes it before the transaction ends."""
    one_at_a_time(connection, f"turn {name}")
    return connection.execute(update(meta).where(_mine(name, until)).values(value=until)).rowcount == 1


def _key(name: str) -> str:
    return f"turn {name}"


def _mine(name: str, until: int) -> ColumnElement[bool]:
    return (meta.c.key == _key(name)) & (meta.c.value == until)
