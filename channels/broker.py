"""The one way out over MQTT 3.1.1: address rules, TLS, deadlines, and what a broker's answer comes to.

Every operation is a connection of its own, and nothing is repeated. A broker of this version acknowledges what it then
throws away (an account without the right to write): so what was published is read back on the same connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import secrets
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import aiomqtt

from channels.addresses import refusal
from channels.transport import Reach
from channels.verdicts import Deferred, OutcomeUnknown, Suspended, Timing, Verdict

DEADLINE = 20.0  # seconds for a whole operation, as for requests
CONNECT_DEADLINE = 10.0  # seconds for name, connection, TLS and the broker's greeting
QUIET = 2.0  # seconds: a broker sends what it retains right after it has confirmed a subscription
AT_LEAST_ONCE = 1
FAILED = 128  # MQTT 3.1.1, SUBACK: the subscription was refused

# paho's reason codes, to which it also translates the five of MQTT 3.1.1 (3.2.2.3, CONNACK).
_GREETINGS: Mapping[int, tuple[type[Verdict], str]] = MappingProxyType(
    {
        132: (Suspended, "mqtt_version"),
        133: (Suspended, "mqtt_client_id"),
        134: (Suspended, "mqtt_bad_login"),
        135: (Suspended, "mqtt_not_authorized"),
        136: (Deferred, "mqtt_unavailable"),
    }
)
NOWHERE_PRIVATE = Reach()
T = TypeVar("T")


class NotReadable(Exception):
    """The account may not read the topic."""


class _Named(ssl.SSLContext):
    """Checks the certificate for the broker's name although the judged address is dialled."""

    server_name: str = ""

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        return super().wrap_socket(*args, **(kwargs | {"server_hostname": self.server_name}))


class _Client(aiomqtt.Client):
    async def gone(self) -> None:
        """Raises `MqttError` when the connection ends."""
        with contextlib.suppress(Exception):
            await asyncio.shield(self._disconnected)
        raise aiomqtt.MqttError("disconnected")

    def abandon(self) -> None:
        """Closes what is left of a connection that failed; the library would keep it."""
        sock = self._client.socket()
        if sock is not None:
            with contextlib.suppress(OSError, ValueError):
                self._loop.remove_reader(sock)
                self._loop.remove_writer(sock)
            sock.close()
        if self._misc_task is not None:
            self._misc_task.cancel()
        if self._disconnected.done() and not self._disconnected.cancelled():
            self._disconnected.exception()


class Broker:
    """With `tls` it goes wherever `reach` says; without, to the allowed networks alone. Raises `ValueError` for a
    certificate file that cannot be read."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        account: str,
        tls: bool = True,
        ca_file: str = "",
        username: str | None = None,
        password: str | None = None,
        reach: Reach = NOWHERE_PRIVATE,
        deadline: float = DEADLINE,
        connect_deadline: float = CONNECT_DEADLINE,
        quiet: float = QUIET,
    ) -> None:
        self._host, self._port, self._reach = host, port, reach
        self._username, self._password = username, password
        self._deadline, self._connect_deadline = deadline, min(connect_deadline, deadline)
        self._quiet = min(quiet, deadline / 4)
        self._tls = _tls_context(host, ca_file) if tls else None
        self._place = f"{account}: {host}"
        self._late: set[asyncio.Task[None]] = set()

    async def check(self) -> None:
        """Connects and leaves. Raises verdicts."""
        async with self._connected():
            pass

    async def retained(self, topic: str) -> bytes:
        """What a new subscriber of the topic is shown; empty for nothing. Raises `NotReadable` and verdicts: a look
        that failed is `Deferred`."""
        async with self._connected() as client:
            try:
                async with asyncio.timeout(self._deadline):
                    return await self._read(client, topic)
            except (aiomqtt.MqttError, TimeoutError):
                raise Deferred("broken_answer", f"{self._place} broke off") from None

    async def retain(self, topic: str, payload: bytes, *, read_back: bool) -> None:
        """Publishes at QoS 1, retained; an empty payload clears the topic. Raises verdicts."""
        async with self._connected() as client:
            began = time.perf_counter()
            try:
                async with asyncio.timeout(self._deadline):
                    sent = client.publish(topic, payload, AT_LEAST_ONCE, retain=True, timeout=math.inf)
                    await _unless_broken(client, sent)
                    shown = await self._read(client, topic) if read_back else payload
            except (aiomqtt.MqttError, TimeoutError) as error:
                reason = "late_answer" if isinstance(error, TimeoutError) else "broken_answer"
                raise _timed(OutcomeUnknown(reason, f"{self._place} did not acknowledge"), began) from None
            except NotReadable:
                return
            if shown != payload:
                raise _timed(OutcomeUnknown("mqtt_not_shown", f"{self._place} acknowledged, but shows another"), began)

    async def _read(self, client: _Client, topic: str) -> bytes:
        granted = await _unless_broken(client, client.subscribe(topic, AT_LEAST_ONCE, timeout=math.inf))
        if any(_value(code) >= FAILED for code in granted):
            raise NotReadable
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._quiet):
                async for message in client.messages:
                    if message.topic.value == topic and isinstance(message.payload, bytes):
                        return message.payload
        return b""

    # -- connecting ----------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[_Client]:
        """Everything that goes wrong in here happened before anything was published."""
        began = time.perf_counter()
        try:
            client = await self._open()
        except Verdict as refused:
            refused.timing = Timing((time.perf_counter() - began) * 1000, None, False)
            raise
        try:
            yield client
            with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
                async with asyncio.timeout(self._quiet):
                    await client.__aexit__(None, None, None)
        finally:
            client.abandon()

    async def _open(self) -> _Client:
        try:
            async with asyncio.timeout(self._connect_deadline):
                refused: Verdict = Deferred("name_not_found", f"{self._place} has no address")
                for address in await self._addresses():
                    try:
                        return await self._greeted(address)
                    except aiomqtt.MqttError as error:
                        refused = self._refusal(error)
                raise refused
        except TimeoutError:
            raise Deferred("connect_timeout", f"{self._place} did not greet in time") from None

    async def _addresses(self) -> list[str]:
        """Those that may be dialled, and are: no name is asked for again. Raises `Suspended` when none may."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except OSError:
            raise Deferred("name_not_found", f"{self._place} has no address") from None
        allowed, only = self._reach.allowed, self._reach.only_allowed or self._tls is None
        dialled = dict.fromkeys(str(info[4][0]) for info in found)
        judged = {address: refusal(address, self._port, allowed, only_allowed=only) for address in dialled}
        good = [address for address, problem in judged.items() if problem is None]
        if not good:
            problem = next(iter(judged.values()), "no address")
            raise Suspended("address_not_allowed", f"{self._place}: {problem}")
        return good

    async def _greeted(self, address: str) -> _Client:
        """Connecting runs in a thread that cannot be stopped: who no longer waits for it leaves it an owner."""
        client = _Client(
            address,
            self._port,
            username=self._username,
            password=self._password,
            identifier="gongbao" + secrets.token_hex(8),  # MQTT 3.1.1, 3.1.3.1: 23 letters and digits at most
            clean_session=True,
            timeout=self._connect_deadline,
            keepalive=int(self._deadline) + 5,
            max_queued_incoming_messages=8,
            tls_context=self._tls,
        )
        opening = asyncio.ensure_future(client.__aenter__())
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            late = asyncio.create_task(_end_late(opening, client))
            self._late.add(late)
            late.add_done_callback(self._late.discard)
            raise
        except aiomqtt.MqttError:
            client.abandon()
            raise
        return client

    def _refusal(self, error: aiomqtt.MqttError) -> Verdict:
        """Nothing was published. Library texts are not passed on."""
        if isinstance(error, aiomqtt.MqttCodeError):
            code = _value(error.rc)
            kind, reason = _GREETINGS.get(code, (Deferred, "mqtt_refused"))
            return kind(reason, f"{self._place} refused the connection (code {code})")
        if isinstance(error.__context__, ssl.SSLError):
            return Deferred("tls_refused", f"{self._place} has no TLS that we trust")
        if "timed out" in str(error):
            return Deferred("connect_timeout", f"{self._place} did not greet in time")
        return Deferred("cannot_connect", f"{self._place} did not accept a connection")


def _tls_context(host: str, ca_file: str) -> ssl.SSLContext:
    context = _Named(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.server_name = host
    try:
        if ca_file:
            context.load_verify_locations(ca_file)
        else:
            context.load_default_certs()
    except (OSError, ssl.SSLError):
        raise ValueError("ca_file cannot be read as certificates") from None
    return context


async def _unless_broken(client: _Client, asked: Awaitable[T]) -> T:
    """What was asked, or at once the error of a connection that breaks; the library would wait for its deadline."""
    asking, breaking = asyncio.ensure_future(asked), asyncio.ensure_future(client.gone())
    try:
        await asyncio.wait({asking, breaking}, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            breaking.result()
        return await asking
    finally:
        for task in (asking, breaking):
            task.cancel()
        await asyncio.gather(asking, breaking, return_exceptions=True)


async def _end_late(opening: asyncio.Future[Any], client: _Client) -> None:
    await asyncio.wait({opening})
    if not opening.cancelled():
        opening.exception()
    client.abandon()


def _value(code: Any) -> int:
    """Of paho's objects and of plain numbers."""
    return int(getattr(code, "value", code) or 0)


def _timed(verdict: Verdict, began: float) -> Verdict:
    verdict.timing = Timing((time.perf_counter() - began) * 1000, None, True)
    return verdict
