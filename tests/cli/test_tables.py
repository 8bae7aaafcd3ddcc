"""Tables and sentences: widths, languages, and nothing that could steer a terminal."""

from __future__ import annotations

import io
import json
import re

from cli_messages import PLACE, message_ids
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from content_queue.model import Entry
from publisher.app import API_ROLES
from publisher.app import ROLES as SETTINGS_ROLES
from publisher.commands.access import ROLES as TOKEN_ROLES
from publisher.commands.sentences import _OWN, _PLAIN, describe
from publisher.commands.serve import ROLES
from publisher.tables import clean, draw, plain_table, shorten
from publisher.texts import translate

WORDS = st.text(st.sampled_from("ab 通知，·|é\t\n\x1b\u202e"), max_size=12)


@given(st.lists(st.tuples(WORDS, WORDS, st.just("end")), max_size=6))
def test_columns_begin_at_the_same_cell_in_every_row(rows: list[tuple[str, str, str]]) -> None:
    lines = plain_table(("Ä", "标题", "last"), rows).split("\n")
    assert len(lines) == len(rows) + 1
    starts = {cell_len(line[: line.rindex("end" if n else "last")]) for n, line in enumerate(lines)}
    assert len(starts) == 1
    assert not any(re.search(r"[\x00-\x1f\u202e]", line) for line in lines)


@given(st.text(max_size=40))
def test_cleaning_keeps_what_can_be_read(text: str) -> None:
    kept = clean(text)
    assert len(kept) == len(text)
    assert all(a == b or b == "\ufffd" for a, b in zip(text, kept, strict=True))
    assert "\x1b" not in kept


@given(WORDS, st.integers(2, 20))
def test_shortened_texts_fit_and_begin_as_they_did(text: str, width: int) -> None:
    short = shorten(text, width)
    assert cell_len(short) <= width or short == text
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))
    assert cell_len(text) > width or short == text


def test_addresses_are_not_broken_while_there_is_room() -> None:
    file = io.StringIO()
    row = ("题" * 60, "demo-receiver", "https://example.gov.cn/items/0123456789abcdef")
    draw(Console(file=file, force_terminal=True, width=100, color_system=None), ("A", "B", "C"), [row])
    assert row[1] in file.getvalue()
    assert row[2] in file.getvalue()


def test_a_terminal_gets_a_table_that_fits() -> None:
    file = io.StringIO()
    draw(Console(file=file, force_terminal=True, width=30, color_system=None), ("A", "B"), [("关" * 40, "[bold]x[/]")])
    lines = file.getvalue().splitlines()
    assert max(cell_len(line.rstrip()) for line in lines) <= 30
    assert sum(line.count("关") for line in lines) == 40
    assert "[bold]" in file.getvalue()


def test_every_message_has_its_chinese_with_the_same_places() -> None:
    found = message_ids()
    assert len(found) > 200
    for message in found:
        chinese = translate(message, "zh")
        assert chinese != message, message
        assert sorted(PLACE.findall(chinese)) == sorted(PLACE.findall(message)), message


def test_lists_repeated_for_quick_help_equal_the_settings() -> None:
    assert set(ROLES) == set(SETTINGS_ROLES)
    assert set(TOKEN_ROLES) == set(API_ROLES)


KINDS = st.sampled_from([*_PLAIN, *_OWN, "something_new"])
NAMES = ("channel", "attempt", "outcome", "reason", "state", "ms", "due", "deliveries", "until", "url")
BODIES = st.one_of(
    st.text(max_size=20),
    st.dictionaries(
        st.sampled_from(
            ["channel", "attempt", "outcome", "reason", "state", "ms", "due", "deliveries", "until", "url"]
        ),
        st.one_of(st.none(), st.integers(0, 2**50), st.text(max_size=8), st.lists(st.integers(), max_size=2)),
    ).map(json.dumps),
)


@example("incomplete", '{"channel": null, "reason": "http_500"}', 1)
@example("incomplete", '{"channel": ""}', None)
@given(KINDS, BODIES, st.one_of(st.none(), st.integers(1, 9)))
def test_any_entry_reads_as_a_sentence(kind: str, body: str, delivery: int | None) -> None:
    said, advice = describe(Entry(0, 1, 0, kind, "a{b}", None, delivery, None, body))
    assert said.en
    assert said.zh
    assert isinstance(advice.en, str)
