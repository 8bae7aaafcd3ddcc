"""What operators and reviewers see of quotas and of channels that give no answers."""

from __future__ import annotations

from typing import Any

import pytest
from cli_desk import Desk
from sqlalchemy import update

from content_queue.model import QuotaRule
from content_queue.tables import channels
from publisher.app import Workshop

DAY = QuotaRule("posts_a_day", 1, 86_400, daily=True)


@pytest.fixture
def _quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Workshop, "quotas", lambda _: {"site": (DAY,)})


@pytest.mark.usefixtures("_quota")
def test_a_plan_that_would_wait_says_so_before_it_is_approved(desk: Desk) -> None:
    desk.submit("item-one")
    assert desk.json("show", "item-one")["exceeds"] == []
    desk.release("item-two")
    (found,) = desk.json("show", "item-one")["exceeds"]
    assert (found["channel"], found["quota"], found["left"], found["ahead"]) == ("site", "posts_a_day", 1, 1)
    assert "1 a day" in desk.run("show", "item-one").stdout
    assert "1 a day" in desk.run("approve", "item-one", "--as", "审核乙", "--stage", "first").stdout
    signed = desk.json("approve", "item-one", "--as", "审核丙", "--stage", "second")
    assert [e["quota"] for e in signed["exceeds"]] == ["posts_a_day"]
    assert desk.json("show", "item-two")["exceeds"] == []  # it has left the queue


@pytest.mark.usefixtures("_quota")
def test_channels_tell_what_is_left(desk: Desk) -> None:
    async def use(app: Any) -> bool:
        return bool(await app.store.quotas.use("site", (DAY,), now=app.clock()))

    assert desk.json("channels")["channels"][0]["quota_left"] == {"posts_a_day": 1}
    assert desk.with_app(use)
    assert desk.json("channels")["channels"][0]["quota_left"] == {"posts_a_day": 0}
    assert "site: 0 left of posts_a_day" in desk.run("channels").stdout


def test_a_silent_channel_tells_when_it_is_tried_and_resume_closes_it(desk: Desk) -> None:
    desk.release()

    async def silence(app: Any) -> None:
        values = {"failures": 5, "probe_at": app.clock() + 60_000_000, "failing_since": app.clock()}
        await app.store._db.write(lambda c: c.execute(update(channels).values(**values)) and None)

    desk.with_app(silence)
    found = desk.json("channels")["channels"][0]
    assert (found["state"], found["probe_at"] is not None) == ("silent", True)
    assert "open: probing at 2" in desk.run("channels").stdout
    assert "gives no answers" in desk.run("show", "item-one").stdout
    desk.run("resume", "site")
    assert desk.json("channels")["channels"][0]["state"] == "on"
