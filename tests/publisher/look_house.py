"""Channels that can be looked at, made for tests, and a queue in which their deliveries come to grief."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from channels.contract import Capabilities, Channel, Idempotency, Post, Presence, Sighting
from channels.verdicts import Awaits, OutcomeUnknown, Receipt
from content_queue.model import Claimed, Delivery, NewRevision, Signoff
from content_queue.store import Store
from publisher.commands.replay import Replay, compare
from publisher.content import Content, Openness
from publisher.delivery import judge, must_start_first, send
from publisher.posts import Addresses, Posts
from publisher.reconcile import Reconciler

SECOND = 1_000_000
LEASE = 30 * SECOND
KEPT = Capabilities(Idempotency.NONE)
LIVE, ABSENT, REFUSED, UNKNOWN = Presence.LIVE, Presence.ABSENT, Presence.REFUSED, Presence.UNKNOWN


@dataclass
class Wall:
    """A platform that keeps repeats. `posts` is what readers see: remote id -> text. `answer` tells what becomes of a
    request: it is put up, and the answer is lost; or lost before; and so on."""

    account: str = "wall"
    capabilities: Capabilities = KEPT
    answer: Callable[[Wall, Post], Receipt] = field(default=lambda wall, post: wall.put(post))
    kind: ClassVar[str] = "wall"
    posts: dict[str, str] = field(default_factory=dict)
    requests: list[Post] = field(default_factory=list)

    def put(self, post: Post, awaits: Awaits = Awaits.NOTHING) -> Receipt:
        name = f"w{len(self.requests)}"
        self.posts[name] = post.key
        return Receipt(name, f"https://wall.example/{name}", awaits)

    async def publish(self, post: Post) -> Receipt:
        self.requests.append(post)
        return self.answer(self, post)


class SeenWall(Wall):
    """Can be looked at, edited and taken down. `looks` are what the next looks show instead of the truth."""

    def __init__(self, **facts: Any) -> None:
        super().__init__(**facts)
        self.looks: list[Sighting | Exception] = []
        self.looked: list[Receipt | None] = []
        self.during: Callable[[], Any] | None = None

    async def confirm(self, post: Post, receipt: Receipt | None) -> Sighting:
        self.looked.append(receipt)
        if self.during is not None:
            await self.during()
        if self.looks:
            shown = self.looks.pop(0)
            if isinstance(shown, Exception):
                raise shown
            return shown
        if post.operation == "recall":
            there = post.remote is not None and post.remote.remote_id in self.posts
            return Sighting(LIVE if there else ABSENT)
        name = next((n for n, key in self.posts.items() if key == post.key), None)
        return Sighting(LIVE, Receipt(name, f"https://wall.example/{name}")) if name else Sighting(ABSENT)

    async def recall(self, post: Post) -> Receipt:
        self.requests.append(post)
        if post.remote is not None:
            self.posts.pop(post.remote.remote_id, None)
        return Receipt(post.remote.remote_id if post.remote else "")

    async def follow_up(self, post: Post) -> Receipt:
        self.requests.append(post)
        return self.put(post)


def lost(put: bool) -> Callable[[Wall, Post], Receipt]:
    """The answer is lost, after the post was put up or before."""

    def answer(wall: Wall, post: Post) -> Receipt:
        if put:
            wall.put(post)
        raise OutcomeUnknown("broken_answer")

    return answer


async def log_tells_the_same(store: Store) -> None:
    """What auditors replay is what the tables say, and the books balance."""
    replay = Replay()
    for entry in sorted(await store.log.recent(limit=100_000), key=lambda e: e.id):
        replay.feed(entry.kind, entry.item_id, entry.delivery_id, entry.body)
    assert list(compare(replay.told, await store.deliveries.listing(limit=100_000))) == []
    assert (await store.deliveries.books()).balanced


@dataclass
class Queue:
    """A worker's work, one step at a time, under a clock that tests turn."""

    store: Store
    clock: Any
    channels: Mapping[str, Channel]
    seen: list[tuple[str, str, float | None]] = field(default_factory=list)
    claims: int = 0

    def __post_init__(self) -> None:
        self.posts = Posts(self.store.items.revision, Addresses("https://example.org"), lambda slug: slug)
        self.reconciler = self.another()

    def another(self) -> Reconciler:
        return Reconciler(
            self.store,
            self.channels,
            self.posts,
            self.clock,
            chance=lambda: 0.0,
            observe=lambda *facts: self.seen.append(facts),
        )

    async def approved(self, item: str, words: str = "x", **facts: Any) -> int:
        content = Content(
            title=f"Notice {item}",
            body_html=f"<p>{words}</p>",
            body_text=words,
            column="notices",
            content_type="notice",
            issuing_body="Office",
            drafting_unit="Unit",
            openness=Openness.PROACTIVE,
        )
        raw = content.canonical()
        digest = hashlib.sha256(raw).hexdigest()
        more: dict[str, Any] = {"not_before": None, "expires_at": None, "report": {}, "blocked": False, "note": words}
        new = NewRevision(item, raw, digest, content.title, "notices", "an", b"source", "markdown", **more)
        revision = await self.store.items.submit(new, now=self.clock(), actor="an", **facts)
        sign = Signoff(revision.id, "final", "bo", digest, self.clock())
        await self.store.items.sign(sign, stages=["final"], actor="bo")
        return revision.id

    async def release(self, revision: int, *names: str, **facts: Any) -> dict[str, int]:
        return await self.store.deliveries.release(
            revision, names or tuple(self.channels), now=self.clock(), actor="system", **facts
        )

    async def publish(self, item: str, *names: str, **facts: Any) -> dict[str, int]:
        return await self.release(await self.approved(item, **facts), *names)

    async def correct(self, item: str, words: str) -> dict[str, int]:
        return await self.publish(item, words=words, correction=True)

    async def withdraw(self, item: str, reason: str = "error") -> dict[str, int]:
        return await self.store.deliveries.withdraw(item, reason=reason, note="n", now=self.clock(), actor="op")

    async def claim(self, name: str = "wall", room: int = 10) -> list[Claimed]:
        self.claims += 1
        token, now = f"token-{self.claims}", self.clock()
        return await self.store.deliveries.claim({name: room}, token=token, worker="w1", now=now, lease=now + LEASE)

    async def attempt(self, claimed: Claimed) -> Delivery:
        """Start, send, judge, record: as the worker does it."""
        channel = self.channels[claimed.channel]
        if must_start_first(channel.capabilities, claimed.operation):
            assert await self.store.deliveries.start([claimed], now=self.clock())
        answer = await send(channel, await self.posts.of(claimed), claimed)
        facts = {"now": self.clock(), "chance": lambda: 0.0, "evidence": {"ms": 1.0}}
        judged = judge(claimed, answer, channel.capabilities, **facts)
        await self.store.deliveries.record([judged.outcome], holds={}, now=self.clock())
        return await self.store.deliveries.get(claimed.id)

    async def work(self, name: str = "wall") -> list[Delivery]:
        return [await self.attempt(c) for c in await self.claim(name)]

    async def get(self, number: int) -> Delivery:
        return await self.store.deliveries.get(number)

    async def remaining(self) -> list[Delivery]:
        return [t.delivery for t in await self.store.remaining.listing(now=self.clock())]

    async def look(self, seconds: float = 0) -> None:
        """Turns the clock to what is due within `seconds`, look by look."""
        end = self.clock() + int(seconds * SECOND)
        while (at := await self.store.looks.next_due(list(self.channels))) is not None and at <= end:
            self.clock.at = max(at, self.clock.at)
            await self.reconciler.step()
        self.clock.at = max(end, self.clock.at)
