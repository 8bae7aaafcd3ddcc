"""Access tokens shared by every process through the store, sealed by the vault; implements `channels/tokens.py`."""

from __future__ import annotations

import asyncio
import uuid

from channels.tokens import Ask, KeptToken
from channels.verdicts import Deferred
from content_queue.store import Kept, Store
from publisher.clock import SECOND
from publisher.vault import Unopened, Vault

TURN_SECONDS = 30  # how long one process may take to ask before another may
LOOK_SECONDS = 0.1  # how often those who wait look whether it is there
PATIENCE_SECONDS = 20  # below a worker's lease; then the post is put off


class StoreTokens:
    """Knows the last token it read; the store is asked only when that one has ended or was refused."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self._store, self._vault = store, vault
        self._who = uuid.uuid4().hex
        self._known: dict[str, KeptToken] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def get(self, account: str, ask: Ask, *, now: float, refused: str | None = None) -> KeptToken:
        if known := _good(self._known.get(account), now, refused):
            return known
        async with self._locks.setdefault(account, asyncio.Lock()):
            known = _good(self._known.get(account), now, refused)
            if known is None:
                known = self._known[account] = await self._shared(account, ask, now, refused)
            return known

    async def _shared(self, account: str, ask: Ask, now: float, refused: str | None) -> KeptToken:
        """What another process keeps, if it is good; else ours to ask for, or theirs who are asking already."""
        for _ in range(int(PATIENCE_SECONDS / LOOK_SECONDS)):
            kept = await self._store.tokens.look(account)
            if token := _good(self._opened(account, kept), now, refused):
                return token
            at = int(now * SECOND)
            until = at + TURN_SECONDS * SECOND
            if await self._store.tokens.take_turn(account, kept.version, who=self._who, now=at, until=until):
                return await self._asked(account, kept, ask)
            await asyncio.sleep(LOOK_SECONDS)
            now += LOOK_SECONDS
        raise Deferred("token_awaited", f"{account}: another process is asking for an access token")

    async def _asked(self, account: str, kept: Kept, ask: Ask) -> KeptToken:
        try:
            token = await ask()
        except BaseException:
            await self._store.tokens.give_up(account, who=self._who)
            raise
        sealed = self._vault.seal(token.value, f"token:{account}")
        good_until = int(token.good_until * SECOND)
        await self._store.tokens.keep(account, kept.version, who=self._who, sealed=sealed, good_until=good_until)
        return token

    def _opened(self, account: str, kept: Kept) -> KeptToken | None:
        """None also when it was sealed with a key that we do not have: then a new one is asked for."""
        if kept.sealed is None:
            return None
        try:
            value = self._vault.open(kept.sealed, f"token:{account}")
        except Unopened:
            return None
        return KeptToken(value, kept.good_until / SECOND)


def _good(token: KeptToken | None, now: float, refused: str | None) -> KeptToken | None:
    """The token, if it may be used."""
    return token if token is not None and token.good_until > now and token.value != refused else None
