"""The store: every promise about durability is kept here, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection

from content_queue.store.access import Access, Process, Token, newest_moment
from content_queue.store.accounts import AccountCheck, Accounts
from content_queue.store.alarms import Alarm, Alarms, Incident, Notice, Settled
from content_queue.store.channels import Channels, Switch
from content_queue.store.deliveries import Deliveries
from content_queue.store.engine import (
    Conflict,
    Database,
    Forbidden,
    LogDamaged,
    StoreBusy,
    StoreClosed,
    StoreError,
    StoreFull,
    Unknown,
    ping,
)
from content_queue.store.items import INTERNAL_COLUMN, Items, Reply
from content_queue.store.log import AuditLog, continue_numbers
from content_queue.store.lookback import LinkCheck, Lookback
from content_queue.store.looks import Look, Looks
from content_queue.store.marks import RevisionMark, revision_marks
from content_queue.store.quotas import Quotas
from content_queue.store.remaining import Remaining, Task
from content_queue.store.restored import Restores, Standing, Suspects, Witness
from content_queue.store.secrets import SealedSecret, Secrets
from content_queue.store.shelf import Shelf, Shown
from content_queue.store.signs import AccountSigns, Held, Signs, SignsNow, Unsettled
from content_queue.store.tokens import Kept, Tokens
from content_queue.store.turns import Turns
from content_queue.store.wake import Wake, Work

__all__ = [
    "INTERNAL_COLUMN",
    "Access",
    "AccountCheck",
    "AccountSigns",
    "Accounts",
    "Alarm",
    "Alarms",
    "AuditLog",
    "Channels",
    "Conflict",
    "Deliveries",
    "Forbidden",
    "Held",
    "Incident",
    "Items",
    "Kept",
    "LinkCheck",
    "LogDamaged",
    "Look",
    "Lookback",
    "Looks",
    "Notice",
    "Process",
    "Quotas",
    "Remaining",
    "Reply",
    "Restores",
    "RevisionMark",
    "SealedSecret",
    "Secrets",
    "Settled",
    "Shelf",
    "Shown",
    "Signs",
    "SignsNow",
    "Standing",
    "Store",
    "StoreBusy",
    "StoreClosed",
    "StoreError",
    "StoreFull",
    "Suspects",
    "Switch",
    "Task",
    "Token",
    "Tokens",
    "Turns",
    "Unknown",
    "Unsettled",
    "Wake",
    "Witness",
    "Work",
    "revision_marks",
]


def _ready(connection: Connection, now: int) -> None:
    from content_queue.migrations import upgrade

    upgrade(connection)
    continue_numbers(connection, now)


class Store:
    """`origin` names the log (a domain-like string); `key` signs checkpoints (None: this process seals nothing)."""

    def __init__(self, url: str, *, origin: str = "gongbao", key: Ed25519PrivateKey | None = None) -> None:
        self._db = Database(url)
        self.items = Items(self._db)
        self.deliveries = Deliveries(self._db)
        self.looks = Looks(self._db)
        self.remaining = Remaining(self._db)
        self.restores = Restores(self._db)
        self.channels = Channels(self._db)
        self.quotas = Quotas(self._db)
        self.shelf = Shelf(self._db)
        self.access = Access(self._db)
        self.accounts = Accounts(self._db)
        self.tokens = Tokens(self._db)
        self.secrets = Secrets(self._db)
        self.log = AuditLog(self._db, origin=origin, key=key)
        self.wake = Wake(self._db)
        self.turns = Turns(self._db)
        self.alarms = Alarms(self._db)
        self.signs = Signs(self._db)
        self.lookback = Lookback(self._db)

    async def migrate(self, *, now: int) -> None:
        """Brings the tables up to date, and the log's numbers; several processes may call it at once."""
        await self._db.write(_ready, now)

    async def newest(self) -> int:
        """The newest moment the database knows: of the last log entry or of a process's last sign of life."""
        return await self._db.read(newest_moment)

    async def ping(self) -> None:
        await self._db.read(ping)

    async def close(self) -> None:
        await self._db.close()
