"""The log as an operator reads it: the audit entries themselves, in plain words."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from publisher.commands import views
from publisher.commands.base import Command, command, limit_option, opened, option, unknown_name
from publisher.commands.out import Out
from publisher.commands.sentences import describe
from publisher.texts import bilingual, mark

if TYPE_CHECKING:
    from content_queue.model import Entry
    from publisher.app import App

FOLLOW_SECONDS = 0.5
FOLLOW_PAGE = 500


@command(
    "log",
    mark("Show what happened, newest last: everything, one item's story, or each attempt of one delivery."),
    click.Argument(["item"], required=False, metavar="[ITEM]"),
    option("--delivery", type=int, metavar="ID", help=mark("Each attempt of this delivery.")),
    option("--kind", metavar="KIND", help=mark("Only entries of this kind, such as attempt or signed.")),
    limit_option(50),
    option("--follow", is_flag=True, help=mark("Go on showing new entries until interrupted.")),
)
async def log(out: Out, *, item: str | None, delivery: int | None, kind: str | None, limit: int, follow: bool) -> None:
    if follow and (item or delivery):
        remedy = mark("Follow everything, or leave --follow out.")
        raise unknown_name("usage", mark("--follow shows all entries, not those of one item."), remedy)
    async with opened(out) as app:
        entries = await _entries(app, item, delivery, kind, limit)
        if not out.as_json:
            for entry in entries:
                _show(out, entry)
        elif not follow:
            out.data({"entries": [view(e) for e in entries]})
        if follow:
            await _follow(out, app, kind, entries)
        elif not entries:
            out.say("No entries.")


async def _entries(app: App, item: str | None, delivery: int | None, kind: str | None, limit: int) -> list[Entry]:
    if delivery is not None:
        found = await app.store.deliveries.get(delivery)
        entries = await app.store.log.of_delivery(delivery, found.item_id)
    elif item is not None:
        await app.store.items.latest(item)
        entries = await app.store.log.of_item(item, limit=max(limit, FOLLOW_PAGE))
    else:
        return await app.store.log.recent(limit=limit, kind=kind)
    return [e for e in entries if kind in (None, e.kind)][-limit:]


def view(entry: Entry) -> dict[str, Any]:
    said, advice = describe(entry)
    return {**views.entry(entry), "text": said.as_dict(), "advice": advice.as_dict()}


def _show(out: Out, entry: Entry) -> None:
    """What happened to a delivery is told in both languages, the reader's first; so is what to do about it."""
    said, advice = describe(entry)
    subject = " ".join(str(p) for p in (entry.item_id, f"#{entry.delivery_id}" if entry.delivery_id else "") if p)
    out.line("  ".join(p for p in (out.time(entry.at), subject, out.of(said)) if p))
    if entry.delivery_id is not None and said.en != said.zh:
        out.line(f"    {out.other(said)}", style="dim")
    if advice.en:
        out.line(f"    → {out.of(advice)}", style="yellow")
        out.line(f"    → {out.other(advice)}", style="dim")


async def _follow(out: Out, app: App, kind: str | None, shown: list[Entry]) -> None:
    """Until interrupted. Pages grow until they reach what was shown last, so that no burst is missed."""
    if out.as_json:
        for entry in shown:
            out.data(view(entry), lines=True)
    else:
        out.errors.print(out.of(bilingual("Following; interrupt to end.")), style="dim")
    last = (shown[-1].tx, shown[-1].id) if shown else (-1, -1)
    while True:
        await asyncio.sleep(FOLLOW_SECONDS)
        for entry in await _since(app, kind, last):
            last = (entry.tx, entry.id)
            out.data(view(entry), lines=True)
            if not out.as_json:
                _show(out, entry)


async def _since(app: App, kind: str | None, last: tuple[int, int]) -> list[Entry]:
    page = FOLLOW_PAGE
    while True:
        found = await app.store.log.recent(limit=page, kind=kind)
        fresh = [e for e in found if (e.tx, e.id) > last]
        if len(fresh) < page or last == (-1, -1):
            return fresh
        page *= 4


COMMANDS: tuple[Command, ...] = (log,)
