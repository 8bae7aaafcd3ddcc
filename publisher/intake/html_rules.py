"""Which markup an item may hold, which is refused, and how deep it may nest. Data, and the code that reads it."""

from __future__ import annotations

import re
from typing import Final

HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
BLOCKS: Final = HEADINGS | {
    "address", "article", "aside", "blockquote", "caption", "dd", "div", "dl", "dt", "figcaption", "figure",
    "footer", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "tbody", "tfoot",
    "thead", "tr", "ul",
}  # fmt: skip
TABLE_PARTS: Final = frozenset(
    {"table", "thead", "tbody", "tfoot", "tr", "th", "td", "caption", "colgroup", "col"}
)
INLINE: Final = frozenset({
    "a", "abbr", "b", "bdi", "bdo", "br", "cite", "code", "del", "em", "i", "img", "ins", "kbd", "mark", "q", "rp",
    "rt", "ruby", "s", "samp", "small", "strong", "sub", "sup", "time", "u", "var",
})  # fmt: skip
KEPT: Final = (BLOCKS | TABLE_PARTS | INLINE) - {"article", "header", "footer", "main", "nav"}
VOID: Final = frozenset({"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})

KEPT_ATTRIBUTES: Final[dict[str, frozenset[str]]] = {
    "*": frozenset({"lang", "dir", "title"}),
    "a": frozenset({"href"}),
    "img": frozenset({"src", "alt", "width", "height", "role"}),
    "td": frozenset({"colspan", "rowspan", "headers"}),
    "th": frozenset({"colspan", "rowspan", "scope", "headers"}),
    "col": frozenset({"span"}),
    "colgroup": frozenset({"span"}),
    "ol": frozenset({"start", "reversed"}),
    "li": frozenset({"value"}),
    "time": frozenset({"datetime"}),
    "del": frozenset({"datetime"}),
    "ins": frozenset({"datetime"}),
}

# Elements that run code, load other documents, ask for input or change the page around the item.
REFUSED: Final = frozenset({
    "applet", "base", "button", "dialog", "embed", "form", "frame", "frameset", "iframe", "input", "math",
    "noscript", "object", "option", "param", "portal", "script", "select", "svg", "template", "textarea",
})  # fmt: skip
# Their content is not text for readers.
EMPTIED: Final = frozenset({"style", "title"})
UNNOTED: Final = frozenset(
    {"span", "html", "head", "body", "meta", "title", "wbr", "article", "header", "footer", "main"}
)
NOTED: Final = frozenset({
    "acronym", "audio", "big", "blink", "canvas", "center", "data", "details", "dfn", "fieldset", "font", "label",
    "legend", "link", "map", "area", "marquee", "menu", "meter", "nav", "nobr", "output",
    "picture", "progress", "search",
    "source", "strike", "style", "summary", "track", "tt", "video",
})  # fmt: skip
URL_ATTRIBUTES: Final = frozenset(
    {"href", "src", "action", "formaction", "poster", "data", "background", "cite"}
)
LINK_SCHEMES: Final = frozenset({"http", "https", "mailto", "tel"})
SCRIPT_SCHEMES: Final = frozenset({"javascript", "vbscript", "data", "livescript", "file", "blob"})

DEEPEST: Final = 128  # nested elements; a table in a list in a section needs about a dozen
LONGEST_TAG: Final = 20_000  # characters: the cost of a tag grows with the square of its attributes
_FORMATTING: Final = frozenset(
    {"a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"}
)
MOST_OPEN_FORMATS: Final = 16  # HTML repeats open ones in every later paragraph: they multiply
_CELL: Final = {"p", "td", "th"}
_CLOSES: Final[dict[str, set[str]]] = {
    "p": {"p"},
    "li": {"p", "li"},
    "dt": {"p", "dt", "dd"},
    "dd": {"p", "dt", "dd"},
    "td": _CELL,
    "th": _CELL,
    "tr": _CELL | {"tr"},
    "tbody": _CELL | {"tr", "thead", "tbody", "tfoot"},
    "tfoot": _CELL | {"tr", "thead", "tbody", "tfoot"},
}
_WALLS: Final = frozenset({"table", "td", "th", "caption", "object", "template"})
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]{0,40})")


def too_deep_at(html: str) -> int | None:
    """Offset of the first tag that nests beyond the bounds, else None.

    An estimate on the source, on the high side where end tags are missing, so that the HTML parser (whose cost
    grows with the square of the depth) is never handed a tower.
    """
    stack: list[str] = []
    for tag in _TAG.finditer(html):
        name = tag[2].lower()
        if html.find(">", tag.end(), tag.start() + LONGEST_TAG) < 0 and len(html) - tag.start() > LONGEST_TAG:
            return tag.start()
        if tag[1]:
            _close(stack, name)
        elif name not in VOID:
            while stack and stack[-1] in _CLOSES.get(name, ()):
                stack.pop()
            stack.append(name)
            formats = name in _FORMATTING and sum(n in _FORMATTING for n in stack)
            if len(stack) > DEEPEST or formats > MOST_OPEN_FORMATS:
                return tag.start()
    return None


def _close(stack: list[str], name: str) -> None:
    walls = {"table"} if name in TABLE_PARTS else _WALLS
    for place in range(len(stack) - 1, -1, -1):
        if stack[place] == name:
            del stack[place:]
            return
        if stack[place] in walls:
            return
