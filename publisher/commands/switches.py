"""The switches: one channel, one column, or everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from publisher.clock import human
from publisher.commands.base import Command, actor_option, command, opened, option, who
from publisher.commands.out import Out, stamp
from publisher.texts import Text, bilingual, mark

if TYPE_CHECKING:
    from content_queue.model import ChannelState
    from content_queue.store import Switch
    from publisher.app import App

CHANNEL = click.Argument(["channel"], metavar="CHANNEL")
SCOPE = click.Argument(["scope"], default="all", metavar="[SCOPE]")


def why_option() -> click.Option:
    return option("--reason", default="", metavar="TEXT", help=mark("Why; it stands in the log."))


@command("channels", mark("List the channels: what they do, what waits, what failed."))
async def channels(out: Out) -> None:
    async with opened(out) as app:
        states = await app.store.channels.states()
        counts = await app.store.deliveries.counts()
        switches = await app.store.channels.switches()
        left = await app.store.quotas.left(app.workshop.quotas(), now=app.clock())
        shown = [_channel(app, a, states.get(a.name), counts, switches) for a in app.accounts]
        shown = [c | {"quota_left": left.get(c["name"], {})} for c in shown]
        plain = [c | {"meaning": c["meaning"].as_dict()} for c in shown]
        out.data({"channels": plain, "stopped": [_switch(s) for s in switches]})
        keys = ("name", "kind", "meaning", "waiting", "delivered", "failed", "in_doubt", "responsible")
        names = ("Channel", "Kind", "State", "Waiting", "Delivered", "Failed", "In doubt", "Responsible")
        out.table(names, [[c[k] if k != "meaning" else out.of(c[k]) for k in keys] for c in shown])
        for name, quotas in left.items():
            for quota, rest in quotas.items():
                out.say("{channel}: {rest} left of {quota}", channel=name, rest=rest, quota=quota)
        for s in switches:
            _say_stopped(out, s)


def _channel(
    app: App,
    account: Any,
    state: ChannelState | None,
    counts: dict[tuple[str, str], int],
    switches: list[Switch],
) -> dict[str, Any]:
    def total(*wanted: str) -> int:
        return sum(counts.get((account.name, w), 0) for w in wanted)

    scopes = {s.scope for s in switches}
    held = state.held_until if state and state.held_until > app.clock() else None
    code, spoken = _standing(account, state, held, scopes, app.zone)
    return {
        "name": account.name,
        "kind": account.kind,
        "state": code,
        "meaning": spoken,
        "reason": state.reason if state else "",
        "held_until": stamp(held),
        "probe_at": stamp(state.silent_until or None) if state else None,
        "waiting": total("waiting", "claimed", "sending"),
        "delivered": total("sent", "confirmed"),
        "failed": total("failed"),
        "in_doubt": total("in_doubt"),
        "responsible": account.responsible,
    }


def _standing(
    account: Any, state: ChannelState | None, held: int | None, scopes: set[str], zone: str
) -> tuple[str, Text]:
    from publisher.commands.words import reason

    if not account.on:
        return "off", bilingual("off")
    if "all" in scopes or f"channel:{account.name}" in scopes:
        return "stopped", bilingual("stopped")
    if state and state.closed:
        return "closed", bilingual("closed: {why}", why=reason(state.reason))
    if state and state.paused:
        return "paused", bilingual("paused: {why}", why=reason(state.reason)) if state.reason else bilingual("paused")
    if held is not None:
        return "held", bilingual("waits as the receiver asked")
    if state and state.silent_until:
        return "silent", bilingual("open: probing at {time}", time=human(state.silent_until, zone))
    return "on", bilingual("on")


def _switch(s: Switch) -> dict[str, Any]:
    return {"scope": s.scope, "actor": s.actor, "reason": s.reason, "at": stamp(s.at)}


def _say_stopped(out: Out, s: Switch) -> None:
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
            _say_stopped(out, s)


COMMANDS: tuple[Command, ...] = (channels, pause, resume, stop, start_again)
