"""A group robot of WeCom (企业微信). Numbers: developer.work.weixin.qq.com, group robot (pages 91770 and 99110)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self
from urllib.parse import quote

from pydantic import Field, model_validator

from channels.account_keys import BaseAddress
from channels.adapters._robots import (
    Credential,
    Fault,
    Robot,
    RobotSettings,
    Said,
    capabilities,
    encoded,
    in_bytes,
    left_out,
    richest,
    shown,
)
from channels.contract import Measured, Operation, Post, Prepared
from channels.forms import headline, too_long
from channels.phrases import phrase
from channels.refusals import Sort
from channels.registry import Tools

PER_MINUTE = 20  # messages of one robot; above: 45009
TEXT, MARKDOWN = 2048, 4096  # bytes of UTF-8 in `content`
NEWS_TITLE, NEWS_DESCRIPTION = 128, 512  # bytes of UTF-8
# The page's own codes, and WxJava's WxCpErrorMsgEnum for their meanings.
FAULTS = (
    Fault(-1, Sort.DOUBT),
    Fault(40008, Sort.POST),
    Fault(40058, Sort.POST),
    Fault(44004, Sort.POST),
    Fault(45002, Sort.POST),
    Fault(45009, Sort.RATE, wait=60),
    Fault(93000, Sort.ACCOUNT),
)


CAPABILITIES = capabilities(PER_MINUTE)
FILED = False


class Settings(RobotSettings):
    """`key` is what stands behind `key=` in the robot's address. `per_minute` leaves room for others that use it."""

    key: Credential
    format: Literal["markdown", "text", "news"] = "markdown"
    per_minute: int = Field(PER_MINUTE, ge=1, le=PER_MINUTE)
    base_url: BaseAddress = "https://qyapi.weixin.qq.com"

    @model_validator(mode="after")
    def _mentions(self) -> Self:
        if self.mention_all and self.format != "text":
            raise ValueError('mention_all needs format = "text": the other forms of WeCom cannot mention everybody')
        return self


class WeComRobot(Robot):
    kind: ClassVar[str] = "wecom_robot"
    name: ClassVar[str] = "wecom"
    faults: ClassVar[tuple[Fault, ...]] = FAULTS

    def __init__(self, account: str, settings: Settings, tools: Tools) -> None:
        super().__init__(account, settings, tools, capabilities(settings.per_minute))
        self._settings = settings

    def prepare(self, post: Post) -> Prepared:
        """Corrections and withdrawals have no card: a card has too little room for what they must say."""
        if self._settings.format == "news" and post.operation is Operation.PUBLISH:
            return _news(post)
        link = phrase("read_on", post.language, url=post.url)

        def render(said: Said) -> tuple[dict[str, Any], Measured]:
            if self._settings.format == "text" or said.has_markup:
                return self._text(said, link)
            return _markdown(said, phrase("read_on", post.language, url=f"[{post.url}]({post.url})"))

        form, measured, said = richest(post, (), render)
        return Prepared(form, shown(said, link), (measured,), left_out(post, said))

    def _text(self, said: Said, link: str) -> tuple[dict[str, Any], Measured]:
        content = shown(said, link)
        mentions = {"mentioned_list": ["@all"]} if self._settings.mention_all else {}
        return {"msgtype": "text", "text": {"content": content, **mentions}}, in_bytes(content, TEXT)

    def signed(self, form: Mapping[str, Any], now: float) -> tuple[str, bytes]:
        key = quote(self._settings.key.get_secret_value(), safe="")
        return f"{self._settings.base_url}/cgi-bin/webhook/send?key={key}", encoded(form)

    def code(self, reply: Mapping[str, Any]) -> object:
        return reply.get("errcode")


def _markdown(said: Said, link: str) -> tuple[dict[str, Any], Measured]:
    content = shown(said._replace(title=f"# {said.title}" if said.title else ""), link)
    return {"msgtype": "markdown", "markdown": {"content": content}}, in_bytes(content, MARKDOWN)


def _news(post: Post) -> Prepared:
    """A card with the first picture. Of a wording the first line is its title."""
    picture = {"picurl": post.images[0].url} if post.images else {}

    def render(said: Said) -> tuple[dict[str, Any], Measured]:
        title, text = (said.title, said.text) if said.title else _first_line(said.text, post)
        card = {"title": title, "description": text, "url": post.url, **picture}
        return {"msgtype": "news", "news": {"articles": [card]}}, in_bytes(text, NEWS_DESCRIPTION)

    form, measured, said = richest(post, (), render)
    card = form["news"]["articles"][0]
    title = in_bytes(card["title"], NEWS_TITLE, "title")
    if title.length > NEWS_TITLE:
        raise too_long(title)
    files = {"images": post.images[1:], "attachments": post.attachments}
    dropped = (*said.dropped, *(name for name, some in files.items() if some))
    return Prepared(form, f"{card['title']}\n\n{card['description']}".strip(), (title, measured), dropped)


def _first_line(text: str, post: Post) -> tuple[str, str]:
    title, _, rest = text.strip().partition("\n")
    return title or headline(post), rest.strip()


def build(account: str, settings: Settings, tools: Tools) -> WeComRobot:
    return WeComRobot(account, settings, tools)
