"""The running service as a process of its own: it starts, tells what it did, drains, and ends with the right status."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cli_desk import Desk
from free_ports import free_port

from publisher.commands.failures import Exit, Failure
from publisher.commands.out import Out
from publisher.commands.serve import _until_told


@contextmanager
def serving(*args: object) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The process, and the JSON line it prints when it is ready."""
    command = [sys.executable, "-m", "publisher.cli", "serve", "--json", *map(str, args)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            yield process, json.loads(line)
        finally:
            if process.poll() is None:
                process.kill()


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.loads(answer.read())


def ended(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[int, str]:
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    return process.returncode, out + err


def test_the_first_start_publishes_the_samples_and_the_second_reuses_them(desk: Desk) -> None:
    port = free_port()
    with serving("--samples", "--port", port) as (process, first):
        assert (first["ready"], first["first_start"], first["port"]) == (True, True, port)
        got = get(first["addresses"]["receiver"] + "received.json")
        status, output = ended(process)
    assert status == 0
    items = {d["item"] for d in first["deliveries"]}
    assert len(items) >= 4
    assert {(d["item"], d["channel"]) for d in first["deliveries"]} == {
        (i, c) for i in items for c in ("site", "demo-receiver")
    }
    assert {d["state"] for d in first["deliveries"]} <= {"sent", "confirmed"}
    assert (got["taken"], got["refused"]) == (len(items), 0)
    key = (desk.data / "keys" / "demo-receiver.whsec").read_text("ascii")
    assert key not in output + json.dumps(first)
    assert (desk.data / "keys" / "demo-receiver.whsec").stat().st_mode & 0o077 == 0
    before = desk.json("deliveries", "-n", 1000)["deliveries"]
    with serving("--samples", "--port", port) as (process, second):
        assert second["first_start"] is False
        assert second["addresses"] == first["addresses"]
        assert ended(process, signal.SIGINT)[0] == 0
    assert desk.json("deliveries", "-n", 1000)["deliveries"] == before
    assert desk.json("verify-log")["ok"] is True
    assert [c["name"] for c in desk.json("channels")["channels"]] == ["site", "demo-receiver"]


def test_without_samples_nothing_of_that_happens(desk: Desk) -> None:
    with serving("--port", free_port()) as (process, ready):
        assert "receiver" not in ready["addresses"]
        taken = desk.json("serve", "--port", ready["port"], code=3)["error"]
        assert taken["code"] == "port_taken"
        assert ended(process)[0] == 0
    assert desk.json("items")["items"] == []
    assert not (desk.data / "demo-receiver.port").exists()


def test_an_item_that_is_signed_while_the_service_runs_is_published(desk: Desk) -> None:
    with serving("--port", free_port()) as (process, _):
        desk.submit()
        desk.sign()
        follow = [sys.executable, "-m", "publisher.cli", "log", "--kind", "attempt", "--follow", "--json"]
        with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True) as told:
            assert told.stdout is not None
            assert json.loads(told.stdout.readline())["facts"]["state"] == "sent"
            told.send_signal(signal.SIGINT)
        assert ended(process)[0] == 0
    assert desk.json("verify-log")["unsealed"] == 0


@pytest.mark.parametrize("args", [("--roles", "web,cook"), ("--roles", ""), ("--samples", "--roles", "web")])
def test_wrong_roles_are_refused(desk: Desk, args: tuple[str, ...]) -> None:
    assert desk.run("serve", *args, code=2).stderr


def test_a_channel_that_cannot_be_built_is_told_before_anything_runs(desk: Desk) -> None:
    (desk.config / "channels.toml").write_text('[[channels]]\nname = "x"\nkind = "pigeon"\n', "utf-8")
    error = desk.json("serve", "--port", free_port(), code=2)["error"]
    assert error["code"] in {"channels", "configuration"}
    assert "pigeon" in error["message"]["en"]


def test_a_worker_alone_needs_no_port(desk: Desk) -> None:
    with serving("--roles", "worker,scheduler") as (process, ready):
        assert (ready["roles"], ready["port"], ready["addresses"]) == (["worker", "scheduler"], None, {})
        assert ended(process)[0] == 0


LOOP = """
import asyncio
from publisher.commands.serve import listen_for_signals
async def main():
    ending = listen_for_signals()
    print("ready", flush=True)
    await ending.wait()
    print("first", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def test_the_second_signal_ends_at_once() -> None:
    with subprocess.Popen([sys.executable, "-c", LOOP], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for word in ("ready", "first"):
            assert process.stdout.readline().strip() == word
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM


class Broken:
    async def failed(self) -> None:
        return None


async def test_a_part_that_ends_by_itself_ends_the_process_with_an_error() -> None:
    with pytest.raises(Failure) as caught:
        await _until_told(Out(as_json=True, language="en"), Broken(), asyncio.Event())  # type: ignore[arg-type]
    assert caught.value.status is Exit.INTERNAL
