"""An older database is put in the place of a newer one: nothing is sent on its own, and what may be out is listed."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from look_house import KEPT, Queue, SeenWall, Wall, log_tells_the_same
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from channels.contract import Capabilities, Idempotency, Post
from channels.verdicts import Receipt
from content_queue.audit_log import Verified, verify
from content_queue.states import DeliveryState
from content_queue.store import Store
from publisher.delivery import may_send, resendable
from publisher.health import Health
from publisher.witness import Watch, WitnessUnreadable, read

S = DeliveryState
ORIGIN = "test.example/log"


class Keyed(Wall):
    """Drops a key it knows; nothing is shown twice."""

    def put_once(self, post: Post) -> Receipt:
        for name, key in self.posts.items():
            if key == post.key:
                return Receipt(name)
        return self.put(post)


class Backups:
    """Copies of a database as an administrator makes and restores them."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.sqlite = url.startswith("sqlite")

    def make(self) -> None:
        if self.sqlite:
            live, copy = (sqlite3.connect(p) for p in (self.url.removeprefix("sqlite:///"), self.folder / "backup.db"))
            with contextlib.closing(live), contextlib.closing(copy):
                live.backup(copy)
            return
        self._copy(self._name, f"{self._name}_b")

    def restore(self) -> None:
        """Nothing may be connected."""
        if self.sqlite:
            path = Path(self.url.removeprefix("sqlite:///"))
            for old in path.parent.glob(path.name + "*"):
                old.unlink()
            shutil.copyfile(self.folder / "backup.db", path)
            return
        self._copy(f"{self._name}_b", self._name)

    @property
    def _name(self) -> str:
        return str(self._parsed.database)

    @property
    def _parsed(self) -> Any:
        from sqlalchemy.engine import make_url

        return make_url(self.url)

    def _copy(self, source: str, target: str) -> None:
        address = self._parsed.set(database="postgres").render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{target}" WITH (FORCE)')
            end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            connection.execute(end, [source])
            connection.execute(f'CREATE DATABASE "{target}" TEMPLATE "{source}"')

    def clear(self) -> None:
        if not self.sqlite:
            address = self._parsed.set(database="postgres").render_as_string(hide_password=False)
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute(f'DROP DATABASE IF EXISTS "{self._name}_b" WITH (FORCE)')


class House:
    """A queue with four channels, its witness, and a disaster."""

    def __init__(self, url: str, key: Ed25519PrivateKey, clock: Any, folder: Path) -> None:
        self.url, self.key, self.clock, self.folder = url, key, clock, folder
        self.backups = Backups(url, folder)
        self.wall, self.blind = SeenWall(), Wall(account="blind")
        keyed = Capabilities(Idempotency.KEYED, key_lifetime=3600.0)
        self.keyed = Keyed(account="keyed", capabilities=keyed, answer=lambda wall, post: wall.put_once(post))  # type: ignore[attr-defined]
        self.channels = {"wall": self.wall, "blind": self.blind, "keyed": self.keyed}
        self.dropped = frozenset((n, o) for n, c in self.channels.items() for o in resendable(c.capabilities))

    async def open(self) -> None:
        self.store = Store(self.url, origin=ORIGIN, key=self.key)
        await self.store.migrate(now=self.clock())
        self.queue = Queue(self.store, self.clock, self.channels)
        self.watch = Watch(self.store, self.folder / "witness.json", self.dropped, self.clock)

    async def seal(self) -> None:
        while await self.store.log.seal(now=self.clock()):
            pass
        await self.watch.check()

    async def work(self) -> None:
        for name in self.channels:
            await self.queue.work(name)

    async def back_up(self) -> None:
        await self.seal()
        await self.store.close()
        self.backups.make()
        await self.open()

    async def restore(self) -> None:
        await self.store.close()
        self.backups.restore()
        self.clock.turn(60)
        await self.open()

    @property
    def requests(self) -> int:
        return sum(len(c.requests) for c in self.channels.values())

    async def start_again(self) -> None:
        await self.store.channels.start_again("all", actor="op", now=self.clock())


@pytest.fixture
async def house(
    database_url: str, log_key: Ed25519PrivateKey, clock: Any, tmp_path: Path
) -> AsyncIterator[House]:
    made = House(database_url, log_key, clock, tmp_path)
    await made.open()
    yield made
    await log_tells_the_same(made.store)
    await made.store.close()
    made.backups.clear()


async def disaster(house: House) -> dict[str, int]:
    """Backed up while three deliveries wait; then they go out and more is published; then the backup is restored."""
    waiting = await house.queue.publish("item-1")
    await house.back_up()
    house.clock.turn(10)
    await house.work()
    await house.queue.publish("item-2")
    await house.work()
    await house.seal()
    assert house.requests == 6
    await house.restore()
    return waiting


async def test_nothing_leaves_before_an_operator_has_looked(house: House) -> None:
    waiting = await disaster(house)
    assert await house.watch.check()
    await house.work()
    await house.queue.look(7200)
    assert (house.requests, house.wall.looked) == (6, [])
    states = {name: (await house.queue.get(n)).state for name, n in waiting.items()}
    assert states == {"wall": S.IN_DOUBT, "blind": S.IN_DOUBT, "keyed": S.WAITING}
    readiness = await Health(house.store, (), house.clock, oldest_due_seconds=120).readiness()
    assert "restored" in dict(readiness.problems)


async def test_what_may_be_out_is_listed_and_how_much_is_unknown(house: House) -> None:
    waiting = await disaster(house)
    witnessed = max(w.size for w in read(house.folder / "witness.json").values())
    await house.watch.check()
    found = await house.store.restores.suspects()
    assert {d.id for d in found.doubtful} == {waiting["wall"], waiting["blind"]}
    assert {d.id for d in found.repeated} == {waiting["keyed"]}
    assert (found.standing, found.missing > 0, found.missing < witnessed) == (True, True, True)
    (entry,) = await house.store.log.recent(kind="restored")
    assert str(waiting["wall"]) in entry.body


async def test_after_the_start_nothing_is_doubled(house: House) -> None:
    waiting = await disaster(house)
    await house.watch.check()
    await house.start_again()
    await house.work()
    await house.queue.look(600)
    await house.work()
    assert len(house.wall.posts) == 2
    assert (len(house.keyed.posts), len(house.keyed.requests)) == (2, 3)  # the same key, dropped
    assert (await house.queue.get(waiting["wall"])).state is S.CONFIRMED
    assert [d.id for d in await house.queue.remaining()] == [waiting["blind"]]
    assert len(house.blind.posts) == 2
    assert await house.store.restores.standing() is None


async def test_it_is_found_once_and_the_log_goes_on_whole(house: House, log_key: Ed25519PrivateKey) -> None:
    await disaster(house)
    assert [await house.watch.check() for _ in range(3)] == [True, False, False]
    await house.start_again()
    await house.queue.publish("item-3")
    await house.work()
    await house.seal()
    assert not await house.watch.check()
    found = await house.store.log.read_all(lambda entries, batches: verify(entries, batches, log_key.public_key()))
    assert isinstance(found, Verified)
    assert found.checkpoint is not None
    assert found.checkpoint.epoch >= 2
    assert {w.epoch for w in read(house.folder / "witness.json").values()} == {found.checkpoint.epoch}


async def test_the_same_backup_restored_again_is_found_again(house: House) -> None:
    await disaster(house)
    await house.watch.check()
    await house.restore()
    assert await house.watch.check()
    await house.start_again()
    await house.seal()
    await house.restore()
    assert await house.watch.check()


async def test_a_log_that_grew_differently_is_found_though_it_is_longer(house: House) -> None:
    await disaster(house)
    for n in range(10, 16):
        await house.queue.publish(f"item-{n}")
    while await house.store.log.seal(now=house.clock()):
        pass
    assert await house.watch.check()


async def test_no_backup_no_alarm(house: House) -> None:
    for n in range(1, 4):
        await house.queue.publish(f"item-{n}")
        await house.work()
        await house.seal()
        await house.store.close()
        await house.open()
        assert not await house.watch.check()
    assert await house.store.restores.standing() is None
    assert (await house.store.restores.suspects()).since is None


async def test_another_database_beside_the_witness_is_no_older_one(
    house: House, tmp_path: Path, log_key: Ed25519PrivateKey
) -> None:
    await disaster(house)
    other = Store(f"sqlite:///{tmp_path / 'other.db'}", origin=ORIGIN, key=log_key)
    await other.migrate(now=0)
    q = Queue(other, house.clock, house.channels)
    await q.publish("item-9")
    await other.log.seal(now=1)
    assert not await Watch(other, house.folder / "witness.json", frozenset(), house.clock).check()
    await other.close()
    assert len(read(house.folder / "witness.json")) == 2
    assert await house.watch.check()


async def test_a_damaged_witness_is_no_permission(house: House) -> None:
    (house.folder / "witness.json").write_text("{")
    with pytest.raises(WitnessUnreadable):
        await house.watch.check()


class TestUnreleased:
    """Items that were in the backup, but not released in it."""

    async def lived_through(self, house: House) -> int:
        revision = await house.queue.approved("item-1")
        await house.back_up()
        house.clock.turn(10)
        await house.queue.release(revision)
        await house.work()
        await house.seal()
        await house.restore()
        await house.watch.check()
        return revision

    async def test_they_are_listed(self, house: House) -> None:
        await self.lived_through(house)
        assert [r.item_id for r in (await house.store.restores.suspects()).unreleased] == ["item-1"]

    async def test_released_again_they_are_in_doubt(self, house: House) -> None:
        revision = await self.lived_through(house)
        made = await house.queue.release(revision, dropped=house.dropped)
        await house.start_again()
        await house.work()
        await house.queue.look(600)
        await house.work()
        assert [len(c.posts) for c in house.channels.values()] == [1, 1, 1]
        assert (await house.queue.get(made["wall"])).state is S.CONFIRMED
        assert [d.id for d in await house.queue.remaining()] == [made["blind"]]

    async def test_released_after_the_start_as_well(self, house: House) -> None:
        revision = await self.lived_through(house)
        await house.start_again()
        await house.queue.release(revision, dropped=house.dropped)
        await house.work()
        await house.queue.look(600)
        await house.work()
        assert [len(c.posts) for c in house.channels.values()] == [1, 1, 1]

    async def test_a_newer_revision_of_one_waits_for_a_person(self, house: House) -> None:
        """Looking for the new text would prove nothing of the old one."""
        await self.lived_through(house)
        await house.start_again()
        house.clock.turn(1)
        made = await house.queue.release(
            await house.queue.approved("item-1", "better", correction=True), dropped=house.dropped
        )
        await house.work()
        await house.queue.look(600)
        assert (len(house.wall.posts), house.wall.looked) == (1, [])
        assert {d.id for d in await house.queue.remaining()} == set(made.values())
        assert {d.reason for d in await house.queue.remaining()} == {"restored_older"}

    async def test_new_items_go_out_as_ever(self, house: House) -> None:
        await self.lived_through(house)
        await house.start_again()
        house.clock.turn(1)
        made = await house.queue.release(await house.queue.approved("item-7"), dropped=house.dropped)
        await house.work()
        assert {(await house.queue.get(n)).state for n in made.values()} == {S.SENT}


async def test_an_edit_that_waited_behind_another_goes_in_doubt_when_its_turn_comes(house: House) -> None:
    await house.queue.publish("item-1", "wall")
    (claimed,) = await house.queue.claim("wall")
    await house.store.deliveries.start([claimed], now=house.clock())
    edit = (await house.queue.correct("item-1", "better"))["wall"]
    await house.back_up()
    house.clock.turn(10)
    await house.queue.publish("item-2", "wall")
    await house.work()
    await house.seal()
    await house.restore()
    house.wall.put(await house.queue.posts.of(claimed))  # both were carried out before the disaster
    assert await house.watch.check()
    assert (await house.queue.get(claimed.id)).state is S.IN_DOUBT
    await house.start_again()
    sent = len(house.wall.requests)
    await house.queue.look(10)
    assert (await house.queue.get(claimed.id)).state is S.CONFIRMED
    after = await house.queue.get(edit)
    assert (after.state, after.reason) == (S.IN_DOUBT, "restored")
    assert len(house.wall.requests) == sent


async def test_a_key_that_died_in_the_meantime_is_not_used(house: House) -> None:
    waiting = await disaster(house)
    await house.watch.check()
    await house.start_again()
    house.clock.turn(3600)
    (claimed,) = await house.queue.claim("keyed")
    assert claimed.id == waiting["keyed"]
    assert may_send(claimed, house.keyed.capabilities, house.clock()) is not None


FORBIDDEN: dict[str, Callable[[int], str]] = {
    "waiting again": lambda n: f"UPDATE deliveries SET state = 'waiting' WHERE id = {n}",
    "in doubt": lambda n: f"UPDATE deliveries SET state = 'in_doubt' WHERE id = {n}",
    "under another name": lambda n: f"UPDATE deliveries SET operation = 'edit' WHERE id = {n}",
    "made anew": lambda n: f"DELETE FROM deliveries WHERE id = {n}",
    "twice": lambda n: (
        "INSERT INTO deliveries (item_id, revision_id, revision, channel, column_slug, operation, state, due_at,"
        " created_at, updated_at, key_since) SELECT item_id, revision_id, revision, channel, column_slug, operation,"
        f" 'waiting', 0, 0, 0, 0 FROM deliveries WHERE id = {n}"
    ),
}


@pytest.mark.parametrize("how", FORBIDDEN)
@pytest.mark.parametrize("confirmed", [False, True])
async def test_the_database_itself_forbids_a_second_sending(
    store: Store, clock: Any, how: str, confirmed: bool
) -> None:
    wall = SeenWall(capabilities=KEPT)
    q = Queue(store, clock, {"wall": wall})
    number = (await q.publish("item-1"))["wall"]
    await q.work()
    if confirmed:
        await store._db.write(
            lambda c: c.execute(text(f"UPDATE deliveries SET state = 'confirmed' WHERE id = {number}")) and None
        )
    with pytest.raises(DBAPIError):
        await store._db.write(lambda c: c.execute(text(FORBIDDEN[how](number))) and None)
    assert (await q.get(number)).state is (S.CONFIRMED if confirmed else S.SENT)
