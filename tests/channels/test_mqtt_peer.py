"""Against a broker and clients that nobody here wrote: Mosquitto, with TLS, passwords and rights of its own."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from free_ports import free_port
from push_world import heavy, world
from sample_post import correction, post, withdrawal

from channels import registry
from channels.adapters.mqtt import Mqtt
from channels.contract import Presence
from channels.registry import Tools
from channels.sandbox.mqtt import PASSWORD, USERNAME, MqttStandIn
from channels.transport import Transport
from channels.verdicts import Deferred, OutcomeUnknown, Suspended

PROGRAMS = {
    name: shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin")
    for name in ("mosquitto", "mosquitto_passwd", "mosquitto_pub", "mosquitto_sub")
}
pytestmark = pytest.mark.skipif(None in PROGRAMS.values(), reason="needs mosquitto and mosquitto-clients")

TOPIC = "gongbao/announcements/01jexample"
RIGHTS = f"""
user writer
topic readwrite gongbao/#
user reader
topic read gongbao/#
user blind
topic write gongbao/#
user {USERNAME}
topic readwrite gongbao/#
"""


@dataclass
class Peer:
    folder: Path
    port: int
    tools: Tools

    def channel(self, **own: Any) -> Mqtt:
        keys = {
            "host": "localhost", "port": self.port, "ca_file": str(self.folder / "ca.pem"), "username": "writer",
            "password": "pw-writer", "deadline": 10, **own,
        }  # fmt: skip
        channel = registry.build("acct", "mqtt", keys, self.tools)
        assert isinstance(channel, Mqtt)
        return channel


def certificate(folder: Path) -> None:
    """For the name localhost, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))


async def run(*command: str | None) -> bytes:
    process = await asyncio.create_subprocess_exec(*(c or "" for c in command), stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    return out


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Peer]:
    certificate(tmp_path)
    for user in ("writer", "reader", "blind"):
        new = () if (tmp_path / "passwords").exists() else ("-c",)
        await run(PROGRAMS["mosquitto_passwd"], "-b", *new, str(tmp_path / "passwords"), user, f"pw-{user}")
    port = free_port()
    (tmp_path / "rights").write_text(RIGHTS)
    lines = (
        f"listener {port} 127.0.0.1", f"certfile {tmp_path}/ca.pem", f"keyfile {tmp_path}/key.pem",
        f"password_file {tmp_path}/passwords", f"acl_file {tmp_path}/rights", "allow_anonymous false",
        "persistence false", "user root",
    )  # fmt: skip
    (tmp_path / "mosquitto.conf").write_text("\n".join(lines) + "\n")
    with (tmp_path / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(PROGRAMS["mosquitto"]), "-c", str(tmp_path / "mosquitto.conf"), stdout=log, stderr=log
        )
    try:
        await listening(port, process, tmp_path / "log")
        async with Transport(user_agent="t", allow_networks=("127.0.0.0/8", "::1/128")) as transport:
            yield Peer(tmp_path, port, Tools(transport, lambda: 0.0))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def listening(port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(60):
        while True:
            assert process.returncode is None, log.read_text("utf-8", "replace")
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.02)


async def subscribed(peer: Peer, *more: str) -> list[dict[str, Any]]:
    """What Mosquitto's own subscriber is shown on coming late."""
    out = await run(
        PROGRAMS["mosquitto_sub"], "-h", "localhost", "-p", str(peer.port), "--cafile", str(peer.folder / "ca.pem"),
        "-u", "reader", "-P", "pw-reader", "-t", "gongbao/#", "--retained-only", "-W", "2", *more,
    )  # fmt: skip
    return [json.loads(line) for line in out.splitlines() if line]


async def shown(peer: Peer) -> list[dict[str, Any]]:
    """The same where there is something: a subscriber that its machine let run too late is shown nothing."""
    async with asyncio.timeout(60):
        while not (found := await subscribed(peer)):
            pass
    return found


async def test_a_late_subscriber_sees_how_the_item_stands(peer: Peer) -> None:
    channel = peer.channel()
    await channel.check()
    receipt = await channel.publish(post())
    assert receipt.remote_id == TOPIC
    assert await channel.publish(post()) == receipt
    [told] = await shown(peer)
    assert (told["title"], told["withdrawn"]) == (post().title, False)
    await channel.edit(correction(remote=receipt))
    await channel.recall(withdrawal(remote=receipt))
    [told] = await shown(peer)
    assert (told["title"], told["withdrawn"]) == (f"【撤回】{post().title}", True)
    assert (await channel.confirm(withdrawal(remote=receipt), None)).presence is Presence.ABSENT


async def test_a_heavy_item_arrives_whole_and_is_found(peer: Peer) -> None:
    channel = peer.channel()
    await channel.publish(heavy())
    assert (await channel.confirm(heavy(), None)).presence is Presence.LIVE
    assert (await channel.confirm(heavy(title="别的"), None)).presence is Presence.ABSENT
    [told] = await shown(peer)
    assert (told["title"], told["summary"]) == (heavy().title, heavy().summary)


async def test_a_cleared_topic_shows_nothing(peer: Peer) -> None:
    channel = peer.channel(withdrawal="clear")
    receipt = await channel.publish(post())
    await channel.recall(withdrawal(remote=receipt))
    assert await subscribed(peer) == []
    assert (await channel.confirm(withdrawal(remote=receipt), None)).presence is Presence.ABSENT


async def test_rights_that_lack_are_noticed(peer: Peer) -> None:
    with pytest.raises(OutcomeUnknown, match="mqtt_not_shown"):
        await peer.channel(username="reader", password="pw-reader").publish(post())
    with pytest.raises(Suspended, match=r"mqtt_(not_authorized|bad_login)") as caught:
        await peer.channel(password="pw-wrong").publish(post())
    assert "pw-wrong" not in str(caught.value)
    blind = peer.channel(username="blind", password="pw-blind", read_back=False)
    assert (await blind.publish(post())).remote_id == TOPIC
    assert len(await shown(peer)) == 1


async def test_the_certificate_is_checked_for_the_name(peer: Peer) -> None:
    for own in ({"host": "127.0.0.1"}, {"ca_file": ""}):
        with pytest.raises(Deferred, match="tls_refused"):
            await peer.channel(**own).publish(post())
    assert await subscribed(peer) == []


async def test_an_address_that_is_not_allowed_is_not_dialled(peer: Peer) -> None:
    async with Transport(user_agent="t", allow_networks=(ipaddress.ip_network("10.0.0.0/8"),)) as transport:
        shut = Peer(peer.folder, peer.port, Tools(transport, lambda: 0.0))
        with pytest.raises(Suspended, match="address_not_allowed: acct: localhost: not a public address"):
            await shut.channel().publish(post())


async def test_mosquittos_own_clients_speak_with_the_stand_in() -> None:
    async with world("mqtt", {}) as it:
        assert isinstance(it.stand_in, MqttStandIn)
        await it.publish()
        port = str(it.stand_in.keys(it.url, {})["port"])
        login = ("-h", "127.0.0.1", "-p", port, "-u", USERNAME, "-P", PASSWORD, "-V", "mqttv311")
        out = await run(PROGRAMS["mosquitto_sub"], *login, "-t", "gongbao/+/#", "-C", "1", "-W", "20")
        assert json.loads(out)["title"] == post().title
        await run(PROGRAMS["mosquitto_pub"], *login, "-t", "other/topic", "-m", "你好", "-q", "1", "-r")
        assert it.stand_in.retained["other/topic"] == "你好".encode()
        await run(PROGRAMS["mosquitto_pub"], *login, "-t", "other/topic", "-n", "-q", "1", "-r")
        assert "other/topic" not in it.stand_in.retained
