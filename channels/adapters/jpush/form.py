"""The body of a push, and what its refusals mean. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, Field, SecretStr

from channels.account_keys import BaseAddress, Frozen
from channels.contract import Measured, Operation, Post, Prepared
from channels.notices import Notice, fitting, size
from channels.refusals import Sort
from channels.text import utf8

ANDROID_LIMIT = 4000  # bytes; docs.jiguang.cn, push API v3, "notification": Android 4000, iOS 2000
IOS_LIMIT = 2000
HMOS_LIMIT = 4000  # bytes; the same page names none of its own: that of Android is kept
TAG_BYTES, TAGS = 40, 20  # docs.jiguang.cn, push API v3, "audience"
LONGEST_LIFE = 864_000  # seconds; docs.jiguang.cn, push API v3, "options.time_to_live": 10 days
# Any fixed UUID would do; it must never change, or the same post would get a second cid.
_CIDS = uuid.UUID("6f1d7f0e-7f27-5d3c-9a53-1c5a0b8f2f4e")

# docs.jiguang.cn, push API v3, "error codes". 1011 (nobody matches the audience) is a refusal and not a success: a
# misspelt tag gives the same answer for ever, and must not look delivered.
CODES: Mapping[int, Sort] = MappingProxyType(
    {
        1000: Sort.DOUBT,
        1001: Sort.POST,
        1002: Sort.POST,
        1003: Sort.POST,
        1004: Sort.ACCOUNT,
        1005: Sort.POST,
        1008: Sort.ACCOUNT,
        1009: Sort.POST,
        1011: Sort.POST,
        1012: Sort.RATE,
        1020: Sort.ACCOUNT,  # not HTTPS: an address of ours is wrong, no post
        1030: Sort.DOUBT,
        2002: Sort.RATE,
        2003: Sort.ACCOUNT,
        2004: Sort.ACCOUNT,
        2005: Sort.DAY,
        2006: Sort.ACCOUNT,
        2007: Sort.ACCOUNT,
    }
)
NOBODY, NOT_OVERRIDDEN = 1011, 1003


def _tag(tag: str) -> str:
    if not tag or utf8(tag) > TAG_BYTES:
        raise ValueError(f"a tag has 1 to {TAG_BYTES} bytes")
    return tag


Tags = Annotated[tuple[Annotated[str, AfterValidator(_tag)], ...], Field(max_length=TAGS)]


class Settings(Frozen):
    """Who is reached: `audience` "all", or tags (any of `tags`, every one of `all_tags`, none of `not_tags`), or a
    `segment`. `android_intent` may hold `{url}`; empty: a touch shows the page. `time_to_live` is in seconds."""

    app_key: str = Field(min_length=1, max_length=64, pattern=r"^\S+$")
    master_secret: SecretStr
    base_url: BaseAddress = "https://api.jpush.cn"
    report_url: BaseAddress = "https://report.jpush.cn"
    audience: Literal["all"] | None = None
    tags: Tags = ()
    all_tags: Tags = ()
    not_tags: Tags = ()
    segment: str = ""
    platforms: tuple[Literal["android", "ios", "hmos"], ...] = ("android", "ios")
    time_to_live: int = Field(86_400, ge=0, le=LONGEST_LIFE)
    apns_production: bool = True
    android_intent: str = ""
    android_channel: str = ""
    hmos_category: str = ""
    per_minute: int = Field(600, ge=1)  # docs.jiguang.cn, REST API overview: 600 pushes a minute and appKey


def problem(settings: Settings) -> str | None:
    """What the settings lack together."""
    chosen = bool(settings.tags or settings.all_tags or settings.not_tags or settings.segment)
    if chosen is (settings.audience is not None):
        return 'needs either audience = "all", or tags or a segment: nobody is reached by accident'
    if not settings.platforms or len(set(settings.platforms)) != len(settings.platforms):
        return "platforms names each of android, ios, hmos at most once, and one at least"
    if "hmos" in settings.platforms and not settings.hmos_category:
        return "hmos_category is needed where hmos is among the platforms"
    return None


def cid(app_key: str, key: str) -> str:
    """The same key gives the same cid for ever: `{appkey}-{uuid}`, as the platform makes them."""
    return f"{app_key}-{uuid.uuid5(_CIDS, key)}"


def prepared(post: Post, settings: Settings) -> Prepared:
    """Raises `Rejected("too_long")`."""

    def measuring(notice: Notice) -> tuple[Measured, ...]:
        limits = {"android": ANDROID_LIMIT, "ios": IOS_LIMIT, "hmos": HMOS_LIMIT}
        return tuple(size(name, part, limits[name]) for name, part in _parts(notice, settings).items())

    notice, measured = fitting(post, measuring)
    form = {
        "cid": cid(settings.app_key, post.key),
        "platform": list(settings.platforms),
        "audience": audience(settings),
        "notification": _parts(notice, settings),
        "options": _options(post, notice, settings),
    }
    return Prepared(form, f"{notice.title}\n{notice.line}", measured, notice.dropped)


def sample(settings: Settings) -> dict[str, Any]:
    """A push as it would be, for JPush to validate and send to nobody."""
    notice = Notice("check", "check", "https://www.jiguang.cn/", "gb-check", 1, False)
    parts = {"notification": _parts(notice, settings), "options": {"apns_production": settings.apns_production}}
    return {"platform": list(settings.platforms), "audience": audience(settings), **parts}


def audience(settings: Settings) -> str | dict[str, list[str]]:
    if settings.audience:
        return settings.audience
    kinds = {"tag": settings.tags, "tag_and": settings.all_tags, "tag_not": settings.not_tags}
    chosen = {name: list(tags) for name, tags in kinds.items() if tags}
    return chosen | ({"segment": [settings.segment]} if settings.segment else {})


def without_override(form: Mapping[str, Any]) -> dict[str, Any]:
    options = {name: value for name, value in form["options"].items() if name != "override_msg_id"}
    return {**form, "options": options}


def _parts(notice: Notice, settings: Settings) -> dict[str, dict[str, Any]]:
    extras = {"url": notice.url, "item": notice.item, "revision": notice.revision, "withdrawn": notice.withdrawn}
    android = {
        "alert": notice.line,
        "title": notice.title,
        "intent": {"url": _intent(notice.url, settings.android_intent)},
        "extras": extras,
    } | ({"channel_id": settings.android_channel} if settings.android_channel else {})
    ios = {"alert": {"title": notice.title, "body": notice.line}, "sound": "default", "extras": extras}
    hmos = {
        "alert": notice.line,
        "title": notice.title,
        "category": settings.hmos_category,
        "intent": {"url": notice.url},
        "extras": extras,
    }
    parts: dict[str, dict[str, Any]] = {"android": android, "ios": ios, "hmos": hmos}
    return {name: parts[name] for name in settings.platforms}


def _intent(url: str, template: str) -> str:
    """Android's own way to write "show this address" (developer.android.com, Intent.URI_INTENT_SCHEME)."""
    if template:
        return template.replace("{url}", quote(url, safe=""))
    scheme, rest = urlsplit(url).scheme, url.partition("://")[2].replace("#", "%23")
    return f"intent://{rest}#Intent;scheme={scheme};action=android.intent.action.VIEW;end"


def _options(post: Post, notice: Notice, settings: Settings) -> dict[str, Any]:
    """A correction or a withdrawal takes the place of the earlier notice: on Android by the id of its message, on
    iOS by the collapse id (at most 64 bytes), which is the item's."""
    options: dict[str, Any] = {
        "time_to_live": settings.time_to_live,
        "apns_production": settings.apns_production,
        "apns_collapse_id": notice.item,
    }
    earlier = post.remote.remote_id if post.remote and post.operation is not Operation.PUBLISH else ""
    if earlier.isascii() and earlier.isdigit():
        options["override_msg_id"] = int(earlier)
    return options
