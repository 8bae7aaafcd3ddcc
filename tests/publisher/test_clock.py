"""The queue's clock: no hand on the wall clock moves it, and it goes on where the database is."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from content_queue.store import Process, Store
from publisher import clock as clocks
from publisher.clock import FURTHEST, SECOND, QueueClock
from publisher.health import Health
from publisher.metrics import Metrics

HOUR = 3600 * SECOND
START = 1_767_225_600 * SECOND


@dataclass
class Machine:
    """A wall clock that can be set, and time that passes."""

    at: int = START
    gone: int = 7 * HOUR

    def wall(self) -> int:
        return self.at

    def passing(self) -> int:
        return self.gone

    def pass_by(self, seconds: float) -> None:
        self.at += int(seconds * SECOND)
        self.gone += int(seconds * SECOND)

    def clock(self) -> QueueClock:
        return QueueClock(self.wall, self.passing)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.mark.parametrize("turned", [-HOUR, HOUR, -365 * 24 * HOUR])
def test_setting_the_wall_clock_changes_nothing(machine: Machine, turned: int) -> None:
    clock = machine.clock()
    assert clock() == START
    machine.at += turned
    assert clock() == START
    machine.pass_by(30)
    assert clock() == START + 30 * SECOND
    assert clocks.differs(clock, machine.wall) == -turned / SECOND


def test_it_begins_where_the_database_is(machine: Machine) -> None:
    machine.at -= HOUR
    clock = machine.clock()
    clock.never_before(START)
    assert clock() == START
    machine.pass_by(5)
    assert clock() == START + 5 * SECOND


def test_an_older_database_does_not_hold_it_back(machine: Machine) -> None:
    clock = machine.clock()
    clock.never_before(START - HOUR)
    assert clock() == START


def test_a_time_too_far_ahead_is_not_believed(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    clock = machine.clock()
    with caplog.at_level(logging.ERROR):
        clock.never_before(START + FURTHEST + 1)
    assert clock() == START
    assert "too far ahead" in caplog.text
    clock.never_before(START + FURTHEST)
    assert clock() == START + FURTHEST


def test_the_machine_s_own_time_passes() -> None:
    clock = QueueClock()
    first = clock()
    while clock() == first:
        pass
    assert clock() > first
    assert abs(clock() - clocks.now()) < 5 * SECOND


async def test_the_newest_moment_is_of_an_entry_or_of_a_sign_of_life(store: Store) -> None:
    assert await store.newest() == 0
    await store.channels.pause("hook", reason="x", actor="an", now=START)
    assert await store.newest() == START
    await store.access.seen(Process("p", ("worker",), START, START + 9), forget_before=0)
    assert await store.newest() == START + 9


class TestTold:
    @pytest.fixture
    async def health(self, machine: Machine, sqlite_url: str) -> Health:
        store = Store(sqlite_url, key=Ed25519PrivateKey.generate())
        await store.migrate(now=0)
        return Health(store, ("site",), machine.clock(), oldest_due_seconds=120, wall=machine.wall)

    async def codes(self, health: Health, machine: Machine, *, seen: int = 0) -> list[str]:
        await health._store.access.seen(Process("p", ("worker",), START, machine.at + seen), forget_before=0)
        return [code for code, _ in (await health.readiness()).problems]

    @pytest.mark.parametrize("turned", [-61, 61])
    async def test_a_minute_apart_is_told(self, health: Health, machine: Machine, turned: int) -> None:
        assert await self.codes(health, machine) == []
        machine.at += turned * SECOND
        assert await self.codes(health, machine, seen=-turned * SECOND) == ["clock_differs"]
        machine.at -= turned * SECOND
        assert await self.codes(health, machine) == []

    async def test_another_process_ahead_is_told(self, health: Health, machine: Machine) -> None:
        assert await self.codes(health, machine, seen=59 * SECOND) == []
        assert await self.codes(health, machine, seen=61 * SECOND) == ["clock_differs"]

    async def test_the_figure_is_a_metric(self, health: Health, machine: Machine) -> None:
        machine.at -= HOUR
        body, _ = await Metrics(health._store, health, health._clock).render()
        assert b"gongbao_clock_ahead_seconds 3600.0" in body
