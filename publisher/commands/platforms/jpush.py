"""JPush's codes in words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from publisher.texts import mark

_LATER = mark("It is tried again by itself.")
_REPORT = mark("This should not happen: tell who runs the software, with the number of the delivery, {id}.")
_ACCOUNT = mark("Mend it on JPush's console or in channels.toml, then: gongbao resume {channel}.")

REASONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "jpush_not_replaced": (
            mark("the withdrawal is out, but JPush no longer lets it replace the notice on phones other than iPhones"),
            mark("Nobody can remove the notice from those phones: tell readers in another way."),
        ),
        "jpush_1000": (mark("JPush had a fault of its own; the same push is asked for again, not doubled"), _LATER),
        "jpush_1001": (mark("JPush was not asked by POST"), _REPORT),
        "jpush_1002": (mark("JPush misses a field of the push"), _REPORT),
        "jpush_1003": (mark("JPush does not accept a value of the push"), _REPORT),
        "jpush_1004": (mark("JPush refuses the AppKey and Master Secret"), _ACCOUNT),
        "jpush_1005": (
            mark("the notice is too large for JPush"),
            mark("Write a shorter wording for this channel and submit the item anew."),
        ),
        "jpush_1008": (mark("JPush knows no such AppKey"), _ACCOUNT),
        "jpush_1009": (mark("JPush does not know a field of the push"), _REPORT),
        "jpush_1011": (
            mark("nobody matches the tags or the segment of this account: nothing went out"),
            mark("Correct the tags in channels.toml, or wait for subscribers; then: gongbao retry {id} --reason WHY."),
        ),
        "jpush_1012": (mark("too many slow pushes are under way at JPush"), _LATER),
        "jpush_1020": (mark("JPush wants HTTPS: base_url is wrong"), _ACCOUNT),
        "jpush_1030": (mark("JPush is busy; the same push is asked for again, not doubled"), _LATER),
        "jpush_2002": (mark("JPush's limit of pushes a minute is reached"), _LATER),
        "jpush_2003": (mark("JPush has locked this AppKey"), _ACCOUNT),
        "jpush_2004": (mark("this server's address is not on the list that JPush lets in"), _ACCOUNT),
        "jpush_2005": (
            mark("JPush says that its users were sent unreasonably many messages today"),
            mark("It is tried again after midnight. Publish less through this channel, or ask JPush."),
        ),
        "jpush_2006": (mark("JPush keeps this for paying accounts"), _ACCOUNT),
        "jpush_2007": (mark("JPush has not granted this interface to the account"), _ACCOUNT),
        "jpush_no_id": (
            mark("JPush took the push but named no id"),
            mark("It is asked for again by itself, with the same key."),
        ),
    }
)
