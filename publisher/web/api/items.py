"""Items: what editors and reviewers do, and what everybody with a token may read."""

from __future__ import annotations

from urllib.parse import quote

from content_queue.model import Revision
from content_queue.store import Store
from publisher import desk
from publisher.content import content_hash
from publisher.problems import NotFound
from publisher.texts import bilingual
from publisher.web.api import answers, shown
from publisher.web.api.asks import (
    AcceptanceAsk,
    CorrectionQuery,
    ItemsQuery,
    NoQuery,
    SignoffAsk,
    SubmissionQuery,
    WithdrawalAsk,
)
from publisher.web.api.endpoint import Answer, Call
from publisher.web.api.papers import idempotency_key, read_paper

PREFIX = "/api/v1"


async def submit(call: Call[None, SubmissionQuery]) -> Answer:
    key = idempotency_key(call.request)
    paper, _ = await read_paper(call.request, call.parts, call.query, call.caller.name)
    done = await call.parts.desk.submit(paper, actor=call.caller.name, idempotency_key=key)
    return _filed(call, done)


async def correct(call: Call[None, CorrectionQuery]) -> Answer:
    key = idempotency_key(call.request)
    paper, note = await read_paper(call.request, call.parts, call.query, call.caller.name)
    done = await call.parts.desk.correct(
        call.place("item_id"), paper, note=note, actor=call.caller.name, idempotency_key=key
    )
    return _filed(call, done)


def _filed(call: Call[None, SubmissionQuery] | Call[None, CorrectionQuery], done: desk.Filed) -> Answer:
    headers = {"Location": f"{PREFIX}/items/{quote(done.revision.item_id, safe='')}"}
    if done.replayed:
        headers["Idempotency-Replayed"] = "true"
    return Answer(shown.filed(done, call.parts.signing.stages), 201, headers)


async def check(call: Call[None, SubmissionQuery]) -> Answer:
    paper, _ = await read_paper(call.request, call.parts, call.query, call.caller.name)
    submission, verdict = await call.parts.desk.check(paper)
    ruled = shown.report(verdict.stored(), submission)
    assert ruled is not None
    content = submission.content
    return Answer(
        answers.Checked(
            blocked=verdict.blocked,
            blocking=sorted({f.rule_id for f in verdict.blocking}),
            content_hash=content_hash(content.canonical()),
            title=content.title,
            column=content.column,
            report=ruled,
            notes=shown.notes(submission),
        )
    )


async def listing(call: Call[None, ItemsQuery]) -> Answer:
    q = call.query
    found = await call.parts.store.items.listing(limit=q.limit, state=q.state, column=q.column)
    return Answer(answers.ItemList(items=[shown.item_brief(i) for i in found]))


async def one(call: Call[None, NoQuery]) -> Answer:
    return Answer(await _full(call, call.place("item_id")))


async def _full(call: Call[None, NoQuery], item_id: str) -> answers.ItemFull:
    store, stages = call.parts.store, call.parts.signing.stages
    history = await store.items.history(item_id)
    signoffs = {r.id: await store.items.signoffs(r.id) for r in history}
    latest = history[-1]
    done = {s.stage for s in signoffs[latest.id]}
    sent = await store.deliveries.of_item(item_id)
    return answers.ItemFull(
        id=item_id,
        state=latest.state,
        revision=latest.number,
        content_hash=latest.content_hash,
        stages=list(stages),
        unsigned=[s for s in stages if s not in done],
        revisions=[shown.version(r, signoffs[r.id]) for r in history],
        report=shown.report(latest.report),
        deliveries=[shown.delivery(d) for d in sent],
        exceeds=[shown.exceeded(e) for e in await call.parts.desk.exceeded(item_id)],
    )


async def content(call: Call[None, NoQuery]) -> Answer:
    """The canonical bytes: what is hashed, signed and sent."""
    item_id, number = call.place("item_id"), int(call.place("number"))
    history = await call.parts.store.items.history(item_id)
    if not 1 <= number <= len(history):
        message = bilingual("Item {item} has no revision {number}.", item=item_id, number=number)
        remedy = bilingual("GET /api/v1/items/{item} lists its revisions.", item=item_id)
        raise NotFound("not_found", message, remedy)
    revision = history[number - 1]
    headers = {"ETag": f'"{revision.content_hash}"', "Content-Disposition": "attachment"}
    return Answer(revision.content, headers=headers)


async def sign(call: Call[SignoffAsk, NoQuery]) -> Answer:
    """The person is the token's holder: nobody signs for somebody else."""
    revision = await call.parts.desk.approve(
        call.place("item_id"),
        person=call.caller.name,
        stage=call.body.stage,
        seen_hash=call.body.content_hash,
        actor=call.caller.name,
    )
    return Answer(await _version(call.parts.store, revision), 201)


async def accept(call: Call[AcceptanceAsk, NoQuery]) -> Answer:
    revision = await call.parts.desk.accept_finding(
        call.place("item_id"), call.body.rule, person=call.caller.name, reason=call.body.reason
    )
    return Answer(await _version(call.parts.store, revision), 201)


async def _version(store: Store, revision: Revision) -> answers.Version:
    return shown.version(revision, await store.items.signoffs(revision.id))


async def withdraw(call: Call[WithdrawalAsk, NoQuery]) -> Answer:
    item_id = call.place("item_id")
    made = await call.parts.desk.withdraw(
        item_id, reason=call.body.reason, note=call.body.note, actor=call.caller.name
    )
    return Answer(answers.Recalls(item_id=item_id, deliveries=made), 202)
