"""What an older database that was restored makes doubtful: all that it thinks is still to be sent may be out."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, and_, insert, select, true, tuple_, update

from content_queue.states import DELIVERY_TABLE, UNDER_WAY, DeliveryEvent, DeliveryState, follow, sources
from content_queue.store.log import Line, line
from content_queue.tables import deliveries, meta

_d = deliveries.c
E = DeliveryEvent

RESTORED = "restored"  # this very operation may have been carried out in the history that is gone
RESTORED_OLDER = "restored_older"  # an earlier revision may have been put out in the history that is gone
DOUBTED = (RESTORED, RESTORED_OLDER)
SUSPECT_UNTIL = "suspect_until"  # meta: what was there before this moment may have gone out unknown to us
STANDING = "restored_standing"  # meta: 1 until an operator starts again

Dropped = Collection[tuple[str, str]]  # (channel, operation) whose repeats the platform drops


def get_meta(connection: Connection, key: str) -> int | None:
    found = connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar()
    return None if found is None else int(found)


def put_meta(connection: Connection, key: str, value: int) -> None:
    connection.execute(meta.delete().where(meta.c.key == key))
    connection.execute(insert(meta).values(key=key, value=value))


def kept(dropped: Dropped) -> Any:
    """That the platform keeps repeats of it."""
    return tuple_(_d.channel, _d.operation).not_in(list(dropped)) if dropped else true()


def doubt(connection: Connection, wanted: Any, dropped: Dropped, now: int) -> list[Line]:
    """Among `wanted`: what the platform would show twice goes in doubt, or does so as soon as what it waits for has
    settled; the rest may go on under its key, within the key's life. Nothing is looked at before `look_again`."""
    open_states = [DeliveryState.WAITING, *UNDER_WAY]
    remembered = and_(wanted, _d.state.in_(open_states))
    connection.execute(update(deliveries).where(remembered).values(doubted=True, updated_at=now))
    parked = and_(wanted, _d.state == DeliveryState.WAITING, _d.after_id.is_not(None), kept(dropped))
    connection.execute(update(deliveries).where(parked).values(reason=RESTORED))
    lines: list[Line] = []
    for state in open_states:
        lines += _lose(connection, and_(wanted, _d.state == state, _d.after_id.is_(None), kept(dropped)), state, now)
    return lines


def _lose(connection: Connection, wanted: Any, state: DeliveryState, now: int) -> list[Line]:
    """A claim of the history that is gone is given back first: its worker is not ours."""
    events = (E.LOSE,) if state in sources(DELIVERY_TABLE, E.LOSE) else (E.RELEASE, E.LOSE)
    after = follow(DELIVERY_TABLE, state, events)
    rows = connection.execute(
        update(deliveries)
        .where(wanted)
        .values(state=after, token=None, lease_until=None, reason=RESTORED, **unsettled(now))
        .returning(_d.id, _d.item_id, _d.channel)
    ).all()
    facts = {"was": state, "state": after, "reason": RESTORED}
    return [
        line(now, "doubted", "system", item=r.item_id, delivery=r.id, channel=r.channel, **facts)
        for r in sorted(rows, key=lambda r: r.id)
    ]


def unsettled(now: int) -> dict[str, Any]:
    """Nobody looks and no deadline runs until an operator has started again."""
    return {"unsettled_since": now, "look_at": None, "looks": 0, "deadline_at": None, "updated_at": now}


def release_in_doubt(
    connection: Connection, made: Collection[int], revision: Any, item_since: int, dropped: Dropped, now: int
) -> list[Line]:
    """For the fresh deliveries of a revision: those that the history that is gone may have carried out as well.

    Of an item that was there before, a publish may double what an earlier revision put out, whatever our tables say.
    """
    until = get_meta(connection, SUSPECT_UNTIL)
    if not made or until is None or item_since > until:
        return []
    itself = revision.created_at <= until
    wanted = _d.id.in_(list(made)) if itself else and_(_d.id.in_(list(made)), _d.operation == "publish")
    connection.execute(update(deliveries).where(wanted).values(key_since=min(revision.created_at, now)))
    lines = doubt(connection, wanted, dropped if itself else (), now)
    if not itself:
        older = and_(wanted, _d.reason == RESTORED)
        connection.execute(update(deliveries).where(older).values(reason=RESTORED_OLDER))
    if not get_meta(connection, STANDING):
        look_again(connection, now, now + DEADLINE)
    return lines


DEADLINE = 1_800_000_000  # microseconds, as for any doubt


def look_again(connection: Connection, now: int, deadline: int) -> None:
    """Looks may begin: at this very revision where looking for it can settle the doubt; a person settles the rest."""
    doubtful = and_(_d.state == DeliveryState.IN_DOUBT, _d.reason.in_(DOUBTED), _d.deadline_at.is_(None))
    connection.execute(
        update(deliveries).where(and_(doubtful, _d.reason == RESTORED)).values(look_at=now, unsettled_since=now)
    )
    connection.execute(update(deliveries).where(doubtful).values(deadline_at=deadline))


def start_again(connection: Connection, now: int) -> None:
    """An operator has seen the list: what can be looked up is looked up now."""
    if get_meta(connection, STANDING):
        put_meta(connection, STANDING, 0)
        look_again(connection, now, now + DEADLINE)
