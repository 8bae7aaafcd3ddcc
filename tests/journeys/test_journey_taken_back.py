"""An item is taken back for each reason: what a browser, a machine, a feed reader and a subscriber then see of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from journey_house import OPERATOR, House, until
from lxml import etree

from publisher.desk import WithdrawalReason

NS = {"a": "http://www.w3.org/2005/Atom", "at": "http://purl.org/atompub/tombstones/1.0"}
TITLE = "关于举办版权培训班的通知"
BODY, SUMMARY = "请按时参加", "定于三月举办版权培训班"
NOTE = "内容撤回，详情请咨询我局。"
HARMLESS = {"error", "superseded", "expired"}


def test_the_reasons_are_those_that_people_know() -> None:
    assert {str(r) for r in WithdrawalReason} == HARMLESS | {"privacy", "secrecy", "legal", "other"}


@pytest.mark.parametrize("reason", list(WithdrawalReason))
async def test_a_withdrawal_is_told_and_tells_no_more_than_it_may(house: House, reason: WithdrawalReason) -> None:
    await house.publish("taken-back")
    await house.done("taken-back")
    await until(lambda: _shown(house, 200))
    await house.app.desk.withdraw("taken-back", reason=reason, note=NOTE, actor=OPERATOR)
    await until(lambda: _shown(house, 410))
    await until(lambda: _heard(house))
    told = [(await house.page("taken-back"))[1]]
    assert NOTE in told[0]
    status, problem = await house.get("/items/taken-back", accept="application/json")
    assert (status, json.loads(problem)["note"]) == (410, NOTE)
    told.append(problem.decode())
    told += [(await house.get(f"/feeds/all.{kind}"))[1].decode() for kind in ("atom", "rss", "json")]
    atom = etree.fromstring(told[2].encode())
    assert len(atom.findall("at:deleted-entry", NS)) == 1
    assert NOTE in told[2]
    assert NOTE in told[4]
    event = house.box.letters[-1].event
    assert (event["type"], event["data"]["reason"], event["data"]["note"]) == ("item.withdrawn", str(reason), NOTE)
    told.append(json.dumps(event, ensure_ascii=False))
    everything = "\n".join(told)
    assert BODY not in everything
    assert SUMMARY not in everything
    hidden = reason not in HARMLESS
    assert hidden is (TITLE not in everything)


async def _shown(house: House, status: int) -> bool:
    return (await house.page("taken-back"))[0] == status


async def _heard(house: House) -> bool:
    return [t[0] for t in house.box.taken] == ["item.published", "item.withdrawn"]


async def test_the_log_tells_how_long_each_channel_took(house: House) -> None:
    await house.publish("taken-back")
    await house.done("taken-back")
    made = await house.app.desk.withdraw("taken-back", reason=WithdrawalReason.ERROR, note=NOTE, actor=OPERATOR)
    await house.done("taken-back")
    assert set(made) == {"site", "hook"}
    entries: list[Any] = await house.app.store.log.of_item("taken-back")
    took = {e.delivery_id: json.loads(e.body)["since_ms"] for e in entries if e.delivery_id in made.values()
            and e.kind == "attempt"}
    assert set(took) == set(made.values())
    assert all(0 <= ms < 60_000 for ms in took.values())
