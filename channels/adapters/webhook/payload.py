"""The event that a receiver gets. Pure: the same post gives the same bytes for ever."""

from __future__ import annotations

import json
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import Any

from channels.contract import Asset, Operation, Post

KEPT = 256  # events kept ready: one post goes to many endpoints

TYPES = {
    Operation.PUBLISH: "item.published",
    Operation.EDIT: "item.corrected",
    Operation.RECALL: "item.withdrawn",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_kept: OrderedDict[tuple[object, ...], bytes] = OrderedDict()


def event(post: Post, body_limit: int) -> bytes:
    """The JSON body. It has no part of the account or its key, so endpoints share it."""
    original = post.remote.remote_id if post.remote else ""
    mark = (
        *(post.item_id, post.revision, post.operation, post.content_hash, post.url, post.column_name),
        *(post.title, post.summary, post.html),
        *(post.occurred_at, post.reason, post.note, original, body_limit),
    )
    made = _kept.get(mark)
    if made is None:
        made = encode(post, body_limit)
        _kept[mark] = made
        if len(_kept) > KEPT:
            _kept.popitem(last=False)
    return made


def encode(post: Post, body_limit: int) -> bytes:
    data = _withdrawn(post) if post.operation is Operation.RECALL else _shown(post, body_limit)
    whole = {"type": TYPES[post.operation], "timestamp": instant(post.occurred_at), "data": data}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def fits(post: Post, body_limit: int) -> bool:
    """Whether the body travels with the event; else receivers follow `url`. The limit is UTF-8 bytes of HTML."""
    return len(post.html) <= body_limit and len(post.html.encode()) <= body_limit


def instant(at: int) -> str:
    """ISO 8601 in UTC to the microsecond."""
    moment = _EPOCH + timedelta(microseconds=at)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _named(post: Post) -> dict[str, Any]:
    return {
        "id": post.item_id,
        "revision": post.revision,
        "content_hash": f"sha256:{post.content_hash}",
        "url": post.url,
        "title": post.title,
    }


def _why(post: Post) -> dict[str, Any]:
    original = post.remote.remote_id if post.remote else ""
    return {"reason": post.reason, "note": post.note, "original_event": original}


def _withdrawn(post: Post) -> dict[str, Any]:
    """The body is taken back too: only what names the item is repeated, and its title only where that does no harm."""
    named = _named(post) | {"column": {"slug": post.column, "name": post.column_name}} | _filled(_why(post))
    if post.hushed:
        del named["title"]
    return named


def _shown(post: Post, body_limit: int) -> dict[str, Any]:
    facts = {
        "summary": post.summary,
        "column": {"slug": post.column, "name": post.column_name},
        "content_type": post.content_type,
        "language": post.language,
        "issuing_body": post.issuing_body,
        "drafting_unit": post.drafting_unit,
        "document_number": post.document_number,
        "index_number": post.index_number,
        "created_on": post.created_on,
        "effective_on": post.effective_on,
        "expires_at": instant(post.expires_at) if post.expires_at is not None else "",
        "keywords": list(post.keywords),
        "attachments": [_file(a) for a in post.attachments],
        "images": [_file(i) for i in post.images],
        "related": [{"rel": rel, "id": other} for rel, other in post.related],
    }
    why = {} if post.operation is Operation.PUBLISH else _filled(_why(post))
    complete = fits(post, body_limit)
    body: dict[str, Any] = {"html": post.html} if complete else {}
    return _named(post) | _filled(facts) | why | {"complete": complete} | body


def _file(asset: Asset) -> dict[str, Any]:
    facts = {"name": asset.name, "url": asset.url, "sha256": asset.sha256, "media_type": asset.media_type}
    return facts | {"size": asset.size} | _filled({"alt": asset.alt})


def _filled(facts: dict[str, Any]) -> dict[str, Any]:
    """What is empty is left out."""
    return {key: value for key, value in facts.items() if value not in ("", [])}
