"""Signed notes, published keys and checkpoints against C2SP signed-note and tlog-checkpoint."""

from __future__ import annotations

import base64
import dataclasses
import json
from enum import StrEnum
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from content_queue.audit_log import (
    Checkpoint,
    NoteError,
    RowKeys,
    encode_vkey,
    entry_bytes,
    open_note,
    parse_vkey,
    sign_note,
)

# The example of golang.org/x/mod/sumdb/note (package documentation): key, text and note.
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_SEED = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
GO_NOTE = f"{GO_TEXT}\n— PeterNeumann {GO_SIGNATURE}\n"

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
NAME = "gazette.example/log"
CHECKPOINT = Checkpoint(NAME, 7, bytes(range(32)), 1_800_000_000_000_000, 3, RowKeys(bytes(32), 12, 40))


def test_the_note_of_the_go_library() -> None:
    name, public = parse_vkey(GO_VKEY)
    assert open_note(GO_NOTE, name, public) == GO_TEXT
    assert encode_vkey(name, public) == GO_VKEY
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(GO_SEED)[1:])
    assert sign_note(GO_TEXT, name, key) == GO_NOTE


def test_signatures_of_others_are_passed_over_in_any_place() -> None:
    text, mine = CHECKPOINT.text(), CHECKPOINT.sign(KEY).rpartition("\n\n")[2]
    theirs = sign_note(text, "witness.example", OTHER).rpartition("\n\n")[2]
    same_name = sign_note(text, NAME, OTHER).rpartition("\n\n")[2]
    for lines in (mine + theirs, theirs + mine, same_name + mine, theirs * 8 + mine + theirs * 8):
        assert Checkpoint.open(f"{text}\n{lines}", KEY.public_key()) == CHECKPOINT
    with pytest.raises(NoteError):
        Checkpoint.open(f"{text}\n{theirs}{same_name}", KEY.public_key())


def test_a_wrong_signature_of_a_known_key_spoils_the_note() -> None:
    good, bad = CHECKPOINT.sign(KEY), dataclasses.replace(CHECKPOINT, size=8).sign(KEY)
    with pytest.raises(NoteError):
        open_note(good + bad.rpartition("\n\n")[2], NAME, KEY.public_key())


def test_no_character_of_a_signed_checkpoint_can_change() -> None:
    note = CHECKPOINT.sign(KEY)
    assert Checkpoint.open(note, KEY.public_key()) == CHECKPOINT
    for at in range(len(note)):
        for other in {chr(ord(note[at]) ^ 1), chr(ord(note[at]) ^ 2), "\n", ""} - {note[at]}:
            with pytest.raises(NoteError):
                Checkpoint.open(note[:at] + other + note[at + 1 :], KEY.public_key())


@pytest.mark.parametrize(
    "note",
    ["", "\n", "\n\n", "text\n", "text\n\n", "a\n\n— b c", "a\n\n— b !!!!\n", "\ud800\n\n— b AAAAAAA=\n", "a" * 70_000],
)
def test_malformed_notes_are_refused(note: str) -> None:
    with pytest.raises(NoteError):
        open_note(note, "b", KEY.public_key())


@pytest.mark.parametrize(
    "vkey",
    ["", "name", "na me+c74f20a3+AA==", GO_VKEY.replace("c74f", "c74e"), GO_VKEY.replace("+AR", "+BR"), GO_VKEY[:-4]],
)
def test_malformed_keys_are_refused(vkey: str) -> None:
    with pytest.raises(NoteError):
        parse_vkey(vkey)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u3000b"])
def test_names_that_cannot_sign(name: str) -> None:
    with pytest.raises(NoteError):
        sign_note("text\n", name, KEY)
    with pytest.raises(NoteError):
        dataclasses.replace(CHECKPOINT, origin=name).sign(KEY)


@pytest.mark.parametrize("text", ["", "no newline", "tab\tinside\n"])
def test_texts_that_cannot_be_signed(text: str) -> None:
    with pytest.raises(NoteError):
        sign_note(text, NAME, KEY)


@pytest.mark.parametrize("change", [{"size": -1}, {"at_us": 10**19}, {"epoch": -1}, {"root": b"short"}])
def test_values_that_cannot_be_read_back_are_not_signed(change: dict[str, Any]) -> None:
    with pytest.raises(NoteError):
        dataclasses.replace(CHECKPOINT, **change).sign(KEY)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n7\n", "\n07\n"),
        ("\n7\n", "\n٧\n"),
        ("time ", "time  "),
        ("epoch 3\n", "epoch 3\n\n"),
        ("epoch 3\n", ""),
        ("rows", "row"),
    ],
)
def test_a_checkpoint_has_one_spelling(old: str, new: str) -> None:
    text = CHECKPOINT.text()
    assert Checkpoint.parse(text) == CHECKPOINT
    assert old in text
    with pytest.raises(NoteError):
        Checkpoint.parse(text.replace(old, new))


keys = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(st.tuples(keys, keys), min_size=1, max_size=40), st.data())
def test_row_keys_point_at_the_one_that_changed(rows: list[tuple[int, int]], draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(rows) - 1))
    changed = list(rows)
    changed[at] = draw.draw(st.tuples(keys, keys))
    before, after = RowKeys.of(rows), RowKeys.of(changed)
    if rows == changed:
        assert before == after
    else:
        assert before.digest != after.digest
        assert before.place_of_change(after) == at


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
whole = st.integers(0, 2**53 - 1)
columns = st.tuples(whole, texts, texts, st.none() | texts, st.none() | whole, st.none() | texts, texts)


@settings(max_examples=300)
@given(columns)
def test_entry_bytes_are_canonical_json(row: tuple[Any, ...]) -> None:
    encoded = entry_bytes(*row)
    assert encoded == rfc8785.dumps(list(row))
    assert tuple(json.loads(encoded)) == row


def test_entry_bytes_are_pinned() -> None:
    got = entry_bytes(
        1_800_000_000_000_001, "delivery.sent", "worker-1", "公-1", 42, None, '{"a":"\\u007f \x7f\u2028"}'
    )
    expected = '[1800000000000001,"delivery.sent","worker-1","公-1",42,null,"{\\"a\\":\\"\\\\u007f \x7f\u2028\\"}"]'
    assert got == expected.encode()


class Kind(StrEnum):
    SENT = "sent"


def test_an_enum_is_its_text() -> None:
    assert entry_bytes(1, Kind.SENT, "", None, None, None, "") == entry_bytes(1, "sent", "", None, None, None, "")


GOOD = (1, "k", "a", None, None, None, "{}")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, "1"),
        (0, 1.0),
        (0, True),
        (0, None),
        (1, None),
        (1, 5),
        (2, b"a"),
        (3, 1),
        (4, "1"),
        (4, 1.5),
        (5, []),
        (6, None),
    ],
)
def test_wrong_types_are_refused(place: int, value: Any) -> None:
    row: list[Any] = list(GOOD)
    row[place] = value
    with pytest.raises(TypeError):
        entry_bytes(*row)


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(ValueError):
        entry_bytes(1, "k", "\ud800", None, None, None, "{}")
