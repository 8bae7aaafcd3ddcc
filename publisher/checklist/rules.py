"""What a rule is: data, read from one TOML file, and the patterns and words it works with."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from publisher.checklist.copies import BLANKS, CopyKind
from publisher.checklist.findings import Severity
from publisher.content import Content
from publisher.texts import Text

FIELD_KINDS = (
    "title",
    "summary",
    "body",
    "document_number",
    "index_number",
    "dates",
    "attachments",
    "images",
    "links",
    "other",
)


@dataclass(frozen=True, slots=True)
class Context:
    """A hit stands only where one of the words is within `window` characters before or after it."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    window: int = 20

    def holds(self, before: str, after: str) -> bool:
        if not self.before and not self.after:
            return True
        return any(word in before for word in self.before) or any(word in after for word in self.after)


@dataclass(frozen=True, slots=True)
class AppliesTo:
    """Empty means all. Languages are BCP 47 prefixes; `not_languages` takes away again."""

    types: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    not_languages: tuple[str, ...] = ()

    def fits(self, content: Content) -> bool:
        return (
            (not self.types or content.content_type in self.types)
            and (not self.classes or content.item_class in self.classes)
            and (not self.channels or content.channels is None or bool({*content.channels} & {*self.channels}))
            and (not self.languages or _speaks(content.language, self.languages))
            and not _speaks(content.language, self.not_languages)
        )


def _speaks(language: str, prefixes: tuple[str, ...]) -> bool:
    return any(f"{language.lower()}-".startswith(f"{prefix.lower()}-") for prefix in prefixes)


@dataclass(frozen=True, slots=True)
class Case:
    """One way in which a rule can fire. `severity_in` overrides `severity` by kind of field.

    `group`: all hits in one field make one finding. `raise_above`: with more hits than this in the item the
    severity is `raise_to`.
    """

    name: str
    severity: Severity
    overridable: bool
    message: Text
    fix: Text
    severity_in: Mapping[str, Severity] = field(default_factory=dict)
    pattern: re.Pattern[str] | None = None
    fields: tuple[str, ...] = ()
    context: Context = field(default_factory=Context)
    unless: re.Pattern[str] | None = None
    group: bool = False
    raise_above: int | None = None
    raise_to: Severity = Severity.WARN

    def severity_for(self, kind: str, total: int) -> Severity:
        """`total` counts the hits of this case in the whole item."""
        usual = self.severity_in.get(kind, self.severity)
        raised = self.raise_above is not None and total > self.raise_above
        return min(usual, self.raise_to, key=lambda s: s.rank) if raised else usual


@dataclass(frozen=True, slots=True)
class AllowList:
    """A hit is allowed where it lies inside an entry as written in the text, or is an entry but for its joints."""

    entries: tuple[str, ...] = ()

    def allows(self, text: str, start: int, end: int) -> bool:
        return any(_covers(entry, text, start, end) for entry in self.entries) or (
            bool(self.entries) and _bare(text[start:end]) in {_bare(entry) for entry in self.entries}
        )


_JOINTS = re.compile(f"[{BLANKS}\\-‐-―－·.]+")


def _bare(text: str) -> str:
    return _JOINTS.sub("", text)


def _covers(entry: str, text: str, start: int, end: int) -> bool:
    at = text.find(entry, max(0, end - len(entry)), start + len(entry))
    return at != -1 and at <= start


@dataclass(frozen=True, slots=True)
class Rule:
    """`function` names a check registered in code; cases without a pattern are its cases. `secret` hides the hit
    in excerpts. `tests` are the rule's own examples: partial contents with what is expected of them.
    """

    id: str
    version: int
    title: Text
    kind: str
    source: Mapping[str, str]
    evidence: str
    cases: Mapping[str, Case]
    copy: CopyKind
    fields: tuple[str, ...]
    applies_to: AppliesTo = field(default_factory=AppliesTo)
    function: str = ""
    secret: bool = False
    allow: AllowList = field(default_factory=AllowList)
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    valid_from: datetime.date = datetime.date.min
    valid_to: datetime.date = datetime.date.max
    hits: tuple[Mapping[str, Any], ...] = ()
    misses: tuple[Mapping[str, Any], ...] = ()

    def in_force(self, content: Content, today: datetime.date) -> bool:
        return self.valid_from <= today <= self.valid_to and self.applies_to.fits(content)
