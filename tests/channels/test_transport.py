from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from platform_double import Platform, answer, close, drip, hang

from channels import transport as transport_module
from channels.answers import Answer
from channels.leaving import leaving_by, passing
from channels.transport import CONNECT_DEADLINE, REPLY_LIMIT, Transport
from channels.verdicts import Deferred, OutcomeUnknown, Rejected, Suspended

LOOPBACK = ("127.0.0.0/8", "::1/128")
PATIENCE_SECONDS = 60  # how long this machine may stand still before that is told as a failure


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    async with Platform() as running:
        yield running


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    async with Transport(user_agent="Gongbao/test", allow_networks=LOOPBACK, deadline=PATIENCE_SECONDS) as running:
        yield running


@pytest.fixture
async def strict() -> AsyncIterator[Transport]:
    async with Transport(user_agent="Gongbao/test", deadline=PATIENCE_SECONDS) as running:
        yield running


@pytest.fixture
async def tls(tmp_path: Path) -> AsyncIterator[tuple[str, str]]:
    """The address of a TLS platform, and its own self-signed certificate (PEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "tls.pem").write_bytes(plain + certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "tls.pem")
    async with Platform(context) as running:
        yield f"https://localhost:{running.port}/", certificate.decode()


async def post(transport: Transport, url: str, **more: Any) -> Any:
    return await transport.send("POST", url, {"X-Own": "1"}, b"body", account="acct", **more)


async def test_what_is_sent(transport: Transport, platform: Platform) -> None:
    platform.reply = answer(201, ("X-Id", "7"), ("Set-Cookie", "a=b"), body=b'{"id": 7}')
    response = await post(transport, platform.url)
    await post(transport, platform.url)
    assert (response.status, response.headers["x-id"], response.json()) == (201, "7", {"id": 7})
    assert response.timing.first_byte <= response.timing.total
    first, second = platform.seen
    assert (first.method, first.body, first.headers["x-own"]) == ("POST", b"body", "1")
    assert first.headers["user-agent"] == "Gongbao/test"
    assert "cookie" not in second.headers
    assert platform.connections == 1


async def test_replies_are_read_to_the_limit(transport: Transport, platform: Platform) -> None:
    platform.reply = answer(200, body=b"x" * REPLY_LIMIT)
    whole = await post(transport, platform.url)
    platform.reply = answer(200, body=b"x" * (REPLY_LIMIT * 40))
    cut = await post(transport, platform.url)
    assert (len(whole.body), whole.truncated) == (REPLY_LIMIT, False)
    assert (len(cut.body), cut.truncated) == (REPLY_LIMIT, True)
    with pytest.raises(OutcomeUnknown, match="unreadable_answer"):
        cut.json()


async def test_a_compressed_bomb_is_read_to_the_limit(transport: Transport, platform: Platform) -> None:
    platform.reply = answer(200, ("Content-Encoding", "gzip"), body=gzip.compress(b"\0" * 20_000_000))
    response = await post(transport, platform.url)
    assert (len(response.body), response.truncated) == (REPLY_LIMIT, True)
    assert platform.seen[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("reply", [hang, drip])
async def test_one_deadline_covers_the_whole_exchange(transport: Transport, platform: Platform, reply: Any) -> None:
    platform.reply = reply
    began = time.monotonic()
    async with asyncio.timeout(PATIENCE_SECONDS / 2):
        with pytest.raises(OutcomeUnknown, match="late_answer"):
            await post(transport, platform.url, deadline=1.0)
    assert time.monotonic() - began > 0.95


async def test_a_receiver_that_hangs_delays_nobody_else(transport: Transport, platform: Platform) -> None:
    platform.reply = hang
    async with Platform() as healthy:
        stuck = [asyncio.create_task(post(transport, platform.url, deadline=3600)) for _ in range(150)]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(platform.seen) < 150:
                await asyncio.sleep(0.01)
            for _ in range(20):
                await post(transport, healthy.url)
        assert not any(task.done() for task in stuck)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "GET"])
async def test_no_method_is_repeated_on_a_broken_kept_connection(
    transport: Transport, platform: Platform, method: str
) -> None:
    await transport.send(method, platform.url, {}, b"", account="acct")
    platform.reply = close
    with pytest.raises(OutcomeUnknown, match="broken_answer"):
        await transport.send(method, platform.url, {}, b"", account="acct")
    assert len(platform.seen) == 2


async def test_a_connection_that_never_comes_about_is_deferred() -> None:
    """A listener whose backlog is full never answers the handshake. The whole deadline is far off: a machine that
    stands still past both lets a late connection pass for a late answer."""
    impatient = Transport(user_agent="t", allow_networks=LOOPBACK, deadline=PATIENCE_SECONDS, connect_deadline=0.3)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        async with impatient as transport:
            with pytest.raises(Deferred, match="connect_timeout") as caught:
                await post(transport, f"http://127.0.0.1:{port}/")
        for filler in fillers:
            filler.close()
    assert caught.value.timing is not None
    assert not caught.value.timing.sent


@pytest.mark.parametrize("total, connect", [(60.0, CONNECT_DEADLINE), (5.0, 4.0), (0.3, 0.24)])
def test_a_connection_may_not_use_up_the_whole_deadline(total: float, connect: float) -> None:
    for given in (Transport(user_agent="t")._timeout(total), Transport(user_agent="t", deadline=total)._timeout(None)):
        assert (given.total, given.connect) == (total, pytest.approx(connect))


async def test_tls_that_nobody_vouches_for_is_deferred(transport: Transport, tls: tuple[str, str]) -> None:
    url, _ = tls
    with pytest.raises(Deferred, match="tls_refused") as caught:
        await post(transport, url)
    assert caught.value.timing is not None
    assert not caught.value.timing.sent


async def test_a_private_authority_may_be_trusted(tls: tuple[str, str]) -> None:
    url, certificate = tls
    trusting = ssl.create_default_context(cadata=certificate)
    async with Transport(user_agent="t", allow_networks=LOOPBACK, ssl_context=trusting) as transport:
        assert (await post(transport, url)).status == 200


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "localhost"])
async def test_addresses_are_checked_on_the_dialled_socket(
    strict: Transport, platform: Platform, scheme: str, host: str
) -> None:
    with pytest.raises(Suspended, match="address_not_allowed") as caught:
        await post(strict, f"{scheme}://{host}:{platform.port}/in?token=topsecret")
    assert "topsecret" not in str(caught.value)
    assert platform.connections == 0


async def test_a_name_that_leads_inside_is_refused(
    strict: Transport, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", platform.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: inside)
    with pytest.raises(Suspended, match="address_not_allowed"):
        await post(strict, f"https://harmless.example:{platform.port}/")
    assert platform.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://user:topsecret@127.0.0.1/",
        "http://topsecret@127.0.0.1/",
        "http:///nohost",
        "http://2130706433/",
        "http://127.1/",
        "//127.0.0.1/",
        "http://127.0.0.1:99999/",
        "",
    ],
)
async def test_addresses_that_are_no_addresses_suspend(transport: Transport, url: str) -> None:
    with pytest.raises(Suspended, match="address_not_allowed") as caught:
        await post(transport, url)
    assert "topsecret" not in str(caught.value)


async def test_proxy_variables_lead_nowhere(
    transport: Transport, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1/")
    assert (await post(transport, platform.url)).status == 200


async def test_redirects_are_not_followed(transport: Transport, platform: Platform) -> None:
    platform.reply = answer(302, ("Location", platform.url))
    with pytest.raises(Rejected, match="http_302"):
        await post(transport, platform.url)
    assert len(platform.seen) == 1


async def test_retry_after_dates_are_read_by_the_peers_own_clock(platform: Platform) -> None:
    when = ("Retry-After", "Thu, 01 Jan 2026 00:01:00 GMT")
    async with Transport(user_agent="t", allow_networks=LOOPBACK, clock=lambda: 1_767_225_600.0) as transport:
        platform.reply = answer(429, ("Date", "Thu, 01 Jan 2026 00:00:45 GMT"), when)
        with pytest.raises(Deferred) as theirs:
            await post(transport, platform.url)
        platform.reply = answer(429, when)
        with pytest.raises(Deferred) as ours:
            await post(transport, platform.url)
    assert (theirs.value.retry_after, ours.value.retry_after) == (15, 60)


async def test_an_adapter_may_read_what_the_table_hands_it(transport: Transport, platform: Platform) -> None:
    platform.reply = answer(404, body=b'{"code": 9}')
    response = await post(transport, platform.url, codes={404: Answer.TAKEN})
    assert (response.status, response.json()) == (404, {"code": 9})


async def test_fetch_repeats_what_passes_and_nothing_else(transport: Transport, platform: Platform) -> None:
    platform.reply = answer(500)
    with pytest.raises(Deferred, match="http_500"):  # nobody could notice it, so no post is in doubt
        await transport.fetch(platform.url, {}, account="acct", attempts=2)
    assert len(platform.seen) == 2
    for status, verdict in ((404, Rejected), (401, Suspended)):
        platform.seen.clear()
        platform.reply = answer(status)
        with pytest.raises(verdict):
            await transport.fetch(platform.url, {}, account="acct")
        assert len(platform.seen) == 1
    platform.seen.clear()
    platform.reply = answer(429, ("Retry-After", "9"))
    with pytest.raises(Deferred):
        await transport.fetch(platform.url, {}, account="acct")
    assert len(platform.seen) == 1


async def test_it_must_be_started_and_may_be_closed_twice(platform: Platform) -> None:
    transport = Transport(user_agent="t", allow_networks=LOOPBACK)
    with pytest.raises(RuntimeError, match="not started"):
        await post(transport, platform.url)
    await transport.start()
    assert (await post(transport, platform.url)).status == 200
    await transport.close()
    await transport.close()
    with pytest.raises(RuntimeError, match="not started"):
        await post(transport, platform.url)


class TestLeaving:
    """The right to send ends at a moment, however the time until then was spent."""

    async def test_in_time_it_leaves(self, transport: Transport, platform: Platform) -> None:
        with leaving_by(passing() + 60):
            await post(transport, platform.url)
        await post(transport, platform.url)
        assert [s.body for s in platform.seen] == [b"body"] * 2
        assert platform.seen[0].headers == platform.seen[1].headers

    @pytest.mark.parametrize("kept", [False, True])
    async def test_too_late_nothing_leaves(self, transport: Transport, platform: Platform, kept: bool) -> None:
        if kept:
            await post(transport, platform.url)
        with leaving_by(passing()), pytest.raises(Deferred) as refused:
            await post(transport, platform.url)
        assert (refused.value.reason, refused.value.timing and refused.value.timing.sent) == ("too_late", False)
        assert len(platform.seen) == kept
        await post(transport, platform.url)
        assert len(platform.seen) == kept + 1

    async def test_time_lost_while_connecting_counts(
        self, transport: Transport, platform: Platform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As if the process had stood still between the connection and the first byte."""
        connected = aiohttp.TCPConnector.connect

        async def late(*args: Any, **facts: Any) -> Any:
            connection = await connected(*args, **facts)
            monkeypatch.setattr(transport_module, "passing", lambda: passing() + 3600)
            return connection

        monkeypatch.setattr(aiohttp.TCPConnector, "connect", late)
        with leaving_by(passing() + 60), pytest.raises(Deferred, match="too_late"):
            await post(transport, platform.url)
        assert (platform.connections, platform.seen) == (1, [])

    async def test_without_a_body_it_is_looked_at_before(self, transport: Transport, platform: Platform) -> None:
        with leaving_by(passing()), pytest.raises(Deferred, match="too_late"):
            await transport.send("DELETE", platform.url, {}, b"", account="acct")
        assert platform.connections == 0

    async def test_what_nobody_could_notice_may_always_be_asked(
        self, transport: Transport, platform: Platform
    ) -> None:
        with leaving_by(passing()):
            await transport.ask("POST", platform.url, {}, b"token?", account="acct")
        assert [s.body for s in platform.seen] == [b"token?"]

    async def test_another_s_right_is_another_s(self, transport: Transport, platform: Platform) -> None:
        async def late() -> None:
            with leaving_by(passing()):
                await asyncio.sleep(0.05)
                with pytest.raises(Deferred):
                    await post(transport, platform.url)

        task = asyncio.create_task(late())
        await post(transport, platform.url)
        await task
        assert len(platform.seen) == 1
