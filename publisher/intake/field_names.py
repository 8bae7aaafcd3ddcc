"""The names a submission may use: English keys, and the Chinese words of government practice for them."""

from __future__ import annotations

from typing import Final

FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "id": ("编号",),
    "title": ("标题",),
    "summary": ("内容概述", "摘要"),
    "column": ("专栏", "栏目"),
    "content_type": ("内容类型", "体裁分类", "type"),
    "issuing_body": ("发文机关", "发布机构"),
    "drafting_unit": ("起草单位",),
    "drafter": ("起草人", "拟稿人"),
    "openness": ("公开属性", "公开方式"),
    "closed_reason": ("不公开理由", "不予公开理由"),
    "document_number": ("发文字号", "文号"),
    "index_number": ("索引号",),
    "created_on": ("成文日期",),
    "effective_on": ("施行日期", "生效日期"),
    "validity": ("有效性",),
    "subject_class": ("主题分类",),
    "keywords": ("关键词", "主题词"),
    "attachments": ("附件",),
    "images": ("图片",),
    "links": ("链接", "相关链接"),
    "related": ("相关", "关联", "相关文件"),
    "item_class": ("分级", "class"),
    "source": ("来源",),
    "language": ("语言", "语种"),
    "not_before": ("不早于",),
    "expires_at": ("失效时间", "expires"),
    "channels": ("渠道", "发布渠道"),
    "wordings": ("渠道文案", "分渠道文案"),
    "body": ("正文",),
    "body_format": ("正文格式",),
}
PARTS: Final[dict[str, tuple[str, ...]]] = {
    "file": ("文件",),
    "name": ("名称",),
    "data": ("数据",),
    "alt": ("替代文字", "替代文本"),
    "decorative": ("装饰",),
    "rights": ("版权", "权利依据"),
    "ai_generated": ("人工智能生成", "AI生成"),
    "url": ("网址",),
    "text": ("文字",),
    "rel": ("关系",),
    "id": ("编号",),
}
OPENNESS: Final[dict[str, str]] = {"主动公开": "proactive", "依申请公开": "on_request", "不予公开": "closed"}
RELATIONS: Final[dict[str, str]] = {
    "interprets": "解读",
    "interpreted_by": "被解读",
    "replaces": "替代",
    "replaced_by": "被替代",
    "amends": "修改",
    "amended_by": "被修改",
    "repeals": "废止",
    "repealed_by": "被废止",
    "result_of": "结果",
    "explains": "说明",
    "corrects": "更正",
    "withdraws": "撤回",
    "batch_of": "批次",
    "ends": "结束",
    "relays": "转发",
}


def by_word(table: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Every accepted spelling -> the name used in the program."""
    return {word: name for name, also in table.items() for word in (name, *also)}
