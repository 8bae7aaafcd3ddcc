"""A stand-in of WeChat's interface for official accounts. Errors come inside HTTP 200, as on the real one.

Beside what every stand-in takes: `POST /decide?status=4` settles the oldest undecided task (0 published, 2 original,
3 failed, 4 refused), `POST /later?status=6` what was published last (5 deleted, 6 banned), `POST /callback?url=...`
names the address that events go to.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, ClassVar

from aiohttp import BodyPartReader, web

from channels.adapters.wechat_official import crypto
from channels.sandbox.stand_in import Misbehaviour, StandIn
from channels.sandbox.wechat_official import box as boxes
from channels.sandbox.wechat_official import rules
from channels.sandbox.wechat_official.box import Box, Draft, Task
from channels.sandbox.wechat_official.events import Poster, mass_event, publish_event
from channels.sandbox.wechat_official.tokens import Tokens

Reply = dict[str, Any]
# Made up, and the same for every stand-in: keys are made before one runs. The appid tells the account's mode.
APPIDS = {"publish": "wx00000000000000a1", "mass": "wx00000000000000a2", "draft": "wx00000000000000a3"}
SECRET, CALLBACK_TOKEN = "a-rehearsal-not-a-secret", "rehearsal"
AES_KEY = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
COVER = "stand-in-cover"
KEPT_KEYS = ("mode", "account_type", "author", "long_titles", "cover_file", "mass_tag_id", "send_reprints")
DECIDES_IN, LATE = 2.0, 30  # seconds until the platform has decided; how many times longer when told to be late
PUBLISHES_A_DAY, MASS_A_DAY = 100, 1
DAY = 86_400
_SHANGHAI = 8 * 3_600
_MASS_STATUS = {0: "SEND_SUCCESS", 1: "SENDING", 5: "DELETE"}


class WeChatStandIn(StandIn):
    """`decides_in` is seconds from a submission to the platform's decision (None: only when told); `decisions` are
    the statuses to come to, 0 when it is empty. `rights` False: an account that may not publish."""

    kind: ClassVar[str] = "wechat_official"
    platform: ClassVar[tuple[str, str]] = ("WeChat Official Account", "微信公众号")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self.appid = APPIDS["publish"]
        self.tokens = Tokens(clock)
        self.box = Box(clock, self.shown, {COVER})
        self.events = Poster(CALLBACK_TOKEN, crypto.aes_key(AES_KEY), clock)
        self.decides_in: float | None = DECIDES_IN
        self.decisions: list[int] = []
        self.rights = True
        self.limits = {"submit": PUBLISHES_A_DAY, "sendall": MASS_A_DAY}
        self._used: dict[tuple[str, int], int] = {}
        self._running: set[asyncio.Task[None]] = set()

    def keys(self, url: str, own: Mapping[str, Any]) -> dict[str, Any]:
        kept = {name: own[name] for name in KEPT_KEYS if name in own}
        if own.get("cover_media_id"):
            kept["cover_media_id"] = COVER
        return {
            **kept,
            "appid": APPIDS.get(str(own.get("mode", "publish")), self.appid),
            "secret": SECRET,
            "callback_token": CALLBACK_TOKEN,
            "encoding_aes_key": AES_KEY,
            "base_url": url,
        }

    def app(self) -> web.Application:
        app = super().app()
        app.on_startup.append(self._begin)
        app.on_cleanup.append(self._end)
        return app

    async def _begin(self, _: web.Application) -> None:
        await self.events.start()

    async def _end(self, _: web.Application) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.events.close()

    def routes(self) -> Iterable[web.RouteDef]:
        calls: Mapping[str, Callable[[Reply], Reply]] = {
            "draft/update": self._update,
            "draft/get": self._get_draft,
            "draft/batchget": lambda asked: self.box.listed(asked, drafts=True),
            "draft/switch": lambda _: {"errcode": 0, "is_open": 1},
            "freepublish/get": self._get_task,
            "freepublish/getarticle": self._get_article,
            "freepublish/batchget": self._list_articles,
            "message/mass/get": self._get_mass,
            "openapi/quota/get": self._quota,
        }
        noticed: Mapping[str, Callable[[Reply], Reply]] = {
            "draft/add": self._add,
            "draft/delete": self._delete_draft,
            "freepublish/submit": self._submit,
            "freepublish/delete": self._delete,
            "message/mass/sendall": self._mass_send,
            "message/mass/delete": self._mass_delete,
        }
        return [
            web.get("/cgi-bin/token", self._plain_token),
            web.post("/cgi-bin/stable_token", self._stable_token),
            web.post("/cgi-bin/media/uploadimg", self._upload),
            web.post("/cgi-bin/material/add_material", self._upload),
            *(web.route("*", f"/cgi-bin/{path}", self._call(path, run, False)) for path, run in calls.items()),
            *(web.route("*", f"/cgi-bin/{path}", self._call(path, run, True)) for path, run in noticed.items()),
            web.post("/decide", self._decide_now),
            web.post("/later", self._decide_later),
            web.post("/callback", self._callback),
        ]

    # -- tokens --------------------------------------------------------------------------------------------

    async def _plain_token(self, request: web.Request) -> web.Response:
        asked = request.query
        return _json(self._credentials(asked) or self.tokens.plain())

    async def _stable_token(self, request: web.Request) -> web.Response:
        try:
            asked = json.loads(await request.read())
        except ValueError:
            return _json(_refused(47001))
        return _json(self._credentials(asked) or self.tokens.stable(force=asked.get("force_refresh") is True))

    def _credentials(self, asked: Mapping[str, Any]) -> Reply | None:
        if asked.get("grant_type") != "client_credential":
            return _refused(40002)
        if asked.get("appid") not in APPIDS.values():
            return _refused(40013)
        if asked.get("secret") != SECRET:
            return _refused(40001)
        self.appid = str(asked["appid"])
        return None

    @property
    def _drafting(self) -> bool:
        """Drafts are all that this account makes."""
        return self.appid == APPIDS["draft"]

    # -- calls ---------------------------------------------------------------------------------------------

    def _call(
        self, path: str, run: Callable[[Reply], Reply], noticed: bool
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """`noticed`: the calls that misbehaviour is about. A draft is the whole post only for accounts that make
        nothing else."""

        async def answer(request: web.Request) -> web.StreamResponse:
            watched = noticed and (self._drafting or not path.startswith("draft/"))
            if watched and self.told_to(Misbehaviour.TOKEN_KILLED):
                self.tokens.kill()
            code = self.tokens.judge(request.query.get("access_token", "")) or (
                43002 if request.method != "POST" else 0
            )
            if code:
                return _json(_refused(code))
            body = await request.read()
            if rules.ESCAPED.search(body):
                return _json(_refused(40033))
            try:
                asked = json.loads(body)
            except ValueError:
                return _json(_refused(47001))
            if watched and self.told_to(Misbehaviour.BUSY):
                return _json(_refused(45011))
            reply = run(asked if isinstance(asked, dict) else {})
            return await self.answer(request, _json(reply)) if watched and not reply.get("errcode") else _json(reply)

        return answer

    async def _upload(self, request: web.Request) -> web.Response:
        code = self.tokens.judge(request.query.get("access_token", ""))
        if code:
            return _json(_refused(code))
        inline = request.path.endswith("uploadimg")
        part = await (await request.multipart()).next() if request.content_type.startswith("multipart/") else None
        file = part if isinstance(part, BodyPartReader) and part.name == "media" and part.filename else None
        content = bytes(await file.read()) if file is not None else None
        limit = rules.INLINE_BYTES if inline else rules.MATERIAL_BYTES
        code = rules.picture_fault(content, (file.filename or "") if file else "", limit)
        if code or content is None:
            return _json(_refused(code))
        name = hashlib.sha256(content).hexdigest()
        url = f"http://{rules.MEDIA_HOST}/mmbiz_png/{name}/0?wx_fmt=png"
        if inline:
            return _json({"url": url})
        media_id = f"{name[:40]}{self.box.number()}"
        self.box.materials.add(media_id)
        return _json({"media_id": media_id, "url": url})

    def _add(self, asked: Reply) -> Reply:
        articles = asked.get("articles")
        if not isinstance(articles, list) or not 0 < len(articles) <= rules.ARTICLES:
            return _refused(44003)
        code = next(filter(None, (rules.fault(one, self.box.materials) for one in articles)), 0)
        if code:
            return _refused(code)
        if self._drafting and self.told_to(Misbehaviour.DROP):
            return {"media_id": hashlib.sha256(secrets.token_bytes(8)).hexdigest(), "item": []}
        return {"media_id": self.box.add(articles).media_id, "item": []}

    def _update(self, asked: Reply) -> Reply:
        draft = self._draft(asked)
        if draft is None:
            return _refused(40007)
        index = asked.get("index")
        if not isinstance(index, int) or not 0 <= index < len(draft.articles):
            return _refused(40114)
        code = rules.fault(asked.get("articles"), self.box.materials)
        if code:
            return _refused(code)
        self.box.write(draft, [*draft.articles[:index], asked["articles"], *draft.articles[index + 1 :]])
        return _DONE

    def _get_draft(self, asked: Reply) -> Reply:
        draft = self._draft(asked)
        return _refused(40007) if draft is None else {"news_item": draft.articles}

    def _delete_draft(self, asked: Reply) -> Reply:
        return _DONE if self.box.delete_draft(str(asked.get("media_id"))) else _refused(40007)

    def _draft(self, asked: Reply) -> Draft | None:
        return self.box.drafts.get(str(asked.get("media_id")))

    # -- publishing ----------------------------------------------------------------------------------------

    def _submit(self, asked: Reply) -> Reply:
        draft, refused = self._draft(asked), self._may("submit")
        if refused or draft is None:
            return refused or _refused(40007)
        self._spend("submit")
        if self.told_to(Misbehaviour.DROP):
            return {"errcode": 0, "errmsg": "ok", "publish_id": str(self.box.number())}
        return {"errcode": 0, "errmsg": "ok", "publish_id": str(self._begun(draft, mass=False).number)}

    def _get_task(self, asked: Reply) -> Reply:
        task = self._task(asked.get("publish_id"), mass=False)
        if task is None:
            return _refused(40007)
        told: Reply = {"publish_id": str(task.number), "publish_status": task.status, "fail_idx": []}
        if task.status in (2, 4):
            told["fail_idx"] = [1]
        if task.status == boxes.PUBLISHED:
            told |= {"article_id": task.article_id}
            told["article_detail"] = {"count": 1, "item": [{"idx": 1, "article_url": task.url}]}
        return told

    def _get_article(self, asked: Reply) -> Reply:
        task = self.box.by_article(str(asked.get("article_id")))
        return _refused(53600) if task is None else {"news_item": boxes.told(task)}

    def _list_articles(self, asked: Reply) -> Reply:
        return self.box.listed(asked, drafts=False) if self.rights else _refused(48001)

    def _delete(self, asked: Reply) -> Reply:
        task = self.box.by_article(str(asked.get("article_id")))
        if not self.rights or task is None:
            return _refused(53600 if self.rights else 48001)
        if not self.told_to(Misbehaviour.DROP):
            self.box.delete(task, int(asked.get("index") or 0))
        return _DONE

    # -- mass sending --------------------------------------------------------------------------------------

    def _mass_send(self, asked: Reply) -> Reply:
        key = str(asked.get("clientmsgid", ""))
        if len(key) > 32:
            return _refused(45067)
        if asked.get("msgtype") != "mpnews" or not isinstance(asked.get("filter"), dict):
            return _refused(45162)
        earlier = self.box.by_key(key)
        if earlier is not None:
            return {**_refused(45065), "msg_id": earlier.number}
        draft, refused = self._draft(asked.get("mpnews") or {}), self._may("sendall")
        if refused or draft is None:
            return refused or _refused(40007)
        self._spend("sendall")
        if self.told_to(Misbehaviour.DROP):
            number = self.box.number()
        else:
            task = self._begun(draft, mass=True, key=key)
            number, task.missed = task.number, self.told_to(Misbehaviour.PARTIAL)
        return {"errcode": 0, "errmsg": "send job submission success", "msg_id": number, "msg_data_id": number}

    def _get_mass(self, asked: Reply) -> Reply:
        task = self._task(asked.get("msg_id"), mass=True)
        if task is None:
            return {"msg_id": asked.get("msg_id"), "msg_status": "SENDING"}
        return {"msg_id": task.number, "msg_status": _MASS_STATUS.get(task.status, "SEND_FAIL")}

    def _mass_delete(self, asked: Reply) -> Reply:
        task = self._task(asked.get("msg_id"), mass=True)
        if task is None or task.status not in (boxes.PUBLISHED, boxes.DELETED):
            return _refused(40007)
        self.box.decide(task, boxes.DELETED)
        return _DONE

    def _task(self, number: Any, *, mass: bool) -> Task | None:
        task = self.box.tasks.get(int(number)) if str(number).isdigit() else None
        return task if task is not None and task.mass is mass else None

    # -- quotas --------------------------------------------------------------------------------------------

    def _may(self, name: str) -> Reply | None:
        if not self.rights:
            return _refused(48001)
        spent = self._used.get((name, self._today()), 0)
        return _refused(45028 if name == "sendall" else 45009) if spent >= self.limits[name] else None

    def _spend(self, name: str) -> None:
        place = (name, self._today())
        self._used[place] = self._used.get(place, 0) + 1

    def _today(self) -> int:
        return int(self.clock() + _SHANGHAI) // DAY

    def _quota(self, asked: Reply) -> Reply:
        path = str(asked.get("cgi_path", ""))
        if not path.startswith("/cgi-bin/"):
            return _refused(76021)
        name = path.rpartition("/")[2]
        limit, used = self.limits.get(name, 1_000), self._used.get((name, self._today()), 0)
        return {"errcode": 0, "quota": {"daily_limit": limit, "used": used, "remain": limit - used}}

    # -- deciding ------------------------------------------------------------------------------------------

    def _begun(self, draft: Draft, *, mass: bool, key: str = "") -> Task:
        task = self.box.begin(draft, mass=mass, key=key)
        wait = self.decides_in
        if self.told_to(Misbehaviour.LATE) and wait is not None:
            wait *= LATE
        if wait is not None:
            running = asyncio.create_task(self._after(task, wait))
            self._running.add(running)
            running.add_done_callback(self._running.discard)
        return task

    async def _after(self, task: Task, wait: float) -> None:
        await asyncio.sleep(wait)
        if task.status == boxes.PUBLISHING:
            await self.decide(task)

    async def decide(self, task: Task, status: int | None = None) -> None:
        """Comes to a decision and tells the callback address; twice when told to."""
        coming = self.decisions.pop(0) if status is None and self.decisions else status or 0
        self.box.decide(task, coming)
        event = mass_event(task, self.clock()) if task.mass else publish_event(task, self.clock())
        for _ in range(2 if self.told_to(Misbehaviour.TWICE) else 1):
            await self.events.tell(self.callback, self.appid, event)

    async def _decide_now(self, request: web.Request) -> web.Response:
        waiting = [t for t in self.box.tasks.values() if t.status == boxes.PUBLISHING]
        return await self._told_to_decide(request, waiting[:1], ("0", "2", "3", "4"))

    async def _decide_later(self, request: web.Request) -> web.Response:
        out = [t for t in self.box.tasks.values() if t.status == boxes.PUBLISHED]
        return await self._told_to_decide(request, out[-1:], ("5", "6"))

    async def _told_to_decide(self, request: web.Request, tasks: list[Task], known: tuple[str, ...]) -> web.Response:
        status = request.query.get("status", "")
        if status not in known or not tasks:
            return web.Response(status=400, text=f"status= is one of {', '.join(known)}; a task must be there\n")
        await self.decide(tasks[0], int(status))
        return web.Response(status=204)

    async def _callback(self, request: web.Request) -> web.Response:
        self.callback = request.query.get("url", "")
        return web.Response(status=204)


_DONE: Reply = {"errcode": 0, "errmsg": "ok"}
_SAID = {40001: "invalid credential, access_token is invalid or not latest", 42001: "access_token expired"}


def _refused(code: int) -> Reply:
    return {
        "errcode": code,
        "errmsg": f"{_SAID.get(code, 'refused')} rid: {secrets.token_hex(4)}-{secrets.token_hex(4)}",
    }


def _json(reply: Reply) -> web.Response:
    return web.json_response(reply, dumps=lambda value: json.dumps(value, ensure_ascii=False))


STAND_IN = WeChatStandIn
