"""No room on the disk: refused in words, nothing half stored, nothing in hand lost, and all goes on when there is room.

Three ways of being full: SQLite that may have no more pages, and, where a small file system may be mounted, SQLite and
PostgreSQL (a tablespace) on a disk that is really full.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

sys.path.insert(0, str(Path(__file__).parents[1] / "publisher"))
from test_worker import Channel, channel, come_to, make_worker, publish, running, until

from channels.contract import Post
from channels.verdicts import Receipt
from content_queue.audit_log import Verified, verify
from content_queue.model import NewRevision
from content_queue.states import DeliveryState
from content_queue.store import Process, Store, StoreFull
from content_queue.store.log import line
from publisher.clock import now
from publisher.commands.failures import Exit, as_failure
from publisher.health import Health
from publisher.web.api.faults import as_problem

pytestmark = [pytest.mark.crash, pytest.mark.xdist_group("herd")]

DISK_MB = 24
S = DeliveryState


@dataclass
class Disk:
    """`fill` takes all room, `make_room` gives it back."""

    url: str
    fill: Callable[[Store], None]
    make_room: Callable[[Store], None]


def _pages(store: Store, most: int | None) -> None:
    """On the connection that writes; None: as many as SQLite itself allows."""
    raw = store._db._write_engine.raw_connection()
    with contextlib.closing(raw.cursor()) as cursor:
        (now_used,) = cursor.execute("PRAGMA page_count").fetchone()
        cursor.execute(f"PRAGMA max_page_count = {now_used if most is None else most}")
    raw.close()


@contextlib.contextmanager
def mounted(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "gongbao-test", str(folder)]
    if subprocess.run(words, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def ballast(folder: Path) -> tuple[Callable[[Store], None], Callable[[Store], None]]:
    file = folder / "ballast"

    def fill(_store: Store) -> None:
        with file.open("ab", buffering=0) as out, contextlib.suppress(OSError):
            while True:
                out.write(b"x" * 4096)

    return fill, lambda _store: file.unlink()


@contextlib.contextmanager
def _tablespace(folder: Path, address: str) -> Iterator[str]:
    inner = folder / "space"
    inner.mkdir()
    with psycopg.connect(address, autocommit=True) as connection:
        (data,) = connection.execute("SHOW data_directory").fetchone() or ("",)
        owner = Path(str(data)).stat()
        subprocess.run(["chown", f"{owner.st_uid}:{owner.st_gid}", str(inner)], check=True)
        for above in (folder, folder.parent):
            above.chmod(0o711)
        connection.execute(f"CREATE TABLESPACE full_disk LOCATION '{inner}'")
        connection.execute("CREATE DATABASE full_disk TEMPLATE template0 TABLESPACE full_disk")
        try:
            yield address.replace("/postgres?", "/full_disk?")
        finally:
            connection.execute("DROP DATABASE full_disk WITH (FORCE)")
            connection.execute("DROP TABLESPACE full_disk")


@pytest.fixture(params=["pages", "sqlite", "postgresql"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    if request.param == "pages":
        url = f"sqlite:///{tmp_path / 'gongbao.db'}"
        yield Disk(url, lambda s: _pages(s, None), lambda s: _pages(s, 1_000_000))
        return
    # Not below tmp_path: any other run of the tests that begins shuts that to the user of PostgreSQL.
    with tempfile.TemporaryDirectory(prefix="gongbao-disk-") as outer, mounted(Path(outer) / "disk") as folder:
        if request.param == "sqlite":
            yield Disk(f"sqlite:///{folder / 'gongbao.db'}", *ballast(folder))
            return
        with _tablespace(folder, request.getfixturevalue("postgres")) as url:
            yield Disk(url, *ballast(folder))


KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
async def store(disk: Disk) -> AsyncIterator[Store]:
    made = Store(disk.url, key=KEY, origin="test.example/log")
    await made.migrate(now=0)
    yield made
    await made.close()


def paper(number: int, size: int) -> NewRevision:
    raw = json.dumps({"n": number, "text": hashlib.sha256(str(number).encode()).hexdigest() * (size // 64)}).encode()
    facts: dict[str, Any] = {"not_before": None, "expires_at": None, "report": {}, "blocked": False}
    return NewRevision(f"full-{number}", raw, "h", "t", "notices", "an", source=raw, source_format="json", **facts)


async def submit_until_full(store: Store, first: int) -> list[str]:
    """What was accepted. Ends when even the smallest is refused, so that no page has room."""
    kept, number = [], first
    for size in (400_000, 6_000, 64):
        while True:
            number += 1
            try:
                kept.append((await store.items.submit(paper(number, size), now=now(), actor="an")).item_id)
            except StoreFull:
                break
    with contextlib.suppress(StoreFull):
        while True:
            await store.log.append([line(now(), "filling", "an", ref="x")])
    return kept


async def test_what_is_refused_is_not_there_and_what_was_accepted_is(disk: Disk, store: Store) -> None:
    disk.fill(store)
    kept = await submit_until_full(store, 0)
    with pytest.raises(StoreFull):
        await store.items.submit(paper(999_999, 400_000), now=now(), actor="an")
    assert [i.id for i in await store.items.listing(limit=100_000)] == kept[::-1]
    disk.make_room(store)
    await store.items.submit(paper(1_000_000, 400_000), now=now(), actor="an")
    assert len(await store.items.listing(limit=100_000)) == len(kept) + 1
    while await store.log.seal(now=now()):
        pass
    found = await store.log.read_all(lambda entries, batches: verify(entries, batches, KEY.public_key()))
    assert isinstance(found, Verified)


async def test_a_receipt_in_hand_is_kept_until_there_is_room(disk: Disk, store: Store) -> None:
    answering = asyncio.Event()

    async def later(post: Post) -> Receipt:
        await answering.wait()
        return Receipt(post.item_id)

    ids = await publish(store, "a", "b", count=3)
    a, b = channel("a", later, keyed=False, parallel=4), channel("b", later, parallel=4)
    health = Health(store, ("a", "b"), now, oldest_due_seconds=3600)
    async with running(make_worker(store, a, b)):
        await until(lambda: _true(a.flying > 0 and b.flying > 0))
        disk.fill(store)
        await submit_until_full(store, 0)
        answering.set()
        await asyncio.sleep(0.3)
        assert not (await told(store, health)).ready
        disk.make_room(store)
        await come_to(store, S.SENT, ids)
        found = await told(store, health)
    assert found.ready, found.problems
    assert copies(a, b) == {1}
    assert (await store.deliveries.books()).balanced


async def told(store: Store, health: Health) -> Any:
    """As the service does: a sign of life, then the answer. A full disk is told as that and nothing else."""
    try:
        for number in range(200):  # one may still fit into a page that has room
            await store.access.seen(Process(f"p{number}", ("worker",), 0, now()), forget_before=0)
    except Exception as error:
        health.pulse.refused(error)
    else:
        health.pulse.wrote()
    found = await health.readiness()
    assert {code for code, _ in found.problems} <= {"disk_full", "no_worker"}, found.problems
    return found


def copies(*channels: Channel) -> set[int]:
    keys = [post.key for c in channels for _, post in c.got]
    return {keys.count(key) for key in keys}


async def _true(value: bool) -> bool:
    return value


@pytest.mark.parametrize("error", [StoreFull("full"), OSError(errno.ENOSPC, "No space left on device")])
def test_people_and_programs_are_told_in_both_languages(error: Exception) -> None:
    problem = as_problem(error)
    assert problem is not None
    assert (problem.status, problem.code) == (503, "disk_full")
    failure = as_failure(error)
    assert (failure.status, failure.code) == (Exit.INTERNAL, "disk_full")
    for text in (problem.message, problem.remedy, *failure.parts[0]):
        assert text is not None
        assert "磁盘" in text.zh
        assert text.en != text.zh
