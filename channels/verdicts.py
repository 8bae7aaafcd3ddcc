"""What an attempt can come to: one receipt, or one of four refusals.

    Verdict (Exception)
    |-- Rejected        this post will never be taken; a person looks
    |-- Deferred        certainly not out; ask again
    |-- Suspended       the account cannot publish; pause the channel
    `-- OutcomeUnknown  it may be out

Anything else an adapter lets escape, cancellation apart, counts as OutcomeUnknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Timing(NamedTuple):
    """Milliseconds of one request. `first_byte` is None when no answer began; `sent` is False only when it is
    certain that nothing left this machine."""

    total: float
    first_byte: float | None
    sent: bool


class Awaits(StrEnum):
    """What still has to happen after the platform took it, before readers see the effect."""

    NOTHING = ""
    PLATFORM = "platform"  # it decides later; `confirm` settles it
    PERSON = "person"  # somebody has to act on the platform by hand


@dataclass(frozen=True, slots=True)
class Receipt:
    """The platform took the post.

    `remote_id` is the platform's name for it, `url` where a reader finds it ("" when there is no such place).
    `awaits` says who still has to act, `reason` (a short stable code such as `draft_waits`) what for.
    """

    remote_id: str
    url: str = ""
    awaits: Awaits = Awaits.NOTHING
    reason: str = ""


class Verdict(Exception):
    """`reason` is a short stable code such as `http_503`; `detail` is free text for the operator.

    Neither may hold a secret, a token or personal data: both are stored and shown. `timing` is set when a
    request was made for it.
    """

    timing: Timing | None = None

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Rejected(Verdict):
    """The platform will never take this post. `gone` means the receiver itself has ended (HTTP 410)."""

    def __init__(self, reason: str, detail: str = "", *, gone: bool = False) -> None:
        super().__init__(reason, detail)
        self.gone = gone


class Deferred(Verdict):
    """The post is certainly not out. `retry_after` is seconds from now, or None to use the queue's own plan.

    `whole_endpoint` says that the wait was asked of the account, not of this post alone; `spent` that the platform's
    own count of what it takes has reached its limit.
    """

    def __init__(
        self,
        reason: str,
        detail: str = "",
        *,
        retry_after: float | None = None,
        whole_endpoint: bool = False,
        spent: bool = False,
    ) -> None:
        super().__init__(reason, detail)
        self.spent = spent
        self.retry_after = retry_after
        self.whole_endpoint = whole_endpoint


class Suspended(Verdict):
    """The account cannot publish until a person mends it; the attempt does not count."""


class OutcomeUnknown(Verdict):
    """The post may or may not be out."""
