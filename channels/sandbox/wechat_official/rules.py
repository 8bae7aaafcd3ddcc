"""What WeChat checks of articles and pictures, and what it makes of an article's HTML (developers.weixin.qq.com, "Add
draft", "Upload image", "Add material"). Pure: facts in, a code out."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from lxml import html as lxml_html

TITLE, AUTHOR, DIGEST, CONTENT, CONTENT_BYTES, LINK_BYTES, ARTICLES = 32, 16, 120, 20_000, 1 << 20, 1_024, 8
INLINE_BYTES, MATERIAL_BYTES = 1 << 20, 10 << 20
MEDIA_HOST, OWN_HOST = "mmbiz.qpic.cn", "mp.weixin.qq.com"
ESCAPED = re.compile(rb"\\u[0-9a-fA-F]{4}")
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"


def fault(article: Any, materials: Collection[str]) -> int:
    """0, or the code with which an article is refused."""
    if not isinstance(article, dict) or not isinstance(article.get("content"), str):
        return 44003
    title, link = str(article.get("title", "")), str(article.get("content_source_url", ""))
    checks = (
        (not 0 < len(title) <= TITLE, 45003),
        (len(str(article.get("author", ""))) > AUTHOR, 45110),
        (len(str(article.get("digest", ""))) > DIGEST, 45004),
        (not article["content"], 44004),
        (len(article["content"]) >= CONTENT or len(article["content"].encode()) >= CONTENT_BYTES, 45002),
        (len(link.encode()) > LINK_BYTES or (link != "" and not link.startswith("http")), 41039),
        (article.get("thumb_media_id") not in materials, 40007),
    )
    return next((code for wrong, code in checks if wrong), 0)


def picture_fault(content: bytes | None, name: str, limit: int) -> int:
    if content is None:
        return 41005
    if not content:
        return 44001
    if not content.startswith((_JPEG, _PNG)) or not name.lower().endswith((".jpg", ".jpeg", ".png")):
        return 40005
    return 40009 if len(content) >= limit else 0


def kept(article: Mapping[str, Any]) -> dict[str, Any]:
    """The article as readers get it: no scripts, no pictures from elsewhere, no links that lead elsewhere."""
    body = lxml_html.fragment_fromstring(article["content"], create_parent="div")
    for node in body.xpath(".//script|.//style|.//iframe|.//form|.//object|.//embed"):
        node.drop_tree()
    for picture in body.xpath(".//img"):
        if urlsplit(picture.get("src", "")).hostname != MEDIA_HOST:
            picture.drop_tree()
    for link in body.xpath(".//a"):
        if urlsplit(link.get("href", "")).hostname != OWN_HOST:
            link.drop_tag()
    inner = (body.text or "") + "".join(lxml_html.tostring(child, encoding="unicode") for child in body)
    return {**article, "content": inner}


def read(article: Mapping[str, Any]) -> tuple[str, int]:
    """Its plain text, and how many pictures it shows."""
    body = lxml_html.fragment_fromstring(article["content"], create_parent="div")
    blocks = body.xpath(".//p|.//li|.//tr|.//h1|.//h2|.//h3|.//h4|.//h5|.//h6|.//section|.//br")
    for block in blocks:
        block.tail = "\n" + (block.tail or "")
    lines = (line.strip() for line in body.text_content().split("\n"))
    return "\n".join(line for line in lines if line), len(body.xpath(".//img"))
