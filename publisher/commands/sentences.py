"""Log entries as sentences. Whatever a body holds, the answer is one: entries outlive the code that reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from content_queue.model import Entry
from content_queue.states import DeliveryState
from publisher.clock import human
from publisher.commands import words
from publisher.commands.views import facts
from publisher.doubts import MAY_RETURN
from publisher.texts import Text, bilingual, mark

NOTHING = Text("", "")

# kind -> message; places are the entry's facts and its actor. What is not named here has a function below.
_PLAIN: Mapping[str, str] = MappingProxyType(
    {
        "submitted": mark("{actor} submitted revision {revision}"),
        "signed": mark("{person} signed the stage {stage} of revision {revision}"),
        "approved": mark("revision {revision} is fully signed and in the queue"),
        "held": mark("the checklist holds revision {revision}"),
        "cleared": mark("nothing holds revision {revision} any more"),
        "superseded": mark("revision {revision} was replaced"),
        "withdrawn": mark("{actor} withdrew revision {revision}"),
        "finding_accepted": mark("{person} let {rule_id} stand: {reason}"),
        "started": mark("the request to {channel} is about to leave"),
        "claim_released": mark("the worker gave it back unsent"),
        "cancelled": mark("cancelled on {channel}: {why}"),
        "unparked": mark("may go to {channel} now: what it waited for is settled"),
        "absent": mark("{actor} made sure that it is not out: {reason}"),
        "found": mark("{actor} saw it live at {url}"),
        "breaker_opened": mark("channel {channel} gives no answers ({reason}): left alone but for a probe at a time"),
        "breaker_closed": mark("channel {channel} answers again"),
        "settled": mark("{actor} did it by hand: {reason}"),
        "dropped": mark("{actor} says that it will not be done: {reason}"),
        "task_ended": mark("nobody has to do it on {channel} by hand any more: a newer operation takes over"),
        "restored": mark(
            "an older database was restored: {missing} sealed entries are gone, {doubtful} deliveries may be out"
        ),
        "channel_paused": mark("channel {channel} was paused by {actor}: {reason}"),
        "channel_resumed": mark("channel {channel} goes on ({actor})"),
        "channel_closed": mark("channel {channel} was closed: {reason}"),
        "stopped": mark("{actor} stopped {scope}: {reason}"),
        "started_again": mark("{actor} started {scope} again"),
        "alarm_raised": mark("alarm {key} ({severity}); gongbao alarms"),
        "alarm_worse": mark("alarm {key} has grown worse ({severity})"),
        "alarm_cleared": mark("alarm {key} is over"),
        "log_continued": mark("the log goes on in another database server: epoch {epoch}"),
        "token_created": mark("{actor} made the token {token} ({name}, {role})"),
        "token_revoked": mark("{actor} revoked the token {token}"),
    }
)


class _Facts(dict[str, Any]):
    """Places that an entry does not fill read as a dash."""

    def __missing__(self, _key: str) -> str:
        return "-"


def describe(entry: Entry) -> tuple[Text, Text]:
    """(what happened, what to do about it or nothing)."""
    body = facts(entry)
    found = _Facts(body if isinstance(body, dict) else {})
    found["actor"] = entry.actor
    own = _OWN.get(entry.kind)
    if own is not None:
        return own(entry, found)
    if entry.kind in _PLAIN:
        return _fill(_PLAIN[entry.kind], found), NOTHING
    return bilingual("{kind} by {actor}", kind=entry.kind, actor=entry.actor), NOTHING


def _fill(msgid: str, found: _Facts) -> Text:
    template = bilingual(msgid)
    return Text(template.en.format_map(found), template.zh.format_map(found))


def _attempt(entry: Entry, found: _Facts) -> tuple[Text, Text]:
    """Channel, number, outcome, duration and reason."""
    code, state = str(found.get("reason", "")), str(found.get("state", ""))
    outcome = words.outcome(str(found["outcome"]))
    said = bilingual(
        "{channel}, attempt {attempt}: {outcome}", channel=found["channel"], attempt=found["attempt"], outcome=outcome
    )
    said = _joined(said, " ({})", _duration(found.get("ms")))
    said = _joined(said, ": {}", words.reason(code))
    if state == DeliveryState.WAITING and isinstance(found.get("due"), int):
        again = bilingual("next try {time} UTC", time=human(int(found["due"]), "UTC"))
        said = _joined(said, "; {}", again)
    if found.get("url"):
        said = Text(f"{said.en} {found['url']}", f"{said.zh} {found['url']}")
    said = _since(said, found)
    return said, _advice(entry, found, code, state)


def _joined(first: Text, pattern: str, second: Text) -> Text:
    if not second.en:
        return first
    return Text(first.en + pattern.format(second.en), first.zh + pattern.format(second.zh))


def _duration(ms: object) -> Text:
    if not isinstance(ms, int | float):
        return NOTHING
    return bilingual("{n} s", n=f"{ms / 1000:.1f}") if ms >= 1000 else bilingual("{n} ms", n=f"{ms:.0f}")


def _advice(entry: Entry, found: _Facts, code: str, state: str) -> Text:
    return words.advice(code, state, id=entry.delivery_id or "-", channel=found["channel"])


def _seen(entry: Entry, found: _Facts) -> tuple[Text, Text]:
    """By a look, or by a person. A recall's end tells how long readers could still see the post."""
    if "since_ms" in found:
        return _since(bilingual("gone from {channel}", channel=found["channel"]), found), NOTHING
    message = mark("{actor} saw it live at {url}") if found.get("url") else mark("{actor} saw it live: {reason}")
    return _fill(message, found), NOTHING


def _since(said: Text, found: _Facts) -> Text:
    ms = found.get("since_ms")
    if not isinstance(ms, int):
        return said
    return _joined(said, "; {}", bilingual("{duration} after the withdrawal", duration=_duration(ms)))


def _resent(_entry: Entry, found: _Facts) -> tuple[Text, Text]:
    """By a person, with the person's own words; or by a look, with a code."""
    if found.get("reason") != MAY_RETURN:
        return _fill(mark("{actor} had it sent again: {reason}"), found), NOTHING
    said = bilingual("taken down on {channel} once more, for an older request may have put it out", **found)
    return _joined(said, " ({})", words.sighting(found.get("detail"))), NOTHING


def _refused(entry: Entry, found: _Facts) -> tuple[Text, Text]:
    if found.get("reason") == "not_shown":
        said = bilingual("{channel} does not show what it said was done", channel=found["channel"])
    else:
        said = bilingual("{channel} turned it down after all", channel=found["channel"])
    said = _joined(said, ": {}", Text(str(found.get("detail", "")), str(found.get("detail", ""))))
    return said, _advice(entry, found, str(found.get("reason", "")), str(found.get("state", "")))


def _incomplete(entry: Entry, found: _Facts) -> tuple[Text, Text]:
    code, detail = str(found.get("reason", "")), str(found.get("detail", ""))
    name = str(found["channel"]) or "-"
    said = _joined(Text(name, name), ": {}", words.reason(code))
    return _joined(said, " ({})", Text(detail, detail)), _advice(entry, found, code, str(found.get("state", "")))


def _looked(_entry: Entry, found: _Facts) -> tuple[Text, Text]:
    said = bilingual("looked at {channel}: {detail}", channel=found["channel"], detail=words.sighting(found["detail"]))
    at = found.get("look_at")
    again = bilingual("a person has to settle it")
    if isinstance(at, int):
        again = bilingual("looks again {time} UTC", time=human(at, "UTC"))
    return _joined(said, "; {}", again), NOTHING


def _doubted(entry: Entry, found: _Facts) -> tuple[Text, Text]:
    said = bilingual("may have gone out in the history that is gone with the restored database")
    return said, _advice(entry, found, str(found.get("reason", "")), str(found.get("state", "")))


def _late(_entry: Entry, found: _Facts) -> tuple[Text, Text]:
    outcome = words.outcome(str(found["outcome"]))
    said = bilingual("a worker that had lost its hold reports late: {outcome}; kept as evidence", outcome=outcome)
    return said, NOTHING


def _lease(entry: Entry, found: _Facts) -> tuple[Text, Text]:
    state = str(found.get("state", ""))
    said = bilingual("the worker ended or hung; now: {state}", state=words.delivery_state(state))
    return said, _advice(entry, found, "lease_expired", state)


def _released(_entry: Entry, found: _Facts) -> tuple[Text, Text]:
    message = mark("revision {revision} left the queue for: {names}")
    return bilingual(message, revision=found["revision"], names=_names(found)), NOTHING


def _recalled(_entry: Entry, found: _Facts) -> tuple[Text, Text]:
    why = words.withdrawal(str(found["reason"]))
    message = mark("{actor} withdrew the item ({why}); taken down on: {names}")
    return bilingual(message, actor=found["actor"], why=why, names=_names(found)), NOTHING


def _names(found: _Facts) -> str:
    made = found.get("deliveries")
    return ", ".join(f"{name} (#{number})" for name, number in made.items()) if isinstance(made, dict) and made else "-"


def _claimed(entry: Entry, found: _Facts) -> tuple[Text, Text]:
    made = found.get("deliveries")
    count = len(made) if isinstance(made, list) else 0
    return bilingual("worker {actor} took {count} deliveries", actor=entry.actor, count=count), NOTHING


def _channel_held(_entry: Entry, found: _Facts) -> tuple[Text, Text]:
    until = found.get("until")
    time = human(until, "UTC") if isinstance(until, int) else "-"
    return bilingual(
        "channel {channel} waits until {time} UTC, as its receiver asked", channel=found["channel"], time=time
    ), NOTHING


_OWN: Mapping[str, Callable[[Entry, _Facts], tuple[Text, Text]]] = MappingProxyType(
    {
        "attempt": _attempt,
        "found": _seen,
        "confirmed": _seen,
        "incomplete": _incomplete,
        "refused": _refused,
        "resend": _resent,
        "looked": _looked,
        "doubted": _doubted,
        "late_outcome": _late,
        "lease_expired": _lease,
        "released": _released,
        "recalled": _recalled,
        "claimed": _claimed,
        "channel_held": _channel_held,
    }
)
