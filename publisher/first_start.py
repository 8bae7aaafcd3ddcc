"""The first start: the sample items, handed in and signed as people would, sent to the site and to a receiver.

Everything goes through the desk. The receiver is a stand-in that runs beside the service, a channel account like
any other; its key and port are kept in the data folder, so that later starts and commands know it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from content_queue.model import Delivery, Item
from content_queue.states import UNDER_WAY, DeliveryState, RevisionState
from content_queue.store import Conflict
from publisher.app import App, ChannelAccount, Settings, load_channels
from publisher.desk import Filed, Paper
from publisher.intake import DirectoryFiles, IntakeError
from publisher.problems import Problem, Refused
from publisher.samples import sample_files, sample_overrides
from publisher.texts import bilingual

RECEIVER = "demo-receiver"
RECEIVER_HOST = "127.0.0.1"
RECEIVER_PORT = 8081
PORTS_TRIED = 20
KEY_FILE = "keys/demo-receiver.whsec"
PORT_FILE = "demo-receiver.port"
UNFINISHED = "samples.unfinished"  # stands in the data folder while the samples are being handed in
SETTLE_SECONDS = 30.0
LOOK_SECONDS = 0.1
KEY_BYTES = 32  # Standard Webhooks: 24 to 64


@dataclass(frozen=True, slots=True)
class Handed:
    """What became of one sample: its item, or why it was not taken. `filed` is None when it was there already."""

    path: Path
    item_id: str
    filed: Filed | None = None
    problem: Exception | None = None


def demo_account(port: int) -> ChannelAccount:
    facts = {"url": f"http://{RECEIVER_HOST}:{port}/", "secrets": [f"file:{KEY_FILE}"]}
    words = bilingual("stand-in receiver of the first start")
    own = {"name": RECEIVER, "kind": "webhook", "owner": str(words), "allow_networks": [f"{RECEIVER_HOST}/32"]}
    return ChannelAccount.model_validate({**own, **facts})


def remembered_accounts(settings: Settings) -> tuple[ChannelAccount, ...]:
    """The receiver of an earlier `serve --samples`, so that every command knows its name; empty when there was none."""
    port = _remembered_port(settings)
    if port is None or not (settings.data_dir / KEY_FILE).exists():
        return ()
    taken = any(a.name == RECEIVER for a in load_channels(settings.config_dir))
    return () if taken else (demo_account(port),)


def _remembered_port(settings: Settings) -> int | None:
    try:
        return int((settings.data_dir / PORT_FILE).read_text("ascii"))
    except (OSError, ValueError):
        return None


@contextlib.asynccontextmanager
async def running_receiver(settings: Settings) -> AsyncIterator[ChannelAccount]:
    """Starts the stand-in on its earlier port, on 8081 or on the next free one. Raises `OSError` when none is."""
    from channels.sandbox.receiver import receiver_app
    from channels.sandbox.serving import serving

    earlier = _remembered_port(settings)
    ports = dict.fromkeys([*([earlier] if earlier else []), *range(RECEIVER_PORT, RECEIVER_PORT + PORTS_TRIED)])
    app = receiver_app(secrets=[_key(settings.data_dir / KEY_FILE)])
    async with serving(app, RECEIVER_HOST, ports) as port:
        (settings.data_dir / PORT_FILE).write_text(str(port), "ascii")
        yield demo_account(port)


def _key(path: Path) -> str:
    """Made on the first start, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write("whsec_" + b64encode(secrets.token_bytes(KEY_BYTES)).decode())
    return path.read_text("ascii").strip()


# -- the sample items -------------------------------------------------------------------------------------------


async def samples_wanted(app: App) -> bool:
    """When there are no items yet, or an earlier first start was cut short."""
    unfinished = (app.settings.data_dir / UNFINISHED).exists()
    return unfinished or not await app.store.items.listing(limit=1)


async def publish_samples(app: App, advance: Callable[[int], None]) -> list[Handed]:
    """Hands in every sample and has it signed; calls `advance(1)` after each. May be repeated without doubling."""
    marker = app.settings.data_dir / UNFINISHED
    marker.touch()
    handed = []
    for path in sample_files():
        handed.append(await _hand_in(app, path))
        advance(1)
    marker.unlink(missing_ok=True)
    return handed


async def _hand_in(app: App, path: Path) -> Handed:
    editor = next((p.name for p in app.people.people if "editor" in p.roles), "editor")
    item_id = ""
    try:
        raw = await asyncio.to_thread(path.read_bytes)
        paper = Paper(raw, path.name, DirectoryFiles(path.parent), overrides=sample_overrides(path))
        filed = await app.desk.submit(paper, actor=editor, idempotency_key=f"sample:{path.name}")
        item_id = filed.revision.item_id
        if filed.verdict.blocked:
            return Handed(path, item_id, filed)
        await _sign(app, item_id)
    except (Problem, IntakeError) as problem:
        return Handed(path, item_id, problem=problem)
    return Handed(path, item_id, filed)


async def _sign(app: App, item_id: str) -> None:
    """Every missing stage, each by a person of its own. Raises `Problem`."""
    revision = await app.store.items.latest(item_id)
    if revision.state is not RevisionState.DRAFT:
        return
    signed = {s.stage: s.person for s in await app.store.items.signoffs(revision.id)}
    missing = [stage for stage in app.signing.stages if stage not in signed]
    free = {p: stages for p, stages in app.signing.may_sign.items() if p not in {*signed.values(), revision.drafter}}
    people = assign(missing, free)
    if people is None:
        raise Refused(
            "nobody_signs",
            bilingual("The people of people.toml cannot sign all stages of {item}.", item=item_id),
            bilingual("Let more people sign there; one person signs one stage, and the drafter none."),
        )
    for stage in missing:
        with contextlib.suppress(Conflict):
            await app.desk.approve(item_id, person=people[stage], stage=stage, seen_hash=revision.content_hash)


def assign(stages: Sequence[str], may_sign: Mapping[str, Sequence[str]]) -> dict[str, str] | None:
    """A person of its own for every stage; None when there are too few people."""
    if not stages:
        return {}
    first, *others = stages
    for person in (p for p, allowed in may_sign.items() if first in allowed):
        rest = assign(others, {p: allowed for p, allowed in may_sign.items() if p != person})
        if rest is not None:
            return {first: person, **rest}
    return None


# -- what became of them ----------------------------------------------------------------------------------------


async def wait_settled(app: App, item_ids: Sequence[str], show: Callable[[int, int], None]) -> bool:
    """Until every signed item is released and every delivery has an end; False when that took too long.

    `show(settled, all)` is called at each look.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_SECONDS):
            while True:
                queued = await _still_queued(app, item_ids)  # first: what leaves the queue now is seen below
                deliveries = [d for i in item_ids for d in await app.store.deliveries.of_item(i)]
                open_ones = [d for d in deliveries if _is_open(d)]
                show(len(deliveries) - len(open_ones), len(deliveries))
                if not open_ones and not queued:
                    return True
                await asyncio.sleep(LOOK_SECONDS)
    return False


def _is_open(delivery: Delivery) -> bool:
    """Waits for its first attempt, or is under way; one that failed once may wait for days."""
    return delivery.state in UNDER_WAY or (delivery.state is DeliveryState.WAITING and not delivery.attempts)


async def _still_queued(app: App, item_ids: Sequence[str]) -> bool:
    for item_id in item_ids:
        latest = await app.store.items.latest(item_id)
        soon = latest.not_before is None or latest.not_before <= app.clock()
        if latest.state is RevisionState.APPROVED and soon:
            return True
    return False


async def delivered(app: App, limit: int = 12) -> list[tuple[Item, list[Delivery]]]:
    """The oldest items first, each with its deliveries."""
    found = await app.store.items.listing(limit=limit)
    return [(item, await app.store.deliveries.of_item(item.id)) for item in reversed(found)]
