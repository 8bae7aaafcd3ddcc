"""The benchmarks' report says what was measured: aims missed are told, older parts are kept where they still hold."""

from __future__ import annotations

import pytest

from bench import report
from bench.report import Row, Section, page, page_part
from bench.suite import RUNNERS, TITLES

MET = Row("rate", "90/s", "100/s", 0.9, ("at least", 0.8))
MISSED = Row("cost", "9 us", "3 us", 3.0, ("at most", 1.5))


def test_an_aim_is_met_from_the_right_side() -> None:
    assert (MET.met, MISSED.met, Row("size", "9 MiB").met) == (True, False, None)
    assert Row("rate", "1/s", "2/s", 0.8, ("at least", 0.8)).met
    assert not Row("rate", "1/s", "2/s", 0.799, ("at least", 0.8)).met
    assert Row("cost", "3 us", "2 us", 1.5, ("at most", 1.5)).met


def test_a_missed_aim_is_said_in_words() -> None:
    part = page_part(Section("claims", "Claims", (MET, MISSED), ("A note.",)), "today")
    assert "| cost | 9 us | 3 us | 3.00 | at most 1.5 | no |" in part
    assert "The aim is missed: cost is 3.00, where at most 1.5 is wanted." in part
    assert part.count("missed") == 1
    assert "A note." in part


def test_other_parts_stay_while_the_machine_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "machine", lambda: "* one core\n")
    order = ("Feeds", "Claims")
    old = page("", {"Claims": "## Claims\n\nold claims\n", "Feeds": "## Feeds\n\nold feeds\n"}, order)
    new = page(old, {"Claims": "## Claims\n\nnew claims\n"}, order)
    assert new.endswith("\n## Feeds\n\nold feeds\n\n## Claims\n\nnew claims\n")
    assert "old claims" not in new
    assert page(new, {}, order) == new
    monkeypatch.setattr(report, "machine", lambda: "* another core\n")
    moved = page(new, {"Claims": "## Claims\n\nclaims elsewhere\n"}, order)
    assert "old feeds" not in moved
    assert "claims elsewhere" in moved


def test_every_benchmark_has_a_place_in_the_report() -> None:
    assert list(RUNNERS) == list(TITLES)
    assert len(set(TITLES.values())) == len(TITLES)


def test_the_machine_is_described() -> None:
    told = report.machine()
    assert told.count("\n* ") == 2
    assert "cores" in told
    assert "aiohttp 3" in told
