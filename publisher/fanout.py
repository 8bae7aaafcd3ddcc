"""Which channels an item goes out through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from publisher.content import Content


@dataclass(frozen=True, slots=True)
class Routes:
    """`accounts` are the channels that are on, in the order of the file; `carried` names, for a column, the only
    channels that carry it (a column that is not in it is carried by all but those `apart`, which get only items whose
    own plan names them and nothing else: the canary's). Nothing is released through those that are `barred` (account ->
    why: `unfiled`, `closing` or `closed`)."""

    accounts: tuple[str, ...]
    carried: Mapping[str, tuple[str, ...]]
    barred: Mapping[str, str] = field(default_factory=dict)
    apart: frozenset[str] = frozenset()

    def of(self, content: Content) -> tuple[str, ...]:
        """The channels of one item: those of its column, narrowed by its own plan when it has one."""
        return tuple(name for name in self._planned(content) if name not in self.barred)

    def kept_back(self, content: Content) -> dict[str, str]:
        """The channels that the item would go out through if they were not barred, and why they are."""
        return {name: self.barred[name] for name in self._planned(content) if name in self.barred}

    def _planned(self, content: Content) -> tuple[str, ...]:
        if content.channels and self.apart.issuperset(content.channels):
            return tuple(name for name in self.accounts if name in content.channels)
        column = self.carried.get(content.column) or self.accounts
        wanted = column if content.channels is None else content.channels
        return tuple(n for n in self.accounts if n in column and n in wanted and n not in self.apart)

    def unknown(self, content: Content) -> tuple[str, ...]:
        """Names in the item's own plan and wordings that are no channel here."""
        return tuple(n for n in (*(content.channels or ()), *content.wordings) if n not in self.accounts)
