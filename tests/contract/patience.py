"""A transport for tests: no answer is late because this machine stood still."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp
from platform_double import told_to_be_silent

from channels.sandbox.stand_in import Misbehaviour, StandIn
from channels.transport import Transport

LONG_SECONDS, SHORT_SECONDS = 60.0, 1.0


class PatientTransport(Transport):
    """Gives up soon on a platform that was told not to answer, and on no other. `silent` says whether one was, beside
    the doubles that are open."""

    def __init__(self, silent: Callable[[], bool] = lambda: False, **facts: Any) -> None:
        usual: dict[str, Any] = {"user_agent": "test", "allow_networks": ("127.0.0.0/8",), "deadline": LONG_SECONDS}
        super().__init__(**usual | facts)
        self._silent = silent

    def _timeout(self, deadline: float | None) -> aiohttp.ClientTimeout:
        silent = self._silent() or told_to_be_silent()
        # Who is silent lets connect all the same: no deadline of its own for that, which a standstill could pass first.
        return aiohttp.ClientTimeout(total=SHORT_SECONDS) if silent else super()._timeout(LONG_SECONDS)


def hanging(stand_in: StandIn) -> Callable[[], bool]:
    return lambda: stand_in._ordered[Misbehaviour.HANG] > 0
