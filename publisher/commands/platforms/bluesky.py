"""What Bluesky's error names mean, and what to do. HTTP statuses are told with those of every receiver."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from publisher.texts import mark

_LATER = mark("It is tried again by itself.")
_MEND = mark("Mend the cause, then: gongbao retry {id} --reason WHY.")
_ACCOUNT = mark("Log in to the account and look what is wrong, then: gongbao resume {channel}.")
_PASSWORD = mark("Check identifier and app password in channels.toml, then: gongbao resume {channel}.")

_WRONG = (mark("the server refuses the post as malformed or too long"), _MEND)
_SESSION = (mark("the server refuses every session of the account"), _PASSWORD)
_CLOSED = (mark("the account is closed, suspended or taken down"), _ACCOUNT)
_FAULT = (mark("the server had a fault while it held the post"), _LATER)

REASONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        **{f"bluesky_{e}": _WRONG for e in ("InvalidRequest", "InvalidMimeType", "PayloadTooLarge", "InvalidRecord")},
        **{f"bluesky_{e}": _SESSION for e in ("ExpiredToken", "InvalidToken", "AuthMissing")},
        "bluesky_AuthenticationRequired": (
            mark("the server does not take this identifier and app password"),
            _PASSWORD,
        ),
        "bluesky_AuthFactorTokenRequired": (
            mark("the server wants a second factor: this is the account's password and no app password"),
            mark("Make an app password in the account's settings and store that, then: gongbao resume {channel}."),
        ),
        **{
            f"bluesky_{e}": _CLOSED
            for e in (
                "AccountTakedown",
                "AccountDeactivated",
                "RepoNotFound",
                "RepoTakendown",
                "RepoDeactivated",
                "RepoSuspended",
                "Forbidden",
            )
        },
        "bluesky_BlobNotFound": (mark("the server no longer has the picture; nothing was posted"), _LATER),
        "bluesky_NotEnoughResources": (mark("the server is too busy and took nothing"), _LATER),
        **{f"bluesky_{e}": _FAULT for e in ("InternalServerError", "UpstreamFailure", "UpstreamTimeout")},
        "bluesky_InvalidSwap": (
            mark("another post lies under the key of this one; it was not overwritten"),
            mark("Look at the account, then correct the item: its next revision gets another key."),
        ),
        "bluesky_RecordNotFound": (
            mark("the server has no such post"),
            mark("If it was taken down there, nothing is left to do."),
        ),
        "bluesky_no_record": (
            mark("nothing names the earlier post"),
            mark("Look at the account; take the post down by hand and keep a record."),
        ),
    }
)
