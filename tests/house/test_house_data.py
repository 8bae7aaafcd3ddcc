"""The data that comes with the product is sound: configuration, rules, samples, the locked requirements."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest
from house_plan import ROOT

from config.settings import load_agency, load_channels, load_people
from publisher.checklist import Checklist
from publisher.checklist.examples import failures
from publisher.intake import Defaults, DirectoryFiles, Submission, read_submission
from publisher.samples import sample_files, sample_overrides

CONFIG = ROOT / "config"
TODAY = datetime.date(2026, 5, 1)  # within the validity of every rule; the samples are dated before it
NOTICE = ROOT / "docs" / "examples" / "notice.md"
REQUIREMENTS = [ROOT / "deploy" / name for name in ("requirements.txt", "requirements-test.txt")]


@pytest.fixture(scope="module")
def checklist() -> Checklist:
    return Checklist.load(CONFIG / "rules", CONFIG / "words")


def defaults() -> Defaults:
    agency = load_agency(CONFIG)
    return Defaults(
        columns=tuple(c.slug for c in agency.columns),
        column_names={c.name_zh: c.slug for c in agency.columns},
        issuing_body=agency.name_zh,
        drafting_unit=agency.drafting_unit,
        language=agency.language,
        zone=agency.zone,
    )


def read(path: Path, overrides: dict[str, str]) -> Submission:
    files = DirectoryFiles(path.parent)
    return read_submission(
        path.read_bytes(), filename=path.name, files=files, defaults=defaults(), overrides=overrides
    )


def test_the_configuration_that_comes_along_is_consistent() -> None:
    names = {account.name for account in load_channels(CONFIG)}
    assert names
    for column in load_agency(CONFIG).columns:
        assert set(column.channels) <= names, column.slug


def test_every_stage_can_be_signed_by_different_people() -> None:
    """One person signs one stage; the drafter signs none. So each stage needs a person of its own."""
    people = load_people(CONFIG)
    able = [{p.name for p in people.people if stage in p.may_sign} for stage in people.stages]
    assert _distinct(able, frozenset())


def _distinct(able: list[set[str]], taken: frozenset[str]) -> bool:
    return not able or any(_distinct(able[1:], taken | {name}) for name in able[0] - taken)


def test_every_rule_keeps_to_its_examples(checklist: Checklist) -> None:
    assert list(failures(checklist)) == []


def test_every_rule_has_examples_of_both_kinds(checklist: Checklist) -> None:
    assert [r.id for r in checklist.rules if not (r.hits and r.misses)] == []
    assert {r.id for r in checklist.rules} == {p.stem for p in (CONFIG / "rules").glob("*.toml")}


@pytest.mark.parametrize("path", [*sample_files(), NOTICE], ids=lambda p: p.name)
def test_what_newcomers_are_shown_passes_the_checklist(path: Path, checklist: Checklist) -> None:
    submission = read(path, sample_overrides(path))
    report = checklist.check(submission.content, today=TODAY)
    assert [(f.rule_id, f.field, f.start) for f in report.findings] == []
    assert submission.content.column in {c.slug for c in load_agency(CONFIG).columns}


def test_the_checklist_is_awake_on_the_example(checklist: Checklist) -> None:
    """The same notice with a citizen's number in it is blocked."""
    raw = NOTICE.read_bytes().replace("窗口不收取任何费用".encode(), "联系人身份证号11010519491231002X".encode())
    content = read_submission(
        raw, filename="notice.md", files=DirectoryFiles(NOTICE.parent), defaults=defaults()
    ).content
    assert "PII-01" in {f.rule_id for f in checklist.check(content, today=TODAY).findings}


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda p: p.name)
def test_every_requirement_is_locked_by_hash_and_names_no_host(path: Path) -> None:
    text = path.read_text("utf-8")
    logical = re.sub(r"\\\n\s*", "", text)
    pins = [line for line in logical.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(pins) > 20
    pin = re.compile(r"[a-z0-9][\w.-]*(\[[\w, -]+\])?==\S+( ; .+?)?( +--hash=sha256:[0-9a-f]{64})+")
    assert [line.split(" ")[0] for line in pins if not pin.fullmatch(line.split("    # ")[0].strip())] == []
    assert not re.search(r"https?://|--index-url|--find-links|@ file:", text)


def test_tests_run_on_the_versions_that_are_shipped() -> None:
    pin = re.compile(r"(?m)^([a-z0-9][\w.-]*)(?:\[.*\])?==(\S+)")
    shipped, tested = (dict(pin.findall(path.read_text("utf-8"))) for path in REQUIREMENTS)
    assert {name: version for name, version in shipped.items() if tested.get(name) != version} == {}
