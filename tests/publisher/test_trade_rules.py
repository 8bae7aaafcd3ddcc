"""People, routes, posts, keys and the way out of the queue."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.contract import Operation
from channels.verdicts import Receipt
from content_queue.model import Claimed, NewRevision, Revision, Signoff
from content_queue.states import RevisionState
from content_queue.store import Store
from publisher import release as release_module
from publisher.clock import now
from publisher.content import Content, Image, Openness, content_hash
from publisher.delivery import idempotency_key
from publisher.fanout import Routes
from publisher.gate import Gate
from publisher.keys import KeyFileError, load_or_make, load_public
from publisher.people import Signing
from publisher.posts import Addresses, HashMismatch, Posts, build_post, for_channel
from publisher.problems import Refused
from publisher.release import Releaser
from publisher.schedule import Schedule

SHA = "a" * 64
ADDRESSES = Addresses("https://example.org")


def content(**facts: Any) -> Content:
    values: dict[str, Any] = {
        "title": "T",
        "body_html": "<p>x</p>",
        "body_text": "x",
        "column": "notices",
        "content_type": "notice",
        "issuing_body": "Office",
        "drafting_unit": "Unit",
        "openness": Openness.PROACTIVE,
    }
    return Content(**{**values, **facts})


def revision(made: Content, **facts: Any) -> Revision:
    raw = made.canonical()
    values: dict[str, Any] = {
        "id": 3,
        "item_id": "item-1",
        "number": 2,
        "state": RevisionState.RELEASED,
        "content": raw,
        "content_hash": content_hash(raw),
        "title": made.title,
        "column": made.column,
        "drafter": "an",
        "created_at": 1,
        "not_before": None,
        "expires_at": None,
        "released_at": 5,
    }
    return Revision(**{**values, **facts})


class TestPeople:
    signing = Signing(("first", "final"), {"bo": ("first",), "chen": ("first", "final")})

    def test_who_may_sign(self) -> None:
        self.signing.check("bo", "first")
        self.signing.check("chen", "final")

    @pytest.mark.parametrize(
        ("person", "stage", "code"),
        [("bo", "second", "no_such_stage"), ("x", "first", "no_such_person"), ("bo", "final", "may_not_sign")],
    )
    def test_who_may_not(self, person: str, stage: str, code: str) -> None:
        with pytest.raises(Refused) as refused:
            self.signing.check(person, stage)
        assert refused.value.code == code


names = st.sampled_from(["site", "hook", "mail", "robot"])


class TestRoutes:
    @given(
        st.lists(names, unique=True),
        st.lists(names, unique=True),
        st.none() | st.lists(names, unique=True).map(tuple),
    )
    def test_only_accounts_that_are_on_that_carry_the_column_and_that_the_item_wants(
        self, accounts: list[str], carried: list[str], plan: tuple[str, ...] | None
    ) -> None:
        routes = Routes(tuple(accounts), {"notices": tuple(carried)} if carried else {})
        found = routes.of(content(channels=plan))
        assert list(found) == [a for a in accounts if a in found]
        assert set(found) <= (set(accounts) if plan is None else set(plan) & set(accounts))
        if carried:
            assert set(found) <= set(carried)
        if plan is None:
            assert set(found) == set(accounts) & set(carried or accounts)
        assert set(routes.unknown(content(channels=plan))) == set(plan or ()) - set(accounts)


class TestPosts:
    def test_the_bytes_sent_are_the_bytes_signed(self) -> None:
        with pytest.raises(HashMismatch) as mismatch:
            build_post(revision(content(), content_hash="0" * 64), ADDRESSES, "Notices")
        assert "item-1" in str(mismatch.value)

    def test_images_are_addressed_and_nothing_else_is_touched(self) -> None:
        image = Image(name="图 1.png", sha256=SHA, media_type="image/png", size=9, alt="chart")
        html = f'<p>media:{SHA}</p><img src="media:{SHA}"><img src="media:{"b" * 64}">'
        post = build_post(revision(content(body_html=html, images=(image,))), ADDRESSES, "Notices")
        address = f"https://example.org/media/{SHA}/%E5%9B%BE%201.png"
        assert f'src="{address}"' in post.html
        assert f"<p>media:{SHA}</p>" in post.html
        assert [(a.url, a.alt) for a in post.images] == [(address, "chart")]
        assert (post.url, post.released_at) == ("https://example.org/items/item-1", 5)

    def test_what_differs_by_channel(self) -> None:
        post = build_post(revision(content()), ADDRESSES, "Notices")
        claimed = Claimed(
            7, "item-1", 3, 2, "hook", "notices", "recall", 0, 8, "t", "error", "a wrong date", basis=("r", "u")
        )
        mine = for_channel(post, claimed)
        assert mine.key == idempotency_key("item-1", 2, "hook", "recall")
        assert (mine.operation, mine.remote) == (Operation.RECALL, Receipt("r", "u"))
        assert (mine.reason, mine.note) == ("error", "a wrong date")
        assert (mine.released_at, mine.occurred_at) == (5, 8)

    async def test_a_revision_is_built_once_and_a_failure_is_forgotten(self) -> None:
        loads = []

        async def load(number: int) -> Revision:
            loads.append(number)
            await asyncio.sleep(0)
            if len(loads) == 1:
                raise OSError("disk")
            return revision(content())

        posts = Posts(load, ADDRESSES, lambda slug: slug)
        claims = [Claimed(n, "item-1", 3, 2, f"c{n}", "notices", "publish", 0, 1, "t") for n in range(5)]
        with pytest.raises(OSError, match="disk"):
            await posts.of(claims[0])
        made = await asyncio.gather(*(posts.of(c) for c in claims))
        assert loads == [3, 3]
        assert len({p.key for p in made}) == 5


class TestKeys:
    def test_it_is_made_once_and_is_its_owner_s_alone(self, tmp_path: Path) -> None:
        folder = tmp_path / "keys"
        key = load_or_make(folder, "example.org/log")
        assert load_or_make(folder, "example.org/log").private_bytes_raw() == key.private_bytes_raw()
        assert load_public(folder).public_bytes_raw() == key.public_key().public_bytes_raw()
        assert stat.S_IMODE((folder / "log.ed25519").stat().st_mode) == 0o600
        assert sorted(p.name for p in folder.iterdir()) == ["log.ed25519", "log.vkey"]

    def test_threads_that_start_at_once_agree(self, tmp_path: Path) -> None:
        with ThreadPoolExecutor(8) as pool:
            keys = list(pool.map(lambda _: load_or_make(tmp_path / "keys", "example.org/log"), range(8)))
        assert len({k.private_bytes_raw() for k in keys}) == 1

    def test_a_broken_file_is_named_and_not_shown(self, tmp_path: Path) -> None:
        (tmp_path / "log.ed25519").write_text("not a key but secret")
        with pytest.raises(KeyFileError) as error:
            load_or_make(tmp_path, "example.org/log")
        assert "log.ed25519" in str(error.value)
        assert "secret" not in str(error.value)
        with pytest.raises(KeyFileError):
            load_public(tmp_path)


@dataclass(frozen=True)
class Report:
    """A checklist that blocks, lets pass or breaks by the item's title."""

    findings: tuple[Any, ...] = ()
    ruleset: str = "r1"

    def to_dict(self) -> dict[str, Any]:
        found = [{"severity": str(f.severity), "rule_id": f.rule_id} for f in self.findings]
        return {"ruleset": self.ruleset, "findings": found}


@dataclass(frozen=True)
class Finding:
    severity: Any
    rule_id: str = "SEC-01"
    overridable: bool = True
    text_hash: str = "h1"


class Checks:
    def check(self, content: Content, *, today: date) -> Any:
        from publisher.checklist import Severity

        if content.title == "breaks":
            raise RuntimeError("a rule broke")
        return Report((Finding(Severity.BLOCK),) if content.title == "blocks" else ())


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(f"sqlite:///{tmp_path / 'gongbao.db'}")
    await made.migrate(now=0)
    yield made
    await made.close()


async def approved(store: Store, item: str, title: str, **facts: Any) -> Revision:
    made = content(title=title, **facts)
    raw = made.canonical()
    times = {"not_before": made.not_before, "expires_at": made.expires_at}
    kept_as: dict[str, Any] = {"source": b"s", "source_format": "markdown", "report": {}, "blocked": False}
    new = NewRevision(item, raw, content_hash(raw), title, "notices", "an", **kept_as, **times)
    kept = await store.items.submit(new, now=now(), actor="an")
    signoff = Signoff(kept.id, "final", "bo", kept.content_hash, now())
    return await store.items.sign(signoff, stages=["final"], actor="bo")


def releaser(store: Store) -> Releaser:
    return Releaser(store, Gate(Checks(), lambda: date(2026, 1, 1)), Routes(("site", "hook"), {}), now)


class TestReleaser:
    async def test_what_is_due_leaves_and_what_is_blocked_is_held(self, store: Store) -> None:
        good = await approved(store, "item-1", "fine")
        bad = await approved(store, "item-2", "blocks")
        await releaser(store).step()
        assert (await store.items.revision(good.id)).state is RevisionState.RELEASED
        held = await store.items.revision(bad.id)
        assert held.state is RevisionState.HELD
        assert held.report is not None
        assert held.report["findings"] == [{"severity": "block", "rule_id": "SEC-01"}]
        assert [d.channel for d in await store.deliveries.of_item("item-1")] == ["site", "hook"]
        assert await store.deliveries.of_item("item-2") == []

    async def test_an_accepted_finding_lets_it_leave(self, store: Store) -> None:
        made = await approved(store, "item-1", "blocks")
        await store.items.accept_finding("item-1", "SEC-01", "h1", person="bo", reason="a name", now=now())
        await releaser(store).step()
        assert (await store.items.revision(made.id)).state is RevisionState.RELEASED

    async def test_one_that_breaks_does_not_keep_the_others(self, store: Store) -> None:
        await approved(store, "item-1", "breaks")
        good = await approved(store, "item-2", "fine")
        wait = await releaser(store).step()
        assert wait == release_module.BACKOFF_SECONDS
        assert (await store.items.revision(good.id)).state is RevisionState.RELEASED

    async def test_however_many_break_they_keep_no_other_in_the_queue(self, store: Store) -> None:
        for n in range(release_module.AT_ONCE + 5):
            await approved(store, f"bad-{n}", "breaks")
        good = await approved(store, "item-2", "fine")
        one = releaser(store)
        await one.step()
        await one.step()
        assert (await store.items.revision(good.id)).state is RevisionState.RELEASED

    async def test_altered_bytes_are_held(self, store: Store) -> None:
        from sqlalchemy import text

        made = await approved(store, "item-1", "fine")
        damage = "UPDATE revisions SET content = CAST(replace(content, 'fine', 'fake') AS BLOB)"
        await store._db.write(lambda c: c.execute(text(damage)) and None)
        await releaser(store).step()
        assert (await store.items.revision(made.id)).state is RevisionState.HELD
        assert await store.deliveries.of_item("item-1") == []

    async def test_what_expired_before_it_left_never_leaves(self, store: Store) -> None:
        made = await approved(store, "item-1", "fine", expires_at=now() - 1)
        await releaser(store).step()
        assert (await store.items.revision(made.id)).state is RevisionState.WITHDRAWN
        assert await store.deliveries.of_item("item-1") == []

    async def test_it_waits_no_longer_than_the_next_one(self, store: Store) -> None:
        moment = now()
        await approved(store, "item-1", "fine", not_before=moment + 2_000_000)
        gate, routes = Gate(Checks(), lambda: date(2026, 1, 1)), Routes(("site", "hook"), {})
        assert 1 < await Releaser(store, gate, routes, lambda: moment).step() <= 2
        assert await store.deliveries.of_item("item-1") == []


    async def test_no_clock_that_ran_ahead_breaks_an_embargo(self, store: Store) -> None:
        made = await approved(store, "item-1", "fine", not_before=now() + 3_600_000_000)
        gate, routes = Gate(Checks(), lambda: date(2026, 1, 1)), Routes(("site", "hook"), {})
        ahead = now() + 7_200_000_000
        assert await Releaser(store, gate, routes, lambda: ahead, reached=now).step() == release_module.IDLE_SECONDS
        assert (await store.items.revision(made.id)).state is RevisionState.APPROVED
        await Releaser(store, gate, routes, lambda: ahead).step()
        assert (await store.items.revision(made.id)).state is RevisionState.RELEASED


async def test_timed_work_outlives_a_failure_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    ran: list[str] = []

    async def job() -> None:
        ran.append("x")
        raise ValueError("boom")

    schedule = Schedule()
    schedule.every(1, "job", job)
    schedule.start()
    async with asyncio.timeout(60):
        while len(ran) < 2:
            await asyncio.sleep(0.05)
    schedule.stop()
    schedule.stop()
    await asyncio.sleep(0.1)  # one that had begun
    seen = len(ran)
    await asyncio.sleep(1.2)
    assert len(ran) == seen
    assert "timed work failed" in caplog.text
    assert "not running" not in caplog.text
