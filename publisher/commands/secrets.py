"""Secrets of accounts, kept sealed in the database: `vault:NAME` in channels.toml."""

from __future__ import annotations

import re
import sys

import click

from publisher.commands.base import Command, Group, actor_option, command, opened, who
from publisher.commands.failures import Exit, Failure
from publisher.commands.out import Out, stamp
from publisher.texts import bilingual, mark

NAME = click.Argument(["name"], metavar="NAME")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
LONGEST = 64 * 1024  # characters: a service account's key file has about 2,400


@command(
    "set", mark("Seal a secret that is typed, or piped in, and keep it. It is never shown again."), NAME, actor_option()
)
async def set_secret(out: Out, *, name: str, actor: str | None) -> None:
    if not _NAME.fullmatch(name):
        raise Failure(
            Exit.USAGE,
            "bad_name",
            bilingual("{name} cannot be the name of a secret.", name=name),
            bilingual("Use a-z, 0-9, _, . and -, at most 64 of them."),
        )
    value = _read(out)
    async with opened(out) as app:
        await app.store.secrets.put(app.vault.seal_secret(name, value), now=app.clock(), actor=who(actor))
        out.data({"name": name, "key": app.vault.current})
        out.say("Kept. Name it in channels.toml: vault:{name}", name=name, style="green")


def _read(out: Out) -> str:
    """From the terminal without echo, else all of standard input; one line end at its end is not part of it."""
    if sys.stdin.isatty():
        value = click.prompt(out.words("Secret"), hide_input=True, confirmation_prompt=True, err=True)
    else:
        value = sys.stdin.read(LONGEST + 1)
    value = str(value).removesuffix("\n").removesuffix("\r")
    if not value or len(value) > LONGEST:
        message = bilingual("The secret is empty, or longer than {limit} characters.", limit=LONGEST)
        raise Failure(Exit.USAGE, "bad_secret", message, bilingual("Pipe it in: gongbao secret set NAME < FILE"))
    return value


@command("list", mark("List the names of the secrets that are kept."))
async def list_secrets(out: Out) -> None:
    async with opened(out) as app:
        found = await app.store.secrets.all()
        out.data(
            {
                "current_key": app.vault.current,
                "secrets": [{"name": s.name, "key": s.key_id, "changed_at": stamp(s.changed_at)} for s in found],
            }
        )
        if not found:
            out.say("No secret is kept. Add one: gongbao secret set NAME")
            return
        rows = [(s.name, s.key_id, out.time(s.changed_at)) for s in found]
        out.table(("Name", "Sealed with", "Changed"), rows)


@command("remove", mark("Forget a secret."), NAME, actor_option())
async def remove(out: Out, *, name: str, actor: str | None) -> None:
    async with opened(out) as app:
        await app.store.secrets.remove(name, now=app.clock(), actor=who(actor))
        out.data({"name": name, "removed": True})
        out.say("Forgotten: {name}", name=name)


@command(
    "rewrap",
    mark("Seal all secrets with the current key of the vault; older keys (GONGBAO_VAULT_OLD_KEYS) open them."),
    actor_option(),
)
async def rewrap(out: Out, *, actor: str | None) -> None:
    async with opened(out) as app:
        changed = await app.store.secrets.rewrap(app.vault.rewrap, now=app.clock(), actor=who(actor))
        out.data({"rewrapped": changed, "key": app.vault.current})
        key = app.vault.current
        out.say("{count} secrets are sealed with key {key} now; the older keys may go.", count=changed, key=key)


secret = Group("secret", help=mark("Secrets of accounts, kept sealed: set, list, remove, rewrap."))
for _command in (set_secret, list_secrets, remove, rewrap):
    secret.add_command(_command)

COMMANDS: tuple[Command | Group, ...] = (secret,)
