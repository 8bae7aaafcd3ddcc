"""One post with every field filled, for the tests of channels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from channels.contract import Asset, Operation, Post
from channels.verdicts import Receipt

SHA = "ab" * 32


def post(**changes: Any) -> Post:
    base = Post(
        key="gb_k5x2example",
        operation=Operation.PUBLISH,
        item_id="01jexample",
        revision=3,
        content_hash="c0ffee" + "0" * 58,
        title="关于发布《示例办法》的公告",
        summary="自2026年1月1日起施行。",
        html="<p>第一条 为规范示例，制定本办法。</p>",
        text="第一条 为规范示例，制定本办法。",
        url="https://example.gov.cn/items/01jexample",
        column="announcements",
        column_name="公告",
        content_type="announcement",
        language="zh-CN",
        issuing_body="示例局",
        drafting_unit="办公室",
        released_at=1_767_225_600_000_001,
        occurred_at=1_767_225_600_000_001,
        document_number="示发〔2026〕12号",
        index_number="000014349/2026-00012",
        created_on="2025-12-30",
        effective_on="2026-01-01",
        expires_at=1_798_761_600_000_000,
        keywords=("示例", "办法"),
        attachments=(Asset("附件.pdf", "https://example.gov.cn/media/a.pdf", SHA, "application/pdf", 1234),),
        images=(Asset("图.png", "https://example.gov.cn/media/b.png", SHA, "image/png", 99, "一张图"),),
        related=(("interprets", "01jother"),),
    )
    return replace(base, **changes)


def correction(**changes: Any) -> Post:
    first = Receipt("gb_first")
    facts = {"operation": Operation.EDIT, "key": "gb_edit", "remote": first, "note": "更正第三条日期", "revision": 4}
    return post(**(facts | changes))


def withdrawal(**changes: Any) -> Post:
    first = Receipt("gb_first")
    facts = {"operation": Operation.RECALL, "key": "gb_recall", "remote": first, "reason": "error", "note": "内容有误"}
    return post(**(facts | changes))
