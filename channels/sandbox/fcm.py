"""A stand-in of FCM's HTTP v1 interface and of Google's token address: checks the assertion's signature, lets tokens
end, refuses what FCM would, and shows what phones would show."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from channels.sandbox.fcm_key import PRIVATE_KEY
from channels.sandbox.stand_in import Misbehaviour, Shown, StandIn

PROJECT, EMAIL, KEY_ID = "stand-in", "gongbao@stand-in.example", "stand-in-1"
TOKEN_LIFE = 3599  # seconds
LIMIT = 4096  # bytes; firebase.google.com, "message types"
TOPIC = re.compile(r"[a-zA-Z0-9\-_.~%]+")
TARGETS = {"token", "topic", "condition", "fid"}
FIELDS = TARGETS | {"name", "data", "notification", "android", "apns", "webpush", "fcm_options"}
RESERVED = re.compile(r"from|gcm.*|google.*|message_type")


class Refused(Exception):
    def __init__(self, status: int, general: str, message: str, own: str = "", wait: str = "") -> None:
        super().__init__(message)
        self.status, self.general, self.message, self.own, self.wait = status, general, message, own, wait


class FcmStandIn(StandIn):
    kind: ClassVar[str] = "fcm"
    platform: ClassVar[tuple[str, str]] = ("Firebase Cloud Messaging", "FCM 推送")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self.tokens: dict[str, float] = {}  # value -> until when it holds
        self.handed_out = 0
        self._serial = 0
        self._key: Any = load_pem_private_key(PRIVATE_KEY.encode(), None).public_key()

    def routes(self) -> Iterable[web.RouteDef]:
        return [web.post("/token", self._token), web.post("/v1/projects/{project}/messages:send", self._send)]

    def keys(self, url: str, own: Mapping[str, Any]) -> dict[str, Any]:
        made_up = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": KEY_ID,
            "private_key": PRIVATE_KEY,
            "client_email": EMAIL,
            "token_uri": f"{url}/token",
        }
        return {**own, "base_url": url, "service_account": json.dumps(made_up)}

    # -- Google's token address ----------------------------------------------------------------------------

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        if not self._genuine(str(form.get("assertion", "")), f"http://{request.host}/token"):
            return web.json_response({"error": "invalid_grant"}, status=400)
        self.handed_out += 1
        value = f"ya29.stand-in-{self.handed_out}"
        self.tokens[value] = self.clock() + TOKEN_LIFE
        return web.json_response({"access_token": value, "expires_in": TOKEN_LIFE, "token_type": "Bearer"})

    def _genuine(self, assertion: str, address: str) -> bool:
        unchecked = {"verify_exp": False, "verify_iat": False}  # times are checked against our own clock
        try:
            claims = jwt.decode(assertion, self._key, algorithms=["RS256"], audience=address, options=unchecked)  # type: ignore[arg-type]
        except jwt.InvalidTokenError:
            return False
        begun, ends, now = claims.get("iat", 0), claims.get("exp", 0), self.clock()
        in_time = begun - 300 <= now < ends and ends - begun <= 3600
        return in_time and claims.get("iss") == EMAIL and "auth/" in str(claims.get("scope", ""))

    # -- messages:send -------------------------------------------------------------------------------------

    async def _send(self, request: web.Request) -> web.StreamResponse:
        try:
            self._allowed(request)
            form = _form(await request.read())
        except Refused as refused:
            return _refusal(refused)
        if form.get("validate_only"):
            return web.json_response({"name": f"projects/{PROJECT}/messages/fake_message_id"})
        self._serial += 1
        name = f"projects/{PROJECT}/messages/{self._serial}"
        if not self.told_to(Misbehaviour.DROP):
            self._show(name, form["message"])
        return await self.answer(request, web.json_response({"name": name}))

    def _allowed(self, request: web.Request) -> None:
        if self.told_to(Misbehaviour.TOKEN_KILLED):
            self.tokens.clear()
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.tokens.get(token, float("-inf")) <= self.clock():
            raise Refused(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        if request.match_info["project"] != PROJECT:
            raise Refused(403, "PERMISSION_DENIED", "Permission denied on the project.")
        if self.told_to(Misbehaviour.BUSY):
            raise Refused(429, "RESOURCE_EXHAUSTED", "Quota exceeded.", "QUOTA_EXCEEDED", wait="7")

    def _show(self, name: str, message: Mapping[str, Any]) -> None:
        notice, data = message.get("notification", {}), message.get("data", {})
        tag = message.get("android", {}).get("notification", {}).get("tag") or name
        title, text = notice.get("title", ""), f"{notice.get('body', '')}\n{data.get('url', '')}".strip()
        shown = self.find(tag)
        if shown is None:
            self.shown.append(Shown(tag, title, text, self.clock()))
        else:
            shown.title, shown.text, shown.versions = title, text, shown.versions + 1


def _form(body: bytes) -> dict[str, Any]:
    try:
        form = json.loads(body)
        message = form["message"]
        targets = TARGETS & set(message)
    except (ValueError, KeyError, TypeError):
        raise _invalid("no message") from None
    if set(form) - {"message", "validate_only"} or set(message) - FIELDS:
        raise _invalid("unknown name")
    if len(targets) != 1:
        raise _invalid("exactly one target")
    if "topic" in message and not TOPIC.fullmatch(str(message["topic"])):
        raise _invalid("malformed topic name")
    _parts(message)
    return dict(form)


def _parts(message: Mapping[str, Any]) -> None:
    data = message.get("data", {})
    if any(not isinstance(value, str) or RESERVED.fullmatch(name) for name, value in data.items()):
        raise _invalid("data")
    if len(json.dumps([message.get("notification"), data], ensure_ascii=False).encode()) > LIMIT:
        raise _invalid("message is too big")
    if len(message.get("apns", {}).get("headers", {}).get("apns-collapse-id", "")) > 64:
        raise _invalid("apns-collapse-id")
    if not re.fullmatch(r"\d{1,7}s", message.get("android", {}).get("ttl", "0s")):
        raise _invalid("android.ttl")
    link = message.get("webpush", {}).get("fcm_options", {}).get("link", "https://")
    if not link.startswith("https://"):
        raise _invalid("webpush.fcm_options.link must be HTTPS")


def _invalid(what: str) -> Refused:
    return Refused(400, "INVALID_ARGUMENT", f"Invalid: {what}", "INVALID_ARGUMENT")


def _refusal(refused: Refused) -> web.Response:
    kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
    details = [{"@type": kind, "errorCode": refused.own}] if refused.own else []
    error = {
        "code": refused.status, "message": refused.message, "status": refused.general, "details": details
    }  # fmt: skip
    headers = {"Retry-After": refused.wait} if refused.wait else {}
    return web.json_response({"error": error}, status=refused.status, headers=headers)


STAND_IN = FcmStandIn
