"""A live look at the accounts: can each publish, how long does its token last?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from publisher.commands.base import Command, command, opened, unknown_name
from publisher.commands.failures import Exit
from publisher.commands.out import Out, stamp
from publisher.commands.words import reason
from publisher.measures import named
from publisher.texts import mark

if TYPE_CHECKING:
    from content_queue.store import AccountCheck
    from publisher.app import App

NAMES = click.Argument(["names"], nargs=-1, metavar="[CHANNEL...]")


@command(
    "check-accounts", mark("Look at the accounts on their platforms now; nothing a reader could notice is done."), NAMES
)
async def check_accounts(out: Out, *, names: tuple[str, ...]) -> int:
    async with opened(out) as app:
        for name in names:
            if name not in app.routes.accounts:
                remedy, known = mark("The channels are: {names}."), ", ".join(app.routes.accounts)
                raise unknown_name(
                    "no_such_channel", mark("There is no channel {name}."), remedy, name=name, names=known
                )
        found = await _look(app, names or app.routes.accounts)
        out.data({"accounts": [_plain(check) for check in found]})
        for check in found:
            _say(out, check)
        return Exit.FOUND if any(check.reason for check in found) else Exit.OK


async def _look(app: App, names: tuple[str, ...]) -> list[AccountCheck]:
    from publisher.app import Transports
    from publisher.checkups import check_account

    transports = Transports(app.settings)
    channels = {a.name: app.workshop.one(a, transports) for a in app.accounts if a.on and a.name in names}
    async with transports:
        found = [await check_account(name, channel) for name, channel in channels.items()]
    for check in found:
        await app.store.accounts.checked(check, now=app.clock())
    return found


def _plain(check: AccountCheck) -> dict[str, Any]:
    words = reason(check.reason).as_dict() if check.reason else None
    facts = {"channel": check.name, "well": not check.reason, "reason": check.reason, "meaning": words}
    return facts | {"token_until": stamp(check.token_until), "facts": dict(check.facts)}


def _say(out: Out, check: AccountCheck) -> None:
    if check.reason:
        out.say("{channel}: {why}", channel=check.name, why=reason(check.reason), style="bold red")
    elif check.facts.get("check") == "none":
        out.say("{channel}: this kind has nothing to look at", channel=check.name)
    else:
        out.say("{channel}: the account answers", channel=check.name, style="green")
        for key, value in check.facts.items():
            out.line(f"    {out.of(named(key))}: {out.of(named(value))}")


COMMANDS: tuple[Command, ...] = (check_accounts,)
