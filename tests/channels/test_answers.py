from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.answers import LONGEST_WAIT, Answer, classify, reset_after, retry_after, verdict
from channels.verdicts import Deferred, OutcomeUnknown, Rejected, Suspended

NOW = 1_767_225_600.0


@pytest.mark.parametrize(
    ("values", "wait"),
    [
        (["0"], 0),
        (["120"], 120),
        ([" 120 "], 120),
        (["-5"], None),
        (["soon"], None),
        ([""], None),
        (["1.5"], None),
        (["１２"], None),
        (["99999999999999999999"], LONGEST_WAIT),
        (["31536000"], LONGEST_WAIT),
        (["Thu, 01 Jan 2026 00:00:30 GMT"], 30),
        (["Wed, 31 Dec 2025 23:59:30 GMT"], None),
        (["Thu, 01 Jan 2099 00:00:30 GMT"], LONGEST_WAIT),
        (["Thu, 32 Jan 2026 00:00:30 GMT"], None),
        (["5", "Thu, 01 Jan 2026 00:01:00 GMT"], 60),
        (["rubbish", "7"], 7),
        ([], None),
    ],
)
def test_retry_after(values: list[str], wait: float | None) -> None:
    assert retry_after(values, NOW) == wait


@given(st.integers(0, 86_400))
def test_seconds_and_dates_say_the_same(seconds: int) -> None:
    assert retry_after([str(seconds)], NOW) == seconds
    assert retry_after([formatdate(NOW + seconds, usegmt=True)], NOW) == seconds


@given(st.lists(st.text(max_size=40)))
def test_no_text_breaks_it_and_no_wait_leaves_its_bounds(values: list[str]) -> None:
    wait = retry_after(values, NOW)
    assert wait is None or 0 <= wait <= LONGEST_WAIT


@given(st.integers(100, 999))
def test_only_2xx_is_taken_without_a_table(status: int) -> None:
    assert (classify(status, None, None) is Answer.TAKEN) == (200 <= status < 300)


@given(st.integers(500, 999))
def test_a_server_error_is_never_certain(status: int) -> None:
    assert classify(status, None, None) is Answer.UNKNOWN


def test_503_with_a_wait_says_it_was_not_taken() -> None:
    assert classify(503, None, 0.0) is Answer.DEFERRED
    assert classify(500, None, 3.0) is Answer.UNKNOWN


def test_the_platforms_own_table_wins() -> None:
    codes = {403: Answer.DEFERRED, 404: Answer.TAKEN, 503: Answer.REJECTED, 200: Answer.UNKNOWN}
    assert [classify(s, codes, 5.0) for s in codes] == list(codes.values())
    assert classify(401, codes, None) is Answer.SUSPENDED


def test_verdicts_carry_the_wait_and_the_end() -> None:
    deferred = verdict(429, Answer.DEFERRED, "x", 9.0)
    assert isinstance(deferred, Deferred)
    assert (deferred.reason, deferred.retry_after, deferred.whole_endpoint) == ("http_429", 9.0, True)
    gone, rejected = verdict(410, Answer.GONE, "x", None), verdict(400, Answer.REJECTED, "x", None)
    assert isinstance(gone, Rejected)
    assert isinstance(rejected, Rejected)
    assert (gone.gone, rejected.gone) == (True, False)
    assert type(verdict(401, Answer.SUSPENDED, "x", None)) is Suspended
    assert type(verdict(500, Answer.UNKNOWN, "x", None)) is OutcomeUnknown


@pytest.mark.parametrize(
    "value,wait",
    [
        ("2026-01-01T00:05:00.000000Z", 300),
        ("1767225660", 60),
        (" 45 ", 45),
        ("2025-01-01T00:00:00Z", None),
        ("1000000000", None),
        ("2026-01-01T00:05:00", None),
        ("soon", None),
        ("-5", None),
        ("2030-01-01T00:00:00Z", 86_400),
    ],
)
def test_when_an_allowance_starts_anew(value: str, wait: float | None) -> None:
    assert reset_after(value, 1_767_225_600.0) == wait
