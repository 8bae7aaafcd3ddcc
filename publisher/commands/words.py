"""States, outcomes and reasons in plain words, and what to do about them. Data first; unknown codes stay readable."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from content_queue.model import Delivery
from content_queue.states import DELIVERED, DeliveryState, RevisionState
from publisher.commands.platforms import platform_reasons
from publisher.texts import Text, bilingual, mark

D, R = DeliveryState, RevisionState
_STATUS = re.compile(r"http_([1-5])\d\d")

REVISION_STATES: Mapping[RevisionState, str] = MappingProxyType(
    {
        R.DRAFT: mark("waits for sign-offs"),
        R.HELD: mark("held by the checklist"),
        R.APPROVED: mark("fully signed, in the queue"),
        R.RELEASED: mark("released to the channels"),
        R.SUPERSEDED: mark("replaced by a newer revision"),
        R.WITHDRAWN: mark("withdrawn"),
    }
)

DELIVERY_STATES: Mapping[DeliveryState, str] = MappingProxyType(
    {
        D.WAITING: mark("waits"),
        D.CLAIMED: mark("taken by a worker"),
        D.SENDING: mark("under way"),
        D.SENT: mark("delivered"),
        D.CONFIRMED: mark("delivered and seen live"),
        D.FAILED: mark("failed"),
        D.IN_DOUBT: mark("in doubt: it may be out"),
        D.CANCELLED: mark("cancelled"),
    }
)

OPERATIONS: Mapping[str, str] = MappingProxyType(
    {"publish": mark("publish"), "edit": mark("correct"), "recall": mark("take down")}
)

_LATER = mark("It is tried again by itself.")
_LOOK = mark("Look at the channel, then: gongbao resolve {id} --live URL, or --not-out --reason WHY.")
_CHECK_KEY = mark("Check the account's key and address in channels.toml, then: gongbao resume {channel}.")
_MEND = mark("Mend the cause, then: gongbao retry {id} --reason WHY.")

# Reason codes of channels/transport.py, the adapters, publisher/delivery.py and the store: (what it means, advice).
REASONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "cannot_connect": (mark("the receiver accepts no connection"), _LATER),
        "connect_timeout": (mark("the receiver accepted no connection in time"), _LATER),
        "name_not_found": (mark("the receiver's name has no address"), mark("Check the address in channels.toml.")),
        "tls_refused": (mark("the receiver shows no certificate that we trust"), mark("Ask the receiver to mend it.")),
        "late_answer": (mark("the receiver gave no answer in time"), _LOOK),
        "broken_answer": (mark("the connection broke while the answer was awaited"), _LOOK),
        "unreadable_answer": (mark("the receiver's answer could not be read"), _LOOK),
        "address_not_allowed": (
            mark("the address is not a public one and its network is not allow-listed"),
            mark("Correct the address, or list the network in GONGBAO_ALLOW_NETWORKS, then: gongbao resume {channel}."),
        ),
        "no_valid_key": (mark("no signing key is valid now"), _CHECK_KEY),
        "http_401": (mark("the receiver refuses our key (HTTP 401)"), _CHECK_KEY),
        "http_403": (mark("the receiver forbids it (HTTP 403)"), _CHECK_KEY),
        "http_404": (mark("the receiver knows no such address (HTTP 404)"), _MEND),
        "http_410": (
            mark("the receiver has ended (HTTP 410); its channel is closed"),
            mark("If it is back: gongbao resume {channel}, then gongbao retry {id} --reason WHY."),
        ),
        "http_413": (mark("the post is too large for the receiver (HTTP 413)"), _MEND),
        "http_429": (mark("the receiver asks us to slow down (HTTP 429)"), _LATER),
        "lease_expired": (mark("the worker that held it ended or hung"), _LATER),
        "key_expired": (
            mark("an earlier attempt may be out, and the receiver no longer knows its key: nothing was sent"),
            mark("Look whether it is out, then: gongbao resolve {id}."),
        ),
        "hash_mismatch": (
            mark("the stored bytes are not the signed ones: nothing was sent"),
            mark("Somebody changed the database. Run gongbao verify-log and call whoever answers for security."),
        ),
        "cannot_edit": (
            mark("the channel cannot change a post that is out"),
            mark("Correct it by hand on the platform, or withdraw the item."),
        ),
        "cannot_recall": (
            mark("the channel cannot take a post down"),
            mark("Take it down by hand on the platform and keep a record."),
        ),
        "superseded": (mark("a newer operation took its place"), ""),
        "never_out": (mark("it never went out, so there was nothing to take down"), ""),
        "exhausted": (mark("proven not to be out, and given up after the last attempt"), _MEND),
        "gone_later": (mark("the platform has taken it down"), _MEND),
        "refused_later": (mark("the platform took it first and turned it down later"), _MEND),
        "not_shown": (mark("the platform said that it was done, but shows otherwise"), _MEND),
        "dropped": (mark("somebody decided that it will not be done"), _MEND),
        "may_return": (mark("an older request may still put it out"), _LOOK),
        "restored": (mark("an older database was restored: it may have gone out since that backup"), _LOOK),
        "restored_older": (
            mark("an older database was restored: an earlier revision may have gone out since that backup"),
            _LOOK,
        ),
    }
)

SIGHTINGS: Mapping[str, str] = MappingProxyType(
    {
        "live": mark("it is live"),
        "absent": mark("it is not there, which may only be too early"),
        "unknown": mark("nothing could be seen"),
        "cannot_look": mark("the channel cannot be looked at"),
    }
)

_BY_CLASS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "3": (mark("the receiver answered with a redirect, which is not followed ({code})"), _MEND),
        "4": (mark("the receiver refuses the post ({code})"), _MEND),
        "5": (mark("the receiver failed while it had the post ({code})"), _LOOK),
    }
)

OUTCOMES: Mapping[str, str] = MappingProxyType(
    {
        "receipt": mark("taken by the channel"),
        "rejected": mark("refused for good"),
        "unbelieved": mark("answered, and not believed yet"),
        "deferred": mark("not now; will be tried again"),
        "exhausted": mark("given up after the last attempt"),
        "suspended": mark("the account cannot publish; the channel is paused"),
        "unknown_safe": mark("no clear answer; sent again, for the channel drops repeats"),
        "unknown": mark("no clear answer; it may be out"),
    }
)

WITHDRAWALS: Mapping[str, str] = MappingProxyType(
    {
        "error": mark("error in the content"),
        "superseded": mark("replaced by another item"),
        "privacy": mark("personal data"),
        "secrecy": mark("secrecy"),
        "legal": mark("legal reasons"),
        "expired": mark("no longer valid"),
        "other": mark("other reasons"),
    }
)


def revision_state(state: str) -> Text:
    return bilingual(REVISION_STATES.get(state, "{state}"), state=state)  # type: ignore[call-overload]


def delivery_state(state: str) -> Text:
    return bilingual(DELIVERY_STATES.get(state, "{state}"), state=state)  # type: ignore[call-overload]


def standing(delivery: Delivery) -> Text:
    """Its state; what a person has still to do by hand is not told as delivered."""
    if delivery.state is D.SENT and delivery.awaits == "person":
        return bilingual("waits for a person")
    return delivery_state(delivery.state)


def operation(name: str) -> Text:
    return bilingual(OPERATIONS.get(name, "{name}"), name=name)


def outcome(code: str) -> Text:
    return bilingual(OUTCOMES.get(code, "{code}"), code=code)


def sighting(code: object) -> Text:
    """What a look showed, or why it showed nothing."""
    known = SIGHTINGS.get(str(code))
    return bilingual(known) if known else reason(str(code))


def withdrawal(code: str) -> Text:
    return bilingual(WITHDRAWALS.get(code, "{code}"), code=code)


def reason(code: str) -> Text:
    """The meaning of a reason code; one that nobody has described is shown as it is."""
    if not code:
        return Text("", "")
    found = _entry(code)
    return bilingual(found[0], code=_spelled(code)) if found else bilingual("reason: {code}", code=code)


def advice(code: str, state: str, **places: Any) -> Text:
    """What to do about a delivery in `state` for `code`; `places` are its `id` and `channel`."""
    if state in DELIVERED or state == D.CANCELLED:
        return Text("", "")
    if state == D.IN_DOUBT:
        return bilingual(_LOOK, **places)
    if state not in {D.FAILED, D.WAITING}:
        return Text("", "")
    found = _entry(code)
    wanted = found[1] if found else ""
    if state == D.WAITING:
        return bilingual(_LATER if wanted in {"", _LOOK, _MEND} else wanted, **places) if code else Text("", "")
    return bilingual(_MEND if wanted in {"", _LATER, _LOOK} else wanted, **places)


def _entry(code: str) -> tuple[str, str] | None:
    status = _STATUS.fullmatch(code)
    if code.startswith("surprise_"):
        return mark("the channel's program failed ({code})"), _LOOK
    return REASONS.get(code) or platform_reasons().get(code) or (_BY_CLASS.get(status[1]) if status else None)


def _spelled(code: str) -> str:
    return code.removeprefix("surprise_").replace("http_", "HTTP ")
