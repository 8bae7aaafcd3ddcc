"""The channels: whether each works, what waits on it, what its platform still allows, what it can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from content_queue.model import ChannelState, QuotaRule
from content_queue.states import DeliveryState
from publisher.abilities import abilities, sentence
from publisher.clock import human
from publisher.commands.base import Command, command, opened, unknown_name
from publisher.commands.out import Out, stamp
from publisher.commands.switches import say_stopped, switch_view
from publisher.commands.words import reason
from publisher.measures import named
from publisher.texts import Text, bilingual, mark
from publisher.wellness import Wellness, days_left, said, wellness

if TYPE_CHECKING:
    from channels.contract import Channel
    from content_queue.store import Switch
    from publisher.app import App, ChannelAccount

NAME = click.Argument(["name"], required=False, metavar="[CHANNEL]")
LOW = 0.1  # of a quota: what is below is told beneath the table
SOON_DAYS = 7


@dataclass(frozen=True, slots=True)
class One:
    """What is known of one account. `left` is what its platform still allows, of `rules`."""

    account: ChannelAccount
    state: ChannelState
    standing: tuple[str, Text]
    counts: Mapping[str, int]
    waits_for_a_person: tuple[int, int]
    rules: Sequence[QuotaRule]
    left: Mapping[str, int]
    channel: Channel | None
    now: int

    @property
    def token_days(self) -> int | None:
        return days_left(self.state.token_until, self.now)

    @property
    def scarcest(self) -> str:
        """`left/limit` of the quota of which the smallest part is left."""
        shares = [(self.left.get(r.name, r.limit) / r.limit, r) for r in self.rules if r.limit]
        if not shares:
            return ""
        _, rule = min(shares, key=lambda share: share[0])
        return f"{self.left.get(rule.name, rule.limit)}/{rule.limit}"

    def total(self, *wanted: DeliveryState) -> int:
        return sum(self.counts.get(w, 0) for w in wanted)


@command("channels", mark("List the channels: whether they work, what waits, what their platforms still allow."), NAME)
async def channels(out: Out, *, name: str | None) -> None:
    async with opened(out) as app:
        if name is not None and name not in {a.name for a in app.accounts}:
            remedy, known = mark("The channels are: {names}."), ", ".join(a.name for a in app.accounts)
            raise unknown_name("no_such_channel", mark("There is no channel {name}."), remedy, name=name, names=known)
        switches = await app.store.channels.switches()
        found = [one for one in await _all(app, switches) if name in (None, one.account.name)]
        out.data({"channels": [_plain(one) for one in found], "stopped": [switch_view(s) for s in switches]})
        if name is None:
            _show_table(out, found)
        else:
            _show_one(out, found[0])
        for s in switches:
            say_stopped(out, s)


async def _all(app: App, switches: list[Switch]) -> list[One]:
    now, rules, scopes = app.clock(), app.workshop.quotas(), {s.scope for s in switches}
    states, counts = await app.store.channels.states(), await app.store.deliveries.counts()
    left = await app.store.quotas.left(rules, now=now)
    waiting = await app.store.remaining.counts(now=now)
    built = app.workshop.channels()
    found = []
    for account in app.accounts:
        name = account.name
        state = states.get(name) or ChannelState(name)
        own = {s: n for (channel, s), n in counts.items() if channel == name}
        standing = _standing(account, state, scopes, app.zone, now)
        facts = (waiting.get(name, (0, 0)), rules.get(name, ()), left.get(name, {}), built.get(name), now)
        found.append(One(account, state, standing, own, *facts))
    return found


def _standing(account: ChannelAccount, state: ChannelState, scopes: set[str], zone: str, now: int) -> tuple[str, Text]:
    """A code, and why in words."""
    if not account.on:
        return "off", bilingual("off")
    if "all" in scopes or f"channel:{account.name}" in scopes:
        return "stopped", bilingual("stopped")
    if state.closed:
        return "closed", bilingual("closed: {why}", why=reason(state.reason))
    if state.paused:
        return "paused", bilingual("paused: {why}", why=reason(state.reason)) if state.reason else bilingual("paused")
    if state.held_until > now:
        return "held", bilingual("waits as the receiver asked")
    if state.silent_until:
        return "silent", bilingual("open: probing at {time}", time=human(state.silent_until, zone))
    return "on", bilingual("on")


STANDINGS = {
    "off": mark("off"),
    "stopped": mark("stopped"),
    "closed": mark("closed"),
    "paused": mark("paused"),
    "held": mark("held"),
    "silent": mark("silent"),
    "on": mark("on"),
}


def _plain(one: One) -> dict[str, Any]:
    account, state, (code, spoken) = one.account, one.state, one.standing
    persons, overdue = one.waits_for_a_person
    check = {
        "checked_at": stamp(state.checked_at),
        "reason": state.check_reason,
        "meaning": reason(state.check_reason).as_dict(),
        "facts": dict(state.facts),
    }
    return {
        "name": account.name,
        "kind": account.kind,
        "state": code,
        "meaning": spoken.as_dict(),
        "reason": state.reason,
        "held_until": stamp(state.held_until if state.held_until > one.now else None),
        "probe_at": stamp(state.silent_until or None),
        "health": str(wellness(state)),
        "worked_at": stamp(state.ok_at),
        "failed_at": stamp(state.failed_at),
        "failing_since": stamp(state.failing_since),
        "failures": state.failures,
        "visible_at": stamp(state.visible_at),
        "check": check,
        "token_until": stamp(state.token_until),
        "token_days_left": one.token_days,
        "quota_left": dict(one.left),
        "quota_limits": {r.name: r.limit for r in one.rules},
        "waiting": one.total(DeliveryState.WAITING, DeliveryState.CLAIMED, DeliveryState.SENDING),
        "delivered": one.total(DeliveryState.SENT, DeliveryState.CONFIRMED),
        "failed": one.total(DeliveryState.FAILED),
        "in_doubt": one.total(DeliveryState.IN_DOUBT),
        "remaining": persons,
        "overdue": overdue,
        "abilities": abilities(one.channel) if one.channel else {},
        "owner": account.owner,
        "responsible": account.responsible,
        "deputy": account.deputy,
        "filing": account.filing,
        "status": account.status,
        "edition": account.edition,
    }


# -- for people ----------------------------------------------------------------------------------------------


HEADERS = (
    mark("Channel"),
    mark("State"),
    mark("Health"),
    mark("Waits"),
    mark("Failed"),
    mark("In doubt"),
    mark("By hand"),
    mark("Token"),
    mark("Quota"),
    mark("Last visible"),
)


def _show_table(out: Out, found: Sequence[One]) -> None:
    out.table(HEADERS, [_row(out, one) for one in found])
    for one in found:
        for line in _beneath(out, one):
            out.line(f"{one.account.name}: {line}", style="yellow")
    out.say("All about one: gongbao channels NAME")


def _row(out: Out, one: One) -> tuple[object, ...]:
    return (
        one.account.name,
        out.words(STANDINGS[one.standing[0]]),
        out.of(said(wellness(one.state))),
        one.total(DeliveryState.WAITING, DeliveryState.CLAIMED, DeliveryState.SENDING),
        one.total(DeliveryState.FAILED),
        one.total(DeliveryState.IN_DOUBT),
        one.waits_for_a_person[0],
        _days(out, one),
        one.scarcest,
        out.time(one.state.visible_at)[5:16],
    )


def _days(out: Out, one: One) -> str:
    return "" if one.token_days is None else out.words("{count} d", count=one.token_days)


def _beneath(out: Out, one: One) -> list[str]:
    """What a row has no room for and somebody should know."""
    lines, (code, spoken) = [], one.standing
    if code not in {"on", "off", "stopped"} and out.of(spoken) != out.words(STANDINGS[code]):
        lines.append(out.of(spoken))
    if wellness(one.state) is Wellness.UNWELL:
        lines.append(out.of(reason(one.state.check_reason)))
    if one.token_days is not None and one.token_days < SOON_DAYS:
        lines.append(out.words("the access token ends at {time}", time=out.time(one.state.token_until)))
    for rule in one.rules:
        left = one.left.get(rule.name, rule.limit)
        if left <= rule.limit * LOW:
            lines.append(out.words("{rest} left of {quota}", rest=left, quota=named(rule.name)))
    return lines


def _show_one(out: Out, one: One) -> None:
    account, state = one.account, one.state
    out.line(f"{account.name} ({account.kind})", style="bold")
    for label, value in (
        (mark("State"), out.of(one.standing[1])),
        (mark("Health"), out.of(said(wellness(state)))),
        (mark("Last worked"), out.time(state.ok_at)),
        (mark("Last failed"), out.time(state.failed_at)),
        (mark("Last visible"), out.time(state.visible_at)),
        (mark("Last look"), _look(out, one)),
        (mark("Token ends"), out.time(state.token_until)),
        (mark("Unit"), account.owner),
        (mark("Responsible"), account.responsible),
        (mark("Deputy"), account.deputy),
        (mark("Filing"), " ".join(v for v in (account.status, account.filing) if v)),
        (mark("Edition"), account.edition),
    ):
        if value:
            out.say("  {label}: {value}", label=bilingual(label), value=value)
    _show_numbers(out, one)


def _look(out: Out, one: One) -> str:
    state = one.state
    if state.checked_at is None or state.facts.get("check") == "none":
        return ""
    facts = "; ".join(f"{out.of(named(key))}: {out.of(named(value))}" for key, value in state.facts.items())
    found = out.of(reason(state.check_reason)) if state.check_reason else facts
    return "  ".join(part for part in (out.time(state.checked_at), found) if part)


def _show_numbers(out: Out, one: One) -> None:
    words = mark("  {waiting} wait, {delivered} delivered, {failed} failed, {doubt} in doubt, {persons} for a person")
    out.say(
        words,
        waiting=one.total(DeliveryState.WAITING, DeliveryState.CLAIMED, DeliveryState.SENDING),
        delivered=one.total(DeliveryState.SENT, DeliveryState.CONFIRMED),
        failed=one.total(DeliveryState.FAILED),
        doubt=one.total(DeliveryState.IN_DOUBT),
        persons=one.waits_for_a_person[0],
    )
    for rule in one.rules:
        left = one.left.get(rule.name, rule.limit)
        out.say("  {quota}: {left} left of {limit}", quota=named(rule.name), left=left, limit=rule.limit)
    if one.channel is not None:
        told = abilities(one.channel)
        for ability in ("edit", "recall", "look"):
            out.line("  " + out.of(sentence(ability, told[ability])))


COMMANDS: tuple[Command, ...] = (channels,)
