"""Reviewers: sign what will be published, or let a finding stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from content_queue.states import RevisionState
from publisher.commands import views
from publisher.commands.base import Command, actor_option, command, opened, option
from publisher.commands.failures import Exit, Failure
from publisher.commands.out import Out
from publisher.problems import Held
from publisher.texts import bilingual, mark

if TYPE_CHECKING:
    from content_queue.model import Revision
    from publisher.app import App

ITEM = click.Argument(["item"], metavar="ITEM")
SHORTEST_HASH = 8  # characters; publisher/desk.py asks for as many


@command(
    "approve",
    mark("Sign the newest revision of an item for one stage."),
    ITEM,
    actor_option(required=True),
    option(
        "--stage", required=True, metavar="STAGE", help=mark("The stage that is signed (gongbao people lists them).")
    ),
    option("--hash", "seen", metavar="HASH", help=mark("The hash you saw, or its first 8 characters or more.")),
)
async def approve(out: Out, *, item: str, actor: str, stage: str, seen: str | None) -> int:
    if seen is not None and len(seen) < SHORTEST_HASH:
        message = bilingual("{hash} is too short for a hash.", hash=seen)
        raise Failure(Exit.USAGE, "short_hash", message, bilingual("Give at least {n} characters.", n=SHORTEST_HASH))
    async with opened(out) as app:
        try:
            revision = await app.desk.approve(item, person=actor, stage=stage, seen_hash=seen)
        except Held as held:
            _show_held(out, held)
            raise
        signed = await app.store.items.signoffs(revision.id)
        missing = await missing_stages(app, revision)
        facts: dict[str, Any] = {"signed_stage": stage, "person": actor, "missing_stages": missing}
        beyond = await app.desk.exceeded(item)
        facts["exceeds"] = [views.exceeding(e) for e in beyond]
        out.data({**views.revision(revision), **facts, "signoffs": [views.signoff(s) for s in signed]})
        _say_signed(out, revision, stage, actor, missing)
        for one in beyond:
            out.line(out.of(one.said), style="yellow")
    return Exit.OK


async def missing_stages(app: App, revision: Revision) -> list[str]:
    done = {s.stage for s in await app.store.items.signoffs(revision.id)}
    return [stage for stage in app.signing.stages if stage not in done]


def _say_signed(out: Out, revision: Revision, stage: str, person: str, missing: list[str]) -> None:
    out.say("{person} signed the stage {stage}.", person=person, stage=stage, style="bold green")
    out.say(
        "Item {item}, revision {number}: {title}", item=revision.item_id, number=revision.number, title=revision.title
    )
    out.say("Hash {hash}", hash=revision.content_hash)
    if missing:
        out.say("Still missing: {stages}.", stages=", ".join(missing))
    elif revision.not_before is not None:
        out.say("Fully signed. It leaves the queue at {time}.", time=out.time(revision.not_before))
    else:
        out.say("Fully signed. A running service publishes it at once: gongbao show {item}", item=revision.item_id)


def _show_held(out: Out, held: Held) -> None:
    from publisher.commands.findings import show_findings, stored_findings

    show_findings(out, stored_findings({"findings": held.findings}))


@command(
    "accept-finding",
    mark("Let a finding stand that may be accepted, for exactly this text."),
    ITEM,
    click.Argument(["rule"], metavar="RULE"),
    actor_option(required=True),
    option("--reason", required=True, metavar="TEXT", help=mark("Why; it stands in the log.")),
)
async def accept_finding(out: Out, *, item: str, rule: str, actor: str, reason: str) -> int:
    async with opened(out) as app:
        revision = await app.desk.accept_finding(item, rule, person=actor, reason=reason)
        held = revision.state is RevisionState.HELD
        out.data({**views.revision(revision), "rule": rule, "person": actor, "still_held": held})
        out.say("{person} lets {rule} stand for this text of {item}.", person=actor, rule=rule, item=item)
        if held:
            out.say("Other findings still hold it: gongbao show {item}", item=item, style="red")
        else:
            missing = ", ".join(await missing_stages(app, revision))
            out.say("Nothing holds it any more. Still missing: {stages}.", stages=missing)
    return Exit.OK


COMMANDS: tuple[Command, ...] = (approve, accept_finding)
