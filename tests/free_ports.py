"""Ports for programs that are told theirs. Each test process has its own, so that none is given what another is about
to bind; they lie below those that connections out are given (from 32768 on Linux)."""

from __future__ import annotations

import contextlib
import os
import random
import socket

LOWEST, SLICE, SLICES = 10_000, 2_000, 10  # processes beyond the tenth share
STAND_INS, BESIDE = 400, 1_000  # of a slice: what a rehearsal may take for its pages, and so far above for brokers
_given: set[int] = set()


def _first() -> int:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return LOWEST + worker % SLICES * SLICE


def free_port() -> int:
    """Each one once in this process."""
    for port in random.sample(range(_first() + STAND_INS, _first() + BESIDE), BESIDE - STAND_INS):
        if port not in _given and _bindable(port):
            _given.add(port)
            return port
    raise AssertionError("no port is free")


def first_of_stand_ins() -> int:
    """Where a rehearsal of a hundred accounts may begin."""
    return _first() + random.randrange(STAND_INS - 100)


def _bindable(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False
