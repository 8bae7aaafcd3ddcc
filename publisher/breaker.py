"""What an answer tells of the account that gave it: that it is well, that it is there, or nothing. Pure."""

from __future__ import annotations

from channels.verdicts import Deferred, Receipt, Rejected, Suspended, Verdict
from content_queue.breaker import Sign

# Reasons of the transport (channels/transport.py) that speak of the connection, not of the post.
NO_ANSWER = frozenset(
    {
        "broken_answer",
        "cannot_connect",
        "connect_timeout",
        "late_answer",
        "name_not_found",
        "tls_refused",
        "unreadable_answer",
    }
)
# No request was made (publisher/delivery.py, publisher/worker.py): they tell nothing of the account.
OURS = frozenset({"cannot_edit", "cannot_recall", "hash_mismatch", "key_expired"})


def sign_of(answer: Receipt | Verdict | Exception) -> Sign:
    """A wait that the platform names is obeyed as it is (`channels.held_until`) and counts neither way; so does an
    adapter's own reason to wait, which may be this post's alone."""
    if isinstance(answer, Receipt):
        return Sign.WELL
    if isinstance(answer, Verdict) and answer.reason in OURS:
        return Sign.NONE
    if isinstance(answer, Rejected):
        return Sign.SPEAKS
    if isinstance(answer, Suspended):
        return Sign.NONE
    if isinstance(answer, Deferred):
        return Sign.SILENT if _nobody_there(answer) else Sign.NONE
    return Sign.SILENT  # OutcomeUnknown, and every surprise


def _nobody_there(answer: Deferred) -> bool:
    if answer.retry_after is not None:
        return False
    return answer.whole_endpoint or answer.reason in NO_ANSWER or answer.reason.startswith("http_5")
