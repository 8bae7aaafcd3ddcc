"""Refusals with a remedy, for people and for machines.

    Problem
    |-- Refused      a rule of the house says no (409 or 403)
    |-- NotFound     no such thing (404)
    `-- Held         the checklist blocks it; carries the findings (422)
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from typing import Any

from publisher.texts import Text, bilingual


class Problem(Exception):
    """`code` is stable and for machines; `message` says what, `remedy` how to mend it."""

    status = 400

    def __init__(self, code: str, message: Text, remedy: Text) -> None:
        super().__init__(message.en)
        self.code, self.message, self.remedy = code, message, remedy

    def to_dict(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message.as_dict(), "remedy": self.remedy.as_dict()}


class Refused(Problem):
    status = 409


class NotAllowed(Refused):
    status = 403


class NotFound(Problem):
    status = 404


class Held(Problem):
    status = 422

    def __init__(self, message: Text, remedy: Text, findings: Sequence[Mapping[str, Any]]) -> None:
        super().__init__("checklist_blocks", message, remedy)
        self.findings = tuple(findings)

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "findings": [dict(f) for f in self.findings]}


def disk_full() -> tuple[Text, Text]:
    """What is said, and the remedy, when there is no room to keep what was handed in."""
    return (
        bilingual("There is no room left on the disk; nothing was stored."),
        bilingual("Make room where the database and the media are kept, then do it again; nothing has to be undone."),
    )


def locked_out() -> Text:
    """The remedy when another process would not let go of the database's write lock."""
    return bilingual("Look for a process of the service that stands still; let it go on or end it, then do it again.")


def is_disk_full(error: Exception) -> bool:
    """Whether a file could not be written for want of room."""
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
