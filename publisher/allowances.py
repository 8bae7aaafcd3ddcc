"""What platforms allow in a time, as the queue counts it; and which plans would ask for more. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from channels.contract import Capabilities, Quota
from content_queue.model import QuotaRule
from publisher.texts import Text, bilingual

Rules = Mapping[str, tuple[QuotaRule, ...]]


@dataclass(frozen=True, slots=True)
class Allowances:
    """The quotas of an account: `sending` count deliveries, `looking` (some of the same) count looks too."""

    sending: tuple[QuotaRule, ...]
    looking: tuple[QuotaRule, ...]


def allowances(capabilities: Capabilities) -> Allowances:
    rules = [(q, _rule(q)) for q in capabilities.quotas]
    return Allowances(tuple(r for _, r in rules), tuple(r for q, r in rules if q.looks))


def _rule(quota: Quota) -> QuotaRule:
    operations = frozenset(map(str, quota.operations))
    return QuotaRule(quota.name, quota.limit, quota.seconds, quota.daily, operations, quota.taken_only)


@dataclass(frozen=True, slots=True)
class Exceeding:
    """This plan would wait for a quota of one channel: `left` may still go in its window, `ahead` wait before it."""

    channel: str
    operation: str
    quota: QuotaRule
    left: int
    ahead: int

    @property
    def said(self) -> Text:
        places = {"channel": self.channel, "limit": self.quota.limit, "left": self.left, "ahead": self.ahead}
        if self.quota.daily:
            return bilingual(
                "{channel} takes {limit} a day; {left} are left today and {ahead} wait before this one, "
                "so it goes out there on a later day.",
                **places,
            )
        return bilingual(
            "{channel} takes {limit} in {seconds} seconds; {left} are left now and {ahead} wait before this one, "
            "so it goes out there later.",
            seconds=self.quota.seconds,
            **places,
        )


def exceeding(
    rules: Rules,
    left: Mapping[str, Mapping[str, int]],
    waiting: Mapping[tuple[str, str], int],
    plan: Mapping[str, str],
) -> tuple[Exceeding, ...]:
    """`plan` is channel -> operation of what would be added; `waiting` counts (channel, operation)."""
    return tuple(
        Exceeding(channel, operation, rule, here, ahead)
        for channel, operation in plan.items()
        for rule in rules.get(channel, ())
        if operation in rule.operations
        for here in (left.get(channel, {}).get(rule.name, rule.limit),)
        for ahead in (sum(waiting.get((channel, o), 0) for o in rule.operations),)
        if ahead >= here
    )


def of_all(capabilities: Mapping[str, Capabilities]) -> Rules:
    """Those channels that have quotas."""
    found = {name: allowances(c).sending for name, c in capabilities.items()}
    return {name: rules for name, rules in found.items() if rules}


def spent(left: Mapping[str, Mapping[str, int]]) -> Sequence[str]:
    """Channels that rest because some quota of theirs is used up."""
    return [name for name, quotas in left.items() if not all(quotas.values())]
