"""Migrations give exactly the schema of `tables.py`, once, whoever runs them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from queue_trade import Trade
from sqlalchemy import CheckConstraint, Connection, create_engine, inspect, text

from content_queue.store import Store
from content_queue.tables import metadata

# SQLAlchemy cannot reflect SQLite's index over an expression; `indexes` below compares it letter by letter.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Skipped unsupported reflection"),
    pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified"),
]

MIGRATE = """
import asyncio, sys
from content_queue.store import Store
async def main():
    store = Store(sys.argv[1])
    await store.migrate(now=0)
    await store.close()
asyncio.run(main())
"""


def differences(connection: Connection) -> list[object]:

    def compared(_thing: Any, name: str | None, *_rest: Any) -> bool:
        return not (connection.dialect.name == "sqlite" and name == "ix_log_entries_order")  # PostgreSQL only

    defaults = connection.dialect.name != "sqlite"  # there Alembic takes '' for a difference; see `columns`
    opts = {"compare_type": True, "compare_server_default": defaults, "include_object": compared}
    context = MigrationContext.configure(connection, opts=opts)
    return list(compare_metadata(context, metadata))


def checks(connection: Connection) -> dict[str, set[str]]:
    """Alembic does not compare CHECK constraints: their names, by table."""
    look = inspect(connection)
    found = {t: {str(c["name"]) for c in look.get_check_constraints(t)} for t in metadata.tables}
    return {t: names for t, names in found.items() if names}


def wanted_checks() -> dict[str, set[str]]:
    found = {
        name: {str(c.name) for c in table.constraints if isinstance(c, CheckConstraint)}
        for name, table in metadata.tables.items()
    }
    return {t: {n if n.startswith("ck_") else f"ck_{t}_{n}" for n in names} for t, names in found.items() if names}


async def test_they_give_exactly_the_tables(store: Store) -> None:
    assert await store._db.write(differences) == []
    assert await store._db.write(checks) == wanted_checks()


def indexes(connection: Connection) -> set[str]:
    found = connection.execute(text("SELECT sql FROM sqlite_master WHERE type = 'index' AND name LIKE 'ix%'"))
    return {" ".join(row[0].split()) for row in found}


def columns(connection: Connection) -> dict[str, list[tuple[object, ...]]]:
    """Name, type, NOT NULL, default and key of every column, in order."""
    return {
        table: sorted(tuple(row)[1:] for row in connection.execute(text(f"PRAGMA table_info({table})")))
        for table in metadata.tables
    }


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # PostgreSQL's comparison sees every index
async def test_they_give_exactly_the_columns_and_indexes(store: Store) -> None:
    """As the tables themselves would make them, defaults, WHERE and all."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        metadata.create_all(connection)
        wanted = indexes(connection), columns(connection)
    assert (await store._db.read(indexes), await store._db.read(columns)) == wanted


async def test_running_them_again_keeps_everything(trade: Trade) -> None:
    await trade.out("item-1", "site")
    await trade.store.migrate(now=0)
    assert (await trade.store.deliveries.books()).accepted == 1
    assert await trade.store._db.write(differences) == []


async def test_two_processes_may_start_at_once(database_url: str) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", MIGRATE, database_url], stderr=subprocess.PIPE) for _ in range(3)
    ]
    errors = await asyncio.gather(*(asyncio.to_thread(p.communicate) for p in started))
    assert [p.returncode for p in started] == [0, 0, 0], errors
    store = Store(database_url)
    try:
        versions = await store._db.read(lambda c: c.execute(text("SELECT count(*) FROM alembic_version")).scalar())
        assert versions == 1
        assert await store._db.write(differences) == []
    finally:
        await store.close()


def _first_version(connection: Connection) -> None:
    """The tables as the first version made them, with a delivery in doubt and one that was accepted."""
    from alembic.migration import MigrationContext as Context
    from alembic.operations import Operations

    context = Context.configure(connection)
    first = import_module("content_queue.migrations.versions.0001_first")
    with Operations.context(context):
        first.upgrade()
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version VALUES ('0001')"))
    connection.execute(text("INSERT INTO items (id, created_at) VALUES ('item-1', 1)"))
    connection.execute(
        text(
            "INSERT INTO revisions (item_id, number, state, content, content_hash, title, column_slug, drafter,"
            " submitter, source, source_format, created_at, report, note) VALUES"
            " ('item-1', 1, 'released', :raw, 'h', 't', 'c', 'd', 's', :raw, 'markdown', 1, '{}', '')"
        ),
        {"raw": b"{}"},
    )
    for channel, state in (("robot", "in_doubt"), ("hook", "sent")):
        connection.execute(
            text(
                "INSERT INTO deliveries (item_id, revision_id, revision, channel, column_slug, operation, state,"
                " due_at, created_at, updated_at, key_since) VALUES"
                " ('item-1', 1, 1, :channel, 'c', 'publish', :state, 1, 1, 500, 1)"
            ),
            {"channel": channel, "state": state},
        )


async def test_an_older_database_is_brought_up_to_date_with_what_is_in_it(database_url: str) -> None:
    store = Store(database_url)
    try:
        await store._db.write(_first_version)
        await store.migrate(now=0)
        assert await store._db.write(differences) == []
        doubt, sent = sorted(await store.deliveries.of_item("item-1"), key=lambda d: d.id)
        assert (doubt.look_at, doubt.unsettled_since, doubt.deadline_at) == (500, 500, 500 + 1_800_000_000)
        assert (sent.look_at, sent.deadline_at) == (None, None)
    finally:
        await store.close()
