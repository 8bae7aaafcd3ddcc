from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from memory_shelf import MemoryShelf
from sample_post import post

from channels import adapters, registry
from channels.contract import Idempotency
from channels.registry import BadSettings, RegistryError, Tools, UnknownKind
from channels.transport import Transport

PIGEON = """
from pydantic import BaseModel, ConfigDict, SecretStr
from channels.contract import Capabilities, Idempotency
from channels.verdicts import Receipt

CAPABILITIES = Capabilities(Idempotency.NONE)


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    loft: str
    seed: SecretStr = SecretStr("")


class Pigeon:
    kind = "pigeon"
    capabilities = CAPABILITIES

    def __init__(self, account, loft):
        self.account, self.loft = account, loft

    async def publish(self, post):
        return Receipt(self.loft)


def build(account, settings, tools):
    return Pigeon(account, settings.loft)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A second folder of adapters beside the real one."""
    monkeypatch.setattr(adapters, "__path__", [*adapters.__path__, str(tmp_path)])
    registry.kinds.cache_clear()
    yield tmp_path
    registry.kinds.cache_clear()
    for name in [n for n in sys.modules if n in ("channels.adapters.pigeon", "channels.adapters.half")]:
        del sys.modules[name]


@pytest.fixture
def tools() -> Tools:
    return Tools(Transport(user_agent="t"), lambda: 0.0, MemoryShelf())


def test_the_kinds_at_hand() -> None:
    kinds = registry.kinds()
    assert {"site", "webhook"} <= set(kinds)
    assert kinds["site"].capabilities.idempotency is Idempotency.NATURAL
    assert kinds["webhook"].capabilities.idempotency is Idempotency.KEYED
    with pytest.raises(TypeError):
        kinds["x"] = kinds["site"]  # type: ignore[index]


async def test_a_new_file_is_a_new_channel(folder: Path, tools: Tools) -> None:
    (folder / "pigeon.py").write_text(PIGEON)
    channel = registry.build("roof", "pigeon", {"loft": "north"}, tools)
    assert (await channel.publish(post())).remote_id == "north"


def test_wrong_keys_are_named_and_values_hidden(folder: Path, tools: Tools) -> None:
    (folder / "pigeon.py").write_text(PIGEON)
    with pytest.raises(BadSettings) as caught:
        registry.build("roof", "pigeon", {"seed": ["topsecret"], "wing": "topsecret"}, tools)
    assert {key for key, _ in caught.value.problems} == {"loft", "seed", "wing"}
    assert "channel roof: " in str(caught.value)
    assert "topsecret" not in str(caught.value)


def test_half_an_adapter_is_named(folder: Path) -> None:
    (folder / "half.py").write_text("def build(account, settings, tools): ...\n")
    with pytest.raises(RegistryError, match="the adapter half lacks Settings"):
        registry.kinds()


def test_an_unknown_kind_lists_the_known(tools: Tools) -> None:
    known = ", ".join(registry.kinds())
    with pytest.raises(UnknownKind, match=f"channel roof: there is no kind 'telegraph'; known kinds: {known}"):
        registry.build("roof", "telegraph", {}, tools)
