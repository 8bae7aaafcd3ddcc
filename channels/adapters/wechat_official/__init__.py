"""WeChat Official Accounts (微信公众号): draft, publish or mass send, look, delete, callbacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from channels.account_keys import Frozen
from channels.adapters.wechat_official import article, crypto, sending
from channels.adapters.wechat_official.api import Api
from channels.adapters.wechat_official.callbacks import Listener
from channels.adapters.wechat_official.looking import Look, TakeDown
from channels.adapters.wechat_official.media import COVER_BYTES, Media
from channels.adapters.wechat_official.remote import Remote, Sort, parse
from channels.adapters.wechat_official.sending import Drafts
from channels.adapters.wechat_official.shelves import NO_RIGHT, Shelves
from channels.contract import (
    Callback,
    Capabilities,
    Checkup,
    Heard,
    Idempotency,
    Manner,
    Operation,
    Post,
    Prepared,
    Quota,
    Sighting,
)
from channels.registry import Tools
from channels.verdicts import Awaits, Receipt, Rejected, Suspended

FILED = True
KEY_LIFETIME = 86_400.0  # a repeated clientmsgid is refused for 24 h (developers.weixin.qq.com, Batch_Sends guide)
# A submitted draft may lie in the box until the platform has decided. Nothing documents how long; half an hour is the
# time after which a confirmation by an administrator lapses too.
APPEARS_WITHIN = 1_800.0
CAPABILITIES = Capabilities(
    Idempotency.NONE,
    parallel=2,
    title_limit=article.TITLE,
    text_limit=article.CONTENT,
    recalls=Idempotency.NATURAL,
    appears_within=APPEARS_WITHIN,
)


class Settings(Frozen):
    """`mode`: `publish` (article page, no push), `mass` (to followers), `draft` (a person publishes it). `cover_file`
    is a picture for items without one; `cover_media_id` a permanent material that the account has already."""

    appid: str = Field(pattern=r"^wx[0-9a-f]{16}$")
    secret: SecretStr
    mode: Literal["publish", "mass", "draft"] = "publish"
    account_type: Literal["subscription", "service"] = "subscription"
    author: str = Field("", max_length=article.AUTHOR)
    long_titles: Literal["shorten", "refuse"] = "shorten"
    cover_file: Path | None = None
    cover_media_id: str = ""
    mass_tag_id: int | None = Field(None, ge=0)
    send_reprints: bool = False
    callback_token: SecretStr | None = None
    encoding_aes_key: SecretStr | None = None
    base_url: str = "https://api.weixin.qq.com"

    @field_validator("encoding_aes_key")
    @classmethod
    def _whole(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            crypto.aes_key(value.get_secret_value())
        return value


class WeChatOfficial:
    kind: ClassVar[str] = "wechat_official"
    manners: ClassVar[Mapping[str, Manner]] = MappingProxyType({"edit": Manner.ANEW})

    def __init__(self, account: str, settings: Settings, tools: Tools, cover: bytes | None) -> None:
        self.account = account
        self.capabilities = capabilities(settings)
        self._settings = settings
        secret = settings.secret.get_secret_value()
        self._api = Api(account, settings.base_url, settings.appid, secret, tools.transport, tools.tokens, tools.clock)
        shelves = Shelves(self._api)
        self._media = Media(self._api, tools.files, cover, settings.cover_media_id)
        self._drafts = Drafts(self._api, self._media, shelves)
        self._look = Look(self._api, shelves, drafting=settings.mode == "draft")
        self._take_down = TakeDown(self._api, shelves, self._drafts, listed=settings.mode == "publish")
        self._listener = _listener(settings, tools.clock)

    async def publish(self, post: Post) -> Receipt:
        written = self._written(post)
        if self._settings.mode == "draft":
            waiting = await self._drafts.own(post) or await self._drafts.add(post, written, noticeable=True)
            return _waits(waiting, "draft_waits")
        return await self._out(post, await self._drafts.ready(post, written))

    async def edit(self, post: Post) -> Receipt:
        """WeChat changes no article that is out. The corrected one is made ready, then the older one is deleted, then
        the corrected one goes out: never are there two, and every step may be made again."""
        written = self._written(post)
        if self._settings.mode == "draft":
            return await self._redraft(post, written)
        media_id = await self._drafts.ready(post, written)
        if not await self._take_down(post, hard=False):
            raise Rejected(
                "old_not_found", "the older article was not found; delete it by hand and publish the draft by hand"
            )
        return await self._out(post, media_id)

    async def recall(self, post: Post) -> Receipt:
        down = await self._take_down(post, hard=True)
        await self._take_down.drafts_of(post)
        receipt = post.remote or Receipt("")
        if down:
            return Receipt(receipt.remote_id, receipt.url)
        return Receipt(receipt.remote_id, receipt.url, Awaits.PERSON, "delete_by_hand")

    async def confirm(self, post: Post, receipt: Receipt | None) -> Sighting:
        return await self._look(post, receipt)

    def prepare(self, post: Post) -> Prepared:
        if post.operation is Operation.RECALL:
            return Prepared({"delete": post.remote.remote_id if post.remote else ""})
        return article.prepared(self._written(post))

    async def check(self) -> Checkup:
        facts = {"mode": self._settings.mode, **await self._allowance()}
        if self._settings.mode == "publish":
            page = {"offset": 0, "count": 1, "no_content": 1}
            listed = await self._api.ask("/cgi-bin/freepublish/batchget", page)
            facts["published"] = str(listed.get("total_count", ""))
        else:
            box = await self._api.ask("/cgi-bin/draft/switch", {}, checkonly="1")
            if box.get("is_open", 1) == 0:
                raise Suspended("draft_box_off", "the account's draft box is switched off")
        return Checkup(facts=facts)

    def hear(self, callback: Callback) -> Heard:
        return self._listener.hear(callback)

    def _written(self, post: Post) -> article.Article:
        shorten = self._settings.long_titles == "shorten"
        return article.compose(post, author=self._settings.author, shorten=shorten, own_cover=self._media.own_cover)

    async def _out(self, post: Post, media_id: str) -> Receipt:
        if self._settings.mode == "publish":
            return await sending.submit(self._api, media_id)
        return await sending.mass_send(self._api, self._drafts, media_id, post, self._receivers())

    def _receivers(self) -> dict[str, Any]:
        tag = self._settings.mass_tag_id
        to: dict[str, Any] = {"is_to_all": True} if tag is None else {"is_to_all": False, "tag_id": tag}
        return {"filter": to, "send_ignore_reprint": int(self._settings.send_reprints)}

    async def _redraft(self, post: Post, written: article.Article) -> Receipt:
        """A draft that still waits is changed; else a new one is made, and a person replaces what is out."""
        remote = parse(post.remote.remote_id if post.remote else "")
        if remote.sort is Sort.DRAFT and await self._drafts.update(remote.id, post, written):
            return _waits(remote.id, "draft_waits")
        waiting = await self._drafts.own(post) or await self._drafts.add(post, written, noticeable=True)
        return _waits(waiting, "draft_corrects")

    async def _allowance(self) -> Mapping[str, str]:
        path = {
            "publish": "/cgi-bin/freepublish/submit",
            "mass": "/cgi-bin/message/mass/sendall",
            "draft": "/cgi-bin/draft/add",
        }[self._settings.mode]
        reply = await self._api.ask("/cgi-bin/openapi/quota/get", {"cgi_path": path}, allow=(76021, 76022, NO_RIGHT))
        quota = reply.get("quota")
        if not isinstance(quota, dict):
            return {}
        return {"left_today": f"{quota.get('remain', '?')}/{quota.get('daily_limit', '?')}"}


def capabilities(settings: Settings) -> Capabilities:
    """A draft is looked for before it is added, so that a repeat leaves one; a mass message has a key of its own."""
    shared: dict[str, Any] = {
        "title_limit": article.TITLE,
        "text_limit": article.CONTENT,
        "recalls": Idempotency.NATURAL,
        "appears_within": APPEARS_WITHIN,
    }
    if settings.mode == "publish":
        return CAPABILITIES
    if settings.mode == "draft":
        return Capabilities(Idempotency.NATURAL, parallel=2, **shared)
    return Capabilities(
        Idempotency.KEYED,
        key_lifetime=KEY_LIFETIME,
        parallel=1,
        quotas=(_MASS[settings.account_type],),
        **shared,
    )


# Batch_Sends guide: a subscription account sends once a day; followers of a service account receive four messages a
# month. A correction is not held back by it here: the older article has to go at once.
_FIRST = frozenset({Operation.PUBLISH})
_MASS = {
    "subscription": Quota("mass_a_day", 1, 86_400, daily=True, operations=_FIRST, taken_only=True),
    "service": Quota("mass_a_month", 4, 31 * 86_400, operations=_FIRST, taken_only=True),
}


def _waits(media_id: str, reason: str) -> Receipt:
    return Receipt(str(Remote(Sort.DRAFT, media_id)), awaits=Awaits.PERSON, reason=reason)


def _listener(settings: Settings, clock: Callable[[], float]) -> Listener:
    token = settings.callback_token.get_secret_value() if settings.callback_token else ""
    key = crypto.aes_key(settings.encoding_aes_key.get_secret_value()) if settings.encoding_aes_key else None
    return Listener(settings.appid, token, key, clock)


def build(account: str, settings: Settings, tools: Tools) -> WeChatOfficial:
    """Raises `ValueError` for a cover that cannot be read or used."""
    cover = None
    if settings.cover_file is not None:
        try:
            cover = settings.cover_file.read_bytes()
        except OSError:
            raise ValueError("cover_file: there is no such file, or it cannot be read") from None
        if not cover.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")) or len(cover) > COVER_BYTES:
            raise ValueError("cover_file: a JPEG or PNG of at most 10 MB is needed")
    return WeChatOfficial(account, settings, tools, cover)
