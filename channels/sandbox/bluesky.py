"""Bluesky's stand-in: a personal data server: sessions that end, records under keys, blobs, the lexicon's rules."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from aiohttp import web

from channels.sandbox.stand_in import Misbehaviour, Shown, StandIn, Standing
from channels.text import graphemes, utf8

PASSWORD = "stand-inap-pass-word"  # noqa: S105 - accepted here and nowhere else
IDENTIFIER = "agency.standin.example"
DID = "did:plc:standinstandinstandinsta"
COLLECTION = "app.bsky.feed.post"
GRAPHEMES, BYTES, LANGS, PICTURES = 300, 3000, 3, 4  # lexicons app.bsky.feed.post and app.bsky.embed.images
PICTURE_BYTES, THUMB_BYTES = 2_000_000, 1_000_000  # lexicons app.bsky.embed.images and app.bsky.embed.external
SESSION_LIFE = 7_200.0  # seconds of an access token; packages/pds
SESSIONS, SESSION_WINDOW = 30, 300  # docs.bsky.app, "Rate limits": createSession

_TID = re.compile(r"[234567abcdefghij][234567abcdefghijklmnopqrstuvwxyz]{12}")
_CUT = (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82")  # how a PNG begins and ends


class Refusal(Exception):
    def __init__(self, error: str, message: str = "", status: int = 400) -> None:
        super().__init__(error)
        self.error, self.message, self.status = error, message, status


class BlueskyStandIn(StandIn):
    kind: ClassVar[str] = "bluesky"
    platform: ClassVar[tuple[str, str]] = ("Bluesky", "Bluesky（蓝天）")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self.records: dict[str, dict[str, Any]] = {}
        self._blobs: dict[str, int] = {}  # link -> bytes
        self._sessions: list[float] = []
        self._killed: set[str] = set()

    def routes(self) -> Iterable[web.RouteDef]:
        calls = {
            "com.atproto.server.createSession": (web.post, self._create_session),
            "com.atproto.server.getSession": (web.get, self._authed(self._session)),
            "com.atproto.repo.uploadBlob": (web.post, self._authed(self._upload)),
            "com.atproto.repo.putRecord": (web.post, self._authed(self._put)),
            "com.atproto.repo.deleteRecord": (web.post, self._authed(self._delete)),
            "com.atproto.repo.applyWrites": (web.post, self._authed(self._apply)),
            "com.atproto.repo.getRecord": (web.get, self._get),
        }
        return [route(f"/xrpc/{name}", self._guarded(handler)) for name, (route, handler) in calls.items()]

    def keys(self, url: str, own: Mapping[str, Any]) -> dict[str, Any]:
        return {**own, "base_url": url, "app_url": url, "identifier": IDENTIFIER, "app_password": PASSWORD}

    # -- sessions --------------------------------------------------------------------------------------------

    async def _create_session(self, request: web.Request) -> web.Response:
        body, now = await request.json(), self.clock()
        self._sessions = [at for at in self._sessions if at > now - SESSION_WINDOW]
        if len(self._sessions) >= SESSIONS:
            raise Refusal("RateLimitExceeded", "Rate Limit Exceeded", 429)
        self._sessions.append(now)
        if (body.get("identifier"), body.get("password")) != (IDENTIFIER, PASSWORD):
            raise Refusal("AuthenticationRequired", "Invalid identifier or password", 401)
        claims = {"sub": DID, "exp": int(now + SESSION_LIFE), "jti": len(self._sessions) + len(self._killed)}
        token = ".".join(_b64(json.dumps(part).encode()) for part in ({"alg": "none"}, claims)) + "."
        return web.json_response({"did": DID, "handle": IDENTIFIER, "accessJwt": token, "active": True})

    async def _session(self, _: web.Request) -> web.Response:
        return web.json_response({"did": DID, "handle": IDENTIFIER, "active": True})

    def _authed(self, handler: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        async def run(request: web.Request) -> web.StreamResponse:
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if self.told_to(Misbehaviour.TOKEN_KILLED):
                self._killed.add(token)
            self._admit(token)
            found: web.StreamResponse = await handler(request)
            return found

        return run

    def _admit(self, token: str) -> None:
        if not token:
            raise Refusal("AuthMissing", "Authentication Required", 401)
        try:
            claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        except (IndexError, ValueError):
            raise Refusal("InvalidToken", "Token could not be verified") from None
        if token in self._killed or claims["exp"] <= self.clock():
            raise Refusal("ExpiredToken", "Token has expired")

    # -- repository ------------------------------------------------------------------------------------------

    async def _upload(self, request: web.Request) -> web.Response:
        content = await request.read()
        if content.startswith(_CUT[0]) and not content.endswith(_CUT[1]):
            raise Refusal("InternalServerError", "Internal Server Error", 500)
        link = "bafkrei" + _b32(content)
        self._blobs[link] = len(content)
        blob = {"$type": "blob", "ref": {"$link": link}, "mimeType": request.content_type, "size": len(content)}
        return web.json_response({"blob": blob})

    async def _put(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if self.told_to(Misbehaviour.BUSY):
            return self._too_many()
        self._check_address(body)
        self._check_record(body.get("record") or {})
        record, rkey = body["record"], body["rkey"]
        cid, current = _cid(record), self.records.get(rkey)
        if current is not None and _cid(current) != cid and "swapRecord" in body:
            raise Refusal("InvalidSwap", f"Record was at {_cid(current)}")
        told = {"uri": f"at://{DID}/{COLLECTION}/{rkey}", "cid": cid, "validationStatus": "valid"}
        if (current is None or _cid(current) != cid) and not self.told_to(Misbehaviour.DROP):
            self._keep(rkey, record, current)
        return await self.answer(request, web.json_response(told))

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        """200 whether it was there or not."""
        body = await request.json()
        if self.told_to(Misbehaviour.BUSY):
            return self._too_many()
        self._check_address(body)
        if not self.told_to(Misbehaviour.DROP):
            self._take_down(body["rkey"])
        return await self.answer(request, web.json_response({}))

    async def _apply(self, request: web.Request) -> web.StreamResponse:
        """Deletions alone, all or none."""
        body = await request.json()
        if self.told_to(Misbehaviour.BUSY):
            return self._too_many()
        for write in body["writes"]:
            self._check_address({"repo": body.get("repo"), **write})
            if write.get("$type") != "com.atproto.repo.applyWrites#delete" or write["rkey"] not in self.records:
                raise Refusal("InvalidRequest", "only records that are there are deleted here")
        dropped = self.told_to(Misbehaviour.DROP)
        for write in body["writes"]:
            if not dropped:
                self._take_down(write["rkey"])
        return await self.answer(request, web.json_response({"results": [{}] * len(body["writes"])}))

    def _take_down(self, rkey: str) -> None:
        if self.records.pop(rkey, None) is not None:
            for post in self.shown:
                if post.remote_id.endswith(f"/{rkey}"):
                    post.standing = Standing.GONE

    async def _get(self, request: web.Request) -> web.Response:
        self._check_address(request.query)
        record = self.records.get(request.query["rkey"])
        if record is None:
            raise Refusal("RecordNotFound", "Could not locate record")
        uri = f"at://{DID}/{COLLECTION}/{request.query['rkey']}"
        return web.json_response({"uri": uri, "cid": _cid(record), "value": record})

    def _keep(self, rkey: str, record: dict[str, Any], before: dict[str, Any] | None) -> None:
        """Apps go on showing the first text of a record that was changed."""
        self.records[rkey] = record
        if before is not None:
            return
        uri, page = f"at://{DID}/{COLLECTION}/{rkey}", f"https://bsky.app/profile/{DID}/post/{rkey}"
        images = len(record.get("embed", {}).get("images", ()))
        self.shown.append(Shown(uri, "", record["text"], self.clock(), page, images))

    # -- the rules -------------------------------------------------------------------------------------------

    def _check_address(self, body: Mapping[str, Any]) -> None:
        if body.get("repo") not in (DID, IDENTIFIER):
            raise Refusal("InvalidRequest", "Could not find repo")
        if body.get("collection") != COLLECTION:
            raise Refusal("InvalidRequest", "only posts are kept here")
        if not _TID.fullmatch(str(body.get("rkey", ""))):
            raise Refusal("InvalidRequest", "Invalid record key: not a TID")

    def _check_record(self, record: Mapping[str, Any]) -> None:
        text = record.get("text")
        if record.get("$type") != COLLECTION or not isinstance(text, str):
            raise Refusal("InvalidRequest", "Invalid app.bsky.feed.post record")
        if graphemes(text) > GRAPHEMES or utf8(text) > BYTES:
            raise Refusal("InvalidRequest", f"Record/text must not be longer than {GRAPHEMES} graphemes")
        if not _is_moment(record.get("createdAt")):
            raise Refusal("InvalidRequest", "Record/createdAt must be an valid atproto datetime")
        if len(record.get("langs", ())) > LANGS:
            raise Refusal("InvalidRequest", f"Record/langs must not have more than {LANGS} elements")
        for facet in record.get("facets", ()):
            start, end = facet["index"]["byteStart"], facet["index"]["byteEnd"]
            if not 0 <= start < end <= utf8(text):
                raise Refusal("InvalidRequest", "Record/facets: not within the text")
        self._check_embed(record.get("embed") or {})

    def _check_embed(self, embed: Mapping[str, Any]) -> None:
        images, thumb = embed.get("images", ()), embed.get("external", {}).get("thumb")
        if len(images) > PICTURES:
            raise Refusal("InvalidRequest", f"Record/embed/images must not have more than {PICTURES} elements")
        if any("alt" not in image for image in images):
            raise Refusal("InvalidRequest", 'Record/embed/images must have the property "alt"')
        wanted = [(image["image"], PICTURE_BYTES) for image in images] + ([(thumb, THUMB_BYTES)] if thumb else [])
        for blob, limit in wanted:
            size = self._blobs.get(blob["ref"]["$link"])
            if size is None:
                raise Refusal("BlobNotFound", "Could not find blob")
            if size > limit:
                raise Refusal("InvalidRequest", f"This file is too large. It is {size} but the maximum is {limit}")

    def _guarded(self, handler: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        async def run(request: web.Request) -> web.StreamResponse:
            try:
                found: web.StreamResponse = await handler(request)
                return found
            except Refusal as refusal:
                said = {"error": refusal.error, "message": refusal.message}
                return web.json_response(said, status=refusal.status)

        return run

    def _too_many(self) -> web.Response:
        """The moment in epoch seconds, beside the wait."""
        headers = {"RateLimit-Reset": str(int(self.clock()) + 600), "RateLimit-Policy": "5000;w=3600"}
        body = {"error": "RateLimitExceeded", "message": "Rate Limit Exceeded"}
        return web.json_response(body, status=429, headers=headers)


def _is_moment(value: object) -> bool:
    """RFC 3339 with a zone."""
    try:
        return datetime.fromisoformat(str(value)).tzinfo is not None and "T" in str(value)
    except ValueError:
        return False


def _cid(record: Mapping[str, Any]) -> str:
    """Not the real derivation (DAG-CBOR), but the same property: the same content has the same name."""
    return "bafyrei" + _b32(json.dumps(record, sort_keys=True).encode())


def _b32(content: bytes) -> str:
    return base64.b32encode(hashlib.sha256(content).digest()).decode().lower().rstrip("=")


def _b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


STAND_IN = BlueskyStandIn
