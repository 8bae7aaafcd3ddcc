"""A whole service on a database put back to an earlier day: not one request leaves before a person allows it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
from journey_house import BASE, OPERATOR, Clock, House, Postbox, clean_log, configured, until

from config.settings import ROLES, Settings
from publisher.app import open_app
from publisher.service import Service


@contextlib.asynccontextmanager
async def lived(folder: Path, config: Path, box: Postbox) -> AsyncIterator[House]:
    """One life of the service on what lies in the folder."""
    settings = Settings(data_dir=folder, config_dir=config, base_url=BASE, port=0, allow_networks="127.0.0.1/32")
    clock = Clock()
    async with open_app(settings, clock=clock) as app, aiohttp.ClientSession() as session:
        service = Service(app, ROLES)
        await service.start()
        try:
            yield House(app, service, session, box, clock)
        finally:
            await service.stop()
        await clean_log(app)


async def test_nothing_leaves_until_an_operator_starts_again(tmp_path: Path) -> None:
    box = Postbox()
    await box.open()
    data, config = tmp_path / "var", configured(tmp_path / "config", box)
    try:
        async with lived(data, config, box) as house:
            await house.app.desk.stop("channel:hook", actor=OPERATOR, reason="keeps the event waiting for the backup")
            await house.publish("in-backup")
            await until(lambda: _sealed(house))
            _copy(data / "gongbao.db", tmp_path / "backup.db")
            await house.app.desk.start_again("channel:hook", actor=OPERATOR)
            await house.publish("after-backup")
            await house.done("in-backup", "after-backup")
        heard = {letter.told[1]: letter.headers["webhook-id"] for letter in box.letters}  # in whatever order
        assert len(box.letters) == len(set(heard.values())) == 2
        for old in data.glob("gongbao.db*"):
            old.unlink()
        shutil.copyfile(tmp_path / "backup.db", data / "gongbao.db")
        async with lived(data, config, box) as house:
            await house.app.desk.start_again("channel:hook", actor=OPERATOR)
            await asyncio.sleep(2)
            assert len(box.letters) == 2
            status, body = await house.get("/readyz")
            assert (status, "restored" in body.decode()) == (503, True)
            found = await house.app.store.restores.suspects()
            assert [d.channel for d in found.repeated] == ["hook"]
            assert found.missing > 0
            await house.app.desk.start_again("all", actor=OPERATOR)
            await house.done("in-backup")
            assert [x.headers["webhook-id"] for x in box.letters].count(heard["in-backup"]) == 2  # dropped by its id
            assert {x.headers["webhook-id"] for x in box.letters} == set(heard.values())
            assert "restored" not in (await house.get("/readyz"))[1].decode()
    finally:
        await box.close()


async def _sealed(house: House) -> bool:
    """Everything, and the site has it: there is nothing to repeat there."""
    site = await house.deliveries("in-backup", "site")
    return [d.state for d in site] == ["sent"] and await house.app.store.log.unsealed() == 0


def _copy(source: Path, target: Path) -> None:
    live, copy = sqlite3.connect(source), sqlite3.connect(target)
    with contextlib.closing(live), contextlib.closing(copy):
        live.backup(copy)
