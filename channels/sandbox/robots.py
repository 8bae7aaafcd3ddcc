"""What the stand-ins of group robots share: HTTP 200 for everything, a window of a minute, words that must occur."""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from email.utils import formatdate
from typing import Any, NamedTuple

from aiohttp import web

from channels.sandbox.stand_in import Misbehaviour, Shown, StandIn

OPEN, WORDED = "rehearsal-robot", "rehearsal-robot-with-keywords"  # credentials that a stand-in accepts
SECRET = "SECrehearsal"  # noqa: S105 - made up; it signs nothing but rehearsals


class Heard(NamedTuple):
    """A message as the group would see it. `searched` is the part in which keywords are looked for."""

    title: str
    text: str
    searched: str = ""
    images: int = 0


class Refused(Exception):
    """`code` and `text` as the platform says them."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


class Window:
    """Counts what was taken in the last `seconds`."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit, self.seconds = limit, seconds
        self._taken: deque[float] = deque()

    def full(self, now: float) -> bool:
        while self._taken and self._taken[0] <= now - self.seconds:
            self._taken.popleft()
        return len(self._taken) >= self.limit

    def take(self, now: float) -> None:
        self._taken.append(now)


class RobotStandIn(StandIn):
    """One robot in one group. `keywords` are those it was told to insist on."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self.keywords: tuple[str, ...] = ()
        self.requests = 0

    @abstractmethod
    def judge(self, request: web.Request, body: bytes, message: Mapping[str, Any]) -> Heard:
        """The platform's rules. Raises `Refused`."""

    @abstractmethod
    def busy(self) -> Refused:
        """Too fast, in the platform's own words."""

    @abstractmethod
    def gone(self) -> Refused:
        """No such robot, in the platform's own words."""

    @abstractmethod
    def said(self, refused: Refused | None) -> Mapping[str, Any]:
        """The platform's answer; None: taken."""

    async def receive(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        body = await request.read()
        try:
            heard = self._judged(request, body)
        except Refused as refused:
            return self._reply(refused)
        if not self.told_to(Misbehaviour.DROP):
            number = f"message-{len(self.shown) + 1}"
            self.shown.append(Shown(number, heard.title, heard.text, self.clock(), images=heard.images))
        return await self.answer(request, self._reply(None))

    def _reply(self, refused: Refused | None) -> web.Response:
        """Dated by our own clock, so that a sender may notice how far off its own is."""
        return web.json_response(self.said(refused), headers={"Date": formatdate(self.clock(), usegmt=True)})

    def _judged(self, request: web.Request, body: bytes) -> Heard:
        if self.told_to(Misbehaviour.TOKEN_KILLED):
            raise self.gone()
        if self.told_to(Misbehaviour.BUSY):
            raise self.busy()
        try:
            message = json.loads(body)
        except ValueError:
            message = None
        return self.judge(request, body, message if isinstance(message, dict) else {})

    def insists(self, credential: str, searched: str) -> bool:
        """Whether the message lacks a word that this robot insists on."""
        return credential == WORDED and not any(word in searched for word in self.keywords)

    def aimed(self, url: str, own: Mapping[str, Any], place: str) -> dict[str, Any]:
        """The account's keys with the credential at `place` and the secret made up."""
        words = tuple(own.get("keywords", ()))
        self.keywords = (*self.keywords, *words)
        kept = {key: value for key, value in own.items() if key not in (place, "secret", "base_url")}
        return {**kept, place: WORDED if words else OPEN, "base_url": url}


def size(text: object) -> int:
    """Bytes of UTF-8; a thing that is no text has none."""
    return len(text.encode()) if isinstance(text, str) else 0


def part(message: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A nested object, empty where there is none."""
    found = message.get(name)
    return found if isinstance(found, dict) else {}


def texts(values: Iterable[object]) -> str:
    return "\n".join(v for v in values if isinstance(v, str) and v)
