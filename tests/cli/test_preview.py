"""Editors see what each channel will get, and are told before release what does not fit."""

from __future__ import annotations

import pytest
from cli_desk import GOOD, SECRET, Desk

HOOK = """
[[channels]]
name = "hook"
kind = "webhook"
url = "https://receiver.example.gov.cn/in"
secrets = ["env:HOOK_SECRET"]
"""
WORDED = GOOD.replace("summary:", "渠道文案:\n  hook: 一句话。\nsummary:")


@pytest.fixture(autouse=True)
def hook(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    with (desk.config / "channels.toml").open("a", encoding="utf-8") as file:
        file.write(HOOK)


def test_each_channel_is_shown_with_its_text_counts_and_abilities(desk: Desk) -> None:
    answer = desk.json("preview", desk.file())
    shown = {c["channel"]: c for c in answer["channels"]}
    assert set(shown) >= {"site", "hook"}
    assert "定于三月举办版权培训班" in shown["site"]["text"]
    assert shown["site"]["measured"][0]["unit"] == "characters"
    assert shown["site"]["measured"][0]["length"] == len(shown["site"]["text"])
    assert shown["hook"]["abilities"] == {"edit": "event", "recall": "event", "look": "repeat", "prepare": "yes"}
    desk.submit()
    spoken = desk.run("preview", "item-one", "--channel", "site").stdout
    assert "can be taken down" in spoken
    assert "hook" not in spoken
    desk.run("preview", "item-one", "--channel", "nobody", code=2)
    desk.run("preview", "no-such-item", code=4)


def test_a_wording_is_kept_signed_and_checked(desk: Desk) -> None:
    plain = desk.json("submit", desk.file())["files"][0]["hash"]
    worded = desk.json("submit", desk.file(WORDED, "item-two"))["files"][0]["hash"]
    assert plain != worded
    secret = WORDED.replace("一句话。", "联系人手机号13912345678。")
    report = desk.json("check", desk.file(secret, "item-three"), code=None)["files"][0]
    assert "wordings.hook" in {f["field"] for f in report["findings"]}
    unknown = WORDED.replace("hook:", "nobody:")
    assert "nobody" in desk.run("submit", desk.file(unknown, "item-four"), code=None).stderr
