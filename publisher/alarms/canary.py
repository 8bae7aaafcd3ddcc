"""An item of the service itself that passes through the whole path, and that no reader sees (docs/decisions/0011).

One item a day: published first, then corrected at every run, and withdrawn by the next day's. Nothing is sent out
while the one before is still on its way.
"""

from __future__ import annotations

import contextlib
import logging
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from content_queue.model import Delivery, NewRevision, Revision, Signoff
from content_queue.states import DELIVERED, DeliveryState, RevisionState
from content_queue.store import INTERNAL_COLUMN, Conflict, SignsNow, Store, Unknown
from publisher.alarms.conditions import CanaryRun
from publisher.clock import SECOND, Clock
from publisher.content import Content, Openness, content_hash
from publisher.gate import Gate

log = logging.getLogger(__name__)

ACTOR = "canary"
TURN = "canary"
HOLD_SECONDS = 25
# What will not move again by itself.
ENDED = frozenset({DeliveryState.FAILED, DeliveryState.CANCELLED})


class Canary:
    def __init__(
        self,
        store: Store,
        gate: Gate,
        stages: tuple[str, ...],
        clock: Clock,
        *,
        channel: str,
        every: int,
        agency: str,
        unit: str,
        zone: str,
    ) -> None:
        """`every` is microseconds from one run to the next."""
        self._store, self._gate, self._stages, self._clock = store, gate, stages, clock
        self._channel, self._every = channel, every
        self._agency, self._unit, self._zone = agency, unit, zone
        self._stopped_at = 0

    def expected_since(self, signs: SignsNow, began: int, now: int) -> int | None:
        """None while somebody has stopped it on purpose; else when that ended, or `began`, when the looking did."""
        if {"all", f"channel:{self._channel}", f"column:{INTERNAL_COLUMN}"} & {scope for scope, _ in signs.stops}:
            self._stopped_at = now
        if any(a.name == self._channel and (a.paused or a.closed) for a in signs.accounts):
            self._stopped_at = now
        return None if self._stopped_at == now else max(began, self._stopped_at)

    async def look(self, now: int) -> CanaryRun | None:
        """How far the newest came; None when none was sent out today or yesterday."""
        found = await self._newest(now)
        if found is None:
            return None
        deliveries = await self._deliveries(found.item_id)
        arrived = max((d.revision for d in deliveries if d.state in DELIVERED), default=0)
        if arrived >= found.number:
            return CanaryRun(found.created_at, None, str(DeliveryState.SENT))
        waiting = [d.created_at for d in deliveries if d.revision > arrived]
        mine = [d for d in deliveries if d.revision == found.number]
        reached = mine[-1].state if mine else found.state
        return CanaryRun(found.created_at, min([*waiting, found.created_at]), str(reached))

    async def run(self) -> None:
        """Sends the next one out when it is time; goes on with one that was left half signed."""
        now = self._clock()
        if not await self._store.turns.take(TURN, now=now, until=now + HOLD_SECONDS * SECOND):
            return
        found = await self._newest(now)
        if found is not None and found.state is RevisionState.DRAFT:
            await self._sign(found)
        elif found is None or await self._may_follow(found, now):
            await self._send(found, now)

    async def _may_follow(self, found: Revision, now: int) -> bool:
        if now - found.created_at < self._every or found.state is RevisionState.APPROVED:
            return False
        mine = [d for d in await self._deliveries(found.item_id) if d.revision == found.number]
        if found.state is RevisionState.HELD:
            return found.item_id == self._item_id(now)
        arrived = any(d.state in DELIVERED for d in mine)
        return arrived or (all(d.state in ENDED for d in mine) and found.item_id == self._item_id(now))

    async def _send(self, older: Revision | None, now: int) -> None:
        item_id = self._item_id(now)
        correction = older is not None and older.item_id == item_id
        raw = self._content(now).canonical()
        verdict = self._gate.judge(Content.from_canonical(raw))
        new = NewRevision(
            item_id=item_id,
            content=raw,
            content_hash=content_hash(raw),
            title="Gongbao canary",
            column=INTERNAL_COLUMN,
            drafter=ACTOR,
            source=b"",
            source_format="canary",
            not_before=None,
            expires_at=None,
            report=verdict.stored(),
            blocked=verdict.blocked,
            note="next run" if correction else "",
        )
        revision = await self._store.items.submit(new, now=now, actor=ACTOR, correction=correction)
        if revision.state is RevisionState.DRAFT:
            await self._sign(revision)
        if older is not None and not correction:
            await self._withdraw(older.item_id, now)

    async def _sign(self, revision: Revision) -> None:
        signed = {s.stage for s in await self._store.items.signoffs(revision.id)}
        for stage in self._stages:
            if stage not in signed:
                signoff = Signoff(revision.id, stage, f"{ACTOR}-{stage}", revision.content_hash, self._clock())
                await self._store.items.sign(signoff, stages=self._stages, actor=ACTOR)

    async def _withdraw(self, item_id: str, now: int) -> None:
        with contextlib.suppress(Conflict):  # somebody has withdrawn it by hand
            await self._store.deliveries.withdraw(item_id, reason="superseded", note="", now=now, actor=ACTOR)

    async def _newest(self, now: int) -> Revision | None:
        """Of today or yesterday; older ones tell nothing any more."""
        for at in (now, now - 86_400 * SECOND):
            with contextlib.suppress(Unknown):
                found = await self._store.items.latest(self._item_id(at))
                if found.state is not RevisionState.WITHDRAWN:
                    return found
        return None

    async def _deliveries(self, item_id: str) -> list[Delivery]:
        return [d for d in await self._store.deliveries.of_item(item_id) if d.channel == self._channel]

    def _item_id(self, at: int) -> str:
        return f"canary-{self._day(at):%Y%m%d}"

    def _day(self, at: int) -> datetime:
        return datetime.fromtimestamp(at / SECOND, UTC).astimezone(ZoneInfo(self._zone))

    def _content(self, now: int) -> Content:
        """Words that no rule of the checklist minds; the moment makes each run's bytes its own."""
        moment = self._day(now)
        words = f"发布链路自检，{moment:%H}时{moment:%M}分。此内容不对外公开。"
        return Content(
            title="发布链路自检",
            summary="发布链路自检内容。",
            body_html=f"<p>{words}</p>",
            body_text=words,
            column=INTERNAL_COLUMN,
            content_type="CT05",
            issuing_body=self._agency,
            drafting_unit=self._unit,
            openness=Openness.PROACTIVE,
            created_on=f"{moment:%Y-%m-%d}",
            channels=(self._channel,),
        )
