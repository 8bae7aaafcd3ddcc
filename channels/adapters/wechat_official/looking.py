"""Looks at what became of an article, and takes articles down."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from channels.adapters.wechat_official.api import Api, errcode
from channels.adapters.wechat_official.callbacks import STATUSES
from channels.adapters.wechat_official.remote import Remote, Sort, parse
from channels.adapters.wechat_official.sending import Drafts
from channels.adapters.wechat_official.shelves import Entry, Found, Shelves, others_of, this_one
from channels.contract import Operation, Post, Presence, Sighting
from channels.verdicts import Deferred, Receipt, Verdict

UNKNOWN_TASK = (40007, 53600)  # which of the two an unknown publish_id gives is on no page
UNKNOWN_ARTICLE = 53600
# "mass/get" of developers.weixin.qq.com: what msg_status means for readers.
MASS_STATUSES = {
    "SEND_SUCCESS": (Presence.LIVE, ""),
    "SENDING": (Presence.UNKNOWN, "still_publishing"),
    "SEND_FAIL": (Presence.REFUSED, "wechat_mass_failed"),
    "DELETE": (Presence.REFUSED, "wechat_deleted"),
}


class Look:
    """`drafting`: a draft in the box is all that this account makes."""

    def __init__(self, api: Api, shelves: Shelves, *, drafting: bool) -> None:
        self._api, self._shelves, self._drafting = api, shelves, drafting

    async def __call__(self, post: Post, receipt: Receipt | None) -> Sighting:
        if post.operation is Operation.RECALL:
            named = receipt or post.remote
            return _for_recall(await self._seen(post, parse(named.remote_id if named else "")))
        return await self._seen(post, parse(receipt.remote_id if receipt else ""))

    async def _seen(self, post: Post, remote: Remote) -> Sighting:
        if remote.sort is Sort.PUBLISH:
            return await self._task(post, remote)
        if remote.sort is Sort.MASS:
            return await self._mass(remote)
        if remote.sort is Sort.ARTICLE:
            return _listed(await self._shelves.articles(lambda entry: entry.name == remote.id))
        if remote.sort is Sort.DRAFT:
            return await self._draft(post, remote)
        return await self._by_mark(post)

    async def _task(self, post: Post, remote: Remote) -> Sighting:
        reply = await published(self._api, remote.id)
        if errcode(reply):
            return await self._by_mark(post)
        presence, detail = STATUSES.get(str(reply.get("publish_status")), (Presence.UNKNOWN, "unreadable_answer"))
        return _sighted(presence, remote, _first_url(reply), detail)

    async def _mass(self, remote: Remote) -> Sighting:
        reply = await self._api.ask("/cgi-bin/message/mass/get", {"msg_id": remote.id})
        presence, detail = MASS_STATUSES.get(str(reply.get("msg_status")), (Presence.UNKNOWN, "unreadable_answer"))
        return _sighted(presence, remote, "", detail)

    async def _draft(self, post: Post, remote: Remote) -> Sighting:
        if (await self._shelves.drafts(lambda entry: entry.id == remote.id)).first:
            return Sighting(Presence.UNKNOWN, detail="draft_waits")
        seen = _listed(await self._shelves.articles(this_one(post)))
        return seen if seen.detail != "not_found" else Sighting(Presence.UNKNOWN, detail="draft_gone")

    async def _by_mark(self, post: Post) -> Sighting:
        """After a lost answer. Not to be found is no proof: it may be on its way from the box to the readers. The
        draft that is still in the box is one, once enough time has passed."""
        if post.operation is Operation.RECALL:
            return _listed(await self._shelves.articles(others_of(post)))
        found = await self._shelves.articles(this_one(post))
        if found.entries:
            return _listed(found)
        if not (await self._shelves.drafts(this_one(post))).first:
            return Sighting(Presence.UNKNOWN, detail="not_found")
        return Sighting(Presence.UNKNOWN if self._drafting else Presence.ABSENT, detail="draft_waits")


class TakeDown:
    """Each answers whether readers surely see nothing any more; False: a person has to look. Raises `Deferred` while
    the platform has not yet decided. `hard`: the delete is the request that readers could notice. `listed`: all that
    this account puts out is among the published articles (what is sent to followers is not)."""

    def __init__(self, api: Api, shelves: Shelves, drafts: Drafts, *, listed: bool) -> None:
        self._api, self._shelves, self._drafts, self._listed = api, shelves, drafts, listed

    async def __call__(self, post: Post, *, hard: bool) -> bool:
        remote = parse(post.remote.remote_id if post.remote else "")
        if remote.sort is Sort.PUBLISH:
            return await self._task(post, remote, hard)
        if remote.sort is Sort.MASS:
            return await self._mass(remote, hard)
        if remote.sort is Sort.ARTICLE:
            return await self._article(remote.id, hard)
        if remote.sort is Sort.DRAFT:
            # A draft that was sent to followers by hand is in neither list: finding nothing proves nothing.
            return await self._draft(remote.id, hard) or bool(await self._by_link(post, hard))
        found = await self._by_link(post, hard)  # a person settled it, or nothing is known of it
        return bool(found) or (found is not None and post.remote is None and self._listed)

    async def drafts_of(self, post: Post) -> None:
        """Deletes what lies in the box of an item that was withdrawn, so that nobody publishes it by hand. The item
        is down; that a draft cannot be deleted now must not change the answer."""
        try:
            found = await self._shelves.drafts(others_of(post), every=True)
        except Verdict:
            return
        for entry in found.entries:
            if entry.alone:
                await self._drafts.discard(entry.id)

    async def _task(self, post: Post, remote: Remote, hard: bool) -> bool:
        reply = await published(self._api, remote.id)
        if errcode(reply):
            return await self._by_link(post, hard) is not None
        status, article = str(reply.get("publish_status")), str(reply.get("article_id", "")).strip()
        if status == "0" and article:
            return await self._article(article, hard)
        if STATUSES.get(status, (Presence.UNKNOWN, ""))[0] is Presence.REFUSED:
            return True  # never published, or down already
        raise Deferred("still_publishing", "the platform has not decided yet; it is taken down as soon as it has")

    async def _article(self, name: str, hard: bool) -> bool:
        """Without an index everything goes that was published together."""
        article_id, _, place = name.partition("#")
        which = {"article_id": article_id, **({"index": int(place)} if place.isdigit() else {})}
        await self._call(hard, "/cgi-bin/freepublish/delete", which, (UNKNOWN_ARTICLE,))
        await self._surely_gone(article_id, place)
        return True

    async def _surely_gone(self, article_id: str, place: str) -> None:
        """Looks after the delete: nothing newer goes out beside an article that still stands. Raises `Deferred`."""
        reply = await self._api.ask(
            "/cgi-bin/freepublish/getarticle", {"article_id": article_id}, allow=(UNKNOWN_ARTICLE,)
        )
        articles = reply.get("news_item")
        listed = [a for a in articles if isinstance(a, dict)] if isinstance(articles, list) else []
        ours = listed[int(place) - 1 : int(place)] if place.isdigit() and int(place) else listed
        if any(not article.get("is_deleted") for article in ours):
            raise Deferred("old_still_there", "the article still stands; it is deleted again before anything else")

    async def _draft(self, media_id: str, hard: bool) -> bool:
        """One that a person has put together with other articles is left to a person."""
        together = await self._shelves.drafts(lambda entry: entry.id == media_id and not entry.alone)
        return not together.entries and await self._drafts.delete(media_id, noticeable=hard)

    async def _mass(self, remote: Remote, hard: bool) -> bool:
        reply = await self._api.ask("/cgi-bin/message/mass/get", {"msg_id": remote.id})
        presence, _ = MASS_STATUSES.get(str(reply.get("msg_status")), (Presence.UNKNOWN, ""))
        if presence is Presence.UNKNOWN:
            raise Deferred("still_publishing", "the platform is still sending; it is taken down as soon as it has")
        if presence is Presence.LIVE:
            named = int(remote.id) if remote.id.isdigit() else remote.id
            await self._call(hard, "/cgi-bin/message/mass/delete", {"msg_id": named, "article_idx": 0}, ())
        return True

    async def _by_link(self, post: Post, hard: bool) -> tuple[Entry, ...] | None:
        """Takes down whatever of the item is published; what it was. None: the list could not be read whole."""
        found = await self._shelves.articles(others_of(post), every=True)
        standing = tuple(entry for entry in found.entries if not entry.deleted)
        for entry in standing:
            await self._article(entry.name, hard)
        return found.entries if found.entries or found.complete else None

    async def _call(self, hard: bool, path: str, payload: dict[str, Any], allow: Collection[int]) -> None:
        await (self._api.send if hard else self._api.ask)(path, payload, allow=allow)


async def published(api: Api, publish_id: str) -> dict[str, Any]:
    return await api.ask("/cgi-bin/freepublish/get", {"publish_id": publish_id}, allow=UNKNOWN_TASK)


def _listed(found: Found) -> Sighting:
    entry = found.first
    if entry is None:
        return Sighting(Presence.ABSENT if found.complete else Presence.UNKNOWN, detail="not_found")
    standing = next((e for e in found.entries if not e.deleted), None)
    if standing is None:
        return Sighting(Presence.REFUSED, detail="wechat_deleted")
    return _sighted(Presence.LIVE, Remote(Sort.ARTICLE, standing.name), standing.url, "")


def _sighted(presence: Presence, remote: Remote, url: str, detail: str) -> Sighting:
    return Sighting(presence, Receipt(str(remote), url) if presence is Presence.LIVE else None, detail)


def _for_recall(seen: Sighting) -> Sighting:
    """What was refused or removed is not seen by readers: that is what a recall wants."""
    return Sighting(Presence.ABSENT, detail=seen.detail) if seen.presence is Presence.REFUSED else seen


def _first_url(reply: dict[str, Any]) -> str:
    detail = reply.get("article_detail")
    items = detail.get("item") if isinstance(detail, dict) else None
    first = items[0] if isinstance(items, list) and items else {}
    return str(first.get("article_url", "")).strip() if isinstance(first, dict) else ""
