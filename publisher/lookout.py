"""The lookout of a process with the scheduler role: alarms, canary and look-back, built from the app's parts."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from channels.adapters.webhook.signing import Key, signing_key, symmetric_key
from channels.alarm_targets import HookTarget, MailTarget, Target
from channels.mail import DEFAULT_PORTS, MailServer, Security
from channels.registry import kinds
from channels.transport import Transport
from publisher.alarms.canary import Canary
from publisher.alarms.conditions import MINUTE, Limits
from publisher.alarms.notifier import Notifier
from publisher.alarms.watch import EVERY_SECONDS, Addressee, Watch
from publisher.app import USER_AGENT, App, ConfigError, Settings, secret
from publisher.clock import SECOND
from publisher.lookback.checker import LinkChecker
from publisher.schedule import Schedule

LINK_DEADLINE = 15.0  # seconds for one look at a link
CANARY_EVERY_SECONDS = 5  # how often it is asked whether the canary is due
SITE = "site"


@dataclass(frozen=True, slots=True)
class Lookout:
    """`loops` are to be run; `watch` and `canary` are called by the schedule."""

    watch: Watch
    canary: Canary | None
    loops: tuple[Notifier | LinkChecker, ...]

    def plan(self, schedule: Schedule) -> None:
        schedule.every(EVERY_SECONDS, "alarms", self.watch.evaluate)
        if self.canary is not None:
            schedule.every(CANARY_EVERY_SECONDS, "canary", self.canary.run)


@contextlib.asynccontextmanager
async def lookout(app: App) -> AsyncIterator[Lookout]:
    """Raises `ConfigError` naming target and key, never the secret."""
    async with contextlib.AsyncExitStack() as stack:
        targets = [await stack.enter_async_context(_opened(app, target)) for target in told(app)]
        notifier = Notifier(app.store, targets, app.clock, prefix=_prefix(app))
        canary = make_canary(app)
        watch = make_watch(app, canary, notifier)
        loops: list[Notifier | LinkChecker] = [notifier]
        if app.alarms.check_links and not app.settings.sandbox:
            settings = app.settings
            asking = Transport(
                user_agent=USER_AGENT,
                allow_networks=settings.allow_networks,
                deadline=LINK_DEADLINE,
                plain_http=True,
            )
            transport = await stack.enter_async_context(asking)
            loops.append(LinkChecker(app.store, app.media, transport, app.clock, base_url=settings.public_url))
        yield Lookout(watch, canary, tuple(loops))


def make_watch(app: App, canary: Canary | None, notifier: Notifier) -> Watch:
    names = [a.name for a in app.accounts if a.on]
    hour, minute = app.alarms.digest_at.split(":")
    return Watch(
        app.store,
        app.health,
        names,
        limits(app),
        [Addressee(t.name, t.least) for t in told(app)],
        app.clock,
        agency=app.agency.name_zh,
        zone=app.zone,
        digest_at=(int(hour), int(minute)),
        canary=canary,
        wake=notifier.wake,
    )


def told(app: App) -> tuple[Any, ...]:
    """Nobody while the service rehearses: what it does then is no alarm."""
    return () if app.settings.sandbox else app.alarms.targets


def limits(app: App) -> Limits:
    file = app.alarms
    return Limits(
        due=file.due_minutes * MINUTE,
        failing=file.failing_minutes * MINUTE,
        stopped=file.stopped_minutes * MINUTE,
        canary_every=file.canary.every_minutes * MINUTE,
        canary_within=file.canary.within_seconds * SECOND,
        token_days=file.token_days,
        quiet=quiet_days(app),
        doubt_reminders=file.doubt_reminders,
        targets=frozenset(t.name for t in told(app)),
    )


def quiet_days(app: App) -> Mapping[str, tuple[int, ...]]:
    """Public accounts (those that need a filing) and the site, and whatever the agency names otherwise."""
    found = {}
    for account in app.accounts:
        usual = app.alarms.quiet_days if account.kind == SITE or kinds()[account.kind].filed else ()
        own = usual if account.quiet_days is None else account.quiet_days
        if account.on and own:
            found[account.name] = tuple(own)
    return found


def make_canary(app: App) -> Canary | None:
    """None when it is off."""
    wanted = app.alarms.canary
    if not wanted.on:
        return None
    return Canary(
        app.store,
        app.gate,
        app.signing.stages,
        app.clock,
        channel=wanted.channel,
        every=wanted.every_minutes * MINUTE,
        agency=app.agency.name_zh,
        unit=app.agency.drafting_unit,
        zone=app.zone,
    )


# -- targets --------------------------------------------------------------------------------------------------------


def check_targets(settings: Settings, targets: Sequence[Any]) -> bool:
    """Reads every secret without opening anything; True. Raises `ConfigError`."""
    for target in targets:
        _keys(target, settings.data_dir)
        _password(target, settings.data_dir)
    return True


@contextlib.asynccontextmanager
async def opened_targets(app: App) -> AsyncIterator[list[Target]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(_opened(app, target)) for target in app.alarms.targets]


@contextlib.asynccontextmanager
async def _opened(app: App, target: Any) -> AsyncIterator[Target]:
    def seconds() -> float:
        return app.clock() / SECOND

    allowed = (*app.settings.allow_networks, *target.allow_networks)
    if target.kind == "mail":
        domain = target.sender.rpartition("@")[2]
        yield MailTarget(target.name, _server(app, target, allowed), target.sender, target.to, domain, seconds)
        return
    keys = _keys(target, app.settings.data_dir)
    deadline = app.settings.request_seconds
    async with Transport(user_agent=USER_AGENT, allow_networks=allowed, deadline=deadline) as transport:
        yield HookTarget(target.name, target.url, keys, transport, seconds)


def _server(app: App, target: Any, allowed: tuple[Any, ...]) -> MailServer:
    security = Security(target.security)
    return MailServer(
        host=target.host,
        port=target.port or DEFAULT_PORTS[security],
        security=security,
        user=target.user,
        password=_password(target, app.settings.data_dir),
        ca_file=str(app.settings.data_dir / target.ca_file) if target.ca_file else "",
        allow_networks=allowed,
    )


def _password(target: Any, base: Any) -> str:
    return str(secret(target.password, where=_where(target), key="password", base=base))


def _keys(target: Any, base: Any) -> tuple[Key, ...]:
    made: list[Key] = []
    for name, make in (("secrets", symmetric_key), ("signing_keys", signing_key)):
        for number, value in enumerate(getattr(target, name)):
            key = f"{name}[{number}]"
            read = secret(value, where=_where(target), key=key, base=base)
            try:
                made.append(make(str(read)))
            except ValueError as error:
                raise ConfigError(_where(target), [(key, str(error))]) from None
    return tuple(made)


def _where(target: Any) -> str:
    return f"alarms.toml ({target.name})"


def _prefix(app: App) -> str:
    """Letters, digits and dashes: it goes into webhook ids."""
    return "alarm-" + "".join(c if c.isascii() and c.isalnum() else "-" for c in app.agency.log_origin)
