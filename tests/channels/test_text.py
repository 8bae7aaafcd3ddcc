from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from channels.text import Measure, clusters, code_points, cut, utf8, utf16, weighted

MEASURES: list[Measure] = [code_points, utf8, utf16, weighted]
PIECES = [
    "公", "告", "a", " ", "\r\n", "\n", "，", "e\u0301", "👨‍👩‍👧‍👦", "👍🏽", "🇨🇳", "1️⃣", "❤️", "2026年", "12.5%",
    "〔2026〕12号", "https://example.gov.cn/a?b=1", "한", "각", "𠮷", "葛\U000e0100", "\u200d", "\u0301",
    "🏴\U000e0067\U000e007f",
]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text(max_size=60)


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("", (0, 0, 0, 0)),
        ("abc", (3, 3, 3, 1.5)),
        ("公告", (2, 6, 2, 2)),
        ("公告ab", (4, 8, 4, 3)),
        ("😀", (1, 4, 2, 1)),
        ("𠮷", (1, 4, 2, 1)),
        ("，.", (2, 4, 2, 1.5)),
    ],
)
def test_sizes(text: str, sizes: tuple[float, ...]) -> None:
    assert tuple(measure(text) for measure in MEASURES) == sizes


@given(st.text())
def test_sizes_agree_with_the_codecs(text: str) -> None:
    assert utf16(text) == len(text.encode("utf-16-le", "surrogatepass")) // 2
    assert utf8(text) == len(text.encode("utf-8", "surrogatepass"))


# From the Unicode grapheme break tests and emoji sequences: each is one cluster.
WHOLE = [
    "e\u0301", "e\u0301\u0323", "\r\n", "👨‍👩‍👧‍👦", "👩🏽‍🚀", "❤️‍🔥", "🇨🇳", "1️⃣", "#️⃣", "🏴\U000e0067\U000e0062\U000e007f",
    "각", "\u1100\u1161\u11a8", "가\u11a8", "นี้"[:3], "葛\U000e0100", "か\u3099", "ｶﾞ", "\u0600a",
]  # fmt: skip


@pytest.mark.parametrize("cluster", WHOLE)
def test_a_cluster_is_one(cluster: str) -> None:
    assert list(clusters(cluster)) == [cluster]
    assert list(clusters(f"公{cluster}告")) == ["公", cluster, "告"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("🇨🇳🇫🇷", ["🇨🇳", "🇫🇷"]),
        ("🇨🇳🇫", ["🇨🇳", "🇫"]),
        ("a🇨🇳", ["a", "🇨🇳"]),
        ("\n\u0301", ["\n", "\u0301"]),
        ("\r\r\n", ["\r", "\r\n"]),
        ("a\u200d👍", ["a\u200d", "👍"]),
        ("👍公", ["👍", "公"]),
        ("각각", ["각", "각"]),
    ],
)
def test_neighbours_stay_apart(text: str, parts: list[str]) -> None:
    assert list(clusters(text)) == parts


@given(texts)
@example("\u0301\n\u0301")
@example("\n\ufe0f")
def test_clusters_are_the_text(text: str) -> None:
    parts = list(clusters(text))
    assert "".join(parts) == text
    assert all(parts)
    for before, part in pairwise(parts):  # a mark stands by itself after a control only
        marks = unicodedata.category(part[0]) == "Mn"
        assert not marks or (before[-1] != "\u200d" and unicodedata.category(before[-1]) in ("Cc", "Cf", "Zl", "Zp"))


@given(texts, st.integers(0, 60), st.sampled_from(MEASURES), st.sampled_from(["…", "", "...全文"]))
@example("办法〔2026〕12号", 6, code_points, "…")
def test_a_cut_fits_and_is_a_beginning_at_a_cluster(text: str, limit: int, measure: Measure, tail: str) -> None:
    result = cut(text, limit, measure, tail)
    assert measure(result) <= limit
    if result in (text, ""):
        assert result == text or measure(text) > limit
        return
    assert result.endswith(tail)
    kept = result[: len(result) - len(tail)]
    assert text.startswith(kept)
    ends = [""]
    for cluster in clusters(text):
        ends.append(ends[-1] + cluster)
    assert kept in {end.rstrip() for end in ends}


@given(st.lists(st.sampled_from(["公", "a", "👍🏽", "🇨🇳", "，"]), max_size=30), st.integers(1, 40))
def test_a_cut_is_the_longest(parts: list[str], limit: int) -> None:
    """One cluster more would not fit (texts without spaces or protected pieces)."""
    text = "".join(parts)
    result = cut(text, limit)
    if result != text:
        whole = list(clusters(text))
        kept = len(list(clusters(result[:-1])))
        assert len("".join(whole[: kept + 1]) + "…") > limit


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("关于示例办法的公告", 5, "关于示例…"),
        ("共计12345.67元整", 6, "共计…"),
        ("共计12345.67元整", 11, "共计12345.67…"),
        ("国知发〔2026〕12号文件全文", 9, "国知发…"),
        ("国知发〔2026〕12号文件全文", 14, "国知发〔2026〕12号文…"),
        ("详见https://example.gov.cn/items/1，谢谢大家", 20, "详见…"),
        ("日期2026-01-01起施行", 8, "日期…"),
        ("增长12.5%以上的部分", 6, "增长…"),
        ("好👨‍👩‍👧‍👦们都来了", 5, "好…"),
        ("序号1️⃣以后的内容", 4, "序号…"),
        ("one two three", 5, "one…"),
        ("12345678", 4, "…"),
        ("公告", 0, ""),
    ],
)
def test_where_it_cuts(text: str, limit: int, expected: str) -> None:
    assert cut(text, limit) == expected


@given(st.text("公告，", min_size=0, max_size=20), st.integers(1000, 99999), st.integers(1, 40))
def test_no_number_is_split(before: str, number: int, limit: int) -> None:
    result = cut(f"{before}{number}元，{number}号" * 2, limit)
    assert set(re.findall(r"[0-9]+", result)) <= {str(number)}


def test_long_texts_are_cut_quickly() -> None:
    assert len(cut("公告👍🏽" * 30_000, 140)) <= 140
