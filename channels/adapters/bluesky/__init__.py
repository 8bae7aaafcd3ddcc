"""Bluesky and other AT Protocol servers: one record an item, always under the same key: a repeat changes nothing.

putRecord and not createRecord: repeated with the same content it answers as before and writes nothing, whereas a second
createRecord under one key is an internal error. `swapRecord: null` beside it says that nothing may lie there yet, so
that no other post can be overwritten.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal
from urllib.parse import urlencode

from pydantic import Field, SecretStr

from channels.account_keys import BaseAddress, Frozen
from channels.adapters.bluesky import codes
from channels.adapters.bluesky import record as records
from channels.adapters.bluesky.codes import Kind
from channels.contract import Capabilities, Checkup, Idempotency, Operation, Post, Prepared, Presence, Quota, Sighting
from channels.pictures import fit
from channels.refusals import ASKED, READ, harmless, said, timed, told
from channels.registry import Tools
from channels.tokens import KeptToken
from channels.transport import Response
from channels.verdicts import Awaits, OutcomeUnknown, Receipt, Rejected, Suspended, Verdict

# docs.bsky.app, "Rate limits": 5,000 points an hour and 35,000 a day for each account; a new record costs 3.
WRITES_AN_HOUR, WRITES_A_DAY = 1_666, 11_666
TOKEN_MARGIN = 120.0  # seconds before its end from which a session is not used any more
TOKEN_LIFE = 1_800.0  # seconds, for a session that does not say when it ends; 300 may be opened in a day

CAPABILITIES = Capabilities(
    Idempotency.NATURAL,
    parallel=4,
    text_limit=records.GRAPHEMES,
    quotas=(Quota("writes_an_hour", WRITES_AN_HOUR, 3600), Quota("writes_a_day", WRITES_A_DAY, 86_400)),
)


class Settings(Frozen):
    """`identifier` is the account's handle or DID. `embed` is what goes below the text: the item's pictures, a link
    card, the one or the other by whether there are pictures (`auto`), or nothing."""

    identifier: str = Field(pattern=r"^(did:[a-z]+:[A-Za-z0-9._:%-]+|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+)$")
    app_password: SecretStr
    embed: Literal["auto", "pictures", "card", "none"] = "auto"
    language: str = Field("", pattern=r"^([a-z]{2,3}(-[A-Za-z0-9-]+)?)?$")
    hashtags: int = Field(3, ge=0, le=8)
    base_url: BaseAddress = "https://bsky.social"
    app_url: BaseAddress = "https://bsky.app"


class Bluesky:
    kind: ClassVar[str] = "bluesky"
    capabilities = CAPABILITIES

    def __init__(self, account: str, settings: Settings, tools: Tools) -> None:
        self.account = account
        self._settings, self._tools = settings, tools
        self._token = ""  # of the session last used; only so that no error shows it

    async def publish(self, post: Post) -> Receipt:
        """That it was taken is the server's word: like a correction and a deletion it is looked at soon after."""
        return await self._put(post, None)

    async def follow_up(self, post: Post) -> Receipt:
        """A correction, below the earlier post: apps go on showing the first text of a record that was changed."""
        return await self._put(post, await self._thread(post.remote))

    async def recall(self, post: Post) -> Receipt:
        """A correction goes together with what it corrects, in one commit: with it gone, all are."""
        repo, rkey = self._address(post.remote)
        keys = await self._thread_keys(repo, rkey)
        if len(keys) > 1:
            response = await self._write("com.atproto.repo.applyWrites", records.deletions(repo, keys))
        else:
            body = {"repo": repo, "collection": records.COLLECTION, "rkey": rkey}
            response = await self._write("com.atproto.repo.deleteRecord", body)
        if codes.kind(response, told(response)) is not Kind.GONE:
            self._body(response)
            if response.body.strip():  # a deletion may say nothing at all, but never something that is not JSON
                response.json()
        return Receipt(_uri(repo, rkey), awaits=Awaits.PLATFORM)

    def name_of(self, key: str, released_at: int) -> Receipt:
        return Receipt(_uri(self._settings.identifier, records.record_key(key, released_at)))

    def prepare(self, post: Post) -> Prepared:
        own = self._settings
        made = records.composed(post, own.hashtags)
        embed = own.embed if own.embed != "auto" else "pictures" if post.images else "card"
        images, measured, left = records.pictures(post, embed)
        form = records.Form(
            records.record_key(post.key, post.released_at),
            records.record(post, made.text, records.language(post, own.language)),
            tuple((image.sha256, image.alt) for image in images),
            records.card(post) if embed == "card" else None,
        )
        sizes = (made.measured, records.measured_bytes(made.text), measured)
        return Prepared(form, made.text, sizes, (*made.dropped, *left))

    async def confirm(self, post: Post, receipt: Receipt | None) -> Sighting:
        """The key is known without any answer: it is derived."""
        recall = post.operation is Operation.RECALL
        known = post.remote if recall else receipt or self.name_of(post.key, post.released_at)
        repo, rkey = self._address(known)
        found = await self._record(repo, rkey)
        if found is None:
            return Sighting(Presence.ABSENT, detail="bluesky_RecordNotFound")
        if not records.is_ours(found.get("value"), post):
            return Sighting(Presence.UNKNOWN, detail="bluesky_InvalidSwap")
        return Sighting(Presence.LIVE, self._receipt(str(found.get("uri") or _uri(repo, rkey))))

    async def check(self) -> Checkup:
        response = await self._with_session(lambda token: self._ask("com.atproto.server.getSession", token=token))
        body = self._body(response)
        if body.get("active") is False:
            raise Suspended("bluesky_AccountDeactivated", f"{self.account}: the account is not active")
        return Checkup(facts={"handle": said(body.get("handle", ""))})

    # -- writing ---------------------------------------------------------------------------------------------

    async def _put(self, post: Post, reply: Mapping[str, Any] | None) -> Receipt:
        form = self.prepare(post).form
        embed = records.embed_of(form, [await self._blob(sha256) for sha256, _ in form.pictures])
        record = {**form.record, **({"embed": embed} if embed else {}), **({"reply": reply} if reply else {})}
        body = {"repo": self._settings.identifier, "collection": records.COLLECTION, "rkey": form.rkey}
        response = await self._write("com.atproto.repo.putRecord", {**body, "record": record, "swapRecord": None})
        if codes.kind(response, told(response)) is Kind.TAKEN:
            return await self._already_there(post, response)
        return replace(self._receipt(self._text(response, "uri")), awaits=Awaits.PLATFORM)

    async def _already_there(self, post: Post, response: Response) -> Receipt:
        """Something else lies under our key: our own post in an earlier wording, or none of ours."""
        seen = await self.confirm(post, None)
        if seen.presence is Presence.LIVE and seen.receipt is not None:
            return seen.receipt
        raise self._refusal(response)

    async def _blob(self, sha256: str) -> Any:
        """Uploaded and not shown until a record refers to it. The same bytes give the same blob."""
        content = await self._tools.files.read(sha256)
        limits: dict[str, Any] = {"limit": records.PICTURE_BYTES, "types": records.PICTURE_TYPES}
        picture = await asyncio.to_thread(fit, content, **limits)
        method, media_type = "com.atproto.repo.uploadBlob", picture.media_type
        response = await self._with_session(
            lambda token: self._ask(method, picture.content, media_type=media_type, token=token)
        )
        blob = self._answered(response).get("blob")
        if not isinstance(blob, dict):
            raise harmless(timed(OutcomeUnknown("unreadable_answer", f"{self.account}: no blob came"), response))
        return blob

    async def _thread(self, earlier: Receipt | None) -> Mapping[str, Any] | None:
        if earlier is None:
            return None
        repo, rkey = self._address(earlier)
        found = await self._record(repo, rkey)
        return None if found is None else records.reply_to(str(found.get("uri") or _uri(repo, rkey)), found)

    async def _thread_keys(self, repo: str, rkey: str) -> list[str]:
        """Of our record and those above it that are still there, newest first."""
        keys: list[str] = []
        wanted = [rkey]
        while wanted:
            key = wanted.pop(0)
            found = None if key in keys else await self._record(repo, key)
            if found is not None:
                keys.append(key)
                wanted += records.above(found)
        return keys

    async def _write(self, method: str, body: Mapping[str, Any]) -> Response:
        content = json.dumps(body, ensure_ascii=False).encode()
        url = f"{self._settings.base_url}/xrpc/{method}"

        async def send(token: str) -> Response:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            return await self._tools.transport.send("POST", url, headers, content, account=self.account, codes=READ)

        return await self._with_session(send)

    # -- session ---------------------------------------------------------------------------------------------

    async def _with_session(self, request: Callable[[str], Awaitable[Response]]) -> Response:
        """Once more with a new session when the platform turns the old one down: it took nothing then."""
        token = await self._session()
        response = await request(token)
        if codes.kind(response, told(response)) is Kind.TOKEN:
            response = await request(await self._session(refused=token))
        return response

    async def _session(self, refused: str | None = None) -> str:
        now = self._tools.clock()
        kept = await self._tools.tokens.get(self.account, self._new_session, now=now, refused=refused)
        self._token = kept.value
        return kept.value

    async def _new_session(self) -> KeptToken:
        own = self._settings
        asked = {"identifier": own.identifier, "password": own.app_password.get_secret_value()}
        response = await self._ask("com.atproto.server.createSession", json.dumps(asked).encode())
        token = self._answered(response).get("accessJwt")
        if not isinstance(token, str) or not token:
            raise harmless(timed(OutcomeUnknown("unreadable_answer", f"{self.account}: no session came"), response))
        now = self._tools.clock()
        return KeptToken(token, (_ends(token) or now + TOKEN_LIFE) - TOKEN_MARGIN)

    # -- looking ---------------------------------------------------------------------------------------------

    async def _record(self, repo: str, rkey: str) -> dict[str, Any] | None:
        """None when there is none."""
        query = urlencode({"repo": repo, "collection": records.COLLECTION, "rkey": rkey})
        response = await self._ask(f"com.atproto.repo.getRecord?{query}")
        if codes.kind(response, told(response)) is Kind.GONE:
            return None
        return self._answered(response)

    async def _ask(
        self, method: str, body: bytes = b"", *, media_type: str = "application/json", token: str = ""
    ) -> Response:
        """GET without a body, POST with one."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body:
            headers["Content-Type"] = media_type
        url, ask = f"{self._settings.base_url}/xrpc/{method}", self._tools.transport.ask
        return await ask("POST" if body else "GET", url, headers, body, account=self.account, codes=ASKED)

    # -- answers ---------------------------------------------------------------------------------------------

    def _address(self, receipt: Receipt | None) -> tuple[str, str]:
        """Repository and key of an earlier post. Raises `Rejected`."""
        found = records.parts(receipt, self._settings.identifier) if receipt else None
        if found is None:
            raise Rejected("bluesky_no_record", f"{self.account}: nothing names the earlier post")
        return found

    def _receipt(self, uri: str) -> Receipt:
        repo, rkey = self._address(Receipt(uri))
        return Receipt(uri, f"{self._settings.app_url}/profile/{repo}/post/{rkey}")

    def _text(self, response: Response, name: str) -> str:
        found = self._body(response).get(name)
        if not isinstance(found, str) or not found.startswith("at://"):
            raise timed(OutcomeUnknown("unreadable_answer", f"{self.account}: an answer without {name}"), response)
        return found

    def _body(self, response: Response) -> dict[str, Any]:
        if response.status != 200:
            raise self._refusal(response)
        return told(response)

    def _answered(self, response: Response) -> dict[str, Any]:
        """Of a harmless request: none of its faults makes a post doubtful."""
        try:
            return self._body(response)
        except OutcomeUnknown as unknown:
            raise harmless(unknown) from None

    def _refusal(self, response: Response) -> Verdict:
        body = told(response)
        secrets = (self._settings.app_password.get_secret_value(), self._token)
        words = said(body.get("message", body.get("error", "")), secrets)
        return codes.refusal(response, body, self.account, words, self._tools.clock())


def _uri(repo: str, rkey: str) -> str:
    return f"at://{repo}/{records.COLLECTION}/{rkey}"


def _ends(token: str) -> float | None:
    """When a JWT ends, epoch seconds, by its own word; it is the platform's to verify, not ours."""
    try:
        middle = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        return float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError):
        return None


def build(account: str, settings: Settings, tools: Tools) -> Bluesky:
    return Bluesky(account, settings, tools)
