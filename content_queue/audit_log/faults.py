"""What a check of the log can come to. Explanations hold numbers only, never what an entry says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from content_queue.audit_log.checkpoints import Checkpoint


class FaultKind(StrEnum):
    # an entry
    CHANGED = "changed"
    MISSING = "missing"
    INSERTED = "inserted"
    REORDERED = "reordered"
    RENUMBERED = "renumbered"
    MALFORMED = "malformed"
    OUT_OF_ORDER = "out_of_order"
    # a batch
    BATCH_MISSING = "batch_missing"
    BATCH_MALFORMED = "batch_malformed"
    LEAVES_CHANGED = "leaves_changed"
    CHECKPOINT_INVALID = "checkpoint_invalid"
    CHECKPOINT_WRONG = "checkpoint_wrong"
    EPOCH_BACKWARDS = "epoch_backwards"
    # the whole log, against checkpoints kept elsewhere
    WITNESS_INVALID = "witness_invalid"
    WITNESS_DISAGREES = "witness_disagrees"
    TRUNCATED = "truncated"


_EXPLANATIONS = {
    FaultKind.CHANGED: "The entry at place {place} (id {entry}) is not the one that was sealed there.",
    FaultKind.MISSING: "The entry at place {place} is missing.",
    FaultKind.INSERTED: "The entry with id {entry} at place {place} was added after this part was sealed.",
    FaultKind.REORDERED: "The entry with id {entry} at place {place} was sealed, but at another place.",
    FaultKind.RENUMBERED: "The entry at place {place} (id {entry}) was sealed under other row numbers (tx, id).",
    FaultKind.MALFORMED: "The entry at place {place} (id {entry}) has a column that cannot be a log entry's.",
    FaultKind.OUT_OF_ORDER: "The entry at place {place} (id {entry}) does not come after the one before it.",
    FaultKind.BATCH_MISSING: "Batch {batch}, which starts at place {place}, is missing.",
    FaultKind.BATCH_MALFORMED: "The row of batch {batch} contradicts itself, the batch before or its entries.",
    FaultKind.LEAVES_CHANGED: "Batch {batch} keeps another hash for the entry at place {place} (id {entry}) "
    "than the one that was signed.",
    FaultKind.CHECKPOINT_INVALID: "The checkpoint of batch {batch} is not a checkpoint signed with the given key.",
    FaultKind.CHECKPOINT_WRONG: "The checkpoint of batch {batch} is signed, but for other entries than those stored.",
    FaultKind.EPOCH_BACKWARDS: "The epoch of batch {batch} is lower than that of the batch before.",
    FaultKind.WITNESS_INVALID: "A checkpoint kept elsewhere is not one that this log signed.",
    FaultKind.WITNESS_DISAGREES: "A checkpoint kept elsewhere for the first {place} entries has another root: "
    "the log was rewritten before that place, or two different logs were signed.",
    FaultKind.TRUNCATED: "A checkpoint kept elsewhere covers more entries than are sealed here: "
    "from place {place} on, the end of the log is missing.",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing found wrong. `leaf_index` counts places in the tree from 0; None where none can be named."""

    kind: FaultKind
    leaf_index: int | None
    entry_id: int | None
    batch_number: int | None

    @property
    def explanation(self) -> str:
        """One plain English sentence."""
        values = {"place": self.leaf_index, "entry": self.entry_id, "batch": self.batch_number}
        shown = {name: "unknown" if value is None else value for name, value in values.items()}
        return _EXPLANATIONS[self.kind].format(**shown)


@dataclass(frozen=True, slots=True)
class Verified:
    """Everything fits. `unsealed` entries at the end await their batch; `checkpoint` is the newest, if any."""

    entries: int
    batches: int
    unsealed: int
    root: bytes
    checkpoint: Checkpoint | None


class FaultFound(Exception):
    """Carries the fault out of the check; never leaves `verify`."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.explanation)
        self.fault = fault
