"""Pictures: those of the body on WeChat's own host, the cover as permanent material. Nobody sees an upload alone."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from channels import pictures
from channels.adapters.wechat_official.api import Api
from channels.adapters.wechat_official.article import Article
from channels.contract import Asset, Post
from channels.files import Files
from channels.multipart import Part
from channels.verdicts import Deferred, Rejected

# developers.weixin.qq.com, "Upload image" (jpg or png, under 1 MB) and "Add material" (image, 10 MB). Sides: an article
# is 1,080 pixels wide on the phones that show it.
INLINE_BYTES, COVER_BYTES, SIDE = 1_000_000, 10_000_000, 2_160
TYPES = ("image/jpeg", "image/png")
KEPT = 512  # uploads remembered, so that a second attempt does not upload all over again


class Media:
    """`cover` is the account's own picture for articles without one; `cover_id` is one that WeChat has already."""

    def __init__(self, api: Api, files: Files, cover: bytes | None, cover_id: str) -> None:
        self._api, self._files, self._cover, self._cover_id = api, files, cover, cover_id
        self._uploaded: OrderedDict[tuple[str, str], str] = OrderedDict()

    @property
    def own_cover(self) -> bool:
        return bool(self._cover or self._cover_id)

    async def sources(self, post: Post, article: Article) -> dict[str, str]:
        """Public address -> address on WeChat's host."""
        assets = {asset.url: asset for asset in post.images}
        return {src: await self._inline(assets[src]) for src in article.images}

    async def cover(self, article: Article) -> str:
        """A permanent material id."""
        if article.cover is not None:
            key = ("cover", article.cover.sha256)
            return self._uploaded.get(key) or self._remember(key, await self._new_cover(article.cover))
        if self._cover_id:
            return self._cover_id
        if self._cover is None:
            raise Rejected("no_cover", "an article needs a picture")
        key = ("cover", "")
        return self._uploaded.get(key) or self._remember(key, await self._add(self._cover, "cover"))

    async def _inline(self, asset: Asset) -> str:
        key = ("inline", asset.sha256)
        return self._uploaded.get(key) or self._remember(key, await self._upload_inline(asset))

    async def _upload_inline(self, asset: Asset) -> str:
        part = await self._part(await self._files.read(asset.sha256), asset.sha256[:16], INLINE_BYTES)
        return _told(await self._api.upload("/cgi-bin/media/uploadimg", part), "url")

    async def _new_cover(self, asset: Asset) -> str:
        return await self._add(await self._files.read(asset.sha256), asset.sha256[:16])

    async def _add(self, content: bytes, name: str) -> str:
        part = await self._part(content, name, COVER_BYTES)
        return _told(await self._api.upload("/cgi-bin/material/add_material", part, type="image"), "media_id")

    async def _part(self, content: bytes, name: str, limit: int) -> Part:
        picture = await asyncio.to_thread(pictures.fit, content, limit=limit, types=TYPES, side=SIDE)
        return Part(picture.name(name), picture.media_type, picture.content)

    def forget(self) -> None:
        """Somebody has deleted material on the platform: what is needed is uploaded anew."""
        self._uploaded.clear()

    def _remember(self, key: tuple[str, str], value: str) -> str:
        self._uploaded[key] = value
        if len(self._uploaded) > KEPT:
            self._uploaded.popitem(last=False)
        return value


def _told(reply: dict[str, object], name: str) -> str:
    value = reply.get(name)
    if not isinstance(value, str) or not value:
        raise Deferred("unreadable_answer", f"an upload was answered without {name}")
    return value
