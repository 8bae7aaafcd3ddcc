"""A channel that nobody reads: what reaches it has passed through the whole service. It keeps nothing but receipts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from channels.account_keys import Frozen
from channels.contract import Capabilities, Idempotency, Manner, Measured, Post, Prepared
from channels.registry import Tools
from channels.verdicts import Receipt

CAPABILITIES = Capabilities(Idempotency.NATURAL, appears_within=0)  # nothing ever appears


class Settings(Frozen):
    """It needs no keys of its own."""


class Canary:
    kind: ClassVar[str] = "canary"
    manners: ClassVar[Mapping[str, Manner]] = MappingProxyType(dict.fromkeys(("edit", "recall", "look"), Manner.NONE))
    capabilities: Capabilities = CAPABILITIES

    def __init__(self, account: str) -> None:
        self.account = account

    async def publish(self, post: Post) -> Receipt:
        return Receipt(post.key)

    async def edit(self, post: Post) -> Receipt:
        return Receipt(post.key)

    async def recall(self, post: Post) -> Receipt:
        return Receipt(post.key)

    def prepare(self, post: Post) -> Prepared:
        return Prepared(post.text, text=post.text, measured=(Measured("text", len(post.text), None, "characters"),))


def build(account: str, settings: Settings, tools: Tools) -> Canary:
    return Canary(account)
