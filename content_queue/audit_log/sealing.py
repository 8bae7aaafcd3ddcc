"""Sequencing: committed entries become a batch of the tree and a checkpoint over everything so far."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from content_queue.audit_log.checkpoints import Checkpoint, RowKeys
from content_queue.audit_log.entries import entry_leaf
from content_queue.audit_log.merkle import Frontier


class BatchRow(NamedTuple):
    """A row of `log_batches`, columns in table order. `first` is the index of the first leaf, from 0.

    `number` counts from 1 without gaps; `leaves` are the batch's leaf hashes one after the other; `checkpoint`
    is the signed note for the tree after the batch.
    """

    number: int
    first: int
    count: int  # type: ignore[assignment]  # the column, not the method of tuples
    last_tx: int
    last_id: int
    leaves: bytes
    checkpoint: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """A batch ready to be stored, and the tree's edge after it."""

    first: int
    count: int
    last_tx: int
    last_id: int
    leaves: bytes
    checkpoint: str
    frontier: Frontier

    def row(self, number: int) -> BatchRow:
        return BatchRow(number, self.first, self.count, self.last_tx, self.last_id, self.leaves, self.checkpoint)


def seal(
    frontier: Frontier,
    entries: Iterable[Sequence[Any]],
    *,
    origin: str,
    key: Ed25519PrivateKey,
    at: int,
    epoch: int,
) -> Sealed:
    """Seals rows of `log_entries` (columns as in `EntryRow`), which must ascend by (tx, id); `frontier` is kept.

    Raises ValueError when there are none, they do not ascend or a text is not Unicode; TypeError on a column of
    the wrong type.
    """
    keys: list[tuple[int, int]] = []
    leaves: list[bytes] = []
    for tx, row_id, *columns in entries:
        keys.append((tx, row_id))
        leaves.append(entry_leaf(*columns))
    _check_order(keys)
    grown = frontier.copy()
    grown.extend(leaves)
    checkpoint = Checkpoint(origin, grown.size, grown.root(), at, epoch, RowKeys.of(keys))
    last_tx, last_id = keys[-1]
    note = checkpoint.sign(key)
    return Sealed(frontier.size, len(leaves), last_tx, last_id, b"".join(leaves), note, grown)


def _check_order(keys: Sequence[tuple[int, int]]) -> None:
    if not keys:
        raise ValueError("there is no entry to seal")
    if not all(type(tx) is int and type(row_id) is int and tx >= 0 and row_id >= 0 for tx, row_id in keys):
        raise TypeError("tx and id are whole numbers from 0")
    if any(earlier >= later for earlier, later in pairwise(keys)):
        raise ValueError("entries must ascend by (tx, id)")
