"""Access tokens of platforms, one for each account, shared by all processes. What is kept is sealed by the caller."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, select, update

from content_queue.store.engine import Database
from content_queue.store.rows import insert_or_skip
from content_queue.tables import kept_tokens

_t = kept_tokens.c


@dataclass(frozen=True, slots=True)
class Kept:
    """`version` grows with every new token (0: none was kept yet). `asking_until` is when the right to ask for a new
    one, which somebody holds, runs out."""

    version: int = 0
    sealed: bytes | None = field(default=None, repr=False)
    good_until: int = 0
    asking_until: int = 0


class Tokens:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def look(self, account: str) -> Kept:
        q = select(_t.version, _t.sealed, _t.good_until, _t.asking_until).where(_t.account == account)
        row = await self._db.read(lambda c: c.execute(q).first())
        return Kept() if row is None else Kept(row.version, row.sealed, row.good_until, row.asking_until)

    async def take_turn(self, account: str, seen: int, *, who: str, now: int, until: int) -> bool:
        """The right to ask for a token newer than version `seen`, until `until`; one process has it at a time."""
        return await self._db.write(_take_turn, account, seen, who, now, until)

    async def keep(self, account: str, seen: int, *, who: str, sealed: bytes, good_until: int) -> bool:
        """Stores the token that was asked for and ends the turn; False when the turn was lost meanwhile."""

        def work(connection: Connection) -> bool:
            values = {"sealed": sealed, "good_until": good_until, "version": seen + 1, "asking_until": 0}
            own = (_t.account == account, _t.version == seen, _t.asked_by == who)
            return connection.execute(update(kept_tokens).where(*own).values(**values)).rowcount == 1

        return await self._db.write(work)

    async def give_up(self, account: str, *, who: str) -> None:
        """Ends a turn without a token."""

        def work(connection: Connection) -> None:
            own = (_t.account == account, _t.asked_by == who)
            connection.execute(update(kept_tokens).where(*own).values(asking_until=0, asked_by=""))

        await self._db.write(work)


def _take_turn(connection: Connection, account: str, seen: int, who: str, now: int, until: int) -> bool:
    insert_or_skip(connection, kept_tokens, account=account)
    free = (_t.account == account, _t.version == seen, _t.asking_until <= now)
    taken = update(kept_tokens).where(*free).values(asking_until=until, asked_by=who)
    return connection.execute(taken).rowcount == 1
