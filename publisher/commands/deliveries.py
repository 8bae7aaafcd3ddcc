"""Operators: what is going out, what failed, what is in doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from content_queue.states import DeliveryState
from publisher.commands.base import Command, actor_option, command, limit_option, opened, option, who, worst
from publisher.commands.failures import Exit, Failure, as_failure
from publisher.commands.items import delivery_view, show_deliveries
from publisher.commands.out import Out
from publisher.texts import bilingual, mark

if TYPE_CHECKING:
    from content_queue.model import Delivery
    from publisher.app import App


@command(
    "deliveries",
    mark("List deliveries, newest first, with what to do about them."),
    option("--state", type=click.Choice([str(s) for s in DeliveryState]), help=mark("Only those in this state.")),
    option("--channel", metavar="NAME", help=mark("Only this channel.")),
    option("--item", metavar="ITEM", help=mark("Only this item.")),
    limit_option(),
)
async def deliveries(out: Out, *, state: str | None, channel: str | None, item: str | None, limit: int) -> None:
    async with opened(out) as app:
        found = await app.store.deliveries.listing(state=state, channel=channel, item=item, limit=limit)
        out.data({"deliveries": [{**delivery_view(d)} for d in found]})
        show_deliveries(out, found, await app.store.channels.states(), now=app.clock(), titled=False)
        if not out.as_json and len(found) == limit:
            out.say("There may be more: -n shows more of them.")


@command(
    "retry",
    mark("Send failed deliveries again now, or make waiting ones due now."),
    click.Argument(["ids"], nargs=-1, required=True, type=int, metavar="DELIVERY..."),
    option("--reason", required=True, metavar="TEXT", help=mark("Why; it stands in the log.")),
    actor_option(),
)
async def retry(out: Out, *, ids: tuple[int, ...], reason: str, actor: str | None) -> int:
    answers: list[dict[str, Any]] = []
    async with opened(out) as app:
        statuses = [await _retry_one(out, app, number, reason, who(actor), answers) for number in ids]
    out.data({"deliveries": answers})
    return worst(statuses)


async def _retry_one(out: Out, app: App, number: int, reason: str, actor: str, answers: list[dict[str, Any]]) -> int:
    try:
        before = await app.store.deliveries.get(number)
        if before.state is DeliveryState.IN_DOUBT:
            raise _doubtful(number)
        after = await app.desk.retry(number, actor=actor, reason=reason)
    except Exception as error:
        failure = as_failure(error)
        failure.show(out.errors, out.language, as_json=False)
        answers.append({"id": number, "error": failure.to_dict()})
        return failure.status
    answers.append(delivery_view(after))
    out.say("Delivery {id} on {channel} is due now.", id=number, channel=after.channel, style="green")
    out.say("A running service sends it; follow it: gongbao log --delivery {id}", id=number)
    return Exit.OK


def _doubtful(number: int) -> Failure:
    return Failure(
        Exit.REFUSED,
        "in_doubt",
        bilingual("Delivery {id} may be out already; it is not sent again blindly.", id=number),
        bilingual("Look at the channel, then: gongbao resolve {id} --live URL, or --not-out --reason WHY.", id=number),
    )


@command(
    "resolve",
    mark("Settle what waits for a person, after looking at the channel: live, not out, done by hand, or dropped."),
    click.Argument(["number"], type=int, metavar="DELIVERY"),
    option("--live", "url", metavar="URL", help=mark("It is out, and here it is.")),
    option("--not-out", is_flag=True, help=mark("It is not out: it is sent again.")),
    option("--done", is_flag=True, help=mark("You did by hand what the channel could not.")),
    option("--dropped", is_flag=True, help=mark("It will not be done.")),
    option("--reason", metavar="TEXT", default="", help=mark("How you know; it stands in the log.")),
    actor_option(),
)
async def resolve(
    out: Out, *, number: int, url: str | None, not_out: bool, done: bool, dropped: bool, reason: str, actor: str | None
) -> None:
    if [bool(url), not_out, done, dropped].count(True) != 1:
        _refuse_use(mark("Say one of --live URL, --not-out, --done and --dropped."))
    if not url and not reason:
        _refuse_use(mark("--not-out, --done and --dropped need --reason: how do you know, or why not?"))
    async with opened(out) as app:
        facts = {"actor": who(actor), "reason": reason}
        before = await app.store.deliveries.get(number)
        if before.state is not DeliveryState.IN_DOUBT and not_out:
            raise _not_in_doubt(before)
        if url:
            after = await app.desk.seen_live(number, url=url, **facts)
            out.say("Delivery {id} is settled: live at {url}.", id=number, url=url, style="green")
        elif done:
            after = await app.desk.done_by_hand(number, **facts)
            out.say("Delivery {id} is settled: done by hand.", id=number, style="green")
        elif dropped:
            after = await app.desk.drop(number, **facts)
            out.say("Delivery {id} is settled: it will not be done.", id=number, style="green")
        else:
            after = await app.desk.not_out(number, **facts)
            _say_not_out(out, after)
        out.data(delivery_view(after))


def _say_not_out(out: Out, after: Delivery) -> None:
    if after.state is DeliveryState.CANCELLED:
        out.say("Delivery {id} is cancelled: something newer takes its place.", id=after.id, style="green")
    else:
        out.say("Delivery {id} is sent again; follow it: gongbao log --delivery {id}", id=after.id, style="green")


def _refuse_use(message: str) -> None:
    raise Failure(Exit.USAGE, "usage", bilingual(message))


def _not_in_doubt(delivery: Delivery) -> Failure:
    from publisher.commands.words import delivery_state

    state = delivery_state(delivery.state)
    message = bilingual("Delivery {id} is not in doubt: {state}.", id=delivery.id, state=state)
    return Failure(Exit.REFUSED, "not_in_doubt", message, bilingual("Failed ones are sent again with gongbao retry."))


COMMANDS: tuple[Command, ...] = (deliveries, retry, resolve)
