from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from checklist_parts import RULES, TODAY, WORDS

from publisher.checklist import Checklist, Finding
from publisher.checklist.examples import example_content

Find = Callable[..., list[Finding]]


@pytest.fixture(scope="session")
def checklist() -> Checklist:
    return Checklist.load(RULES, WORDS)


@pytest.fixture(scope="session")
def find(checklist: Checklist) -> Find:
    """The findings on a partial item, of one rule or of all."""

    def search(rule: str = "", **parts: Any) -> list[Finding]:
        report = checklist.check(example_content(parts), today=TODAY)
        return [f for f in report.findings if not rule or f.rule_id == rule]

    return search
