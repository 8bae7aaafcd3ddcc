"""FCM's codes in words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from publisher.texts import mark

_LATER = mark("It is tried again by itself.")
_ACCOUNT = mark("Mend it on the Firebase console or in channels.toml, then: gongbao resume {channel}.")

REASONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "fcm_INVALID_ARGUMENT": (
            mark("FCM does not accept the message"),
            mark("This should not happen: tell who runs the software, with the number of the delivery, {id}."),
        ),
        "fcm_UNREGISTERED": (
            mark("FCM knows the receiver no longer; the channel is closed"),
            mark("Correct the topic in channels.toml, then: gongbao resume {channel}."),
        ),
        "fcm_SENDER_ID_MISMATCH": (mark("the service account belongs to another project than the app"), _ACCOUNT),
        "fcm_QUOTA_EXCEEDED": (mark("FCM's quota is used up at the moment"), _LATER),
        "fcm_RESOURCE_EXHAUSTED": (mark("FCM's quota is used up at the moment"), _LATER),
        "fcm_THIRD_PARTY_AUTH_ERROR": (
            mark("the key with which FCM reaches Apple or browsers is missing or has ended"),
            mark("Upload the APNs or Web Push key on the Firebase console, then: gongbao resume {channel}."),
        ),
        "fcm_UNAUTHENTICATED": (mark("FCM refuses the service account's token"), _ACCOUNT),
        "fcm_PERMISSION_DENIED": (mark("the service account may not send for this project"), _ACCOUNT),
        "fcm_NOT_FOUND": (mark("FCM knows no such project"), _ACCOUNT),
        "fcm_no_name": (
            mark("FCM took the message but named no id"),
            mark("Look at a phone, then: gongbao resolve {id} --live URL, or --not-out --reason WHY."),
        ),
        "fcm_token_refused": (
            mark("Google refuses the service account, or this machine's clock is wrong"),
            mark("Look at the clock and the key of the account, then: gongbao resume {channel}."),
        ),
        "fcm_token_unreadable": (mark("Google's answer held no token: nothing was sent"), _LATER),
    }
)
