"""The table of channels says what the built channels can do; each page's example can be used as it stands."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from house_plan import ROOT

from channels.contract import Channel
from channels.registry import Tools, build, kinds
from channels.sandbox import stand_ins
from channels.transport import Transport
from config.settings import ChannelAccount
from publisher.abilities import SENTENCES, abilities
from publisher.app import check_filings

PAGES = ROOT / "docs" / "channels"
# How a cell of the table begins -> what `abilities` says.
CELLS = {
    "edit": {"yes": "yes", "follow-up": "follow_up", "anew": "anew", "replaced": "replaced",
             "receivers are told": "event", "by hand": "by_hand", "nobody sees it": "none", "no": "no"},
    "look": {"yes": "yes", "drops repeats": "repeat", "by hand": "by_hand", "nobody sees it": "none", "no": "no"},
}  # fmt: skip
CELLS["recall"] = CELLS["edit"]


@cache
def table() -> dict[str, dict[str, str]]:
    page = (PAGES / "README.md").read_text("utf-8")
    rows = re.findall(r"(?m)^\| `(\w+)` \|[^|]+\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", page)
    return {kind: {"edit": edit, "recall": recall, "look": look} for kind, edit, recall, look in rows}


def meaning(ability: str, cell: str) -> str:
    fitting = [words for words in CELLS[ability] if re.match(rf"{words}\b", cell)]
    return CELLS[ability][max(fitting, key=len)] if fitting else f"? {cell}"


def example(kind: str) -> dict[str, Any]:
    """The first account that the page shows."""
    found = re.search(r"(?ms)^```toml\n(.*?)^```", (PAGES / f"{kind}.md").read_text("utf-8"))
    assert found is not None, kind
    (account,) = tomllib.loads(found[1])["channels"]
    return dict(account)


class AnyShelf:
    """Enough for the site channel to be built."""

    async def put(self, post: Any) -> Any:
        raise AssertionError

    replace = take_down = shows = put


def built(kind: str, folder: Path) -> Channel:
    """As a rehearsal would build the page's example."""
    from PIL import Image

    own = {} if kind == "canary" else ChannelAccount.model_validate(example(kind)).own_keys
    if "cover_file" in own:
        own["cover_file"] = str(folder / "cover.jpg")
        Image.new("RGB", (900, 383)).save(own["cover_file"])
    if kind in stand_ins():
        own = stand_ins()[kind]().keys("http://127.0.0.1:9", own)
    transport = Transport(user_agent="house")
    return build("account", kind, own, Tools(transport, lambda: 0.0, AnyShelf()))


def test_every_kind_has_its_row() -> None:
    assert sorted(table()) == sorted(kinds())


@pytest.mark.parametrize("kind", kinds())
def test_the_table_tells_what_the_channel_can_do(kind: str, tmp_path: Path) -> None:
    told = abilities(built(kind, tmp_path))
    del told["prepare"]
    assert {ability: meaning(ability, cell) for ability, cell in table()[kind].items()} == told
    assert [pair for pair in told.items() if pair not in SENTENCES] == []


@pytest.mark.parametrize("kind", sorted(set(kinds()) - {"canary"}))
def test_the_example_says_all_that_an_account_needs(kind: str) -> None:
    account = ChannelAccount.model_validate(example(kind))
    assert account.kind == kind
    check_filings([account])


def test_a_cell_is_read_by_how_it_begins() -> None:
    assert meaning("edit", "follow-up; a person deletes the first") == "follow_up"
    assert meaning("edit", "no") == "no"
    assert meaning("edit", "nobody sees it") == "none"
    assert meaning("look", "not at all").startswith("?")
