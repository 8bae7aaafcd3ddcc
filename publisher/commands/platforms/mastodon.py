"""What Mastodon's own reason codes mean, and what to do. HTTP statuses are told with those of every receiver."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from publisher.texts import mark

REASONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "mastodon_media": (
            mark("the server is still working on a picture; nothing was posted"),
            mark("It is tried again by itself."),
        ),
        "mastodon_pictures_missing": (
            mark("the status is out, but shows fewer pictures than were sent"),
            mark("Complete it on the account by hand, then: gongbao resolve {id} --live URL."),
        ),
        "mastodon_keeps_keys": (
            mark("keeps_keys is set, but the server does not say that it is Mastodon"),
            mark("Remove keeps_keys from the account in channels.toml, restart, then: gongbao resume {channel}."),
        ),
        "mastodon_not_found": (
            mark("no status of this item was found among the account's own"),
            mark("Look at the account; if a status is there, delete or correct it by hand and keep a record."),
        ),
    }
)
