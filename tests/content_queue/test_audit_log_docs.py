"""The verifier printed in docs/audit-log.md is run as printed, and agrees with ours."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from content_queue.audit_log import EntryRow, Frontier, encode_vkey, seal

PAGE = Path(__file__).parents[2] / "docs" / "audit-log.md"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ORIGIN = "gazette.example/log"
ENTRIES = [EntryRow(n // 4, n + 1, n, "k", "科员\x07", None, n or None, "r/é", f'{{"n":"{n}"}}') for n in range(14)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    program = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    assert program
    (tmp_path / "verify.py").write_text(program[1], "utf-8")
    (tmp_path / "log.vkey").write_text(encode_vkey(ORIGIN, KEY.public_key()) + "\n", "utf-8")
    with sqlite3.connect(tmp_path / "copy.db") as db:
        db.execute("CREATE TABLE log_entries (tx, id, at, kind, actor, item_id, delivery_id, ref, body)")
        db.execute("CREATE TABLE log_batches (number, first, count, last_tx, last_id, leaves, checkpoint)")
        db.executemany("INSERT INTO log_entries VALUES (?,?,?,?,?,?,?,?,?)", reversed(ENTRIES))
        frontier = Frontier()
        for number, (first, end) in enumerate([(0, 1), (1, 7), (7, 12)], 1):
            batch = seal(frontier, ENTRIES[first:end], origin=ORIGIN, key=KEY, at=number, epoch=1)
            db.execute("INSERT INTO log_batches VALUES (?,?,?,?,?,?,?)", batch.row(number))
            frontier = batch.frontier
    db.close()
    (tmp_path / "kept.txt").write_text(batch.checkpoint, "utf-8")
    return tmp_path


def run(folder: Path, *kept: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "verify.py", "copy.db", "log.vkey", *kept]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def damage(folder: Path, *statements: str) -> None:
    with sqlite3.connect(folder / "copy.db") as db:
        for statement in statements:
            db.execute(statement)
    db.close()


def test_a_sound_log(folder: Path) -> None:
    assert run(folder, "kept.txt").stdout == "12 entries verified, 2 not yet sealed\n"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE log_entries SET actor = 'x' WHERE id = 6", "entry at place 5 is not the sealed one"),
        ("DELETE FROM log_entries WHERE id = 3", "entry at place 2 is not the sealed one"),
        ("UPDATE log_batches SET checkpoint = replace(checkpoint, 'time 2', 'time 3')", "InvalidSignature"),
        ("DELETE FROM log_batches WHERE number = 2", "batch 2 is missing"),
        ("DELETE FROM log_batches WHERE number = 3", "ends at 7, but had 12"),
    ],
)
def test_a_damaged_log(folder: Path, statement: str, message: str) -> None:
    damage(folder, statement)
    done = run(folder, "kept.txt")
    assert done.returncode != 0
    assert message in done.stderr
