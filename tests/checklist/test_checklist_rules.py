"""Every rule keeps to its own examples, and the rule files say what they must."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path

import pytest
from checklist_parts import RULES, TODAY, WORDS

from publisher.checklist import Checklist, RuleError
from publisher.checklist.checks import FUNCTIONS
from publisher.checklist.examples import _as_expected, example_content, failures, found_by

# fmt: off
FIRST = [
    "SEC-01", "SEC-04", "SEC-05", "PII-01", "PII-02", "PII-03", "PII-04", "PII-07", "FMT-01", "FMT-02", "FMT-03",
    "FMT-05", "FMT-08", "FMT-12", "LAN-01", "TXT-10", "TXT-11", "A11Y-01", "LNK-04", "META-03", "META-09",
]
# fmt: on
LOADED = Checklist.load(RULES, WORDS)
HITS = [(rule, n) for rule in LOADED.rules for n in range(len(rule.hits))]
MISSES = [(rule, n) for rule in LOADED.rules for n in range(len(rule.misses))]


def test_all_first_rules_are_there() -> None:
    assert {rule.id for rule in LOADED.rules} >= set(FIRST)


@pytest.mark.parametrize("rule,number", HITS, ids=[f"{rule.id}-{n}" for rule, n in HITS])
def test_hit(rule, number) -> None:
    example = rule.hits[number]
    found = found_by(LOADED, rule, example)
    assert any(_as_expected(finding, rule, example) for finding in found), found


@pytest.mark.parametrize("rule,number", MISSES, ids=[f"{rule.id}-{n}" for rule, n in MISSES])
def test_miss(rule, number) -> None:
    assert found_by(LOADED, rule, rule.misses[number]) == []


def test_every_case_of_every_rule_has_an_example() -> None:
    for rule in LOADED.rules:
        shown = {finding.case for example in rule.hits for finding in found_by(LOADED, rule, example)}
        assert shown == set(rule.cases), rule.id


def test_every_function_is_used() -> None:
    assert {rule.function for rule in LOADED.rules} - {""} == set(FUNCTIONS)


def test_no_override_exactly_where_the_reference_says_so() -> None:
    fixed = {(rule.id, case.name) for rule in LOADED.rules for case in rule.cases.values() if not case.overridable}
    assert fixed == {("SEC-01", "mark"), ("SEC-05", "closed"), ("PII-01", "valid")}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(RULES, tmp_path / "rules")
    shutil.copytree(WORDS, tmp_path / "words")
    return tmp_path


def _edit(folder: Path, name: str, old: str, new: str) -> None:
    path = folder / "rules" / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def test_a_weakened_rule_fails_its_own_examples(copied: Path) -> None:
    _edit(copied, "SEC-01.toml", "绝密|絕密|", "")
    assert [f for f in failures(Checklist.load(copied / "rules", copied / "words")) if "SEC-01" in f]
    assert list(failures(LOADED)) == []


@pytest.mark.parametrize(
    "old,new,key,remedy",
    [
        ('severity = "block"', 'severity = "fatal"', "severity", "block, warn, note"),
        ("version = 1", 'version = "1"', "version", "whole number"),
        ("version = 1", "", "version", "missing"),
        ("version = 1", "version = true", "version", "whole number"),
        ("version = 1", 'version = 1\ncolour = "red"', "colour", "known here"),
        ('copy = "tight"', 'copy = "loose"', "copy", "raw, folded, tight"),
        ('id = "SEC-01"', 'id = "SEC-02"', "id", "SEC-01"),
        ("({found})", "({found.__class__})", "cases.mark.message_en", "{found}"),
        ("({found})", "({found", "cases.mark.message_en", "brace"),
        ("pattern = '(?:", "pattern = '((?:", "cases.mark.pattern", "valid pattern"),
        ('fields = ["title",', 'fields = ["heading",', "fields", "title"),
        ('evidence = "T"', 'evidence = "T"\nfunction = "divine"', "function", "openness"),
        ("version = 1", "version = = 1", "", "TOML"),
        ("version = 1", 'version = 1\nallow_list = "nowhere"', "", "missing"),
    ],
)
def test_a_bad_rule_file_gives_one_clear_error(copied: Path, old: str, new: str, key: str, remedy: str) -> None:
    _edit(copied, "SEC-01.toml", old, new)
    with pytest.raises(RuleError) as caught:
        Checklist.load(copied / "rules", copied / "words")
    assert caught.value.file in {"SEC-01.toml", "nowhere.txt"}
    assert caught.value.key == key
    assert remedy in caught.value.text.en
    assert caught.value.text.zh != caught.value.text.en
    assert str(copied) not in str(caught.value)


def test_no_rules_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="nothing would be checked"):
        Checklist.load(tmp_path, WORDS)


def test_the_fingerprint_follows_rules_and_words(copied: Path) -> None:
    folders = copied / "rules", copied / "words"
    assert Checklist.load(*folders).ruleset == LOADED.ruleset
    (copied / "words" / "office-numbers.txt").write_text("13800001234\n", "utf-8")
    with_number = Checklist.load(*folders)
    assert with_number.ruleset != LOADED.ruleset
    _edit(copied, "SEC-01.toml", "version = 1", "version = 2")
    assert Checklist.load(*folders).ruleset not in {LOADED.ruleset, with_number.ruleset}


def test_an_allowed_number_passes_however_it_is_written(copied: Path) -> None:
    (copied / "words" / "office-numbers.txt").write_text("# duty\n13800001234\n", "utf-8")
    ours = Checklist.load(copied / "rules", copied / "words")
    item = example_content({"body": "电话：138-0000-1234，１３８００００１２３４，13800001235"})
    found = [f for f in ours.check(item, today=TODAY).findings if f.rule_id == "PII-02"]
    assert [item.body_text[f.start : f.end] for f in found] == ["13800001235"]


@pytest.mark.parametrize("day,applies", [(2024, False), (2025, True), (2026, True), (2027, False)])
def test_rules_are_in_force_for_their_time(copied: Path, day: int, applies: bool) -> None:
    _edit(copied, "SEC-01.toml", "version = 1", "version = 1\nvalid_from = 2025-01-01\nvalid_to = 2026-12-31")
    ours = Checklist.load(copied / "rules", copied / "words")
    report = ours.check(example_content({"body": "机密★1年"}), today=datetime.date(day, 6, 1))
    assert (("SEC-01", 1) in report.rules) is applies
    assert report.blocked is applies


@pytest.mark.parametrize(
    "scope,parts,applies",
    [
        ('types = ["list"]', {"content_type": "list"}, True),
        ('types = ["list"]', {}, False),
        ('classes = ["B"]', {"item_class": "B"}, True),
        ('classes = ["B"]', {}, False),
        ('channels = ["weibo"]', {}, True),
        ('channels = ["weibo"]', {"channels": ["site"]}, False),
        ('languages = ["zh"]', {"language": "ZH-tw"}, True),
        ('languages = ["zh"]', {"language": "zhx"}, False),
        ('languages = ["zh"]\nnot_languages = ["zh-TW"]', {"language": "zh-TW"}, False),
    ],
)
def test_rules_apply_where_they_say(copied: Path, scope: str, parts: dict, applies: bool) -> None:
    _edit(copied, "SEC-01.toml", "[source]", f"[applies_to]\n{scope}\n\n[source]")
    ours = Checklist.load(copied / "rules", copied / "words")
    report = ours.check(example_content({"body": "机密★1年"} | parts), today=TODAY)
    assert bool(report.blocking) is applies
