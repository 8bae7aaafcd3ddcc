"""Puts an article out: as a draft alone, as a publication, as a mass message.

Everything before the last request is harmless, and the draft is looked for before one is added: a second attempt
leaves one draft. The last request is the one that readers (or followers) can notice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from channels.adapters.wechat_official.api import Api, errcode
from channels.adapters.wechat_official.article import Article
from channels.adapters.wechat_official.media import Media
from channels.adapters.wechat_official.remote import Remote, Sort
from channels.adapters.wechat_official.shelves import Shelves, of_item, this_one
from channels.contract import Post
from channels.verdicts import Awaits, OutcomeUnknown, Receipt, Verdict

UNKNOWN_MEDIA, KNOWN_KEY = 40007, 45065
ADMINISTRATOR = (89504, 89505)  # a mass message to everybody waits for an administrator's confirmation


class Drafts:
    def __init__(self, api: Api, media: Media, shelves: Shelves) -> None:
        self._api, self._media, self._shelves = api, media, shelves

    async def ready(self, post: Post, article: Article) -> str:
        """The media id of its draft, added unless it is there already; drafts of other revisions go. Readers see no
        draft. One that a person has put together with other articles is left alone."""
        this, own = this_one(post), ""
        for entry in (await self._shelves.drafts(of_item(post), every=True)).entries:
            if entry.alone and this(entry):
                own = entry.id
            elif entry.alone:
                await self.discard(entry.id)
        return own or await self.add(post, article, noticeable=False)

    async def own(self, post: Post) -> str:
        found = (await self._shelves.drafts(this_one(post))).first
        return found.id if found else ""

    async def discard(self, media_id: str) -> None:
        """A draft that nobody shall send. That it cannot be deleted now changes nothing for readers."""
        try:
            await self.delete(media_id, noticeable=False)
        except Verdict:
            return

    async def add(self, post: Post, article: Article, *, noticeable: bool) -> str:
        return _id(await self._written(post, article, "/cgi-bin/draft/add", {}, noticeable), "media_id")

    async def update(self, media_id: str, post: Post, article: Article) -> bool:
        """False when it is no longer in the box. Unlike `add`, it takes one article and not a list; `index` is from
        0 here, and from 1 in every other call."""
        ours = of_item(post)
        held = (await self._shelves.drafts(lambda entry: entry.id == media_id and ours(entry))).first
        if held is None:
            return False
        place = {"media_id": media_id, "index": held.place - 1}
        return errcode(await self._written(post, article, "/cgi-bin/draft/update", place, True)) == 0

    async def delete(self, media_id: str, *, noticeable: bool) -> bool:
        """False when it is no longer in the box."""
        call = self._api.send if noticeable else self._api.ask
        return errcode(await call("/cgi-bin/draft/delete", {"media_id": media_id}, allow=(UNKNOWN_MEDIA,))) == 0

    async def _written(
        self, post: Post, article: Article, path: str, place: Mapping[str, Any], noticeable: bool
    ) -> dict[str, Any]:
        """An unknown media id may be that of a cover which somebody has deleted: then it is uploaded anew, once."""
        for allow in ((UNKNOWN_MEDIA,), (UNKNOWN_MEDIA,) if place else ()):
            cover, sources = await self._media.cover(article), await self._media.sources(post, article)
            written = article.payload(cover, sources)
            payload = {**place, "articles": written if place else [written]}
            if noticeable:
                reply = await self._api.send(path, payload, allow=allow)
            else:
                reply = await self._api.ask(path, payload, allow=allow, attempts=1)
            if errcode(reply) == 0:
                break
            self._media.forget()
        return reply


async def submit(api: Api, media_id: str) -> Receipt:
    """Code 0 means that the task was taken, not that it is published."""
    reply = await _taken(api, "/cgi-bin/freepublish/submit", {"media_id": media_id})
    return Receipt(str(Remote(Sort.PUBLISH, _id(reply, "publish_id"))), awaits=Awaits.PLATFORM)


async def mass_send(api: Api, drafts: Drafts, media_id: str, post: Post, to: Mapping[str, Any]) -> Receipt:
    """The platform drops a repeated `clientmsgid` for 24 hours and names the first task. `to` holds the receivers."""
    payload = {
        **to,
        "mpnews": {"media_id": media_id},
        "msgtype": "mpnews",
        "clientmsgid": client_message_id(post.key),
    }
    reply = await _taken(api, "/cgi-bin/message/mass/sendall", payload, (KNOWN_KEY, *ADMINISTRATOR))
    code, known = errcode(reply), reply.get("msg_id")
    if code == KNOWN_KEY and not known:
        raise OutcomeUnknown(f"wechat_{code}", "sent before, but the platform does not say under which id")
    if code == KNOWN_KEY:
        await drafts.discard(media_id)  # the first request has used a draft of its own
    reason = f"wechat_{code}" if code in ADMINISTRATOR else ""
    if reason and not known:
        return Receipt(str(Remote(Sort.OTHER, "administrator")), awaits=Awaits.PERSON, reason=reason)
    return Receipt(str(Remote(Sort.MASS, _id(reply, "msg_id"))), awaits=Awaits.PLATFORM, reason=reason)


def client_message_id(key: str) -> str:
    """32 ASCII characters: the newer page's limit (an older one has 64)."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


async def _taken(api: Api, path: str, payload: Mapping[str, Any], allow: tuple[int, ...] = ()) -> dict[str, Any]:
    """The draft was in the box a moment ago. If it is not any more, an earlier request may have used it up."""
    reply = await api.send(path, payload, allow=(UNKNOWN_MEDIA, *allow))
    if errcode(reply) == UNKNOWN_MEDIA:
        raise OutcomeUnknown(
            f"wechat_{UNKNOWN_MEDIA}", "the draft has left the box: an earlier request may have used it up"
        )
    return reply


def _id(reply: Mapping[str, Any], name: str) -> str:
    """As text: some are numbers on one page and strings on another. Raises `OutcomeUnknown` without one."""
    value = reply.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise OutcomeUnknown("unreadable_answer", f"taken, but without a {name}")
    return str(value).strip()
