"""Where a platform takes one in a day: what may be out is never called waiting, and what was not taken costs no day."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from test_worker import publish

import publisher.app
from channels.contract import Capabilities, Idempotency, Operation, Quota
from channels.verdicts import Deferred, OutcomeUnknown, Verdict
from config.settings import Settings
from content_queue.model import Claimed
from content_queue.states import DeliveryState as S
from publisher.app import open_app
from publisher.clock import SECOND, now
from publisher.delivery import judge, must_start_first, resendable
from publisher.service import Service

NOW = 1_767_225_600_000_000
LOST = OutcomeUnknown("late_answer")


@pytest.mark.parametrize(
    ("limit", "operation", "answer", "state"),
    [
        (1, "publish", LOST, S.IN_DOUBT),
        (1, "publish", Deferred("busy"), S.WAITING),  # certainly not out
        (1, "recall", LOST, S.WAITING),  # not counted by that quota
        (4, "publish", LOST, S.WAITING),  # the repeat goes soon, and the platform drops it
    ],
)
def test_what_may_be_out_is_in_doubt(limit: int, operation: str, answer: Verdict, state: S) -> None:
    one = Quota("mass", limit, 86_400, daily=True, operations=frozenset({Operation.PUBLISH}))
    claimed = Claimed(7, "item-1", 3, 1, "mass", "notices", operation, 0, NOW, "token")
    promised = Capabilities(Idempotency.KEYED, key_lifetime=86_400, quotas=(one,))
    judged = judge(claimed, answer, promised, now=NOW, chance=lambda: 0.5)
    assert judged.outcome.state is state
    assert (judged.outcome.deadline_at is not None) == (state is S.IN_DOUBT)
    scarce = limit == 1 and operation == "publish"
    assert must_start_first(promised, operation) is scarce  # a worker that dies leaves it in doubt, too
    assert (operation in resendable(promised)) is not scarce


ACCOUNT = """
[[channels]]
name = "wx"
kind = "wechat_official"
appid = "wx0123456789abcdef"
secret = "not-a-secret-of-anybody"
mode = "mass"
owner = "办公室"
responsible = "值班员戊"
deputy = "值班员己"
status = "filed"
filing = "2026-001"
"""


async def test_what_a_dead_worker_held_goes_out_the_same_day(database_url: str, tmp_path: Path) -> None:
    config = tmp_path / "config"
    shutil.copytree(Path(publisher.app.__file__).parents[1] / "config", config)
    with (config / "channels.toml").open("a", encoding="utf-8") as file:
        file.write(ACCOUNT)
    at = [now()]
    settings = Settings(data_dir=tmp_path / "var", config_dir=config, database_url=database_url)
    async with open_app(settings, clock=lambda: at[0]) as app:
        await publish(app.store, "wx")
        at[0] = now()
        rules = app.workshop.quotas()
        facts = {"worker": "w", "quotas": rules}
        (held,) = await app.store.deliveries.claim({"wx": 5}, token="t-1", now=at[0], lease=at[0] + SECOND, **facts)
        assert await app.store.quotas.left(rules, now=at[0]) == {"wx": {"mass_a_day": 0}}
        at[0] += 2 * SECOND
        await Service(app, ("scheduler",))._take_back()
        assert await app.store.quotas.left(rules, now=at[0]) == {"wx": {"mass_a_day": 1}}
        at[0] += 60 * SECOND
        (again,) = await app.store.deliveries.claim({"wx": 1}, token="t-2", now=at[0], lease=at[0] + SECOND, **facts)
        assert again.item_id == held.item_id
