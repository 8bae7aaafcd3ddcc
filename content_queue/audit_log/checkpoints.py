"""The log's signed statement about itself at one size (C2SP tlog-checkpoint, c2sp.org/tlog-checkpoint)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from operator import mul

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from content_queue.audit_log.merkle import HASH_SIZE
from content_queue.audit_log.notes import NoteError, check_name, decode64, encode64, open_note, sign_note

_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")  # fits a BIGINT
_LONG = re.compile(r"0|[1-9][0-9]{0,79}")
_KEY_SHIFT = 64  # `id` is a BIGINT: tx and id side by side in one number


@dataclass(frozen=True, slots=True)
class RowKeys:
    """What a checkpoint says of the `(tx, id)` of its batch, which are no part of the leaves.

    `digest` shows that none changed; the two sums show which one, when it is one: the plain sum moves by the
    change, the sum weighted by place (from 1) by the change times the place.
    """

    digest: bytes
    total: int
    weighted: int

    @classmethod
    def of(cls, keys: Sequence[tuple[int, int]]) -> RowKeys:
        digest = sha256(b"".join([b"%d %d\n" % key for key in keys])).digest()
        values = [(tx << _KEY_SHIFT) + row_id for tx, row_id in keys]
        return cls(digest, sum(values), sum(map(mul, values, count(1))))

    def place_of_change(self, found: RowKeys) -> int | None:
        """Where in the batch (from 0) the one changed key stands; None when more than one changed."""
        change, shift = found.total - self.total, found.weighted - self.weighted
        if change == 0 or shift % change or shift // change < 1:
            return None
        return shift // change - 1

    def line(self) -> str:
        return f"rows {encode64(self.digest)} {self.total} {self.weighted}"

    @classmethod
    def parse(cls, words: Sequence[str]) -> RowKeys:
        if len(words) != 3:
            raise NoteError("the rows line has a digest and two sums")
        return cls(_hash(words[0]), _number(words[1], _LONG), _number(words[2], _LONG))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`root` is the tree of the first `size` entries, at `at_us` microseconds since 1970 UTC.

    `epoch` grows when the log moves to another database or key; `rows` covers the newest batch.
    """

    origin: str
    size: int
    root: bytes
    at_us: int
    epoch: int
    rows: RowKeys | None = None

    def text(self) -> str:
        """The note's text: origin, size and root, then the extension lines `time`, `epoch` and `rows`."""
        check_name(self.origin)
        lines = [self.origin, str(self.size), encode64(self.root), f"time {self.at_us}", f"epoch {self.epoch}"]
        if self.rows:
            lines.append(self.rows.line())
        return "\n".join(lines) + "\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Raises NoteError unless `text` is exactly what `text()` writes."""
        *lines, end = text.split("\n")
        if len(lines) not in (5, 6) or end:
            raise NoteError("a checkpoint has five or six lines")
        check_name(lines[0])
        return cls(
            origin=lines[0],
            size=_number(lines[1]),
            root=_hash(lines[2]),
            at_us=_number(" ".join(_words(lines[3], "time"))),
            epoch=_number(" ".join(_words(lines[4], "epoch"))),
            rows=RowKeys.parse(_words(lines[5], "rows")) if len(lines) == 6 else None,
        )

    def sign(self, key: Ed25519PrivateKey) -> str:
        """The signed note; the key's name is the origin. Raises NoteError when the values cannot be read back."""
        text = self.text()
        if Checkpoint.parse(text) != self:
            raise NoteError("the checkpoint's values cannot be written")
        return sign_note(text, self.origin, key)

    @classmethod
    def open(cls, note: str, public_key: Ed25519PublicKey) -> Checkpoint:
        """The checkpoint that the owner of the key signed. Raises NoteError otherwise."""
        return cls.parse(open_note(note, note.partition("\n")[0], public_key))


def _words(line: str, label: str) -> list[str]:
    """What follows the label of an extension line."""
    first, *rest = line.split(" ")
    if first != label:
        raise NoteError(f"a checkpoint has a line that starts with '{label}' here")
    return rest


def _number(text: str, shape: re.Pattern[str] = _NUMBER) -> int:
    if not shape.fullmatch(text):
        raise NoteError("a number is written in digits, without leading zeroes")
    return int(text)


def _hash(text: str) -> bytes:
    raw = decode64(text)
    if len(raw) != HASH_SIZE:
        raise NoteError("a hash is 32 bytes")
    return raw
