"""Where the files that a submission names come from."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol

from publisher.intake.problems import IntakeError, quoted, refuse
from publisher.texts import Text, bilingual


class FileSource(Protocol):
    def open(self, name: str, limit: int) -> bytes:
        """All bytes of `name`; raises `IntakeError` if it is absent, not allowed, or above `limit` bytes."""
        ...


class MappingFiles:
    """Files that came along in the same request, by name."""

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        self._files = dict(files or {})

    def open(self, name: str, limit: int) -> bytes:
        data = self._files.get(name)
        if data is None:
            raise _absent(name, bilingual("Upload the file with the submission under this very name."))
        if len(data) > limit:
            raise too_large(name, len(data), limit)
        return data


class DirectoryFiles:
    """Files below `root`, and nothing else: no absolute path, no `..`, no link that leads out, no device."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def open(self, name: str, limit: int) -> bytes:
        path = self._inside(name)
        try:
            return self._read(path, name, limit)
        except OSError:
            remedy = bilingual("Put the file beside the submitted file, or correct its name.")
            raise _absent(name, remedy) from None

    def _inside(self, name: str) -> Path:
        parts = PurePosixPath(name)
        outside = (
            parts.is_absolute() or ".." in parts.parts or "\\" in name or "\0" in name or not parts.parts
        )
        try:
            path = (self._root / parts).resolve() if not outside else self._root.parent
        except (OSError, RuntimeError, ValueError):
            path = self._root.parent
        if outside or not path.is_relative_to(self._root):
            message = bilingual("“{name}” leads outside the folder of the submission.", name=quoted(name))
            raise refuse(
                "file_outside", "", None, message, bilingual("Name a file in this folder or below it.")
            )
        return path

    @staticmethod
    def _read(path: Path, name: str, limit: int) -> bytes:
        # O_NOFOLLOW: the path was resolved, so a link here was put in place meanwhile; O_NONBLOCK: a pipe
        # must not hold us up.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise OSError("not a regular file")
            if state.st_size > limit:
                raise too_large(name, state.st_size, limit)
            data = file.read(limit + 1)
        if len(data) > limit:
            raise too_large(name, len(data), limit)
        return data


def _absent(name: str, remedy: Text) -> IntakeError:
    message = bilingual("The file “{name}” is not there.", name=quoted(name, 80))
    return refuse("file_absent", "", None, message, remedy)


def too_large(name: str, size: int, limit: int) -> IntakeError:
    message = bilingual(
        "“{name}” has {size} bytes; at most {limit} are allowed.",
        name=quoted(name, 80),
        size=size,
        limit=limit,
    )
    return refuse("too_large", "", None, message, bilingual("Make the file smaller or split it."))
