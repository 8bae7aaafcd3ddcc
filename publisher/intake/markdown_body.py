"""Markdown (CommonMark with tables and strike-through) to HTML that knows its source lines."""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from publisher.intake.html_body import mark_lines
from publisher.intake.html_write import breaks_away

_LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
Env = MutableMapping[str, Any]


def marked_html(text: str, marker: str, first_line: int) -> str:
    """HTML with the attribute `marker` on blocks and after line breaks; `first_line` is where `text` begins."""
    env: Env = {"marker": marker, "first": first_line}
    rendered: str = _markdown().render(text, env)
    return rendered


def leading_title(text: str) -> tuple[str, str] | None:
    """(title, rest) when the text opens with a level-one heading; the rest keeps every line in its place."""
    tokens = _markdown().parse(text)
    if not tokens or tokens[0].type != "heading_open" or tokens[0].tag != "h1" or tokens[0].map is None:
        return None
    title = "".join(t.content if t.type in ("text", "code_inline") else " " * (t.type == "softbreak")
                    for t in tokens[1].children or [])  # fmt: skip
    end = tokens[0].map[1]
    return title, "\n" * end + "".join(_LINES.findall(text)[end:])


class _Renderer(RendererHTML):
    def render(self, tokens: Sequence[Token], options: Any, env: Env) -> str:
        line = int(env["first"])
        for token in tokens:
            # Table cells have no place of their own: they stand on the line of their row.
            line = env["first"] + token.map[0] if token.map else line
            if token.type == "inline":
                _number_children(token, line, env["marker"])
            elif token.nesting > 0 or token.map:
                token.attrSet(env["marker"], str(line))
        rendered: str = super().render(tokens, options, env)
        return rendered

    def softbreak(self, tokens: Sequence[Token], idx: int, options: Any, env: Env) -> str:
        before = tokens[idx - 1].content[-1:] if idx else ""
        after = tokens[idx + 1].content[:1] if idx + 1 < len(tokens) else ""
        return ("" if breaks_away(before, after) else "\n") + _line_mark(tokens[idx], env)

    def hardbreak(self, tokens: Sequence[Token], idx: int, options: Any, env: Env) -> str:
        return "<br>\n" + _line_mark(tokens[idx], env)

    def html_inline(self, tokens: Sequence[Token], idx: int, options: Any, env: Env) -> str:
        return mark_lines(
            tokens[idx].content, env["marker"], int(tokens[idx].meta.get("line") or env["first"])
        )

    def html_block(self, tokens: Sequence[Token], idx: int, options: Any, env: Env) -> str:
        token = tokens[idx]
        line = env["first"] + token.map[0] if token.map else env["first"]
        return mark_lines(token.content, env["marker"], line)


def _number_children(inline: Token, line: int, marker: str) -> None:
    for child in inline.children or []:
        if child.type in ("softbreak", "hardbreak"):
            line += 1
        child.meta["line"] = line
        if child.type in ("image", "link_open"):
            child.attrSet(marker, str(line))


def _line_mark(token: Token, env: Env) -> str:
    line = token.meta.get("line")
    return f'<span {env["marker"]}="{line}"></span>' if line else ""


@cache
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": True}, renderer_cls=_Renderer).enable(
        ["table", "strikethrough"]
    )
    # Every link is let through to the judge of markup: left as text, a script address would go unnoticed.
    markdown.validateLink = lambda url: True  # type: ignore[method-assign]
    return markdown
