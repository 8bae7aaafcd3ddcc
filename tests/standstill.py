"""How long this machine has stood still: a bound on what a system does in time has room for that, and for no more."""

from __future__ import annotations

import threading
import time

TICK_SECONDS = 0.05


class Standstill:
    """`seconds` that a thread which only sleeps was kept from going on."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="standstill", daemon=True)

    def __enter__(self) -> Standstill:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            began = time.monotonic()
            if self._over.wait(TICK_SECONDS):
                return
            late = time.monotonic() - began - TICK_SECONDS
            self.seconds += late if late > TICK_SECONDS else 0.0
