"""The switches: one channel, one column, or everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from publisher.commands.base import Command, actor_option, command, opened, option, who
from publisher.commands.out import Out, stamp
from publisher.texts import mark

if TYPE_CHECKING:
    from content_queue.store import Switch

CHANNEL = click.Argument(["channel"], metavar="CHANNEL")
SCOPE = click.Argument(["scope"], default="all", metavar="[SCOPE]")


def why_option() -> click.Option:
    return option("--reason", default="", metavar="TEXT", help=mark("Why; it stands in the log."))


def switch_view(s: Switch) -> dict[str, Any]:
    return {"scope": s.scope, "actor": s.actor, "reason": s.reason, "at": stamp(s.at)}


def say_stopped(out: Out, s: Switch) -> None:
    facts = {"scope": s.scope, "actor": s.actor, "time": out.time(s.at)}
    out.say("{scope} was stopped by {actor} at {time}: gongbao start-again {scope}", style="bold red", **facts)


@command("pause", mark("Pause a channel. What waits for it is kept."), CHANNEL, why_option(), actor_option())
async def pause(out: Out, *, channel: str, reason: str, actor: str | None) -> None:
    async with opened(out) as app:
        await app.desk.pause(channel, actor=who(actor), reason=reason)
        out.data({"channel": channel, "paused": True, "reason": reason})
        out.say("{channel} is paused; what waits for it is kept.", channel=channel, style="bold")
        out.say("Let it go on: gongbao resume {channel}", channel=channel)


@command(
    "resume",
    mark("Let a channel go on: ends a pause, a hold, a closure, and the waiting for answers."),
    CHANNEL,
    actor_option(),
)
async def resume(out: Out, *, channel: str, actor: str | None) -> None:
    async with opened(out) as app:
        await app.desk.resume(channel, actor=who(actor))
        counts = await app.store.deliveries.counts()
        waiting = counts.get((channel, "waiting"), 0)
        out.data({"channel": channel, "paused": False, "waiting": waiting})
        out.say("{channel} goes on; {count} deliveries wait for it.", channel=channel, count=waiting, style="bold")


@command(
    "stop",
    mark("Stop everything outward within 5 seconds, or one channel:NAME or column:SLUG. Nothing is lost."),
    SCOPE,
    why_option(),
    actor_option(),
)
async def stop(out: Out, *, scope: str, reason: str, actor: str | None) -> None:
    async with opened(out) as app:
        await app.desk.stop(scope, actor=who(actor), reason=reason)
        out.data({"scope": scope, "stopped": True, "reason": reason})
        out.say(
            "Stopped: {scope}. Nothing new leaves within 5 seconds, and nothing is lost.", scope=scope, style="bold red"
        )
        out.say("Go on: gongbao start-again {scope}", scope=scope)


@command("start-again", mark("Undo stop, for the same scope."), SCOPE, actor_option())
async def start_again(out: Out, *, scope: str, actor: str | None) -> None:
    async with opened(out) as app:
        await app.desk.start_again(scope, actor=who(actor))
        left = await app.store.channels.switches()
        out.data({"scope": scope, "stopped": False, "still_stopped": [s.scope for s in left]})
        out.say("Started again: {scope}. What waited goes out now.", scope=scope, style="bold green")
        for s in left:
            say_stopped(out, s)


COMMANDS: tuple[Command, ...] = (pause, resume, stop, start_again)
