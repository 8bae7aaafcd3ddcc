"""Every condition: what raises it, what just does not, and how it is worded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from content_queue.model import Books
from content_queue.store import AccountSigns, Alarm, Held, LinkCheck, SignsNow, Unsettled
from publisher.alarms import words
from publisher.alarms.conditions import CONDITIONS, DAY, MINUTE, SEVERITIES, CanaryRun, Limits, Watched, alarms
from publisher.clock import SECOND

NOW = 1_800_000_000 * SECOND
LIMITS = Limits(quiet={"weibo": (10, 12, 14)}, targets=frozenset({"duty"}))
CALM = SignsNow((), (), (), (), NOW, None, (), ())
ACCOUNT = AccountSigns(
    "weibo", False, False, 0, "", 0, None, NOW, None, NOW, NOW - 90 * DAY, "", NOW, None, 0, None
)  # fmt: skip
BALANCED = Books(5, 1, 1, 1, 1, 1, 0)
LINK = LinkCheck(1, "item-1", 1, "https://a.example/x?token=hush#top", 0, 2, NOW, "http_404", NOW, "培训通知")


def account(**facts: Any) -> SignsNow:
    return replace(CALM, accounts=(replace(ACCOUNT, **facts),))


def unsettled(awaits: str) -> SignsNow:
    state = "sent" if awaits else "in_doubt"
    one = Unsettled(7, "item-1", "培训通知", "weibo", "publish", state, awaits, NOW - DAY, NOW)
    return replace(CALM, unsettled=(one,))


# kind -> (what raises it, what just does not)
CASES: Mapping[str, tuple[Watched, Watched]] = {
    "late": (Watched(NOW, CALM, {"weibo": 601.0}), Watched(NOW, CALM, {"weibo": 599.0})),
    "failing": (
        Watched(NOW, account(failures=3, failing_since=NOW - 16 * MINUTE)),
        Watched(NOW, account(failures=2, failing_since=NOW - 16 * MINUTE, rejected=2)),
    ),
    "parked": (
        Watched(NOW, account(paused=True, reason="http_401", waits_since=NOW - 11 * MINUTE)),
        Watched(NOW, account(paused=False, waits_since=NOW - 11 * MINUTE)),
    ),
    "stopped": (
        Watched(NOW, replace(CALM, stops=(("all", NOW - 61 * MINUTE),))),
        Watched(NOW, replace(CALM, stops=(("all", NOW - 59 * MINUTE),))),
    ),
    "account": (Watched(NOW, account(check_reason="http_403")), Watched(NOW, account())),
    "token": (
        Watched(NOW, account(token_until=NOW + 7 * DAY)),
        Watched(NOW, account(token_until=NOW + 7 * DAY + 1)),
    ),
    "quiet": (
        Watched(NOW, account(visible_at=NOW - 10 * DAY)),
        Watched(NOW, account(visible_at=NOW - 10 * DAY + 1)),
    ),
    "doubt": (Watched(NOW, unsettled("")), Watched(NOW, unsettled("person"))),
    "undecided": (Watched(NOW, unsettled("platform")), Watched(NOW, unsettled(""))),
    "by_hand": (Watched(NOW, unsettled("person")), Watched(NOW, unsettled("platform"))),
    "books": (
        Watched(NOW, CALM, books=replace(BALANCED, accepted=6)),
        Watched(NOW, CALM, books=BALANCED),
    ),
    "log_damaged": (Watched(NOW, CALM, log_sound=False), Watched(NOW, CALM, log_sound=True)),
    "seal_late": (
        Watched(NOW, replace(CALM, unsealed_since=NOW - 6 * MINUTE)),
        Watched(NOW, replace(CALM, unsealed_since=NOW - 4 * MINUTE)),
    ),
    "release_late": (
        Watched(NOW, replace(CALM, held=(Held("item-1", 1, "培训通知", NOW - 6 * MINUTE),))),
        Watched(NOW, replace(CALM, held=(Held("item-1", 1, "培训通知", NOW - 4 * MINUTE),))),
    ),
    "no_worker": (
        Watched(NOW, replace(CALM, worker_seen_at=None)),
        Watched(NOW, replace(CALM, worker_seen_at=NOW - 59 * SECOND)),
    ),
    "canary": (
        Watched(NOW, CALM, canary=CanaryRun(NOW, NOW - 121 * SECOND, "approved"), canary_since=0),
        Watched(NOW, CALM, canary=CanaryRun(NOW, NOW - 119 * SECOND, "approved"), canary_since=0),
    ),
    "links": (
        Watched(NOW, replace(CALM, broken=(LINK, replace(LINK, id=2)))),
        Watched(NOW, CALM),
    ),
    "target": (
        Watched(NOW, replace(CALM, unsent=(("duty", NOW - 61 * MINUTE),))),
        Watched(NOW, replace(CALM, unsent=(("duty", NOW - 59 * MINUTE),))),
    ),
}


def raised(watched: Watched, kind: str) -> list[Alarm]:
    return [a for a in alarms(watched, LIMITS)[0] if a.kind == kind]


def test_every_condition_is_tried() -> None:
    assert set(CASES) == set(CONDITIONS) == set(words.WRONG) == set(words.ADVICE)


@pytest.mark.parametrize("kind", CASES)
def test_a_condition_raises_one_alarm_and_only_then(kind: str) -> None:
    wrong, well = CASES[kind]
    (alarm,) = raised(wrong, kind)
    assert alarm.key.split(":")[0] == kind
    assert alarm.severity in SEVERITIES
    assert raised(well, kind) == []


@pytest.mark.parametrize("kind", CASES)
def test_it_is_worded_in_both_languages_without_gaps(kind: str) -> None:
    (alarm,) = raised(CASES[kind][0], kind)
    for text in (words.wrong(kind, alarm.facts, "Asia/Shanghai"), words.advice(kind, alarm.facts, "Asia/Shanghai")):
        assert text.en
        assert text.zh != text.en
        assert "{" not in text.en + text.zh


def test_nothing_is_wrong_when_all_is_calm() -> None:
    found, kinds = alarms(Watched(NOW, CALM, books=BALANCED, log_sound=True), LIMITS)
    assert found == []
    assert kinds == set(CONDITIONS)


def test_what_was_not_looked_at_is_not_judged() -> None:
    assert alarms(Watched(NOW, CALM), LIMITS)[1] == set(CONDITIONS) - {"books", "log_damaged"}


@pytest.mark.parametrize(
    ("days", "level", "severity"), [(10, 1, "warning"), (11, 1, "warning"), (12, 2, "warning"), (14, 3, "critical")]
)
def test_silence_grows_worse(days: int, level: int, severity: str) -> None:
    (alarm,) = raised(Watched(NOW, account(visible_at=NOW - days * DAY)), "quiet")
    assert (alarm.level, alarm.severity, alarm.facts["days"]) == (level, severity, days)


def test_silence_is_asked_of_public_accounts_alone_and_never_guessed() -> None:
    assert raised(Watched(NOW, account(name="hook", visible_at=NOW - 90 * DAY)), "quiet") == []
    assert raised(Watched(NOW, account(visible_at=None, known_since=None)), "quiet") == []
    (alarm,) = raised(Watched(NOW, account(visible_at=None, known_since=NOW - 11 * DAY)), "quiet")
    assert alarm.level == 1


def test_a_token_grows_worse_and_ends() -> None:
    (soon,) = raised(Watched(NOW, account(token_until=NOW + DAY)), "token")
    (over,) = raised(Watched(NOW, account(token_until=NOW - DAY)), "token")
    assert (soon.level, soon.severity) == (over.level, over.severity) == (2, "critical")
    assert over.facts["days"] == 0


def test_refused_posts_alone_make_a_failing_channel() -> None:
    (alarm,) = raised(Watched(NOW, account(rejected=3)), "failing")
    assert alarm.facts["failures"] == 3


def test_a_canary_that_is_never_sent_out_is_missed() -> None:
    assert raised(Watched(NOW, CALM, canary_since=NOW - 11 * MINUTE), "canary") == []
    assert raised(Watched(NOW, CALM, canary_since=NOW - 13 * MINUTE), "canary")
    gone = CanaryRun(NOW - 13 * MINUTE, None, "sent")
    assert raised(Watched(NOW, CALM, canary=gone, canary_since=0), "canary")
    assert raised(Watched(NOW, CALM, canary=gone, canary_since=None), "canary") == []


def test_a_canary_has_its_time_again_after_a_stop() -> None:
    run = CanaryRun(NOW - 3600 * SECOND, NOW - 3600 * SECOND, "approved")
    assert raised(Watched(NOW, CALM, canary=run, canary_since=NOW - 100 * SECOND), "canary") == []
    (alarm,) = raised(Watched(NOW, CALM, canary=run, canary_since=NOW - 130 * SECOND), "canary")
    assert alarm.facts["since"] == NOW - 3600 * SECOND


def test_a_target_that_was_taken_out_of_the_file_is_nobody_s_trouble() -> None:
    assert raised(Watched(NOW, replace(CALM, unsent=(("old", NOW - DAY),))), "target") == []


def test_links_of_an_item_are_one_alarm_without_query() -> None:
    (alarm,) = raised(CASES["links"][0], "links")
    assert (alarm.facts["count"], alarm.level) == (2, 2)
    assert alarm.facts["url"] == "https://a.example/x"


def test_old_incidents_stay_readable() -> None:
    assert words.wrong("a-kind-of-old", {}, "UTC").en == "a-kind-of-old"
    assert words.wrong("late", {}, "UTC").en.startswith("-: a post")
