"""The settings of the service: environment variables with the prefix `GONGBAO_`, and the files an agency edits.

Files (TOML, in `config_dir`): `agency.toml` (names, columns), `people.toml` (stages, who may sign),
`channels.toml` (accounts), `rules/` and `words/` (the checklist). A mistake gives one error that names the file,
the key and the remedy; values are never printed, for they may be secrets.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

HERE = Path(__file__).parent
Role = Literal["web", "worker", "scheduler"]
ROLES: tuple[Role, ...] = ("web", "worker", "scheduler")
API_ROLES = ("editor", "reviewer", "operator", "auditor")
Network = IPv4Network | IPv6Network
T = TypeVar("T", bound=BaseModel)


class ConfigError(Exception):
    """`where` names the file or variable, `problems` are (key, what is wrong); values are left out."""

    def __init__(self, where: str, problems: list[tuple[str, str]]) -> None:
        self.where = where
        self.problems = problems
        super().__init__("; ".join(f"{where}: {key or '(file)'}: {what}" for key, what in problems))


class Settings(BaseSettings):
    """Seconds, unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="GONGBAO_", extra="ignore", frozen=True)

    data_dir: Path = Path("var")
    config_dir: Path = HERE
    database_url: str = ""
    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    base_url: str = ""
    # Health and metrics of a process without the web role; unset: it listens nowhere.
    vitals_port: int | None = Field(None, ge=0, le=65535)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    # Networks that channels may reach although they are not public, comma-separated.
    allow_networks: Annotated[tuple[Network, ...], NoDecode] = ()
    concurrency: int = Field(1024, ge=1, le=10_000)
    lease_seconds: float = Field(30, ge=2, le=600)
    drain_seconds: float = Field(20, ge=0, le=600)
    request_seconds: float = Field(20, gt=0, le=600)
    # /readyz fails when a delivery that could go has been due for longer than this.
    oldest_due_seconds: float = Field(120, gt=0)
    # What remembers how far the log had come; keep it outside of what is backed up and restored. Unset: in data_dir.
    witness: Path | None = None
    seal_seconds: float = Field(1.0, gt=0, le=60)
    # Base64 of 32 bytes: seals the secrets and access tokens that are kept in the database. Older keys (with commas
    # between them) still open what they sealed.
    vault_key: SecretStr | None = None
    vault_old_keys: SecretStr | None = None
    # Every account at its stand-in, in a data folder of its own; no live platform can be reached.
    sandbox: bool = False
    attachment_mb: int = Field(50, ge=1, le=1024)
    image_mb: int = Field(10, ge=1, le=100)
    source_mb: int = Field(5, ge=1, le=50)

    @field_validator("allow_networks", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(v.strip() for v in value.split(",") if v.strip()) if isinstance(value, str) else value

    @property
    def local_url(self) -> str:
        """Where this machine reaches the web role."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def vault_keys(self) -> list[tuple[str, str]]:
        """(where it came from, key), the current one first; empty when none is set."""
        if self.vault_key is None:
            return []
        older = self.vault_old_keys.get_secret_value().split(",") if self.vault_old_keys else []
        current = ("GONGBAO_VAULT_KEY", self.vault_key.get_secret_value())
        return [current, *(("GONGBAO_VAULT_OLD_KEYS", key) for key in older if key.strip())]

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{(self.data_dir / 'gongbao.db').resolve()}"

    @property
    def witness_file(self) -> Path:
        return self.witness or self.data_dir / "witness.json"

    @property
    def public_url(self) -> str:
        return (self.base_url or f"http://{self.host}:{self.port}").rstrip("/")


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ColumnSettings(_File):
    """A section of the site (专栏). `channels` are the accounts that carry it; empty: all that are on."""

    slug: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{1,40}$")
    name_zh: str = Field(min_length=1)
    name_en: str = ""
    description_zh: str = ""
    description_en: str = ""
    channels: tuple[str, ...] = ()


class Agency(_File):
    """Who publishes. `tag_authority` and `tag_date` make the permanent ids of feeds (RFC 4151): never change them."""

    name_zh: str = Field(min_length=1)
    name_en: str = ""
    drafting_unit: str = ""
    tag_authority: str = Field(pattern=r"^[a-z0-9.-]+$")
    tag_date: str = Field(pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$")
    language: str = "zh-CN"
    zone: str = "Asia/Shanghai"
    log_origin: str = Field(pattern=r"^[A-Za-z0-9./_-]+$")
    columns: tuple[ColumnSettings, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique(self) -> Agency:
        slugs = [c.slug for c in self.columns]
        if len(set(slugs)) != len(slugs):
            raise ValueError("two columns share a slug")
        if "all" in slugs:
            raise ValueError("a column may not be called all: that is the feed of everything")
        return self


class Person(_File):
    """Somebody who drafts or signs. `may_sign` are stages, `roles` what the person may do besides."""

    name: str = Field(min_length=1)
    unit: str = ""
    may_sign: tuple[str, ...] = ()
    roles: tuple[Literal["editor", "reviewer", "operator", "auditor"], ...] = ()


class People(_File):
    """The stages of sign-off in order, and the people."""

    stages: tuple[str, ...] = Field(min_length=1)
    people: tuple[Person, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> People:
        if len(set(self.stages)) != len(self.stages):
            raise ValueError("a stage is named twice")
        names = [p.name for p in self.people]
        if len(set(names)) != len(names):
            raise ValueError("a person is named twice")
        for person in self.people:
            if unknown := set(person.may_sign) - set(self.stages):
                raise ValueError(f"{person.name} may sign {sorted(unknown)[0]}, which is no stage")
        return self


class ChannelAccount(BaseModel):
    """One account. `kind` names the adapter, which checks the remaining keys. `allow_networks` are networks that
    this account alone may reach although they are not public. `edition` is the set of Chinese characters that it
    publishes in ("": as written). `quiet_days` are days without a visible post after which operators are told (empty:
    never; None: as alarms.toml says, where the account is a public one).
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    kind: str = Field(min_length=1)
    on: bool = True
    allow_networks: tuple[Network, ...] = ()
    quiet_days: tuple[Annotated[int, Field(ge=1, le=3650)], ...] | None = None
    owner: str = ""
    responsible: str = ""
    deputy: str = ""
    # The filing (备案) of a public new-media account and where it stands; nothing is released through an account that
    # needs one and is not filed, or that is closing.
    filing: str = ""
    status: Literal["", "filed", "unfiled", "closing", "closed"] = ""
    edition: Literal["", "zh-Hans", "zh-CN", "zh-Hant", "zh-TW", "zh-HK"] = ""

    @property
    def own_keys(self) -> dict[str, Any]:
        """What belongs to the adapter, with `env:NAME` and `file:PATH` values still unread."""
        return dict(self.model_extra or {})

    def pointed(self, own_keys: Mapping[str, Any], **changes: Any) -> Self:
        """The same account with other keys of its own; `changes` replace what is not the adapter's."""
        shared = self.model_dump(include=set(type(self).model_fields))
        return self.model_validate({**own_keys, **shared, **changes})


class ChannelFile(_File):
    channels: tuple[ChannelAccount, ...] = ()

    @model_validator(mode="after")
    def _unique(self) -> ChannelFile:
        names = [c.name for c in self.channels]
        if len(set(names)) != len(names):
            raise ValueError("two channels share a name")
        return self


def load_settings() -> Settings:
    """Raises `ConfigError`."""
    try:
        found = Settings()
    except ValidationError as error:
        raise ConfigError("environment", _problems(error, prefix="GONGBAO_")) from None
    return rehearsing(found) if found.sandbox else found


def rehearsing(settings: Settings) -> Settings:
    """The same service in a data folder of its own: what is rehearsed never mixes with what is real."""
    apart = {"data_dir": settings.data_dir / "sandbox", "database_url": "", "witness": None}
    return settings.model_copy(update={**apart, "allow_networks": (), "sandbox": True})


def load_agency(config_dir: Path) -> Agency:
    return _load(config_dir / "agency.toml", Agency)


def load_people(config_dir: Path) -> People:
    return _load(config_dir / "people.toml", People)


def load_channels(config_dir: Path) -> tuple[ChannelAccount, ...]:
    return _load(config_dir / "channels.toml", ChannelFile).channels


def secret(
    value: Any,
    *,
    where: str,
    key: str,
    base: Path,
    environ: Mapping[str, str] = os.environ,
    vault: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    """Resolves `env:NAME`, `file:PATH` (relative to `base`) and `vault:NAME` inside strings, lists and tables."""

    def inner(value: Any, key: str) -> Any:
        return secret(value, where=where, key=key, base=base, environ=environ, vault=vault)

    if isinstance(value, list):
        return [inner(v, f"{key}[{n}]") for n, v in enumerate(value)]
    if isinstance(value, dict):
        return {k: inner(v, f"{key}.{k}") for k, v in value.items()}
    if not isinstance(value, str):
        return value
    if value.startswith("env:"):
        name = value.removeprefix("env:")
        if name not in environ:
            raise ConfigError(where, [(key, f"the environment variable {name} is not set; set it or use file:PATH")])
        return environ[name]
    if value.startswith("vault:"):
        name = value.removeprefix("vault:")
        if name not in vault:
            raise ConfigError(where, [(key, f"the vault holds no secret {name}; add it: gongbao secret set {name}")])
        return vault[name]
    if value.startswith("file:"):
        path = base / value.removeprefix("file:")
        try:
            return path.read_text("utf-8").strip()
        except OSError as error:
            raise ConfigError(where, [(key, f"cannot read {path}: {error.strerror}")]) from None
    return value


def _load(path: Path, model: type[T]) -> T:
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(str(path), [("", "the file is missing; copy the one that comes with the service")]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [("", f"not valid TOML: {error}")]) from None
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(str(path), _problems(error)) from None


def _problems(error: ValidationError, prefix: str = "") -> list[tuple[str, str]]:
    """Where and what, never the value."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return [(prefix + ".".join(str(p) for p in e["loc"]), e["msg"].removeprefix("Value error, ")) for e in found]


__all__ = ["API_ROLES", "ROLES", "Agency", "ChannelAccount", "ConfigError", "People", "Role", "Settings"]
