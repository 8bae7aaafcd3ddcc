"""A rehearsal as an agency runs it: the service as a process of its own with an account of every kind, the commands at
a terminal, and what each stand-in shows. No secret of a live account is there, and every address is this machine's."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from free_ports import free_port

sys.path.insert(0, str(Path(__file__).parents[1] / "platforms"))
from live_accounts import LIVE, configured

from channels.sandbox import stand_ins
from config.settings import load_channels
from publisher.rehearsal import AT_HOME, PORTS_FILE, rehearsed

SIGNERS = (("审核乙", "first"), ("审核丙", "second"), ("局领导丁", "final"))
ITEM, WORD = "rehearsed-item", "演练甲乙丙"
PATIENCE_SECONDS = 300
NOTICE = f"""---
id: {ITEM}
title: 关于举办版权培训班的通知（{WORD}）
column: notices
content_type: 服务通知
openness: 主动公开
drafter: 编辑甲
index_number: 11990000MB0000000J/2026-00001
created_on: 2026-03-02
summary: 定于三月举办版权培训班（{WORD}）。
---
各有关单位：

为提升服务能力，定于三月举办版权培训班，请按时参加（{WORD}）。
"""
MORE = """
[[channels]]
name = "site"
kind = "site"

[[channels]]
name = "by-hand"
kind = "manual"
platform = "今日头条"
status = "filed"
filing = "京网信备 2026-2"
owner = "办公室"
responsible = "值班员戊"
deputy = "编辑甲"
"""
LIVE_ADDRESS = re.compile(r"gov\.cn|8\.8\.8\.8|live", re.IGNORECASE)


@dataclass
class Office:
    """The terminal of an agency that rehearses."""

    folder: Path
    env: dict[str, str]

    def run(self, *args: str, code: int = 0, **env: str) -> Any:
        command = [sys.executable, "-m", "publisher.cli", *args, "--json"]
        done = subprocess.run(command, env=self.env | env, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        assert done.returncode == code, (args, done.stdout, done.stderr)
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def serving(self) -> Iterator[subprocess.Popen[str]]:
        command = [sys.executable, "-m", "publisher.cli", "serve", "--sandbox", "--json"]
        env = {name: value for name, value in self.env.items() if name != "GONGBAO_SANDBOX"}
        with (
            (self.folder / "serve.log").open("w", encoding="utf-8") as errors,
            subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
        ):
            try:
                assert process.stdout is not None
                ready = process.stdout.readline()
                assert ready, (self.folder / "serve.log").read_text("utf-8")[-4000:]
                assert json.loads(ready)["ready"] is True
                yield process
            finally:
                if process.poll() is None:
                    process.kill()

    @property
    def data(self) -> Path:
        return self.folder / "var" / "sandbox"

    def deliveries(self) -> list[dict[str, Any]]:
        found = self.run("deliveries", "--item", ITEM, "-n", "1000")["deliveries"]
        return [d for d in found if d["channel"] != "site"]

    def listed(self) -> dict[int, dict[str, Any]]:
        return {task["id"]: task for task in self.run("remaining")["remaining"]}

    def settled(self, operation: str) -> list[dict[str, Any]]:
        """Until each account has that delivery, and each is delivered, has failed, or waits for a person."""
        found: list[dict[str, Any]] = []

        def is_settled() -> bool:
            nonlocal found
            found = [d for d in self.deliveries() if d["operation"] == operation]
            tasks = self.listed()
            over = [d for d in found if d["id"] in tasks or d["state"] == "confirmed" or _is_sent(d)]
            return len(over) == len(found) == len(LIVE) + 1

        until(is_settled, lambda: found)
        return found

    def shown(self) -> dict[str, list[dict[str, Any]]]:
        """What readers see, by account, as the stand-ins' own pages tell it."""
        ports = json.loads((self.data / PORTS_FILE).read_text("utf-8"))
        return {name: _live(get(f"http://127.0.0.1:{port}/shown.json")["shown"]) for name, port in ports.items()}


def _is_sent(delivery: dict[str, Any]) -> bool:
    return delivery["state"] == "sent" and not delivery.get("awaits")


def _live(shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [post for post in shown if post["standing"] == "live"]


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.loads(answer.read())


def until(true: Callable[[], bool], seen: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < end, seen()
        time.sleep(0.3)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    config = configured(tmp_path / "config", {f"a-{variant}": variant for variant in LIVE})
    with (config / "channels.toml").open("a", encoding="utf-8") as file:
        file.write(MORE)
    (tmp_path / "notice.md").write_text(NOTICE, "utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GONGBAO_", "LIVE_"))}
    own = {
        "GONGBAO_DATA_DIR": str(tmp_path / "var"),
        "GONGBAO_CONFIG_DIR": str(config),
        "GONGBAO_BASE_URL": "https://www.example.gov.cn",
        "GONGBAO_PORT": str(free_port()),
        "GONGBAO_SANDBOX": "1",
        "LANG": "en_GB.UTF-8",
    }
    return Office(tmp_path, kept | own)


def nothing_live_is_left(office: Office) -> None:
    """Of the secrets none is set, and no key of any account names anything but this machine."""
    config = Path(office.env["GONGBAO_CONFIG_DIR"])
    accounts = load_channels(config)
    assert {a.kind for a in accounts} >= set(stand_ins())
    named = re.findall(r"env:(\w+)", (config / "channels.toml").read_text("utf-8"))
    assert len(named) >= len(LIVE)
    assert not set(named) & set(office.env)
    error = office.run("serve", "--port", str(free_port()), code=2, GONGBAO_SANDBOX="0")["error"]
    assert any(name in error["message"]["en"] for name in named), error  # without the rehearsal they are needed
    for account in rehearsed(accounts, office.data):
        own = {k: v for k, v in account.own_keys.items() if k not in ("rip", "secure_domains", "identifier")}
        text = json.dumps(own, ensure_ascii=False, default=str)
        assert account.on, account.name
        assert {str(n) for n in account.allow_networks} == {"127.0.0.1/32"}
        assert "env:" not in text
        urls = re.findall(r'https?://[^"\\ ]+', text)
        hosts = {urlsplit(url).hostname for url in urls} | {own.get("host", "127.0.0.1")}
        assert hosts <= {"127.0.0.1"}, (account.name, hosts)
        assert account.kind in AT_HOME or urls or "host" in own, account.name


def test_every_kind_is_rehearsed_and_taken_back(office: Office) -> None:
    with office.serving() as process:
        nothing_live_is_left(office)
        office.run("submit", str(office.folder / "notice.md"))
        for person, stage in SIGNERS:
            office.run("approve", ITEM, "--as", person, "--stage", stage)
        out_once(office, office.settled("publish"))
        office.run("withdraw", ITEM, "--reason", "privacy", "--note", "已撤回。", "--as", "值班员戊")
        gone_or_listed(office, office.settled("recall"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    checked = office.run("verify-log")
    assert (checked["ok"], checked["unsealed"]) == (True, 0)
    log = (office.folder / "serve.log").read_text("utf-8")
    assert "Traceback" not in log, log[-4000:]


def out_once(office: Office, deliveries: list[dict[str, Any]]) -> None:
    shown, listed = office.shown(), office.listed()
    assert set(shown) == {f"a-{variant}" for variant in LIVE}
    for delivery in deliveries:
        name, posts = delivery["channel"], shown.get(delivery["channel"], [])
        by_a_person = name in ("by-hand", "a-wechat_official-draft")
        assert (delivery["id"] in listed) == by_a_person, delivery
        assert len(posts) == (0 if by_a_person else 1), (name, posts)
        assert all(WORD in post["title"] + post["text"] for post in posts), name


def gone_or_listed(office: Office, recalls: list[dict[str, Any]]) -> None:
    shown, listed = office.shown(), office.listed()
    told = {task["channel"] for task in listed.values()}
    for name, posts in shown.items():
        left = [post for post in posts if WORD in post["title"] + post["text"]]
        assert not left or name in told, (name, left)
    robots = {name for name in shown if name.endswith("_robot")}
    assert robots <= told  # a group keeps what was said: a person deletes it
    assert {r["channel"] for r in recalls} == {*shown, "by-hand"}
