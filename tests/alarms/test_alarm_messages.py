"""What targets are sent: who hears of what, in which order, in words without secrets."""

from __future__ import annotations

import json
from typing import Any

from queue_trade import SECOND, Trade
from sqlalchemy import text

from content_queue.store import Incident, Notice
from publisher.alarms import messages
from publisher.alarms.conditions import Limits
from publisher.alarms.watch import Addressee, Watch
from publisher.health import Health

NOW = 1_800_000_000 * SECOND
FACTS = {"agency": "示例市版权局", "zone": "Asia/Shanghai"}


def incident(number: int, severity: str = "warning", **facts: Any) -> Incident:
    own = {"channel": f"c{number}", "minutes": 11}
    return Incident(number, f"late:{number}", "late", severity, own, NOW, NOW, **facts)


def letter(event: str, *incidents: Incident) -> Any:
    raw = messages.body(event, incidents, now=NOW, **FACTS)
    return messages.message(Notice(7, "duty", event, raw, NOW, NOW, 1), "alarm-x")


def test_the_gravest_come_first_and_the_rest_is_counted() -> None:
    many = [incident(n, "critical" if n == 60 else "info") for n in range(1, 61)]
    made = letter("opened", *many)
    data = json.loads(made.json)["data"]
    assert (data["count"], len(data["incidents"]), data["incidents"][0]["key"]) == (60, 50, "late:60")
    assert "and 10 more: gongbao alarms" in made.text
    assert "另有 10 项" in made.text
    assert made.subject == "[示例市版权局] 新告警 60 项 / 60 new alarms"
    assert made.id == "alarm-x-7"


def test_each_is_told_in_both_languages_with_time_and_advice() -> None:
    made = letter("reminder", incident(1))
    assert "[警告 / warning] 2027-01-15 16:00:00" in made.text
    assert "c1：有可以发出的内容已到期 11 分钟仍未发出。" in made.text
    assert "→ Operator: see gongbao deliveries --channel c1" in made.text


def test_what_is_over_asks_nothing_of_anybody() -> None:
    made = letter("cleared", incident(1, closed_at=NOW))
    assert "→" not in made.text
    assert json.loads(made.json)["data"]["incidents"][0]["closed_at"] == "2027-01-15T08:00:00+00:00"


async def test_targets_hear_of_what_is_grave_enough_and_not_of_their_own_deafness(trade: Trade) -> None:
    store, clock = trade.store, trade.clock
    insert = text(
        "INSERT INTO notices (target, kind, body, created_at, due_at, attempts)"
        " VALUES ('deaf', 'opened', '{}', :at, :at, 3)"
    )
    await store._db.write(lambda c: c.execute(insert, {"at": clock() - 3_601 * SECOND}) and None)
    addressees = [Addressee("deaf", "info"), Addressee("other", "info"), Addressee("stern", "critical")]
    health = Health(store, (), clock, oldest_due_seconds=120)
    watch = Watch(store, health, (), Limits(targets=frozenset({"deaf"})), addressees, clock, **FACTS, digest_at=(9, 0))
    await watch.evaluate()
    told = {n.target: [i["kind"] for i in json.loads(n.body)["data"]["incidents"]]
            for n in await store.alarms.undelivered() if n.attempts == 0}  # fmt: skip
    assert told == {"deaf": ["no_worker"], "other": ["no_worker", "target"], "stern": ["no_worker"]}
