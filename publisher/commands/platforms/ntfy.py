"""ntfy's codes in words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from publisher.texts import mark

_LATER = mark("It is tried again by itself.")
_ACCOUNT = mark("Mend it on the ntfy server or in channels.toml, then: gongbao resume {channel}.")
_SHORTER = mark("Write a shorter wording for this channel and submit the item anew.")
_LOOK = mark("Look at the topic, then: gongbao resolve {id} --live URL, or --not-out --reason WHY.")

REASONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "ntfy_40007": (mark("the ntfy server does not know this priority"), _ACCOUNT),
        "ntfy_40009": (mark("the ntfy server does not accept the topic's name"), _ACCOUNT),
        "ntfy_40010": (mark("the ntfy server keeps the topic's name for itself"), _ACCOUNT),
        "ntfy_40014": (
            mark("the ntfy server takes no attachments: the message is too long for it"),
            _SHORTER,
        ),
        "ntfy_40017": (
            mark("the ntfy server cannot read the message"),
            mark("This should not happen: tell who runs the software, with the number of the delivery, {id}."),
        ),
        "ntfy_40101": (mark("the ntfy server refuses our key"), _ACCOUNT),
        "ntfy_40301": (mark("our key may not write to this topic of ntfy"), _ACCOUNT),
        "ntfy_40401": (
            mark("the ntfy server knows no such address: it is older than 2.16, or base_url is wrong"),
            mark('Correct base_url, or set withdrawal = "replace"; then: gongbao retry {id} --reason WHY.'),
        ),
        "ntfy_41301": (mark("the message is too long for the ntfy server"), _SHORTER),
        "ntfy_41303": (mark("title and message together are too long for the ntfy server"), _SHORTER),
        "ntfy_42901": (mark("the ntfy server asks us to slow down"), _LATER),
        "ntfy_42904": (mark("the ntfy server has too many topics"), _LATER),
        "ntfy_42908": (mark("the messages that ntfy allows us a day are used up"), _LATER),
        "ntfy_42909": (mark("the ntfy server has shut us out after too many wrong keys"), _ACCOUNT),
        "ntfy_50701": (mark("nobody follows this topic of the gateway yet"), _LATER),
        "ntfy_no_id": (mark("the ntfy server took the message but named no id"), _LOOK),
        "ntfy_not_replaced": (
            mark("the withdrawal is out, but this ntfy server is too old to let it replace the notice"),
            mark("Nobody can remove the notice from phones: tell readers in another way, and renew the server."),
        ),
    }
)
