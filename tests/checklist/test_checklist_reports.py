"""What a report is like to read: order, folding, grouping, tables, and text that hides in the markup."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from checklist_parts import RULES, TODAY, WORDS
from hypothesis import given, settings
from hypothesis import strategies as st

from publisher.checklist import Checklist, Finding, Report, Severity
from publisher.checklist.checks.language import traditional_only
from publisher.checklist.digits import credit_code_checked, organisation_code_checked, resident_checked, resident_shape
from publisher.checklist.engine import REPEATS
from publisher.checklist.examples import example_content

LOADED = Checklist.load(RULES, WORDS)


def report_of(**parts) -> Report:
    return LOADED.check(example_content(parts), today=TODAY)


def test_findings_come_gravest_first_then_by_place() -> None:
    report = report_of(title="关于××××的通知", body="甲,乙\n电话13800001234\n二OO八年\n2023年2月30日")
    order = [(f.severity.rank, f.rule_id) for f in report.findings]
    assert order == [(0, "TXT-10"), (0, "PII-02"), (0, "FMT-05"), (1, "FMT-08"), (2, "FMT-12")]
    assert report.blocked
    assert [f.rule_id for f in report.blocking] == ["TXT-10", "PII-02", "FMT-05"]


def test_many_of_a_kind_are_folded_and_none_is_lost() -> None:
    body = "\n".join(f"电话138{n:08d}" for n in range(50))
    found = [f for f in report_of(body=body).findings if f.rule_id == "PII-02"]
    assert len(found) == REPEATS + 1
    assert sum(f.count for f in found) == 50
    assert "29" in found[-1].message.en
    assert "29" in found[-1].message.zh
    assert len(found[-1].places) == 29
    last = found[-1].places[-1]
    assert body[slice(*last)] == "13800000049"


def test_folding_keeps_the_block() -> None:
    body = "||\n" * 300 + "机密★1年"
    report = report_of(body=body)
    assert report.blocked
    assert report.findings[0].rule_id == "SEC-01"
    assert len(report.findings) < 30


def test_half_width_marks_make_one_finding_with_its_places() -> None:
    few, many = "甲,乙" * 1, "甲,乙" + ",丙" * 69
    (note,) = report_of(body=few).findings
    (warning,) = report_of(body=many).findings
    assert (note.severity, note.count, note.start) == (Severity.NOTE, 1, 1)
    assert (warning.severity, warning.count, len(warning.places)) == (Severity.WARN, 70, 69)
    assert all(many[start:end] == "," for start, end in warning.places)
    assert "70" in warning.message.zh


def test_ten_marks_over_title_and_body_stay_a_note_and_eleven_warn() -> None:
    def severities(count: int) -> set[Severity]:
        return {f.severity for f in report_of(title="甲,乙", body="丙" + ",丁" * (count - 1)).findings}

    assert severities(10) == {Severity.NOTE}
    assert severities(11) == {Severity.WARN}


def test_line_and_column_count_from_one() -> None:
    (finding,) = report_of(body="第一行\n第二行2023年2月30日").findings
    assert (finding.line, finding.column, finding.start) == (2, 4, 7)


def test_reports_survive_storage() -> None:
    report = report_of(body="甲,乙,丙 机密★1年 13800001234", openness="closed")
    assert len(report.findings) == 4
    assert Report.from_dict(report.to_dict()) == report
    assert Finding.from_dict(report.findings[0].to_dict()) == report.findings[0]


def test_text_hash_changes_with_the_text() -> None:
    (one,), (other,) = report_of(body="甲,乙").findings, report_of(body="甲,乙。").findings
    assert one.text_hash != other.text_hash
    assert len(one.text_hash) == 64


def test_text_that_only_the_markup_has_is_checked() -> None:
    report = report_of(body_html="<p>公告</p><p hidden>机密★1年</p>", body_text="公告")
    assert [(f.rule_id, f.field) for f in report.blocking] == [("SEC-01", "body_html")]


@pytest.mark.parametrize("wrap", ["<div>", "<table><tr><td>", "<a href='x'>"])
def test_no_depth_hides_a_text(wrap: str) -> None:
    report = report_of(body_html=wrap * 3000 + "机密★1年", body_text="公告")
    assert "SEC-01" in {f.rule_id for f in report.blocking}


def test_each_image_without_an_alternative_is_counted() -> None:
    html = "<p>国家版权局召开会议</p>" + "".join(f"<img src='media:{n}'>" for n in range(30))
    assert sum(f.count for f in report_of(body_html=html).findings if f.rule_id == "A11Y-01") == 30


def test_text_that_both_have_is_found_once() -> None:
    report = report_of(body_html="<p>机密★1年</p><p>公告</p>", body_text="机密★1年")
    assert [(f.rule_id, f.field) for f in report.blocking] == [("SEC-01", "body")]


def test_a_number_cut_by_tags_is_found() -> None:
    html = "<p>电话1380<b>000</b>1234</p>"
    assert [f.rule_id for f in report_of(body_html=html).findings] == ["PII-02"]


def test_a_column_heading_is_the_context_of_its_cells() -> None:
    rows = "".join(f"<tr><td>甲{n}</td><td>6222020000000000000</td></tr>" for n in range(3))
    item = example_content({"body_html": f"<table><tr><th>姓名</th><th>收款卡号</th></tr>{rows}</table>"})
    found = [f for f in LOADED.check(item, today=TODAY).findings if f.rule_id == "PII-03"]
    assert [f.case for f in found] == ["card"] * 3
    assert [item.body_text[f.start : f.end] for f in found] == ["6222020000000000000"] * 3
    assert len({f.start for f in found}) == 3


def test_cells_that_span_keep_columns_in_line() -> None:
    html = (
        "<table><tr><th rowspan=2>姓名</th><th colspan=2>情况</th></tr><tr><th>单位</th><th>健康状况</th></tr>"
        "<tr><td>甲</td><td>某局</td><td>良好</td></tr></table>"
    )
    (finding,) = report_of(body_html=html).findings
    assert (finding.rule_id, finding.case) == ("PII-07", "sensitive")


def test_a_blank_form_is_a_note_and_a_filled_one_blocks() -> None:
    def form(name: str, number: str) -> Report:
        cells = (("姓名", name, "身份证号", number), ("单位", "", "联系电话", ""))
        rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in cells)
        return report_of(body_html=f"<table>{rows}</table>")

    assert {f.severity for f in form("", "").findings} == {Severity.NOTE}
    assert form("张某", "1234").blocked


def test_a_future_birth_date_is_no_id() -> None:
    assert not resident_shape("110105203012310000", TODAY)
    assert resident_shape("11010519491231002X", TODAY)


@pytest.mark.parametrize(
    "number,right", [("11010519491231002X", True), ("440524188001010014", True), ("360426199101010072", False)]
)
def test_resident_vectors(number: str, right: bool) -> None:
    assert resident_checked(number) is right


def test_credit_code_vectors() -> None:
    assert credit_code_checked("911101000000000040")
    assert not credit_code_checked("91110100000000004X")
    assert [organisation_code_checked(c) for c in ("000014349", "002482357", "008282882", "000000001")] == [
        True, True, True, False]  # fmt: skip


def test_traditional_set_holds_no_simplified_character() -> None:
    assert set("國權臺發關於") - traditional_only() == {"於"}
    assert not traditional_only() & set("国家版权局乾坤著作藉於徵的后里面发干")


HOSTILE = ["1", "1 ", "138", "11010519491231002X", "机 ", "秘密 ", "〔2021", "一", "|", "{{", "a.", "https://t.cn/",
           "E1", "2023年", "甲,", "\u200b", "（", "内部资料", "<td>", "信用代码", "發", "0-",
           "\u3000\t", "二O"]  # fmt: skip


@pytest.mark.parametrize("seed", HOSTILE)
def test_a_hostile_text_costs_no_more_than_its_length(seed: str) -> None:
    """Four times the text may cost ten times the time: a quadratic pattern would cost sixteen and more, each time;
    a collection of garbage or a slow moment of the machine is in one of them."""
    short, long = (example_content({"body": (seed * size)[:size]}) for size in (10_000, 40_000))
    LOADED.check(short, today=TODAY)
    base = min(_seconds(short) for _ in range(2))
    assert any(_seconds(long) < max(10 * base, 0.3) for _ in range(3))


def _seconds(content) -> float:
    started = time.process_time()
    LOADED.check(content, today=TODAY)
    return time.process_time() - started


def test_memory_stays_within_a_few_times_the_text() -> None:
    content = example_content({"body": "国家版权局依法公开信息，" * 20_000})
    tracemalloc.start()
    LOADED.check(content, today=TODAY)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 * len(content.body_text)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80), st.text(st.sampled_from("<>table tdr/&;\x00\ud800'\"={}公1２\u200b|"), max_size=80))
def test_any_text_gives_a_report_whose_places_are_in_the_text(title: str, html: str) -> None:
    content = example_content({"title": title, "body_html": html, "body": html})
    texts = {"title": title, "body": html}
    for finding in LOADED.check(content, today=TODAY).findings:
        if finding.field in texts:
            assert 0 <= finding.start <= finding.end <= len(texts[finding.field])
