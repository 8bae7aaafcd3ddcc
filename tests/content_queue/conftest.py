"""The store's own fixtures: a desk over both databases."""

from __future__ import annotations

import pytest
from queue_trade import Trade, TurnableClock

from content_queue.store import Store


@pytest.fixture
def trade(store: Store, clock: TurnableClock) -> Trade:
    return Trade(store, clock)
