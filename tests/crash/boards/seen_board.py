"""The same, where one can look what is there."""

from __future__ import annotations

from typing import ClassVar

from channels.adapters.board import CAPABILITIES, Board, Settings

from channels.contract import Operation, Post, Presence, Sighting
from channels.registry import Tools
from channels.verdicts import Receipt

__all__ = ["CAPABILITIES", "SeenBoard", "Settings", "build"]


class SeenBoard(Board):
    kind: ClassVar[str] = "seen_board"

    async def confirm(self, post: Post, receipt: Receipt | None) -> Sighting:
        answer = await self.transport.fetch(f"{self.url}/{post.key}", {}, account=self.account)
        there = bool(answer.json()["there"])
        if post.operation is Operation.RECALL:  # a recall that was heard has taken the post down
            there = not there
        return Sighting(Presence.LIVE if there else Presence.ABSENT, Receipt(post.key))


def build(account: str, settings: Settings, tools: Tools) -> SeenBoard:
    return SeenBoard(account, settings.url, tools.transport)
