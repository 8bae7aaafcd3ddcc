"""What the names of AT Protocol errors come to. Data, and one place that reads it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from channels.refusals import by_status, timed
from channels.transport import Response
from channels.verdicts import Deferred, OutcomeUnknown, Rejected, Suspended, Verdict


class Kind(StrEnum):
    WRONG = "wrong"  # the record can never pass
    TOKEN = "token"  # noqa: S105 - the session has ended: a new one is asked for, once
    ACCOUNT = "account"  # the account cannot publish
    AGAIN = "again"  # refused before anything was written
    UNSURE = "unsure"
    TAKEN = "taken"  # another record lies under our key
    GONE = "gone"


# bluesky-social/atproto: lexicons of com.atproto.repo and com.atproto.server, packages/pds, packages/xrpc.
CODES: Mapping[str, Kind] = MappingProxyType(
    {
        **dict.fromkeys(("InvalidRequest", "InvalidMimeType", "PayloadTooLarge", "InvalidRecord"), Kind.WRONG),
        **dict.fromkeys(("ExpiredToken", "InvalidToken"), Kind.TOKEN),
        **dict.fromkeys(
            (
                "AuthenticationRequired",
                "AuthMissing",
                "AuthFactorTokenRequired",
                "AccountTakedown",
                "AccountDeactivated",
                "RepoNotFound",
                "RepoTakendown",
                "RepoDeactivated",
                "RepoSuspended",
                "Forbidden",
            ),
            Kind.ACCOUNT,
        ),
        **dict.fromkeys(("BlobNotFound", "NotEnoughResources"), Kind.AGAIN),
        **dict.fromkeys(("InternalServerError", "UpstreamFailure", "UpstreamTimeout"), Kind.UNSURE),
        "InvalidSwap": Kind.TAKEN,
        "RecordNotFound": Kind.GONE,
    }
)
_VERDICTS: Mapping[Kind, type[Verdict]] = MappingProxyType(
    {
        Kind.WRONG: Rejected,
        Kind.TOKEN: Suspended,
        Kind.ACCOUNT: Suspended,
        Kind.AGAIN: Deferred,
        Kind.UNSURE: OutcomeUnknown,
        Kind.TAKEN: Rejected,
        Kind.GONE: Rejected,
    }
)


def kind(response: Response, body: Mapping[str, object]) -> Kind | None:
    """Of an error that has a name we know."""
    return None if response.status == 200 else CODES.get(str(body.get("error")))


def refusal(response: Response, body: Mapping[str, object], account: str, words: str, now: float) -> Verdict:
    """`words` are the platform's own; `now` is epoch seconds. A name that is not known goes by its status."""
    found = kind(response, body)
    if found is None:
        return by_status(response, account, now, words)
    return timed(_VERDICTS[found](f"bluesky_{body['error']}", f"{account}: {words}"), response)
