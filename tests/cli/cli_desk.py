"""One installation driven through the command line, with items in every state and no worker running."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from content_queue.model import Outcome, Sign
from content_queue.states import DeliveryEvent as E
from content_queue.states import DeliveryState as D
from publisher.cli import main

SECRET = "whsec_" + "Qk9PS1NCT09LU0JPT0tTQk9PS1NCT09LUw=="
GOOD = """---
id: {id}
title: 关于举办版权培训班的通知
column: notices
content_type: 服务通知
openness: 主动公开
drafter: 编辑甲
index_number: 11990000MB0000000J/2026-00001
created_on: 2026-03-02
summary: 定于三月举办版权培训班。
---
各有关单位：

为提升服务能力，定于三月举办版权培训班，请按时参加。
"""
ID_NUMBER = "11010519491231002X"  # GB 11643 annex: the published example, of nobody
HELD = GOOD.replace("请按时参加。", f"联系人身份证号{ID_NUMBER}，请按时参加。")
MOBILE = GOOD.replace("请按时参加。", "请按时参加。参会人员手机号13912345678。")


@dataclass
class Desk:
    """One installation, driven through the command line."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "var"

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def database(self) -> Path:
        return self.data / "gongbao.db"

    def run(self, *args: object, code: int | None = 0) -> Result:
        result = CliRunner().invoke(main, [str(a) for a in args])
        if code is not None:
            assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
        assert ID_NUMBER not in result.output
        assert SECRET not in result.output
        return result

    def json(self, *args: object, code: int | None = 0) -> Any:
        return json.loads(self.run(*args, "--json", code=code).stdout)

    def file(self, text: str = GOOD, item: str = "item-one", name: str = "item.md") -> Path:
        path = self.folder / name
        path.write_text(text.replace("{id}", item), "utf-8")
        return path

    def submit(self, item: str = "item-one", text: str = GOOD) -> str:
        self.run("submit", self.file(text, item), code=None)
        return item

    def sign(self, item: str = "item-one") -> None:
        for name, stage in (("审核乙", "first"), ("审核丙", "second"), ("局领导丁", "final")):
            self.run("approve", item, "--as", name, "--stage", stage)

    def with_app(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        from publisher.app import load_settings, open_app

        async def go() -> Any:
            async with open_app(load_settings()) as app:
                return await work(app)

        return asyncio.run(go())

    def release(self, item: str = "item-one") -> dict[str, int]:
        """Item and its sign-offs through the commands, then out of the queue as the releaser does it."""
        self.submit(item)
        self.sign(item)

        async def work(app: Any) -> dict[str, int]:
            revision = await app.store.items.latest(item)
            made: dict[str, int] = await app.store.deliveries.release(
                revision.id, app.routes.accounts, now=app.clock(), actor="system"
            )
            return made

        return self.with_app(work)

    def attempt(self, events: tuple[E, ...], state: D, **facts: Any) -> int:
        """One attempt of whatever is due, recorded the way the worker records it."""

        async def work(app: Any) -> int:
            now = app.clock()
            rooms = dict.fromkeys(app.routes.accounts, 1)
            claimed = (await app.store.deliveries.claim(rooms, token="t" * 8, worker="w", now=now, lease=now + 10**9))[
                0
            ]
            evidence = {"outcome": facts.get("outcome", "receipt"), "attempt": 1, "ms": 1234.5} | facts
            due = now + 60_000_000 if state is D.WAITING else None
            outcome = Outcome(
                *(claimed.id, claimed.token, claimed.item_id, claimed.channel, (E.START, *events), state, now),
                due_at=due,
                url=facts.get("url", ""),
                remote_id="r1" if state is D.SENT else "",
                reason=facts.get("reason", ""),
                sign=facts.get("sign", Sign.NONE),
                visible=facts.get("visible", False),
                evidence={k: v for k, v in evidence.items() if k not in {"url", "sign", "visible"}},
            )
            assert await app.store.deliveries.record([outcome], holds={}, now=now) == {claimed.id}
            await app.store.log.seal(now=app.clock())
            return int(claimed.id)

        return self.with_app(work)

    def doubtful(self) -> int:
        self.release()
        return self.attempt((E.LOSE,), D.IN_DOUBT, outcome="unknown", reason="late_answer")

    def failed(self) -> int:
        self.release()
        return self.attempt((E.REJECT,), D.FAILED, outcome="rejected", reason="http_404")
