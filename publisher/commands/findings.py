"""Findings as an editor reads them: what, where in the file, the masked place with a mark under it, and the remedy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.cells import cell_len

from publisher.checklist import Finding
from publisher.checklist.copies import CopyKind, make_copy
from publisher.checklist.masking import AROUND
from publisher.commands.out import Out
from publisher.content import Content
from publisher.texts import Text, bilingual, mark

Locate = Callable[[str, int], int | None]
STYLES = {"block": "bold red", "warn": "yellow", "note": "cyan"}
SEVERITIES = {"block": mark("BLOCK"), "warn": mark("WARN"), "note": mark("NOTE")}


def nowhere(_field: str, _offset: int) -> int | None:
    """For findings whose source file is not at hand."""
    return None


def stored_findings(report: Mapping[str, Any] | None) -> list[Finding]:
    """The findings kept with a revision. What cannot be read (another version wrote it) is left out."""
    found = []
    for plain in (report or {}).get("findings", ()):
        try:
            found.append(Finding.from_dict(dict(plain)))
        except (KeyError, TypeError, ValueError):
            continue
    return found


def view(finding: Finding, locate: Locate = nowhere) -> dict[str, Any]:
    return finding.to_dict() | {"source_line": _source_line(finding, locate)}


def show_findings(
    out: Out, findings: Sequence[Finding], content: Content | None = None, *, path: str = "", locate: Locate = nowhere
) -> None:
    for finding in findings:
        _show(out, finding, content, path, locate)


def _show(out: Out, finding: Finding, content: Content | None, path: str, locate: Locate) -> None:
    severity = out.words(SEVERITIES[finding.severity])
    line = _source_line(finding, locate)
    place = ":".join(str(p) for p in (path, line) if p)
    inside = out.words("{field} {line}:{column}", field=finding.field, line=finding.line, column=finding.column)
    where = f"{place} ({inside})" if place else inside
    many = out.words(" ({count} times)", count=finding.count) if finding.count > 1 else ""
    out.line(f"{severity} {finding.rule_id} v{finding.rule_version}  {where}", style=STYLES[finding.severity])
    out.line(f"  {out.of(finding.message)}{many}")
    if finding.excerpt:
        out.line(f"    {finding.excerpt}")
        if marks := caret(finding, content):
            out.line(f"    {marks}", style=STYLES[finding.severity])
    if out.of(finding.fix):
        out.line(f"  → {out.of(finding.fix)}")


def _source_line(finding: Finding, locate: Locate) -> int | None:
    name = "body_text" if finding.field == "body" else finding.field
    return locate(name, finding.start)


def caret(finding: Finding, content: Content | None) -> str:
    """`^` under the hit in the excerpt; empty where the field's text is not at hand or the hit is not shown."""
    text = _field_text(content, finding.field)
    if text is None or not 0 <= finding.start < finding.end <= len(text):
        return ""
    before = make_copy(text[max(0, finding.start - 8 * AROUND) : finding.start], CopyKind.FOLDED).text
    lead = ("…" if len(before) > AROUND else "") + " ".join(f"{before[-AROUND:]}|".split())[:-1]
    hit = " ".join(make_copy(text[finding.start : finding.end], CopyKind.FOLDED).text.split())
    start = cell_len(lead)
    width = min(max(1, cell_len(hit)), cell_len(finding.excerpt) - start)
    return " " * start + "^" * width if width > 0 else ""


def _field_text(content: Content | None, name: str) -> str | None:
    wanted = "body_text" if name == "body" else name
    value = getattr(content, wanted, None) if content is not None and wanted.isidentifier() else None
    return value if isinstance(value, str) else None


def summary(findings: Sequence[Finding]) -> Text:
    """`2 blocks, 1 warning, 0 notes`."""
    counts = {s: sum(1 for f in findings if f.severity == s) for s in SEVERITIES}
    return bilingual("{block} blocking, {warn} to look at, {note} to note", **counts)
