"""`alarms.toml`: what operators are alarmed about and where they are told, the canary, the look-back at links."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from config.settings import ChannelAccount, ConfigError, Network, _File, _load

FILE = "alarms.toml"
BUILT_IN = "canary"  # the account, and its kind
_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[A-Za-z0-9.-]+")
_HOST = re.compile(r"[A-Za-z0-9.:-]+")


def _mailbox(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise ValueError("must be one address such as duty@example.gov.cn")
    return value


def _web(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/@]+(/[^\s#]*)?", value):
        raise ValueError("must be an http(s) address without user name or fragment")
    return value


Mailbox = Annotated[str, AfterValidator(_mailbox)]
Days = tuple[Annotated[int, Field(ge=1, le=3650)], ...]


class Target(_File):
    """Where operators are told. `least` is the mildest severity that is sent there. `secrets` and `password` are
    written as `env:NAME` or `file:PATH`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    kind: Literal["webhook", "mail"]
    least: Literal["info", "warning", "critical"] = "info"
    allow_networks: tuple[Network, ...] = ()
    url: Annotated[str, AfterValidator(_web)] | None = None
    secrets: tuple[str, ...] = ()
    signing_keys: tuple[str, ...] = ()
    host: str = Field("", pattern=rf"^({_HOST.pattern})?$")
    port: int | None = Field(None, ge=1, le=65535)
    security: Literal["tls", "starttls", "none"] = "starttls"
    user: str = ""
    password: str = ""
    ca_file: str = ""
    sender: Mailbox | None = Field(None, alias="from")
    to: tuple[Mailbox, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Target:
        if self.kind == "webhook" and (self.url is None or not (self.secrets or self.signing_keys)):
            raise ValueError("a webhook needs url, and a key in secrets or signing_keys")
        if self.kind == "mail" and not (self.host and self.sender and self.to):
            raise ValueError("mail needs host, from and to")
        if bool(self.user) != bool(self.password):
            raise ValueError("user and password belong together")
        return self


class Canary(_File):
    """`channel` is the account it goes out through: the built-in `canary`, or a test account of channels.toml."""

    on: bool = False
    channel: str = Field(BUILT_IN, pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    every_minutes: int = Field(10, ge=1, le=1440)
    within_seconds: int = Field(120, ge=10, le=3600)


class AlarmFile(_File):
    """Seconds, minutes and days as the names say."""

    due_minutes: int = Field(10, ge=1, le=1440)
    failing_minutes: int = Field(15, ge=1, le=1440)
    stopped_minutes: int = Field(60, ge=1, le=10_080)
    quiet_days: Days = (10, 12, 14)
    token_days: Days = (7, 1)
    doubt_reminders: int = Field(24, ge=0, le=720)
    digest_at: str = Field("09:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    check_links: bool = True
    canary: Canary = Canary()
    targets: tuple[Target, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> AlarmFile:
        names = [t.name for t in self.targets]
        if len(set(names)) != len(names):
            raise ValueError("two targets share a name")
        if list(self.quiet_days) != sorted(set(self.quiet_days)):
            raise ValueError("quiet_days must rise")
        if list(self.token_days) != sorted(set(self.token_days), reverse=True):
            raise ValueError("token_days must fall")
        return self


def load_alarms(config_dir: Path) -> AlarmFile:
    """A folder without the file has no targets, and the usual limits. Raises `ConfigError`."""
    path = config_dir / FILE
    return _load(path, AlarmFile) if path.exists() else AlarmFile()


def canary_accounts(file: AlarmFile, accounts: Sequence[ChannelAccount]) -> tuple[ChannelAccount, ...]:
    """The account that the canary goes out through, unless the agency names one of its own. Raises `ConfigError`."""
    canary = file.canary
    if not canary.on or any(a.name == canary.channel and a.on for a in accounts):
        return ()
    if canary.channel != BUILT_IN:
        what = f"{canary.channel} is no channel of channels.toml that is on"
        raise ConfigError(FILE, [("canary.channel", what)])
    return (ChannelAccount(name=BUILT_IN, kind=BUILT_IN),)


__all__ = ["AlarmFile", "Canary", "ConfigError", "Target", "canary_accounts", "load_alarms"]
