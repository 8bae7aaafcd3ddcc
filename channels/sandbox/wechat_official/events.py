"""Events as WeChat posts them to an account's callback address: signed, encrypted where a key is set, repeated up to
three times when they are not answered in five seconds (developers.weixin.qq.com, "Receive messages")."""

from __future__ import annotations

import secrets
from base64 import b64encode
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
    facts = {"MsgID": task.number, "Status": _MASS_EVENT.get(task.status, "send fail"), "TotalCount": 1}
    return event_xml("MASSSENDJOBFINISH", at, {**facts, "ArticleUrlResult": urls})


def encoding_key() -> str:
    """43 letters and digits that stand for 32 bytes."""
    while True:
        key = b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        if key.isalnum():
            return key


class Poster:
    """`address` is where events go (None: nowhere); `told` counts the deliveries that were answered."""

    def __init__(self, appid: str, token: str, aes_key: bytes | None, clock: Callable[[], float]) -> None:
        self.address: str | None = None
        self.told = self.tries = 0
        self._appid, self._token, self._key, self._clock = appid, token, aes_key, clock
        self._transport = Transport(user_agent="Mozilla/4.0", allow_networks=LOOPBACK, deadline=DEADLINE)

    async def start(self) -> None:
        await self._transport.start()

    async def close(self) -> None:
        await self._transport.close()

    async def tell(self, event: bytes) -> bool:
        """Whether it was answered in the end."""
        if self.address is None:
            return False
        for _ in range(1 + REPEATS):
            if await self._once(self.address, event):
                self.told += 1
                return True
        return False

    async def _once(self, address: str, event: bytes) -> bool:
        self.tries += 1
        query, body = self.signed(event)
        joint = "&" if "?" in address else "?"
        try:
            answer = await self._transport.send(
                "POST", address + joint + urlencode(query), {"Content-Type": "text/xml"}, body, account="stand-in"
            )
        except Verdict:
            return False
        return answer.body in (b"success", b"")

    def signed(self, event: bytes) -> tuple[dict[str, str], bytes]:
        """The query and the body of one delivery."""
        stamp, nonce = str(int(self._clock())), secrets.token_hex(5)
        query = {"signature": crypto.signature(self._token, stamp, nonce), "timestamp": stamp, "nonce": nonce}
        query["openid"] = "o_standin"
        if self._key is None:
            return query, event
        sealed = crypto.sealed(event, self._key, self._appid, secrets.token_bytes(16))
        query |= {"encrypt_type": "aes", "msg_signature": crypto.signature(self._token, stamp, nonce, sealed)}
        root = etree.Element("xml")
        _fill(root, {"ToUserName": "gh_standin", "Encrypt": sealed})
        return query, etree.tostring(root, encoding="utf-8")
