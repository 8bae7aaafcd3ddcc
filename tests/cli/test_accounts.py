"""Accounts at the terminal: filing, secrets, live checks."""

from __future__ import annotations

import base64

import pytest
from cli_desk import GOOD, SECRET, Desk
from click.testing import CliRunner

from publisher.cli import main

HOOK = """
[[channels]]
name = "hook"
kind = "webhook"
url = "https://receiver.example.gov.cn/in"
secrets = ["{secret}"]
{more}
"""


def add(desk: Desk, secret: str = "env:HOOK_SECRET", more: str = "") -> None:
    with (desk.config / "channels.toml").open("a", encoding="utf-8") as file:
        file.write(HOOK.format(secret=secret, more=more))


def key(number: int) -> str:
    return base64.b64encode(bytes([number]) * 32).decode()


def set_secret(name: str, value: str) -> None:
    result = CliRunner().invoke(main, ["secret", "set", name], input=value)
    assert result.exit_code == 0, result.output
    assert SECRET not in result.output


def test_a_secret_of_the_vault_builds_the_account(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONGBAO_VAULT_KEY", key(1))
    add(desk, "vault:hook")
    missing = desk.run("preview", desk.file(), "--channel", "hook", code=1)
    assert "cannot be built here" in missing.stdout
    assert "hook" in desk.run("check-config", code=2).stdout
    set_secret("hook", SECRET + "\n")
    assert desk.json("preview", desk.file(), "--channel", "hook")["channels"][0]["problem"] is None
    desk.run("check-config")
    assert [s["name"] for s in desk.json("secret", "list")["secrets"]] == ["hook"]
    monkeypatch.setenv("GONGBAO_VAULT_KEY", key(2))
    refused = desk.run("preview", desk.file(), code=2)
    assert "GONGBAO_VAULT_OLD_KEYS" in refused.stderr
    monkeypatch.setenv("GONGBAO_VAULT_OLD_KEYS", key(1))
    assert desk.json("secret", "rewrap")["rewrapped"] == 1
    monkeypatch.delenv("GONGBAO_VAULT_OLD_KEYS")
    assert desk.json("preview", desk.file(), "--channel", "hook")["channels"][0]["problem"] is None
    desk.run("secret", "remove", "hook")
    desk.run("secret", "remove", "hook", code=4)


@pytest.mark.parametrize(("name", "value"), [("Not A Name", "x"), ("ok", ""), ("ok", "x" * 70_000)])
def test_a_secret_that_cannot_be_kept_is_refused(desk: Desk, name: str, value: str) -> None:
    result = CliRunner().invoke(main, ["secret", "set", name], input=value)
    assert result.exit_code == 2
    assert "x" * 100 not in result.output


def test_nothing_is_released_through_an_account_that_is_not_filed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    add(desk, more='status = "unfiled"')
    report = desk.json("check", desk.file())["files"][0]
    assert [(f["rule_id"], f["severity"]) for f in report["findings"]] == [("FIT-02", "note")]
    assert [c["channel"] for c in desk.json("preview", desk.file())["channels"]] == ["site"]
    named = GOOD.replace("summary:", "channels: site, hook\nsummary:")
    report = desk.json("check", desk.file(named), code=1)["files"][0]
    assert [(f["rule_id"], f["severity"]) for f in report["findings"]] == [("FIT-02", "block")]


def test_a_live_look_is_told_and_kept(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    add(desk)
    assert {a["channel"] for a in desk.json("check-accounts")["accounts"]} == {"site", "hook"}
    assert "nothing to look at" in desk.run("check-accounts", "hook").stdout
    desk.run("check-accounts", "nobody", code=2)
