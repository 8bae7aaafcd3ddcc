"""What targets are sent: one JSON body for machines, kept in the outbox, and the same in plain words for mail. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from channels.alarm_targets import Message
from content_queue.store import Incident, Notice
from publisher.alarms import words
from publisher.alarms.conditions import SEVERITIES
from publisher.clock import human, iso
from publisher.texts import Text, bilingual, mark

LISTED = 50  # incidents told in one message; more are counted
TEST = "test"

SUBJECTS: Mapping[str, str] = MappingProxyType(
    {
        "opened": mark("{count} new alarms"),
        "worse": mark("{count} alarms have grown worse"),
        "reminder": mark("reminder: {count} alarms are still open"),
        "cleared": mark("{count} alarms are over"),
        "digest": mark("{count} alarms are open today"),
        "test": mark("test of the alarms: nothing is wrong"),
    }
)


def body(event: str, incidents: Sequence[Incident], *, now: int, agency: str, zone: str) -> str:
    """The gravest first."""
    ranked = sorted(incidents, key=lambda i: (-SEVERITIES.index(i.severity), i.opened_at, i.id))
    told = [_told(incident, zone) for incident in ranked[:LISTED]]
    data = {"agency": agency, "zone": zone, "count": len(ranked), "incidents": told}
    whole = {"type": f"alarm.{event}", "timestamp": iso(now), "data": data}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))


def _told(incident: Incident, zone: str) -> dict[str, Any]:
    facts = dict(incident.facts)
    return {
        "id": incident.id,
        "key": incident.key,
        "kind": incident.kind,
        "severity": incident.severity,
        "opened_at": iso(incident.opened_at),
        "closed_at": None if incident.closed_at is None else iso(incident.closed_at),
        "since": human(incident.opened_at, zone),
        "facts": facts,
        "text": words.wrong(incident.kind, facts, zone).as_dict(),
        "advice": words.advice(incident.kind, facts, zone).as_dict(),
    }


def message(notice: Notice, prefix: str) -> Message:
    """`prefix` and the notice's number make the id, the same on every repeat."""
    found = json.loads(notice.body)
    return Message(f"{prefix}-{notice.id}", notice.body.encode(), subject(found), text(found))


def test_message(identity: str, *, now: int, agency: str, zone: str) -> Message:
    raw = body(TEST, (), now=now, agency=agency, zone=zone)
    return Message(identity, raw.encode(), subject(json.loads(raw)), text(json.loads(raw)))


def subject(found: Mapping[str, Any]) -> str:
    data = found["data"]
    said = _headline(found)
    return f"[{data['agency']}] {said.zh} / {said.en}"


def text(found: Mapping[str, Any]) -> str:
    """Chinese first, then English, each incident with its advice. Plain text."""
    data, said = found["data"], _headline(found)
    lines = [said.zh, said.en, ""]
    for one in data["incidents"]:
        grave = words.severity(one["severity"])
        lines += [f"[{grave.zh} / {grave.en}] {one['since']}", one["text"]["zh"], one["text"]["en"]]
        if found["type"] != "alarm.cleared" and one["advice"]["en"]:
            lines += [f"→ {one['advice']['zh']}", f"→ {one['advice']['en']}"]
        lines.append("")
    if more := data["count"] - len(data["incidents"]):
        rest = bilingual("and {count} more: gongbao alarms", count=more)
        lines += [rest.zh, rest.en, ""]
    zone = bilingual("Times are those of {zone}. All that is open: gongbao alarms", zone=data["zone"])
    return "\n".join([*lines, zone.zh, zone.en, ""])


def _headline(found: Mapping[str, Any]) -> Text:
    event = str(found["type"]).removeprefix("alarm.")
    return bilingual(SUBJECTS.get(event, event), count=found["data"]["count"])
