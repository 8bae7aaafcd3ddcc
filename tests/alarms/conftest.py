"""The trade of the store's own tests, over both databases."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "content_queue"))
sys.path.insert(0, str(Path(__file__).parents[1] / "journeys"))
from queue_trade import Trade, TurnableClock

from content_queue.store import Store


@pytest.fixture
def trade(store: Store, clock: TurnableClock) -> Trade:
    return Trade(store, clock)
