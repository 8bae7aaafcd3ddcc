"""A furnished house for each journey."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from journey_house import House, furnished

from config.settings import ROLES


@pytest.fixture
async def house(sqlite_url: str, tmp_path: Path) -> AsyncIterator[House]:
    async with furnished(tmp_path, sqlite_url, ROLES) as made:
        yield made


@pytest.fixture
async def any_house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    async with furnished(tmp_path, database_url, ROLES) as made:
        yield made
