"""What is to be posted by hand on platforms without a public way to publish, ready to be copied."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from content_queue.states import DeliveryState
from publisher.clock import SECOND
from publisher.commands import words
from publisher.commands.base import Command, command, limit_option, opened, option, unknown_name
from publisher.commands.failures import Exit, Failure
from publisher.commands.items import delivery_view
from publisher.commands.out import Out, stamp
from publisher.tables import clean
from publisher.texts import Text, bilingual, mark

if TYPE_CHECKING:
    from channels.contract import Prepared
    from content_queue.model import Delivery
    from content_queue.store import Look
    from publisher.app import App, ChannelAccount

KIND = "manual"
_JOINER = "\u200d"
PARTS = ("title", "text", "link", "images")
LIVE, DONE = "gongbao resolve {id} --live URL", "gongbao resolve {id} --done --reason TEXT"
# By the adapter's reason: what a person does, and with which words the task is completed.
STEPS = {
    "task_waits": (
        mark("Post it on {platform}, then say where it is."),
        LIVE,
    ),
    "edit_task_waits": (
        mark("Replace the text of the post on {platform}, then say where it is."),
        LIVE,
    ),
    "notice_task_waits": (
        mark("The post on {platform} cannot be changed: post this notice there, then say where it is."),
        LIVE,
    ),
    "recall_task_waits": (
        mark("Take the post on {platform} down, then say that it is done."),
        DONE,
    ),
    "stop_task_waits": (
        mark("Its link never came: make sure that it is not on {platform}, take it down if it is, then say so."),
        DONE,
    ),
}


@command(
    "tasks",
    mark("List what is to be done by hand on platforms without a way to publish, oldest first."),
    option("--channel", metavar="NAME", help=mark("Only this channel.")),
    limit_option(100),
)
async def tasks(out: Out, *, channel: str | None, limit: int) -> None:
    async with opened(out) as app:
        accounts = {a.name: a for a in app.accounts if a.kind == KIND}
        if channel is not None and channel not in accounts:
            remedy = mark("The channels by hand are: {names}.")
            known = ", ".join(accounts) or "-"
            raise unknown_name(
                "no_such_channel", mark("There is no channel {name} by hand."), remedy, name=channel, names=known
            )
        names = [channel] if channel is not None else list(accounts)
        found, now = await app.store.looks.by_hand(names, limit=limit), app.clock()
        titles = {look.delivery.id: (await app.store.items.revision(look.delivery.revision_id)).title for look in found}
        out.data({"tasks": [_task_view(look, titles[look.delivery.id], now) for look in found]})
        if not found:
            out.say("Nothing is to be done by hand.", style="green")
            return
        out.table(
            ("Delivery", "Channel", "Operation", "Title", "Waits for", "Until"),
            [_row(out, look, titles[look.delivery.id], now) for look in found],
        )
        out.say("The prepared text of one: gongbao task DELIVERY")


def _task_view(look: Look, title: str, now: int) -> dict[str, Any]:
    delivery = look.delivery
    late = delivery.deadline_at is not None and delivery.deadline_at < now
    return {
        **delivery_view(delivery),
        "title": title,
        "waits_since": stamp(look.since),
        "deadline": stamp(delivery.deadline_at),
        "overdue": late,
    }


def _row(out: Out, look: Look, title: str, now: int) -> tuple[object, ...]:
    delivery = look.delivery
    until = out.time(delivery.deadline_at)
    if delivery.deadline_at is not None and delivery.deadline_at < now:
        until += " " + out.words("(overdue)")
    operation = out.of(words.operation(delivery.operation))
    return delivery.id, delivery.channel, operation, title, out.of(_span(now - look.since)), until


def _span(microseconds: int) -> Text:
    minutes = max(0, microseconds) // SECOND // 60
    if minutes < 60:
        return bilingual("{count} min", count=minutes)
    return (
        bilingual("{count} h", count=minutes // 60)
        if minutes < 2 * 1440
        else bilingual("{count} d", count=minutes // 1440)
    )


@command(
    "task",
    mark("Show one task with its prepared text, ready to be copied; --part prints one part and nothing else."),
    click.Argument(["number"], type=int, metavar="DELIVERY"),
    option("--part", type=click.Choice(PARTS), help=mark("Only this part, exactly as it is to be posted.")),
)
async def task(out: Out, *, number: int, part: str | None) -> None:
    async with opened(out) as app:
        look = await app.store.looks.of(number)
        account = next((a for a in app.accounts if a.name == look.delivery.channel and a.kind == KIND), None)
        if account is None:
            raise _refused("not_by_hand", mark("Delivery {id} is on {channel}, which is no channel by hand."), look)
        await _must_wait(app, look)
        prepared = await _prepared(app, account, look)
        if part is not None and not out.as_json:
            _print_part(_part(app, prepared.form, part))
            return
        out.data(_prepared_view(app, look, prepared))
        _show(out, app, account, look, prepared)


def _refused(code: str, message: str, look: Look, **more: Any) -> Failure:
    facts = {"id": look.delivery.id, "channel": look.delivery.channel, **more}
    return Failure(Exit.REFUSED, code, bilingual(message, **facts), bilingual("What is to be done: gongbao tasks"))


async def _must_wait(app: App, look: Look) -> None:
    """What is done, or has been overtaken, is not shown for copying: somebody might post it."""
    delivery = look.delivery
    newer = [d for d in await app.store.deliveries.of_item(delivery.item_id) if _overtakes(d, delivery)]
    if newer:
        message = mark("Delivery {newer} has taken the place of {id}: do not post it any more.")
        raise _refused("overtaken", message, look, newer=newer[-1].id)
    if delivery.state is not DeliveryState.SENT or delivery.awaits != "person":
        state = words.delivery_state(delivery.state)
        raise _refused("nothing_to_do", mark("Delivery {id} waits for nobody: {state}."), look, state=state)


def _overtakes(newer: Delivery, older: Delivery) -> bool:
    return newer.id > older.id and newer.channel == older.channel and newer.state is not DeliveryState.CANCELLED


async def _prepared(app: App, account: ChannelAccount, look: Look) -> Prepared:
    """What the channel prepared when the task was handed out: made again of the same signed bytes."""
    from channels.contract import Preparable
    from publisher.app import Transports
    from publisher.posts import Posts

    names = {c.slug: c.name_zh for c in app.site.columns}
    editions = {account.name: account.edition} if account.edition else {}
    posts = Posts(app.store.items.revision, app.addresses, lambda slug: names.get(slug, slug), editions)
    channel = app.workshop.one(account, Transports(app.settings))
    assert isinstance(channel, Preparable)
    return channel.prepare(await posts.of(look.claimed))


def _part(app: App, form: dict[str, Any], part: str) -> str:
    """`images` are one a line: public address, tab, the file on this machine."""
    if part == "images":
        return "\n".join(f"{image['url']}\t{app.media.path(image['sha256'])}" for image in form["images"])
    return str(form[part])


def _print_part(text: str) -> None:
    """To a terminal nothing that steers it; to a pipe every byte as it is, without a line end of ours."""
    terminal = sys.stdout.isatty()
    click.echo(_copyable(text) if terminal else text, nl=terminal)


def _copyable(text: str) -> str:
    """Fit for a terminal, with the joiners that emoji are made of: they steer nothing, and are copied with the rest."""
    return _JOINER.join(map(clean, text.split(_JOINER)))


def _prepared_view(app: App, look: Look, prepared: Prepared) -> dict[str, Any]:
    form = prepared.form
    images = [{**image, "path": str(app.media.path(image["sha256"]))} for image in form["images"]]
    measured = [{"part": m.part, "length": m.length, "limit": m.limit, "unit": m.unit} for m in prepared.measured]
    shown = {**form, "images": images, "measured": measured, "dropped": list(prepared.dropped)}
    return {**delivery_view(look.delivery), **shown, "deadline": stamp(look.delivery.deadline_at)}


def _show(out: Out, app: App, account: ChannelAccount, look: Look, prepared: Prepared) -> None:
    delivery, form = look.delivery, prepared.form
    facts = {"id": delivery.id, "channel": account.name, "platform": form["platform"]}
    out.say("Delivery {id} on {channel} ({platform})", style="bold", **facts)
    if delivery.deadline_at is not None:
        out.say("To be done by {time}.", time=out.time(delivery.deadline_at))
    step, how = STEPS.get(delivery.reason, STEPS["task_waits"])
    out.say(step, style="bold", **facts)
    out.line("  " + how.format(**facts))
    for text in (form["ask_for"], form["original"]):
        if text:
            out.line(text)
    if delivery.reason in ("recall_task_waits", "stop_task_waits"):
        return
    for heading, part in (("Title", "title"), ("Text", "text"), ("Link", "link"), ("Images", "images")):
        if text := _part(app, form, part):
            out.head(heading)
            if not out.as_json:
                click.echo(_copyable(text))
    if made := [image["name"] for image in form["images"] if image["ai_generated"]]:
        out.say("Made by AI, to be declared there: {names}", names=", ".join(made), style="yellow")
    if prepared.dropped:
        out.say("  left out: {names}", names=", ".join(prepared.dropped), style="yellow")


COMMANDS: tuple[Command, ...] = (tasks, task)
