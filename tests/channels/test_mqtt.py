"""MQTT: one retained topic an item, overwritten by what comes later; read back, for brokers acknowledge too much."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from push_world import World, heavy, world
from sample_post import correction, post, withdrawal

from channels import registry
from channels.adapters.mqtt import Mqtt, Settings, build
from channels.broker import _GREETINGS, Broker
from channels.contract import Checkable, Post, Presence
from channels.registry import BadSettings, Tools
from channels.sandbox.mqtt import MqttStandIn
from channels.sandbox.mqtt_wire import Cursor, Malformed, Packet, filters, matches, packet, read
from channels.sandbox.stand_in import Misbehaviour, Standing
from channels.transport import Reach, Transport
from channels.verdicts import Deferred, OutcomeUnknown, Receipt, Rejected, Suspended
from publisher.commands.platforms.mqtt import REASONS

TOPIC = "gongbao/announcements/01jexample"
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


@pytest.fixture
async def it() -> AsyncIterator[World]:
    async with world("mqtt", {"host": "broker.example.gov.cn", "deadline": 8}) as running:
        assert isinstance(running.stand_in, MqttStandIn)
        yield running


def broker_of(it: World) -> MqttStandIn:
    assert isinstance(it.stand_in, MqttStandIn)
    return it.stand_in


def port_of(it: World) -> int:
    return int(it.stand_in.keys(it.url, {})["port"])


def made(**own: Any) -> Mqtt:
    settings = Settings.model_validate({"host": "broker.example.gov.cn"} | own)
    return build("acct", settings, Tools(Transport(user_agent="t"), lambda: 0.0))


def payload(it: Post, **own: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(made(**own).prepare(it).form["payload"])
    return told


# -- what is sent --------------------------------------------------------------------------------------------


def test_the_payload_tells_how_the_item_stands() -> None:
    assert payload(post()) == {
        "id": "gb_k5x2example",
        "item": "01jexample",
        "revision": 3,
        "withdrawn": False,
        "title": post().title,
        "summary": post().summary,
        "url": post().url,
        "column": "announcements",
        "issuing_body": "示例局",
        "sent_at": "2026-01-01T00:00:00Z",
    }
    taken = payload(withdrawal())
    assert (taken["withdrawn"], taken["summary"]) == (True, "撤回说明：内容有误")


def test_topics_follow_the_template_and_an_item_keeps_the_one_it_has() -> None:
    def topic(it: Post, **own: Any) -> str:
        return str(made(**own).prepare(it).form["topic"])

    assert topic(post()) == TOPIC
    assert topic(post(column="a/b+c#"), topic="x/{item}/{column}") == "x/01jexample/a%2Fb%2Bc%23"
    assert topic(correction(remote=Receipt("gongbao/old/01jexample"), column="new")) == "gongbao/old/01jexample"
    assert topic(correction(remote=None)) == TOPIC


def test_a_payload_has_its_limit_to_the_byte() -> None:
    short = made().prepare(post(wording="x")).measured[0].length
    room = 2000 - int(short)
    assert made(payload_limit=2000).prepare(post(wording="x" * (1 + room))).measured[0].length == 2000
    with pytest.raises(Rejected, match="payload counts 2001 bytes, the limit is 2000: shorten it"):
        made(payload_limit=2000).prepare(post(wording="x" * (2 + room)))
    spare = made(payload_limit=512).prepare(post(summary="长" * 300))
    assert spare.dropped == ("summary", "body", "images")


@pytest.mark.parametrize(
    "own",
    [
        {"topic": "gongbao/{column}"},
        {"topic": "gongbao/{item}/{unit}"},
        {"topic": "gongbao/{item.__class__}"},
        {"topic": "gongbao/+/{item}"},
        {"topic": "gongbao/{item}/#"},
        {"topic": "$SYS/{item}"},
        {"topic": "gongbao/{"},
        {"password": "hush-hush"},
        {"host": "mqtt://broker"},
        {"ca_file": "no-such-file.pem"},
        {"port": 0},
    ],
)
def test_settings_that_cannot_be_are_refused(own: dict[str, Any]) -> None:
    keys = {"host": "broker.example.gov.cn", **own}
    with pytest.raises(BadSettings) as caught:
        registry.build("acct", "mqtt", keys, Tools(Transport(user_agent="t"), lambda: 0.0))
    assert "hush-hush" not in str(caught.value)


# -- with the stand-in ---------------------------------------------------------------------------------------


async def test_whoever_comes_later_sees_how_the_item_stands(it: World) -> None:
    receipt = await it.publish()
    assert (receipt.remote_id, receipt.url) == (TOPIC, post().url)
    assert json.loads(broker_of(it).retained[TOPIC])["title"] == post().title
    await it.edit(correction(remote=receipt))
    await it.recall(withdrawal(remote=receipt))
    [shown] = it.stand_in.live()
    assert (shown.versions, shown.title) == (3, f"【撤回】{post().title}")
    assert "qos 1" in {status for _, call, status in it.stand_in.calls if call.startswith("PUBLISH")}


async def test_sending_twice_leaves_one_copy(it: World) -> None:
    assert await it.publish() == await it.publish()
    assert [s.versions for s in it.stand_in.live()] == [1]


async def test_a_heavy_item_goes_out_whole(it: World) -> None:
    await it.publish(heavy())
    [shown] = it.stand_in.live()
    assert (shown.title, heavy().summary in shown.text) == (heavy().title, True)


async def test_a_withdrawal_can_clear_the_topic_instead() -> None:
    async with world("mqtt", {"withdrawal": "clear", "deadline": 8}) as it:
        receipt = await it.publish()
        assert await it.presence(withdrawal(remote=receipt)) is Presence.LIVE
        for _ in range(2):
            await it.recall(withdrawal(remote=receipt))
        assert [s.standing for s in it.stand_in.shown] == [Standing.GONE]
        assert broker_of(it).retained == {}
        assert await it.presence(withdrawal(remote=receipt)) is Presence.ABSENT


@pytest.mark.parametrize("how", [Misbehaviour.HANG, Misbehaviour.RESET, Misbehaviour.ERROR, Misbehaviour.GARBAGE])
async def test_after_the_post_was_written_a_lost_answer_is_a_doubt(it: World, how: Misbehaviour) -> None:
    it.stand_in.misbehave(how)
    with pytest.raises(OutcomeUnknown) as caught:
        await it.publish()
    assert caught.value.reason == ("late_answer" if how is Misbehaviour.HANG else "broken_answer")
    assert caught.value.timing is not None
    assert caught.value.timing.sent
    assert await it.presence() is Presence.LIVE
    await it.publish()
    assert [s.versions for s in it.stand_in.live()] == [1]


async def test_what_is_acknowledged_and_thrown_away_is_no_success(it: World) -> None:
    it.stand_in.misbehave(Misbehaviour.DROP)
    with pytest.raises(OutcomeUnknown, match="mqtt_not_shown"):
        await it.publish()
    assert await it.presence() is Presence.ABSENT
    receipt = await it.publish()
    broker_of(it).deaf.add(TOPIC)
    with pytest.raises(OutcomeUnknown, match="mqtt_not_shown"):
        await it.edit(correction(remote=receipt))
    assert await it.presence(correction(remote=receipt)) is Presence.ABSENT


async def test_an_account_that_may_not_read_believes_the_acknowledgement(it: World) -> None:
    broker_of(it).secret.add(TOPIC)
    assert (await it.publish()).remote_id == TOPIC
    assert await it.presence() is Presence.UNKNOWN


async def test_without_reading_back_the_acknowledgement_is_enough() -> None:
    async with world("mqtt", {"read_back": False}) as it:
        it.stand_in.misbehave(Misbehaviour.DROP)
        assert (await it.publish()).remote_id == TOPIC
        assert [c for _, c, _ in it.stand_in.calls if c.startswith("SUBSCRIBE")] == []


@pytest.mark.parametrize(
    "how, verdict, reason",
    [
        (Misbehaviour.BUSY, Deferred, "mqtt_unavailable"),
        (Misbehaviour.TOKEN_KILLED, Suspended, "mqtt_bad_login"),
    ],
)
async def test_a_refused_greeting_is_certainly_not_out(
    it: World, how: Misbehaviour, verdict: type[Exception], reason: str
) -> None:
    it.stand_in.misbehave(how)
    with pytest.raises(verdict, match=reason) as caught:
        await it.publish()
    assert not caught.value.timing.sent  # type: ignore[attr-defined]
    assert it.stand_in.shown == []


async def test_a_check_connects_and_publishes_nothing(it: World) -> None:
    assert isinstance(it.channel, Checkable)
    assert (await it.channel.check()).facts == {"broker": "lets us in"}
    keys = it.stand_in.keys(it.url, {"host": "x"}) | {"password": "hush-hush"}
    wrong = registry.build("acct", "mqtt", keys, it.tools)
    assert isinstance(wrong, Checkable)
    with pytest.raises(Suspended, match="mqtt_bad_login") as caught:
        await wrong.check()
    assert "hush-hush" not in str(caught.value)
    assert [c for _, c, _ in it.stand_in.calls if not c.startswith("CONNECT")] == []


def test_every_greeting_has_words() -> None:
    own = {reason for _, reason in _GREETINGS.values()} | {"mqtt_refused", "mqtt_not_shown"}
    assert own == set(REASONS)


# -- where it may go -----------------------------------------------------------------------------------------


async def test_the_address_rules_hold_for_brokers(it: World, monkeypatch: pytest.MonkeyPatch) -> None:
    port = port_of(it)
    for host, tls in (("127.0.0.1", True), ("127.0.0.1", False), ("localhost", True)):
        with pytest.raises(Suspended, match="address_not_allowed"):
            await Broker(host, port, account="a", tls=tls).check()
    assert not it.stand_in.calls
    dialled = _resolving_to("1.1.1.1", monkeypatch)
    with pytest.raises(Suspended, match="not in a network that is allow-listed"):
        await Broker("broker.example.gov.cn", 1883, account="a", tls=False, reach=Reach(LOOPBACK)).check()
    with pytest.raises(Suspended, match="not a web port"):
        await Broker("broker.example.gov.cn", 25, account="a", reach=Reach(LOOPBACK)).check()
    with pytest.raises(Suspended, match="not in a network that is allow-listed"):  # as in a rehearsal
        await Broker("broker.example.gov.cn", 8883, account="a", reach=Reach(LOOPBACK, only_allowed=True)).check()
    assert dialled == []


def _resolving_to(address: str, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    dialled: list[Any] = []
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 1))]
    )
    monkeypatch.setattr(socket, "create_connection", lambda to, *_, **__: dialled.append(to))
    return dialled


async def test_a_name_is_asked_for_once_and_the_judged_address_is_dialled(
    it: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that leads elsewhere the second time leads nowhere."""
    asked, dialled, real = [], [], socket.create_connection

    def lookup(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port_of(it)))]

    def dial(to: tuple[str, int], *rest: Any, **more: Any) -> socket.socket:
        dialled.append(to)
        monkeypatch.undo()  # the literal address needs the real one
        return real(to, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    monkeypatch.setattr(socket, "create_connection", dial)
    broker = Broker(
        "broker.example.gov.cn", port_of(it), account="a", tls=False, username="gongbao", password="stand-in",
        reach=Reach(LOOPBACK),
    )  # fmt: skip
    await broker.check()
    assert asked[:1] == ["broker.example.gov.cn"]
    assert dialled == [("127.0.0.1", port_of(it))]


async def test_no_connection_no_name_no_tls_and_no_greeting_are_certainly_not_out(it: World) -> None:
    async def refused(host: str, port: int, **more: Any) -> str:
        more = {"tls": False, "reach": Reach(LOOPBACK), "deadline": 60.0, "connect_deadline": 60.0} | more
        with pytest.raises(Deferred) as caught:
            await Broker(host, port, account="a", **more).retain("t", b"x", read_back=False)
        assert caught.value.timing is not None
        assert not caught.value.timing.sent
        return caught.value.reason

    silent = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    assert await refused("127.0.0.1", port, connect_deadline=1.0) == "connect_timeout"
    silent.close()
    await asyncio.sleep(0)
    assert await refused("127.0.0.1", port) == "cannot_connect"
    assert await refused("127.0.0.1", port_of(it), tls=True) == "tls_refused"


async def test_a_name_without_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Deferred, match="name_not_found"):
        await Broker("nobody.invalid", 8883, account="a").check()


async def test_cancellation_passes_through_and_leaves_nothing_open(it: World) -> None:
    it.stand_in.misbehave(Misbehaviour.HANG)
    task = asyncio.create_task(it.publish())
    async with asyncio.timeout(60):
        while not any(c.startswith("PUBLISH") for _, c, _ in it.stand_in.calls):
            await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await it.presence() is Presence.LIVE


# -- the stand-in's own packets ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wanted, topic, match",
    [
        ("a/b", "a/b", True),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("#", "a/b", True),
        ("#", "$SYS/x", False),
        ("+/b", "/b", True),
        ("a/b", "a/c", False),
    ],
)
def test_topic_filters(wanted: str, topic: str, match: bool) -> None:
    assert matches(wanted, topic) is match


async def test_lengths_of_packets_are_written_as_they_are_read() -> None:
    for size in (0, 1, 127, 128, 16_383, 16_384, 300_000):
        reader = asyncio.StreamReader()
        reader.feed_data(packet(Packet.PUBLISH, b"x" * size, 3))
        assert await read(reader) == (3, 3, b"x" * size)


async def test_what_is_no_mqtt_ends_the_connection(it: World) -> None:
    other = packet(Packet.CONNECT, b"\x00\x03abc\x04\x00\x00\x00")
    for bad in (b"GET / HTTP/1.1\r\n" * 9, other, b"\x10\xff\xff\xff\xff\x01"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(it))
        writer.write(bad)
        async with asyncio.timeout(60):
            assert await reader.read() == b""
        writer.close()
    with pytest.raises(Malformed):
        Cursor(b"\x00\x05ab").text()
    with pytest.raises(Malformed):
        filters(b"\x00\x01", with_qos=True)
