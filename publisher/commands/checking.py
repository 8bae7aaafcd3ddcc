"""check-config: reads everything the service would read and says each thing that is wrong, where, and the remedy."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from publisher.commands.alarm_checks import look_at_alarms
from publisher.commands.base import Command, command, settings
from publisher.commands.config_words import in_both
from publisher.commands.failures import Exit, as_failure
from publisher.commands.out import Out
from publisher.texts import Text, bilingual, mark

if TYPE_CHECKING:
    from publisher.app import Agency, ChannelAccount, People, Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one look came to. `level` is ok, warn or wrong; `where` names the file, variable or account."""

    where: str
    level: str
    message: Text
    remedy: Text | None = None

    def to_dict(self) -> dict[str, Any]:
        remedy = self.remedy.as_dict() if self.remedy else None
        return {"where": self.where, "level": self.level, "message": self.message.as_dict(), "remedy": remedy}


class Looks:
    """Gathers the answers; a look that raises becomes one answer for each thing that was wrong."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def fine(self, where: str, msgid: str, **values: Any) -> None:
        self.answers.append(Answer(where, "ok", bilingual(msgid, **values)))

    def warn(self, where: str, message: Text, remedy: Text) -> None:
        self.answers.append(Answer(where, "warn", message, remedy))

    def wrong(self, where: str, message: Text, remedy: Text | None = None) -> None:
        self.answers.append(Answer(where, "wrong", message, remedy))

    def read(self, where: str, load: Callable[[], T]) -> T | None:
        try:
            return load()
        except Exception as error:
            self.raised(where, error)
            return None

    def raised(self, where: str, error: Exception) -> None:
        from publisher.app import ConfigError

        if isinstance(error, ConfigError):
            for key, what in error.problems:
                place = f"{error.where}: {key}" if key else error.where
                self.wrong(place, in_both(what), bilingual("Mend it there."))
            return
        for message, remedy in as_failure(error).parts:
            self.wrong(where, message, remedy)


@command(
    "check-config",
    mark("Read and try everything the service needs, and say each thing that is wrong. Changes nothing."),
)
async def check_config(out: Out) -> int:
    looks = Looks()
    chosen = looks.read("environment", settings)
    if chosen is not None:
        looks.fine("environment", "The GONGBAO_ variables can be read.")
        _look_at_files(looks, chosen, await _vault(looks, chosen))
        _look_at_address(looks, chosen)
        _look_at_data(looks, chosen)
        await _look_at_database(looks, chosen)
    wrong = [a for a in looks.answers if a.level == "wrong"]
    out.data({"ok": not wrong, "answers": [a.to_dict() for a in looks.answers]})
    _say(out, looks.answers, len(wrong))
    return Exit.USAGE if wrong else Exit.OK


LEVELS = {"ok": mark("ok"), "warn": mark("look"), "wrong": mark("WRONG")}
STYLES = {"ok": "green", "warn": "yellow", "wrong": "bold red"}


def _say(out: Out, answers: Sequence[Answer], wrong: int) -> None:
    for a in answers:
        shown = out.of(a.message) if a.level == "ok" else str(a.message)
        out.line(f"{out.words(LEVELS[a.level])}  {a.where}: {shown}", style=STYLES[a.level])
        if a.remedy:
            out.line(f"    → {a.remedy}")
    if wrong:
        out.say("{count} things are wrong. The service should not be started so.", count=wrong, style="bold red")
    else:
        out.say("Everything the service needs is there.", style="bold green")


async def _vault(looks: Looks, chosen: Settings) -> Mapping[str, str]:
    """The vault's secrets, as far as they can be opened; what an account misses is told with the account."""
    from content_queue.store import Store
    from publisher.app import open_vault
    from publisher.commands.verify import database_file

    try:
        vault = looks.read("GONGBAO_VAULT_KEY", lambda: open_vault(chosen)) if chosen.vault_keys else None
        file = database_file(chosen)
        if file is not None and not file.is_file():
            return {}
        store = Store(chosen.database)
    except Exception:
        return {}  # told where the database is looked at
    try:
        sealed = await store.secrets.all()
    except Exception:
        return {}
    finally:
        await store.close()
    vault = vault or (looks.read("vault", lambda: open_vault(chosen)) if sealed else None)
    opened = looks.read("vault", lambda: {s.name: vault.open_secret(s) for s in sealed}) if vault else None
    return opened or {}


def _look_at_files(looks: Looks, chosen: Settings, vault: Mapping[str, str]) -> None:
    from publisher.app import check_filings, load_agency, load_channels, load_people
    from publisher.checklist import Checklist
    from publisher.rehearsal import rehearsed

    base = chosen.config_dir
    agency = looks.read("agency.toml", lambda: load_agency(base))
    people = looks.read("people.toml", lambda: load_people(base))
    accounts = looks.read("channels.toml", lambda: load_channels(base))
    if chosen.sandbox and accounts is not None:
        accounts = rehearsed(accounts, chosen.data_dir)
    look_at_alarms(looks, chosen, accounts)
    checklist = looks.read("rules", lambda: Checklist.load(base / "rules", base / "words"))
    if agency is not None:
        looks.fine("agency.toml", "{name}, {count} columns", name=agency.name_zh, count=len(agency.columns))
    if people is not None:
        _look_at_people(looks, people)
    if checklist is not None:
        looks.fine("rules", "{count} rules", count=len(checklist.rules))
    if accounts is not None:
        _look_at_accounts(looks, chosen, accounts, vault)
        if not chosen.sandbox:
            looks.read("channels.toml", lambda: check_filings(accounts))
        if agency is not None:
            _look_at_routes(looks, agency, accounts)


def _look_at_people(looks: Looks, people: People) -> None:
    if can_be_signed(people.stages, {p.name: p.may_sign for p in people.people}):
        looks.fine(
            "people.toml", "{count} people, stages: {stages}", count=len(people.people), stages=", ".join(people.stages)
        )
        return
    message = bilingual("No item can ever be fully signed: the stages need different people, and there are too few.")
    looks.wrong("people.toml", message, bilingual("Let more people sign; one person signs one stage."))


def can_be_signed(stages: Sequence[str], may_sign: Mapping[str, Sequence[str]]) -> bool:
    """Whether every stage can have a person of its own."""
    from publisher.first_start import assign

    return assign(stages, may_sign) is not None


def _look_at_accounts(
    looks: Looks, chosen: Settings, accounts: Sequence[ChannelAccount], vault: Mapping[str, str]
) -> None:
    """Builds every account, the ones that are off too: nothing is sent."""
    for account in accounts:
        where = f"channels.toml ({account.name})"
        try:
            _build(chosen, account, where, vault)
        except Exception as error:
            _say_unbuilt(looks, where, error)
        else:
            looks.fine(where, "{kind}, on" if account.on else "{kind}, off", kind=account.kind)
            if account.on and not (account.responsible or account.owner):
                message = bilingual("Nobody is named as responsible for this account.")
                looks.warn(where, message, bilingual("Set owner and responsible in channels.toml."))


def _build(chosen: Settings, account: ChannelAccount, where: str, vault: Mapping[str, str]) -> None:
    from channels.registry import Tools, build
    from publisher.app import Transports, secret

    own = account.own_keys.items()
    keys = {k: secret(v, where=where, key=k, base=chosen.data_dir, vault=vault) for k, v in own}
    transport = Transports(chosen).of(account)
    build(account.name, account.kind, keys, Tools(transport=transport, clock=lambda: 0.0, shelf=_NoShelf()))


UNUSED = "nothing is published while the configuration is checked"


class _NoShelf:
    """Enough of a shelf to build the site channel with; nothing is ever put on it."""

    async def put(self, post: Any) -> Any:
        raise AssertionError(UNUSED)

    async def replace(self, post: Any) -> Any:
        raise AssertionError(UNUSED)

    async def take_down(self, post: Any) -> Any:
        raise AssertionError(UNUSED)

    async def shows(self, item_id: str) -> int | None:
        raise AssertionError(UNUSED)


def _say_unbuilt(looks: Looks, where: str, error: Exception) -> None:
    from channels.registry import BadSettings, UnknownKind

    if isinstance(error, UnknownKind):
        message = bilingual("There is no kind {kind}.", kind=error.kind)
        looks.wrong(f"{where}: kind", message, bilingual("The kinds are: {names}.", names=", ".join(error.known)))
    elif isinstance(error, BadSettings):
        remedy = bilingual("Mend it in channels.toml; docs/channels explains the keys.")
        for key, what in error.problems:
            looks.wrong(f"{where}: {key}" if key else where, in_both(what), remedy)
    else:
        looks.raised(where, error)


def _look_at_routes(looks: Looks, agency: Agency, accounts: Sequence[ChannelAccount]) -> None:
    known = {a.name for a in accounts}
    for column in agency.columns:
        for name in column.channels:
            if name not in known:
                message = bilingual("{name} is no channel of channels.toml.", name=name)
                where = f"agency.toml: columns.{column.slug}.channels"
                looks.wrong(where, message, bilingual("Correct the name, or add the channel."))
    if not any(a.on for a in accounts):
        message = bilingual("No channel is on: nothing would be published.")
        looks.warn("channels.toml", message, bilingual("Set on = true for at least one."))


def _look_at_address(looks: Looks, chosen: Settings) -> None:
    where, url = "GONGBAO_BASE_URL", chosen.public_url
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and not (parts.query or parts.fragment)
        host = parts.hostname or ""
    except ValueError:
        good, host = False, ""
    if not good:
        looks.wrong(
            where,
            bilingual("The public address is not an http(s) address."),
            bilingual("Set GONGBAO_BASE_URL=https://HOST"),
        )
    elif _is_local(host):
        message = bilingual("Readers elsewhere cannot open {url}: it leads to their own machine.", url=url)
        looks.warn(where, message, bilingual("Before going live, set GONGBAO_BASE_URL to the public address."))
    elif parts.scheme != "https":
        looks.warn(where, bilingual("The public address is not https."), bilingual("Put it behind TLS."))
    else:
        looks.fine(where, "{url}", url=url)


def _is_local(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def _look_at_data(looks: Looks, chosen: Settings) -> None:
    folder = chosen.data_dir
    if not folder.exists():
        _look_at_parent(looks, folder)
        return
    try:
        with tempfile.TemporaryFile(dir=folder):
            looks.fine(str(folder), "The data folder can be written.")
    except OSError as error:
        looks.wrong(str(folder), _unwritable(error), bilingual("Give the service's user the right to write there."))
        return
    if (folder / "keys").exists():
        _look_at_key(looks, folder / "keys")


def _look_at_parent(looks: Looks, folder: Path) -> None:
    parent = next(p for p in folder.resolve().parents if p.exists())
    if os.access(parent, os.W_OK | os.X_OK):
        looks.fine(str(folder), "The data folder will be made on the first start.")
    else:
        message = bilingual("The data folder is missing and cannot be made.")
        looks.wrong(str(folder), message, bilingual("Make it and give it to the service's user."))


def _unwritable(error: OSError) -> Text:
    return bilingual("The data folder cannot be written: {what}.", what=error.strerror or type(error).__name__)


def _look_at_key(looks: Looks, folder: Path) -> None:
    from publisher.keys import SEED_FILE, load_public

    seed = folder / SEED_FILE
    if not seed.exists():
        looks.warn(str(folder), bilingual("The log's key is not there yet."), bilingual("The first start makes it."))
        return
    if seed.stat().st_mode & 0o077:
        message = bilingual("Others on this machine can read the log's secret key.")
        looks.wrong(str(seed), message, bilingual("Run: chmod 600 {path}", path=seed))
    if looks.read(str(folder), lambda: load_public(folder)) is not None:
        looks.fine(str(folder), "The log's key is there; keep a copy of log.vkey outside.")


async def _look_at_database(looks: Looks, chosen: Settings) -> None:
    from content_queue.store import Store
    from publisher.commands.verify import database_file

    where = "GONGBAO_DATABASE_URL" if chosen.database_url else str(chosen.data_dir / "gongbao.db")
    file = looks.read(where, lambda: database_file(chosen))
    if file is not None and not file.is_file():
        looks.fine(where, "The database will be made on the first start.")
        return
    store = looks.read(where, lambda: Store(chosen.database))
    if store is None:
        return
    try:
        await store.ping()
        await _look_at_tables(looks, where, store)
    except Exception as error:
        looks.raised(where, error)
    finally:
        await store.close()


async def _look_at_tables(looks: Looks, where: str, store: Any) -> None:
    try:
        items = await store.items.count()
        books = await store.deliveries.books()
    except Exception:
        message = bilingual("The database answers, but its tables are not there or not up to date.")
        looks.warn(where, message, bilingual("The next start of the service brings them up to date."))
        return
    if books.balanced:
        looks.fine(
            where, "{items} revisions, {deliveries} deliveries", items=sum(items.values()), deliveries=books.accepted
        )
    else:
        looks.wrong(where, bilingual("The books do not balance."), bilingual("Run gongbao verify-log."))


COMMANDS: tuple[Command, ...] = (check_config,)
