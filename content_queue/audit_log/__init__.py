"""The audit log: what was done, in a form nobody can rewrite unseen. Pure: no database, clock or I/O.

entries      one row -> canonical bytes -> leaf hash
merkle       the tree over the leaf hashes, and proofs about it (RFC 6962, RFC 9162)
notes        signed notes and published keys (C2SP signed-note)
checkpoints  the signed statement about one size of the tree (C2SP tlog-checkpoint)
sealing      a batch of committed entries -> leaf hashes and a checkpoint
checking     all of it recomputed; the first wrong entry named
"""

from content_queue.audit_log.checking import Fault, FaultKind, Verified, verify
from content_queue.audit_log.checkpoints import Checkpoint, RowKeys
from content_queue.audit_log.entries import EntryRow, entry_bytes, entry_leaf
from content_queue.audit_log.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    split_leaves,
    verify_consistency,
    verify_inclusion,
)
from content_queue.audit_log.notes import NoteError, encode_vkey, open_note, parse_vkey, sign_note
from content_queue.audit_log.sealing import BatchRow, Sealed, seal

__all__ = [
    "EMPTY_ROOT",
    "BatchRow",
    "Checkpoint",
    "EntryRow",
    "Fault",
    "FaultKind",
    "Frontier",
    "NoteError",
    "RowKeys",
    "Sealed",
    "Verified",
    "consistency_proof",
    "encode_vkey",
    "entry_bytes",
    "entry_leaf",
    "inclusion_proof",
    "leaf_hash",
    "node_hash",
    "open_note",
    "parse_vkey",
    "seal",
    "sign_note",
    "split_leaves",
    "verify",
    "verify_consistency",
    "verify_inclusion",
]
