"""Builds every object from the settings. Nothing else reads them; nothing is built at import.

`open_app` gives the desk and the store; `publisher/service.py` adds the parts that run.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from channels.contract import Channel
from channels.registry import BadSettings, Tools, UnknownKind, kinds
from channels.registry import build as build_channel
from channels.transport import Transport
from config.alarms import AlarmFile, canary_accounts, load_alarms
from config.log_setup import set_up
from config.settings import (
    API_ROLES,
    ROLES,
    Agency,
    ChannelAccount,
    ConfigError,
    Network,
    People,
    Settings,
    load_agency,
    load_channels,
    load_people,
    load_settings,
    rehearsing,
    secret,
)
from content_queue.store import Store
from publisher.allowances import Rules, of_all
from publisher.checklist import Checklist
from publisher.clock import SECOND, Clock, Clocks, QueueClock, now, today
from publisher.desk import Desk
from publisher.fanout import Routes
from publisher.fitting import Fitting
from publisher.gate import Gate
from publisher.health import Health
from publisher.intake import Defaults, Limits
from publisher.keys import log_key
from publisher.media import MediaFiles, MediaStore
from publisher.people import Signing
from publisher.posts import Addresses
from publisher.rehearsal import rehearsed
from publisher.shelf import SiteShelf
from publisher.tokens import StoreTokens
from publisher.vault import Unopened, Vault, VaultError, local_key
from publisher.web.view import Column, SiteInfo

# What the commands may know of `config`: nobody else imports it.
__all__ = [
    "API_ROLES",
    "ROLES",
    "Agency",
    "AlarmFile",
    "App",
    "ChannelAccount",
    "ConfigError",
    "Configuration",
    "People",
    "Settings",
    "Transports",
    "build_channels",
    "check_channels",
    "check_filings",
    "load_agency",
    "load_alarms",
    "load_channels",
    "load_people",
    "load_settings",
    "open_app",
    "open_vault",
    "read_configuration",
    "rehearsing",
    "secret",
    "set_up",
]

log = logging.getLogger(__name__)

MIB = 1024 * 1024
USER_AGENT = "Gongbao/0.1"
LOCAL_KEY = "keys/vault.key"
LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"),)


@dataclass(frozen=True, slots=True)
class App:
    """Everything that the doors (command line, API, pages) need; no loop is running in it."""

    settings: Settings
    agency: Agency
    people: People
    accounts: tuple[ChannelAccount, ...]
    alarms: AlarmFile
    store: Store
    desk: Desk
    gate: Gate
    media: MediaStore
    routes: Routes
    signing: Signing
    site: SiteInfo
    addresses: Addresses
    vault: Vault
    workshop: Workshop
    fitting: Fitting
    health: Health
    clocks: Clocks
    log_vkey: str

    @property
    def clock(self) -> Clock:
        """The queue's own."""
        return self.clocks.queue

    @property
    def zone(self) -> str:
        return self.agency.zone


@dataclass(frozen=True, slots=True)
class Configuration:
    """The files an agency edits, read and checked."""

    agency: Agency
    people: People
    accounts: tuple[ChannelAccount, ...]
    checklist: Checklist
    alarms: AlarmFile


def read_configuration(settings: Settings) -> Configuration:
    """Reads all files. Raises `ConfigError`, or the checklist's own error that names file and key."""
    agency = load_agency(settings.config_dir)
    people = load_people(settings.config_dir)
    accounts = load_channels(settings.config_dir)
    names = {a.name for a in accounts}
    for column in agency.columns:
        if unknown := set(column.channels) - names:
            where = str(settings.config_dir / "agency.toml")
            what = f"{sorted(unknown)[0]} is no channel of channels.toml"
            raise ConfigError(where, [(f"columns.{column.slug}.channels", what)])
    if not settings.sandbox:
        check_filings(accounts)
    checklist = Checklist.load(settings.config_dir / "rules", settings.config_dir / "words")
    return Configuration(agency, people, accounts, checklist, load_alarms(settings.config_dir))


@contextlib.asynccontextmanager
async def open_app(
    settings: Settings,
    *,
    clock: Clock | None = None,
    wall: Clock = now,
    extra_accounts: Sequence[ChannelAccount] = (),
    roles: Sequence[str] = (),
) -> AsyncIterator[App]:
    """Opens the store (its tables are brought up to date) and closes it at the end. `clock` takes the place of both
    clocks, `wall` of the wall clock alone. `roles` will run here: they decide on whether the log's key is needed."""
    files = read_configuration(settings)
    accounts = (*files.accounts, *extra_accounts)
    if settings.sandbox:
        accounts = rehearsed(accounts, settings.data_dir)
    accounts = (*accounts, *canary_accounts(files.alarms, files.accounts))
    store = Store(settings.database, origin=files.agency.log_origin)
    queue_clock = QueueClock(wall)
    try:
        await store.migrate(now=clock() if clock else queue_clock())
        queue_clock.never_before(await store.newest())
        key, vkey = await log_key(store.log, settings.data_dir / "keys", files.agency.log_origin, roles)
        store.log.seal_with(key)
        vault = open_vault(settings)
        both = Clocks(clock or queue_clock, clock or wall)
        yield _app(settings, files, accounts, store, both, vkey, vault, await _unsealed(store, vault, accounts))
    finally:
        await store.close()


def open_vault(settings: Settings) -> Vault:
    """With the keys of the environment, else with one that this machine makes for itself. Raises `ConfigError`."""
    try:
        return Vault(settings.vault_keys or [(LOCAL_KEY, local_key(settings.data_dir / LOCAL_KEY))])
    except VaultError as error:
        raise ConfigError("vault", [("", str(error))]) from None


async def _unsealed(store: Store, vault: Vault, accounts: Sequence[ChannelAccount]) -> dict[str, str]:
    """The vault's secrets, opened when an account names one. Raises `ConfigError`."""
    if not any("vault:" in repr(a.own_keys) for a in accounts):
        return {}
    try:
        return {s.name: vault.open_secret(s) for s in await store.secrets.all()}
    except Unopened as error:
        raise ConfigError("vault", [("", f"{error}; put the older key into GONGBAO_VAULT_OLD_KEYS")]) from None


def _app(
    settings: Settings,
    files: Configuration,
    accounts: tuple[ChannelAccount, ...],
    store: Store,
    both: Clocks,
    log_vkey: str,
    vault: Vault,
    secrets: Mapping[str, str],
) -> App:
    agency, clock = files.agency, both.queue
    media = MediaStore(settings.data_dir / "media")
    names = tuple(a.name for a in accounts if a.on)
    apart = frozenset({files.alarms.canary.channel} if files.alarms.canary.on else ())
    carried = {c.slug: c.channels for c in agency.columns if c.channels}
    routes = Routes(names, carried, _barred(accounts), apart)
    addresses, column_names = Addresses(settings.public_url), {c.slug: c.name_zh for c in agency.columns}
    workshop = Workshop(settings, accounts, store, both, vault, secrets)
    editions = {a.name: a.edition for a in accounts if a.edition}
    fitting = Fitting(workshop.channels, routes, addresses, lambda slug: column_names.get(slug, slug), editions)
    gate = Gate(files.checklist, today(agency.zone, both.wall), fitting)
    signing = Signing(files.people.stages, {p.name: p.may_sign for p in files.people.people})
    desk = Desk(store, gate, media, routes, signing, _defaults(settings, agency), clock, workshop.quotas)
    late = settings.oldest_due_seconds
    health = Health(store, names, clock, oldest_due_seconds=late, quotas=workshop.quotas, wall=both.wall)
    return App(
        settings=settings,
        agency=agency,
        people=files.people,
        accounts=accounts,
        alarms=files.alarms,
        store=store,
        desk=desk,
        gate=gate,
        media=media,
        routes=routes,
        signing=signing,
        site=_site(settings, agency),
        addresses=addresses,
        vault=vault,
        workshop=workshop,
        fitting=fitting,
        health=health,
        clocks=both,
        log_vkey=log_vkey,
    )


def _barred(accounts: Sequence[ChannelAccount]) -> dict[str, str]:
    """Accounts that nothing may be released through, and why."""
    stands = {a.name: a.status or ("unfiled" if _filed_kind(a) else "filed") for a in accounts}
    return {name: status for name, status in stands.items() if status != "filed"}


def _filed_kind(account: ChannelAccount) -> bool:
    adapter = kinds().get(account.kind)
    return adapter is not None and adapter.filed


def check_filings(accounts: Sequence[ChannelAccount]) -> None:
    """A public account names its filing, owner and responsible person before it is used. Raises `ConfigError`."""
    for account in accounts:
        if not (account.on and _filed_kind(account)):
            continue
        where = f"channels.toml ({account.name})"
        if not account.status:
            what = "say where its filing (备案) stands: filed, unfiled, closing or closed"
            raise ConfigError(where, [("status", what)])
        needed = ("filing", "owner", "responsible", "deputy") if account.status == "filed" else ()
        missing = [(key, "is needed for an account that is filed") for key in needed if not getattr(account, key)]
        if missing:
            raise ConfigError(where, missing)


def _defaults(settings: Settings, agency: Agency) -> Defaults:
    return Defaults(
        columns=tuple(c.slug for c in agency.columns),
        column_names={name: c.slug for c in agency.columns for name in (c.name_zh, c.name_en) if name},
        issuing_body=agency.name_zh,
        drafting_unit=agency.drafting_unit,
        language=agency.language,
        zone=agency.zone,
        limits=Limits(
            source=settings.source_mb * MIB,
            attachment=settings.attachment_mb * MIB,
            image=settings.image_mb * MIB,
        ),
    )


def _site(settings: Settings, agency: Agency) -> SiteInfo:
    columns = tuple(
        Column(c.slug, c.name_zh, c.name_en, c.description_zh, c.description_en) for c in agency.columns
    )
    return SiteInfo(
        base_url=settings.public_url,
        agency_zh=agency.name_zh,
        agency_en=agency.name_en,
        tag_authority=agency.tag_authority,
        tag_date=agency.tag_date,
        columns=columns,
        language=agency.language,
        zone=agency.zone,
    )


class Transports:
    """The ways out: one for each set of networks that accounts may reach. Entering opens those asked for so far."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: dict[tuple[Network, ...], Transport] = {}

    def of(self, account: ChannelAccount) -> Transport:
        sandbox = self._settings.sandbox
        allowed = LOOPBACK if sandbox else (*self._settings.allow_networks, *account.allow_networks)
        if allowed not in self._made:
            deadline = self._settings.request_seconds
            self._made[allowed] = Transport(
                user_agent=USER_AGENT, allow_networks=allowed, deadline=deadline, only_allowed=sandbox
            )
        return self._made[allowed]

    async def __aenter__(self) -> Transports:
        for transport in self._made.values():
            await transport.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for transport in self._made.values():
            await transport.close()


class Workshop:
    """Builds the channels of the accounts. Those built for `channels` alone are never opened: they only prepare."""

    def __init__(
        self,
        settings: Settings,
        accounts: Sequence[ChannelAccount],
        store: Store,
        both: Clocks,
        vault: Vault,
        secrets: Mapping[str, str],
    ) -> None:
        self._settings, self._accounts, self._wall = settings, tuple(a for a in accounts if a.on), both.wall
        self._secrets, self._tokens = secrets, StoreTokens(store, vault)
        self._shelf = SiteShelf(store.shelf, both.queue)
        self._files = MediaFiles(MediaStore(settings.data_dir / "media"))
        self._buildable: dict[str, Channel] | None = None

    def all(self, transports: Transports) -> dict[str, Channel]:
        """The accounts that are on. Raises `ConfigError` naming account and key, never the secret."""
        return {a.name: self.one(a, transports) for a in self._accounts}

    def channels(self) -> Mapping[str, Channel]:
        """Those that can be built here: a shell may lack what the service has (secrets)."""
        if self._buildable is None:
            self._buildable, transports = {}, Transports(self._settings)
            for account in self._accounts:
                try:
                    self._buildable[account.name] = self.one(account, transports)
                except ConfigError as error:
                    log.info("an account cannot be built here", extra={"channel": account.name, "why": str(error)})
        return self._buildable

    def quotas(self) -> Rules:
        return of_all({name: c.capabilities for name, c in self.channels().items()})

    def one(self, account: ChannelAccount, transports: Transports) -> Channel:
        where = f"channels.toml ({account.name})"
        base = self._settings.data_dir
        own = account.own_keys.items()
        keys = {k: secret(v, where=where, key=k, base=base, vault=self._secrets) for k, v in own}
        tools = Tools(
            transport=transports.of(account),
            clock=lambda: self._wall() / SECOND,
            shelf=self._shelf,
            tokens=self._tokens,
            files=self._files,
        )
        try:
            return build_channel(account.name, account.kind, keys, tools)
        except UnknownKind as error:
            what = f"there is no kind {account.kind}; there are: {', '.join(error.known)}"
            raise ConfigError(where, [("kind", what)]) from None
        except BadSettings as error:
            raise ConfigError(where, list(error.problems)) from None


def build_channels(app: App, transports: Transports) -> dict[str, Channel]:
    """The accounts that are on. Raises `ConfigError` naming account and key, never the secret."""
    return app.workshop.all(transports)


def check_channels(app: App) -> None:
    """Builds every account without starting anything. Raises `ConfigError`."""
    build_channels(app, Transports(app.settings))
