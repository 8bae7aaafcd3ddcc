from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientSession, web
from sample_post import post, withdrawal

from channels import registry
from channels.adapters.webhook.signing import signing_key
from channels.contract import Channel
from channels.registry import Tools
from channels.sandbox.receiver import INBOX, Inbox, receiver_app
from channels.transport import Transport
from channels.verdicts import Deferred, OutcomeUnknown, Rejected, Suspended, Verdict

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"x" * 32).decode()
PAIR = "whsk_" + base64.b64encode(b"k" * 32).decode()
NOW = 1_767_225_600.0


@dataclass
class Running:
    base: str
    inbox: Inbox
    tools: Tools

    def channel(self, query: str = "", **keys: Any) -> Channel:
        deadline = 1 if "hang" in query or "drip" in query else 30
        own = {"secrets": [SECRET], "signing_keys": [PAIR], "deadline": deadline, **keys}
        own["url"] = f"{self.base}/hook{query}"
        return registry.build("acct", "webhook", own, self.tools)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    app = receiver_app(secrets=[SECRET], public_keys=[signing_key(PAIR).public_text], keep=3, clock=lambda: NOW)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    async with Transport(user_agent="t", allow_networks=("127.0.0.0/8",)) as transport:
        yield Running(f"http://127.0.0.1:{port}", app[INBOX], Tools(transport, lambda: NOW))
    await runner.cleanup()


async def get(url: str) -> str:
    async with ClientSession() as session, session.get(url) as answer:
        return await answer.text()


async def test_an_event_is_taken_once(running: Running) -> None:
    channel = running.channel()
    await channel.publish(post())
    await channel.publish(post())
    assert (running.inbox.requests, running.inbox.taken, running.inbox.repeats) == (2, 1, 1)
    assert running.inbox.arrivals[0].schemes == ("v1", "v1a")


async def test_either_signature_is_enough_and_a_strangers_is_not(running: Running) -> None:
    await running.channel(signing_keys=[]).publish(post(key="a"))
    await running.channel(secrets=[OTHER]).publish(post(key="b"))
    with pytest.raises(Suspended, match="http_401"):
        await running.channel(secrets=[OTHER], signing_keys=[]).publish(post(key="c"))
    assert [a.schemes for a in running.inbox.arrivals] == [("v1",), ("v1a",)]
    assert running.inbox.refused == 1


AFTER: list[tuple[str, type[Verdict], int]] = [
    ("?behave=hang", OutcomeUnknown, 1),
    ("?behave=reset", OutcomeUnknown, 1),
    ("?behave=error", OutcomeUnknown, 1),
    ("?behave=error&status=502", OutcomeUnknown, 1),
    ("?behave=drip", OutcomeUnknown, 1),
    ("?behave=limit&retry_after=7", Deferred, 0),
    ("?behave=busy&retry_after=7", Deferred, 0),
    ("?behave=busy", OutcomeUnknown, 0),
    ("?behave=early", Deferred, 0),
    ("?behave=redirect", Rejected, 0),
    ("?behave=gone", Rejected, 0),
    ("?behave=refuse", Rejected, 0),
    ("?behave=forbid", Suspended, 0),
]


@pytest.mark.parametrize(("query", "verdict", "taken"), AFTER)
async def test_it_misbehaves_as_told(running: Running, query: str, verdict: type[Verdict], taken: int) -> None:
    with pytest.raises(verdict):
        await running.channel(query).publish(post())
    assert running.inbox.taken == taken


async def test_a_huge_answer_changes_nothing(running: Running) -> None:
    assert (await running.channel("?behave=huge").publish(post())).remote_id == post().key


async def test_it_can_misbehave_a_few_times_and_then_take_the_repeat_once(running: Running) -> None:
    channel = running.channel("?behave=reset&times=2")
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            await channel.publish(post())
    await channel.publish(post())
    assert (running.inbox.taken, running.inbox.repeats) == (1, 2)


async def test_the_page_shows_the_last_events_and_runs_no_markup(running: Running) -> None:
    channel = running.channel()
    assert "Nothing has arrived yet" in await get(running.base)
    for n in range(4):
        await channel.publish(post(key=f"k{n}", revision=n, title=f"<script>公告{n}</script>"))
    await running.channel().recall(withdrawal(title="撤回公告"))  # type: ignore[attr-defined]
    page = await get(running.base)
    assert "<strong>5</strong> taken 已收" in page
    assert "&lt;script&gt;公告3" in page
    assert "<script>" not in page
    assert "withdrawn 撤回" in page
    assert "公告1" not in page  # three are kept


async def test_the_listing(running: Running) -> None:
    await running.channel().publish(post())
    listing = json.loads(await get(f"{running.base}/received.json"))
    assert (listing["taken"], listing["events"][0]["id"]) == (1, post().key)
    assert listing["events"][0]["event"]["data"]["title"] == post().title
