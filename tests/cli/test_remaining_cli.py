"""What waits for a person, at the terminal: the list, each way to settle it, and a restored database."""

from __future__ import annotations

import json

import pytest
from cli_desk import Desk

from content_queue.states import DeliveryEvent as E
from content_queue.states import DeliveryState as D
from content_queue.store import Store


def test_a_doubt_is_listed_with_what_to_do_in_the_readers_language(desk: Desk) -> None:
    assert "Nothing waits for a person." in desk.run("remaining").stdout
    number = desk.doubtful()
    (task,) = desk.json("remaining")["remaining"]
    assert (task["id"], task["state"], task["overdue"]) == (number, "in_doubt", False)
    assert f"gongbao resolve {number} --live URL" in desk.run("remaining").stdout
    assert f"gongbao resolve {number} --live 网址" in desk.run("remaining", "--lang", "zh").stdout
    assert desk.json("remaining", "--channel", "nothing")["remaining"] == []
    assert desk.json("remaining", "--item", "item-one")["remaining"] != []


@pytest.mark.parametrize("how", ["--done", "--dropped"])
def test_what_a_channel_cannot_do_is_done_by_hand_or_dropped(desk: Desk, how: str) -> None:
    desk.release()
    desk.attempt((E.ACCEPT,), D.SENT, outcome="receipt", reason="")
    desk.run("withdraw", "item-one", "--reason", "privacy", "--note", "已撤回。", "--as", "值班员戊")
    number = desk.attempt((E.REJECT,), D.FAILED, outcome="rejected", reason="cannot_recall")
    (task,) = desk.json("remaining")["remaining"]
    assert (task["id"], task["operation"]) == (number, "recall")
    desk.run("resolve", number, how, code=2)
    desk.run("resolve", number, how, "--live", "https://example.gov.cn/1", "--reason", "r", code=2)
    desk.run("resolve", number, "--live", "https://example.gov.cn/1", "--reason", "r", code=3)
    done = desk.json("resolve", number, how, "--reason", "已在平台上删除", "--as", "值班员戊")
    assert done["state"] == ("confirmed" if how == "--done" else "failed")
    assert desk.json("remaining")["remaining"] == []
    assert "已在平台上删除" in desk.run("log", "--delivery", number).stdout
    assert desk.json("verify-log")["ok"] is True
    again = desk.run("resolve", number, "--done", "--reason", "r", code=None)
    assert again.exit_code == (3 if how == "--done" else 0)


def test_a_restored_database_is_told_until_somebody_starts_again(desk: Desk) -> None:
    assert desk.json("restored") | {"restored": False} == desk.json("restored")
    desk.release()

    async def found(app: object) -> None:
        store: Store = app.store  # type: ignore[attr-defined]
        while await store.log.seal(now=app.clock()):  # type: ignore[attr-defined]
            pass
        newest = await store.restores.newest(now=app.clock())  # type: ignore[attr-defined]
        assert newest is not None
        from dataclasses import replace

        lost = replace(newest, size=newest.size + 7)
        assert await store.restores.found(lost, frozenset(), now=app.clock())  # type: ignore[attr-defined]

    desk.with_app(found)
    told = desk.json("restored", code=1)
    assert (told["standing"], told["missing_entries"], len(told["doubtful"]) > 0) == (True, 7, True)
    shown = desk.run("restored", code=1).stdout
    assert "gongbao start-again" in shown
    assert "7 sealed entries" in shown
    assert "封存" in desk.run("restored", "--lang", "zh", code=1).stdout
    assert [s["scope"] for s in desk.json("channels")["stopped"]] == ["all"]
    for kind in ("restored", "doubted"):
        assert json.loads(desk.run("log", "--kind", kind, "--json").stdout)["entries"]
    assert desk.json("verify-log")["ok"] is True
    desk.run("start-again", "--as", "值班员戊")
    assert desk.json("restored", code=1)["standing"] is False  # some are in doubt still
    assert desk.json("verify-log")["ok"] is True
