"""Items: what there is, everything about one, and taking one back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from content_queue.states import DELIVERED, DeliveryState, RevisionState
from publisher.commands import views, words
from publisher.commands.base import Command, actor_option, command, limit_option, opened, option, unknown_name, who
from publisher.commands.findings import show_findings, stored_findings, summary, view
from publisher.commands.out import Out
from publisher.texts import Text, bilingual, mark

if TYPE_CHECKING:
    from content_queue.model import ChannelState, Delivery, Revision, Signoff
    from publisher.app import App

ITEM = click.Argument(["item"], metavar="ITEM")


@command(
    "items",
    mark("List the items, newest first."),
    option(
        "--state",
        type=click.Choice([str(s) for s in RevisionState]),
        help=mark("Only those whose newest revision is so."),
    ),
    option("--column", metavar="SLUG", help=mark("Only this column.")),
    limit_option(),
)
async def items(out: Out, *, state: str | None, column: str | None, limit: int) -> None:
    async with opened(out) as app:
        slugs = [c.slug for c in app.site.columns]
        if column is not None and column not in slugs:
            remedy = mark("The columns are: {names}.")
            raise unknown_name(
                "no_such_column", mark("There is no column {name}."), remedy, name=column, names=", ".join(slugs)
            )
        found = await app.store.items.listing(limit=limit, state=state, column=column)
        out.data({"items": [views.item(i, app.addresses.item(i.id)) for i in found]})
        if not found:
            out.say("There is nothing here. Hand something in: gongbao submit FILE")
            return
        rows = [
            (
                i.id,
                i.latest.number,
                out.of(words.revision_state(i.latest.state)),
                i.latest.column,
                i.latest.title,
                out.time(i.created_at),
            )
            for i in found
        ]
        out.table(("Item", "Revision", "State", "Column", "Title", "Submitted"), rows)


@command("show", mark("Show everything about an item: revisions, sign-offs, findings, deliveries."), ITEM)
async def show(out: Out, *, item: str) -> None:
    async with opened(out) as app:
        revisions = await app.store.items.history(item)
        signoffs = {r.id: await app.store.items.signoffs(r.id) for r in revisions}
        deliveries = await app.store.deliveries.of_item(item)
        states = await app.store.channels.states()
        beyond = await app.desk.exceeded(item)
        if out.as_json:
            exceeds = [views.exceeding(e) for e in beyond]
            out.data({**_whole(app, item, revisions, signoffs, deliveries), "exceeds": exceeds})
            return
        latest = revisions[-1]
        out.line(latest.title, style="bold")
        out.say(
            "Item {item}, column {column}, drafted by {drafter}",
            item=item,
            column=latest.column,
            drafter=latest.drafter,
        )
        out.line(app.addresses.item(item))
        _show_revisions(out, revisions)
        _show_signoffs(out, app, latest, signoffs[latest.id])
        _show_findings(out, latest)
        for one in beyond:
            out.line(out.of(one.said), style="yellow")
        show_deliveries(out, deliveries, states, now=app.clock())


def _whole(
    app: App,
    item: str,
    revisions: list[Revision],
    signoffs: dict[int, list[Signoff]],
    deliveries: list[Delivery],
) -> dict[str, Any]:
    done = {s.stage for s in signoffs[revisions[-1].id]}
    return {
        "item": item,
        "url": app.addresses.item(item),
        "revisions": [
            {
                **views.revision(r),
                "signoffs": [views.signoff(s) for s in signoffs[r.id]],
                "findings": [view(f) for f in stored_findings(r.report)],
            }
            for r in revisions
        ],
        "missing_stages": [s for s in app.signing.stages if s not in done],
        "deliveries": [delivery_view(d) for d in deliveries],
    }


def delivery_view(delivery: Delivery) -> dict[str, Any]:
    """With its reason and the advice in both languages."""
    return {
        **views.delivery(delivery),
        "meaning": words.reason(delivery.reason).as_dict(),
        "advice": advise(delivery).as_dict(),
    }


def _show_revisions(out: Out, revisions: list[Revision]) -> None:
    out.head("Revisions")
    rows = [
        (
            r.number,
            out.of(words.revision_state(r.state)),
            r.content_hash[:12],
            out.time(r.created_at),
            out.time(r.not_before),
            r.note,
        )
        for r in revisions
    ]
    out.table(("Revision", "State", "Hash", "Submitted", "Not before", "Note"), rows)


def _show_signoffs(out: Out, app: App, latest: Revision, signed: list[Signoff]) -> None:
    out.head("Sign-offs of revision {number}", number=latest.number)
    by_stage = {s.stage: s for s in signed}
    rows = []
    for stage in app.signing.stages:
        s = by_stage.get(stage)
        rows.append((stage, s.person if s else out.words("missing"), out.time(s.at) if s else ""))
    out.table(("Stage", "Person", "Time"), rows)
    missing = [stage for stage in app.signing.stages if stage not in by_stage]
    if latest.state is RevisionState.DRAFT and missing:
        out.say(
            "Next: gongbao approve {item} --as NAME --stage {stage} --hash {hash}",
            item=latest.item_id,
            stage=missing[0],
            hash=latest.content_hash[:12],
        )


def _show_findings(out: Out, latest: Revision) -> None:
    from publisher.content import Content

    findings = stored_findings(latest.report)
    out.head("Checklist")
    out.line(out.of(summary(findings)))
    show_findings(out, findings, Content.from_canonical(latest.content))
    if latest.state is RevisionState.HELD:
        out.say(
            "Held: nothing is sent. Mend the text: gongbao correct {item} FILE", item=latest.item_id, style="bold red"
        )


def advise(delivery: Delivery, channel: ChannelState | None = None) -> Text:
    """What to do about one delivery, in a sentence."""
    places = {"id": delivery.id, "channel": delivery.channel}
    if delivery.state is DeliveryState.WAITING:
        if delivery.after_id is not None:
            return bilingual("Waits until delivery {after} is settled.", after=delivery.after_id)
        if channel and channel.closed:
            return bilingual("The channel is closed; gongbao resume {channel} opens it.", **places)
        if channel and channel.paused:
            return bilingual("The channel is paused; gongbao resume {channel} lets it go on.", **places)
        if channel and channel.silent_until:
            return bilingual("The channel gives no answers; it is tried again from time to time, and this goes then.")
    if delivery.state is DeliveryState.IN_DOUBT and delivery.look_at is not None:
        return bilingual(
            "Nothing has to be done before that; who has looked already: gongbao resolve {id} --live URL, "
            "or --not-out --reason WHY.",
            **places,
        )
    return words.advice(delivery.reason, delivery.state, **places)


def show_deliveries(
    out: Out, deliveries: list[Delivery], states: dict[str, ChannelState], *, now: int, titled: bool = True
) -> None:
    if titled:
        out.head("Deliveries")
    if not deliveries:
        out.say("None yet.")
        return
    rows = [
        (
            d.id,
            d.channel,
            out.of(words.operation(d.operation)),
            out.of(words.standing(d)),
            d.attempts,
            out.time(d.updated_at),
            _next(out, d, now),
            d.url,
        )
        for d in deliveries
    ]
    out.table(("Delivery", "Channel", "Operation", "State", "Attempts", "Since", "Next try", "Address"), rows)
    for d in deliveries:
        sentences = [out.of(words.reason(d.reason)), *_unsettled(out, d), out.of(advise(d, states.get(d.channel)))]
        if said := out.sentences(sentences):
            out.line(f"{d.id} {d.channel}: {said}")


def _unsettled(out: Out, d: Delivery) -> list[str]:
    """When it is looked at again, by when a person should have settled it, how long a recall took."""
    said = []
    if d.operation == "recall" and d.state in DELIVERED:
        seconds = f"{max(d.updated_at - d.created_at, 0) / 1_000_000:.1f}"
        said.append(out.words("{duration} after the withdrawal", duration=f"{seconds} s"))
    if d.look_at is not None:
        said.append(out.words("The platform is looked at again at {time}.", time=out.time(d.look_at)))
    if d.deadline_at is not None:
        said.append(out.words("To be settled by {time}.", time=out.time(d.deadline_at)))
    if d.state is DeliveryState.SENT and d.awaits == "person":
        said.append(out.words("A person has to act: gongbao remaining --item {item}", item=d.item_id))
    return said


def _next(out: Out, delivery: Delivery, now: int) -> str:
    if delivery.state is not DeliveryState.WAITING or delivery.after_id is not None:
        return ""
    return out.words("now") if delivery.due_at <= now else out.time(delivery.due_at)


@command(
    "withdraw",
    mark("Take an item back on every channel. Readers see the reason and the note."),
    ITEM,
    option(
        "--reason",
        required=True,
        metavar="CODE",
        help=mark("error, superseded, privacy, secrecy, legal, expired or other."),
    ),
    option("--note", required=True, metavar="TEXT", help=mark("Public sentence.")),
    actor_option(required=True),
)
async def withdraw(out: Out, *, item: str, reason: str, note: str, actor: str) -> None:
    from publisher.desk import WithdrawalReason

    codes = [str(r) for r in WithdrawalReason]
    if reason not in codes:
        remedy = mark("The reasons are: {names}.")
        raise unknown_name(
            "no_such_reason", mark("There is no reason {name}."), remedy, name=reason, names=", ".join(codes)
        )
    async with opened(out) as app:
        made = await app.desk.withdraw(item, reason=WithdrawalReason(reason), note=note, actor=who(actor))
        out.data({"item": item, "reason": reason, "note": note, "recalls": made})
        out.say("{item} is withdrawn: {why}.", item=item, why=words.withdrawal(reason), style="bold")
        if made:
            out.say("It is taken down on: {names}. Follow it: gongbao show {item}", names=", ".join(made), item=item)
        else:
            out.say("It was not out anywhere, so nothing has to be taken down.")


COMMANDS: tuple[Command, ...] = (items, show, withdraw)
