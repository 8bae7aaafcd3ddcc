"""Weibo (新浪微博): one status an item through statuses/share, with its link and at most one picture."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import urlencode

from pydantic import Field, SecretStr, field_validator

from channels.account_keys import BaseAddress, Frozen
from channels.adapters.weibo import codes, wording
from channels.adapters.weibo.codes import Kind
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
from channels.refusals import ASKED, READ, by_status, said, timed, told
from channels.registry import Tools
from channels.transport import Response
from channels.verdicts import Awaits, Deferred, OutcomeUnknown, Receipt, Suspended, Verdict

FILED = True
# open.weibo.com wiki "Rate-limiting", revision 16512: 100 requests a day and 30 posts an hour for each user of an app.
REQUESTS_A_DAY, POSTS_AN_HOUR = 100, 30
SKEW = 120.0  # seconds by which Weibo's clock and ours may differ
PAGE = 20  # statuses of one look, without their users: well below what is read of a reply


def capabilities(requests_a_day: int = REQUESTS_A_DAY, posts_an_hour: int = POSTS_AN_HOUR) -> Capabilities:
    return Capabilities(
        Idempotency.NONE,
        recalls=Idempotency.NATURAL,  # a second destroy answers 20101
        parallel=1,
        text_limit=int(wording.ROOM.limit),
        quotas=(
            Quota("requests_a_day", requests_a_day, 86_400, daily=True, looks=True),
            Quota("posts_an_hour", posts_an_hour, 3600, operations=frozenset({Operation.PUBLISH, Operation.EDIT})),
        ),
        appears_within=180,
        looks=(20, 60, 120, 600, 1800, 3600, 7200),  # seven looks in four hours, of 100 requests a day
    )


CAPABILITIES = capabilities()


class Settings(Frozen):
    """`rip` is the public address of whoever operates the account; `secure_domains` are the app's 安全域名; `picture`
    says whether the first image goes along."""

    access_token: SecretStr
    rip: str
    secure_domains: tuple[str, ...] = Field(min_length=1)
    picture: bool = True
    requests_a_day: int = Field(REQUESTS_A_DAY, ge=1)
    posts_an_hour: int = Field(POSTS_AN_HOUR, ge=1)
    base_url: BaseAddress = "https://api.weibo.com"

    @field_validator("rip")
    @classmethod
    def _public(cls, rip: str) -> str:
        if not ipaddress.ip_address(rip).is_global:
            raise ValueError("must be a public IP address")
        return rip

    @field_validator("secure_domains")
    @classmethod
    def _names(cls, domains: tuple[str, ...]) -> tuple[str, ...]:
        if any(not domain or set("/:@ ") & set(domain) for domain in domains):
            raise ValueError("must be host names, such as www.example.gov.cn")
        return tuple(domain.lower().strip(".") for domain in domains)


class Weibo:
    kind: ClassVar[str] = "weibo"

    def __init__(self, account: str, settings: Settings, tools: Tools) -> None:
        self.account = account
        self.capabilities = capabilities(settings.requests_a_day, settings.posts_an_hour)
        self._settings, self._tools = settings, tools

    async def publish(self, post: Post) -> Receipt:
        return await self._share(post)

    async def follow_up(self, post: Post) -> Receipt:
        """There is no edit: a correction is a status of its own. Its receipt names the earlier ones as well, so that
        a recall takes down all of them."""
        return wording.chained(await self._share(post), post.remote)

    async def recall(self, post: Post) -> Receipt:
        """Oldest last. A repeat finds those gone that were taken down already."""
        ids = wording.ids(post.remote)
        for remote_id in ids:
            if remote_id != wording.UNNAMED:
                await self._destroy(remote_id)
        if not ids or wording.UNNAMED in ids:
            ids = [await self._published_id(post)]
            await self._destroy(ids[0])
        return Receipt(" ".join(ids))

    def prepare(self, post: Post) -> Prepared:
        wording.checked_link(post.url, self._settings.secure_domains)
        made = wording.composed(post)
        images = () if post.operation is Operation.RECALL else post.images
        sent, measured, left = wording.pictures(len(images), self._settings.picture)
        picture = (images[0].sha256, images[0].name) if sent else ("", "")
        form = wording.Form(made.text, self._settings.rip, *picture)
        return Prepared(form, made.text, (made.measured, measured), (*made.dropped, *left))

    async def confirm(self, post: Post, receipt: Receipt | None) -> Sighting:
        recalled = post.operation is Operation.RECALL
        known = wording.ids(post.remote if recalled else receipt)
        if not known or wording.UNNAMED in known:
            return await self._on_timeline(_as_published(post))
        for remote_id in known if recalled else known[:1]:
            if await self._is_shown(remote_id):
                return Sighting(Presence.LIVE, Receipt(" ".join(known)))
        return Sighting(Presence.ABSENT, detail="weibo_20101")

    async def check(self) -> Checkup:
        """oauth2/get_token_info: the reply says `expire_in`, seconds."""
        form = urlencode({"access_token": self._token}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        url = f"{self._settings.base_url}/oauth2/get_token_info"
        response = await self._tools.transport.ask("POST", url, headers, form, account=self.account, codes=ASKED)
        left = self._body(response).get("expire_in")
        if not isinstance(left, int | float | str) or not str(left).lstrip("-").isdigit():
            raise Deferred("unreadable_answer", f"{self.account}: nothing is said of the token's life")
        if int(left) <= 0:
            raise Suspended("weibo_21327", f"{self.account}: the access token has ended")
        return Checkup(self._tools.clock() + int(left), {"days_left": str(int(left) // 86_400)})

    # -- sending ---------------------------------------------------------------------------------------------

    async def _share(self, post: Post) -> Receipt:
        headers, body = await self._request(self.prepare(post).form)
        response = await self._send("/2/statuses/share.json", headers, body)
        found = codes.fault(told(response))
        if found is not None and found.kind is Kind.DELAYED:
            return Receipt("", awaits=Awaits.PLATFORM, reason=found.reason)
        if found is not None and found.kind is Kind.REPEATED:
            return await self._already_out(post, self._verdict(found, response))
        return Receipt(self._id_of(response))

    async def _destroy(self, remote_id: str) -> None:
        headers = self._headers("application/x-www-form-urlencoded")
        response = await self._send("/2/statuses/destroy.json", headers, urlencode({"id": remote_id}).encode())
        found = codes.fault(told(response))
        if found is None or found.kind is not Kind.GONE:
            self._id_of(response)

    async def _request(self, form: wording.Form) -> tuple[dict[str, str], bytes]:
        fields = {"status": form.status, "rip": form.rip}
        if not form.picture:
            return self._headers("application/x-www-form-urlencoded"), urlencode(fields).encode()
        content = await self._tools.files.read(form.picture)
        limits: dict[str, Any] = {"limit": wording.PICTURE_BYTES, "types": wording.PICTURE_TYPES}
        picture = await asyncio.to_thread(fit, content, **limits)
        part = Part(picture.name(form.picture[:16]), picture.media_type, picture.content)
        content_type, body = multipart(fields, {"pic": part})
        return self._headers(content_type), body

    async def _already_out(self, post: Post, unknown: Verdict) -> Receipt:
        """The platform says that it has this text already: its id, or an unknown outcome."""
        try:
            seen = await self._on_timeline(post)
        except Verdict:
            raise unknown from None
        if seen.receipt is None:
            raise unknown
        return Receipt(wording.ids(seen.receipt)[0])

    # -- looking ---------------------------------------------------------------------------------------------

    async def _is_shown(self, remote_id: str) -> bool:
        response = await self._look("/2/statuses/show.json", {"id": remote_id})
        found = codes.fault(told(response))
        return not (found is not None and found.kind is Kind.GONE) and bool(self._id_of(response))

    async def _on_timeline(self, post: Post) -> Sighting:
        """The account's newest statuses of this app, compared by what they say and when they were made."""
        query = {"base_app": "1", "count": str(PAGE), "trim_user": "1"}
        response = await self._look("/2/statuses/user_timeline.json", query)
        rows = self._body(response).get("statuses")
        if not isinstance(rows, list) or response.truncated:
            raise Deferred("unreadable_answer", f"{self.account}: no list of statuses came")
        since, text = post.released_at / 1e6 - SKEW, self.prepare(post).text
        dated = [(wording.moment(row.get("created_at")), row) for row in rows if isinstance(row, dict)]
        ours = [row for at, row in dated if at and at >= since and wording.says_the_same(str(row.get("text")), text)]
        if ours:
            earlier = post.remote if post.operation is Operation.EDIT else None
            return Sighting(Presence.LIVE, wording.chained(Receipt(str(ours[-1]["idstr"])), earlier))
        if len(rows) >= PAGE and all(at is None or at >= since for at, _ in dated):
            return Sighting(Presence.UNKNOWN, detail="more_than_one_page")
        return Sighting(Presence.ABSENT, detail="not_on_timeline")

    async def _published_id(self, post: Post) -> str:
        """Of a status that was taken without being named (20032). Raises `Deferred` until it can be seen."""
        seen = await self._on_timeline(_as_published(post))
        if seen.receipt is None:
            raise Deferred("weibo_not_seen", f"{self.account}: the status cannot be seen yet, so it has no id")
        return seen.receipt.remote_id

    # -- wire ------------------------------------------------------------------------------------------------

    @property
    def _token(self) -> str:
        return self._settings.access_token.get_secret_value()

    def _headers(self, content_type: str = "") -> dict[str, str]:
        own = {"Authorization": f"OAuth2 {self._token}"}
        return {**own, "Content-Type": content_type} if content_type else own

    async def _send(self, path: str, headers: dict[str, str], body: bytes) -> Response:
        url = self._settings.base_url + path
        return await self._tools.transport.send("POST", url, headers, body, account=self.account, codes=READ)

    async def _look(self, path: str, query: dict[str, str]) -> Response:
        """Two tries at most: every one counts against the day's allowance."""
        url = f"{self._settings.base_url}{path}?{urlencode(query)}"
        ask = self._tools.transport.ask
        return await ask("GET", url, self._headers(), account=self.account, codes=ASKED, attempts=2)

    def _body(self, response: Response) -> dict[str, Any]:
        """What a good answer says. Raises the verdict of any other."""
        body = told(response)
        found = codes.fault(body)
        if found is not None:
            raise self._verdict(found, response)
        if response.status != 200 or not body:
            raise by_status(response, self.account, self._tools.clock())
        return body

    def _id_of(self, response: Response) -> str:
        """The 64 bit id as a text: as a number it would not survive every reader."""
        body = self._body(response)
        if not str(body.get("idstr") or ""):
            raise timed(OutcomeUnknown("unreadable_answer", f"{self.account}: an answer without an id"), response)
        return str(body["idstr"])

    def _verdict(self, found: codes.Fault, response: Response) -> Verdict:
        detail = said(told(response).get("error", ""), [self._token])
        return timed(codes.verdict(found, f"{self.account}: {detail}", self._tools.clock()), response)


def _as_published(post: Post) -> Post:
    """As it was when it went out: a recall looks for what it takes back."""
    return replace(post, operation=Operation.PUBLISH, note="") if post.operation is Operation.RECALL else post


def build(account: str, settings: Settings, tools: Tools) -> Weibo:
    return Weibo(account, settings, tools)
