"""What each channel will get of an item: its text, counted, what is left out, and what can be done afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from channels.contract import Channel, Preparable, Prepared
from channels.forms import number
from channels.verdicts import Verdict
from publisher.abilities import abilities, sentence
from publisher.commands.base import Command, command, opened, option, unknown_name
from publisher.commands.failures import Exit
from publisher.commands.out import Out
from publisher.commands.papers import paper_for
from publisher.fitting import PARTS, UNITS, said
from publisher.texts import Text, bilingual, mark

if TYPE_CHECKING:
    from channels.contract import Post
    from publisher.app import App, ChannelAccount
    from publisher.content import Content

LEFT_OUT: Mapping[str, str] = MappingProxyType(
    {
        "body": mark("the body (the link leads to it)"),
        "table": mark("tables"),
        "html": mark("formatting"),
        "image": mark("picture"),
        "images": mark("pictures"),
        "links": mark("links"),
        "hashtags": mark("hashtags"),
        "attachments": mark("attachments"),
        "note": mark("the note of the correction"),
        "summary": mark("the summary"),
    }
)
WHAT = click.Argument(["what"], metavar="ITEM|FILE")


@command(
    "preview",
    mark("Show exactly what each channel will get of an item or a file. Ends with 1 when one cannot take it."),
    WHAT,
    option("--channel", metavar="NAME", help=mark("Only this channel.")),
)
async def preview(out: Out, *, what: str, channel: str | None) -> int:
    async with opened(out) as app:
        content, item_id, number, note = await _read(app, what)
        names = app.routes.of(content)
        if channel is not None:
            if channel not in app.routes.accounts:
                remedy = mark("The channels are: {names}.")
                known = ", ".join(app.routes.accounts)
                raise unknown_name(
                    "no_such_channel", mark("There is no channel {name}."), remedy, name=channel, names=known
                )
            names = (channel,)
        shown = [_one(app, name, content, item_id, number, note) for name in names]
        out.data({"item": item_id, "title": content.title, "channels": [_plain(one) for one in shown]})
        out.line(content.title, style="bold")
        for one in shown:
            _show(out, one)
        return Exit.FOUND if any(one["problem"] for one in shown) else Exit.OK


async def _read(app: App, what: str) -> tuple[Content, str, int, str]:
    """Content, item, revision number and the public sentence of a correction."""
    from publisher.content import Content
    from publisher.gate import UNNAMED

    if _is_file(what):
        submission, _ = await app.desk.check(paper_for(app, what, {}))
        return submission.content, submission.item_id or UNNAMED, 1, ""
    revision = await app.desk.latest(what)
    return Content.from_canonical(revision.content), revision.item_id, revision.number, revision.note


def _is_file(what: str) -> bool:
    return Path(what).is_file()


def _one(app: App, name: str, content: Content, item_id: str, number: int, note: str) -> dict[str, Any]:
    account = next(a for a in app.accounts if a.name == name)
    channel = app.workshop.channels().get(name)
    post = app.fitting.post(name, content, item_id=item_id, number=number, note=note)
    facts: dict[str, Any] = {"account": account, "channel": channel, "post": post, "prepared": None, "problem": None}
    if channel is None:
        return facts | {"problem": bilingual("{channel} cannot be built here: check its secrets.", channel=name)}
    if not isinstance(channel, Preparable):
        return facts
    try:
        return facts | {"prepared": channel.prepare(post)}
    except Verdict as refused:
        return facts | {"problem": said(name, refused)}


def _plain(one: dict[str, Any]) -> dict[str, Any]:
    account: ChannelAccount = one["account"]
    prepared: Prepared | None = one["prepared"]
    problem: Text | None = one["problem"]
    channel: Channel | None = one["channel"]
    post: Post = one["post"]
    measured = [
        {"part": m.part, "length": m.length, "limit": m.limit, "unit": m.unit} for m in prepared.measured
    ] if prepared else []
    return {
        "channel": account.name,
        "kind": account.kind,
        "operation": str(post.operation),
        "language": post.language,
        "text": prepared.text if prepared else "",
        "form": prepared.form if prepared and _is_plain(prepared.form) else None,
        "measured": measured,
        "dropped": list(prepared.dropped) if prepared else [],
        "abilities": abilities(channel) if channel else {},
        "problem": problem.as_dict() if problem else None,
    }


def _is_plain(form: Any) -> bool:
    """Whether it can be shown as JSON as it is."""
    if isinstance(form, dict):
        return all(isinstance(k, str) and _is_plain(v) for k, v in form.items())
    if isinstance(form, list | tuple):
        return all(_is_plain(v) for v in form)
    return form is None or isinstance(form, str | int | float | bool)


def _left_out(out: Out, code: str) -> str:
    """In words where the code is known; `image:13` is the thirteenth picture."""
    name, _, detail = code.partition(":")
    return out.words(LEFT_OUT.get(name, name)) + (f" {detail}" if detail else "")


def _show(out: Out, one: dict[str, Any]) -> None:
    account, post, channel = one["account"], one["post"], one["channel"]
    facts = {"name": account.name, "kind": account.kind, "language": post.language}
    out.head("{name} ({kind}, {language})", **facts)
    if channel is not None:
        told = abilities(channel)
        out.line("  " + out.sentences(out.of(sentence(a, told[a])) for a in ("edit", "recall", "look")))
    if one["problem"]:
        out.line("  " + out.of(one["problem"]), style="bold red")
        return
    prepared: Prepared | None = one["prepared"]
    if prepared is None:
        return
    for m in prepared.measured:
        part, unit = out.words(PARTS.get(m.part, m.part)), out.words(UNITS.get(m.unit, m.unit))
        limit = number(m.limit)
        words = mark("  {part}: {length} of {limit} {unit}") if m.limit else mark("  {part}: {length} {unit}")
        out.say(words, part=part, length=number(m.length), limit=limit, unit=unit)
    if prepared.dropped:
        names = ", ".join(_left_out(out, code) for code in prepared.dropped)
        out.say("  left out: {names}", names=names, style="yellow")
    for line in prepared.text.splitlines():
        out.line(f"  | {line}")


COMMANDS: tuple[Command, ...] = (preview,)
