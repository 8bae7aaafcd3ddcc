"""Events as WeChat posts them to an account's callback address: signed, encrypted, repeated up to three
times when they are not answered in five seconds (developers.weixin.qq.com, "Receive messages")."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from lxml import etree

from channels.adapters.wechat_official import crypto
from channels.sandbox.wechat_official.box import PUBLISHED, Task
from channels.transport import Transport
from channels.verdicts import Verdict

DEADLINE, REPEATS = 5.0, 3
_MASS_EVENT = {0: "send success", 2: "err(30003)", 3: "send fail", 4: "err(20001)"}
FOLLOWERS, MISSED = 100, 5  # of the stand-in's account, and how many do not get what is sent in part
LOOPBACK = ("127.0.0.0/8", "::1/128")


def event_xml(name: str, at: float, parts: dict[str, Any]) -> bytes:
    """`parts` may nest; a list repeats its element."""
    root = etree.Element("xml")
    head = {"ToUserName": "gh_standin", "FromUserName": "o_standin", "CreateTime": int(at), "MsgType": "event"}
    _fill(root, {**head, "Event": name, **parts})
    return etree.tostring(root, encoding="utf-8")


def _fill(parent: etree._Element, parts: dict[str, Any]) -> None:
    for name, value in parts.items():
        for one in value if isinstance(value, list) else [value]:
            child = etree.SubElement(parent, name)
            if isinstance(one, dict):
                _fill(child, one)
            else:
                child.text = str(one)


def publish_event(task: Task, at: float) -> bytes:
    info: dict[str, Any] = {"publish_id": task.number, "publish_status": task.status}
    if task.status == PUBLISHED:
        info["article_id"] = f"\n{task.article_id}\n"
        info["article_detail"] = {"count": 1, "item": [{"idx": 1, "article_url": task.url}]}
    elif task.status in (2, 4):
        info["fail_idx"] = [1]
    return event_xml("PUBLISHJOBFINISH", at, {"PublishEventInfo": info})


def mass_event(task: Task, at: float) -> bytes:
    listed = [{"ArticleIdx": 1, "ArticleUrl": task.url}] if task.url else []
    urls = {"Count": len(listed), "ResultList": {"item": listed}}
    facts = {"MsgID": task.number, "Status": _MASS_EVENT.get(task.status, "send fail"), "TotalCount": FOLLOWERS}
    failed = MISSED if task.missed else 0
    counts = {"FilterCount": FOLLOWERS, "SentCount": FOLLOWERS - failed, "ErrorCount": failed}
    return event_xml("MASSSENDJOBFINISH", at, {**facts, **counts, "ArticleUrlResult": urls})


class Poster:
    """`tries` counts what was posted, answered or not."""

    def __init__(self, token: str, aes_key: bytes, clock: Callable[[], float]) -> None:
        self.tries = 0
        self._token, self._key, self._clock = token, aes_key, clock
        self._transport = Transport(user_agent="Mozilla/4.0", allow_networks=LOOPBACK, deadline=DEADLINE)

    async def start(self) -> None:
        await self._transport.start()

    async def close(self) -> None:
        await self._transport.close()

    async def tell(self, address: str, appid: str, event: bytes) -> bool:
        """Whether it was answered in the end. Without an address nothing is told."""
        for _ in range(1 + REPEATS if address else 0):
            if await self._once(address, appid, event):
                return True
        return False

    async def _once(self, address: str, appid: str, event: bytes) -> bool:
        self.tries += 1
        query, body = self.signed(appid, event)
        joint = "&" if "?" in address else "?"
        try:
            answer = await self._transport.send(
                "POST", address + joint + urlencode(query), {"Content-Type": "text/xml"}, body, account="stand-in"
            )
        except Verdict:
            return False
        return answer.body in (b"success", b"")

    def signed(self, appid: str, event: bytes) -> tuple[dict[str, str], bytes]:
        """The query and the body of one delivery."""
        stamp, nonce = str(int(self._clock())), secrets.token_hex(5)
        query = {"signature": crypto.signature(self._token, stamp, nonce), "timestamp": stamp, "nonce": nonce}
        sealed = crypto.sealed(event, self._key, appid, secrets.token_bytes(16))
        query |= {
            "openid": "o_standin",
            "encrypt_type": "aes",
            "msg_signature": crypto.signature(self._token, stamp, nonce, sealed),
        }
        root = etree.Element("xml")
        _fill(root, {"ToUserName": "gh_standin", "Encrypt": sealed})
        return query, etree.tostring(root, encoding="utf-8")
