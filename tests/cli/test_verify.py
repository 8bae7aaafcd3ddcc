"""verify-log on a real SQLite file: every kind of tampering is found and named."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from cli_desk import Desk

from content_queue.audit_log import FaultKind
from content_queue.states import DeliveryEvent as E
from content_queue.states import DeliveryState as D
from publisher.commands.verify import _FAULTS


@pytest.fixture
def told(desk: Desk) -> Desk:
    """Sealed entries in two batches, one delivery that was taken."""
    desk.release()
    desk.attempt((E.ACCEPT,), D.SENT, url="http://127.0.0.1:8080/items/item-one")
    desk.run("pause", "site")
    desk.with_app(lambda app: app.store.log.seal(now=app.clock()))
    return desk


def change(desk: Desk, *statements: str) -> None:
    with sqlite3.connect(desk.database) as raw:
        for statement in statements:
            assert raw.execute(statement).rowcount >= 1, statement


def test_an_untouched_log_verifies(told: Desk) -> None:
    answer = told.json("verify-log")
    assert (answer["ok"], answer["batches"], answer["unsealed"], answer["deliveries"]) == (True, 2, 0, [])
    assert "The log is whole" in told.run("verify-log").stdout


SWAP = "; ".join(f"UPDATE log_entries SET id = {new} WHERE id = {old}" for old, new in ((3, 99), (4, 3), (99, 4)))


@pytest.mark.parametrize(
    ("statement", "kind", "entry"),
    [
        ("UPDATE log_entries SET body = replace(body, 'first', 'fjrst') WHERE id = 2", FaultKind.CHANGED, 2),
        ("UPDATE log_entries SET at = at + 1 WHERE id = 5", FaultKind.CHANGED, 5),
        ("DELETE FROM log_entries WHERE id = 3", FaultKind.MISSING, None),
        (SWAP, FaultKind.REORDERED, 3),
        ("UPDATE log_batches SET checkpoint = replace(checkpoint, 'epoch 1', 'epoch 2') WHERE number = 1",
         FaultKind.CHECKPOINT_INVALID, None),
        ("DELETE FROM log_batches WHERE number = 1", FaultKind.BATCH_MISSING, None),
    ],
)  # fmt: skip
def test_tampering_with_the_log_is_found_and_named(
    told: Desk, statement: str, kind: FaultKind, entry: int | None
) -> None:
    change(told, *statement.split("; "))
    answer = told.json("verify-log", code=1)
    assert (answer["ok"], answer["fault"]["kind"], answer["fault"]["entry"]) == (False, kind, entry)
    shown = told.run("verify-log", code=1).stdout
    assert answer["fault"]["text"]["en"] in shown
    assert answer["fault"]["text"]["zh"] in shown


def test_a_cut_off_end_is_found_with_a_checkpoint_from_outside(told: Desk, tmp_path: Path) -> None:
    kept = tmp_path / "checkpoint.txt"
    kept.write_text(told.run("checkpoint").stdout, "utf-8")
    assert told.json("checkpoint")["checkpoint"] == kept.read_text("utf-8")
    assert told.json("verify-log", "--checkpoint", kept)["checkpoints_compared"] == 1
    change(told, "DELETE FROM log_entries WHERE id = (SELECT max(id) FROM log_entries)")
    change(told, "DELETE FROM log_batches WHERE number = 2")
    assert told.json("verify-log")["ok"] is True
    assert told.json("verify-log", "--checkpoint", kept, code=1)["fault"]["kind"] == FaultKind.TRUNCATED
    kept.write_text("nonsense", "utf-8")
    assert told.json("verify-log", "--checkpoint", kept, code=1)["fault"]["kind"] == FaultKind.WITNESS_INVALID


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE deliveries SET state = 'failed'", "state"),
        ("UPDATE deliveries SET url = 'https://elsewhere.example/'", "url"),
        ("UPDATE deliveries SET channel = 'other'", "channel"),
        ("UPDATE deliveries SET remote_id = 'r2'", "remote_id"),
        ("DELETE FROM deliveries", "missing"),
        ("INSERT INTO deliveries (item_id, revision_id, revision, channel, column_slug, operation, state, due_at,"
         " created_at, updated_at, key_since) SELECT item_id, revision_id, revision, 'x', column_slug, operation,"
         " 'failed', 0, 0, 0, 0 FROM deliveries", "unknown"),
    ],
)  # fmt: skip
def test_a_delivery_edited_behind_the_logs_back_is_found(told: Desk, statement: str, what: str) -> None:
    with sqlite3.connect(told.database) as raw:  # whoever may change tables may also take the guards away
        for (guard,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {guard}")
    change(told, statement)
    answer = told.json("verify-log", code=1)
    assert (answer["ok"], answer["fault"]) == (False, None)
    assert [d["what"] for d in answer["deliveries"]] == [what]
    shown = told.run("verify-log", code=1).stdout
    assert "edited behind the log's back" in shown
    assert answer["deliveries"][0]["text"]["zh"] in shown


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE revisions SET content = CAST(replace(CAST(content AS TEXT), 'a', 'b') AS BLOB)", "text"),
        ("UPDATE revisions SET content_hash = replace(content_hash, 'a', 'b')", "text"),
        ("UPDATE signoffs SET person = 'somebody else' WHERE stage = 'final'", "signoffs"),
        ("DELETE FROM signoffs WHERE stage = 'first'", "signoffs"),
        ("DELETE FROM revisions", "missing"),
        ("UPDATE revisions SET number = 7", "unknown"),
    ],
)
def test_a_text_or_a_sign_off_edited_behind_the_logs_back_is_found(told: Desk, statement: str, what: str) -> None:
    with sqlite3.connect(told.database) as raw:
        raw.execute("PRAGMA foreign_keys = OFF")
        assert raw.execute(statement).rowcount >= 1
    answer = told.json("verify-log", code=1)
    assert answer["fault"] is None
    assert answer["revisions"][0]["what"] == what
    assert answer["revisions"][0]["text"]["zh"] in told.run("verify-log", code=1).stdout


def test_every_life_of_a_delivery_is_what_the_log_tells(desk: Desk) -> None:
    number = desk.doubtful()
    desk.run("resolve", number, "--not-out", "--reason", "r")
    desk.attempt((E.DEFER,), D.WAITING, outcome="deferred", reason="http_429")
    desk.run("retry", number, "--reason", "r")
    assert desk.json("verify-log")["ok"] is True
    desk.run("withdraw", "item-one", "--reason", "error", "--note", "n", "--as", "a")
    assert [d["state"] for d in desk.json("deliveries")["deliveries"]] == ["waiting", "cancelled"]
    assert desk.json("verify-log")["ok"] is True


def test_another_key_or_none_is_refused(told: Desk, tmp_path: Path) -> None:
    good = (told.data / "keys" / "log.vkey").read_text("utf-8").strip()
    assert told.json("verify-log", "--public-key", good)["ok"] is True
    assert told.json("verify-log", "--public-key", told.data / "keys" / "log.vkey")["ok"] is True
    told.run("verify-log", "--public-key", good[:-4] + "AAA=", code=2)
    told.run("verify-log", "--public-key", tmp_path / "missing", code=2)
    told.run("verify-log", "--checkpoint", tmp_path / "missing", code=2)


def test_verifying_makes_nothing(desk: Desk) -> None:
    desk.data.mkdir()
    (desk.data / "keys").mkdir()
    assert desk.run("verify-log", code=2).stderr
    assert desk.json("checkpoint", code=4)["error"]["code"] == "no_database"
    assert [p.name for p in desk.data.rglob("*")] == ["keys"]


def test_every_fault_has_a_sentence() -> None:
    assert set(_FAULTS) == set(FaultKind)
