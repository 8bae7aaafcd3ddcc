"""What the queue remembers of channels: pauses, holds asked for by the platform, closed receivers, the stop switch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select, update

from content_queue.model import ChannelState
from content_queue.store import doubting
from content_queue.store.engine import Conflict, Database
from content_queue.store.log import Line, append, line
from content_queue.store.rows import insert_or_skip
from content_queue.store.wake import wake
from content_queue.tables import channels, switches

_c = channels.c


@dataclass(frozen=True, slots=True)
class Switch:
    """A stop that is on. `scope` is `all`, `channel:NAME` or `column:SLUG`."""

    scope: str
    actor: str
    reason: str
    at: int


class Channels:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def states(self) -> dict[str, ChannelState]:
        return await self._db.read(lambda c: {r.name: _state(r) for r in c.execute(select(channels))})

    async def unwell(self, *, now: int) -> dict[str, ChannelState]:
        """Those that something keeps, or may soon keep, from publishing: few, whatever the number of channels."""
        return await self._db.read(_unwell, now)

    async def hindrances(self, *, now: int) -> tuple[dict[str, ChannelState], set[str]]:
        """`unwell`, and the scopes of the switches that are on."""
        return await self._db.read(lambda c: (_unwell(c, now), stopped_scopes(c)))

    async def pause(self, name: str, *, reason: str, actor: str, now: int) -> None:
        """Its deliveries stay where they are. Pausing twice is harmless."""
        await self._db.write(_set, name, {"paused": True, "reason": reason}, "paused", actor, now)

    async def resume(self, name: str, *, actor: str, now: int) -> None:
        """Ends a pause, a hold, a closure, and the waiting for an account that gave no answers."""
        breaker = {"failures": 0, "failing_since": None, "probe_at": 0}
        values = {"paused": False, "closed": False, "held_until": 0, "reason": "", **breaker}
        await self._db.write(_set, name, values, "resumed", actor, now)

    async def close(self, name: str, *, reason: str, actor: str, now: int) -> None:
        """The receiver has ended (HTTP 410); its deliveries are kept until a person resumes it."""
        await self._db.write(_set, name, {"closed": True, "reason": reason}, "closed", actor, now)

    async def hold(self, name: str, *, until: int, now: int) -> None:
        """Nothing is claimed for it before `until`; a shorter hold never ends a longer one."""
        await self._db.write(lambda c: append(c, hold_until(c, name, until, now)))

    async def stop(self, scope: str, *, actor: str, reason: str, now: int) -> None:
        """Raises `Conflict` when that switch is on already."""
        await self._db.write(_stop, scope, actor, reason, now)

    async def start_again(self, scope: str, *, actor: str, now: int) -> None:
        """Raises `Conflict` when that switch is not on."""
        await self._db.write(_start_again, scope, actor, now)

    async def switches(self) -> list[Switch]:
        q = select(switches).order_by(switches.c.at)
        return await self._db.read(
            lambda c: [Switch(r.scope, r.actor, r.reason, r.at) for r in c.execute(q)]
        )


def stopped_scopes(connection: Connection) -> set[str]:
    return set(connection.execute(select(switches.c.scope)).scalars())


def _unwell(connection: Connection, now: int) -> dict[str, ChannelState]:
    kept = _c.paused | _c.closed | (_c.held_until > now) | (_c.failures > 0)
    return {r.name: _state(r) for r in connection.execute(select(channels).where(kept))}


def _state(row: Any) -> ChannelState:
    facts = dict(row._mapping)
    return ChannelState(**{**facts, "facts": json.loads(facts["facts"])})


def know(connection: Connection, names: Sequence[str], now: int) -> None:
    """Makes a row for every channel that has none."""
    known = set(connection.execute(select(_c.name).where(_c.name.in_(names))).scalars())
    for name in dict.fromkeys(n for n in names if n not in known):
        insert_or_skip(connection, channels, name=name, known_since=now)


def _ensure(connection: Connection, name: str, now: int) -> Any:
    know(connection, [name], now)
    return connection.execute(select(channels).where(_c.name == name).with_for_update()).one()


def _set(
    connection: Connection, name: str, values: Mapping[str, Any], kind: str, actor: str, now: int
) -> None:
    row = _ensure(connection, name, now)
    if all(row._mapping[key] == value for key, value in values.items()):
        return
    connection.execute(update(channels).where(_c.name == name).values(**values))
    append(connection, [line(now, f"channel_{kind}", actor, ref=f"channel:{name}", channel=name, **values)])
    wake(connection)


def hold_until(connection: Connection, name: str, until: int, now: int) -> list[Line]:
    """Raises the hold of a channel; the entries to append (none when a longer hold stands)."""
    row = _ensure(connection, name, now)
    if row.held_until >= until:
        return []
    connection.execute(update(channels).where(_c.name == name).values(held_until=until))
    return [line(now, "channel_held", "system", ref=f"channel:{name}", channel=name, until=until)]


def _stop(connection: Connection, scope: str, actor: str, reason: str, now: int) -> None:
    if not insert_or_skip(connection, switches, scope=scope, actor=actor, reason=reason, at=now):
        raise Conflict("{scope} is stopped already.", scope=scope)
    append(connection, [line(now, "stopped", actor, ref=scope, scope=scope, reason=reason)])
    wake(connection)


def _start_again(connection: Connection, scope: str, actor: str, now: int) -> None:
    if connection.execute(delete(switches).where(switches.c.scope == scope)).rowcount != 1:
        raise Conflict("{scope} is not stopped.", scope=scope)
    append(connection, [line(now, "started_again", actor, ref=scope, scope=scope)])
    if scope == "all":
        doubting.start_again(connection, now)
    wake(connection)
