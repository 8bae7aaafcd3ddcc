"""Items, revisions and sign-offs: everything up to the moment an item leaves the queue."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from content_queue.model import Item, NewRevision, Revision, Signoff
from content_queue.states import REVISION_TABLE, RevisionEvent, RevisionState, follow, sources
from content_queue.store.engine import NO_ITEM, NO_REVISION, Conflict, Database, Forbidden, Unknown
from content_queue.store.log import append, line
from content_queue.store.rows import REVISION_COLUMNS, as_revision, revision_by_id, revisions_of
from content_queue.store.wake import Work, wake
from content_queue.tables import acceptances, items, replies, revisions, signoffs

_r = revisions.c
INTERNAL_COLUMN = "_canary"  # items of the service itself: no agency's column can be called so


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer remembered under an Idempotency-Key. `request_hash` is over the request it answered."""

    key: str
    request_hash: str


class Items:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def submit(
        self,
        new: NewRevision,
        *,
        now: int,
        actor: str,
        correction: bool = False,
        reply: Reply | None = None,
    ) -> Revision:
        """Stores a revision durably. A repeated `reply.key` gives the first answer back.

        Raises `Conflict` when the item exists and this is no correction, or the key was used for another
        request; `Unknown` when a correction names no item; `Forbidden` when the item was withdrawn.
        """
        return await self._db.write(_submit, new, now, actor, correction, reply)

    async def sign(self, signoff: Signoff, *, stages: Sequence[str], actor: str) -> Revision:
        """Records a sign-off bound to the revision's hash; the last of `stages` approves the revision.

        Raises `Conflict` when the hash or the state is not what the reviewer saw, or an earlier stage is
        missing; `Forbidden` when the person drafted it or has signed another stage of it.
        """
        return await self._db.write(_sign, signoff, tuple(stages), actor)

    async def accept_finding(
        self, item_id: str, rule_id: str, text_hash: str, *, person: str, reason: str, now: int
    ) -> None:
        """Records that a named person lets an overridable finding stand, for exactly this text."""
        await self._db.write(_accept_finding, item_id, rule_id, text_hash, person, reason, now)

    async def acceptances(self, item_id: str) -> frozenset[tuple[str, str]]:
        """(rule id, text hash) of the findings that were accepted."""
        q = select(acceptances.c.rule_id, acceptances.c.text_hash).where(acceptances.c.item_id == item_id)
        return await self._db.read(lambda c: frozenset((r.rule_id, r.text_hash) for r in c.execute(q)))

    async def hold(self, revision_id: int, report: Mapping[str, Any], *, now: int, actor: str) -> Revision:
        """The checklist blocks it. Its sign-offs lapse (the log keeps them); `clear` brings it back as a draft."""
        return await self._db.write(_move_reported, revision_id, RevisionEvent.HOLD, report, now, actor)

    async def clear(self, revision_id: int, report: Mapping[str, Any], *, now: int, actor: str) -> Revision:
        """A later check finds no block; the revision waits for its sign-offs again."""
        return await self._db.write(_move_reported, revision_id, RevisionEvent.CLEAR, report, now, actor)

    async def due(self, *, now: int, limit: int = 20) -> list[Revision]:
        """Fully signed revisions whose time has come, earliest first."""
        q = (
            select(*REVISION_COLUMNS)
            .where(_r.state == RevisionState.APPROVED, func.coalesce(_r.not_before, 0) <= now)
            .order_by(func.coalesce(_r.not_before, 0), _r.id)
            .limit(limit)
        )
        return await self._db.read(lambda c: [as_revision(row) for row in c.execute(q)])

    async def next_due(self) -> int | None:
        """When the next approved revision may leave; None when the queue is empty."""
        q = select(func.min(func.coalesce(_r.not_before, 0))).where(_r.state == RevisionState.APPROVED)
        return await self._db.read(lambda c: c.execute(q).scalar())

    async def expired(self, *, now: int, limit: int = 50) -> list[Revision]:
        """Released revisions whose expiry has come."""
        q = (
            select(*REVISION_COLUMNS)
            .where(_r.state == RevisionState.RELEASED, _r.expires_at.is_not(None), _r.expires_at <= now)
            .order_by(_r.expires_at)
            .limit(limit)
        )
        return await self._db.read(lambda c: [as_revision(row) for row in c.execute(q)])

    async def revision(self, revision_id: int) -> Revision:
        return await self._db.read(revision_by_id, revision_id)

    async def latest(self, item_id: str) -> Revision:
        """The newest revision. Raises `Unknown`."""
        return (await self.history(item_id))[-1]

    async def history(self, item_id: str) -> list[Revision]:
        """All revisions, oldest first. Raises `Unknown`."""
        return await self._db.read(_history, item_id)

    async def signoffs(self, revision_id: int) -> list[Signoff]:
        q = select(signoffs).where(signoffs.c.revision_id == revision_id).order_by(signoffs.c.id)
        return await self._db.read(
            lambda c: [Signoff(r.revision_id, r.stage, r.person, r.content_hash, r.at) for r in c.execute(q)]
        )

    async def source(self, revision_id: int) -> tuple[bytes, str]:
        """What was submitted, byte for byte, and its format."""
        q = select(_r.source, _r.source_format).where(_r.id == revision_id)

        def look(connection: Connection) -> tuple[bytes, str]:
            row = connection.execute(q).first()
            if row is None:
                raise Unknown(NO_REVISION, id=revision_id)
            return bytes(row.source), row.source_format

        return await self._db.read(look)

    async def listing(self, *, limit: int = 50, state: str | None = None, column: str | None = None) -> list[Item]:
        """Newest items first; `state` is that of the newest revision. Internal ones only when their column is named."""
        return await self._db.read(_list, limit, state, column)

    async def count(self) -> dict[str, int]:
        """Revisions by state."""
        q = select(_r.state, func.count()).group_by(_r.state)
        return await self._db.read(lambda c: {str(r[0]): int(r[1]) for r in c.execute(q)})


def _history(connection: Connection, item_id: str) -> list[Revision]:
    found = revisions_of(connection, item_id)
    if not found:
        raise Unknown(NO_ITEM, item=item_id)
    return found


def one_at_a_time(connection: Connection, name: str) -> None:
    """Waits until no other open transaction has asked for this name (on SQLite the writer is alone anyway)."""
    if connection.dialect.name != "sqlite":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})


def lock_item(connection: Connection, item_id: str) -> Any:
    """The item's row, held until the transaction ends (on SQLite the writer is alone anyway). None: no such."""
    return connection.execute(select(items).where(items.c.id == item_id).with_for_update()).first()


def locked_revision(connection: Connection, revision_id: int) -> Revision:
    """The revision as it stands once its item is locked."""
    lock_item(connection, revision_by_id(connection, revision_id).item_id)
    return revision_by_id(connection, revision_id)


def _submit(
    connection: Connection, new: NewRevision, now: int, actor: str, correction: bool, reply: Reply | None
) -> Revision:
    if reply:
        one_at_a_time(connection, f"reply {reply.key}")
        if earlier := _remembered(connection, reply):
            return earlier
    item = lock_item(connection, new.item_id)
    _may_submit(item, new.item_id, correction)
    if item is None:
        _insert_item(connection, new.item_id, now)
    older = revisions_of(connection, new.item_id)
    for revision in older:
        if revision.state in sources(REVISION_TABLE, RevisionEvent.SUPERSEDE) - {RevisionState.RELEASED}:
            move(connection, revision, RevisionEvent.SUPERSEDE, now, actor, by="a newer revision")
    revision_id = _insert_revision(connection, new, len(older) + 1, now, actor)
    if reply:
        facts = {"key": reply.key, "request_hash": reply.request_hash, "item_id": new.item_id}
        connection.execute(insert(replies).values(**facts, revision=len(older) + 1, at=now))
    append(
        connection,
        [
            line(
                now,
                "submitted",
                actor,
                item=new.item_id,
                revision=len(older) + 1,
                hash=new.content_hash,
                drafter=new.drafter,
                state=RevisionState.HELD if new.blocked else RevisionState.DRAFT,
                ruleset=new.report.get("ruleset"),
                findings=_finding_counts(new.report),
            )
        ],
    )
    return revision_by_id(connection, revision_id)


def _remembered(connection: Connection, reply: Reply) -> Revision | None:
    row: Any = connection.execute(select(replies).where(replies.c.key == reply.key)).first()
    if row is None:
        return None
    if row.request_hash != reply.request_hash:
        raise Conflict("This Idempotency-Key was used for another request.")
    return revisions_of(connection, str(row.item_id))[int(row.revision) - 1]


def _may_submit(item: Any, item_id: str, correction: bool) -> None:
    if correction and item is None:
        raise Unknown(NO_ITEM, item=item_id)
    if item is not None and not correction:
        raise Conflict("Item {item} exists already; a new text for it is a correction.", item=item_id)
    if item is not None and item.withdrawn_at is not None:
        raise Forbidden("Item {item} was withdrawn; publish a new item.", item=item_id)


def _insert_item(connection: Connection, item_id: str, now: int) -> None:
    try:
        connection.execute(insert(items).values(id=item_id, created_at=now))
    except IntegrityError as error:
        raise Conflict("Item {item} was submitted by somebody else just now.", item=item_id) from error


def _insert_revision(connection: Connection, new: NewRevision, number: int, now: int, actor: str) -> int:
    row = connection.execute(
        insert(revisions)
        .values(
            item_id=new.item_id,
            number=number,
            state=RevisionState.HELD if new.blocked else RevisionState.DRAFT,
            content=new.content,
            content_hash=new.content_hash,
            title=new.title,
            column_slug=new.column,
            drafter=new.drafter,
            submitter=actor,
            source=new.source,
            source_format=new.source_format,
            created_at=now,
            not_before=new.not_before,
            expires_at=new.expires_at,
            report=json.dumps(new.report, ensure_ascii=False),
            note=new.note,
        )
        .returning(_r.id)
    )
    return int(row.scalar_one())


def _finding_counts(report: Mapping[str, Any]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for finding in report.get("findings", ()):
        name = f"{finding['severity']}:{finding['rule_id']}"
        counts[name] = counts.get(name, 0) + 1
    return counts


def move(
    connection: Connection, revision: Revision, event: RevisionEvent, now: int, actor: str, **facts: Any
) -> RevisionState:
    """One fenced move and its log entry. Raises `Conflict` when somebody else moved it first."""
    after = follow(REVISION_TABLE, revision.state, (event,))
    released: dict[str, Any] = {"released_at": now} if event is RevisionEvent.RELEASE else {}
    changed = connection.execute(
        update(revisions)
        .where(_r.id == revision.id, _r.state == revision.state)
        .values(state=after, **released)
    )
    if changed.rowcount != 1:
        raise Conflict("Revision {number} of {item} is no longer {state}.", **revision.facts)
    kind = {RevisionEvent.HOLD: "held", RevisionEvent.CLEAR: "cleared"}.get(event, str(after))
    entry = line(now, kind, actor, item=revision.item_id, revision=revision.number, was=revision.state, **facts)
    append(connection, [entry])
    return after


def _move_reported(
    connection: Connection,
    revision_id: int,
    event: RevisionEvent,
    report: Mapping[str, Any],
    now: int,
    actor: str,
) -> Revision:
    revision = locked_revision(connection, revision_id)
    facts = {"ruleset": report.get("ruleset"), "findings": _finding_counts(report)}
    move(connection, revision, event, now, actor, **facts)
    stored = json.dumps(report, ensure_ascii=False)
    connection.execute(update(revisions).where(_r.id == revision_id).values(report=stored))
    if event is RevisionEvent.HOLD:
        connection.execute(signoffs.delete().where(signoffs.c.revision_id == revision_id))
    return revision_by_id(connection, revision_id)


def _sign(connection: Connection, signoff: Signoff, stages: tuple[str, ...], actor: str) -> Revision:
    revision = locked_revision(connection, signoff.revision_id)
    signed = connection.execute(select(signoffs).where(signoffs.c.revision_id == revision.id)).all()
    _may_sign(revision, signoff, stages, {s.stage for s in signed}, {s.person for s in signed})
    connection.execute(
        insert(signoffs).values(
            revision_id=revision.id,
            stage=signoff.stage,
            person=signoff.person,
            content_hash=signoff.content_hash,
            at=signoff.at,
        )
    )
    facts: dict[str, Any] = {"revision": revision.number, "stage": signoff.stage, "hash": signoff.content_hash}
    append(connection, [line(signoff.at, "signed", actor, item=revision.item_id, person=signoff.person, **facts)])
    if {s.stage for s in signed} | {signoff.stage} >= set(stages):
        move(connection, revision, RevisionEvent.APPROVE, signoff.at, actor, hash=revision.content_hash)
        wake(connection, Work.RELEASE)
    return revision_by_id(connection, revision.id)


def _may_sign(
    revision: Revision, signoff: Signoff, stages: tuple[str, ...], done: set[str], people: set[str]
) -> None:
    if revision.state is not RevisionState.DRAFT:
        raise Conflict("Revision {number} of {item} is {state}, not a draft.", **revision.facts)
    if signoff.content_hash != revision.content_hash:
        raise Conflict("The text of {item} is not the one that was signed.", item=revision.item_id)
    if signoff.stage not in stages:
        raise Forbidden(
            "There is no stage {stage}; the stages are {stages}.", stage=signoff.stage, stages=", ".join(stages)
        )
    if signoff.stage in done:
        raise Conflict("Stage {stage} is signed already.", stage=signoff.stage)
    missing = [s for s in stages[: stages.index(signoff.stage)] if s not in done]
    if missing:
        raise Conflict(
            "Stage {missing} must be signed before {stage}.", missing=missing[0], stage=signoff.stage
        )
    if signoff.person == revision.drafter:
        raise Forbidden("The drafter may not sign.")
    if signoff.person == revision.submitter:
        raise Forbidden("Whoever submitted it may not sign.")
    if signoff.person in people:
        raise Forbidden("One person signs one stage; this person has signed another.")


def _accept_finding(
    connection: Connection, item_id: str, rule_id: str, text_hash: str, person: str, reason: str, now: int
) -> None:
    facts: dict[str, Any] = {"rule_id": rule_id, "text_hash": text_hash, "person": person, "reason": reason}
    if lock_item(connection, item_id) is None:
        raise Unknown(NO_ITEM, item=item_id)
    present = connection.execute(
        select(acceptances.c.id).where(
            acceptances.c.item_id == item_id,
            acceptances.c.rule_id == rule_id,
            acceptances.c.text_hash == text_hash,
        )
    ).first()
    if present is None:
        connection.execute(insert(acceptances).values(item_id=item_id, at=now, **facts))
        append(connection, [line(now, "finding_accepted", person, item=item_id, **facts)])


def _list(connection: Connection, limit: int, state: str | None, column: str | None) -> list[Item]:
    newest = select(_r.item_id, func.max(_r.number).label("number")).group_by(_r.item_id).subquery()
    q = (
        select(items.c.id, items.c.created_at, items.c.withdrawn_at)
        .join(newest, newest.c.item_id == items.c.id)
        .join(revisions, (_r.item_id == items.c.id) & (_r.number == newest.c.number))
        .order_by(items.c.created_at.desc(), items.c.id.desc())
        .limit(limit)
    )
    if state:
        q = q.where(_r.state == state)
    q = q.where(_r.column_slug == column if column else _r.column_slug != INTERNAL_COLUMN)
    return [_item(connection, row) for row in connection.execute(q).all()]


def _item(connection: Connection, row: Any) -> Item:
    history = revisions_of(connection, row.id)
    out = next((r for r in reversed(history) if r.state is RevisionState.RELEASED), None)
    return Item(row.id, row.created_at, history[-1], out, row.withdrawn_at)
