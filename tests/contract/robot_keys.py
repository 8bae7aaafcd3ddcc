"""The keys of each kind of robot, pointed at a platform of the tests."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

CREDENTIAL, SECRET = "topsecretkey0123456789", "SECtopsecret0123456789"
OWN: dict[str, dict[str, Any]] = {
    "wecom_robot": {"key": CREDENTIAL},
    "dingtalk_robot": {"token": CREDENTIAL, "secret": SECRET},
    "feishu_robot": {"token": CREDENTIAL, "secret": SECRET},
}
TAKEN = {
    "wecom_robot": b'{"errcode":0,"errmsg":"ok"}',
    "dingtalk_robot": b'{"errcode":0,"errmsg":"ok"}',
    "feishu_robot": b'{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}',
}


def keys(kind: str, url: str, **own: Any) -> dict[str, Any]:
    parts = urlsplit(url)
    return {**OWN[kind], "base_url": f"{parts.scheme}://{parts.netloc}", **own}
