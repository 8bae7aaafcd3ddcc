from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channel_contract import NetworkChannelContract
from platform_double import Platform, answer

from channels.sandbox.fcm_key import PRIVATE_KEY

TOKEN = {"access_token": "ya29.topsecret", "expires_in": 3599, "token_type": "Bearer"}


class TestFcm(NetworkChannelContract):
    kind = "fcm"
    secrets = ("topsecret", PRIVATE_KEY.splitlines()[3])

    def keys(self, url: str) -> dict[str, Any]:
        base = url.split("/in")[0].rstrip("/")
        account = {
            "project_id": "p", "private_key_id": "k1", "private_key": PRIVATE_KEY, "client_email": "a@p.test",
            "token_uri": f"{base}/token",
        }  # fmt: skip
        return {"base_url": base, "topic": "gongbao", "service_account": json.dumps(account)}

    @pytest.fixture
    async def platform(self) -> AsyncIterator[Platform]:
        async with Platform() as running:
            running.helpers["/token"] = answer(200, body=json.dumps(TOKEN).encode())
            running.reply = answer(200, body=b'{"name":"projects/p/messages/1"}')
            yield running
