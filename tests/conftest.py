"""Fixtures that every folder shares: both databases, and a clock that tests can turn."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, settings
from pg_server import started

from content_queue.store import Store

ORIGIN = "test.example/log"

# Nothing here is timed: machines are shared.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("shared")


class TurnableClock:
    """Microseconds; moves only when told."""

    def __init__(self, at: int = 1_767_225_600_000_000) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at

    def turn(self, seconds: float) -> int:
        self.at += int(seconds * 1_000_000)
        return self.at


@pytest.fixture
def clock() -> TurnableClock:
    return TurnableClock()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A real PostgreSQL server, started once for the test process; the address of its maintenance database."""
    if address := os.environ.get("GONGBAO_TEST_POSTGRES"):
        yield address
        return
    with tempfile.TemporaryDirectory(prefix="gongbao-pg-") as folder:
        server = started(folder, cleanup_mode="delete")
        try:
            # Its transactions anywhere on the server hold back the sealing of a log, which tests count.
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET autovacuum = off")
                connection.execute("SELECT pg_reload_conf()")
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """An empty database of its own."""
    name = f"t{uuid.uuid4().hex[:16]}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    try:
        yield with_database(postgres, name)
    finally:
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def with_database(address: str, name: str) -> str:
    from sqlalchemy.engine import make_url

    return make_url(address).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'gongbao.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Both databases: every test that asks for this runs twice."""
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))


@pytest.fixture
def log_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
async def store(database_url: str, log_key: Ed25519PrivateKey) -> AsyncIterator[Store]:
    made = Store(database_url, origin=ORIGIN, key=log_key)
    await made.migrate(now=0)
    yield made
    await made.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tables that tests have recorded are shown whether they passed or not, also those of other processes."""
    reports = [r for found in terminalreporter.stats.values() for r in found if isinstance(r, pytest.TestReport)]
    tables = [str(v) for r in reports if r.when == "call" for k, v in r.user_properties if k == "matrix"]
    if tables:
        terminalreporter.section("fault matrix: state, live copies of the first revision + of the second (+ notices)")
        terminalreporter.write("\n\n".join(sorted(tables)) + "\n")
