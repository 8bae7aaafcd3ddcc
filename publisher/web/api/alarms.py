"""Alarms for operators: what is wrong now, who does what about it, and what did not get through."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from content_queue.store import Incident, Notice
from publisher.alarms import words
from publisher.web.api.asks import NoQuery
from publisher.web.api.endpoint import Answer, Call
from publisher.web.api.words import Both, Told, instant, instant_or_none


class AlarmOut(Told):
    """An open incident. `facts` are what the texts are made of."""

    id: int
    key: str
    kind: str
    severity: str
    opened_at: datetime
    seen_at: datetime
    text: Both
    advice: Both
    facts: dict[str, Any]


class NoticeOut(Told):
    """A message that has not reached its target. `due_at` is empty when it was given up."""

    id: int
    target: str
    kind: str
    created_at: datetime
    due_at: datetime | None
    attempts: int
    reason: str


class AlarmList(Told):
    alarms: list[AlarmOut] = Field(description="Oldest first.")
    undelivered: list[NoticeOut] = Field(description="Newest first.")


async def listing(call: Call[None, NoQuery]) -> Answer:
    store, zone = call.parts.store.alarms, call.parts.site.zone
    shown = [_alarm(i, zone) for i in await store.open()]
    return Answer(AlarmList(alarms=shown, undelivered=[_notice(n) for n in await store.undelivered()]))


def _alarm(incident: Incident, zone: str) -> AlarmOut:
    return AlarmOut(
        id=incident.id,
        key=incident.key,
        kind=incident.kind,
        severity=incident.severity,
        opened_at=instant(incident.opened_at),
        seen_at=instant(incident.seen_at),
        text=Both(**words.wrong(incident.kind, incident.facts, zone).as_dict()),
        advice=Both(**words.advice(incident.kind, incident.facts, zone).as_dict()),
        facts=dict(incident.facts),
    )


def _notice(notice: Notice) -> NoticeOut:
    return NoticeOut(
        id=notice.id,
        target=notice.target,
        kind=notice.kind,
        created_at=instant(notice.created_at),
        due_at=instant_or_none(notice.due_at),
        attempts=notice.attempts,
        reason=notice.reason,
    )
