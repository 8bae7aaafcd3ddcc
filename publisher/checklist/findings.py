"""What the checklist says about an item: findings, and the report that is stored with the revision."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from publisher.texts import Text


class Severity(StrEnum):
    BLOCK = "block"  # the item does not leave while the finding stands
    WARN = "warn"  # a reviewer acknowledges it
    NOTE = "note"  # shown only

    @property
    def rank(self) -> int:
        """0 is the gravest."""
        return _ORDER.index(self)


_ORDER = (Severity.BLOCK, Severity.WARN, Severity.NOTE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at. `start` and `end` are code-point offsets into the stored text of `field`, `line` and
    `column` count from 1. `excerpt` is masked. `text_hash` is SHA-256 hex of the field's text, so that an edit
    re-opens an accepted finding. `count` is how many hits the finding stands for; `places` holds the further
    ones in the same field, bounded, so its length may be less than `count - 1`.
    """

    rule_id: str
    rule_version: int
    severity: Severity
    overridable: bool
    field: str
    start: int
    end: int
    line: int
    column: int
    excerpt: str
    text_hash: str
    message: Text
    fix: Text
    case: str = ""
    count: int = 1
    places: tuple[tuple[int, int], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return plain | {
            "severity": self.severity.value,
            "message": self.message.as_dict(),
            "fix": self.fix.as_dict(),
            "places": [list(place) for place in self.places],
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Finding:
        read = {
            "severity": Severity(plain["severity"]),
            "message": Text(**plain["message"]),
            "fix": Text(**plain["fix"]),
            "places": tuple((int(start), int(end)) for start, end in plain.get("places", ())),
        }
        return cls(**(plain | read))


@dataclass(frozen=True, slots=True)
class Report:
    """All findings of one item, gravest first. `ruleset` is SHA-256 hex over all rule data and word lists;
    `rules` are those that were applied.
    """

    ruleset: str
    rules: tuple[tuple[str, int], ...]
    findings: tuple[Finding, ...] = ()

    @property
    def blocking(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity is Severity.BLOCK)

    @property
    def blocked(self) -> bool:
        return bool(self.blocking)

    def to_dict(self) -> dict[str, Any]:
        return {
            "ruleset": self.ruleset,
            "rules": [list(rule) for rule in self.rules],
            "findings": [finding.to_dict() for finding in self.findings],
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Report:
        return cls(
            ruleset=plain["ruleset"],
            rules=tuple((str(rule), int(version)) for rule, version in plain["rules"]),
            findings=tuple(Finding.from_dict(f) for f in plain["findings"]),
        )
