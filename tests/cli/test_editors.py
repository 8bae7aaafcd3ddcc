"""Editors and reviewers at the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_desk import GOOD, HELD, ID_NUMBER, MOBILE, Desk


def test_a_good_file_is_checked_stored_signed_and_listed(desk: Desk) -> None:
    assert "Nothing blocks it" in desk.run("check", desk.file()).stdout
    assert desk.json("items") == {"items": []}
    stored = desk.json("submit", desk.file(), "--as", "somebody")["files"][0]
    assert (stored["item"], stored["state"], stored["drafter"]) == ("item-one", "draft", "编辑甲")
    first = desk.run("approve", "item-one", "--as", "审核乙", "--stage", "first", "--hash", stored["hash"][:12])
    assert stored["hash"] in first.stdout
    assert "Still missing: second, final" in first.stdout
    second = desk.json("approve", "item-one", "--as", "审核丙", "--stage", "second")
    assert second["missing_stages"] == ["final"]
    last = desk.json("approve", "item-one", "--as", "局领导丁", "--stage", "final")
    assert (last["state"], last["missing_stages"]) == ("approved", [])
    assert [s["person"] for s in last["signoffs"]] == ["审核乙", "审核丙", "局领导丁"]
    listed = desk.json("items", "--state", "approved", "--column", "notices")["items"]
    assert [i["item"] for i in listed] == ["item-one"]
    assert desk.json("items", "--state", "held") == {"items": []}
    shown = desk.run("show", "item-one").stdout
    for word in (
        "局领导丁",
        "fully signed, in the queue",
        "关于举办版权培训班的通知",
        "http://127.0.0.1:8080/items/item-one",
    ):
        assert word in shown


def test_a_block_is_shown_where_it_stands_and_nothing_is_queued(desk: Desk) -> None:
    path = desk.file(HELD)
    result = desk.run("check", path, code=1)
    lines = result.stdout.splitlines()
    at = HELD.split("\n").index(next(line for line in HELD.split("\n") if ID_NUMBER in line)) + 1
    assert any(line.startswith("BLOCK PII-01") and f"{path}:{at}" in line for line in lines)
    excerpt = next(n for n, line in enumerate(lines) if line.startswith("    …") and "110***" in line)
    assert lines[excerpt + 1].strip().strip("^") == ""
    column = _cells(lines[excerpt][: lines[excerpt].index("110***")])
    assert lines[excerpt + 1].index("^") == column
    assert lines[excerpt + 1].count("^") == len(ID_NUMBER)
    answer = desk.json("check", path, code=1)["files"][0]
    assert answer["blocked"] is True
    assert [(f["rule_id"], f["source_line"]) for f in answer["findings"] if f["severity"] == "block"] == [
        ("PII-01", at)
    ]
    assert desk.json("items") == {"items": []}


def _cells(text: str) -> int:
    return sum(2 if ord(c) > 0x2E80 else 1 for c in text)


def test_a_held_item_cannot_be_signed_until_it_is_corrected(desk: Desk) -> None:
    assert "Held by the checklist" in desk.run("submit", desk.file(HELD), code=1).stdout
    refused = desk.json("approve", "item-one", "--as", "审核乙", "--stage", "first", code=1)["error"]
    assert refused["code"] == "checklist_blocks"
    assert [f["rule_id"] for f in refused["findings"]] == ["PII-01"]
    assert desk.json("accept-finding", "item-one", "PII-01", "--as", "审核乙", "--reason", "x", code=3)["error"]
    mended = desk.json("correct", "item-one", desk.file(), "--note", "删除个人信息")
    assert (mended["revision"], mended["state"], mended["note"]) == (2, "draft", "删除个人信息")
    desk.sign()
    assert [r["state"] for r in desk.json("show", "item-one")["revisions"]] == ["superseded", "approved"]


def test_a_finding_that_may_stand_is_accepted_by_name(desk: Desk) -> None:
    stored = desk.json("submit", desk.file(MOBILE), code=1)["files"][0]
    rule = next(f["rule_id"] for f in stored["findings"] if f["severity"] == "block")
    nobody = desk.json("accept-finding", "item-one", rule, "--as", "编辑甲", "--reason", "x", code=3)
    assert nobody["error"]["code"] == "may_not_accept"
    freed = desk.json("accept-finding", "item-one", rule, "--as", "审核乙", "--reason", "引用原文")
    assert (freed["state"], freed["still_held"]) == ("draft", False)
    assert "引用原文" in desk.run("log", "item-one", "--kind", "finding_accepted").stdout


@pytest.mark.parametrize(
    ("args", "code", "name"),
    [
        (("approve", "item-one", "--as", "审核乙", "--stage", "third"), 3, "no_such_stage"),
        (("approve", "item-one", "--as", "审核乙", "--stage", "final"), 3, "may_not_sign"),
        (("approve", "item-one", "--as", "审核丙", "--stage", "second"), 3, "conflict"),
        (("approve", "item-one", "--as", "路人", "--stage", "first"), 3, "no_such_person"),
        (("approve", "item-one", "--as", "审核乙", "--stage", "first", "--hash", "0" * 12), 3, "text_changed"),
        (("approve", "item-one", "--as", "审核乙", "--stage", "first", "--hash", "abc"), 2, "short_hash"),
        (("approve", "nothing-here", "--as", "审核乙", "--stage", "first"), 4, "not_found"),
        (("show", "nothing-here"), 4, "store"),
        (("log", "nothing-here"), 4, "store"),
        (("items", "--column", "nowhere"), 2, "no_such_column"),
        (("withdraw", "item-one", "--reason", "boredom", "--note", "n", "--as", "a"), 2, "no_such_reason"),
        (("withdraw", "nothing-here", "--reason", "error", "--note", "n", "--as", "a"), 4, "not_found"),
    ],
)
def test_refusals_have_a_code_an_exit_status_and_both_languages(
    desk: Desk, args: tuple[str, ...], code: int, name: str
) -> None:
    desk.submit()
    result = desk.run(*args, "--json", code=code)
    error = json.loads(result.stdout)["error"]
    assert (error["code"], error["exit_code"]) == (name, code)
    assert error["message"]["en"] in result.stderr
    assert error["message"]["zh"] in result.stderr
    assert desk.json("show", "item-one")["revisions"][0]["signoffs"] == []


def test_the_drafter_does_not_sign(desk: Desk) -> None:
    desk.submit(text=GOOD.replace("编辑甲", "审核乙"))
    desk.json("approve", "item-one", "--as", "审核乙", "--stage", "first", code=3)
    assert desk.json("show", "item-one")["missing_stages"] == ["first", "second", "final"]


def test_one_bad_file_does_not_keep_the_others_out(desk: Desk) -> None:
    bad = desk.folder / "bad.md"
    bad.write_bytes(b"---\ntitle: \xff\xfe\n---\n")
    answer = desk.json("submit", desk.file(), bad, desk.folder / "missing.md", code=2)["files"]
    assert [a.get("item") or a["error"]["code"] for a in answer] == ["item-one", "submission", "file"]
    assert str(bad) in desk.run("check", bad, code=2).stderr
    assert len(desk.json("items")["items"]) == 1


def test_fields_can_be_set_from_the_outside(desk: Desk) -> None:
    stored = desk.json("submit", desk.file(), "--set", "column=policies", "--set", "id=other-one")["files"][0]
    assert (stored["item"], stored["column"]) == ("other-one", "policies")
    assert desk.json("submit", desk.file(), "--set", "column", code=2)["error"]["code"] == "override"


def test_withdrawing_says_what_comes_next(desk: Desk) -> None:
    desk.release()
    desk.run("withdraw", "item-one", "--reason", "privacy", "--note", "撤回", "--as", "值班员戊")
    assert "withdrawn" in desk.run("items").stdout
    again = desk.json("withdraw", "item-one", "--reason", "privacy", "--note", "撤回", "--as", "值班员戊", code=3)
    assert again["error"]["code"] == "conflict"


def test_texts_are_spoken_in_the_language_asked_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "这里还没有内容" in desk.run("items", "--lang", "zh").stdout
    assert "这里还没有内容" in desk.run("--lang", "zh", "items").stdout
    assert "nothing here" in desk.run("items").stdout
    monkeypatch.setenv("GONGBAO_LANG", "zh")
    assert "列出内容" in desk.run("--help").stdout
    assert "只看此专栏" in desk.run("items", "--help").stdout
    assert "There is no column" in desk.run("items", "--column", "x", code=2).stderr


def test_wrong_use_ends_with_two(desk: Desk, tmp_path: Path) -> None:
    desk.run("approve", "item-one", code=2)
    desk.run("no-such-command", code=2)
    desk.run("items", "--state", "odd", code=2)
    (desk.config / "agency.toml").write_text("name_zh = ", "utf-8")
    broken = desk.json("items", code=2)["error"]
    assert broken["code"] == "configuration"
    assert "agency.toml" in broken["message"]["en"]
