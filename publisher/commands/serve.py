"""serve: the running service, in one process or split by roles."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import click

from publisher.commands.base import Command, command, option, settings
from publisher.commands.failures import Exit, Failure, as_failure
from publisher.commands.findings import show_findings
from publisher.commands.out import Out
from publisher.commands.words import delivery_state, reason
from publisher.tables import shorten
from publisher.texts import bilingual, mark

if TYPE_CHECKING:
    from content_queue.model import Delivery, Item
    from publisher.app import App, Settings
    from publisher.first_start import Handed
    from publisher.service import Service

TITLE_CELLS = 24  # of the first screen, so that a terminal of 100 columns shows whole addresses beside it
ROLES = ("web", "worker", "scheduler")  # config/settings.py ROLES; a test holds them equal


class Roles(click.ParamType[tuple[str, ...]]):
    name = "roles"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(n.strip() for n in str(value).split(",") if n.strip()))
        unknown = [n for n in names if n not in ROLES]
        if unknown or not names:
            self.fail(str(bilingual("The roles are: {names}.", names=", ".join(ROLES))), param, ctx)
        return names


@command(
    "serve",
    mark("Run the service until it is told to end (SIGTERM or SIGINT; a second one ends it at once)."),
    option(
        "--roles",
        type=Roles(),
        default=ROLES,
        metavar="ROLE,...",
        help=mark("Which parts run here: web, worker, scheduler (otherwise all)."),
    ),
    option(
        "--samples",
        is_flag=True,
        help=mark("On the first start publish the sample items, and run a stand-in receiver."),
    ),
    option(
        "--sandbox",
        is_flag=True,
        help=mark("Rehearse: every account at its stand-in, in a data folder of its own; no live platform is reached."),
    ),
    option("--host", help=mark("Address to listen on (otherwise GONGBAO_HOST).")),
    option("--port", type=click.IntRange(0, 65535), help=mark("Port to listen on (otherwise GONGBAO_PORT).")),
    fast_loop=True,
)
async def serve(
    out: Out, *, roles: tuple[str, ...], samples: bool, sandbox: bool, host: str | None, port: int | None
) -> int:
    from publisher.app import rehearsing, set_up

    given = {"host": host, "port": port}
    chosen = settings().model_copy(update={k: v for k, v in given.items() if v is not None})
    if sandbox and not chosen.sandbox:
        chosen = rehearsing(chosen)
    if samples and set(roles) != set(ROLES):
        message = bilingual("--samples needs all roles in one process.")
        raise Failure(Exit.USAGE, "usage", message, bilingual("Leave --roles out, or --samples."))
    set_up(chosen.log_level)
    chosen.data_dir.mkdir(parents=True, exist_ok=True)
    ending = listen_for_signals()
    async with contextlib.AsyncExitStack() as stack:
        if chosen.sandbox:
            await _open_stage(out, chosen, stack)
        if samples:
            return await _with_samples(out, chosen, ending)
        return await _plain(out, chosen, roles, ending)


async def _open_stage(out: Out, chosen: Settings, stack: contextlib.AsyncExitStack) -> None:
    from publisher.app import load_channels
    from publisher.rehearsal import stage

    accounts = load_channels(chosen.config_dir)
    running = (await stack.enter_async_context(stage(chosen.data_dir, chosen.local_url, accounts))).running
    told = mark("Rehearsal: nothing here reaches a live platform. Its data is in {folder}.")
    out.say(told, folder=chosen.data_dir, style="bold")
    rows = [(name, stand_in.kind, address) for name, (stand_in, address) in running.items()]
    if rows:
        out.table(("Channel", "Kind", "What its stand-in received"), rows)
    out.say("Other commands join the rehearsal with GONGBAO_SANDBOX=1 in their environment.")


def listen_for_signals() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT. The second ends the process at once: what was accepted is in the database."""
    ending, loop = asyncio.Event(), asyncio.get_running_loop()

    def heard(number: int) -> None:
        if ending.is_set():
            os._exit(128 + number)
        ending.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, heard, int(number))
    return ending


async def _plain(out: Out, chosen: Settings, roles: Sequence[str], ending: asyncio.Event) -> int:
    from publisher.app import open_app

    async with open_app(chosen, roles=roles) as app, _running(app, roles) as service:
        _say_ready(out, app, service)
        return await _until_told(out, service, ending)


@contextlib.asynccontextmanager
async def _running(app: App, roles: Sequence[str]) -> AsyncIterator[Service]:
    from publisher.service import Service
    from publisher.witness import WitnessUnreadable

    service = Service(app, roles)
    try:
        try:
            await service.start()
        except OSError as error:
            raise _cannot_listen(app.settings, error) from error
        except WitnessUnreadable as error:
            message = bilingual("{path} cannot be read as a witness of the log.", path=app.settings.witness_file)
            remedy = mark(
                "Put the right file back, or move it away after you have made sure that no older database was restored."
            )
            raise Failure(Exit.REFUSED, "witness", message, bilingual(remedy)) from error
        yield service
    finally:
        await service.stop()


def _cannot_listen(chosen: Settings, error: OSError) -> Exception:
    places = {"host": chosen.host, "port": chosen.port}
    if error.errno == errno.EADDRINUSE:
        message = bilingual("Port {port} on {host} is taken: is the service running already?", **places)
        remedy = bilingual("End the other program, or choose a port: gongbao serve --port N")
        return Failure(Exit.REFUSED, "port_taken", message, remedy)
    if error.errno in {errno.EACCES, errno.EADDRNOTAVAIL}:
        message = bilingual("Cannot listen on {host}, port {port}: {what}.", what=error.strerror or "", **places)
        return Failure(Exit.REFUSED, "cannot_listen", message, bilingual("Choose another address or port."))
    return error


async def _until_told(out: Out, service: Service, ending: asyncio.Event) -> int:
    """Non-zero when a part ended by itself."""
    told = asyncio.create_task(ending.wait())
    failed = asyncio.create_task(service.failed())
    await asyncio.wait({told, failed}, return_when=asyncio.FIRST_COMPLETED)
    for task in (told, failed):
        task.cancel()
    await asyncio.gather(told, failed, return_exceptions=True)
    if ending.is_set():
        if out.errors.is_terminal:
            out.warn(bilingual("Ending: what is under way is finished first. Interrupt again to end at once."))
        return Exit.OK
    raise Failure(
        Exit.INTERNAL,
        "part_failed",
        bilingual("A part of the service ended by itself; the process ends so that it is started anew."),
        bilingual("The log lines above say why."),
    )


def addresses(app: App, roles: Sequence[str], receiver: str = "") -> dict[str, str]:
    base = app.settings.public_url
    found = {}
    if "web" in roles:
        found = {
            "site": f"{base}/",
            "atom": f"{base}/feeds/all.atom",
            "rss": f"{base}/feeds/all.rss",
            "json_feed": f"{base}/feeds/all.json",
            "opml": f"{base}/feeds.opml",
            "readyz": f"{base}/readyz",
            "metrics": f"{base}/metrics",
            "openapi": f"{base}/api/v1/openapi.json",
        }
    return found | ({"receiver": receiver} if receiver else {})


NAMES = {
    "site": mark("Site"),
    "atom": mark("Feed (Atom)"),
    "rss": mark("Feed (RSS)"),
    "json_feed": mark("Feed (JSON)"),
    "opml": mark("All feeds (OPML)"),
    "readyz": mark("Is it well?"),
    "metrics": mark("Metrics"),
    "openapi": mark("API description"),
    "receiver": mark("What the receiver got"),
}


def _say_ready(out: Out, app: App, service: Service) -> None:
    found = addresses(app, service.roles)
    out.data({"ready": True, "roles": list(service.roles), "port": service.port, "addresses": found}, lines=True)
    roles = ", ".join(service.roles)
    out.say("Gongbao is running ({roles}). End it with Ctrl-C.", roles=roles, style="bold green")
    _say_addresses(out, found)
    out.console.file.flush()


def _say_addresses(out: Out, found: dict[str, str]) -> None:
    if found:
        out.table(("What", "Address"), [(out.words(NAMES[k]), v) for k, v in found.items()])


# -- with the samples -------------------------------------------------------------------------------------------


async def _with_samples(out: Out, chosen: Settings, ending: asyncio.Event) -> int:
    from publisher import first_start
    from publisher.app import open_app

    async with (
        first_start.running_receiver(chosen) as account,
        open_app(chosen, extra_accounts=[account], roles=ROLES) as app,
        _running(app, ROLES) as service,
    ):
        out.zone = app.zone
        showing = asyncio.create_task(_show_samples(out, app, service, str(account.own_keys["url"])))
        waiting = asyncio.create_task(ending.wait())
        await asyncio.wait({showing, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not showing.done():
            showing.cancel()
        await asyncio.gather(showing, waiting, return_exceptions=True)
        if not showing.cancelled() and (error := showing.exception()) is not None:
            raise error
        return await _until_told(out, service, ending)


async def _show_samples(out: Out, app: App, service: Service, receiver: str) -> None:
    from publisher import first_start

    first = await first_start.samples_wanted(app)
    if first:
        await _publish(out, app)
    shown = await first_start.delivered(app)
    found = addresses(app, service.roles, receiver)
    facts = {"ready": True, "first_start": first, "port": service.port, "addresses": found}
    out.data({**facts, "deliveries": [_delivered_view(i, d, receiver) for i, ds in shown for d in ds]}, lines=True)
    out.head("What was delivered where")
    rows = [_delivered_row(out, i, d, receiver, n) for i, ds in shown for n, d in enumerate(ds)]
    out.table(("Item", "Channel", "State", "Address"), rows)
    for text in {d.reason: reason(d.reason) for _, ds in shown for d in ds if d.reason}.values():
        out.line(str(text), style="yellow")
    out.head("Open in a browser")
    _say_addresses(out, found)
    out.say("Gongbao is running. End it with Ctrl-C.", style="bold green")
    out.console.file.flush()


def _delivered_view(item: Item, delivery: Delivery, receiver: str) -> dict[str, str]:
    facts = {"item": item.id, "title": item.latest.title, "channel": delivery.channel, "state": str(delivery.state)}
    return facts | {"url": _place(delivery, receiver)}


def _delivered_row(out: Out, item: Item, delivery: Delivery, receiver: str, number: int) -> tuple[str, ...]:
    """The title stands once, before the item's first delivery."""
    title = item.latest.title if number == 0 else ""
    title = shorten(title, TITLE_CELLS) if out.console.is_terminal else title
    return title, delivery.channel, out.of(delivery_state(delivery.state)), _place(delivery, receiver)


def _place(delivery: Delivery, receiver: str) -> str:
    from publisher.first_start import RECEIVER

    return delivery.url or (receiver if delivery.channel == RECEIVER else "")


async def _publish(out: Out, app: App) -> None:
    from publisher import first_start
    from publisher.samples import sample_files

    out.say("First start: the sample items are handed in, signed by the sample people, and published.", style="bold")
    with out.progress(mark("Handing in and signing"), len(sample_files())) as advance:
        handed = await first_start.publish_samples(app, advance)
    for one in handed:
        _show_held(out, one)
    with out.progress(mark("Publishing"), None) as advance:
        done = 0

        def show(settled: int, _total: int) -> None:
            nonlocal done
            advance(settled - done)
            done = settled

        if not await first_start.wait_settled(app, [h.item_id for h in handed if h.item_id], show):
            out.say("Some deliveries are still under way; gongbao deliveries shows them.", style="yellow")


def _show_held(out: Out, one: Handed) -> None:
    """A sample that did not go through is told plainly; the others go on."""
    if one.problem is not None:
        as_failure(one.problem).show(out.errors, out.language, as_json=False)
    elif one.filed is not None and one.filed.verdict.blocked:
        out.say("{name} is held by the checklist:", name=one.path.name, style="yellow")
        submission = one.filed.submission
        show_findings(out, one.filed.verdict.blocking, submission.content, path=one.path.name, locate=submission.locate)


COMMANDS: tuple[Command, ...] = (serve,)
