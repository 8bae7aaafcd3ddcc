"""Stand-ins of the platforms: for tests, and for agencies that rehearse a release."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from channels.sandbox.stand_in import StandIn


@cache
def stand_ins() -> Mapping[str, type[StandIn]]:
    """By kind: every module or package here that has a `STAND_IN`."""
    modules = [importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)]
    found = [module.STAND_IN for module in modules if hasattr(module, "STAND_IN")]
    return MappingProxyType({stand_in.kind: stand_in for stand_in in found})
