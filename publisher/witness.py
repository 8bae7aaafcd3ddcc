"""The witness: a small file outside the database that remembers how far its log had come.

With it a restored older database is noticed before anything is sent a second time. It is written after the checkpoint
it tells of has been committed, and read before the database is: the database is never behind it, unless it was
replaced.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from content_queue.store import Store, Witness
from content_queue.store.doubting import Dropped
from publisher.clock import Clock

log = logging.getLogger(__name__)


class WitnessUnreadable(Exception):
    """The file is there and is no witness: nobody can say whether an older database was restored."""


class Watch:
    """`dropped` are (channel, operation) whose repeats the platform drops."""

    def __init__(self, store: Store, path: Path, dropped: Dropped, clock: Clock) -> None:
        self._store, self._path, self._dropped, self._clock = store, path, dropped, clock
        self._turn = asyncio.Lock()

    async def check(self) -> bool:
        """Compares, and remembers what is new. True when an older database was found just now; everything outward is
        stopped then. Raises `WitnessUnreadable`."""
        async with self._turn:
            known = await asyncio.to_thread(read, self._path)
            for witness in known.values():
                if await self._store.restores.older_than(witness):
                    return await self._found(witness)
            newest = await self._store.restores.newest(now=self._clock())
            if newest is not None and _is_news(known.get(newest.log), newest):
                await asyncio.to_thread(write, self._path, {**known, newest.log: newest})
            return False

    async def _found(self, witness: Witness) -> bool:
        now = self._clock()
        found = await self._store.restores.found(witness, self._dropped, now=now)
        if found:
            log.critical("an older database was restored: nothing is sent until an operator starts again")
        return found


def _is_news(kept: Witness | None, newest: Witness) -> bool:
    return kept is None or (kept.size, kept.root, kept.epoch) != (newest.size, newest.root, newest.epoch)


def read(path: Path) -> dict[str, Witness]:
    """By the name of the log. Empty when there is no file. Raises `WitnessUnreadable`."""
    try:
        told: Any = json.loads(path.read_text("utf-8"))
        return {name: Witness(**facts) for name, facts in told["logs"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise WitnessUnreadable(f"{path} cannot be read as a witness of the log; see docs/operating.md") from error


def write(path: Path, logs: Mapping[str, Witness]) -> None:
    """Aside, to the disk, then into its place: a power cut leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with aside.open("w", encoding="utf-8") as file:
            json.dump({"logs": {name: asdict(w) for name, w in logs.items()}}, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
