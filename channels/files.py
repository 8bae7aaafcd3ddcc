"""The bytes of images and attachments, by hash."""

from __future__ import annotations

from typing import Protocol

from channels.verdicts import Deferred


class Files(Protocol):
    async def read(self, sha256: str) -> bytes:
        """Raises `Deferred` when they cannot be read now."""
        ...


class NoFiles:
    """For processes that keep no files."""

    async def read(self, sha256: str) -> bytes:
        raise Deferred("no_file", f"the file {sha256[:12]} is not kept here")
