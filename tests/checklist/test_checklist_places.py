"""Copies lead back to the right place; evasions are found; nothing that must stay hidden is shown."""

from __future__ import annotations

import datetime
import json
import re

from checklist_parts import RULES, TODAY, WORDS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from publisher.checklist import Checklist
from publisher.checklist.checks.language import traditional_only
from publisher.checklist.copies import CopyKind, fold_character, make_copy
from publisher.checklist.digits import PROVINCES
from publisher.checklist.examples import example_content
from publisher.checklist.masking import excerpt

LOADED = Checklist.load(RULES, WORDS)
quick = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])

UNSEEN = "\u200b\u200d\u00ad\ufeff\u2060\u202e\ufe0f\u0301"
WIDE = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")
soup = st.text(st.sampled_from("秘密★机 \u3000\t公1２３aＸ，,\n" + UNSEEN), max_size=60)
prose = st.text(st.sampled_from("国家版权局公告，。通知的了在"), max_size=12)


@quick
@given(soup, st.sampled_from(CopyKind))
def test_every_character_of_a_copy_is_where_the_map_says(text: str, kind: CopyKind) -> None:
    copy = make_copy(text, kind)
    for at, char in enumerate(copy.text):
        assert fold_character(text[copy.origin(at)]) == char if kind is not CopyKind.RAW else text[at] == char
    origins = [copy.origin(at) for at in range(len(copy.text))]
    assert origins == sorted(set(origins))


@quick
@given(soup, st.sampled_from(CopyKind), st.data())
def test_the_slice_of_the_original_normalises_to_the_slice_of_the_copy(text, kind, data) -> None:
    copy = make_copy(text, kind)
    start = data.draw(st.integers(0, len(copy.text)))
    end = data.draw(st.integers(start, len(copy.text)))
    if start < end:
        low, high = copy.span(start, end)
        assert make_copy(text[low:high], kind).text == copy.text[start:end]


def test_punctuation_is_not_folded() -> None:
    assert make_copy("（甲），Ａ１：①", CopyKind.FOLDED).text == "（甲），A1：①"


def _resident(draw) -> str:
    province = draw(st.sampled_from(sorted(PROVINCES)))
    day = draw(st.dates(datetime.date(1900, 1, 1), TODAY))
    head = f"{province}{draw(st.integers(0, 9999)):04d}{day:%Y%m%d}{draw(st.integers(0, 999)):03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return head + "10X98765432"[sum(int(c) * w for c, w in zip(head, weights, strict=True)) % 11]


def _card(draw) -> str:
    head = "62" + "".join(draw(st.lists(st.sampled_from("0123456789"), min_size=16, max_size=16)))
    total = sum(sum(divmod(int(c) * (2 - at % 2), 10)) for at, c in enumerate(reversed(head)))
    return head + str(-total % 10)


residents = st.composite(lambda draw: _resident(draw))()
cards = st.composite(lambda draw: _card(draw))()
mobiles = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)


@st.composite
def disguised(draw, numbers) -> tuple[str, str]:
    """(the number, how it was written): full-width digits, unseen characters, one kind of joint."""
    number = draw(numbers)
    joint = draw(st.sampled_from(["", "", " ", "-", "－", "\u3000", "·"]))
    every = draw(st.booleans())
    pieces = []
    for at, char in enumerate(number):
        if joint and at and (every or (at % 4 == 3 if len(number) == 11 else at in (6, 14) and len(number) == 18)):
            pieces.append(joint)
        pieces.append(char.translate(WIDE) if draw(st.booleans()) else char)
        if at < len(number) - 1 and draw(st.integers(0, 5)) == 0:
            pieces.append(draw(st.sampled_from(UNSEEN)))
    return number, "".join(pieces)


def _bare(text: str) -> str:
    return re.sub(r"[^0-9X]", "", make_copy(text, CopyKind.FOLDED).text.upper())


def _check(body: str, rule: str):
    item = example_content({"body": body})
    found = [f for f in LOADED.check(item, today=TODAY).findings if f.rule_id == rule]
    assert item.body_text == body
    return found


@quick
@given(disguised(residents), prose, prose)
def test_a_resident_id_is_found_however_it_is_written(number, before, after) -> None:
    body = f"{before}身份证{number[1]}。{after}"
    found = [f for f in _check(body, "PII-01") if f.case in {"valid", "scattered"}]
    assert [_bare(body[f.start : f.end]) for f in found] == [number[0]]
    assert body[found[0].start : found[0].end] == number[1]


@quick
@given(disguised(mobiles), prose)
def test_a_mobile_is_found_however_it_is_written(number, before) -> None:
    body = f"{before}\n电话{number[1]}。"
    found = _check(body, "PII-02")
    assert [body[f.start : f.end] for f in found] == [number[1]]
    assert (found[0].line, found[0].column) == (2, 3)


@quick
@given(disguised(cards), prose)
def test_a_card_is_found_however_it_is_written(number, before) -> None:
    body = f"{before}卡号{number[1]}。"
    assert [body[f.start : f.end] for f in _check(body, "PII-03") if f.case == "card"] == [number[1]]


@quick
@given(st.lists(disguised(st.one_of(residents, mobiles, cards)), min_size=1, max_size=4), st.data())
def test_no_finding_shows_a_full_number(numbers, data) -> None:
    joiners = st.sampled_from(["", "，", "公,示;的", "|", " ", "机密★1年", "2023年2月30日", "\n", "||", "\ue000"])
    body = data.draw(joiners) + "".join(written + data.draw(joiners) for _, written in numbers)
    report = LOADED.check(example_content({"title": body, "body": body}), today=TODAY)
    for finding in report.findings:
        shown = finding.to_dict() | {"text_hash": "", "start": 0, "end": 0, "places": []}
        bare = _bare(json.dumps(shown, ensure_ascii=False))
        for number, _ in numbers:
            assert number not in bare


@quick
@given(disguised(residents), st.integers(0, 40), st.integers(0, 60))
def test_an_excerpt_never_cuts_a_number_open(number, shift, width) -> None:
    text = f"公告{number[1]}公告"
    start = min(shift, len(text))
    assert number[0] not in _bare(excerpt(text, start, min(len(text), start + width), secret=False))


@quick
@given(st.lists(st.sampled_from(["", " ", "\u3000", "\u200b", "\u00a0\u200b", "\t "]), min_size=4, max_size=4), prose)
def test_a_secret_mark_is_found_through_blanks(gaps, before) -> None:
    mark = f"机{gaps[0]}密{gaps[1]}★{gaps[2]}1{gaps[3]}年"
    found = _check(f"{before}\n{mark}\n正文", "SEC-01")
    assert [(f.start, f.end) for f in found] == [(len(before) + 1, len(before) + 1 + len(mark))]
    assert not found[0].overridable


def test_what_plain_text_and_markup_both_say_is_counted_once() -> None:
    """A plain-text item shows its first line as the title and leaves it out of the markup."""
    text = "關於版權的通知\n新聞出版廣電總局發布。"
    parts = {"title": "x", "body_text": text, "body_html": "<p>新聞出版廣電總局發布。</p>"}
    content = example_content({"body": text}).model_copy(update=parts)
    (only,) = [f for f in LOADED.check(content, today=TODAY).findings if f.rule_id == "LAN-01"]
    assert (only.field, only.count) == ("body", sum(char in traditional_only() for char in text))
