"""A shelf in memory: the reader's promises, kept plainly, and a count of how often it is asked."""

from __future__ import annotations

from dataclasses import replace

from publisher.content import Attachment, Content, Image, Openness, Related
from publisher.web.view import Column, Published, SiteInfo, Withdrawal

SECOND = 1_000_000
DAY = 86_400 * SECOND
START = 1_767_225_600 * SECOND  # 2026-01-01 00:00 UTC

SITE = SiteInfo(
    base_url="https://www.example.gov.cn",
    agency_zh="示例市版权局",
    agency_en="Example Copyright Office",
    tag_authority="example.gov.cn",
    tag_date="2026-01-01",
    columns=(
        Column("policies", "政策文件", "Policies", "规章、规范性文件及其解读。", "Rules and their interpretation."),
        Column("notices", "通知公告", "Notices", "面向公众的通知与公告。", "Notices to the public."),
        Column("warnings", "版权预警", "Copyright warnings"),
    ),
)


def content(number: int = 1, **changes: object) -> Content:
    values: dict[str, object] = {
        "title": f"关于第{number}号事项的通知",
        "summary": f"第{number}号事项的摘要。",
        "body_html": f"<p>各有关单位：</p><p>现将第{number}号事项通知如下。</p>",
        "body_text": f"各有关单位：\n现将第{number}号事项通知如下。",
        "column": "notices",
        "content_type": "CT05",
        "issuing_body": "示例市版权局",
        "drafting_unit": "政策法规处",
        "openness": Openness.PROACTIVE,
        **changes,
    }
    return Content.model_validate(values)


def published(number: int = 1, **changes: object) -> Published:
    at = START + number * 60 * SECOND
    return Published(f"item-{number:04d}", 1, content(number, **changes), at, at)


class MemoryShelf:
    def __init__(self) -> None:
        self.items: dict[str, Published] = {}
        self.number = 0
        self.asked: list[str] = []
        self.clock = START

    def put(self, item: Published) -> Published:
        self.items[item.item_id] = item
        self.number += 1
        self.clock = max(self.clock, item.updated_at)
        return item

    def fill(self, count: int, **changes: object) -> None:
        for number in range(len(self.items) + 1, len(self.items) + count + 1):
            self.put(published(number, **changes))

    def correct(self, item_id: str, note: str = "数字有误，已更正。", **changes: object) -> Published:
        old, at = self.items[item_id], self.clock + SECOND
        made = Content.model_validate({**old.content.model_dump(), **changes})
        notes = (*old.corrections, (at, note))
        return self.put(replace(old, revision=old.revision + 1, content=made, updated_at=at, corrections=notes))

    def withdraw(self, item_id: str, reason: str = "error", note: str = "公告内容有误，现予撤回。") -> Published:
        old, at = self.items[item_id], self.clock + SECOND
        return self.put(replace(old, updated_at=at, withdrawal=Withdrawal(reason, note, at)))

    async def version(self) -> int:
        self.asked.append("version")
        return self.number

    async def get(self, item_id: str) -> Published | None:
        self.asked.append("get")
        return self.items.get(item_id)

    async def latest(self, column: str | None, limit: int) -> list[Published]:
        self.asked.append("latest")
        found = sorted(self._of(column), key=lambda item: item.updated_at, reverse=True)
        return found[:limit]

    async def slice(self, column: str | None, offset: int, limit: int) -> list[Published]:
        self.asked.append("slice")
        return self._of(column)[offset : offset + limit]

    async def count(self, column: str | None) -> int:
        self.asked.append("count")
        return len(self._of(column))

    def _of(self, column: str | None) -> list[Published]:
        found = [item for item in self.items.values() if column in (None, item.content.column)]
        return sorted(found, key=lambda item: item.published_at)


def attachment(name: str = "附件1：申报表.pdf", sha: str = "a" * 64, size: int = 12_345) -> Attachment:
    return Attachment(name=name, sha256=sha, media_type="application/pdf", size=size)


def image(name: str = "图解.png", sha: str = "b" * 64, alt: str = "办理流程图") -> Image:
    return Image(name=name, sha256=sha, media_type="image/png", size=2_048, alt=alt)


def related(rel: str, item_id: str) -> Related:
    return Related(rel=rel, id=item_id)
