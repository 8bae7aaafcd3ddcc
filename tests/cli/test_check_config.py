"""check-config names each thing that is wrong, where, and the remedy; never a secret."""

from __future__ import annotations

from typing import Any

import pytest
from cli_desk import SECRET, Desk

from publisher.commands.checking import can_be_signed
from publisher.commands.config_words import in_both
from publisher.first_start import assign


def wrong(answer: dict[str, Any]) -> list[str]:
    return [a["where"] for a in answer["answers"] if a["level"] == "wrong"]


def test_the_shipped_configuration_is_good_and_nothing_is_made(desk: Desk) -> None:
    answer = desk.json("check-config")
    assert (answer["ok"], wrong(answer)) == (True, [])
    assert not desk.data.exists()
    desk.submit()
    assert "1 revisions, 0 deliveries" in desk.run("check-config").stdout


def test_everything_that_is_wrong_is_named_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk.config / "people.toml").write_text('stages = ["first"]\n[[people]]\nname = "甲"\n', "utf-8")
    agency = desk.config / "agency.toml"
    agency.write_text(agency.read_text("utf-8") + 'channels = ["nowhere"]\n', "utf-8")
    (desk.config / "channels.toml").write_text(
        f"""
        [[channels]]
        name = "a"
        kind = "carrier-pigeon"
        [[channels]]
        name = "b"
        kind = "webhook"
        url = "https://receiver.example/"
        secrets = ["{SECRET[:-6]}"]
        [[channels]]
        name = "c"
        kind = "webhook"
        url = "https://receiver.example/"
        secrets = ["env:NOT_SET_ANYWHERE"]
        """,
        "utf-8",
    )
    next((desk.config / "rules").glob("PII-01.toml")).write_text("id = 3", "utf-8")
    monkeypatch.setenv("GONGBAO_BASE_URL", "ftp://example.org")
    answer = desk.json("check-config", code=2)
    places = wrong(answer)
    for start in ("people.toml", "rules", "channels.toml (a): kind", "channels.toml (b)", "channels.toml (c)"):
        assert any(p.startswith(start) for p in places), (start, places)
    assert "agency.toml: columns.licences.channels" in places
    assert "GONGBAO_BASE_URL" in places
    assert SECRET[6:-6] not in desk.run("check-config", code=2).output


def test_a_key_that_others_can_read_is_wrong(desk: Desk) -> None:
    desk.submit()
    (desk.data / "keys" / "log.ed25519").chmod(0o644)
    assert wrong(desk.json("check-config", code=2)) == [str(desk.data / "keys" / "log.ed25519")]


def test_a_broken_setting_is_named_without_its_value(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONGBAO_PORT", "tiny-secret")
    result = desk.run("check-config", code=2)
    assert "GONGBAO_port" in result.stdout
    assert "tiny-secret" not in result.output


def test_a_database_that_does_not_answer_is_wrong(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONGBAO_DATABASE_URL", "postgresql://user:hush-hush@127.0.0.1:1/none")
    result = desk.run("check-config", code=2)
    assert "GONGBAO_DATABASE_URL" in result.stdout
    assert "hush-hush" not in result.output
    failed = desk.run("items", code=5)
    assert "hush-hush" not in failed.output


def test_stages_need_people_of_their_own() -> None:
    assert can_be_signed(["a", "b"], {"p": ("a", "b"), "q": ("a",)})
    assert assign(["a", "b"], {"p": ("a", "b"), "q": ("a",)}) == {"a": "q", "b": "p"}
    assert not can_be_signed(["a", "b"], {"p": ("a", "b")})
    assert assign([], {}) == {}


def test_what_is_wrong_is_said_in_both_languages(desk: Desk) -> None:
    with (desk.config / "channels.toml").open("a", encoding="utf-8") as file:
        file.write('\n[[channels]]\nname = "hook"\nkind = "webhook"\nurl = "https://r.example.gov.cn/"\n')
        file.write('secrets = ["env:NOT_SET_ANYWHERE"]\n')
    (wrong,) = [a for a in desk.json("check-config", code=2)["answers"] if a["level"] == "wrong"]
    assert "NOT_SET_ANYWHERE is not set" in wrong["message"]["en"]
    assert "NOT_SET_ANYWHERE 未设置" in wrong["message"]["zh"]
    assert in_both("the vault holds no secret a; add it: gongbao secret set b").zh.startswith("the vault")
    assert in_both("odd {name} text").zh == "odd {name} text"


def test_a_rehearsal_is_checked_without_the_live_secrets(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with (desk.config / "channels.toml").open("a", encoding="utf-8") as file:
        file.write('\n[[channels]]\nname = "weibo"\nkind = "weibo"\naccess_token = "env:NOT_SET_ANYWHERE"\n')
        file.write('rip = "203.0.114.7"\nsecure_domains = ["www.example.gov.cn"]\n')
    desk.run("check-config", code=2)
    monkeypatch.setenv("GONGBAO_SANDBOX", "1")
    desk.run("check-config")
