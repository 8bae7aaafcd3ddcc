"""Tokens of the API, the people who sign, and the rules of the checklist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from publisher.clock import SECOND
from publisher.commands.base import Command, Group, actor_option, command, lang_option, opened, option, settings, who
from publisher.commands.out import Out, stamp
from publisher.texts import mark

if TYPE_CHECKING:
    from content_queue.store import Token

DAY = 86_400 * SECOND
ROLES = ("editor", "reviewer", "operator", "auditor")  # config/settings.py API_ROLES; a test holds them equal


@command(
    "create",
    mark("Make a token. It is shown once; only its hash is kept."),
    option("--name", required=True, metavar="TEXT", help=mark("Whose token it is; it stands in the log.")),
    option("--role", required=True, type=click.Choice(ROLES), help=mark("What it may do.")),
    option(
        "--days", type=click.IntRange(1, 3650), metavar="N", help=mark("Ends after so many days (otherwise never).")
    ),
    actor_option(),
)
async def create(out: Out, *, name: str, role: str, days: int | None, actor: str | None) -> None:
    async with opened(out) as app:
        ends = app.clock() + days * DAY if days else None
        token = await app.desk.create_token(name=name, role=role, actor=who(actor), expires_at=ends)
        out.data({"name": name, "role": role, "expires_at": stamp(ends), "token": token})
        out.say("Token for {name} ({role}), shown this once:", name=name, role=role, style="bold")
        if not out.as_json:
            click.echo(token)
        out.say("Use it as the header: Authorization: Bearer TOKEN")


@command("list", mark("List the tokens; never the tokens themselves."))
async def listing(out: Out) -> None:
    async with opened(out) as app:
        found = await app.store.access.tokens()
        now = app.clock()
        out.data({"tokens": [_view(t, now) for t in found]})
        rows = [
            (t.id, t.name, t.role, out.words(_standing(t, now)), out.time(t.created_at), out.time(t.expires_at))
            for t in found
        ]
        out.table(("Token", "Name", "Role", "State", "Made", "Expires"), rows)


def _standing(token: Token, now: int) -> str:
    if token.revoked_at is not None:
        return mark("revoked")
    return mark("ended") if token.expires_at is not None and token.expires_at <= now else mark("valid")


def _view(token: Token, now: int) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role,
        "state": _standing(token, now),
        "created_at": stamp(token.created_at),
        "expires_at": stamp(token.expires_at),
        "revoked_at": stamp(token.revoked_at),
    }


@command("revoke", mark("End a token at once."), click.Argument(["number"], type=int, metavar="ID"), actor_option())
async def revoke(out: Out, *, number: int, actor: str | None) -> None:
    async with opened(out) as app:
        await app.store.access.revoke(number, now=app.clock(), actor=who(actor))
        out.data({"id": number, "state": "revoked"})
        out.say("Token {id} is revoked; requests with it are refused from now on.", id=number, style="bold")


token = Group("token", help=mark("Tokens of the API."), params=[lang_option()])
for _one in (create, listing, revoke):
    token.add_command(_one)


@command("people", mark("List the stages of sign-off and who may sign them."))
async def people(out: Out) -> None:
    from publisher.app import load_people

    found = load_people(settings().config_dir)
    shown = [
        {"name": p.name, "unit": p.unit, "may_sign": list(p.may_sign), "roles": list(p.roles)} for p in found.people
    ]
    out.data({"stages": list(found.stages), "people": shown})
    out.say("Stages, in order: {stages}", stages=", ".join(found.stages))
    rows = [(p.name, p.unit, ", ".join(p.may_sign), ", ".join(p.roles)) for p in found.people]
    out.table(("Person", "Unit", "May sign", "Roles"), rows)


@command("rules", mark("List the rules of the checklist."))
async def rules(out: Out) -> None:
    from publisher.checklist import Checklist

    base = settings().config_dir
    checklist = Checklist.load(base / "rules", base / "words")
    shown: list[dict[str, Any]] = [
        {
            "id": r.id,
            "version": r.version,
            "severity": min((c.severity for c in r.cases.values()), key=lambda s: s.rank).value,
            "overridable": all(c.overridable for c in r.cases.values()),
            "title": r.title.as_dict(),
        }
        for r in checklist.rules
    ]
    out.data({"ruleset": checklist.ruleset, "rules": shown})
    rows = [
        (
            r["id"],
            r["version"],
            r["severity"],
            out.words("yes") if r["overridable"] else out.words("no"),
            r["title"]["zh" if out.language == "zh" else "en"],
        )
        for r in shown
    ]
    out.table(("Rule", "Version", "Severity", "May be accepted", "What it finds"), rows)


COMMANDS: tuple[Command | Group, ...] = (token, people, rules)
