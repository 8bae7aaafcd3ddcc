"""The channel of `docs/writing-a-channel.md` is built as printed and held to the contract."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from channel_contract import NetworkChannelContract
from platform_double import Platform, answer

from channels import adapters, registry

GUIDE = Path(__file__).parents[2] / "docs" / "writing-a-channel.md"


class TestBoard(NetworkChannelContract):
    kind = "board"
    secrets = ("topsecret",)

    @pytest.fixture(autouse=True)
    def printed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        code = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)[0]
        (tmp_path / "board.py").write_text(code, encoding="utf-8")
        monkeypatch.setattr(adapters, "__path__", [*adapters.__path__, str(tmp_path)])
        registry.kinds.cache_clear()
        yield
        registry.kinds.cache_clear()
        sys.modules.pop("channels.adapters.board", None)

    def keys(self, url: str) -> dict[str, Any]:
        return {"url": url, "token": "topsecret"}

    @pytest.fixture
    async def platform(self) -> AsyncIterator[Platform]:
        async with Platform() as running:
            running.reply = answer(200, body=b'{"id": 7}')
            yield running
