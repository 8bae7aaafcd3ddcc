"""What a process of ours does to itself once, at its start."""

from __future__ import annotations

import gc

YOUNG = 50_000  # allocations before the collector looks; Python's own 700 costs a fifth of a busy worker's time
OLD = 50


def calm_collector() -> None:
    """Call when everything long-lived has been built: it is left out of every later collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, OLD, OLD)
