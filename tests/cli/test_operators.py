"""Operators at the terminal: what goes out, what failed, what is in doubt, and the switches."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest
from cli_desk import Desk

from content_queue.states import DeliveryEvent as E
from content_queue.states import DeliveryState as D


def test_a_failed_delivery_is_explained_and_sent_again(desk: Desk) -> None:
    number = desk.failed()
    table = desk.run("deliveries", "--state", "failed").stdout
    assert "the receiver knows no such address (HTTP 404)" in table
    assert f"gongbao retry {number} --reason" in table
    told = desk.run("log", "--delivery", number).stdout
    for word in ("attempt 1: refused for good (1.2 s)", "第1次尝试：被拒绝", f"gongbao retry {number}"):
        assert word in told
    again = desk.json("retry", number, "--reason", "地址已更正", "--as", "值班员戊")["deliveries"][0]
    assert (again["state"], again["attempts"]) == ("waiting", 0)
    assert "值班员戊 had it sent again: 地址已更正" in desk.run("log", "--delivery", number).stdout


def test_what_may_be_out_is_never_sent_again_blindly(desk: Desk) -> None:
    number = desk.doubtful()
    refused = desk.json("retry", number, 999, "--reason", "try", code=4)["deliveries"]
    assert [d["error"]["code"] for d in refused] == ["in_doubt", "store"]
    assert desk.json("deliveries")["deliveries"][0]["state"] == "in_doubt"
    assert f"gongbao resolve {number} --live URL" in desk.run("show", "item-one").stdout


def test_doubt_is_resolved_one_way_or_the_other(desk: Desk) -> None:
    number = desk.doubtful()
    desk.run("resolve", number, code=2)
    desk.run("resolve", number, "--live", "https://example.gov.cn/1", "--not-out", "--reason", "r", code=2)
    desk.run("resolve", number, "--not-out", code=2)
    live = desk.json("resolve", number, "--live", "https://example.gov.cn/1", "--as", "值班员戊")
    assert (live["state"], live["url"]) == ("confirmed", "https://example.gov.cn/1")
    assert desk.json("resolve", number, "--not-out", "--reason", "r", code=3)["error"]["code"] == "not_in_doubt"
    assert desk.json("verify-log")["ok"] is True


def test_not_out_is_sent_again(desk: Desk) -> None:
    number = desk.doubtful()
    assert desk.json("resolve", number, "--not-out", "--reason", "平台上没有")["state"] == "waiting"


@pytest.mark.parametrize("code", ["http_418", "surprise_KeyError", "weibo_99999", "", "{odd}"])
def test_reasons_that_nobody_described_are_shown_not_fatal(desk: Desk, code: str) -> None:
    desk.release()
    number = desk.attempt((E.REJECT,), D.FAILED, outcome="new_outcome", reason=code)
    assert f"gongbao retry {number}" in desk.run("deliveries").stdout
    desk.run("show", "item-one")
    shown = desk.json("log", "--delivery", number)["entries"]
    assert shown[-1]["text"]["en"].startswith("site, attempt 1: new_outcome")


def test_waiting_deliveries_say_when_and_why(desk: Desk) -> None:
    desk.release()
    desk.attempt((E.DEFER,), D.WAITING, outcome="deferred", reason="http_429")
    desk.run("pause", "site", "--reason", "夜间停机")
    table = desk.run("deliveries").stdout
    assert "the receiver asks us to slow down" in table
    assert "The channel is paused; gongbao resume site" in table


def test_switches(desk: Desk) -> None:
    assert desk.json("channels")["channels"][0]["state"] == "on"
    desk.run("pause", "site", "--reason", "维护")
    assert desk.json("channels")["channels"][0]["state"] == "paused"
    desk.run("resume", "site")
    desk.run("stop", "--reason", "演练")
    assert desk.json("stop", code=3)["error"]["code"] == "conflict"
    assert desk.json("channels")["stopped"][0]["scope"] == "all"
    assert "gongbao start-again all" in desk.run("channels").stdout
    desk.run("stop", "column:notices")
    assert desk.json("start-again")["still_stopped"] == ["column:notices"]
    desk.run("start-again", "column:notices")
    assert desk.json("channels")["stopped"] == []
    for args in (("pause", "nowhere"), ("resume", "nowhere"), ("stop", "moon"), ("stop", "channel:nowhere")):
        assert desk.json(*args, code=4)["error"]["exit_code"] == 4
    desk.run("start-again", "all", code=3)
    kinds = [e["kind"] for e in desk.json("log")["entries"]]
    assert kinds.count("stopped") == 2
    assert {"channel_paused", "channel_resumed", "started_again"} <= set(kinds)


def test_tokens_are_shown_once_and_never_again(desk: Desk) -> None:
    made = desk.json("token", "create", "--name", "门户", "--role", "editor", "--days", 30)
    assert made["token"].startswith("gbt_")
    for args in (("token", "list"), ("token", "list", "--json"), ("log",), ("log", "--json")):
        assert made["token"] not in desk.run(*args).output
    assert desk.json("token", "list")["tokens"][0]["state"] == "valid"
    assert "revoked" in desk.run("token", "revoke", 1).stdout
    desk.run("token", "revoke", 1, code=4)
    assert desk.json("token", "list")["tokens"][0]["state"] == "revoked"
    desk.run("token", "create", "--name", "x", "--role", "king", code=2)


def test_people_and_rules_are_listed(desk: Desk) -> None:
    assert desk.json("people")["stages"] == ["first", "second", "final"]
    assert "局领导丁" in desk.run("people").stdout
    rules = {r["id"]: r for r in desk.json("rules")["rules"]}
    assert (rules["PII-01"]["severity"], rules["PII-01"]["overridable"]) == ("block", False)
    assert "PII-01" in desk.run("rules").stdout


def test_the_log_is_filtered_limited_and_followed(desk: Desk) -> None:
    desk.submit()
    desk.sign()
    assert [e["kind"] for e in desk.json("log", "--kind", "signed")["entries"]] == ["signed"] * 3
    assert len(desk.json("log", "item-one", "-n", 2)["entries"]) == 2
    desk.run("log", "item-one", "--follow", code=2)
    command = [sys.executable, "-m", "publisher.cli", "log", "-n", "1", "--follow", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        try:
            assert following.stdout is not None
            assert json.loads(following.stdout.readline())["kind"] == "approved"
            desk.run("pause", "site")
            assert json.loads(following.stdout.readline())["kind"] == "channel_paused"
            following.send_signal(signal.SIGINT)
            assert following.wait(60) == 130
        finally:
            following.kill()


def test_a_command_never_waits_for_a_heavy_import_to_show_its_help() -> None:
    began = time.perf_counter()
    code = "import sys, publisher.cli; print('sqlalchemy' in sys.modules, 'aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-E", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
    assert time.perf_counter() - began < 60
