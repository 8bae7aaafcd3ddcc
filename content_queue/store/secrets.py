"""Secrets of accounts, kept sealed. The store never sees one in clear; names may be listed and stand in the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, select, update

from content_queue.store.engine import Database, Unknown
from content_queue.store.log import append, line
from content_queue.store.rows import insert_or_skip
from content_queue.tables import secrets

_s = secrets.c
ABSENT = "There is no secret {name}."


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """`wrapped` is the secret's own key, sealed by the vault's key `key_id`; `sealed` is the secret under its own."""

    name: str
    key_id: str
    wrapped: bytes = field(repr=False)
    sealed: bytes = field(repr=False)
    created_at: int = 0
    changed_at: int = 0


Rewrap = Callable[[SealedSecret], SealedSecret]


class Secrets:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def put(self, secret: SealedSecret, *, now: int, actor: str) -> None:
        """Adds it or replaces the one of that name."""
        await self._db.write(_put, secret, now, actor)

    async def remove(self, name: str, *, now: int, actor: str) -> None:
        """Raises `Unknown`."""

        def work(connection: Connection) -> None:
            if connection.execute(delete(secrets).where(_s.name == name)).rowcount != 1:
                raise Unknown(ABSENT, name=name)
            append(connection, [line(now, "secret_removed", actor, ref=f"secret:{name}", name=name)])

        await self._db.write(work)

    async def all(self) -> list[SealedSecret]:
        """By name."""
        return await self._db.read(_all)

    async def rewrap(self, rewrapped: Rewrap, *, now: int, actor: str) -> int:
        """Replaces the wrapping of every secret, all or none; returns how many changed."""
        return await self._db.write(_rewrap, rewrapped, now, actor)


def _all(connection: Connection) -> list[SealedSecret]:
    rows = connection.execute(select(secrets).order_by(_s.name)).all()
    return [
        SealedSecret(r.name, r.key_id, bytes(r.wrapped), bytes(r.sealed), r.created_at, r.changed_at) for r in rows
    ]


def _put(connection: Connection, secret: SealedSecret, now: int, actor: str) -> None:
    values = {"key_id": secret.key_id, "wrapped": secret.wrapped, "sealed": secret.sealed, "changed_at": now}
    new = insert_or_skip(connection, secrets, name=secret.name, created_at=now, **values)
    if not new:
        connection.execute(update(secrets).where(_s.name == secret.name).values(**values))
    kind = "secret_added" if new else "secret_replaced"
    append(connection, [line(now, kind, actor, ref=f"secret:{secret.name}", name=secret.name)])


def _rewrap(connection: Connection, rewrapped: Rewrap, now: int, actor: str) -> int:
    changed = 0
    for old in _all(connection):
        new = rewrapped(old)
        if new.key_id == old.key_id:
            continue
        connection.execute(
            update(secrets).where(_s.name == old.name).values(key_id=new.key_id, wrapped=new.wrapped)
        )
        changed += 1
    if changed:
        append(connection, [line(now, "secrets_rewrapped", actor, ref="secrets", count=changed)])
    return changed
