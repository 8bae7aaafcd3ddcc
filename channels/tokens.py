"""Access tokens that a platform hands out for a while: one for each account, shared by every process that uses it.

On some platforms asking for a token ends the one before it, so that two processes which each keep their own would
invalidate each other's. Here one asks at a time and all read the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class KeptToken:
    """`good_until` is epoch seconds: when to stop using it, the platform's own margin taken off already."""

    value: str = field(repr=False)
    good_until: float


Ask = Callable[[], Awaitable[KeptToken]]


class TokenShelf(Protocol):
    async def get(self, account: str, ask: Ask, *, now: float, refused: str | None = None) -> KeptToken:
        """The account's token; `ask` fetches one when none is kept, when it has ended by `now` (epoch seconds), or
        when the kept one is `refused` (the platform has just turned it down). One caller asks, across processes;
        the others get what it got. What `ask` raises is passed on."""
        ...


class MemoryTokens:
    """Within one process."""

    def __init__(self) -> None:
        self._kept: dict[str, KeptToken] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def get(self, account: str, ask: Ask, *, now: float, refused: str | None = None) -> KeptToken:
        async with self._locks.setdefault(account, asyncio.Lock()):
            kept = self._kept.get(account)
            if kept is None or kept.good_until <= now or kept.value == refused:
                kept = self._kept[account] = await ask()
            return kept
