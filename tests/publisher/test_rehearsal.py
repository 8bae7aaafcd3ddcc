"""While rehearsing nothing live can be reached, and what stand-ins received is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from free_ports import first_of_stand_ins

from channels.registry import kinds
from channels.sandbox import stand_ins
from channels.transport import Transport
from channels.verdicts import Suspended
from config.settings import ChannelAccount, Settings, load_settings, rehearsing
from publisher import rehearsal
from publisher.app import LOOPBACK, Transports
from publisher.rehearsal import AT_HOME, REPLACED, rehearsed, stage

LIVE = "https://receiver.example.gov.cn/in"


def account(**keys: Any) -> ChannelAccount:
    return ChannelAccount.model_validate({"name": "hook", "kind": "webhook", "url": LIVE, **keys})


def test_every_kind_has_a_stand_in_or_sends_nothing() -> None:
    assert set(kinds()) - set(stand_ins()) - AT_HOME == set()


def test_nothing_of_the_live_account_is_left(tmp_path: Path) -> None:
    live = account(secrets=["env:LIVE_SECRET"], signing_keys=["file:live.key"], deadline=7)
    [pointed] = rehearsed([live], tmp_path)
    text = repr(pointed.own_keys)
    assert not any(word in text for word in ("gov.cn", "env:", "file:", "vault:", "LIVE"))
    assert pointed.own_keys["deadline"] == 7
    assert not pointed.on, "its stand-in does not run"


def test_a_kind_without_a_stand_in_is_off_and_its_secrets_are_not_read(tmp_path: Path) -> None:
    [pointed] = rehearsed([account(kind="nowhere", token="vault:live")], tmp_path)
    assert (pointed.on, pointed.own_keys["token"]) == (False, REPLACED)


def test_a_rehearsal_has_its_own_data_and_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GONGBAO_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GONGBAO_DATABASE_URL", "postgresql://live/db")
    monkeypatch.setenv("GONGBAO_SANDBOX", "1")
    found = load_settings()
    assert (found.data_dir, found.database_url) == (tmp_path / "sandbox", "")
    assert found.database.startswith("sqlite:///")


@pytest.mark.parametrize("address", ["https://93.184.215.14/", "http://93.184.215.14/", "https://10.0.0.1/"])
async def test_only_this_machine_is_dialled(address: str, tmp_path: Path) -> None:
    settings = rehearsing(Settings(data_dir=tmp_path, allow_networks=("0.0.0.0/0",)))  # type: ignore[arg-type]
    transport = Transports(settings).of(account(allow_networks=["10.0.0.0/8"]))
    async with transport:
        with pytest.raises(Suspended, match="address_not_allowed"):
            await transport.send("POST", address, {}, b"", account="hook")


async def test_without_that_rule_a_public_address_would_be_dialled() -> None:
    """The refusal above comes from the rule, not from the address."""
    from channels.addresses import refusal

    assert refusal("93.184.215.14", 443, LOOPBACK) is None


async def test_stand_ins_run_keep_their_port_and_show_their_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "FIRST_PORT", first_of_stand_ins())  # no other process takes it in between
    async with stage(tmp_path, "http://127.0.0.1:8080", [account(), account(name="off", on=False)]) as running:
        [(name, (stand_in, address))] = running.running.items()
        assert (name, stand_in.callback) == ("hook", "http://127.0.0.1:8080/callbacks/hook")
        [pointed] = rehearsed([account()], tmp_path)
        assert pointed.on
        assert pointed.own_keys["url"] == f"{address}/in"
        async with aiohttp.ClientSession() as session:
            async with session.get(address) as page:
                assert "演练端" in await page.text()
            async with session.post(f"{address}/misbehave?how=nonsense") as refused:
                assert refused.status == 400
    async with stage(tmp_path, "http://127.0.0.1:8080", [account()]) as again:
        assert again.running["hook"][1] == address


async def test_a_transport_may_be_bound_to_its_list() -> None:
    async with Transport(user_agent="t", allow_networks=("127.0.0.0/8",), only_allowed=True) as transport:
        with pytest.raises(Suspended):
            await transport.send("GET", "https://93.184.215.14/", {}, b"", account="a")
