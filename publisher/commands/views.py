"""The queue's values as plain JSON: what `--json` promises. Times are ISO 8601 in UTC."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from content_queue.model import PARKED, Delivery, Entry, Item, Revision, Signoff
from publisher.allowances import Exceeding
from publisher.commands.out import stamp


def revision(r: Revision) -> dict[str, Any]:
    return {
        "item": r.item_id,
        "revision": r.number,
        "state": str(r.state),
        "title": r.title,
        "column": r.column,
        "hash": r.content_hash,
        "drafter": r.drafter,
        "created_at": stamp(r.created_at),
        "not_before": stamp(r.not_before),
        "expires_at": stamp(r.expires_at),
        "released_at": stamp(r.released_at),
        "note": r.note,
    }


def item(i: Item, url: str) -> dict[str, Any]:
    return {
        **revision(i.latest),
        "released_revision": i.released.number if i.released else None,
        "withdrawn_at": stamp(i.withdrawn_at),
        "url": url,
    }


def signoff(s: Signoff) -> dict[str, Any]:
    return {"stage": s.stage, "person": s.person, "hash": s.content_hash, "at": stamp(s.at)}


def delivery(d: Delivery) -> dict[str, Any]:
    parked = d.due_at >= PARKED
    return {
        "id": d.id,
        "item": d.item_id,
        "revision": d.revision,
        "channel": d.channel,
        "operation": d.operation,
        "state": str(d.state),
        "attempts": d.attempts,
        "due_at": None if parked else stamp(d.due_at),
        "after": d.after_id,
        "created_at": stamp(d.created_at),
        "updated_at": stamp(d.updated_at),
        "reason": d.reason,
        "remote_id": d.remote_id,
        "url": d.url,
    }


def exceeding(e: Exceeding) -> dict[str, Any]:
    """A quota that a plan would have to wait for."""
    facts = {"quota": e.quota.name, "limit": e.quota.limit, "left": e.left, "ahead": e.ahead}
    return {"channel": e.channel, "operation": e.operation, **facts, "meaning": e.said.as_dict()}


def entry(e: Entry) -> dict[str, Any]:
    """`facts` is the entry's body; a body that is not JSON (somebody wrote it by hand) is kept as text."""
    return {
        "id": e.id,
        "tx": e.tx,
        "at": stamp(e.at),
        "kind": e.kind,
        "actor": e.actor,
        "item": e.item_id,
        "delivery": e.delivery_id,
        "facts": facts(e),
    }


def facts(e: Entry) -> Any:
    try:
        return json.loads(e.body)
    except ValueError:
        return {"unreadable": e.body[:200]}


def finding_counts(findings: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    counts = {"block": 0, "warn": 0, "note": 0}
    for finding in findings:
        name = str(finding.get("severity", ""))
        counts[name] = counts.get(name, 0) + 1
    return counts
