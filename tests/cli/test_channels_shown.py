"""Operators see whether each channel works, what its platform still allows, and when a post was last visible."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cli_desk import SECRET, Desk
from rich.cells import cell_len
from sqlalchemy import update

from content_queue.model import ChannelState, QuotaRule, Sign
from content_queue.states import DeliveryEvent as E
from content_queue.states import DeliveryState as D
from content_queue.store import AccountCheck
from content_queue.tables import channels
from publisher.app import Workshop
from publisher.clock import SECOND
from publisher.wellness import DAY, Wellness, days_left, wellness

HOOK = """
[[channels]]
name = "hook"
kind = "webhook"
url = "https://receiver.example.gov.cn/in"
secrets = ["env:HOOK_SECRET"]
owner = "档案室"
responsible = "值班员戊"
"""
BY_HAND = """
[[channels]]
name = "byhand"
kind = "manual"
platform = "某平台"
status = "filed"
filing = "示备1"
owner = "办公室"
responsible = "值班员戊"
deputy = "值班员己"
"""


def declare(desk: Desk, *accounts: str) -> None:
    with (desk.config / "channels.toml").open("a", encoding="utf-8") as file:
        file.write("".join(accounts))


def put(desk: Desk, name: str, **values: Any) -> None:
    async def work(app: Any) -> None:
        await app.store._db.write(lambda c: c.execute(update(channels).where(channels.c.name == name).values(**values)))

    desk.with_app(work)


def look(desk: Desk, name: str, reason: str, days: float | None) -> None:
    async def work(app: Any) -> None:
        now = app.clock()
        until = None if days is None else now + int(days * DAY)
        await app.store.accounts.checked(AccountCheck(name, now, reason, until, {"followers": "7"}), now=now)

    desk.with_app(work)


def shown(desk: Desk, name: str) -> dict[str, Any]:
    (found,) = desk.json("channels", name)["channels"]
    assert found == next(c for c in desk.json("channels")["channels"] if c["name"] == name)
    return dict(found)


@pytest.mark.parametrize(
    ("facts", "how"),
    [
        ({}, Wellness.UNTRIED),
        ({"checked_at": 5, "facts": {"check": "none"}}, Wellness.UNTRIED),
        ({"checked_at": 5}, Wellness.ANSWERS),
        ({"checked_at": 5, "check_reason": "http_401"}, Wellness.UNWELL),
        ({"checked_at": 5, "check_reason": "http_401", "ok_at": 4}, Wellness.UNWELL),
        ({"checked_at": 5, "check_reason": "http_401", "ok_at": 6}, Wellness.WORKS),
        ({"ok_at": 6, "failed_at": 5}, Wellness.WORKS),
        ({"ok_at": 5, "failed_at": 6}, Wellness.FAILS),
        ({"ok_at": 6, "failed_at": 5, "failures": 1}, Wellness.FAILS),
    ],
)
def test_health_is_what_happened_last(facts: dict[str, Any], how: Wellness) -> None:
    assert wellness(ChannelState("one", **facts)) is how


def test_days_are_whole_and_go_below_zero() -> None:
    assert [days_left(at, 10 * DAY) for at in (None, 13 * DAY - 1, 10 * DAY, 10 * DAY - 1)] == [None, 2, 0, -1]


def test_results_make_the_health(desk: Desk) -> None:
    desk.release()
    assert shown(desk, "site")["health"] == "untried"
    desk.attempt((E.ACCEPT, E.CONFIRM), D.CONFIRMED, sign=Sign.WELL, visible=True)
    one = shown(desk, "site")
    assert (one["health"], one["delivered"], one["abilities"]["recall"]) == ("works", 1, "yes")
    assert one["worked_at"] is not None
    assert one["visible_at"] is not None
    assert "works" in desk.run("channels").stdout
    seen = datetime.fromisoformat(one["visible_at"]).astimezone(ZoneInfo("Asia/Shanghai"))  # people: the agency's zone
    assert f"Last visible: {seen:%Y-%m-%d %H:%M:%S}" in desk.run("channels", "site").stdout
    desk.run("channels", "nowhere", code=2)


def test_a_bad_look_and_a_token_that_ends_are_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    declare(desk, HOOK)
    look(desk, "hook", "", 40.5)
    one = shown(desk, "hook")
    assert (one["health"], one["token_days_left"], one["check"]["facts"]) == ("answers", 40, {"followers": "7"})
    page = desk.run("channels").stdout
    assert "40 d" in page
    assert "access token ends" not in page
    look(desk, "hook", "http_401", 2.5)
    one = shown(desk, "hook")
    assert (one["health"], one["check"]["reason"]) == ("unwell", "http_401")
    page = desk.run("channels").stdout
    assert "hook: the receiver refuses our key (HTTP 401)" in page
    assert "hook: the access token ends at 2" in page
    assert "Responsible: 值班员戊" in desk.run("channels", "hook").stdout


def test_what_a_person_posted_counts_as_visible(desk: Desk) -> None:
    declare(desk, BY_HAND)
    desk.release()
    delivery = next(d for d in desk.json("deliveries")["deliveries"] if d["channel"] == "byhand")
    assert shown(desk, "byhand")["visible_at"] is None

    async def hand_out(app: Any) -> None:
        from content_queue.tables import deliveries

        values = {"state": "sent", "awaits": "person", "unsettled_since": app.clock()}
        await app.store._db.write(
            lambda c: c.execute(update(deliveries).where(deliveries.c.id == delivery["id"]).values(**values))
        )

    desk.with_app(hand_out)
    assert shown(desk, "byhand")["remaining"] == 1
    assert "waits for a person" in desk.run("deliveries", "--channel", "byhand").stdout
    desk.run("resolve", delivery["id"], "--live", "https://platform.example/1", "--as", "值班员戊")
    one = shown(desk, "byhand")
    assert (one["remaining"], one["visible_at"] is not None) == (0, True)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_table_fits_a_hundred_columns(desk: Desk, language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    declare(desk, HOOK.replace("hook", "app-abroad-1"))
    rule = QuotaRule("messages_a_minute", 600_000, 60)
    monkeypatch.setattr(Workshop, "quotas", lambda _: {"app-abroad-1": (rule,)})
    desk.release()
    look(desk, "app-abroad-1", "http_401", -400)
    now = 1_790_000_000 * SECOND
    put(desk, "app-abroad-1", paused=True, reason="http_401", visible_at=now, ok_at=now)
    table = desk.run("channels", "--lang", language).stdout.splitlines()[:3]
    assert table[2].startswith("app-abroad-1")
    assert "600000/600000" in table[2]
    assert [cell_len(line) for line in table if cell_len(line) > 100] == []
