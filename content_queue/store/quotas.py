"""What platforms allow in a time: counted here for all workers together, in the transaction that claims.

Whoever counts for an account holds its row in `channels` until the commit, so two workers never take the same rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, and_, delete, func, or_, select, true, update
from sqlalchemy.dialects import postgresql, sqlite

from content_queue import windows
from content_queue.model import Delivery, QuotaRule
from content_queue.states import DeliveryState
from content_queue.store.channels import know
from content_queue.store.engine import Database
from content_queue.tables import channels, deliveries, quota_uses

_u, _d = quota_uses.c, deliveries.c
Rules = Mapping[str, Sequence[QuotaRule]]
# A recall goes first, for it must not wait behind posts.
FIRST_TO_LAST = ("recall", "edit", "publish")


class Quotas:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def use(self, channel: str, rules: Sequence[QuotaRule], *, now: int, requests: int = 1) -> bool:
        """Counts `requests` in each of the rules; False, and nothing is counted, when one has not as many left."""
        return await self._db.write(_use, channel, tuple(rules), now, requests)

    async def left(self, rules: Rules, *, now: int) -> dict[str, dict[str, int]]:
        """channel -> quota -> how many requests may still be made at `now`."""
        return await self._db.read(left, rules, now)

    async def waiting(self, names: Sequence[str]) -> dict[tuple[str, str], int]:
        """(channel, operation) -> deliveries that wait."""
        q = select(_d.channel, _d.operation, func.count()).group_by(_d.channel, _d.operation)
        q = q.where(_d.channel.in_(names), _d.state == DeliveryState.WAITING)
        return await self._db.read(lambda c: {(r[0], r[1]): int(r[2]) for r in c.execute(q)})


def left(connection: Connection, rules: Rules, now: int) -> dict[str, dict[str, int]]:
    wanted = [_counting(name, rule, now) for name, own in rules.items() for rule in own]
    if not wanted:
        return {}
    q = select(_u.channel, _u.quota, func.sum(_u.used)).where(or_(*wanted)).group_by(_u.channel, _u.quota)
    used = {(r[0], r[1]): int(r[2]) for r in connection.execute(q)}
    return {n: {r.name: max(r.limit - used.get((n, r.name), 0), 0) for r in own} for n, own in rules.items() if own}


def _counting(name: str, rule: QuotaRule, now: int) -> Any:
    until = windows.counted_until(rule, now)
    later = true() if until is None else _u.slice < until
    return and_(_u.channel == name, _u.quota == rule.name, _u.slice >= windows.counted_from(rule, now), later)


@dataclass(slots=True)
class Budget:
    """What the accounts with quotas may still take in one claim; `rooms` is what their lanes have room for."""

    rules: Rules
    rooms: dict[str, int]
    left: dict[str, dict[str, int]]
    taken: Counter[tuple[str, str]] = field(default_factory=Counter)

    def may_take(self, operation: str) -> dict[str, int]:
        """channel -> how many deliveries of this operation."""
        found = {}
        for name, room in self.rooms.items():
            bounds = [self.left[name][r.name] for r in self.rules[name] if operation in r.operations]
            if (most := min([room, *bounds])) > 0:
                found[name] = most
        return found

    def take(self, channel: str, operation: str, requests: int = 1) -> tuple[str, ...]:
        """One delivery; the quotas that count it, once for each of its requests."""
        self.rooms[channel] -= 1
        counted = tuple(r.name for r in self.rules[channel] if operation in r.operations)
        for quota in counted:
            self.left[channel][quota] -= requests
            self.taken[channel, quota] += requests
        return counted * requests

    def leave_by(self, channel: str, now: int) -> int | None:
        """A margin of half the slack is for the way from the last look at the clock to the platform."""
        return min((now + windows.slack(r) // 2 for r in self.rules.get(channel, ())), default=None)

    def slices(self, channel: str, counted: Sequence[str], now: int) -> tuple[tuple[str, int], ...]:
        if not counted:
            return ()
        own = {r.name: r for r in self.rules[channel]}
        return tuple((quota, at) for quota in counted for at in windows.slices(own[quota], now))


def budget(connection: Connection, rooms: Mapping[str, int], rules: Rules, now: int) -> Budget:
    """For the accounts of `rooms` that have quotas. One that another worker is counting for is passed over."""
    wanted = [name for name in rooms if rules.get(name)]
    if not wanted:
        return Budget({}, {}, {})
    q = select(channels.c.name).where(channels.c.name.in_(wanted)).order_by(channels.c.name)
    ours = set(connection.execute(q.with_for_update(skip_locked=True)).scalars())
    own = {name: rules[name] for name in wanted if name in ours}
    return Budget(own, {name: rooms[name] for name in own}, left(connection, own, now))


def count(connection: Connection, spent: Budget, now: int) -> None:
    """Writes down what was taken, and drops slices that no longer count."""
    for (channel, quota), used in sorted(spent.taken.items()):
        rule = next(r for r in spent.rules[channel] if r.name == quota)
        _add(connection, channel, rule, used, now)


def _add(connection: Connection, channel: str, rule: QuotaRule, used: int, now: int) -> None:
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    for at in windows.slices(rule, now):
        row = make(quota_uses).values(channel=channel, quota=rule.name, slice=at, used=used)
        more = {"used": _u.used + row.excluded.used}
        connection.execute(row.on_conflict_do_update(index_elements=[_u.channel, _u.quota, _u.slice], set_=more))
    old = and_(_u.channel == channel, _u.quota == rule.name, _u.slice < windows.counted_from(rule, now))
    connection.execute(delete(quota_uses).where(old))


def give_back(connection: Connection, uses: Iterable[tuple[str, Sequence[tuple[str, int]]]]) -> None:
    """They count no more: each is the channel, and the quotas with their slices."""
    back: Counter[tuple[str, str, int]] = Counter()
    for channel, counted in uses:
        back.update((channel, quota, at) for quota, at in counted)
    names = {channel for channel, _, _ in back}
    if not names:
        return
    whole = select(channels.c.name).where(channels.c.name.in_(names)).order_by(channels.c.name)
    connection.execute(whole.with_for_update())
    for (channel, quota, at), used in sorted(back.items()):
        same = and_(_u.channel == channel, _u.quota == quota, _u.slice == at, _u.used >= used)
        connection.execute(update(quota_uses).where(same).values(used=_u.used - used))


def refunded(claimed: Delivery, rules: Rules) -> tuple[tuple[str, int], ...]:
    """Where the claim of a dead worker was counted, once at least, by rules for what was taken. Since the claim nothing
    else has moved the delivery."""
    mine = [r for r in rules.get(claimed.channel, ()) if r.taken_only and claimed.operation in r.operations]
    return tuple((r.name, at) for r in mine for at in windows.slices(r, claimed.updated_at))


def _use(connection: Connection, channel: str, rules: tuple[QuotaRule, ...], now: int, requests: int) -> bool:
    know(connection, [channel], now)
    connection.execute(select(channels.c.name).where(channels.c.name == channel).with_for_update())
    if any(n < requests for n in left(connection, {channel: rules}, now).get(channel, {}).values()):
        return False
    for rule in rules:
        _add(connection, channel, rule, requests, now)
    return True
