"""Attachments and images on disk, by the SHA-256 of their bytes.

MediaError (Exception)
|-- MediaAbsent      no file of that hash
`-- MediaDamaged     the bytes on disk are not those that were stored
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from channels.verdicts import Deferred

_HASH = re.compile(r"[0-9a-f]{64}")
_FOLDER = re.compile(r"[0-9a-f]{2}")
_TEMPORARY = ".part-"


class MediaError(Exception):
    pass


class MediaAbsent(MediaError):
    pass


class MediaDamaged(MediaError):
    pass


class MediaStore:
    """Files below `root`, two levels deep. Safe for many processes: a file appears whole or not at all."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, sha256: str) -> Path:
        """Where the bytes of `sha256` (lower-case hex) lie, whether they are there or not."""
        if not _HASH.fullmatch(sha256):
            raise MediaError("not a SHA-256 in lower-case hex")
        return self._root / sha256[:2] / sha256

    def put(self, data: bytes) -> str:
        """Stores `data` for good (it is on the disk when this returns) and returns its hash; idempotent."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.path(sha256)
        if not self._holds(path, data):
            self._make_folder(path.parent)
            self._write(path, data)
        return sha256

    def read(self, sha256: str) -> bytes:
        """The bytes, checked against their hash; raises `MediaAbsent` or `MediaDamaged`."""
        try:
            data = self.path(sha256).read_bytes()
        except FileNotFoundError:
            raise MediaAbsent(sha256) from None
        if hashlib.sha256(data).hexdigest() != sha256:
            raise MediaDamaged(sha256)
        return data

    def has(self, sha256: str) -> bool:
        return self.path(sha256).is_file()

    def hashes(self) -> Iterator[str]:
        """Everything stored, in no order."""
        if self._root.is_dir():
            for folder in self._root.iterdir():
                if _FOLDER.fullmatch(folder.name) and folder.is_dir():
                    yield from (f.name for f in folder.iterdir() if _HASH.fullmatch(f.name))

    def sweep(self, keep: Collection[str], *, older_than: float, now: float | None = None) -> list[str]:
        """Removes files that are not in `keep` and unfinished ones, both only if older than `older_than` seconds.

        The age protects what was stored for an item that is just being committed. Returns the hashes removed.
        """
        latest = (time.time() if now is None else now) - older_than
        kept = frozenset(keep)
        gone = [h for h in self.hashes() if h not in kept and _remove_old(self.path(h), latest)]
        for part in self._root.glob(f"*/{_TEMPORARY}*"):
            _remove_old(part, latest)
        return gone

    @staticmethod
    def _holds(path: Path, data: bytes) -> bool:
        """Whether the very bytes are there: a damaged file is written anew. A fresh date keeps the sweep away."""
        try:
            if path.read_bytes() != data:
                return False
            os.utime(path)
        except FileNotFoundError:
            return False
        _sync_folder(path.parent)
        return True

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            _sync_folder(self._root)
            _sync_folder(self._root.parent)

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        handle, name = tempfile.mkstemp(prefix=_TEMPORARY, dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                os.fchmod(file.fileno(), 0o640)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


class MediaFiles:
    """The files as channels read them (`channels/files.py`)."""

    def __init__(self, store: MediaStore) -> None:
        self._store = store

    async def read(self, sha256: str) -> bytes:
        try:
            return await asyncio.to_thread(self._store.read, sha256)
        except (MediaError, OSError) as error:
            raise Deferred("no_file", f"{type(error).__name__}: the file {sha256[:12]} cannot be read here") from None


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_old(path: Path, latest: float) -> bool:
    try:
        if path.stat().st_mtime > latest:
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    return True
