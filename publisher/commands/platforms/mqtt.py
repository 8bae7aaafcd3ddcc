"""What a broker's refusals mean."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from publisher.texts import mark

_LATER = mark("It is tried again by itself.")
_ACCOUNT = mark("Mend it at the broker or in channels.toml, then: gongbao resume {channel}.")

REASONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "mqtt_version": (mark("the broker does not speak MQTT 3.1.1"), _ACCOUNT),
        "mqtt_client_id": (mark("the broker does not accept how we name ourselves"), _ACCOUNT),
        "mqtt_bad_login": (mark("the broker refuses user name and password"), _ACCOUNT),
        "mqtt_not_authorized": (mark("the broker does not let this account in"), _ACCOUNT),
        "mqtt_unavailable": (mark("the broker is not ready"), _LATER),
        "mqtt_refused": (mark("the broker refused the connection"), _LATER),
        "mqtt_not_shown": (
            mark("the broker acknowledged the message but does not show it"),
            mark("Most often the account may not write to the topic: correct its rights. It is sent again by itself."),
        ),
    }
)
