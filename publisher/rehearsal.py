"""Rehearsal: every account at its stand-in, in a data folder of its own. Nothing can reach a live platform.

Three things hold that: the accounts' keys are replaced by those of the stand-ins, so that no live address or secret is
left in them; the transport dials loopback alone; and an account whose kind has no stand-in and would use the network is
off.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from channels.sandbox import stand_ins
from channels.sandbox.serving import serving
from channels.sandbox.stand_in import StandIn

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
FIRST_PORT, PORTS_TRIED = 8200, 400
PORTS_FILE = "stand-ins.json"
# Kinds that send nothing anywhere.
AT_HOME = frozenset({"site", "manual", "canary"})
REPLACED = "rehearsal"  # in place of whatever else names a secret
_SECRET_PLACES = ("env:", "file:", "vault:")


class Account(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def on(self) -> bool: ...
    @property
    def own_keys(self) -> dict[str, Any]: ...
    def pointed(self, own_keys: Mapping[str, Any], **changes: Any) -> Self: ...


A = TypeVar("A", bound=Account)


@dataclass(frozen=True, slots=True)
class Stage:
    """The stand-ins that run, by account: (stand-in, address)."""

    running: Mapping[str, tuple[StandIn, str]]


@contextlib.asynccontextmanager
async def stage(data_dir: Path, own_url: str, accounts: Sequence[Account]) -> AsyncIterator[Stage]:
    """Runs a stand-in for every account that has one, on the port it had before if that is free. `own_url` is where
    this machine reaches our own web role, for platforms that call back."""
    known, running = _ports(data_dir), dict[str, tuple[StandIn, str]]()
    async with contextlib.AsyncExitStack() as stack:
        for number, account in enumerate(a for a in accounts if a.on and a.kind in stand_ins()):
            stand_in = stand_ins()[account.kind]()
            stand_in.callback = f"{own_url}/callbacks/{account.name}"
            first = FIRST_PORT + number
            tried = dict.fromkeys([known.get(account.name, first), *range(first, first + PORTS_TRIED)])
            port = await stack.enter_async_context(serving(stand_in.app(), HOST, tried))
            await stack.enter_async_context(stand_in.opened(HOST, port))
            known[account.name] = port
            running[account.name] = (stand_in, f"http://{HOST}:{port}")
        _ports_file(data_dir).write_text(json.dumps(known), "utf-8")
        yield Stage(running)


def rehearsed(accounts: Sequence[A], data_dir: Path) -> tuple[A, ...]:
    """The accounts pointed at their stand-ins as they last ran."""
    ports = _ports(data_dir)
    return tuple(_rehearsed(account, ports) for account in accounts)


def _rehearsed(account: A, ports: Mapping[str, int]) -> A:
    stand_in, port = stand_ins().get(account.kind), ports.get(account.name)
    own: dict[str, Any] = account.own_keys
    on = account.on
    if stand_in is not None:
        own = stand_in().keys(f"http://{HOST}:{port or 9}", own)
        on = on and port is not None
    elif account.kind not in AT_HOME:
        log.warning("no stand-in for this kind: off while rehearsing", extra={"channel": account.name})
        on = False
    return account.pointed(_without_secrets(own), on=on, allow_networks=(f"{HOST}/32",), status="filed")


def _without_secrets(value: Any) -> Any:
    """Whatever still names a live secret is replaced: it is not even read."""
    if isinstance(value, dict):
        return {k: _without_secrets(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets(v) for v in value]
    return REPLACED if isinstance(value, str) and value.startswith(_SECRET_PLACES) else value


def _ports_file(data_dir: Path) -> Path:
    return data_dir / PORTS_FILE


def _ports(data_dir: Path) -> dict[str, int]:
    try:
        found = json.loads(_ports_file(data_dir).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(k): int(v) for k, v in found.items()} if isinstance(found, dict) else {}
