"""Finds the adapters by walking `channels/adapters`: a new file there is a new kind of channel.

RegistryError (Exception)
|-- UnknownKind    no adapter has this name
`-- BadSettings    a key of the account is missing, unknown or wrong; the value is never shown
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType, ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError

from channels import adapters
from channels.contract import Capabilities, Channel
from channels.files import Files, NoFiles
from channels.shelf import Shelf
from channels.tokens import MemoryTokens, TokenShelf
from channels.transport import Transport


class RegistryError(Exception):
    """The accounts as configured cannot be built."""


class UnknownKind(RegistryError):
    def __init__(self, account: str, kind: str, known: tuple[str, ...]) -> None:
        super().__init__(f"channel {account}: there is no kind {kind!r}; known kinds: {', '.join(known)}")
        self.account, self.kind, self.known = account, kind, known


class BadSettings(RegistryError):
    """`problems` are (key, what is wrong with it); a key is dotted, such as `secrets.0.key`."""

    def __init__(self, account: str, problems: tuple[tuple[str, str], ...]) -> None:
        lines = "; ".join(f"{key}: {problem}" if key else problem for key, problem in problems)
        super().__init__(f"channel {account}: {lines}")
        self.account, self.problems = account, problems


@dataclass(frozen=True, slots=True)
class Tools:
    """What adapters may need. `clock` is epoch seconds; `shelf` is None where no site is kept; `tokens` are shared by
    every process that uses the account; `files` gives the bytes of images and attachments."""

    transport: Transport
    clock: Callable[[], float]
    shelf: Shelf | None = None
    tokens: TokenShelf = field(default_factory=MemoryTokens)
    files: Files = field(default_factory=NoFiles)


@dataclass(frozen=True, slots=True)
class Adapter:
    """One kind of channel. `capabilities` are those of an account with default settings; `filed` says that an account
    of this kind needs a filing (备案) before anything may go out through it."""

    kind: str
    settings: type[BaseModel]
    build: Callable[[str, Any, Tools], Channel]
    capabilities: Capabilities
    filed: bool = False


@cache
def kinds() -> Mapping[str, Adapter]:
    """All adapters by name, in alphabetical order."""
    names = sorted(m.name for m in pkgutil.iter_modules(adapters.__path__) if not m.name.startswith("_"))
    found = {name: _adapter(name, importlib.import_module(f"{adapters.__name__}.{name}")) for name in names}
    return MappingProxyType(found)


def build(account: str, kind: str, keys: Mapping[str, Any], tools: Tools) -> Channel:
    """The channel of one configured account; `keys` are its own, secrets already read. Raises `RegistryError`."""
    adapter = kinds().get(kind)
    if adapter is None:
        raise UnknownKind(account, kind, tuple(kinds()))
    try:
        settings = adapter.settings.model_validate(dict(keys))
    except ValidationError as error:
        raise BadSettings(account, _problems(error)) from None
    try:
        return adapter.build(account, settings, tools)
    except ValueError as error:
        raise BadSettings(account, (("", str(error)),)) from None


def _adapter(kind: str, module: ModuleType) -> Adapter:
    try:
        return Adapter(kind, module.Settings, module.build, module.CAPABILITIES, getattr(module, "FILED", False))
    except AttributeError as error:
        raise RegistryError(f"the adapter {kind} lacks {error.name}") from None


def _problems(error: ValidationError) -> tuple[tuple[str, str], ...]:
    """Keys and messages only: the input beside them may be a secret."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return tuple((".".join(str(part) for part in d["loc"]), d["msg"]) for d in details)
