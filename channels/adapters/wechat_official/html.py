"""Item HTML reduced to what WeChat keeps of an article. Pure.

WeChat removes scripts without a word, filters pictures that are not on its own host, and drops links that lead
elsewhere for ordinary accounts (developers.weixin.qq.com, "Add draft"). What would be lost there is turned into text
here, and named: a link becomes its text with the address in brackets, a caption a paragraph.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from html import escape
from types import MappingProxyType
from urllib.parse import SplitResult, urlsplit

from lxml import html as lxml_html

KEPT = frozenset({
    "b", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "ins", "li", "ol", "p",
    "pre", "s", "section", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u",
    "ul",
})  # fmt: skip
RENAMED: Mapping[str, str] = MappingProxyType(
    {
        "address": "p",
        "aside": "section",
        "dd": "p",
        "div": "section",
        "dl": "section",
        "dt": "p",
        "figcaption": "p",
        "figure": "section",
        "kbd": "code",
        "mark": "strong",
        "samp": "code",
        "strike": "s",
    }
)
UNWRAPPED = frozenset({
    "abbr", "article", "bdi", "bdo", "body", "cite", "data", "dfn", "font", "footer", "header", "html", "label", "main",
    "nav", "q", "ruby", "small", "time", "var", "wbr",
})  # fmt: skip
EMPTIED = frozenset({
    "applet", "audio", "base", "button", "canvas", "embed", "form", "frame", "frameset", "head", "iframe", "input",
    "link", "map", "math", "meta", "noscript", "object", "option", "param", "rp", "script", "select", "source", "style",
    "svg", "template", "textarea", "title", "track", "video",
})  # fmt: skip
SILENT = frozenset({"base", "head", "link", "meta", "param", "rp", "source", "style", "title", "track"})
VOID = frozenset({"br", "hr"})
ATTRIBUTES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"td": ("colspan", "rowspan"), "th": ("colspan", "rowspan"), "ol": ("start",), "li": ("value",)}
)
STYLES: Mapping[str, str] = MappingProxyType(  # inline: WeChat keeps no style sheet. Short, for they count as content
    {
        "table": "border-collapse:collapse;width:100%",
        "td": "border:1px solid;padding:4px",
        "th": "border:1px solid;padding:4px",
        "img": "max-width:100%",
    }
)
BLOCKS = frozenset({"blockquote", "br", "hr", "li", "p", "pre", "section", "tr"}) | {f"h{n}" for n in range(1, 7)}
_BLANKS, _AROUND_TABS = re.compile(r"[ \t\r\n]+"), re.compile(r" *\t *")
OWN_HOST = "mp.weixin.qq.com"  # articles of official accounts: the one host that body links may lead to


@dataclass(frozen=True, slots=True)
class Reduced:
    """`images` are the sources that stand in it, in order, without repeats."""

    html: str
    images: tuple[str, ...]
    dropped: tuple[str, ...]


@dataclass(slots=True)
class _Work:
    known: Collection[str]
    out: list[str] = field(default_factory=list)
    images: dict[str, None] = field(default_factory=dict)
    dropped: dict[str, None] = field(default_factory=dict)
    pictures: int = 0


def reduce(source: str, known: Collection[str]) -> Reduced:
    """`known` are the picture addresses that can be uploaded; other pictures leave their description behind."""
    work = _Work(known)
    if source.strip():
        _children(lxml_html.fragment_fromstring(source, create_parent="div"), work)
    return Reduced("".join(work.out).strip(), tuple(work.images), tuple(work.dropped))


def image(src: str, alt: str) -> str:
    described = f' alt="{escape(alt)}"' if alt else ""
    return f'<img src="{escape(src)}"{described} style="{STYLES["img"]}">'


def paragraph(text: str, *, strong: bool = False) -> str:
    inner = "<br>".join(escape(line, quote=False) for line in text.splitlines())
    return f"<p><strong>{inner}</strong></p>" if strong else f"<p>{inner}</p>"


def rewritten(content: str, sources: Mapping[str, str]) -> str:
    """With pictures taken from where they were uploaded to."""
    for src, new in sources.items():
        content = content.replace(f'<img src="{escape(src)}"', f'<img src="{escape(new)}"')
    return content


def text_of(content: str) -> str:
    """What a reader sees, plain: a line a block, a tab between cells."""
    if not content:
        return ""
    pieces: list[str] = []
    _plain(lxml_html.fragment_fromstring(content, create_parent="div"), pieces)
    lines = (_AROUND_TABS.sub("\t", line).strip() for line in "".join(pieces).split("\n"))
    return "\n".join(line for line in lines if line)


def _plain(element: lxml_html.HtmlElement, pieces: list[str]) -> None:
    pieces.append(_flowing(element.text))
    for child in element:
        edge = "\n" if child.tag in BLOCKS else "\t" if child.tag in ("td", "th") else ""
        pieces.append("\n" if edge == "\n" else "")
        _plain(child, pieces)
        pieces.append(edge)
        pieces.append(_flowing(child.tail))


def _flowing(text: str | None) -> str:
    """Line ends of the source are no line ends for readers."""
    return _BLANKS.sub(" ", text or "")


def _children(element: lxml_html.HtmlElement, work: _Work) -> None:
    work.out.append(escape(element.text or "", quote=False))
    for child in element:
        if isinstance(child.tag, str):
            _element(child, work)
        work.out.append(escape(child.tail or "", quote=False))


def _element(element: lxml_html.HtmlElement, work: _Work) -> None:
    tag = element.tag
    if tag == "a":
        _link(element, work)
    elif tag == "img":
        _image(element, work)
    elif tag in EMPTIED:
        if tag not in SILENT:
            work.dropped[f"html:{tag}"] = None
    elif tag == "rt":
        work.out.append("（")
        _children(element, work)
        work.out.append("）")
    elif tag == "table":
        _table(element, work)
    else:
        _plain_element(element, RENAMED.get(tag, tag), work)


def _plain_element(element: lxml_html.HtmlElement, tag: str, work: _Work) -> None:
    if tag not in KEPT:
        if tag not in UNWRAPPED:
            work.dropped[f"html:{tag}"] = None
        _children(element, work)
        return
    work.out.append(_start(element, tag))
    if tag in VOID:
        return
    _children(element, work)
    work.out.append(f"</{tag}>")


def _start(element: lxml_html.HtmlElement, tag: str) -> str:
    kept = ((name, element.get(name)) for name in ATTRIBUTES.get(tag, ()))
    attributes = "".join(f' {name}="{escape(value)}"' for name, value in kept if value and value.isdigit())
    style = f' style="{STYLES[tag]}"' if tag in STYLES else ""
    return f"<{tag}{attributes}{style}>"


def _table(element: lxml_html.HtmlElement, work: _Work) -> None:
    """Its caption goes before it, as a paragraph."""
    for caption in element.findall("caption"):
        work.out.append("<p>")
        _children(caption, work)
        work.out.append("</p>")
        element.remove(caption)
    for columns in element.findall("colgroup"):
        element.remove(columns)
    _plain_element(element, "table", work)


def _link(element: lxml_html.HtmlElement, work: _Work) -> None:
    address = (element.get("href") or "").strip()
    parts = _split(address)
    if parts is not None and parts.scheme == "https" and parts.hostname == OWN_HOST:
        work.out.append(f'<a href="{escape(address)}">')
        _children(element, work)
        work.out.append("</a>")
        return
    _children(element, work)
    if parts is None or parts.scheme not in ("http", "https", "mailto", "tel"):
        return
    work.dropped["links"] = None
    shown = address.partition(":")[2] if parts.scheme in ("mailto", "tel") else address
    if shown not in element.text_content():
        work.out.append(f"（{escape(shown, quote=False)}）")


def _split(address: str) -> SplitResult | None:
    try:
        return urlsplit(address)
    except ValueError:
        return None


def _image(element: lxml_html.HtmlElement, work: _Work) -> None:
    work.pictures += 1
    src, alt = element.get("src") or "", (element.get("alt") or "").strip()
    if src in work.known:
        work.images[src] = None
        work.out.append(image(src, alt))
        return
    work.dropped[f"image:{work.pictures}"] = None
    if alt:
        work.out.append(f"［{escape(alt, quote=False)}］")
