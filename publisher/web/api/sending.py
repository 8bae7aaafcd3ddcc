"""Deliveries, channels and the stop switch: what operators do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from content_queue.model import ChannelState
from content_queue.store import Switch
from publisher.problems import NotFound
from publisher.texts import bilingual
from publisher.web.api import answers, shown
from publisher.web.api.asks import DeliveriesQuery, NoQuery, ReasonAsk, RemainingQuery, ResolutionAsk, StopAsk
from publisher.web.api.endpoint import Answer, Call
from publisher.web.api.words import instant_or_none
from publisher.wellness import wellness


async def deliveries(call: Call[None, DeliveriesQuery]) -> Answer:
    q = call.query
    found = await call.parts.store.deliveries.listing(
        state=q.state, channel=q.channel, item=q.item, limit=q.limit
    )
    return Answer(answers.DeliveryList(deliveries=[shown.delivery(d) for d in found]))


async def delivery(call: Call[None, NoQuery]) -> Answer:
    store = call.parts.store
    found = await store.deliveries.get(int(call.place("delivery_id")))
    entries = await store.log.of_delivery(found.id, found.item_id)
    return Answer(answers.DeliveryFull(delivery=shown.delivery(found), log=[shown.entry(e) for e in entries]))


async def retry(call: Call[ReasonAsk, NoQuery]) -> Answer:
    number = int(call.place("delivery_id"))
    moved = await call.parts.desk.retry(number, actor=call.caller.name, reason=call.body.reason)
    return Answer(shown.delivery(moved), 202)


async def resolve(call: Call[ResolutionAsk, NoQuery]) -> Answer:
    number, desk, ask = int(call.place("delivery_id")), call.parts.desk, call.body
    actor = call.caller.name
    if ask.live_url is not None:
        settled = await desk.seen_live(number, url=ask.live_url, actor=actor, reason=ask.reason)
    elif ask.done:
        settled = await desk.done_by_hand(number, actor=actor, reason=ask.reason)
    elif ask.dropped:
        settled = await desk.drop(number, actor=actor, reason=ask.reason)
    else:
        settled = await desk.not_out(number, actor=actor, reason=ask.reason)
    return Answer(shown.delivery(settled))


async def remaining(call: Call[None, RemainingQuery]) -> Answer:
    q, now = call.query, call.parts.clock()
    found = await call.parts.store.remaining.listing(now=now, channel=q.channel, item=q.item, limit=q.limit)
    return Answer(answers.RemainingList(remaining=[shown.task(t, now) for t in found]))


async def channels(call: Call[None, NoQuery]) -> Answer:
    return Answer(answers.ChannelList(channels=await _channels(call)))


async def pause(call: Call[ReasonAsk, NoQuery]) -> Answer:
    name = call.place("channel")
    await call.parts.desk.pause(name, actor=call.caller.name, reason=call.body.reason)
    return Answer(await _channel(call, name))


async def resume(call: Call[None, NoQuery]) -> Answer:
    name = call.place("channel")
    await call.parts.desk.resume(name, actor=call.caller.name)
    return Answer(await _channel(call, name))


async def _channel(call: Call[ReasonAsk, NoQuery] | Call[None, NoQuery], name: str) -> answers.ChannelOut:
    found = next((c for c in await _channels(call) if c.name == name), None)
    if found is None:
        message = bilingual("There is no channel {name}.", name=name)
        raise NotFound("no_such_channel", message, bilingual("GET /api/v1/channels lists them."))
    return found


async def _channels(call: Call[ReasonAsk, NoQuery] | Call[None, NoQuery]) -> list[answers.ChannelOut]:
    parts = call.parts
    states = await parts.store.channels.states()
    switches = await parts.store.channels.switches()
    due = await parts.health.oldest_due(parts.clock())
    counts = await parts.store.deliveries.counts()
    return [
        _shown(
            states.get(name, ChannelState(name)),
            switches,
            due.get(name),
            {state: n for (channel, state), n in counts.items() if channel == name},
        )
        for name in parts.routes.accounts
    ]


def _shown(
    state: ChannelState, switches: Sequence[Switch], due: float | None, counts: Mapping[str, int]
) -> answers.ChannelOut:
    """Column switches are named everywhere: they stop a part of what every channel carries."""
    touching = [s.scope for s in switches if not s.scope.startswith("channel:") or s.scope == f"channel:{state.name}"]
    return answers.ChannelOut(
        name=state.name,
        paused=state.paused,
        closed=state.closed,
        reason=state.reason,
        held_until=instant_or_none(state.held_until or None),
        probe_at=instant_or_none(state.silent_until or None),
        stopped=touching,
        oldest_due_seconds=due,
        deliveries=dict(counts),
        health=str(wellness(state)),
        worked_at=instant_or_none(state.ok_at),
        failed_at=instant_or_none(state.failed_at),
        visible_at=instant_or_none(state.visible_at),
        checked_at=instant_or_none(state.checked_at),
        check_reason=state.check_reason,
        token_until=instant_or_none(state.token_until),
    )


async def stops(call: Call[None, NoQuery] | Call[StopAsk, NoQuery]) -> Answer:
    on = await call.parts.store.channels.switches()
    return Answer(answers.StopList(stops=[shown.stop(s) for s in on]))


async def stop(call: Call[StopAsk, NoQuery]) -> Answer:
    await call.parts.desk.stop(call.body.scope, actor=call.caller.name, reason=call.body.reason)
    return Answer((await stops(call)).body, 201)


async def start_again(call: Call[None, NoQuery]) -> Answer:
    await call.parts.desk.start_again(call.place("scope"), actor=call.caller.name)
    return Answer(None, 204)
