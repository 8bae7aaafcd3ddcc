"""What is wrong: facts read from the store -> alarms. Pure; microseconds unless a name says otherwise.

Each condition is one function of `CONDITIONS`; the kinds of incidents are its keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from content_queue.model import Books
from content_queue.store import AccountSigns, Alarm, LinkCheck, SignsNow
from publisher.clock import SECOND

MINUTE, DAY = 60 * SECOND, 86_400 * SECOND
INFO, WARNING, CRITICAL = "info", "warning", "critical"
SEVERITIES = (INFO, WARNING, CRITICAL)
# In a row; one or two are the weather. Fewer than the breaker's: an account with few posts is told of before its fifth
# has failed, and refusals, which never open the breaker, are counted by the same measure.
FAILURES = 3
WORKER_SILENT = 60 * SECOND  # workers report every few seconds; a restart takes less than a minute
RELEASE_LATE = 5 * MINUTE
SEAL_LATE = 5 * MINUTE
UNSENT = 60 * MINUTE
REMIND_EVERY = 60 * MINUTE


@dataclass(frozen=True, slots=True)
class Limits:
    """Days in `quiet` (by account; the last is the inspectors' limit) and `token_days`. `targets` are those that there
    are now."""

    due: int = 10 * MINUTE
    failing: int = 15 * MINUTE
    stopped: int = 60 * MINUTE
    canary_every: int = 10 * MINUTE
    canary_within: int = 120 * SECOND
    token_days: tuple[int, ...] = (7, 1)
    quiet: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    doubt_reminders: int = 24
    targets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CanaryRun:
    """The newest canary: `waiting_since` is None when it has arrived; `reached` says how far it came."""

    started_at: int
    waiting_since: int | None
    reached: str


@dataclass(frozen=True, slots=True)
class Watched:
    """What was read at `now`. `books` None and `log_sound` None: not looked at this time. `late` are seconds by
    channel. `canary_since` is since when a canary could move (None: it is off, or stopped on purpose)."""

    now: int
    signs: SignsNow
    late: Mapping[str, float] = field(default_factory=dict)
    books: Books | None = None
    log_sound: bool | None = None
    canary: CanaryRun | None = None
    canary_since: int | None = None


Condition = Callable[[Watched, Limits], Iterator[Alarm]]


def alarms(watched: Watched, limits: Limits) -> tuple[list[Alarm], frozenset[str]]:
    """Everything that is wrong, and the kinds that were looked at."""
    kinds = frozenset(kind for kind in CONDITIONS if _looked_at(kind, watched))
    return [alarm for kind in CONDITIONS if kind in kinds for alarm in CONDITIONS[kind](watched, limits)], kinds


def _looked_at(kind: str, watched: Watched) -> bool:
    if kind == "books":
        return watched.books is not None
    return kind != "log_damaged" or watched.log_sound is not None


def _late(watched: Watched, limits: Limits) -> Iterator[Alarm]:
    for name, seconds in sorted(watched.late.items()):
        if seconds * SECOND > limits.due:
            yield Alarm(f"late:{name}", "late", CRITICAL, {"channel": name, "minutes": int(seconds // 60)})


def _failing(watched: Watched, limits: Limits) -> Iterator[Alarm]:
    """The breaker's count, and posts refused one after the other."""
    for one in watched.signs.accounts:
        since, failures = one.failing_since, one.failures
        unanswered = since is not None and failures >= FAILURES and watched.now - since > limits.failing
        if unanswered or one.rejected >= FAILURES:
            facts = {"channel": one.name, "failures": max(failures, one.rejected), "ok_at": one.ok_at}
            yield Alarm(f"failing:{one.name}", "failing", WARNING, facts)


def _parked(watched: Watched, limits: Limits) -> Iterator[Alarm]:
    for one in watched.signs.accounts:
        waits = one.waits_since is not None and watched.now - one.waits_since > limits.due
        if waits and (one.paused or one.closed):
            yield Alarm(f"parked:{one.name}", "parked", WARNING, {"channel": one.name, "reason": one.reason or "-"})


def _stopped(watched: Watched, limits: Limits) -> Iterator[Alarm]:
    for scope, at in watched.signs.stops:
        if watched.now - at > limits.stopped:
            yield Alarm(f"stopped:{scope}", "stopped", WARNING, {"scope": scope, "since": at})


def _account(watched: Watched, _limits: Limits) -> Iterator[Alarm]:
    for one in watched.signs.accounts:
        if one.check_reason:
            yield Alarm(f"account:{one.name}", "account", WARNING, {"channel": one.name, "reason": one.check_reason})


def _token(watched: Watched, limits: Limits) -> Iterator[Alarm]:
    for one in watched.signs.accounts:
        if one.token_until is None:
            continue
        left = one.token_until - watched.now
        level = sum(left <= days * DAY for days in limits.token_days)
        if level:
            facts = {"channel": one.name, "days": max(0, left // DAY), "until": one.token_until}
            severity = CRITICAL if level == len(limits.token_days) else WARNING
            yield Alarm(f"token:{one.name}", "token", severity, facts, level)


def _quiet(watched: Watched, limits: Limits) -> Iterator[Alarm]:
    for one in watched.signs.accounts:
        days, since = limits.quiet.get(one.name, ()), _seen_since(one)
        if not days or since is None:
            continue
        quiet = watched.now - since
        level = sum(quiet >= d * DAY for d in days)
        if level:
            facts = {"channel": one.name, "days": quiet // DAY, "limit": days[-1]}
            severity = CRITICAL if level == len(days) else WARNING
            yield Alarm(f"quiet:{one.name}", "quiet", severity, facts, level)


def _seen_since(one: AccountSigns) -> int | None:
    """The last *visible* post counts, not the last queued one; before the first, the day the account was known."""
    return one.visible_at if one.visible_at is not None else one.known_since


def _unsettled(awaits: str, kind: str, severity: str) -> Condition:
    def condition(watched: Watched, limits: Limits) -> Iterator[Alarm]:
        for one in watched.signs.unsettled:
            if one.awaits == awaits:
                facts: dict[str, Any] = {"delivery": one.id, "item": one.item_id, "title": one.title}
                facts |= {"channel": one.channel, "operation": one.operation, "since": one.since}
                yield Alarm(f"{kind}:{one.id}", kind, severity, facts, 0, REMIND_EVERY, limits.doubt_reminders)

    return condition


def _books(watched: Watched, _limits: Limits) -> Iterator[Alarm]:
    books = watched.books
    if books is not None and not books.balanced:
        counted = books.waiting + books.under_way + books.delivered + books.failed + books.in_doubt + books.cancelled
        yield Alarm("books", "books", CRITICAL, {"accepted": books.accepted, "counted": counted})


def _log_damaged(watched: Watched, _limits: Limits) -> Iterator[Alarm]:
    if watched.log_sound is False:
        yield Alarm("log_damaged", "log_damaged", CRITICAL, {})


def _seal_late(watched: Watched, _limits: Limits) -> Iterator[Alarm]:
    since = watched.signs.unsealed_since
    if since is not None and watched.now - since > SEAL_LATE:
        yield Alarm("seal_late", "seal_late", WARNING, {"since": since})


def _release_late(watched: Watched, _limits: Limits) -> Iterator[Alarm]:
    late = [held for held in watched.signs.held if watched.now - held.since > RELEASE_LATE]
    if late:
        facts = {"count": len(late), "item": late[0].item_id, "title": late[0].title, "since": late[0].since}
        yield Alarm("release_late", "release_late", CRITICAL, facts)


def _no_worker(watched: Watched, _limits: Limits) -> Iterator[Alarm]:
    seen = watched.signs.worker_seen_at
    if seen is None or watched.now - seen > WORKER_SILENT:
        yield Alarm("no_worker", "no_worker", CRITICAL, {"since": seen})


def _canary(watched: Watched, limits: Limits) -> Iterator[Alarm]:
    """It has not arrived in time, or none has been sent out although it was time."""
    if watched.canary_since is None:
        return
    run = watched.canary
    if run is not None and run.waiting_since is not None:
        since, reached, allowed = run.waiting_since, run.reached, limits.canary_within
    else:
        since = max(watched.canary_since, run.started_at if run else 0)
        reached, allowed = "-", limits.canary_every + limits.canary_within
    if watched.now - max(since, watched.canary_since) > allowed:
        yield Alarm("canary", "canary", CRITICAL, {"since": since, "reached": reached})


def _links(watched: Watched, _limits: Limits) -> Iterator[Alarm]:
    """One incident for each item."""
    items: dict[str, list[LinkCheck]] = {}
    for check in watched.signs.broken:
        items.setdefault(check.item_id, []).append(check)
    for item, checks in items.items():
        first = checks[0]
        facts = {"item": item, "title": first.title, "count": len(checks), "url": shown_url(first.url)}
        yield Alarm(f"links:{item}", "links", INFO, {**facts, "reason": first.problem}, len(checks))


def shown_url(url: str) -> str:
    """Without query and fragment: they may hold what is nobody's business."""
    try:
        return urlsplit(url)._replace(query="", fragment="").geturl()[:300]
    except ValueError:
        return "-"


def _target(watched: Watched, limits: Limits) -> Iterator[Alarm]:
    """The other targets are told of it; and whoever runs `gongbao alarms`."""
    for name, since in watched.signs.unsent:
        if name in limits.targets and watched.now - since > UNSENT:
            yield Alarm(f"target:{name}", "target", WARNING, {"target": name, "since": since})


CONDITIONS: Mapping[str, Condition] = MappingProxyType(
    {
        "late": _late,
        "failing": _failing,
        "parked": _parked,
        "stopped": _stopped,
        "account": _account,
        "token": _token,
        "quiet": _quiet,
        "doubt": _unsettled("", "doubt", CRITICAL),
        "undecided": _unsettled("platform", "undecided", WARNING),
        "by_hand": _unsettled("person", "by_hand", WARNING),
        "books": _books,
        "log_damaged": _log_damaged,
        "seal_late": _seal_late,
        "release_late": _release_late,
        "no_worker": _no_worker,
        "canary": _canary,
        "links": _links,
        "target": _target,
    }
)
