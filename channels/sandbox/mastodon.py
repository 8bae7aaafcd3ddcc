"""Mastodon's stand-in: its limits and its counting, keys kept for an hour, pictures that take a while, edits, HTML."""

from __future__ import annotations

import html
import itertools
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aiohttp import web

from channels.sandbox.stand_in import Misbehaviour, Shown, StandIn, Standing
from channels.text import graphemes

TOKEN = "standin-mastodon-token"  # noqa: S105 - accepted here and nowhere else
ACCOUNT_ID = "109348684486355"
CHARACTERS, PER_URL, MEDIA, DESCRIPTION = 500, 23, 4, 1500  # docs.joinmastodon.org, entities/Instance
PICTURE_BYTES = 16_777_216
KEY_LIFETIME = 3600.0  # seconds; docs.joinmastodon.org, methods/statuses
VISIBILITIES = ("public", "unlisted", "private", "direct")

_LINK = re.compile(r"https?://[!-~]+")
_HASHTAG = re.compile(r"(?<![\w/])#(\w+)")
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF")


@dataclass(slots=True)
class _Media:
    description: str
    waits: int = 0
    attached: str = ""  # the status that it hangs on


@dataclass(slots=True)
class _Status:
    facts: dict[str, Any]
    media: list[str] = field(default_factory=list)
    edited: float = 0.0  # epoch seconds; 0: never


class MastodonStandIn(StandIn):
    """`proper` False: as GoToSocial, which makes two statuses of one key, counts code points and whole addresses, and
    answers 400 where Mastodon answers 422."""

    kind: ClassVar[str] = "mastodon"
    platform: ClassVar[tuple[str, str]] = ("Mastodon", "Mastodon（长毛象）")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self.proper = True
        self.still = 2  # how often a slow picture answers that it is not ready
        self.characters = CHARACTERS
        self._statuses: dict[str, _Status] = {}
        self._media: dict[str, _Media] = {}
        self._keys: dict[str, tuple[float, str]] = {}
        self._ids = itertools.count(115_000_000_000_000_001)

    def routes(self) -> Iterable[web.RouteDef]:
        return (
            web.get("/api/v2/instance", self._instance),
            web.get("/api/v1/accounts/verify_credentials", self._guarded(self._credentials)),
            web.get("/api/v1/accounts/{id}/statuses", self._guarded(self._timeline)),
            web.post("/api/v2/media", self._guarded(self._upload)),
            web.get("/api/v1/media/{id}", self._guarded(self._picture)),
            web.post("/api/v1/statuses", self._guarded(self._post)),
            web.get("/api/v1/statuses/{id}", self._guarded(self._show)),
            web.put("/api/v1/statuses/{id}", self._guarded(self._edit)),
            web.delete("/api/v1/statuses/{id}", self._guarded(self._delete)),
        )

    def keys(self, url: str, own: Mapping[str, Any]) -> dict[str, Any]:
        return {**own, "base_url": url, "access_token": TOKEN}

    # -- the server and the account --------------------------------------------------------------------------

    async def _instance(self, _: web.Request) -> web.Response:
        statuses = {
            "max_characters": self.characters,
            "max_media_attachments": MEDIA,
            "characters_reserved_per_url": PER_URL,
        }
        media = {"image_size_limit": PICTURE_BYTES, "image_matrix_limit": 33_177_600, "description_limit": DESCRIPTION}
        told = {"statuses": statuses, "media_attachments": media}
        source = "https://standin.example/" + ("mastodon" if self.proper else "another")
        facts = {"domain": "standin.example", "version": "4.5.0", "source_url": source}
        return web.json_response({**facts, "configuration": told})

    async def _credentials(self, _: web.Request) -> web.Response:
        return web.json_response({"id": ACCOUNT_ID, "username": "agency", "acct": "agency"})

    async def _timeline(self, request: web.Request) -> web.Response:
        if request.match_info["id"] != ACCOUNT_ID:
            return _error(404, "Record not found")
        before, limit = request.query.get("max_id", ""), min(int(request.query.get("limit", "20")), 40)
        ids = [post.remote_id for post in reversed(self.live()) if not before or int(post.remote_id) < int(before)]
        return web.json_response([self._told(remote_id) for remote_id in ids[:limit]])

    # -- pictures --------------------------------------------------------------------------------------------

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        sent = form.get("file")
        content = sent.file.read() if isinstance(sent, web.FileField) else b""
        if not content.startswith(_PICTURES):
            return _error(422, "Validation failed: File content type is invalid")
        if len(content) > PICTURE_BYTES:
            return _error(422, "Validation failed: File file size must be less than 16 MB")
        description = str(form.get("description", ""))
        if len(description) > DESCRIPTION:
            return _error(422, f"Validation failed: Description is too long (maximum is {DESCRIPTION} characters)")
        media_id = str(next(self._ids))
        late = self.told_to(Misbehaviour.LATE)
        self._media[media_id] = _Media(description, self.still if late else 0)
        return web.json_response(self._attachment(media_id), status=202 if late else 200)

    async def _picture(self, request: web.Request) -> web.Response:
        media = self._media.get(request.match_info["id"])
        if media is None:
            return _error(404, "Record not found")
        status = 206 if media.waits > 0 else 200
        media.waits -= 1
        return web.json_response(self._attachment(request.match_info["id"]), status=status)

    def _attachment(self, media_id: str) -> dict[str, Any]:
        media = self._media[media_id]
        url = None if media.waits > 0 else f"https://standin.example/media/{media_id}"
        return {"id": media_id, "type": "image", "url": url, "description": media.description}

    # -- statuses --------------------------------------------------------------------------------------------

    async def _post(self, request: web.Request) -> web.StreamResponse:
        if self.told_to(Misbehaviour.BUSY):
            return self._too_many()
        body, key = await request.json(), request.headers.get("Idempotency-Key", "")
        kept = self._keys.get(key)
        if self.proper and kept and kept[0] > self.clock() - KEY_LIFETIME and kept[1] in self._statuses:
            return web.json_response(self._told(kept[1]))
        refusal = self._refusal(body, "")
        if refusal:
            return self._refused(refusal)
        remote_id = str(next(self._ids))
        self._keep(remote_id, body)
        told = self._told(remote_id)
        if self.told_to(Misbehaviour.DROP):
            self._forget(remote_id)
        elif key:
            self._keys[key] = (self.clock(), remote_id)
        return await self.answer(request, web.json_response(told))

    async def _show(self, request: web.Request) -> web.Response:
        found = self._found(request)
        return web.json_response(self._told(found.remote_id)) if found else _error(404, "Record not found")

    async def _edit(self, request: web.Request) -> web.StreamResponse:
        if self.told_to(Misbehaviour.BUSY):
            return self._too_many()
        found, body = self._found(request), await request.json()
        if found is None:
            return _error(404, "Record not found")
        refusal = self._refusal(body, found.remote_id)
        if refusal:
            return self._refused(refusal)
        if not self.told_to(Misbehaviour.DROP):
            self._change(found, body)
        return await self.answer(request, web.json_response(self._told(found.remote_id)))

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        if self.told_to(Misbehaviour.BUSY):
            return self._too_many()
        found = self._found(request)
        if found is None:
            return _error(404, "Record not found")
        told = self._told(found.remote_id)
        if not self.told_to(Misbehaviour.DROP):
            found.standing = Standing.GONE
            del self._statuses[found.remote_id]
        return await self.answer(request, web.json_response({**told, "text": found.text}))

    def _keep(self, remote_id: str, body: Mapping[str, Any]) -> None:
        url = f"https://standin.example/@agency/{remote_id}"
        media = self._taken(body)
        made = Shown(remote_id, str(body.get("spoiler_text", "")), body["status"], self.clock(), url, len(media))
        self.shown.append(made)
        self._statuses[remote_id] = _Status(dict(body))
        self._attach(remote_id, media)

    def _taken(self, body: Mapping[str, Any]) -> list[str]:
        """The media of a status, or all but the last."""
        media = list(body.get("media_ids") or [])
        return media[:-1] if media and self.told_to(Misbehaviour.PARTIAL) else media

    def _change(self, found: Shown, body: Mapping[str, Any]) -> None:
        """An edit says all anew: media that it does not name are taken off."""
        before, media = self._statuses[found.remote_id], self._taken(body)
        if (found.text, before.media) != (body["status"], media):
            found.text, found.images, found.versions = body["status"], len(media), found.versions + 1
            before.edited = self.clock()
        self._attach(found.remote_id, media)

    def _attach(self, remote_id: str, media: list[str]) -> None:
        self._statuses[remote_id].media = media
        for media_id in media:
            self._media[media_id].attached = remote_id

    def _forget(self, remote_id: str) -> None:
        del self._statuses[remote_id]
        self.shown = [post for post in self.shown if post.remote_id != remote_id]

    def _found(self, request: web.Request) -> Shown | None:
        remote_id = request.match_info["id"]
        return self.find(remote_id) if remote_id in self._statuses else None

    # -- the rules -------------------------------------------------------------------------------------------

    def _guarded(self, handler: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        async def run(request: web.Request) -> web.StreamResponse:
            if request.headers.get("Authorization", "") != f"Bearer {TOKEN}" or self.told_to(Misbehaviour.TOKEN_KILLED):
                return _error(401, "The access token is invalid")
            found: web.StreamResponse = await handler(request)
            return found

        return run

    def _refusal(self, body: Mapping[str, Any], on: str) -> str:
        """Why a status may not be; empty when it may."""
        text, media = str(body.get("status") or ""), list(body.get("media_ids") or [])
        if not text.strip() and not media:
            return "Validation failed: Text can't be blank"
        if self.count(text, str(body.get("spoiler_text") or "")) > self.characters:
            return f"Validation failed: Text character limit of {self.characters} exceeded"
        if body.get("visibility", "public") not in VISIBILITIES:
            return "Validation failed: Visibility is not included in the list"
        if not re.fullmatch(r"([a-z]{2,3}(-[A-Z]{2})?)?", str(body.get("language") or "")):
            return "Validation failed: Language is invalid"
        if len(media) > MEDIA:
            return f"Validation failed: Cannot attach more than {MEDIA} files"
        return self._media_refusal(media, on)

    def _media_refusal(self, media: list[str], on: str) -> str:
        known = [self._media.get(media_id) for media_id in media]
        if any(m is None or m.attached not in ("", on) for m in known):
            return "Validation failed: Media does not exist or belongs to another status"
        if any(m is not None and m.waits > 0 for m in known):
            return "Validation failed: Cannot attach files that have not finished processing. Try again in a moment!"
        return ""

    def _refused(self, words: str) -> web.Response:
        return _error(422 if self.proper else 400, words)

    def count(self, text: str, spoiler: str = "") -> int:
        """Mastodon: grapheme clusters, and every address counts the same."""
        if not self.proper:
            return len(spoiler) + len(text)
        return graphemes(spoiler) + graphemes(_LINK.sub("x" * PER_URL, text))

    def _too_many(self) -> web.Response:
        """Mastodon names the moment in ISO 8601, not the wait."""
        until = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(self.clock() + 300))
        return _error(429, "Too many requests", {"X-RateLimit-Limit": "300", "X-RateLimit-Reset": until})

    def _told(self, remote_id: str) -> dict[str, Any]:
        """The status as JSON, its text as sanitised HTML."""
        status, post = self._statuses[remote_id], self.find(remote_id)
        assert post is not None
        made = _moment(post.at)
        said = {k: status.facts.get(k) for k in ("visibility", "language", "spoiler_text", "sensitive")}
        media = [self._attachment(media_id) for media_id in status.media]
        edited = _moment(status.edited) if status.edited else None
        links = {"uri": post.url, "url": post.url, "account": {"id": ACCOUNT_ID}}
        own = {"id": remote_id, "created_at": made, "edited_at": edited, "content": markup(post.text)}
        return {**said, **links, **own, "media_attachments": media}


def markup(text: str) -> str:
    """A text as Mastodon shows it: paragraphs, links in three spans, hashtags linked."""
    said = _LINK.sub(lambda m: f"\x00{m[0]}\x00", text)
    parts = [_anchor(part) if nth % 2 else _words(part) for nth, part in enumerate(said.split("\x00"))]
    return "<p>" + "".join(parts).replace("\n\n", "</p><p>").replace("\n", "<br />") + "</p>"


def _words(text: str) -> str:
    tag = '<a href="https://standin.example/tags/{0}" class="mention hashtag" rel="tag">#<span>{0}</span></a>'
    return _HASHTAG.sub(lambda m: tag.format(m[1]), html.escape(text, quote=False))


def _anchor(url: str) -> str:
    scheme, _, rest = url.partition("://")
    start, end = html.escape(rest[:30]), html.escape(rest[30:])
    spans = f'<span class="invisible">{scheme}://</span><span class="ellipsis">{start}</span>'
    href = html.escape(url)
    return f'<a href="{href}" rel="nofollow noopener">{spans}<span class="invisible">{end}</span></a>'


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at))


def _error(status: int, words: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"error": words}, status=status, headers=headers)


STAND_IN = MastodonStandIn
