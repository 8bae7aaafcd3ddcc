"""Every kind of tampering at every place is found, and the entry named is the right one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from content_queue.audit_log import (
    BatchRow,
    Checkpoint,
    EntryRow,
    Fault,
    FaultKind,
    Frontier,
    Verified,
    seal,
    sign_note,
    split_leaves,
    verify,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
ORIGIN = "gazette.example/log"
SIZES = (1, 2, 3, 40, 64, 7, 90)
UNSEALED = 3
TOTAL = sum(SIZES)
K = FaultKind


def entry(n: int) -> EntryRow:
    """Keys with gaps, as PostgreSQL leaves them: rows can be put between and renumbered without moving."""
    return EntryRow(
        tx=700 + n // 3 * 8,
        id=10 + n * 4,
        at=1_800_000_000_000_000 + n * 1000,
        kind="delivery.sent" if n % 2 else "item.submitted",
        actor=f"worker-{n % 5}",
        item_id=None if n % 7 == 0 else f"公告-{n}",
        delivery_id=n if n % 2 else None,
        ref=f"c{n}" if n % 3 else None,
        body=f'{{"n":{n},"note":"第{n}条"}}',
    )


ENTRIES = [entry(n) for n in range(TOTAL + UNSEALED)]


def sealed(entries: Sequence[EntryRow], sizes: Sequence[int], key: Ed25519PrivateKey = KEY) -> list[BatchRow]:
    frontier, rows, first = Frontier(), [], 0
    for number, size in enumerate(sizes, 1):
        batch = seal(frontier, entries[first : first + size], origin=ORIGIN, key=key, at=number, epoch=1 + number // 4)
        rows.append(batch.row(number))
        frontier, first = batch.frontier, first + size
    return rows


BATCHES = sealed(ENTRIES, SIZES)
FIRSTS = [b.first for b in BATCHES]
LASTS = [b.first + b.count - 1 for b in BATCHES]
NEWEST = BATCHES[-1].checkpoint


def check(entries: Sequence[Any], batches: Sequence[Any] = BATCHES, **more: Any) -> Verified | Fault:
    """As the store hands them over: sorted."""
    return verify(sorted(entries, key=lambda e: (e[0], e[1])), batches, KEY.public_key(), **more)


def batch_of(place: int) -> int:
    return next(b.number for b in BATCHES if place < b.first + b.count)


def swapped(entries: list[EntryRow], a: int, b: int) -> list[EntryRow]:
    """Contents exchanged, row numbers left in place."""
    changed = list(entries)
    changed[a] = entries[b]._replace(tx=entries[a].tx, id=entries[a].id)
    changed[b] = entries[a]._replace(tx=entries[b].tx, id=entries[b].id)
    return changed


def with_batch(which: int, **columns: Any) -> list[BatchRow]:
    return [b._replace(**columns) if b.number == which else b for b in BATCHES]


def resigned(number: int, *, key: Ed25519PrivateKey = KEY, **values: Any) -> list[BatchRow]:
    old = Checkpoint.open(BATCHES[number - 1].checkpoint, KEY.public_key())
    return with_batch(number, checkpoint=replace(old, **values).sign(key))


def test_an_untouched_log_verifies() -> None:
    found = check(ENTRIES, witnessed=[b.checkpoint for b in BATCHES], origin=ORIGIN)
    assert isinstance(found, Verified)
    assert (found.entries, found.batches, found.unsealed) == (TOTAL, len(SIZES), UNSEALED)
    assert found.checkpoint == Checkpoint.open(NEWEST, KEY.public_key())
    assert found.root == found.checkpoint.root


def test_a_log_without_batches_or_entries() -> None:
    assert verify(ENTRIES[:5], [], KEY.public_key()) == Verified(0, 0, 5, Frontier().root(), None)
    assert verify([], [], KEY.public_key()) == Verified(0, 0, 0, Frontier().root(), None)


def test_one_flipped_bit_in_any_text_or_number_of_any_entry() -> None:
    for place in range(TOTAL):
        row = ENTRIES[place]
        column = EntryRow._fields[2 + place % 7]
        value = getattr(row, column)
        new: Any = (
            (value ^ (1 << place % 50) if isinstance(value, int) else 0 if column == "delivery_id" else "x")
            if not isinstance(value, str)
            else value[:-1] + chr(ord(value[-1]) ^ 1)
        )
        changed = [*ENTRIES[:place], row._replace(**{column: new}), *ENTRIES[place + 1 :]]
        assert check(changed) == Fault(K.CHANGED, place, row.id, batch_of(place)), (place, column)


@pytest.mark.parametrize("place", [*FIRSTS, *LASTS])
def test_every_bit_of_every_column_at_the_borders(place: int) -> None:
    row = ENTRIES[place]
    for column in EntryRow._fields[2:]:
        value = getattr(row, column)
        if isinstance(value, int):
            variants: list[Any] = [value ^ (1 << bit) for bit in range(0, 63, 5)]
        elif isinstance(value, str):
            variants = [value[:i] + chr(ord(value[i]) ^ 1) + value[i + 1 :] for i in range(len(value))] + [""]
        else:
            variants = [0 if column == "delivery_id" else ""]
        for new in variants:
            changed = [*ENTRIES[:place], row._replace(**{column: new}), *ENTRIES[place + 1 :]]
            assert check(changed) == Fault(K.CHANGED, place, row.id, batch_of(place)), (column, new)


@pytest.mark.parametrize("column", ["tx", "id"])
def test_a_renumbered_row_that_keeps_its_place(column: str) -> None:
    for place in range(TOTAL):
        row = ENTRIES[place]
        new = row._replace(id=row.id + 1) if column == "id" else row._replace(tx=row.tx + 1)
        changed = sorted([*ENTRIES[:place], new, *ENTRIES[place + 1 :]])
        if changed.index(new) == place:
            assert check(changed) == Fault(K.RENUMBERED, place, new.id, batch_of(place))


def test_a_row_renumbered_to_the_end_or_the_beginning() -> None:
    for place in range(TOTAL):
        row = ENTRIES[place]
        rest = [*ENTRIES[:place], *ENTRIES[place + 1 :]]
        late = check([*rest, row._replace(tx=row.tx + 2**40)])
        assert isinstance(late, Fault)
        assert (late.leaf_index, late.batch_number) == (place, batch_of(place))
        assert late.kind is K.MISSING
        early = check([row._replace(tx=0), *rest])
        assert isinstance(early, Fault)
        assert (early.leaf_index, early.entry_id) == (0, row.id)
        assert early.kind in {K.INSERTED, K.REORDERED, K.CHANGED, K.RENUMBERED}


@pytest.mark.parametrize("unsealed", [0, UNSEALED])
def test_a_deleted_row_anywhere(unsealed: int) -> None:
    entries = ENTRIES[: TOTAL + unsealed]
    for place in range(TOTAL):
        found = check(entries[:place] + entries[place + 1 :])
        assert found == Fault(K.MISSING, place, None, batch_of(place))


def test_all_rows_of_a_batch_deleted() -> None:
    for b in BATCHES:
        found = check(ENTRIES[: b.first] + ENTRIES[b.first + b.count :])
        assert isinstance(found, Fault)
        assert (found.kind, found.leaf_index, found.batch_number) == (K.MISSING, b.first, b.number)


@pytest.mark.parametrize("unsealed", [0, UNSEALED])
def test_an_inserted_row_anywhere(unsealed: int) -> None:
    entries = ENTRIES[: TOTAL + unsealed]
    for place in range(TOTAL):
        after = entries[place]
        forged = after._replace(id=after.id - 1, body='{"forged":true}')
        replayed = entries[(place * 31) % TOTAL]._replace(tx=after.tx, id=after.id - 1)
        for new in (forged, replayed):
            found = check([*entries, new])
            if new is replayed and entries.index(ENTRIES[(place * 31) % TOTAL]) == place:
                continue  # the same entry twice in a row: which one is the copy cannot be told
            assert found == Fault(K.INSERTED, place, new.id, batch_of(place))


def test_a_malformed_inserted_row() -> None:
    found = check([*ENTRIES, ENTRIES[50]._replace(id=ENTRIES[50].id - 1, body=None)])  # type: ignore[arg-type]
    assert found == Fault(K.MALFORMED, 50, ENTRIES[50].id - 1, batch_of(50))


@pytest.mark.parametrize("unsealed", [0, UNSEALED])
def test_neighbours_reordered_anywhere(unsealed: int) -> None:
    entries = ENTRIES[: TOTAL + unsealed]
    for place in range(TOTAL - 1):
        found = check(swapped(entries, place, place + 1))
        assert isinstance(found, Fault)
        assert (found.leaf_index, found.entry_id) == (place, ENTRIES[place].id)
        if batch_of(place) == batch_of(place + 1):
            assert found.kind is K.REORDERED


@settings(max_examples=60, deadline=None)
@given(st.integers(0, TOTAL - 1), st.integers(0, TOTAL - 1))
def test_any_two_entries_exchanged(a: int, b: int) -> None:
    found = check(swapped(ENTRIES, a, b))
    if a == b:
        assert isinstance(found, Verified)
    else:
        assert isinstance(found, Fault)
        assert (found.leaf_index, found.entry_id) == (min(a, b), ENTRIES[min(a, b)].id)


def test_every_stored_leaf_hash_rewritten() -> None:
    for place in range(TOTAL):
        b = BATCHES[batch_of(place) - 1]
        leaves = bytearray(b.leaves)
        leaves[(place - b.first) * 32 + place % 32] ^= 1 << place % 8
        found = check(ENTRIES, with_batch(b.number, leaves=bytes(leaves)))
        assert found == Fault(K.LEAVES_CHANGED, place, ENTRIES[place].id, b.number)


@pytest.mark.parametrize("number", range(1, len(SIZES) + 1))
def test_entry_and_leaf_hash_rewritten_together(number: int) -> None:
    b = BATCHES[number - 1]
    changed = [*ENTRIES]
    changed[b.first] = changed[b.first]._replace(actor="nobody")
    forged = seal(Frontier(), changed[b.first : b.first + b.count], origin=ORIGIN, key=OTHER, at=1, epoch=1)
    found = check(changed, with_batch(number, leaves=forged.leaves))
    assert found == Fault(K.CHECKPOINT_WRONG, None, None, number)


@pytest.mark.parametrize("number", range(1, len(SIZES) + 1))
def test_every_character_of_a_stored_checkpoint(number: int) -> None:
    note = BATCHES[number - 1].checkpoint
    for at in range(0, len(note), 1 if number == 4 else 7):
        broken = note[:at] + chr(ord(note[at]) ^ 1) + note[at + 1 :]
        assert check(ENTRIES, with_batch(number, checkpoint=broken)) == Fault(K.CHECKPOINT_INVALID, None, None, number)


@pytest.mark.parametrize("number", range(1, len(SIZES) + 1))
def test_rewritten_batch_rows(number: int) -> None:
    b = BATCHES[number - 1]
    text, mine = b.checkpoint.split("\n\n")
    extra = sign_note(text + "\n", "witness.example", OTHER).rpartition("\n\n")[2]
    expected: list[tuple[FaultKind, list[BatchRow]]] = [
        (K.CHECKPOINT_INVALID, resigned(number, key=OTHER)),
        (K.CHECKPOINT_INVALID, resigned(number, origin="elsewhere.example/log")),
        (K.CHECKPOINT_INVALID, resigned(number, rows=None)),
        (K.CHECKPOINT_INVALID, with_batch(number, checkpoint=f"{text}\n\n{mine}{extra}")),
        (K.CHECKPOINT_WRONG, resigned(number, size=b.first + b.count + 1)),
        (K.CHECKPOINT_WRONG, resigned(number, root=bytes(32))),
        (K.BATCH_MALFORMED, with_batch(number, first=b.first + 1)),
        (K.BATCH_MALFORMED, with_batch(number, count=b.count + 1)),
        (K.BATCH_MALFORMED, with_batch(number, count=0)),
        (K.BATCH_MALFORMED, with_batch(number, last_id=b.last_id + 1)),
        (K.BATCH_MALFORMED, with_batch(number, last_tx=b.last_tx - 1)),
        (K.BATCH_MALFORMED, with_batch(number, leaves=b.leaves[:-1])),
        (K.BATCH_MALFORMED, with_batch(number, leaves=b.leaves + bytes(32))),
    ]
    for kind, batches in expected:
        found = check(ENTRIES, batches, origin=ORIGIN)
        assert isinstance(found, Fault)
        assert (found.kind, found.batch_number) == (kind, number)


def test_checkpoints_exchanged_between_batches() -> None:
    found = check(ENTRIES, with_batch(3, checkpoint=BATCHES[3].checkpoint))
    assert found == Fault(K.CHECKPOINT_WRONG, None, None, 3)


@pytest.mark.parametrize("number", range(1, len(SIZES)))
def test_a_deleted_or_renumbered_batch(number: int) -> None:
    missing = Fault(K.BATCH_MISSING, BATCHES[number - 1].first, None, number)
    assert check(ENTRIES, [b for b in BATCHES if b.number != number]) == missing
    assert check(ENTRIES, sorted(with_batch(number, number=number + 100))) == missing


def test_batches_closed_up_after_one_was_deleted() -> None:
    closed = [b._replace(number=b.number - 1) if b.number > 3 else b for b in BATCHES if b.number != 3]
    assert check(ENTRIES, closed) == Fault(K.BATCH_MALFORMED, None, None, 3)
    renumbered = Fault(K.BATCH_MISSING, BATCHES[-1].first, None, len(BATCHES))
    assert check(ENTRIES, with_batch(len(BATCHES), number=len(BATCHES) + 1)) == renumbered
    shifted = [b._replace(first=b.first - 3) if b.number > 2 else b for b in closed]
    found = check([e for n, e in enumerate(ENTRIES) if n not in range(3, 6)], shifted)
    assert found == Fault(K.CHECKPOINT_WRONG, None, None, 3)


def test_an_epoch_that_goes_backwards() -> None:
    assert check(ENTRIES, resigned(7, epoch=1)) == Fault(K.EPOCH_BACKWARDS, None, None, 7)
    assert isinstance(check(ENTRIES, resigned(7, epoch=9)), Verified)


@pytest.mark.parametrize("kept", range(len(SIZES)))
def test_a_cut_end_is_missed_only_with_a_checkpoint_kept_elsewhere(kept: int) -> None:
    edge = BATCHES[kept].first
    entries, batches = ENTRIES[:edge], BATCHES[:kept]
    assert isinstance(check(entries, batches), Verified)
    assert check(entries, batches, witnessed=[NEWEST]) == Fault(K.TRUNCATED, edge, None, kept + 1)
    found = check(ENTRIES, batches, witnessed=[BATCHES[kept].checkpoint])
    assert found == Fault(K.TRUNCATED, edge, ENTRIES[edge].id, kept + 1)
    for unharmed in BATCHES[:kept]:
        assert isinstance(check(entries, batches, witnessed=[unharmed.checkpoint]), Verified)


def test_a_log_rewritten_by_the_holder_of_the_key() -> None:
    for place in (0, 5, 45, 200):
        changed = [*ENTRIES]
        changed[place] = changed[place]._replace(actor="nobody")
        rewritten = sealed(changed, SIZES)
        assert isinstance(check(changed, rewritten), Verified)
        kept = BATCHES[batch_of(place) - 1]
        found = check(changed, rewritten, witnessed=[b.checkpoint for b in BATCHES])
        assert found == Fault(K.WITNESS_DISAGREES, kept.first + kept.count, None, kept.number)


def test_a_witness_inside_a_batch() -> None:
    """The same entries sealed in other batches: the kept sizes fall inside, and the roots still have to agree."""
    others = sealed(ENTRIES, (50, 100, 57))
    notes = [b.checkpoint for b in BATCHES]
    assert isinstance(check(ENTRIES, others, witnessed=notes), Verified)
    changed = [*ENTRIES]
    changed[100] = changed[100]._replace(actor="nobody")
    found = check(changed, sealed(changed, (50, 100, 57)), witnessed=notes)
    assert found == Fault(K.WITNESS_DISAGREES, 110, None, 2)


def test_witnesses_that_are_not_of_this_log() -> None:
    old = Checkpoint.open(NEWEST, KEY.public_key())
    by_other, elsewhere = old.sign(OTHER), replace(old, origin="elsewhere.example/log").sign(KEY)
    for notes in ([by_other], [NEWEST, elsewhere], ["garbage"], [""], [None]):
        found = check(ENTRIES, witnessed=notes, origin=ORIGIN)
        assert found == Fault(K.WITNESS_INVALID, None, None, None)
    split = [NEWEST, replace(old, root=bytes(32)).sign(KEY)]
    assert check(ENTRIES, witnessed=split) == Fault(K.WITNESS_DISAGREES, old.size, None, None)


def test_a_log_of_another_name_is_not_taken_for_ours() -> None:
    found = check(ENTRIES, origin="elsewhere.example/log")
    assert found == Fault(K.CHECKPOINT_INVALID, None, None, 1)


GARBAGE: tuple[Any, ...] = (
    None,
    b"x",
    1.5,
    "text",
    [],
    {},
    object(),
    True,
    2**70,
    -(2**63) - 1,
    "\ud800",
    10**5000,
    float("nan"),
)


@pytest.mark.parametrize("place", [0, 3, TOTAL - 1, TOTAL + 1])
@pytest.mark.parametrize("column", range(9))
def test_garbage_in_an_entry_is_a_fault(place: int, column: int) -> None:
    for value in GARBAGE:
        row: list[Any] = [*ENTRIES[place]]
        was, row[column] = row[column], value
        entries: list[Any] = [*ENTRIES[:place], row, *ENTRIES[place + 1 :]]
        found = verify(entries, BATCHES, KEY.public_key())
        fitting = was is value or place > TOTAL or (column < 2 and isinstance(value, int))
        if not fitting and not (column in (1, 0) and place >= TOTAL):
            assert isinstance(found, Fault)
            assert found.leaf_index == place


@pytest.mark.parametrize("row", [None, 5, "short", (), (1, 2), range(10)])
def test_rows_of_another_shape_are_faults(row: Any) -> None:
    found = verify([*ENTRIES[:9], row, *ENTRIES[10:]], BATCHES, KEY.public_key())
    assert found == Fault(K.MALFORMED, 9, None, batch_of(9))
    found = verify(ENTRIES, [*BATCHES[:2], row, *BATCHES[3:]], KEY.public_key())
    assert found == Fault(K.BATCH_MALFORMED, None, None, 3)


@pytest.mark.parametrize("column", range(7))
def test_garbage_in_a_batch_is_a_fault(column: int) -> None:
    for number in (1, 4, 7):
        for value in GARBAGE:
            row: list[Any] = [*BATCHES[number - 1]]
            row[column] = value
            found = verify(ENTRIES, [*BATCHES[: number - 1], row, *BATCHES[number:]], KEY.public_key())
            assert isinstance(found, Fault)
            assert found.batch_number == number


def test_unsealed_entries_must_follow_and_be_entries() -> None:
    last = ENTRIES[-1]
    found = verify([*ENTRIES, last], BATCHES, KEY.public_key())
    assert found == Fault(K.OUT_OF_ORDER, TOTAL + UNSEALED, last.id, None)
    bad = [*ENTRIES[:-1], last._replace(body=None)]  # type: ignore[arg-type]
    assert verify(bad, BATCHES, KEY.public_key()) == Fault(K.MALFORMED, TOTAL + UNSEALED - 1, last.id, None)


Damage = Callable[[list[EntryRow], int, int], list[EntryRow]]
DAMAGES: list[Damage] = [
    lambda rows, a, b: rows[:a] + rows[a + 1 :],
    lambda rows, a, b: [*rows[:a], rows[a]._replace(body=rows[a].body + " "), *rows[a + 1 :]],
    lambda rows, a, b: [*rows, rows[b]._replace(tx=rows[a].tx, id=rows[a].id - 2)],
    lambda rows, a, b: swapped(rows, a, b),
    lambda rows, a, b: rows[: min(a, b)] + rows[max(a, b) :],
]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(DAMAGES), st.integers(0, 199), st.integers(0, 199)), min_size=1, max_size=4))
def test_the_first_of_several_damages_is_named(damages: list[tuple[Damage, int, int]]) -> None:
    rows = list(ENTRIES)
    for damage, a, b in damages:
        if max(a, b) < len(rows):
            rows = sorted(damage(rows, a, b), key=lambda e: (e.tx, e.id))
    stays = [(a[2:] == b[2:]) for a, b in zip(rows, ENTRIES[:TOTAL], strict=False)]
    found = check(rows)
    if rows[:TOTAL] == ENTRIES[:TOTAL]:
        assert isinstance(found, Verified)
    else:
        assert isinstance(found, Fault)
        first = stays.index(False) if False in stays else len(stays)
        if found.kind is not K.RENUMBERED:
            assert found.leaf_index == first


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(BATCHES) - 1), st.data())
def test_a_random_byte_of_the_leaves(which: int, draw: st.DataObject) -> None:
    b = BATCHES[which]
    leaves = bytearray(b.leaves)
    at = draw.draw(st.integers(0, len(leaves) - 1))
    leaves[at] ^= draw.draw(st.integers(1, 255))
    place = b.first + at // 32
    found = check(ENTRIES, with_batch(b.number, leaves=bytes(leaves)))
    assert found == Fault(K.LEAVES_CHANGED, place, ENTRIES[place].id, b.number)


def test_sealing_refuses_what_could_not_be_verified() -> None:
    def attempt(entries: list[Any], **more: Any) -> None:
        values: dict[str, Any] = {"origin": ORIGIN, "key": KEY, "at": 1, "epoch": 1} | more
        seal(Frontier(), entries, **values)

    for wrong in ([], [ENTRIES[1], ENTRIES[0]], [ENTRIES[0], ENTRIES[0]], [ENTRIES[0]._replace(body="\ud800")]):
        with pytest.raises(ValueError):
            attempt(wrong)
    for odd in (ENTRIES[0]._replace(at="1"), ENTRIES[0]._replace(id=-1), ENTRIES[0]._replace(tx=None)):  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            attempt([odd])
    with pytest.raises(ValueError):
        attempt(ENTRIES[:1], origin="two words")


def test_sealing_leaves_the_given_frontier_alone_and_says_what_it_sealed() -> None:
    frontier = Frontier()
    batch = seal(frontier, ENTRIES[:5], origin=ORIGIN, key=KEY, at=77, epoch=2)
    assert frontier.size == 0
    assert (batch.first, batch.count, batch.last_tx, batch.last_id) == (0, 5, ENTRIES[4].tx, ENTRIES[4].id)
    assert len(split_leaves(batch.leaves)) == 5
    signed = Checkpoint.open(batch.checkpoint, KEY.public_key())
    assert (signed.origin, signed.size, signed.root) == (ORIGIN, 5, batch.frontier.root())
    assert (signed.at_us, signed.epoch) == (77, 2)


@pytest.mark.parametrize("kind", list(FaultKind))
def test_every_kind_is_explained_in_a_sentence_without_gaps(kind: FaultKind) -> None:
    full, bare = Fault(kind, 4101, 4202, 4303), Fault(kind, None, None, None)
    assert full.explanation.endswith(".")
    assert "{" not in full.explanation
    assert "None" not in bare.explanation


def test_explanations_quote_nothing_of_an_entry() -> None:
    secret = "330106199001011234"
    rows = [*ENTRIES[:9], ENTRIES[9]._replace(body=secret, actor=secret), *ENTRIES[10:]]
    found = check(rows)
    assert isinstance(found, Fault)
    assert secret not in found.explanation + repr(found)


def test_throughput_is_shown() -> None:
    rows = [entry(n) for n in range(20_000)]
    start = time.perf_counter()
    batch = seal(Frontier(), rows, origin=ORIGIN, key=KEY, at=1, epoch=1)
    middle = time.perf_counter()
    found = verify(rows, [batch.row(1)], KEY.public_key())
    end = time.perf_counter()
    assert isinstance(found, Verified)
    print(f"sealed {20_000 / (middle - start):,.0f} entries/s, verified {20_000 / (end - middle):,.0f} entries/s")
