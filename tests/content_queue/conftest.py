"""The store's own fixtures: a desk over both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from queue_trade import Trade

from content_queue.store import Store


@pytest.fixture
def trade(store: Store, clock: Callable[[], int]) -> Trade:
    return Trade(store, clock)
