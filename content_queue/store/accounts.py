"""What live checks found of the accounts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, or_, select, update

from content_queue.store.channels import know
from content_queue.store.engine import Database
from content_queue.store.log import append, line
from content_queue.tables import channels

_c = channels.c


@dataclass(frozen=True, slots=True)
class AccountCheck:
    """The last live check of an account. `reason` is "" when it went well; `checked_at` None: there was none yet.
    `token_until` is when its access token ends (None: not known, or never)."""

    name: str
    checked_at: int | None = None
    reason: str = ""
    token_until: int | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


class Accounts:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def checks(self) -> dict[str, AccountCheck]:
        q = select(_c.name, _c.checked_at, _c.check_reason, _c.token_until, _c.facts)
        rows = await self._db.read(lambda c: c.execute(q).all())
        return {
            r.name: AccountCheck(r.name, r.checked_at, r.check_reason, r.token_until, json.loads(r.facts))
            for r in rows
        }

    async def take_check(self, name: str, *, now: int, before: int) -> bool:
        """Whether the account is due for a check: the last one was before `before`, or never. One process gets it."""

        def work(connection: Connection) -> bool:
            know(connection, [name], now)
            due = (_c.name == name, or_(_c.checked_at.is_(None), _c.checked_at < before))
            return connection.execute(update(channels).where(*due).values(checked_at=now)).rowcount == 1

        return await self._db.write(work)

    async def checked(self, check: AccountCheck, *, now: int) -> None:
        """Keeps what was found. A change between well and unwell stands in the log."""
        await self._db.write(_checked, check, now)


def _checked(connection: Connection, check: AccountCheck, now: int) -> None:
    know(connection, [check.name], now)
    was = connection.execute(select(_c.check_reason).where(_c.name == check.name)).scalar()
    values = {"checked_at": now, "check_reason": check.reason, "token_until": check.token_until}
    facts = json.dumps(dict(check.facts), ensure_ascii=False, sort_keys=True)
    connection.execute(update(channels).where(_c.name == check.name).values(**values, facts=facts))
    if was != check.reason:
        ref = f"channel:{check.name}"
        append(
            connection, [line(now, "account_checked", "system", ref=ref, channel=check.name, reason=check.reason)]
        )
