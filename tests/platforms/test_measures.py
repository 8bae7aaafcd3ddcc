"""What every kind of account counts, and finds when it is looked at, has words in both languages."""

from __future__ import annotations

import re
from pathlib import Path

from live_accounts import LIVE
from rehearsal_house import rehearsed_house

from publisher.app import Transports, build_channels
from publisher.checkups import check_account
from publisher.measures import WORDS, named

PLAIN = re.compile(r"[\d./?]+|\S*[.:-]\S*")  # numbers, versions, names and addresses are told as they are


async def test_everything_counted_or_found_has_words(tmp_path: Path) -> None:
    async with rehearsed_house(tmp_path, {variant: variant for variant in LIVE}) as house:
        transports = Transports(house.app.settings)
        built = build_channels(house.app, transports)
        assert set(built) == set(LIVE)
        counted = {quota.name for channel in built.values() for quota in channel.capabilities.quotas}
        assert len(counted) > 8
        assert counted - WORDS.keys() == set()
        told = set()
        async with transports:
            looks = [await check_account(name, channel) for name, channel in built.items()]
        for found in looks:
            assert found.reason == "", found.name
            told |= found.facts.keys() - {"check"}
            told |= {v for k, v in found.facts.items() if k != "check" and not PLAIN.fullmatch(v)}
        assert {"mode", "publish", "max_characters", "lets us in"} <= told
        assert told - WORDS.keys() == set()


def test_what_has_no_word_is_told_as_it_is() -> None:
    assert (named("4.3.2").en, named("4.3.2").zh) == ("4.3.2", "4.3.2")
    assert named("messages_a_minute").zh == "每分钟消息数"
