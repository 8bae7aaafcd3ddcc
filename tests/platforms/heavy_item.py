"""The item that is hard on every form: a title of more than 60 characters, 12 pictures, a table, 3,000 characters."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw

FAMILY, FLAG, RARE = "👨‍👩‍👧‍👦", "🇨🇳", "𠮷𡃁𪚥"
TITLE = (
    "关于印发《示例市〈版权登记条例〉实施办法（2026年修订）》（示版〔2026〕12号）"
    f"和开展版权{RARE}专项检查工作第1234567890期的公告{FAMILY}"
)
SUMMARY = (
    f"《示例市〈版权登记条例〉实施办法》{FLAG}自2026年3月1日起施行，"
    "示版〔2026〕12号文件同时公布，登记费用为12,345.67元。"
)
SENTENCE = (
    "第{n}条　依照《关于〈版权登记条例〉的决定》（示版〔2026〕{n}号），"
    f"{RARE}{FLAG}{FAMILY}应当在2026年3月{{day}}日以前到窗口办理。"
)
TABLE = "| 序号 | 名称 | 金额 |\n|---|---|---|\n| 1 | 甲类作品𠮷 | 12,345.67 |\n| 2 | 乙类作品 | 89.10 |\n"
PICTURES, BODY = 12, 3_000
HEAD = """---
id: {id}
title: {title}
column: notices
content_type: 服务通知
openness: 主动公开
drafter: 编辑甲
index_number: 11990000MB0000000J/2026-00001
created_on: 2026-03-02
keywords: 版权, 登记
summary: {summary}
---
"""


def picture(number: int, side: int = 640) -> bytes:
    """No two are alike."""
    image = Image.new("RGB", (side, side * 3 // 4), (20 * number % 256, 120, 255 - 20 * number % 256))
    ImageDraw.Draw(image).text((20, 20), f"picture {number}", fill="white")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def pictures() -> dict[str, bytes]:
    return {f"pic{n}.png": picture(n) for n in range(1, PICTURES + 1)}


def sentences() -> list[str]:
    """As many as make the body long enough."""
    found: list[str] = []
    while sum(map(len, found)) < BODY:
        found.append(SENTENCE.format(n=len(found) + 1, day=len(found) % 28 + 1))
    return found


def source(item_id: str) -> bytes:
    shown = [f"![第{n}张图片：登记窗口](pic{n}.png)" for n in range(1, PICTURES + 1)]
    parts = [*sentences(), TABLE, *shown]
    return (HEAD.format(id=item_id, title=TITLE, summary=SUMMARY) + "\n\n".join(parts) + "\n").encode()
