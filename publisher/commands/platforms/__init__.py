"""What the platforms' own reason codes mean, and what to do about them: one module a kind of channel."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType


@cache
def platform_reasons() -> Mapping[str, tuple[str, str]]:
    """Code -> (meaning, advice), from the `REASONS` of every module here. Advice may use `{id}` and `{channel}`."""
    found: dict[str, tuple[str, str]] = {}
    for module in pkgutil.iter_modules(__path__):
        found |= importlib.import_module(f"{__name__}.{module.name}").REASONS
    return MappingProxyType(found)
