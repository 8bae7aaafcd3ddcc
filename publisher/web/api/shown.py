"""From what the store keeps to what the answers show."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from content_queue.model import Delivery, Entry, Item, Revision, Signoff
from content_queue.store import Switch
from publisher import desk
from publisher.allowances import Exceeding
from publisher.checklist import Finding
from publisher.intake import Submission
from publisher.web.api import answers
from publisher.web.api.words import instant, instant_or_none


def item_brief(item: Item) -> answers.ItemBrief:
    latest = item.latest
    return answers.ItemBrief(
        id=item.id,
        title=latest.title,
        column=latest.column,
        state=latest.state,
        revision=latest.number,
        content_hash=latest.content_hash,
        drafter=latest.drafter,
        created_at=instant(item.created_at),
        not_before=instant_or_none(latest.not_before),
        expires_at=instant_or_none(latest.expires_at),
        released_revision=item.released.number if item.released else None,
        withdrawn_at=instant_or_none(item.withdrawn_at),
    )


def version(revision: Revision, signoffs: Sequence[Signoff]) -> answers.Version:
    return answers.Version(
        revision=revision.number,
        state=revision.state,
        content_hash=revision.content_hash,
        title=revision.title,
        column=revision.column,
        drafter=revision.drafter,
        created_at=instant(revision.created_at),
        not_before=instant_or_none(revision.not_before),
        expires_at=instant_or_none(revision.expires_at),
        released_at=instant_or_none(revision.released_at),
        note=revision.note,
        signoffs=[
            answers.Signed(stage=s.stage, person=s.person, content_hash=s.content_hash, at=instant(s.at))
            for s in signoffs
        ],
    )


def exceeded(found: Exceeding) -> answers.Exceeded:
    quota, places = found.quota, {"left": found.left, "ahead": found.ahead}
    named = {"channel": found.channel, "operation": found.operation, "meaning": found.said.as_dict()}
    return answers.Exceeded.model_validate({**named, **places, "quota": quota.name, "limit": quota.limit})


def report(kept: Mapping[str, Any] | None, submission: Submission | None = None) -> answers.Ruled | None:
    """A stored report; with the submission at hand, findings tell the line of the submitted file."""
    if not kept:
        return None
    found = [_finding(f, submission) for f in kept["findings"]]
    return answers.Ruled(ruleset=kept["ruleset"], rules=kept["rules"], findings=found)


def _finding(kept: Mapping[str, Any], submission: Submission | None) -> answers.Found:
    name = "body_text" if kept["field"] == "body" else kept["field"]  # as the checklist calls it
    line = submission.locate(name, kept["start"]) if submission else None
    known = {k: v for k, v in kept.items() if k in Finding.__dataclass_fields__}
    return answers.Found.model_validate({**known, "source_line": line})


def notes(submission: Submission) -> list[answers.Remarked]:
    return [
        answers.Remarked.model_validate({"field": n.field, "line": n.line, "message": n.message.as_dict()})
        for n in submission.notes
    ]


def filed(done: desk.Filed, stages: Sequence[str]) -> answers.Filed:
    """A repeated request gets the stored revision's own report, not that of the repetition."""
    revision = done.revision
    ruled = report(revision.report, done.submission)
    return answers.Filed(
        item_id=revision.item_id,
        revision=revision.number,
        state=revision.state,
        content_hash=revision.content_hash,
        title=revision.title,
        column=revision.column,
        created_at=instant(revision.created_at),
        stages=list(stages),
        findings=ruled.findings if ruled else [],
        notes=notes(done.submission),
    )


def delivery(kept: Delivery) -> answers.DeliveryOut:
    waits = kept.state == "waiting"
    return answers.DeliveryOut(
        id=kept.id,
        item_id=kept.item_id,
        revision=kept.revision,
        channel=kept.channel,
        operation=kept.operation,
        state=kept.state,
        due_at=instant_or_none(kept.due_at) if waits else None,
        attempts=kept.attempts,
        created_at=instant(kept.created_at),
        updated_at=instant(kept.updated_at),
        remote_id=kept.remote_id,
        url=kept.url,
        reason=kept.reason,
        after_id=kept.after_id,
    )


def entry(kept: Entry) -> answers.EntryOut:
    return answers.EntryOut(
        tx=kept.tx,
        id=kept.id,
        at=instant(kept.at),
        kind=kept.kind,
        actor=kept.actor,
        item_id=kept.item_id,
        delivery_id=kept.delivery_id,
        ref=kept.ref,
        facts=json.loads(kept.body),
    )


def stop(switch: Switch) -> answers.StopOut:
    return answers.StopOut(scope=switch.scope, actor=switch.actor, reason=switch.reason, at=instant(switch.at))
