"""What waits for a person, what to do about each in plain words, and what a restored database leaves in doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from content_queue.states import DeliveryState
from publisher.commands import views, words
from publisher.commands.base import Command, command, limit_option, opened, option
from publisher.commands.failures import Exit
from publisher.commands.out import Out, stamp
from publisher.tasks import what_to_do
from publisher.texts import bilingual, mark

if TYPE_CHECKING:
    from content_queue.model import Delivery
    from content_queue.store import Suspects, Task


@command(
    "remaining",
    mark("List what waits for a person: doubts, drafts and tasks, what a platform could not take back."),
    option("--channel", metavar="NAME", help=mark("Only this channel.")),
    option("--item", metavar="ITEM", help=mark("Only this item.")),
    limit_option(200),
)
async def remaining(out: Out, *, channel: str | None, item: str | None, limit: int) -> None:
    async with opened(out) as app:
        now = app.clock()
        found = await app.store.remaining.listing(now=now, channel=channel, item=item, limit=limit)
        out.data({"remaining": [task_view(t, now) for t in found]})
        if not found:
            out.say("Nothing waits for a person.", style="green")
        for task in found:
            _show(out, task, now)


def task_view(task: Task, now: int) -> dict[str, Any]:
    d = task.delivery
    return {
        **views.delivery(d),
        "links": list(task.links),
        "overdue": _overdue(d, now),
        "meaning": words.reason(d.reason).as_dict(),
        "advice": what_to_do(task).as_dict(),
    }


def _overdue(delivery: Delivery, now: int) -> bool:
    return delivery.deadline_at is not None and delivery.deadline_at < now


def _show(out: Out, task: Task, now: int) -> None:
    d = task.delivery
    late = _overdue(d, now)
    head = f"#{d.id}  {d.channel}  {out.of(words.operation(d.operation))}  {d.item_id}"
    if d.deadline_at is not None:
        said = mark("overdue since {time}") if late else mark("until {time}")
        head += "  " + out.words(said, time=out.time(d.deadline_at))
    out.line(head, style="bold red" if late else "bold")
    state = [out.of(words.standing(d)), out.of(words.reason(d.reason))]
    out.line("    " + out.sentences(state))
    for link in task.links:
        out.line(f"    {link}")
    if d.look_at is not None:
        out.line("    " + out.words("The platform is looked at again at {time}.", time=out.time(d.look_at)))
    out.line("    → " + out.of(what_to_do(task)), style="yellow")


@command(
    "restored",
    mark("After an older database was restored: list what may be out already. Ends with 1 until you start again."),
)
async def restored(out: Out) -> int:
    async with opened(out) as app:
        found = await app.store.restores.suspects()
        out.data(_answer(found))
        if found.since is None:
            out.say("No older database has been restored, as far as is known.", style="green")
            return Exit.OK
        _say_suspects(out, found)
        return Exit.FOUND if found.standing or found.doubtful else Exit.OK


def _answer(found: Suspects) -> dict[str, Any]:
    lists = {name: [views.delivery(d) for d in getattr(found, name)] for name in ("doubtful", "repeated", "parked")}
    return {
        "restored": found.since is not None,
        "standing": found.standing,
        "since": stamp(found.since),
        "missing_entries": found.missing,
        **lists,
        "unreleased": [views.revision(r) for r in found.unreleased],
    }


def _say_suspects(out: Out, found: Suspects) -> None:
    out.say("An older database was restored; found at {time}.", time=out.time(found.since), style="bold red")
    out.say("{count} sealed entries of the log are gone with it. What they told of cannot be known: items handed in"
            " since the backup, and their posts.", count=found.missing)
    parts = (
        (found.doubtful, mark("May be out already, and the platform would show it twice: nothing is sent")),
        (found.parked, mark("Wait for one of these")),
        (found.repeated, mark("Are sent again under the same key, which their platform drops if it has them")),
    )
    for deliveries, head in parts:
        if deliveries:
            out.head(head)
            rows = [(d.id, d.channel, out.of(words.operation(d.operation)), d.item_id, d.revision) for d in deliveries]
            out.table(("Delivery", "Channel", "Operation", "Item", "Revision"), rows)
    if found.unreleased:
        out.head("Not released as far as is known; may have been since the backup")
        out.table(("Item", "Revision", "Title"), [(r.item_id, r.number, r.title) for r in found.unreleased])
    if found.standing:
        out.say("Everything is stopped. When you have looked: gongbao start-again", style="bold")
    if any(d.state is DeliveryState.IN_DOUBT for d in found.doubtful):
        out.line(str(bilingual("Settle what is in doubt: gongbao remaining tells how.")))


COMMANDS: tuple[Command, ...] = (remaining, restored)
