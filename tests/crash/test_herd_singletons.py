"""Work that one process does for all: when that process dies or freezes in the middle of it, another takes over within
ten seconds, and nothing is done twice."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from herd import LONG, herding, until

from content_queue.model import NewRevision, Signoff
from content_queue.states import RevisionState
from content_queue.store import Store
from publisher.clock import SECOND, now

pytestmark = [pytest.mark.crash, pytest.mark.xdist_group("herd")]

TAKEOVER_SECONDS = 10


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL] if LONG else [signal.SIGSTOP])
async def test_sealing_is_taken_over(postgres_url: str, tmp_path: Path, number: int) -> None:
    """Frozen, it holds the lock and an open transaction: the database ends that."""
    store = Store(postgres_url)
    try:
        await store.migrate(now=now())
        with herding(tmp_path, postgres_url) as flock:
            other = flock.bear("scheduler")
            other.send(signal.SIGSTOP)  # so that it is not first
            await store.channels.pause("alpha", reason="an entry to seal", actor="an", now=now())
            holder = flock.bear("scheduler", hold_seal=True, wait=False)
            assert "holding" in {holder.line(), holder.line()}  # the other line is its port
            holder.send(number)
            assert await store.log.checkpoint() is None
            other.send(signal.SIGCONT)

            async def sealed() -> bool:
                return await store.log.checkpoint() is not None

            took = await until(sealed, "the log sealed by the other", TAKEOVER_SECONDS)
            print(f"taken over after {took:.1f} s")
            if number == signal.SIGSTOP:
                holder.send(signal.SIGCONT)
                holder.send(signal.SIGUSR2)
                assert holder.end() == 0, holder.complaints.read_text("utf-8")[-3000:]
    finally:
        await store.close()


async def test_what_has_expired_is_withdrawn_once(postgres_url: str, tmp_path: Path) -> None:
    store = Store(postgres_url)
    try:
        await store.migrate(now=now())
        with herding(tmp_path, postgres_url) as flock:
            flock.bear_all("scheduler", "scheduler")
            for number in range(20):
                await _expiring(store, number)

            async def withdrawn() -> bool:
                return (await store.items.count()).get(RevisionState.WITHDRAWN) == 20

            await until(withdrawn, "all withdrawn")
            for member in flock.members:
                assert member.end() == 0
                assert "failed" not in member.complaints.read_text("utf-8")
        ends = Counter(e.item_id for e in await store.log.recent(limit=10_000) if e.kind == "withdrawn")
        assert len(ends) == 20
        assert set(ends.values()) == {1}
    finally:
        await store.close()


async def _expiring(store: Store, number: int) -> None:
    facts = {"not_before": None, "expires_at": now() + SECOND, "report": {}, "blocked": False}
    new = NewRevision(f"brief-{number}", b"{}", "h", "t", "notices", "an", source=b"", source_format="json", **facts)
    revision = await store.items.submit(new, now=now(), actor="an")
    await store.items.sign(Signoff(revision.id, "final", "bo", "h", now()), stages=("final",), actor="bo")
    await store.deliveries.release(revision.id, ("alpha",), now=now(), actor="system")
