"""What proves each revision, read for auditors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, select

from content_queue.tables import revisions, signoffs

_r = revisions.c


@dataclass(frozen=True, slots=True)
class RevisionMark:
    """What proves a revision: the hash it was given, the hash of its bytes now, and (stage, person, hash) of its
    sign-offs."""

    item_id: str
    number: int
    content_hash: str
    actual_hash: str
    signoffs: frozenset[tuple[str, str, str]]


def revision_marks(connection: Connection, size: int = 200) -> Iterator[RevisionMark]:
    """Every revision, in pages, so that memory stays flat."""
    last = 0
    while True:
        columns = (_r.id, _r.item_id, _r.number, _r.content_hash, _r.content)
        rows = connection.execute(select(*columns).where(_r.id > last).order_by(_r.id).limit(size)).all()
        if not rows:
            return
        ids = [row.id for row in rows]
        signed: dict[int, set[tuple[str, str, str]]] = {}
        for s in connection.execute(select(signoffs).where(signoffs.c.revision_id.in_(ids))):
            signed.setdefault(s.revision_id, set()).add((s.stage, s.person, s.content_hash))
        for row in rows:
            actual = hashlib.sha256(_bytes(row.content)).hexdigest()
            own = frozenset(signed.get(row.id, ()))
            yield RevisionMark(row.item_id, row.number, row.content_hash, actual, own)
        last = rows[-1].id


def _bytes(content: object) -> bytes:
    """Whatever somebody has put into the column."""
    return bytes(content) if isinstance(content, bytes | memoryview) else str(content).encode()
