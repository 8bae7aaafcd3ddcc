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

OPEN = "rehearsal-robot"  # the credential that a stand-in accepts; behind it stand the words it insists on
SECRET = "SECrehearsal"  # noqa: S105 - made up; it signs nothing but rehearsals


def credential(keywords: Iterable[str] = ()) -> str:
    """What an account is given for a robot that insists on one of these words."""
    words = json.dumps(list(keywords)).encode().hex()
    return f"{OPEN}-{words}" if keywords else OPEN


def insisted_on(given: str) -> tuple[str, ...] | None:
    """The words of a credential; None for a stranger's."""
    try:
        words = json.loads(bytes.fromhex(given.removeprefix(f"{OPEN}-"))) if given != OPEN else []
    except ValueError:
        return None
    return tuple(str(word) for word in words) if isinstance(words, list) else None


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
    """One robot in one group."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
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

    def known(self, given: str) -> tuple[str, ...]:
        """The words that this credential's robot insists on. Raises `Refused` for a stranger."""
        words = insisted_on(given)
        if words is None:
            raise self.gone()
        return words

    def aimed(self, url: str, own: Mapping[str, Any], place: str) -> dict[str, Any]:
        """The account's keys with the credential at `place` made up."""
        kept = {key: value for key, value in own.items() if key not in (place, "secret", "base_url")}
        return {**kept, place: credential(own.get("keywords", ())), "base_url": url}


def lacks(words: tuple[str, ...], text: str) -> bool:
    """Whether a robot that insists on one of the words refuses the text."""
    return bool(words) and not any(word in text for word in words)


def size(text: object) -> int:
    """Bytes of UTF-8; a thing that is no text has none."""
    return len(text.encode()) if isinstance(text, str) else 0


def part(message: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A nested object, empty where there is none."""
    found = message.get(name)
    return found if isinstance(found, dict) else {}


def texts(values: Iterable[object]) -> str:
    return "\n".join(v for v in values if isinstance(v, str) and v)
