"""The article that an item becomes: title, author, digest, content, within WeChat's limits. Pure.

An editor's own wording: its first line is the title, what follows it (if anything) stands in place of the body.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from channels import forms, text
from channels.adapters.wechat_official import html
from channels.contract import Asset, Measured, Operation, Post, Prepared
from channels.verdicts import Rejected

# developers.weixin.qq.com, "Add draft": title 32, author 16, content under 20,000 characters (and
# under 1 MB, which so many characters never reach). The digest
# is 128 on an older page and 120 on a newer one: the smaller. Whether a character is a code point is said nowhere.
TITLE, AUTHOR, DIGEST = 32, 16, 120
CONTENT, SOURCE_URL = 19_999, 1_024
SOURCE_RESERVE = 200  # characters of a picture's address once uploaded; those of mmbiz.qpic.cn have about 150

_ATTACHED = {"zh": "附件：", "en": "Attachments:"}


@dataclass(frozen=True, slots=True)
class Article:
    """`content` still has the pictures' public addresses; `images` are those addresses, `cover` the picture to show
    in front (None: the account's own)."""

    title: str
    author: str
    digest: str
    content: str
    source_url: str
    images: tuple[str, ...]
    cover: Asset | None
    dropped: tuple[str, ...]

    def payload(self, cover_id: str, sources: Mapping[str, str]) -> dict[str, Any]:
        """As `draft/add` takes it. Raises `Rejected` when the uploaded addresses make it too long after all."""
        content = html.rewritten(self.content, sources)
        _content_fits(content, 0)
        return {
            "article_type": "news",
            "title": self.title,
            "author": self.author,
            "digest": self.digest,
            "content": content,
            "content_source_url": self.source_url,
            "thumb_media_id": cover_id,
            "need_open_comment": 0,
            "only_fans_can_comment": 0,
        }


def source_url(post: Post) -> str:
    """The permalink with a fragment of our own: by it an article is known again. Readers come to the same page."""
    return f"{post.url}#gb{hashlib.sha256(post.key.encode()).hexdigest()[:12]}"


def compose(post: Post, *, author: str, shorten: bool, own_cover: bool) -> Article:
    """Raises `Rejected`: too long, or nothing to show in front."""
    own_title, _, own_body = post.wording.strip().partition("\n")
    title, cut = _title(own_title.strip() or post.title, shorten=shorten and not own_title.strip())
    signed = author or post.issuing_body
    pictures = {asset.url: asset for asset in post.images}
    body = html.reduce(post.html, pictures) if not own_body.strip() else _worded(own_body)
    unplaced = [asset for url, asset in pictures.items() if url not in body.images]
    shown = [f"<p>{html.image(asset.url, asset.alt)}</p>" for asset in unplaced]
    digest = text.cut(" ".join(post.summary.split()), DIGEST)
    images = (*body.images, *(asset.url for asset in unplaced))
    article = Article(
        title=title,
        author=signed if len(signed) <= AUTHOR else "",
        digest=digest,
        content="".join([*_head(post, cut), body.html, *shown, *_foot(post)]),
        source_url=source_url(post),
        images=images,
        cover=pictures[images[0]] if images else None,
        dropped=(*body.dropped, *_shortened(post, signed, digest, cut)),
    )
    _fits(article, own_cover)
    return article


def _title(title: str, *, shorten: bool) -> tuple[str, bool]:
    """The title, and whether it was shortened (the whole of it then opens the body)."""
    title = " ".join(title.split())
    if len(title) <= TITLE:
        return title, False
    if not shorten:
        remedy = "write a wording for this channel whose first line is a shorter title"
        raise forms.too_long(Measured("title", len(title), TITLE, "characters"), remedy)
    return text.cut(title, TITLE), True


def _head(post: Post, cut: bool) -> list[str]:
    """That it corrects an earlier article, and the whole title where it was shortened."""
    corrects = (forms.note(post) or forms.headline(post)) if post.operation is Operation.EDIT else ""
    return [html.paragraph(line, strong=True) for line in (corrects, post.title if cut else "") if line]


def _foot(post: Post) -> list[str]:
    return [html.paragraph(line) for line in (_attached(post), forms.converted(post)) if line]


def _worded(body: str) -> html.Reduced:
    blocks = (block.strip() for block in body.split("\n\n"))
    return html.Reduced("".join(html.paragraph(block) for block in blocks if block), (), ("body",))


def _attached(post: Post) -> str:
    if not post.attachments:
        return ""
    label = _ATTACHED["en" if post.language.lower().startswith("en") else "zh"]
    lines = [f"{n}. {asset.name}（{asset.url}）" for n, asset in enumerate(post.attachments, 1)]
    return "\n".join([label, *lines])


def _shortened(post: Post, signed: str, digest: str, cut: bool) -> list[str]:
    found = {"title": cut, "author": len(signed) > AUTHOR, "summary": digest != " ".join(post.summary.split())}
    return [name for name, so in found.items() if so]


def _fits(article: Article, own_cover: bool) -> None:
    _content_fits(article.content, _reserve(article))
    link = Measured("link", text.utf8(article.source_url), SOURCE_URL, "bytes")
    if link.length > SOURCE_URL:
        raise forms.too_long(link)
    if article.cover is None and not own_cover:
        raise Rejected("no_cover", "an article needs a picture: add one to the item, or set cover_file for the account")


def _content_fits(content: str, reserve: int) -> None:
    measured = _measured(content, reserve)
    if measured.length > CONTENT:
        raise forms.too_long(measured, "shorten it, or write a wording for this channel: a title, then a shorter text")


def _measured(content: str, reserve: int) -> Measured:
    return Measured("body", len(content) + reserve, CONTENT, "characters")


def _reserve(article: Article) -> int:
    """What the pictures' addresses may grow by when they are uploaded."""
    return sum(max(0, SOURCE_RESERVE - len(src)) for src in article.images)


def prepared(article: Article) -> Prepared:
    """For people: what is sent, apart from the addresses that only WeChat can give."""
    measured = (
        Measured("title", len(article.title), TITLE, "characters"),
        Measured("digest", len(article.digest), DIGEST, "characters"),
        _measured(article.content, _reserve(article)),
        Measured("images", len(article.images), None, "count"),
    )
    shown = f"{article.title}\n\n{html.text_of(article.content)}"
    return Prepared(article.payload("", {}), shown, measured, article.dropped)
