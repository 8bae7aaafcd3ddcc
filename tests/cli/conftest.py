"""A data folder and a configuration of its own for every test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli_desk import Desk

import config


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk(tmp_path)
    made.config.mkdir()
    home = Path(config.__file__).parent
    for name in ("agency.toml", "people.toml", "channels.toml", "alarms.toml"):
        shutil.copy(home / name, made.config)
    for name in ("rules", "words"):
        shutil.copytree(home / name, made.config / name)
    for name in ("GONGBAO_DATABASE_URL", "GONGBAO_BASE_URL", "GONGBAO_LANG", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "en_GB.UTF-8")
    monkeypatch.setenv("GONGBAO_DATA_DIR", str(made.data))
    monkeypatch.setenv("GONGBAO_CONFIG_DIR", str(made.config))
    return made
