"""What a person posts by hand: handed out, shown ready to be copied, and gone from the list when it is overtaken."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from cli_desk import GOOD, Desk
from PIL import Image

from publisher.commands.tasks import STEPS, _print_part

ACCOUNT = """
[[channels]]
name = "toutiao"
kind = "manual"
status = "filed"
filing = "示备〔2026〕1号"
owner = "办公室"
responsible = "值班员戊"
deputy = "值班员己"
platform = "今日头条"
title_limit = 30
text_limit = 5000
images_limit = 9
ask_for = "选“政务”栏目发布"
"""
ODD = GOOD.replace("请按时参加。", "家庭👨‍👩‍👧可参加。")


@pytest.fixture
def by_hand(desk: Desk) -> Desk:
    """With an account by hand, and another whose secret this shell does not have."""
    file = desk.config / "channels.toml"
    locked = '\n[[channels]]\nname = "group"\nkind = "wecom_robot"\nkey = "env:GONGBAO_ABSENT_KEY"\non = true\n'
    file.write_text(file.read_text("utf-8") + ACCOUNT + locked, "utf-8")
    return desk


def work_off(desk: Desk) -> None:
    """Sends what is due on the account by hand, as a worker does."""
    from publisher.app import Transports
    from publisher.delivery import judge, send
    from publisher.posts import Posts

    async def work(app: Any) -> None:
        [account] = [a for a in app.accounts if a.name == "toutiao"]
        channel = app.workshop.one(account, Transports(app.settings))
        posts = Posts(app.store.items.revision, app.addresses, lambda slug: slug)
        now = app.clock()
        claims = await app.store.deliveries.claim({"toutiao": 9}, token="t" * 8, worker="w", now=now, lease=now + 10**9)
        for claimed in claims:
            answer = await send(channel, await posts.of(claimed), claimed)
            judged = judge(claimed, answer, channel.capabilities, now=now, chance=lambda: 0.5)
            assert await app.store.deliveries.record([judged.outcome], holds={}, now=now) == {claimed.id}

    desk.with_app(work)


def hand_out(desk: Desk, text: str = ODD) -> int:
    """The number of the task."""
    desk.submit(text=text)
    desk.sign()

    async def work(app: Any) -> dict[str, int]:
        revision = await app.store.items.latest("item-one")
        made: dict[str, int] = await app.store.deliveries.release(
            revision.id, ("site", "toutiao"), now=app.clock(), actor="system"
        )
        return made

    made = desk.with_app(work)
    work_off(desk)
    return int(made["toutiao"])


def test_a_task_is_listed_with_how_long_it_waits_and_until_when(by_hand: Desk) -> None:
    assert by_hand.json("tasks")["tasks"] == []
    assert "Nothing is to be done by hand" in by_hand.run("tasks").stdout
    number = hand_out(by_hand)
    [task] = by_hand.json("tasks")["tasks"]
    assert (task["id"], task["state"], task["reason"], task["overdue"]) == (number, "sent", "task_waits", False)
    assert task["waits_since"] < task["deadline"]
    table = by_hand.run("tasks", "--channel", "toutiao").stdout
    for told in (str(number), "toutiao", "关于举办版权培训班的通知", " min", f"{task['deadline'][:4]}-"):
        assert told in table
    assert by_hand.json("tasks", "--channel", "site", code=2)["error"]["code"] == "no_such_channel"


def test_a_part_is_printed_alone_and_byte_for_byte(by_hand: Desk) -> None:
    number = hand_out(by_hand)
    whole = by_hand.json("task", number)
    for part in ("title", "text", "link"):
        assert by_hand.run("task", number, "--part", part).stdout == whole[part]
    assert whole["title"] == "关于举办版权培训班的通知"
    assert "👨‍👩‍👧" in whole["text"]
    assert whole["link"].endswith("/items/item-one")
    assert by_hand.run("task", number, "--part", "images").stdout == ""


def test_a_terminal_is_not_steered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    _print_part("一\n\x1b[2J二\u202e👨\u200d👩")
    assert capsys.readouterr().out == "一\n\ufffd[2J二\ufffd👨\u200d👩\n"


def test_the_whole_task_says_what_to_do(by_hand: Desk) -> None:
    number = hand_out(by_hand)
    for language, told in (("en", "Post it on 今日头条"), ("zh", "发布到今日头条")):
        shown = by_hand.run("task", number, "--lang", language).stdout
        assert by_hand.json("task", number)["text"] in shown
        for part in (told, f"gongbao resolve {number} --live URL", "选“政务”栏目发布", "关于举办版权培训班的通知"):
            assert part in shown


def test_pictures_are_told_with_address_and_file_and_what_has_to_be_declared(by_hand: Desk) -> None:
    named = "images:\n" + "".join(
        f"  - file: {name}.png\n    alt: {name}的说明\n    rights: 本单位制作\n    ai_generated: {made}\n"
        for name, made in (("海报", "true"), ("地图", "false"))
    )
    for name, colour in (("海报", "red"), ("地图", "blue")):
        Image.new("RGB", (8, 8), colour).save(by_hand.folder / f"{name}.png")
    number = hand_out(by_hand, GOOD.replace("summary:", named + "summary:"))
    first, second = by_hand.run("task", number, "--part", "images").stdout.split("\n")
    for line, image in zip((first, second), by_hand.json("task", number)["images"], strict=True):
        address, _, path = line.partition("\t")
        assert (address, path) == (image["url"], image["path"])
        assert image["sha256"] == hashlib.sha256(Path(path).read_bytes()).hexdigest()
        assert image["sha256"] in address
    shown = by_hand.run("task", number).stdout
    assert "to be declared there: 海报.png" in shown
    assert f"{first}\n{second}" in shown


def test_nothing_that_was_overtaken_is_shown_for_copying(by_hand: Desk) -> None:
    first = hand_out(by_hand)
    by_hand.run("withdraw", "item-one", "--reason", "error", "--note", "内容有误", "--as", "值班员戊")
    for _ in ("before the recall leaves", "and after"):
        refused = by_hand.json("task", first, code=3)["error"]
        assert refused["code"] == "overtaken"
        assert "培训班" not in by_hand.run("task", first, "--part", "text", code=3).stdout
        assert first not in [t["id"] for t in by_hand.json("tasks")["tasks"]]
        work_off(by_hand)
    [recall] = by_hand.json("tasks")["tasks"]
    assert (recall["operation"], recall["reason"]) == ("recall", "stop_task_waits")
    shown = by_hand.run("task", recall["id"]).stdout
    assert "make sure that it is not on 今日头条" in shown
    assert "各有关单位" not in shown


def test_what_is_done_or_elsewhere_is_no_task(by_hand: Desk) -> None:
    number = hand_out(by_hand)
    site = next(d["id"] for d in by_hand.json("deliveries")["deliveries"] if d["channel"] == "site")
    assert by_hand.json("task", site, code=3)["error"]["code"] == "not_by_hand"
    by_hand.run("task", 999, code=4)

    async def complete(app: Any) -> bool:
        look = await app.store.looks.of(number)
        there = "https://www.toutiao.com/article/1"
        return bool(await app.store.looks.found(look, remote_id="", url=there, detail="", now=app.clock()))

    assert by_hand.with_app(complete)
    assert by_hand.json("tasks")["tasks"] == []
    assert by_hand.json("task", number, code=3)["error"]["code"] == "nothing_to_do"
    assert next(d for d in by_hand.json("deliveries")["deliveries"] if d["id"] == number)["state"] == "confirmed"
    by_hand.run("withdraw", "item-one", "--reason", "error", "--note", "内容有误", "--as", "值班员戊")
    work_off(by_hand)
    [recall] = by_hand.json("tasks")["tasks"]
    assert (recall["reason"], recall["url"]) == ("recall_task_waits", "https://www.toutiao.com/article/1")
    assert by_hand.json("verify-log")["ok"] is True


def test_a_correction_takes_the_first_tasks_place(by_hand: Desk) -> None:
    first = hand_out(by_hand)
    by_hand.run("correct", "item-one", by_hand.file(ODD.replace("三月", "四月")), "--note", "日期有误")
    by_hand.sign()

    async def release(app: Any) -> None:
        revision = await app.store.items.latest("item-one")
        await app.store.deliveries.release(revision.id, ("site", "toutiao"), now=app.clock(), actor="system")

    by_hand.with_app(release)
    work_off(by_hand)
    [task] = by_hand.json("tasks")["tasks"]
    assert (task["operation"], task["reason"]) == ("edit", "task_waits")
    assert "四月" in by_hand.run("task", task["id"], "--part", "text").stdout
    assert by_hand.json("task", first, code=3)["error"]["code"] == "overtaken"


def test_every_reason_has_its_step() -> None:
    from publisher.commands.platforms.manual import REASONS

    assert set(STEPS) == set(REASONS)
