"""The one way out: sessions, deadlines, size limits, address rules, and what an HTTP answer comes to."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential
from yarl import URL

from channels.addresses import AddressRefused, Network, guarded_socket_factory
from channels.answers import Answer, classify, http_date, reset_after, retry_after, verdict
from channels.leaving import leave_by, passing
from channels.verdicts import Deferred, OutcomeUnknown, Suspended, Timing, Verdict

REPLY_LIMIT = 64 * 1024  # bytes of a reply that are read
DEADLINE = 20.0  # seconds for a whole request; Standard Webhooks advises 15 to 30
CONNECT_DEADLINE = 10.0  # seconds for name, connection and TLS together
KEEP_ALIVE = 4.0  # seconds; Node.js servers close idle connections after 5 (server.keepAliveTimeout)
KEPT_ADDRESSES = 4096
RESETS = ("X-RateLimit-Reset", "RateLimit-Reset")  # beside a 429 without Retry-After: Mastodon; AT Protocol
SECURE, PLAIN = "https", "http"


class _TooLate(Exception):
    pass


class _Body(aiohttp.BytesPayload):
    """Looks at the clock as the last thing before its bytes, and the head that aiohttp keeps back until they are there,
    are written. `refused`: it was too late, and not a byte was written."""

    refused = False

    def __init__(self, value: bytes, leave_by: float) -> None:
        super().__init__(value)
        self._leave_by = leave_by

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        if passing() >= self._leave_by:
            self.refused = True
            raise _TooLate
        await super().write_with_length(writer, content_length)


class Response(NamedTuple):
    """`body` is cut at the reply limit; `truncated` says whether it was."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    timing: Timing
    truncated: bool

    def json(self) -> Any:
        """The body as JSON. Raises `OutcomeUnknown`: a 2xx that nobody can read proves nothing."""
        try:
            if self.truncated:
                raise ValueError("too long")
            return json.loads(self.body)
        except ValueError:
            unknown = OutcomeUnknown("unreadable_answer", f"HTTP {self.status} without readable JSON")
            unknown.timing = self.timing
            raise unknown from None


class Reach(NamedTuple):
    """Where may be dialled: public addresses and `allowed`, or with `only_allowed` those alone."""

    allowed: tuple[Network, ...] = ()
    only_allowed: bool = False


class Transport:
    """Built with plain values, opened by `start`, closed by `close`.

    The pool has no limit of its own: a receiver that hangs holds its own requests only, and the queue bounds
    those (`Capabilities.parallel`). `https` goes to public addresses and to `allow_networks`; `http` to
    `allow_networks` alone, and with `only_allowed` so does everything; `plain_http` opens `http` to public addresses
    too (looks at public links, where nothing is secret). `clock` is epoch seconds, used for `Retry-After` dates without
    a `Date` beside them.
    """

    def __init__(
        self,
        *,
        user_agent: str,
        allow_networks: Sequence[Network | str] = (),
        deadline: float = DEADLINE,
        connect_deadline: float = CONNECT_DEADLINE,
        reply_limit: int = REPLY_LIMIT,
        ssl_context: ssl.SSLContext | None = None,
        only_allowed: bool = False,
        plain_http: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._user_agent = user_agent
        self._allowed = tuple(ipaddress.ip_network(n) if isinstance(n, str) else n for n in allow_networks)
        self._deadline, self._connect_deadline = deadline, connect_deadline
        self._reply_limit = reply_limit
        self._only_allowed = only_allowed
        self._ssl = ssl_context
        self._plain_http = plain_http
        self._clock = clock
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._addresses: dict[str, URL] = {}
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}

    @property
    def reach(self) -> Reach:
        """For ways out that are not HTTP: the same rules hold there."""
        return Reach(self._allowed, self._only_allowed)

    async def start(self) -> None:
        if not self._sessions:
            self._sessions = {scheme: self._session(scheme) for scheme in (SECURE, PLAIN)}

    async def close(self) -> None:
        """Ends requests under way; may be called twice."""
        sessions, self._sessions = self._sessions, {}
        self._addresses.clear()
        for session in sessions.values():
            await session.close()

    async def __aenter__(self) -> Transport:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _session(self, scheme: str) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,
            limit_per_host=0,
            keepalive_timeout=KEEP_ALIVE,
            ssl=self._ssl if self._ssl is not None else True,
            socket_factory=guarded_socket_factory(
                self._allowed, only_allowed=self._only_allowed or (scheme == PLAIN and not self._plain_http)
            ),
        )
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
        )
        # aiohttp repeats PUT and DELETE by itself on a broken kept connection; only the queue may repeat.
        session._retry_connection = False
        return session

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        account: str,
        codes: Mapping[int, Answer] | None = None,
        deadline: float | None = None,
    ) -> Response:
        """One request, never repeated. Returns what `codes` (else the default table) calls taken; raises the
        verdict for everything else. `deadline` is seconds for the whole exchange, reply body included. Inside
        `leaving_by` nothing leaves after that moment."""
        return await self._exchange(method, url, headers, body, account, codes, deadline, leave_by.get())

    async def _exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        account: str,
        codes: Mapping[int, Answer] | None,
        deadline: float | None,
        leave_by: float | None,
    ) -> Response:
        address = self._addresses.get(url) or self._vetted(url, account)
        data: bytes | _Body = body
        if leave_by is not None and body:
            own = self._deadline if deadline is None else deadline
            data = _Body(body, min(leave_by, passing() + own))
        began = time.perf_counter()
        if leave_by is not None and not body and passing() >= leave_by:
            raise _too_late(_place(account, address))
        answered: float | None = None
        refused: Verdict | None = None
        try:
            reply = await self._sessions[address.scheme].request(
                method,
                address,
                headers=headers,
                data=data,
                allow_redirects=False,
                timeout=self._timeout(deadline),
            )
            answered = time.perf_counter()
            if reply.status // 100 != 2 or codes is not None:
                refused = self._refusal(reply, codes, _place(account, address))
            if refused is None:
                content, truncated = await self._read(reply)
        except (aiohttp.ClientError, OSError) as error:
            place = _place(account, address)
            refused = _too_late(place) if isinstance(data, _Body) and data.refused else _broken(error, place)
        if refused is not None:
            refused.timing = _timing(began, answered, sent=answered is not None or type(refused) is OutcomeUnknown)
            raise refused
        return Response(reply.status, reply.headers, content, _timing(began, answered), truncated)

    async def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        account: str,
        codes: Mapping[int, Answer] | None = None,
        attempts: int = 3,
        deadline: float | None = None,
    ) -> Response:
        """A request that no reader could notice however often it is made (a token, a look, an upload of a picture
        that no post shows yet), tried up to `attempts` times. Not repeated when told to wait.

        Whatever it raises says nothing of the post: an unknown outcome becomes `Deferred`.
        """
        try:
            async for attempt in AsyncRetrying(
                stop=stop_after_attempt(attempts),
                wait=wait_random_exponential(multiplier=0.1, max=2),
                retry=retry_if_exception(_is_passing),
                reraise=True,
            ):
                with attempt:
                    return await self._exchange(method, url, headers, body, account, codes, deadline, None)
        except OutcomeUnknown as error:
            unanswered = Deferred(error.reason, error.detail)
            unanswered.timing = error.timing
            raise unanswered from None
        raise AssertionError("tenacity ends by returning or raising")

    async def fetch(
        self, url: str, headers: Mapping[str, str], *, account: str, attempts: int = 3, deadline: float | None = None
    ) -> Response:
        """`ask` by GET."""
        return await self.ask("GET", url, headers, account=account, attempts=attempts, deadline=deadline)

    def _timeout(self, deadline: float | None) -> aiohttp.ClientTimeout:
        """The connection may not use up the whole deadline: so a late connection is told from a late answer."""
        total = self._deadline if deadline is None else deadline
        timeout = self._timeouts.get(total)
        if timeout is None:
            connect = min(self._connect_deadline, total * 0.8)
            timeout = aiohttp.ClientTimeout(total=total, connect=connect, ceil_threshold=3600)
            self._timeouts[total] = timeout
        return timeout

    def _vetted(self, url: str, account: str) -> URL:
        """Parsed once per address. Raises `Suspended`: the account is configured wrongly."""
        if not self._sessions:
            raise RuntimeError("the transport is not started")
        try:
            address = URL(url)
            bad = address.scheme not in self._sessions or not address.host or "@" in address.authority
        except ValueError:
            bad = True
        if bad:
            raise Suspended("address_not_allowed", f"{account}: not an http(s) address without user name")
        if len(self._addresses) >= KEPT_ADDRESSES:
            self._addresses.clear()
        self._addresses[url] = address
        return address

    async def _read(self, reply: aiohttp.ClientResponse) -> tuple[bytes, bool]:
        """The body up to the limit; a connection with more to say is closed."""
        stream, limit = reply.content, self._reply_limit
        try:
            body = await stream.read(limit + 1)
            while len(body) <= limit and not stream.at_eof():
                body += await stream.read(limit + 1 - len(body))
        finally:
            if not stream.at_eof():
                reply.close()
        return body[:limit], len(body) > limit

    def _refusal(self, reply: aiohttp.ClientResponse, codes: Mapping[int, Answer] | None, place: str) -> Verdict | None:
        """What the status says, before the body: a refusal stays one even if its text never ends."""
        wait = None
        if "Retry-After" in reply.headers:
            theirs = http_date(reply.headers.get("Date", ""))
            now = self._clock() if theirs is None else theirs
            wait = retry_after(reply.headers.getall("Retry-After"), now)
        elif reply.status == 429:
            resets = (reset_after(reply.headers[name], self._clock()) for name in RESETS if name in reply.headers)
            wait = next((known for known in resets if known is not None), None)
        answer = classify(reply.status, codes, wait)
        if answer is Answer.TAKEN:
            return None
        if not reply.content.at_eof():
            reply.close()
        return verdict(reply.status, answer, f"{place} answered HTTP {reply.status}", wait)


def _timing(began: float, answered: float | None, sent: bool = True) -> Timing:
    first = None if answered is None else (answered - began) * 1000
    return Timing((time.perf_counter() - began) * 1000, first, sent)


def _place(account: str, address: URL) -> str:
    """The host alone: paths and queries of webhooks and robots hold tokens."""
    return f"{account}: {address.host}"


def _too_late(place: str) -> Verdict:
    return Deferred("too_late", f"{place}: the right to send ran out before anything left")


def _broken(error: Exception, place: str) -> Verdict:
    """The verdict for a request without a whole answer. Library texts are not passed on: they show addresses."""
    if isinstance(error, aiohttp.InvalidURL):
        return Suspended("address_not_allowed", f"{place} is not an address")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Deferred("name_not_found", f"{place} has no address")
    if isinstance(error, (aiohttp.ClientConnectorSSLError, aiohttp.ClientConnectorCertificateError)):
        return Deferred("tls_refused", f"{place} has no TLS that we trust")
    if isinstance(error, aiohttp.ClientConnectorError):
        if isinstance(error.os_error, AddressRefused):
            return Suspended("address_not_allowed", f"{place}: {error.os_error}")
        return Deferred("cannot_connect", f"{place} did not accept a connection")
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Deferred("connect_timeout", f"{place} did not accept a connection in time")
    if isinstance(error, asyncio.TimeoutError):
        return OutcomeUnknown("late_answer", f"{place} did not answer in time")
    return OutcomeUnknown("broken_answer", f"{place} broke off ({type(error).__name__})")


def _is_passing(error: BaseException) -> bool:
    if isinstance(error, Deferred):
        return error.retry_after is None
    return isinstance(error, OutcomeUnknown)
