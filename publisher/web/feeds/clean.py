"""Text that survives XML, JSON and every reader: a cleaned copy; what is stored stays as it came."""

from __future__ import annotations

import re

# Characters that XML 1.0 cannot hold in any form (XML 1.0, production [2] Char), lone surrogates included,
# and U+FDD0 to U+FDEF, which HTML calls a parse error and no text needs.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_SPACE = re.compile(r"\s+")


def clean(text: str) -> str:
    """`text` without the characters that would make a whole feed unreadable; CR LF and CR become LF."""
    return _FORBIDDEN.sub("", text).replace("\r\n", "\n").replace("\r", "\n")


def one_line(text: str) -> str:
    """Cleaned, every run of white space one space: titles, names, terms."""
    return _SPACE.sub(" ", clean(text)).strip()


def shorten(text: str, limit: int) -> str:
    """One line of at most `limit` characters; a cut ends in an ellipsis."""
    line = one_line(text)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
