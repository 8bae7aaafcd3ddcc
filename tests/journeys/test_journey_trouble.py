"""When things do not go straight: what is held, stopped, refused, slow or broken, and what an operator sees of it."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from journey_house import OPERATOR, House, furnished, until
from standstill import Standstill

from publisher import retry
from publisher.problems import Held
from publisher.service import Service

ID_NUMBER = "11010519491231002X"  # GB 11643 annex: the published example, of nobody
STOP_BOUND_SECONDS = 5  # promise 7


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first retries come after a fraction of a second instead of up to minutes."""
    monkeypatch.setattr(retry, "CAPS_SECONDS", (0.2,) * (retry.ATTEMPTS - 1))


async def heard(house: House, *item_ids: str) -> None:
    async def all_there() -> bool:
        return set(item_ids) <= {item for _, item, _ in house.box.taken}

    await until(all_there)


async def shown(house: House, *item_ids: str) -> None:
    async def all_there() -> bool:
        return all([(await house.page(i))[0] == 200 for i in item_ids])

    await until(all_there)


async def released(house: House, *item_ids: str) -> None:
    async def all_there() -> bool:
        return all([await house.deliveries(i) for i in item_ids])

    await until(all_there)


async def nothing_went_out(house: House, item_id: str) -> None:
    assert (await house.page(item_id))[0] == 404
    assert item_id not in {letter.told[1] for letter in house.box.letters}


async def outcomes(house: House, item_id: str, channel: str = "hook") -> list[dict[str, Any]]:
    """What the delivery's own log tells of each attempt."""
    (delivery,) = await house.deliveries(item_id, channel)
    entries = await house.app.store.log.of_delivery(delivery.id, item_id)
    assert [e.kind for e in entries][:2] == ["released", "claimed"]
    return [json.loads(e.body) for e in entries if e.kind == "attempt"]


async def test_not_before_is_honoured_by_the_clock(house: House) -> None:
    house.clock.stop()
    due = house.clock() // 1_000_000 + 3600
    in_an_hour = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(due))
    await house.publish("early-bird", more=f"not_before: {in_an_hour}\n")
    await house.publish("at-once")
    await house.done("at-once")
    house.clock.turn(due - 0.1 - house.clock() / 1e6)
    await house.publish("nearly-there")
    await house.done("nearly-there")  # the queue has been looked at under the turned clock
    assert await house.deliveries("early-bird") == []
    await nothing_went_out(house, "early-bird")
    house.clock.turn(0.2)
    await house.publish("now")
    await house.done("early-bird", "now")
    await shown(house, "early-bird")
    (letter,) = [x for x in house.box.letters if x.told[1] == "early-bird"]
    assert letter.event["timestamp"] >= in_an_hour[:19]


async def test_what_the_checklist_holds_sends_nothing_and_says_why(house: House) -> None:
    filed = await house.submit("held-item", words=f"联系人身份证号{ID_NUMBER}。")
    assert "PII-01" in {f.rule_id for f in filed.verdict.blocking}
    with pytest.raises(Held) as held:
        await house.sign("held-item")
    assert "PII-01" in {f["rule_id"] for f in held.value.findings}
    assert ID_NUMBER not in repr((held.value, held.value.findings, filed.verdict.stored()))
    await house.publish("good-item")
    await house.done("good-item")
    assert await house.deliveries("held-item") == []
    await nothing_went_out(house, "held-item")


async def test_the_stop_switch_lets_nothing_out_and_loses_nothing(house: House) -> None:
    desk = house.app.desk
    await house.publish("before-stop")
    await house.done("before-stop")
    await desk.stop("all", actor=OPERATOR, reason="drill")
    await asyncio.sleep(0.1)
    for item in ("stopped-1", "stopped-2"):
        await house.publish(item)
    await released(house, "stopped-1", "stopped-2")
    await asyncio.sleep(2)
    for item in ("stopped-1", "stopped-2"):
        assert {d.state for d in await house.deliveries(item)} == {"waiting"}
        await nothing_went_out(house, item)
    await desk.start_again("all", actor=OPERATOR)
    await house.done("stopped-1", "stopped-2")
    await shown(house, "stopped-1", "stopped-2")
    assert len(house.box.letters) == 3


async def test_the_stop_switch_works_on_a_stream_within_its_bound(house: House) -> None:
    """Items keep coming while it is thrown: what arrives later than the bound is nothing."""
    names = [f"stream-{n}" for n in range(24)]

    async def stream() -> None:
        for name in names:
            await house.publish(name)

    streaming = asyncio.create_task(stream())

    async def flowing() -> bool:
        return len(house.box.letters) >= 3

    async def empty_handed() -> bool:
        return house.service.worker.in_hand == 0

    await until(flowing)
    await house.app.desk.stop("all", actor=OPERATOR, reason="drill")
    thrown = time.monotonic()
    with Standstill() as stood:
        await streaming
        await until(empty_handed)
        await asyncio.sleep(0.5)
    late = [x for x in house.box.letters if x.at > thrown + STOP_BOUND_SECONDS + stood.seconds]
    assert not late
    quiet = len(house.box.letters)
    await asyncio.sleep(1)
    assert len(house.box.letters) == quiet < len(names)
    await house.app.desk.start_again("all", actor=OPERATOR)
    await house.done(*names)
    assert sorted(house.box.taken) == sorted(("item.published", n, 1) for n in names)


async def test_one_column_is_stopped_and_the_others_go_on(house: House) -> None:
    await house.app.desk.stop("column:notices", actor=OPERATOR, reason="drill")
    await house.publish("in-notices")
    await house.publish("in-warnings", column="warnings")
    await house.done("in-warnings")
    await nothing_went_out(house, "in-notices")
    await house.app.desk.start_again("column:notices", actor=OPERATOR)
    await house.done("in-notices")


async def test_a_paused_channel_keeps_its_deliveries_and_the_others_go_on(house: House) -> None:
    await house.app.desk.pause("hook", actor=OPERATOR, reason="maintenance there")
    await house.publish("paused-item")
    await shown(house, "paused-item")
    await asyncio.sleep(0.5)
    (kept,) = await house.deliveries("paused-item", "hook")
    assert (kept.state, kept.attempts, house.box.letters) == ("waiting", 0, [])
    await house.app.desk.resume("hook", actor=OPERATOR)
    await house.done("paused-item")
    assert house.box.taken == [("item.published", "paused-item", 1)]


async def test_a_receiver_that_is_gone_closes_its_channel(house: House) -> None:
    house.box.answers.append((410, {}))
    await house.publish("told-gone")

    async def closed() -> bool:
        state = (await house.app.store.channels.states()).get("hook")
        return bool(state and state.closed)

    await until(closed)
    await house.publish("after-gone")
    await shown(house, "told-gone", "after-gone")
    await asyncio.sleep(0.5)
    assert len(house.box.letters) == 1
    (first,) = await house.deliveries("told-gone", "hook")
    (second,) = await house.deliveries("after-gone", "hook")
    assert (first.state, second.state, second.attempts) == ("failed", "waiting", 0)
    await house.app.desk.resume("hook", actor=OPERATOR)
    await house.done("after-gone")


async def test_retry_after_is_obeyed_to_the_second_for_the_whole_endpoint(house: House) -> None:
    house.box.answers.append((429, {"Retry-After": "3"}))
    await house.publish("limited")

    async def refused() -> bool:
        return bool(house.box.letters)

    with Standstill() as stood:
        await until(refused)
        await house.publish("its-neighbour")
        await heard(house, "limited", "its-neighbour")
    refusal, *others = house.box.letters
    waits = [letter.at - refusal.at for letter in others]
    assert len(waits) == 2
    assert min(waits) >= 3.0
    assert min(waits) < 3.0 + STOP_BOUND_SECONDS + stood.seconds
    await house.done("limited", "its-neighbour")
    first, second = await outcomes(house, "limited")
    assert (first["outcome"], second["outcome"]) == ("deferred", "receipt")
    assert len(await outcomes(house, "its-neighbour")) == 1


async def test_a_receiver_that_was_down_gets_everything_once_when_it_is_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "CAPS_SECONDS", (0.2, *(600.0,) * (retry.ATTEMPTS - 2)))
    await house.box.close()
    await house.publish("while-down")
    await shown(house, "while-down")

    async def tried() -> bool:
        (delivery,) = await house.deliveries("while-down", "hook")
        return delivery.attempts >= 2

    await until(tried)
    await house.box.open()
    house.clock.turn(601)
    await house.done("while-down")
    assert house.box.taken == [("item.published", "while-down", 1)]
    told = await outcomes(house, "while-down")
    assert [t["attempt"] for t in told] == list(range(1, len(told) + 1))
    assert {t["outcome"] for t in told[:-1]} == {"deferred"}
    assert (told[-1]["outcome"], len(told) >= 3) == ("receipt", True)
    assert all(t["reason"] and t["ms"] >= 0 for t in told[:-1])


@pytest.mark.usefixtures("impatient")
async def test_an_unclear_answer_is_asked_again_under_the_same_id(house: House) -> None:
    house.box.answers.extend([(500, {}), (408, {})])
    await house.publish("unclear")
    await house.done("unclear")
    assert [letter.status for letter in house.box.letters] == [500, 408, 204]
    assert len({letter.headers["webhook-id"] for letter in house.box.letters}) == 1
    assert len({letter.body for letter in house.box.letters}) == 1
    assert [t["outcome"] for t in await outcomes(house, "unclear")] == ["unknown_safe", "unknown_safe", "receipt"]


async def test_a_refused_event_is_final_until_a_person_retries_it(house: House) -> None:
    house.box.answers.append((400, {}))
    await house.publish("refused-item")

    async def failed() -> bool:
        return [d.state for d in await house.deliveries("refused-item", "hook")] == ["failed"]

    await until(failed)
    await shown(house, "refused-item")
    (delivery,) = await house.deliveries("refused-item", "hook")
    await house.app.desk.retry(delivery.id, actor=OPERATOR, reason="they have mended it")
    await house.done("refused-item")
    assert [letter.status for letter in house.box.letters] == [400, 204]


async def test_readiness_is_red_without_a_worker_and_green_again(sqlite_url: str, tmp_path: Path) -> None:
    async with furnished(tmp_path, sqlite_url, ("web",)) as house:
        assert await _ready(house) == (503, ["no_worker"])
        for name in ("worker-1", "worker-2"):
            worker = Service(house.app, ("worker", "scheduler"))
            worker.name = name
            await worker.start()
            assert await _ready(house) == (200, [])
            await worker.stop()
            assert await _ready(house) == (503, ["no_worker"])


async def test_a_worker_that_falls_silent_turns_readiness_red(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a crash: nobody says goodbye, the signs of life just stop."""
    alive, access = asyncio.Event(), house.app.store.access
    seen = access.seen

    async def silent(*args: Any, **facts: Any) -> None:
        await alive.wait()
        await seen(*args, **facts)

    assert await _ready(house) == (200, [])
    monkeypatch.setattr(access, "seen", silent)
    house.clock.turn(20)
    assert await _ready(house) == (503, ["no_worker"])
    alive.set()

    async def green() -> bool:
        return await _ready(house) == (200, [])

    await until(green)


async def _ready(house: House) -> tuple[int, list[str]]:
    status, body = await house.get("/readyz")
    return status, [p["code"] for p in json.loads(body)["problems"]]
