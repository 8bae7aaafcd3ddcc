"""Fixtures of the API: a running server over SQLite, and one over both databases."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from api_world import ORIGIN, World, open_world
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from content_queue.store import Store


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, made once and copied for each test."""
    path = tmp_path_factory.mktemp("empty") / "gongbao.db"

    async def make() -> None:
        store = Store(f"sqlite:///{path}")
        await store.migrate(now=0)
        await store.close()

    asyncio.run(make())
    return path


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands still for seconds is no database that does not answer."""
    monkeypatch.setattr("publisher.web.server.READY_SECONDS", 60.0)


@pytest.fixture
async def world(
    empty_database: Path, clock: Any, tmp_path: Path, log_key: Ed25519PrivateKey
) -> AsyncIterator[World]:
    shutil.copy(empty_database, tmp_path / "gongbao.db")
    store = Store(f"sqlite:///{tmp_path / 'gongbao.db'}", origin=ORIGIN, key=log_key)
    async for made in open_world(store, clock, tmp_path, log_key):
        yield made
    await store.close()


@pytest.fixture
async def either_world(
    store: Store, clock: Any, tmp_path: Path, log_key: Ed25519PrivateKey
) -> AsyncIterator[World]:
    async for made in open_world(store, clock, tmp_path, log_key):
        yield made
