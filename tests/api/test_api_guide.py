"""The guides say what the service does: addresses, roles and metrics are read from them and compared."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from api_world import World

from publisher.web.api.table import ENDPOINTS
from publisher.web.auth import ANYONE

GUIDES = [Path(__file__).parents[2] / "docs" / name for name in ("api.md", "api.zh-CN.md")]
_ROW = re.compile(r"^\| (GET|POST|DELETE) \| `([^`]+)` \| (\S+) \| (\d{3})", re.MULTILINE)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda p: p.name)
def test_the_addresses_are_those_that_are_served(guide: Path) -> None:
    told = _ROW.findall(guide.read_text("utf-8"))
    everybody = {"api.md": ("all", "anybody"), "api.zh-CN.md": ("全部", "任何人")}[guide.name]

    def role(roles: frozenset[str] | None) -> str:
        if roles is None:
            return everybody[1]
        return everybody[0] if roles == ANYONE else next(iter(roles))

    served = [(e.method, e.path, role(e.roles), str(next(iter(e.answers)))) for e in ENDPOINTS]
    assert told == served


@pytest.mark.parametrize("guide", GUIDES, ids=lambda p: p.name)
async def test_the_metrics_are_those_that_are_told(world: World, guide: Path) -> None:
    await world.released()
    world.parts.metrics.attempt("hook", "sent", 0.1)
    told = set(re.findall(r"`(gongbao_\w+)", guide.read_text("utf-8")))
    text = (await world("GET", "/metrics")).raw.decode()
    served = {m for m in re.findall(r"^# HELP (gongbao_\w+)", text, re.MULTILINE) if not m.endswith("_created")}
    assert told == served
