"""The log recomputed from its rows: what an auditor runs, offline, with the public key alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from content_queue.audit_log.checkpoints import Checkpoint, RowKeys
from content_queue.audit_log.diagnosis import Found, Key, classify, first_difference
from content_queue.audit_log.entries import entry_leaf
from content_queue.audit_log.faults import Fault, FaultFound, FaultKind, Verified
from content_queue.audit_log.merkle import HASH_SIZE, Frontier, split_leaves
from content_queue.audit_log.notes import NoteError, signatures_of
from content_queue.audit_log.sealing import BatchRow

__all__ = ["Fault", "FaultKind", "Verified", "verify"]

_START: Key = (-1, -1)


def verify(
    entries: Iterable[Sequence[Any]],
    batches: Iterable[Sequence[Any]],
    public_key: Ed25519PublicKey,
    *,
    witnessed: Iterable[str] = (),
    origin: str | None = None,
) -> Verified | Fault:
    """Recomputes everything and names the first thing wrong.

    `entries` are rows of `log_entries` by (tx, id), `batches` rows of `log_batches` by number, columns as in
    `EntryRow` and `BatchRow`; both are read once, one batch at a time. `witnessed` are checkpoints kept outside
    the database: without one, an end that was cut off cannot be missed. `origin` is the log's expected name.
    A value of the wrong kind is a fault, never an exception; what the iterables raise passes through.
    """
    try:
        check = _Check(entries, batches, public_key, origin)
        check.read_witnesses(witnessed)
        return check.run()
    except FaultFound as found:
        return found.fault


class _Check:
    def __init__(
        self,
        entries: Iterable[Sequence[Any]],
        batches: Iterable[Sequence[Any]],
        public_key: Ed25519PublicKey,
        origin: str | None,
    ) -> None:
        self._entries: Iterator[Sequence[Any]] = iter(entries)
        self._batches: Iterator[Sequence[Any]] = iter(batches)
        self._public_key = public_key
        self._origin = origin
        self._witnesses: dict[int, bytes] = {}
        self._witness_sizes: list[int] = []
        self._frontier = Frontier()
        self._number = 0
        self._last = _START
        self._newest: Checkpoint | None = None

    def read_witnesses(self, notes: Iterable[str]) -> None:
        for note in notes:
            kept = self._open(note)
            if kept is None:
                _fail(FaultKind.WITNESS_INVALID)
            if self._witnesses.setdefault(kept.size, kept.root) != kept.root:
                _fail(FaultKind.WITNESS_DISAGREES, kept.size)
        self._witness_sizes = sorted(self._witnesses)
        if self._witnesses.get(0, self._frontier.root()) != self._frontier.root():
            _fail(FaultKind.WITNESS_DISAGREES, 0)

    def run(self) -> Verified:
        for row in self._batches:
            self._check_batch(row)
        sealed = self._frontier.size
        beyond = bool(self._witness_sizes) and self._witness_sizes[-1] > sealed
        unsealed = 0
        for row in self._entries:
            found = _read(row)
            if beyond:
                _fail(FaultKind.TRUNCATED, sealed, found.entry_id, self._number + 1)
            self._check_unsealed(found, sealed + unsealed)
            unsealed += 1
        if beyond:
            _fail(FaultKind.TRUNCATED, sealed, None, self._number + 1)
        return Verified(sealed, self._number, unsealed, self._frontier.root(), self._newest)

    def _check_unsealed(self, found: Found, place: int) -> None:
        if not found.leaf or found.key is None:
            _fail(FaultKind.MALFORMED, place, found.entry_id)
        if found.key <= self._last:
            _fail(FaultKind.OUT_OF_ORDER, place, found.entry_id)
        self._last = found.key

    def _check_batch(self, row: Sequence[Any]) -> None:
        batch = self._read_batch(row)
        signed = self._check_checkpoint(batch)
        found = [_read(entry) for entry in islice(self._entries, batch.count)]
        if b"".join([f.leaf for f in found]) != batch.leaves:
            self._diagnose(batch, signed, found)
        before = self._frontier.copy()
        self._frontier.extend(split_leaves(batch.leaves))
        if self._frontier.root() != signed.root:
            _fail(FaultKind.CHECKPOINT_WRONG, batch=batch.number)
        self._check_keys(batch, signed, found)
        self._check_witnesses(before, batch)
        self._number, self._last, self._newest = batch.number, (batch.last_tx, batch.last_id), signed

    def _read_batch(self, row: Sequence[Any]) -> BatchRow:
        expected, size = self._number + 1, self._frontier.size
        batch = _as_batch(row)
        if batch is None:
            _fail(FaultKind.BATCH_MALFORMED, batch=expected)
        if batch.number != expected:
            _fail(FaultKind.BATCH_MISSING, size, batch=expected)
        if batch.first != size or batch.count < 1 or len(batch.leaves) != HASH_SIZE * batch.count:
            _fail(FaultKind.BATCH_MALFORMED, batch=expected)
        return batch

    def _check_checkpoint(self, batch: BatchRow) -> Checkpoint:
        """A stored checkpoint carries the log's own signature and no other line."""
        signed = self._open(batch.checkpoint)
        if signed is None or signed.rows is None or len(list(signatures_of(batch.checkpoint))) != 1:
            _fail(FaultKind.CHECKPOINT_INVALID, batch=batch.number)
        if signed.size != batch.first + batch.count:
            _fail(FaultKind.CHECKPOINT_WRONG, batch=batch.number)
        if self._newest and signed.epoch < self._newest.epoch:
            _fail(FaultKind.EPOCH_BACKWARDS, batch=batch.number)
        return signed

    def _open(self, note: object) -> Checkpoint | None:
        """None unless it is signed, and of the same log as the first one seen."""
        if not isinstance(note, str):
            return None
        try:
            checkpoint = Checkpoint.open(note, self._public_key)
        except NoteError:
            return None
        self._origin = self._origin or checkpoint.origin
        return checkpoint if checkpoint.origin == self._origin else None

    def _diagnose(self, batch: BatchRow, signed: Checkpoint, found: list[Found]) -> NoReturn:
        """The rows are not what `leaves` says: finds out which of the two the signature is for."""
        leaves = split_leaves(batch.leaves)
        if self._root_with(leaves) != signed.root:
            if all(f.leaf for f in found) and self._root_with([f.leaf for f in found]) == signed.root:
                at = first_difference(found, leaves)
                _fail(FaultKind.LEAVES_CHANGED, batch.first + at, found[at].entry_id, batch.number)
            _fail(FaultKind.CHECKPOINT_WRONG, batch=batch.number)
        found.extend(_read(entry) for entry in islice(self._entries, 1))
        leaves.extend(self._next_leaf())
        kind, at = classify(found, leaves, batch.count, (batch.last_tx, batch.last_id))
        entry_id = None if kind is FaultKind.MISSING else found[at].entry_id
        _fail(kind, batch.first + at, entry_id, batch.number)

    def _root_with(self, leaves: Iterable[bytes]) -> bytes:
        grown = self._frontier.copy()
        grown.extend(leaves)
        return grown.root()

    def _next_leaf(self) -> list[bytes]:
        following = [_as_batch(row) for row in islice(self._batches, 1)]
        return [b.leaves[:HASH_SIZE] for b in following if b is not None and len(b.leaves) >= HASH_SIZE]

    def _check_keys(self, batch: BatchRow, signed: Checkpoint, found: Sequence[Found]) -> None:
        """That the rows stand under the numbers they were sealed under."""
        keys = [f.key for f in found if f.key is not None]  # a row with a leaf hash has a key
        now = RowKeys.of(keys)
        if signed.rows is not None and now != signed.rows:
            at = signed.rows.place_of_change(now)
            if at is None or at >= batch.count:
                _fail(FaultKind.RENUMBERED, batch=batch.number)
            _fail(FaultKind.RENUMBERED, batch.first + at, found[at].entry_id, batch.number)
        if keys[-1] != (batch.last_tx, batch.last_id):
            _fail(FaultKind.BATCH_MALFORMED, batch=batch.number)
        if keys[0] <= self._last:
            _fail(FaultKind.OUT_OF_ORDER, batch.first, found[0].entry_id, batch.number)

    def _check_witnesses(self, before: Frontier, batch: BatchRow) -> None:
        start = bisect_right(self._witness_sizes, before.size)
        for size in self._witness_sizes[start : bisect_right(self._witness_sizes, self._frontier.size)]:
            done = before.size - batch.first
            before.extend(split_leaves(batch.leaves[HASH_SIZE * done : HASH_SIZE * (size - batch.first)]))
            if before.root() != self._witnesses[size]:
                _fail(FaultKind.WITNESS_DISAGREES, size, batch=batch.number)


def _read(row: Sequence[Any]) -> Found:
    """The row's place and leaf hash; a row that cannot be an entry has an empty hash."""
    try:
        tx, row_id, at, kind, actor, item_id, delivery_id, ref, body = row
    except (TypeError, ValueError):
        return Found(None, b"", None)
    if not _is_bigint(tx) or not _is_bigint(row_id):
        return Found(None, b"", row_id if _is_bigint(row_id) else None)
    try:
        leaf = entry_leaf(at, kind, actor, item_id, delivery_id, ref, body)
    except (TypeError, ValueError):
        leaf = b""
    return Found((tx, row_id), leaf, row_id)


def _as_batch(row: Sequence[Any]) -> BatchRow | None:
    """None unless every column has its type."""
    try:
        number, first, count, last_tx, last_id, leaves, checkpoint = row
    except (TypeError, ValueError):
        return None
    numbers = (number, first, count, last_tx, last_id)
    if not all(map(_is_bigint, numbers)) or not isinstance(checkpoint, str):
        return None
    if not isinstance(leaves, bytes | bytearray | memoryview):
        return None
    return BatchRow(number, first, count, last_tx, last_id, bytes(leaves), checkpoint)


def _is_bigint(value: object) -> bool:
    return type(value) is int and -(1 << 63) <= value < 1 << 63


def _fail(kind: FaultKind, leaf: int | None = None, entry: int | None = None, batch: int | None = None) -> NoReturn:
    raise FaultFound(Fault(kind, leaf, entry, batch))
