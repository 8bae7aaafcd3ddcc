"""Operators: what is wrong now, and which links of published items are broken."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import click

from publisher.commands.base import Command, command, limit_option, opened, option
from publisher.commands.failures import Exit
from publisher.commands.out import Out, stamp
from publisher.texts import bilingual, mark

if TYPE_CHECKING:
    from channels.alarm_targets import Target
    from content_queue.store import Incident, LinkCheck, Notice
    from publisher.app import App


@command(
    "alarms",
    mark("Show what is wrong now, who does what about it, and notices that did not get through."),
    option("--test", is_flag=True, help=mark("Send a test to each target of alarms.toml, at once.")),
    limit_option(20),
)
async def alarms(out: Out, *, test: bool, limit: int) -> int:
    async with opened(out) as app:
        if test:
            return await _test(out, app)
        found = await app.store.alarms.open()
        undelivered = await app.store.alarms.undelivered(limit=limit)
        shown = {"alarms": [_view(out, i) for i in found], "undelivered": [_notice_view(n) for n in undelivered]}
        out.data(shown)
        _say(out, found)
        _say_undelivered(out, undelivered)
        return Exit.FOUND if found else Exit.OK


def _view(out: Out, incident: Incident) -> dict[str, Any]:
    from publisher.alarms import words

    return {
        "id": incident.id,
        "key": incident.key,
        "kind": incident.kind,
        "severity": incident.severity,
        "opened_at": stamp(incident.opened_at),
        "seen_at": stamp(incident.seen_at),
        "text": words.wrong(incident.kind, incident.facts, out.zone).as_dict(),
        "advice": words.advice(incident.kind, incident.facts, out.zone).as_dict(),
        "facts": dict(incident.facts),
    }


def _notice_view(notice: Notice) -> dict[str, Any]:
    facts = {"id": notice.id, "target": notice.target, "kind": notice.kind, "attempts": notice.attempts}
    return facts | {"created_at": stamp(notice.created_at), "reason": notice.reason}


STYLES = {"critical": "bold red", "warning": "yellow", "info": ""}


def _say(out: Out, found: list[Incident]) -> None:
    from publisher.alarms import words

    if not found:
        out.say("Nothing is wrong.", style="bold green")
    for incident in found:
        grave = out.of(words.severity(incident.severity))
        said = out.of(words.wrong(incident.kind, incident.facts, out.zone))
        out.line(f"{out.time(incident.opened_at)}  {grave}  {said}", style=STYLES.get(incident.severity, ""))
        if advice := out.of(words.advice(incident.kind, incident.facts, out.zone)):
            out.line(f"    → {advice}")


def _say_undelivered(out: Out, undelivered: list[Notice]) -> None:
    from publisher.commands.words import reason

    if not undelivered:
        return
    out.head("Notices that have not got through")
    rows = [
        (out.time(n.created_at), n.target, n.kind, n.attempts, out.of(reason(n.reason)) if n.reason else "")
        for n in undelivered
    ]
    out.table(("Written", "Target", "About", "Attempts", "Why"), rows)


async def _test(out: Out, app: App) -> int:
    """Straight to the targets, past the outbox: the answer is wanted now."""
    from publisher.lookout import opened_targets

    async with opened_targets(app) as targets:
        results = {t.name: await _try(app, t) for t in targets}
    out.data({"targets": [{"name": n, "sent": not why, "reason": why} for n, why in results.items()]})
    if not results:
        out.say("alarms.toml names no target.", style="yellow")
    for name, why in results.items():
        if why:
            out.say("{name}: not sent: {why}", name=name, why=why, style="bold red")
        else:
            out.say("{name}: sent", name=name, style="green")
    return Exit.FOUND if any(results.values()) else Exit.OK


async def _try(app: App, target: Target) -> str:
    """"" when it was taken."""
    from channels.verdicts import Verdict
    from publisher.alarms.messages import test_message

    message = test_message(
        f"test-{uuid.uuid4().hex}", now=app.clock(), agency=app.agency.name_zh, zone=app.zone
    )
    try:
        await target.send(message)
    except Verdict as verdict:
        return f"{verdict.reason} ({verdict.detail})"
    return ""


@command(
    "links",
    mark("List the links of published items that were found broken, or all looks at one item's links."),
    click.Argument(["item"], required=False, metavar="[ITEM]"),
    limit_option(200),
)
async def links(out: Out, *, item: str | None, limit: int) -> int:
    async with opened(out) as app:
        found = await (app.store.lookback.of_item(item) if item else app.store.lookback.broken(limit=limit))
        out.data({"links": [_link_view(check) for check in found]})
        if found:
            out.table(("Item", "Link", "State", "Looked at"), [_link_row(out, check) for check in found])
        else:
            message = mark("No links of it are looked at.") if item else mark("No broken links are known.")
            out.say(message)
        return Exit.FOUND if any(check.broken for check in found) else Exit.OK


def _link_view(check: LinkCheck) -> dict[str, Any]:
    return {
        "item": check.item_id,
        "url": check.url,
        "broken": check.broken,
        "problem": check.problem,
        "looks": check.stage,
        "checked_at": stamp(check.checked_at),
        "due_at": stamp(check.due_at),
    }


def _link_row(out: Out, check: LinkCheck) -> tuple[str, str, str, str]:
    return check.item_id, check.url, _link_state(out, check), out.time(check.checked_at)


def _link_state(out: Out, check: LinkCheck) -> str:
    from publisher.commands.words import reason

    if check.checked_at is None:
        return out.words("not looked at yet")
    if not check.problem:
        return out.words("well")
    if check.problem == "moved":
        return out.words("moved, still found")
    said = reason(check.problem)
    if check.broken:
        return out.of(bilingual("broken: {why}", why=said))
    return out.of(bilingual("looked at again soon: {why}" if check.failures else "unclear: {why}", why=said))


COMMANDS: tuple[Command, ...] = (alarms, links)
