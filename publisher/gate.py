"""The checklist at the two gates: when an item comes in, and when it leaves the queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from publisher.checklist import Finding, Report, Severity
from publisher.content import Content

Accepted = frozenset[tuple[str, str]]  # (rule id, hash of the text it was accepted for)


class Checks(Protocol):
    def check(self, content: Content, *, today: date) -> Report: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """`blocking` are the findings that hold the item: blocks that nobody has accepted for this very text."""

    report: Report
    blocking: tuple[Finding, ...]

    @property
    def blocked(self) -> bool:
        return bool(self.blocking)

    def stored(self) -> Mapping[str, Any]:
        """What is kept with the revision."""
        return self.report.to_dict()


class Gate:
    """`today` is asked at each check: some rules know when they begin and end."""

    def __init__(self, checklist: Checks, today: Callable[[], date]) -> None:
        self._checklist, self._today = checklist, today

    def judge(self, content: Content, accepted: Accepted = frozenset()) -> Verdict:
        report = self._checklist.check(content, today=self._today())
        blocking = tuple(f for f in report.findings if _stands(f, accepted))
        return Verdict(report, blocking)


def _stands(finding: Finding, accepted: Accepted) -> bool:
    if finding.severity is not Severity.BLOCK:
        return False
    return not (finding.overridable and (finding.rule_id, finding.text_hash) in accepted)
