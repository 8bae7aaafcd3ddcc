"""Mastodon, and servers that speak its client interface: one status an item, with pictures, edited and deleted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal
from urllib.parse import quote, urlencode

from pydantic import Field, SecretStr

from channels.account_keys import BaseAddress, Frozen
from channels.adapters.mastodon import wording
from channels.answers import Answer
from channels.contract import (
    Capabilities,
    Checkup,
    Idempotency,
    Operation,
    Post,
    Prepared,
    Presence,
    Quota,
    Sighting,
)
from channels.multipart import Part, multipart
from channels.pictures import fit
from channels.refusals import ASKED, READ, by_status, harmless, said, timed, told
from channels.registry import Tools
from channels.transport import Response
from channels.verdicts import Awaits, Deferred, OutcomeUnknown, Receipt, Rejected, Suspended

KEY_LIFETIME = 3600.0  # docs.joinmastodon.org, methods/statuses: the Idempotency-Key is kept up to one hour
SKEW = 120.0  # seconds by which the server's clock and ours may differ
PAGE, PAGES = 5, 6  # statuses of one look (a reply is read to 64 KiB and each holds the whole account), and looks
PROCESSING = 206  # GET media: still at work
POLLS = 10  # asks whether a picture is ready: some ten seconds, by the transport's waits
# docs.joinmastodon.org, api/rate-limits: 300 calls in 5 minutes, 30 deletions in 30 minutes.
QUOTAS = (
    Quota("calls", 300, 300, looks=True),
    Quota("deletions", 30, 1800, operations=frozenset({Operation.RECALL})),
)


def capabilities(keeps_keys: bool = False) -> Capabilities:
    """The key is always sent, but GoToSocial, snac and Takahe make two statuses of one key, and Mastodon itself has let
    repeats through (issues 21840, 37879, 40399). So a lost answer is looked up, unless the agency vouches for the
    server."""
    return Capabilities(
        Idempotency.KEYED if keeps_keys else Idempotency.NONE,
        key_lifetime=KEY_LIFETIME if keeps_keys else None,
        edits=Idempotency.NATURAL,
        recalls=Idempotency.NATURAL,
        parallel=2,
        text_limit=wording.Limits().characters,
        quotas=QUOTAS,
        appears_within=120,  # a slow database behind a proxy that gave up: mastodon/mastodon issue 21840
    )


CAPABILITIES = capabilities()


class Settings(Frozen):
    """`keeps_keys` says that the server drops a repeated Idempotency-Key. `language` replaces the item's own.
    `hashtags` is how many of the item's keywords may stand at the end."""

    base_url: BaseAddress
    access_token: SecretStr
    visibility: Literal["public", "unlisted", "private"] = "public"
    language: str = Field("", pattern=r"^([a-z]{2,3})?$")
    spoiler_text: str = ""
    sensitive: bool = False
    hashtags: int = Field(3, ge=0, le=10)
    keeps_keys: bool = False


class Mastodon:
    kind: ClassVar[str] = "mastodon"

    def __init__(self, account: str, settings: Settings, tools: Tools) -> None:
        self.account = account
        self.capabilities = capabilities(settings.keeps_keys)
        self.limits = wording.Limits()
        self._settings, self._tools = settings, tools
        self._own_id = ""

    async def publish(self, post: Post) -> Receipt:
        form = self.prepare(post).form
        body = form.body(await self._uploaded(form))
        response = await self._send("POST", "/api/v1/statuses", body, {"Idempotency-Key": post.key})
        return self._whole(response, body)

    async def edit(self, post: Post) -> Receipt:
        form = self.prepare(post).form
        path = _status(await self._remote_id(post))
        body = form.body(await self._uploaded(form), edit=True)
        return self._whole(await self._send("PUT", path, body), body)

    async def recall(self, post: Post) -> Receipt:
        """With its media, which else stay for a day. What is gone already is done."""
        remote_id = await self._remote_id(post)
        response = await self._send("DELETE", _status(remote_id) + "?delete_media=true")
        if response.status != 404:
            self._body(response)
        return Receipt(remote_id, awaits=Awaits.PLATFORM)

    def prepare(self, post: Post) -> Prepared:
        own = self._settings
        made = wording.composed(post, own.spoiler_text, own.hashtags, self.limits)
        images, measured, left = wording.pictures(post, self.limits)
        form = wording.Form(
            made.text,
            own.spoiler_text,
            own.visibility,
            wording.language(post, own.language),
            own.sensitive,
            tuple((image.sha256, image.alt) for image in images),
        )
        return Prepared(form, made.text, (made.measured, measured), (*made.dropped, *left))

    async def confirm(self, post: Post, receipt: Receipt | None) -> Sighting:
        known = receipt if receipt and receipt.remote_id else post.remote
        if known is None or not known.remote_id:
            return await self._on_timeline(post)
        response = await self._look(_status(known.remote_id))
        if response.status == 404:
            return Sighting(Presence.ABSENT, detail="http_404")
        status = self._body(response)
        if post.operation is Operation.EDIT and not self._shows(status, post):
            edited = wording.moment(status.get("edited_at"))
            older = edited is None or edited < post.occurred_at / 1e6 - SKEW
            return Sighting(Presence.ABSENT if older else Presence.UNKNOWN, detail="older_text")
        return Sighting(Presence.LIVE, self._receipt(response))

    async def check(self) -> Checkup:
        """Reads the server's limits and whether the token holds."""
        response = await self._look("/api/v2/instance")
        if response.status != 200:  # older servers, and snac
            response = await self._look("/api/v1/instance")
        instance = self._body(response)
        self.limits = wording.limits(instance)
        if self._settings.keeps_keys and not self.limits.proper:
            raise Suspended("mastodon_keeps_keys", f"{self.account}: the server does not say that it is Mastodon")
        await self._own()
        known = self.limits
        facts = {"max_characters": known.characters, "per_url": known.per_url, "max_media": known.media}
        return Checkup(facts={"server": said(instance.get("version", "")), **{k: str(v) for k, v in facts.items()}})

    # -- pictures --------------------------------------------------------------------------------------------

    async def _uploaded(self, form: wording.Form) -> list[str]:
        """One after the other: their order is that of the item."""
        return [await self._upload(sha256, alt) for sha256, alt in form.pictures]

    async def _upload(self, sha256: str, alt: str) -> str:
        content = await self._tools.files.read(sha256)
        limits: dict[str, Any] = {"limit": self.limits.picture_bytes, "side": self.limits.side}
        picture = await asyncio.to_thread(fit, content, types=wording.PICTURE_TYPES, **limits)
        part = Part(picture.name(sha256[:16]), picture.media_type, picture.content)
        content_type, body = multipart({"description": alt} if alt else {}, {"file": part})
        headers = {**self._headers(), "Content-Type": content_type}
        response = await self._ask("POST", "/api/v2/media", headers, body)
        media_id = self._answered(response, "id")
        if response.status == 202:
            await self._ready(media_id)
        return media_id

    async def _ready(self, media_id: str) -> None:
        """Raises `Deferred` while the server is at work on it."""
        path = f"/api/v1/media/{quote(media_id, safe='')}"
        try:
            codes = {**ASKED, PROCESSING: Answer.DEFERRED}
            self._answered(await self._ask("GET", path, self._headers(), codes=codes, attempts=POLLS), "id")
        except Deferred as error:
            if error.reason != f"http_{PROCESSING}":
                raise
            raise Deferred("mastodon_media", f"{self.account}: a picture is still being worked on") from None

    # -- looking ---------------------------------------------------------------------------------------------

    async def _on_timeline(self, post: Post) -> Sighting:
        """This account's own statuses, newest first, until they are older than the release."""
        path, since, newest = f"/api/v1/accounts/{quote(await self._own(), safe='')}/statuses", _since(post), ""
        for _ in range(PAGES):
            query = {"limit": str(PAGE), "exclude_reblogs": "true", **({"max_id": newest} if newest else {})}
            response = await self._look(f"{path}?{urlencode(query)}")
            rows = self._rows(response)
            ours = next((row for row in rows if wording.is_ours(row, post, since)), None)
            if ours is not None:
                return Sighting(Presence.LIVE, Receipt(str(ours["id"]), str(ours.get("url") or "")))
            if not rows or any((wording.moment(row.get("created_at")) or since) < since for row in rows):
                return Sighting(Presence.ABSENT, detail="not_on_timeline")
            newest = str(rows[-1]["id"])
        return Sighting(Presence.UNKNOWN, detail="more_than_was_read")

    def _rows(self, response: Response) -> list[dict[str, Any]]:
        if response.status != 200:
            raise by_status(response, self.account, self._tools.clock())
        rows = response.json()
        if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("id") for row in rows):
            raise Deferred("unreadable_answer", f"{self.account}: no list of statuses came")
        return rows

    def _shows(self, status: Mapping[str, Any], post: Post) -> bool:
        return wording.shown(str(status.get("content") or "")) == wording.fingerprint(self.prepare(post).text)

    async def _remote_id(self, post: Post) -> str:
        """Of the status to change; looked for when the earlier answer was lost."""
        if post.remote is not None and post.remote.remote_id:
            return post.remote.remote_id
        seen = await self._on_timeline(wording.as_published(post))
        if seen.receipt is None:
            raise Rejected("mastodon_not_found", f"{self.account}: no status of this item was found")
        return seen.receipt.remote_id

    async def _own(self) -> str:
        """This account's id. Raises the verdict of a token that does not hold."""
        if not self._own_id:
            response = await self._look("/api/v1/accounts/verify_credentials")
            self._own_id = self._answered(response, "id")
        return self._own_id

    # -- wire ------------------------------------------------------------------------------------------------

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._settings.access_token.get_secret_value()}"}

    async def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, more: Mapping[str, str] | None = None
    ) -> Response:
        headers = {**self._headers(), **(more or {})}
        if body is not None:
            headers["Content-Type"] = "application/json"
        content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        url = self._settings.base_url + path
        return await self._tools.transport.send(method, url, headers, content, account=self.account, codes=READ)

    async def _look(self, path: str) -> Response:
        return await self._ask("GET", path, self._headers())

    async def _ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        codes: Mapping[int, Answer] = ASKED,
        attempts: int = 3,
    ) -> Response:
        url, ask = self._settings.base_url + path, self._tools.transport.ask
        return await ask(method, url, headers, body, account=self.account, codes=codes, attempts=attempts)

    def _body(self, response: Response) -> dict[str, Any]:
        """What a good answer says. Raises the verdict of any other, with the server's own words."""
        body = told(response)
        if response.status in (200, 202):
            return body
        words = said(body.get("error", ""), [self._settings.access_token.get_secret_value()])
        raise by_status(response, self.account, self._tools.clock(), words)

    def _receipt(self, response: Response) -> Receipt:
        body = self._body(response)
        return Receipt(self._named(body, "id", response), str(body.get("url") or ""))

    def _whole(self, response: Response, sent: Mapping[str, Any]) -> Receipt:
        """A status that shows fewer pictures than were sent is out, and somebody has to see to it. One that is whole
        is looked at soon, for it is the server's word, and later again, for moderators may remove it."""
        receipt, shown = self._receipt(response), self._body(response).get("media_attachments")
        if isinstance(shown, list) and len(shown) < len(sent.get("media_ids") or ()):
            return replace(receipt, awaits=Awaits.PERSON, reason="mastodon_pictures_missing")
        return replace(receipt, awaits=Awaits.PLATFORM)

    def _answered(self, response: Response, name: str) -> str:
        """A text of the answer to a harmless request; none of its faults makes a post doubtful."""
        try:
            return self._named(self._body(response), name, response)
        except OutcomeUnknown as unknown:
            raise harmless(unknown) from None

    def _named(self, body: Mapping[str, Any], name: str, response: Response) -> str:
        """Ids are texts and mean nothing else."""
        if not isinstance(body.get(name), str) or not body[name]:
            raise timed(OutcomeUnknown("unreadable_answer", f"{self.account}: an answer without its {name}"), response)
        return str(body[name])


def _since(post: Post) -> float:
    return post.released_at / 1e6 - SKEW


def _status(remote_id: str) -> str:
    return f"/api/v1/statuses/{quote(remote_id, safe='')}"


def build(account: str, settings: Settings, tools: Tools) -> Mastodon:
    return Mastodon(account, settings, tools)
