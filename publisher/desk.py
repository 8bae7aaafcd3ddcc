"""The desk: what editors, reviewers and operators do. The command line and the API are two doors to it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from content_queue.model import Delivery, NewRevision, Revision, Signoff
from content_queue.states import DeliveryState, RevisionState
from content_queue.store import Conflict, Forbidden, Reply, Store, Unknown
from publisher.allowances import Exceeding, Rules
from publisher.clock import Clock
from publisher.content import Content, content_hash
from publisher.fanout import Routes
from publisher.gate import Gate, Place, Verdict
from publisher.intake import Defaults, FileSource, Submission, read_submission
from publisher.media import MediaStore
from publisher.people import Signing
from publisher.planning import exceeded
from publisher.problems import Held, NotAllowed, NotFound, Refused
from publisher.texts import bilingual, mark

ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: nothing that is misread


class WithdrawalReason(StrEnum):
    ERROR = "error"
    SUPERSEDED = "superseded"
    PRIVACY = "privacy"
    SECRECY = "secrecy"
    LEGAL = "legal"
    EXPIRED = "expired"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Paper:
    """What an editor hands in: the file's bytes and name, and where its attachments are found."""

    raw: bytes
    filename: str
    files: FileSource
    media_type: str | None = None
    overrides: Mapping[str, str] | None = None
    drafter: str = ""  # holds when the file names none


@dataclass(frozen=True, slots=True)
class Filed:
    """A stored revision and what the checklist said of it. `replayed`: an earlier request with the same
    Idempotency-Key had stored it.
    """

    revision: Revision
    submission: Submission
    verdict: Verdict
    replayed: bool = False


def new_item_id() -> str:
    """16 characters, 80 random bits."""
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(16))


def hash_token(token: str) -> str:
    """How API tokens are stored: SHA-256 suffices, for they carry 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()


class Desk:
    def __init__(
        self,
        store: Store,
        gate: Gate,
        media: MediaStore,
        routes: Routes,
        signing: Signing,
        defaults: Defaults,
        clock: Clock,
        quotas: Callable[[], Rules] = dict,
    ) -> None:
        self._quotas = quotas
        self._store, self._gate, self._media = store, gate, media
        self._routes, self._signing, self._defaults, self._clock = routes, signing, defaults, clock

    # -- editors -------------------------------------------------------------------------------------------

    async def check(self, paper: Paper) -> tuple[Submission, Verdict]:
        """Runs the checklist without queueing. Raises `IntakeError`."""
        submission = await self._read(paper)
        return submission, await asyncio.to_thread(self._gate.judge, submission.content)

    async def submit(self, paper: Paper, *, actor: str, idempotency_key: str | None = None) -> Filed:
        """A new item. The answer comes after the commit. Raises `IntakeError`, `Refused`."""
        submission = await self._read(paper)
        item_id = submission.item_id or new_item_id()
        reply = _reply(idempotency_key, submission, actor, "submit")
        return await self._file(submission, item_id, actor=actor, reply=reply)

    async def correct(
        self, item_id: str, paper: Paper, *, note: str, actor: str, idempotency_key: str | None = None
    ) -> Filed:
        """A new revision, which needs new sign-offs. `note` is the public sentence saying what was wrong.

        Raises `IntakeError`, `NotFound`, `Refused`.
        """
        submission = await self._read(paper)
        if submission.item_id not in (None, item_id):
            raise Refused(
                "other_item",
                bilingual("The file says it is item {other}.", other=submission.item_id),
                bilingual("Correct that item, or take the id out of the file."),
            )
        reply = _reply(idempotency_key, submission, actor, f"correct {item_id} {note}")
        return await self._file(submission, item_id, actor=actor, note=note, correction=True, reply=reply)

    async def _read(self, paper: Paper) -> Submission:
        submission = await asyncio.to_thread(
            read_submission,
            paper.raw,
            filename=paper.filename,
            media_type=paper.media_type,
            files=paper.files,
            defaults=replace(self._defaults, drafter=paper.drafter or self._defaults.drafter),
            overrides=paper.overrides or {},
        )
        if unknown := self._routes.unknown(submission.content):
            raise Refused(
                "no_such_channel",
                bilingual("There is no channel {name}.", name=unknown[0]),
                bilingual("The channels are: {names}.", names=", ".join(self._routes.accounts)),
            )
        return submission

    async def _file(
        self,
        submission: Submission,
        item_id: str,
        *,
        actor: str,
        note: str = "",
        correction: bool = False,
        reply: Reply | None = None,
    ) -> Filed:
        content = submission.content
        accepted = await self._store.items.acceptances(item_id)
        place = Place(item_id, 2 if correction else 1, note)
        verdict = await asyncio.to_thread(self._gate.judge, content, accepted, place)
        for blob in submission.blobs.values():
            await asyncio.to_thread(self._media.put, blob)
        canonical = content.canonical()
        new = NewRevision(
            item_id=item_id,
            content=canonical,
            content_hash=content_hash(canonical),
            title=content.title,
            column=content.column,
            drafter=submission.drafter or actor,
            source=submission.source,
            source_format=submission.source_format,
            not_before=content.not_before,
            expires_at=content.expires_at,
            report=verdict.stored(),
            blocked=verdict.blocked,
            note=note,
        )
        now = self._clock()
        try:
            revision = await self._store.items.submit(
                new, now=now, actor=actor, correction=correction, reply=reply
            )
        except (Conflict, Forbidden, Unknown) as error:
            raise _as_problem(error) from error
        replayed = reply is not None and (revision.item_id != item_id or revision.created_at != now)
        return Filed(revision, submission, verdict, replayed)

    # -- reviewers -----------------------------------------------------------------------------------------

    async def approve(
        self, item_id: str, *, person: str, stage: str, seen_hash: str | None = None, actor: str | None = None
    ) -> Revision:
        """Signs the newest revision. `seen_hash` is the (start of the) hash the reviewer saw; signing another
        text is refused. Raises `NotFound`, `Refused`, `Held`.
        """
        self._signing.check(person, stage)
        revision = await self.latest(item_id)
        if seen_hash is not None and not (len(seen_hash) >= 8 and revision.content_hash.startswith(seen_hash)):
            raise Refused(
                "text_changed",
                bilingual("The text of {item} is not the one you saw.", item=item_id),
                bilingual("Read revision {number} and sign that.", number=revision.number),
            )
        if revision.state is RevisionState.HELD:
            raise self._held(revision)
        signoff = Signoff(revision.id, stage, person, revision.content_hash, self._clock())
        try:
            return await self._store.items.sign(signoff, stages=self._signing.stages, actor=actor or person)
        except (Conflict, Forbidden) as error:
            raise _as_problem(error) from error

    async def accept_finding(self, item_id: str, rule_id: str, *, person: str, reason: str) -> Revision:
        """A named person lets an overridable finding stand for exactly this text; the item is freed when
        nothing else blocks it. Raises `NotFound`, `Refused`.
        """
        if person not in self._signing.may_sign or not self._signing.may_sign[person]:
            raise NotAllowed(
                "may_not_accept",
                bilingual("{person} signs no stage and may not accept findings.", person=person),
                bilingual("Ask somebody who signs."),
            )
        revision = await self.latest(item_id)
        content = Content.from_canonical(revision.content)
        verdict = await self._judge(revision, content)
        found = [f for f in verdict.blocking if f.rule_id == rule_id]
        if not found or not all(f.overridable for f in found):
            raise Refused(
                "not_acceptable",
                bilingual("Rule {rule} holds nothing here that may be accepted.", rule=rule_id),
                bilingual("Mend the text and submit a correction."),
            )
        for text_hash in {f.text_hash for f in found}:
            await self._store.items.accept_finding(
                item_id, rule_id, text_hash, person=person, reason=reason, now=self._clock()
            )
        verdict = await self._judge(revision, content)
        if revision.state is RevisionState.HELD and not verdict.blocked:
            return await self._store.items.clear(revision.id, verdict.stored(), now=self._clock(), actor=person)
        return revision

    async def _judge(self, revision: Revision, content: Content) -> Verdict:
        accepted = await self._store.items.acceptances(revision.item_id)
        place = Place(revision.item_id, revision.number, revision.note)
        return await asyncio.to_thread(self._gate.judge, content, accepted, place)

    async def latest(self, item_id: str) -> Revision:
        """The item's newest revision. Raises `NotFound`."""
        try:
            return await self._store.items.latest(item_id)
        except Unknown as error:
            raise _as_problem(error) from error

    def _held(self, revision: Revision) -> Held:
        findings = [f for f in (revision.report or {}).get("findings", ()) if f["severity"] == "block"]
        return Held(
            bilingual("{item} is held by the checklist.", item=revision.item_id),
            bilingual("Mend the text and submit a correction: gongbao correct {item} FILE.", item=revision.item_id),
            findings,
        )

    async def exceeded(self, item_id: str) -> tuple[Exceeding, ...]:
        """The quotas that the newest revision would have to wait for. Raises `NotFound`."""
        revision = await self.latest(item_id)
        return await exceeded(self._store, self._routes, self._quotas(), revision, self._clock())

    # -- operators -----------------------------------------------------------------------------------------

    async def withdraw(
        self, item_id: str, *, reason: WithdrawalReason, note: str, actor: str
    ) -> dict[str, int]:
        """Takes the item back on every channel; answers channel -> recall delivery. Raises `NotFound`, `Refused`."""
        try:
            return await self._store.deliveries.withdraw(
                item_id, reason=reason, note=note, now=self._clock(), actor=actor
            )
        except (Conflict, Unknown) as error:
            raise _as_problem(error) from error

    async def retry(self, delivery_id: int, *, actor: str, reason: str) -> Delivery:
        """A person's word that it is not out (or that a repeat does no harm): it is sent again at once."""
        try:
            return await self._store.deliveries.resend(delivery_id, now=self._clock(), actor=actor, reason=reason)
        except (Conflict, Forbidden, Unknown) as error:
            raise _as_problem(error) from error

    async def seen_live(self, delivery_id: int, *, url: str, actor: str, reason: str) -> Delivery:
        """A person has seen a delivery in doubt live at `url`."""
        try:
            return await self._store.deliveries.settle_doubt(
                delivery_id, url=url, remote_id="", now=self._clock(), actor=actor, reason=reason
            )
        except (Conflict, Unknown) as error:
            raise _as_problem(error) from error

    async def not_out(self, delivery_id: int, *, actor: str, reason: str) -> Delivery:
        """A person has made sure that a delivery in doubt is not out: it is sent again, or cancelled when something
        newer takes its place. Raises `NotFound`, `Refused`.
        """
        facts = {"actor": actor, "reason": reason}
        deliveries = self._store.deliveries
        try:
            if (await deliveries.get(delivery_id)).state is DeliveryState.IN_DOUBT:
                with contextlib.suppress(Forbidden):
                    return await deliveries.resend(delivery_id, now=self._clock(), **facts)
            return await deliveries.settle_absent(delivery_id, now=self._clock(), **facts)
        except (Conflict, Unknown) as error:
            raise _as_problem(error) from error

    async def pause(self, channel: str, *, actor: str, reason: str) -> None:
        self._known(channel)
        await self._store.channels.pause(channel, reason=reason, actor=actor, now=self._clock())

    async def resume(self, channel: str, *, actor: str) -> None:
        self._known(channel)
        await self._store.channels.resume(channel, actor=actor, now=self._clock())

    async def stop(self, scope: str, *, actor: str, reason: str) -> None:
        """The stop switch: `all`, `channel:NAME` or `column:SLUG`."""
        self._scope(scope)
        try:
            await self._store.channels.stop(scope, actor=actor, reason=reason, now=self._clock())
        except Conflict as error:
            raise _as_problem(error) from error

    async def start_again(self, scope: str, *, actor: str) -> None:
        self._scope(scope)
        try:
            await self._store.channels.start_again(scope, actor=actor, now=self._clock())
        except Conflict as error:
            raise _as_problem(error) from error

    async def create_token(self, *, name: str, role: str, actor: str, expires_at: int | None = None) -> str:
        """The token is shown once; only its hash is kept."""
        token = "gbt_" + secrets.token_urlsafe(32)
        await self._store.access.add(
            hash_token(token), name=name, role=role, expires_at=expires_at, now=self._clock(), actor=actor
        )
        return token

    def _known(self, channel: str) -> None:
        if channel not in self._routes.accounts:
            raise NotFound(
                "no_such_channel",
                bilingual("There is no channel {name}.", name=channel),
                bilingual("The channels are: {names}.", names=", ".join(self._routes.accounts)),
            )

    def _scope(self, scope: str) -> None:
        kind, _, name = scope.partition(":")
        if scope == "all" or (kind == "column" and name in self._defaults.columns):
            return
        if kind == "channel" and name:
            self._known(name)
            return
        raise NotFound(
            "no_such_scope",
            bilingual("{scope} is nothing that can be stopped.", scope=scope),
            bilingual("Use all, channel:NAME or column:SLUG."),
        )


def _reply(key: str | None, submission: Submission, actor: str, verb: str) -> Reply | None:
    """The key is the caller's own: two callers may use the same one. `verb` says what was asked for."""
    if key is None:
        return None
    own = hashlib.sha256(f"{actor}\x00{key}".encode()).hexdigest()
    asked = f"{verb}\x00{submission.item_id}\x00{submission.drafter}\x00".encode()
    request = hashlib.sha256(asked + submission.source + submission.content.canonical()).hexdigest()
    return Reply(own, request)


_REMEDY = {
    Conflict: mark("Look at it again and repeat what is still wanted."),
    Forbidden: mark("Somebody else has to do this, or it cannot be done."),
    Unknown: mark("Check the name; gongbao items lists what there is."),
}


def _as_problem(error: Conflict | Forbidden | Unknown) -> Refused | NotFound:
    message = bilingual(error.template, **error.facts)
    remedy = bilingual(_REMEDY[type(error)])
    if isinstance(error, Unknown):
        return NotFound("not_found", message, remedy)
    if isinstance(error, Forbidden):
        return NotAllowed("forbidden", message, remedy)
    return Refused("conflict", message, remedy)
