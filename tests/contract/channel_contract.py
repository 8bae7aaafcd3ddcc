"""What every channel must hold to. A channel's test inherits one of the classes and says how it is made."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
from patience import PatientTransport
from platform_double import (
    Platform,
    Reply,
    answer,
    close,
    cut_body,
    drip,
    garbage,
    hang,
    refuse_and_hang,
    reset,
)
from sample_post import correction, post, withdrawal

from channels import registry
from channels.contract import Capabilities, Channel, Editable, Idempotency, Preparable, Recallable
from channels.registry import BadSettings, Tools
from channels.shelf import Shelf
from channels.verdicts import Deferred, OutcomeUnknown, Receipt, Rejected, Suspended, Verdict

LOOPBACK = ("127.0.0.0/8",)


class ChannelContract:
    """For every channel. Override `kind`, `keys` and, where a platform is needed, the fixtures."""

    kind: ClassVar[str]
    secrets: ClassVar[tuple[str, ...]] = ()  # what may never be shown

    def keys(self, url: str) -> dict[str, Any]:
        """The account's own keys, pointing at `url` where there is an address."""
        return {}

    def shelf(self) -> Shelf | None:
        return None

    @pytest.fixture
    async def platform(self) -> AsyncIterator[Platform]:
        async with Platform() as running:
            yield running

    @pytest.fixture
    async def tools(self) -> AsyncIterator[Tools]:
        async with PatientTransport() as transport:
            yield Tools(transport, lambda: 1_767_225_600.0, self.shelf())

    @pytest.fixture
    def channel(self, tools: Tools, platform: Platform) -> Channel:
        return registry.build("acct", self.kind, self.keys(platform.url), tools)

    async def test_publish_returns_a_receipt(self, channel: Channel) -> None:
        receipt = await channel.publish(post())
        assert isinstance(receipt, Receipt)
        assert receipt.remote_id

    async def test_the_same_post_gives_the_same_receipt_where_repeats_are_dropped(self, channel: Channel) -> None:
        first, second = await channel.publish(post()), await channel.publish(post())
        if channel.capabilities.idempotency is not Idempotency.NONE:
            assert first == second

    async def test_edit_and_recall_return_receipts(self, channel: Channel) -> None:
        await channel.publish(post())
        if isinstance(channel, Editable):
            assert (await channel.edit(correction())).remote_id
        if isinstance(channel, Recallable):
            assert (await channel.recall(withdrawal())).remote_id

    def test_it_names_its_kind_and_account(self, channel: Channel) -> None:
        assert (channel.kind, channel.account) == (self.kind, "acct")

    def test_capabilities_are_frozen_and_sane(self, channel: Channel) -> None:
        promised = channel.capabilities
        assert isinstance(promised, Capabilities)
        assert promised.parallel >= 1
        assert promised.idempotency is registry.kinds()[self.kind].capabilities.idempotency
        with pytest.raises(dataclasses.FrozenInstanceError):
            promised.parallel = 1000  # type: ignore[misc]

    def test_an_unknown_key_is_refused_by_name(self, tools: Tools) -> None:
        with pytest.raises(BadSettings, match=r"channel acct: .*surprise_key"):
            registry.build("acct", self.kind, {**self.keys("http://x.test/"), "surprise_key": 1}, tools)

    def test_settings_are_frozen_and_hide_secrets(self) -> None:
        settings = registry.kinds()[self.kind].settings.model_validate(self.keys("http://x.test/"))
        assert settings.model_config["frozen"]
        self.hides_secrets(repr(settings), str(settings), settings.model_dump_json())

    def test_the_channel_hides_secrets(self, channel: Channel) -> None:
        self.hides_secrets(repr(channel), str(channel))

    def test_prepare_touches_no_network_and_is_stable(self, channel: Channel, platform: Platform) -> None:
        if isinstance(channel, Preparable):
            assert channel.prepare(post()) == channel.prepare(post())
            assert platform.connections == 0

    def hides_secrets(self, *texts: str) -> None:
        for secret in self.secrets:
            assert not any(secret in text for text in texts)


FAULTS: dict[str, tuple[Reply, type[Verdict]]] = {
    "redirect": (answer(302, ("Location", "http://127.0.0.1/elsewhere")), Rejected),
    "permanent redirect": (answer(308, ("Location", "/elsewhere")), Rejected),
    "bad request": (answer(400), Rejected),
    "unauthorized": (answer(401), Suspended),
    "forbidden": (answer(403), Suspended),
    "missing": (answer(404), Rejected),
    "request timeout": (answer(408), OutcomeUnknown),
    "gone": (answer(410), Rejected),
    "too large": (answer(413), Rejected),
    "too early": (answer(425), Deferred),
    "limited": (answer(429, ("Retry-After", "30")), Deferred),
    "limited without a time": (answer(429), Deferred),
    "limited and then silent": (refuse_and_hang, Deferred),
    "error": (answer(500, body=b"<html>secret</html>"), OutcomeUnknown),
    "bad gateway": (answer(502), OutcomeUnknown),
    "unavailable": (answer(503), OutcomeUnknown),
    "unavailable for a while": (answer(503, ("Retry-After", "30")), Deferred),
    "gateway timeout": (answer(504), OutcomeUnknown),
    "odd status": (answer(999), OutcomeUnknown),
    "hang": (hang, OutcomeUnknown),
    "reset": (reset, OutcomeUnknown),
    "close": (close, OutcomeUnknown),
    "garbage": (garbage, OutcomeUnknown),
    "half a body": (cut_body, OutcomeUnknown),
    "drip": (drip, OutcomeUnknown),
}


class NetworkChannelContract(ChannelContract):
    """For channels that post over HTTP. `faults` replaces rows of `FAULTS` where the platform knows better."""

    faults: ClassVar[dict[str, type[Verdict]]] = {}

    @pytest.mark.parametrize("fault", FAULTS)
    async def test_each_misbehaviour_is_one_verdict_after_one_request(
        self, channel: Channel, platform: Platform, fault: str
    ) -> None:
        reply, usual = FAULTS[fault]
        platform.reply = reply
        with pytest.raises(Verdict) as caught:
            await channel.publish(post())
        assert type(caught.value) is self.faults.get(fault, usual)
        assert len(platform.seen) == 1
        assert caught.value.timing is not None
        assert caught.value.timing.sent
        self.hides_secrets(*_everything(caught.value))

    async def test_publish_is_one_request(self, channel: Channel, platform: Platform) -> None:
        await channel.publish(post())
        assert len(platform.seen) == 1

    async def test_a_broken_kept_connection_is_not_repeated(self, channel: Channel, platform: Platform) -> None:
        await channel.publish(post())
        platform.reply = close
        with pytest.raises(OutcomeUnknown):
            await channel.publish(post())
        assert len(platform.seen) == 2

    async def test_no_connection_is_certainly_not_out(self, tools: Tools) -> None:
        async with Platform() as ended:
            pass
        channel = registry.build("acct", self.kind, self.keys(ended.url), tools)
        with pytest.raises(Deferred) as caught:
            await channel.publish(post())
        assert caught.value.timing is not None
        assert not caught.value.timing.sent
        self.hides_secrets(*_everything(caught.value))

    async def test_a_name_without_address_is_deferred(self, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(*_: Any, **__: Any) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        channel = registry.build("acct", self.kind, self.keys("http://nobody.invalid/in?token=topsecret"), tools)
        with pytest.raises(Deferred) as caught:
            await channel.publish(post())
        self.hides_secrets(*_everything(caught.value))

    async def test_gone_closes_the_receiver(self, channel: Channel, platform: Platform) -> None:
        platform.reply = answer(410)
        with pytest.raises(Rejected) as caught:
            await channel.publish(post())
        assert caught.value.gone

    async def test_retry_after_is_for_the_whole_endpoint(self, channel: Channel, platform: Platform) -> None:
        platform.reply = answer(429, ("Retry-After", "5"), ("Retry-After", "40"))
        with pytest.raises(Deferred) as caught:
            await channel.publish(post())
        assert (caught.value.retry_after, caught.value.whole_endpoint) == (40, True)

    async def test_cancellation_passes_through(self, channel: Channel, platform: Platform) -> None:
        platform.reply = hang
        task = asyncio.create_task(channel.publish(post()))
        async with asyncio.timeout(60):
            while not platform.seen:
                await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_surprises_are_left_to_the_caller(
        self, channel: Channel, tools: Tools, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Surprise(Exception):
            pass

        async def surprised(*_: Any, **__: Any) -> None:
            raise Surprise

        monkeypatch.setattr(tools.transport, "send", surprised)
        with pytest.raises(Surprise):
            await channel.publish(post())


def _everything(verdict: Verdict) -> tuple[str, ...]:
    """All that a log could get hold of, causes included."""
    chain = [verdict, verdict.__cause__, None if verdict.__suppress_context__ else verdict.__context__]
    return (verdict.reason, verdict.detail, *(text for e in chain if e for text in (str(e), repr(e))))
