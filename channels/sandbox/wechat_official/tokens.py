"""The two families of access tokens, each blind to the other (developers.weixin.qq.com, "Get access token" and "Get
stable access token")."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

LIFE, OVERLAP = 7_200, 300  # seconds; both tokens hold in the overlap
FORCED_A_DAY, FORCED_APART = 20, 30  # forced refreshes in a day, and seconds between two of them
STALE, ENDED, MISSING, TOO_OFTEN = 40001, 42001, 41001, 45009


@dataclass(slots=True)
class Token:
    """Epoch seconds. `killed`: ended before its time, which WeChat calls by another code."""

    value: str
    until: float
    killed: bool = False


class Tokens:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._given: dict[str, Token] = {}
        self._plain: Token | None = None
        self._stable: Token | None = None
        self._forced: list[float] = []
        self.issued = 0

    def plain(self) -> dict[str, object]:
        """`/cgi-bin/token`: always a new one; the one before it dies after the overlap."""
        now = self._clock()
        if self._plain is not None:
            self._plain.until = min(self._plain.until, now + OVERLAP)
        self._plain = self._new(now)
        return self._told(self._plain, now)

    def stable(self, *, force: bool) -> dict[str, object]:
        """The same token while it lasts; renewed in its last five minutes; a forced one kills it."""
        now = self._clock()
        if force:
            self._forced = [at for at in self._forced if at > now - 86_400]
            if len(self._forced) >= FORCED_A_DAY or (self._forced and now - self._forced[-1] < FORCED_APART):
                return {"errcode": TOO_OFTEN, "errmsg": "reach max api daily quota limit"}
            self._forced.append(now)
            if self._stable is not None:
                self._stable.killed = True
        held = self._stable
        if held is None or held.killed or held.until - now <= OVERLAP:
            self._stable = held = self._new(now)
        return self._told(held, now)

    def judge(self, value: str) -> int:
        """0, or the code of what is wrong with it."""
        if not value:
            return MISSING
        token = self._given.get(value)
        if token is None or token.killed:
            return STALE
        return ENDED if token.until <= self._clock() else 0

    def kill(self) -> None:
        for token in self._given.values():
            token.killed = True

    def _new(self, now: float) -> Token:
        self.issued += 1
        token = Token(secrets.token_urlsafe(96), now + LIFE)
        self._given[token.value] = token
        return token

    @staticmethod
    def _told(token: Token, now: float) -> dict[str, object]:
        return {"access_token": token.value, "expires_in": int(token.until - now)}
