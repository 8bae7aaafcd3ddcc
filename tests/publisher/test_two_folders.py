"""Machines with data folders of their own and one database: who needs the log's key, and what happens without it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from config.settings import Settings
from content_queue.audit_log import parse_vkey
from publisher.app import open_app
from publisher.keys import SEED_FILE, KeyFileError, has_key, load_or_make
from publisher.service import Service

ALL = ("web", "worker", "scheduler")


class Machine:
    def __init__(self, folder: Path, url: str) -> None:
        self.settings = Settings(data_dir=folder, database_url=url)
        self.keys = folder / "keys"

    async def says(self, roles: Sequence[str]) -> str:
        """The public key that it gives to outsiders, after one entry was sealed if it can seal."""
        async with open_app(self.settings, roles=roles) as app:
            await app.store.channels.pause("site", reason="x", actor="an", now=app.clock())
            await app.store.channels.resume("site", actor="an", now=app.clock())
            await app.store.log.seal(now=app.clock())
            return app.log_vkey


@pytest.fixture
def here(tmp_path: Path, database_url: str) -> Machine:
    return Machine(tmp_path / "here", database_url)


@pytest.fixture
def there(tmp_path: Path, database_url: str) -> Machine:
    return Machine(tmp_path / "there", database_url)


async def test_the_first_makes_the_key_and_others_know_its_public_half(here: Machine, there: Machine) -> None:
    said = await here.says(ALL)
    assert has_key(here.keys)
    assert parse_vkey(said)[1].public_bytes_raw() == load_or_make(here.keys, "x").public_key().public_bytes_raw()
    assert await there.says(("web",)) == said
    assert await there.says(("worker",)) == said
    assert await there.says(()) == said
    assert not has_key(there.keys)


async def test_a_worker_that_comes_first_makes_none(here: Machine, there: Machine) -> None:
    assert await there.says(("worker",)) == ""
    assert not has_key(there.keys)
    assert await here.says(("scheduler",)) == await there.says(("worker",)) != ""


@pytest.mark.parametrize("other", [False, True])
async def test_a_scheduler_without_the_key_says_so_and_seals_nothing(
    here: Machine, there: Machine, other: bool
) -> None:
    await here.says(ALL)
    if other:
        load_or_make(there.keys, "x")
    with pytest.raises(KeyFileError, match="copy the file"):
        await there.says(("scheduler",))
    shutil.copytree(here.keys, there.keys, dirs_exist_ok=True)
    assert (there.keys / SEED_FILE).read_text() == (here.keys / SEED_FILE).read_text()
    assert await there.says(("scheduler",)) == await here.says(ALL)


async def test_a_key_that_did_not_sign_what_is_sealed_is_not_taken(here: Machine, there: Machine) -> None:
    """A database that was sealed before it was told whose key it is."""
    await here.says(ALL)
    async with open_app(here.settings, roles=ALL) as app:
        forget = "DELETE FROM meta WHERE key IN ('log_key_0', 'log_key_1')"
        await app.store._db.write(lambda c: c.exec_driver_sql(forget) and None)
    load_or_make(there.keys, "x")
    with pytest.raises(KeyFileError):
        await there.says(("scheduler",))
    said = await here.says(ALL)
    assert await there.says(("web",)) == said


async def test_a_worker_delivers_without_the_key(here: Machine, there: Machine) -> None:
    await here.says(ALL)
    async with open_app(there.settings, roles=("worker",)) as app:
        service = Service(app, ("worker",))
        await service.start()
        await service.stop()
    assert not has_key(there.keys)
