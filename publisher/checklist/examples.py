"""The examples that rules carry: how they become items, and whether the rules keep to them."""

from __future__ import annotations

import datetime
import hashlib
import html
from collections.abc import Iterator, Mapping
from typing import Any

from publisher.checklist.engine import Checklist
from publisher.checklist.findings import Finding
from publisher.checklist.markup import read_markup
from publisher.checklist.rules import Rule
from publisher.content import Content

# What an example may say of the finding it expects; all other keys are fields of the item.
EXPECTED = ("case", "severity", "field", "found", "count")
# Examples are judged as if on this day; rules of a bounded validity, on their first.
EXAMPLE_DAY = datetime.date(2024, 7, 1)
_BASE = {
    "title": "国家版权局公告",
    "body_text": "",
    "column": "notices",
    "content_type": "announcement",
    "issuing_body": "国家版权局",
    "drafting_unit": "办公厅",
    "openness": "proactive",
}


def example_content(example: Mapping[str, Any]) -> Content:
    """A whole item from a partial one: `body` is plain text, `body_html` gives its own plain text."""
    given = {key: value for key, value in example.items() if key not in EXPECTED}
    body = given.pop("body", None)
    if body is None:
        body = read_markup(given["body_html"]).text if "body_html" in given else "现予公布。"
    markup = "".join(f"<p>{html.escape(line)}</p>" for line in body.split("\n"))
    for folder in ("images", "attachments"):
        given[folder] = tuple(_file(folder, entry) for entry in given.get(folder, ()))
    return Content.model_validate(_BASE | {"body_text": body, "body_html": markup} | given)


def _file(folder: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    kind = "image/png" if folder == "images" else "application/pdf"
    name = str(entry["name"])
    return {"sha256": hashlib.sha256(name.encode()).hexdigest(), "media_type": kind, "size": 1, **entry}


def failures(checklist: Checklist) -> Iterator[str]:
    """One line for each example that a rule does not keep to."""
    for rule in checklist.rules:
        for number, example in enumerate(rule.hits):
            if not any(_as_expected(f, rule, example) for f in found_by(checklist, rule, example)):
                yield f"{rule.id}: tests.hit[{number}] is not found as it says"
        for number, example in enumerate(rule.misses):
            if found := found_by(checklist, rule, example):
                yield f"{rule.id}: tests.miss[{number}] is found as {found[0].case}"


def found_by(checklist: Checklist, rule: Rule, example: Mapping[str, Any]) -> list[Finding]:
    """The rule's findings on an example, on a day on which the rule is in force."""
    day = min(max(EXAMPLE_DAY, rule.valid_from), rule.valid_to)
    report = checklist.check(example_content(example), today=day)
    return [finding for finding in report.findings if finding.rule_id == rule.id]


def _as_expected(finding: Finding, rule: Rule, example: Mapping[str, Any]) -> bool:
    for key in ("case", "severity", "field", "count"):
        if key in example and getattr(finding, key) != example[key]:
            return False
    if "found" not in example:
        return True
    content = example_content(example)
    text = content.body_text if finding.field == "body" else getattr(content, finding.field, "")
    return bool(text[finding.start : finding.end] == example["found"])
