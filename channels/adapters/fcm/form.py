"""The message as FCM wants it, the assertion of a service account, and what refusals mean. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import Field, SecretStr

from channels.account_keys import BaseAddress, Frozen
from channels.contract import Measured, Post, Prepared
from channels.notices import Notice, fitting, size
from channels.refusals import Sort

TOPIC_LIMIT = 2048  # bytes; firebase.google.com, "message types": 4096, and 2048 to topics
LONGEST_LIFE = 2_419_200  # seconds; firebase.google.com, "message lifespan": four weeks
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"  # firebase.google.com, "authorize HTTP v1 send requests"
ASSERTED = 3600  # seconds; Google's OAuth 2.0 for service accounts: an hour at most
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"  # RFC 7523

# firebase.google.com, "FCM error codes" (`error.details[].errorCode`), then Google's general ones (`error.status`).
# Neither INTERNAL nor UNAVAILABLE proves that nothing went out; a 503 that names a wait does, and goes by its status.
CODES: Mapping[str, Sort] = MappingProxyType(
    {
        "INVALID_ARGUMENT": Sort.POST,
        "UNREGISTERED": Sort.GONE,
        "SENDER_ID_MISMATCH": Sort.ACCOUNT,
        "QUOTA_EXCEEDED": Sort.RATE,
        "THIRD_PARTY_AUTH_ERROR": Sort.ACCOUNT,
        "UNAUTHENTICATED": Sort.ACCOUNT,
        "PERMISSION_DENIED": Sort.ACCOUNT,
        "NOT_FOUND": Sort.ACCOUNT,  # the project, where FCM names no code of its own
        "RESOURCE_EXHAUSTED": Sort.RATE,
    }
)
STALE = "UNAUTHENTICATED"
A_MINUTE = 60.0  # seconds; firebase.google.com, "throttling and quotas": where no wait is named


class Settings(Frozen):
    """`service_account` is the JSON file of the account. `topic`, or a `condition` of up to five topics."""

    service_account: SecretStr
    base_url: BaseAddress = "https://fcm.googleapis.com"
    topic: str = Field("", pattern=r"^[a-zA-Z0-9\-_.~%]{0,900}$")
    condition: str = Field("", max_length=1000)
    time_to_live: int = Field(86_400, ge=0, le=LONGEST_LIFE)
    priority: Literal["high", "normal"] = "high"
    android_channel: str = ""
    android_click_action: str = ""
    payload_limit: int = Field(TOPIC_LIMIT, ge=512, le=4096)


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    email: str
    project: str
    token_uri: str
    key_id: str
    key: RSAPrivateKey = field(repr=False)


def service_account(text: str) -> ServiceAccount:
    """Raises `ValueError`, which never shows what was read."""
    try:
        told = json.loads(text)
        fields = {name: str(told[name]) for name in ("client_email", "project_id", "token_uri", "private_key_id")}
        key = load_pem_private_key(str(told["private_key"]).encode(), None)
    except (ValueError, KeyError, TypeError, UnicodeError):
        raise ValueError("service_account is not the JSON file of a service account") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("service_account holds no RSA key")
    return ServiceAccount(
        fields["client_email"], fields["project_id"], fields["token_uri"], fields["private_key_id"], key
    )


def problem(settings: Settings) -> str | None:
    """What the settings lack together."""
    if bool(settings.topic) is bool(settings.condition):
        return "needs either topic or condition"
    if settings.condition and settings.condition.count(" in topics") not in range(1, 6):
        return "condition names one to five topics: 'a' in topics && 'b' in topics"
    return None


def assertion(account: ServiceAccount, now: float) -> str:
    """What is exchanged for an access token (RFC 7523); `now` is epoch seconds."""
    claims = {
        "iss": account.email, "scope": SCOPE, "aud": account.token_uri, "iat": int(now), "exp": int(now) + ASSERTED
    }  # fmt: skip
    return jwt.encode(claims, account.key, algorithm="RS256", headers={"kid": account.key_id})


def prepared(post: Post, settings: Settings) -> Prepared:
    """Raises `Rejected("too_long")`."""

    def measuring(notice: Notice) -> tuple[Measured, ...]:
        message = _message(notice, settings)
        both = {"notification": message["notification"], "data": message["data"]}
        parts = {name: {**both, "own": message[name]} for name in ("android", "apns", "webpush")}
        return tuple(size(name, part, settings.payload_limit) for name, part in parts.items())

    notice, measured = fitting(post, measuring)
    form = {"message": _message(notice, settings)}
    return Prepared(form, f"{notice.title}\n{notice.line}", measured, notice.dropped)


def sample(settings: Settings) -> dict[str, Any]:
    """Checked by FCM and sent to nobody."""
    return {"validate_only": True, "message": _target(settings) | {"notification": {"title": "check", "body": "check"}}}


def code_of(body: bytes) -> tuple[str, str]:
    """The useful code of an error, FCM's own before the general one, and its text; empty for another body."""
    try:
        error = json.loads(body)["error"]
        details = [d for d in error.get("details", []) if isinstance(d, dict)]
        own = next((str(d["errorCode"]) for d in details if "errorCode" in d), "")
        return own or str(error["status"]), str(error.get("message", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", ""


def _target(settings: Settings) -> dict[str, Any]:
    return {"topic": settings.topic} if settings.topic else {"condition": settings.condition}


def _message(notice: Notice, settings: Settings) -> dict[str, Any]:
    """What comes later under the same tag and collapse id takes the place of what came first. A phone that is off
    keeps the notices of four items (firebase.google.com, "collapsible messages")."""
    life = settings.time_to_live
    shown: dict[str, Any] = {"tag": notice.item}
    if settings.android_channel:
        shown["channel_id"] = settings.android_channel
    if settings.android_click_action:
        shown["click_action"] = settings.android_click_action
    web: dict[str, Any] = {"headers": {"TTL": str(life)}, "notification": {"tag": notice.item}}
    if notice.url.startswith("https://"):  # the only links that FCM takes
        web["fcm_options"] = {"link": notice.url}
    return _target(settings) | {
        "notification": {"title": notice.title, "body": notice.line},
        "data": {
            "url": notice.url,
            "item": notice.item,
            "revision": str(notice.revision),
            "withdrawn": "true" if notice.withdrawn else "false",
        },
        "android": {
            "collapse_key": notice.item,
            "priority": settings.priority.upper(),
            "ttl": f"{life}s",
            "notification": shown,
        },
        "apns": {"headers": {"apns-collapse-id": notice.item}, "payload": {"aps": {"sound": "default"}}},
        "webpush": web,
    }
