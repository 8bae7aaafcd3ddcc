"""Style sheets and the icon, under names that change with their bytes, so that they may be kept for ever."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "style"
_TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


@cache
def assets() -> dict[str, tuple[bytes, str]]:
    """Public name -> bytes and media type."""
    return {public: (path.read_bytes(), _TYPES[path.suffix]) for path, public in _names().values()}


@cache
def _names() -> dict[str, tuple[Path, str]]:
    found = {}
    for path in sorted(_FOLDER.iterdir()):
        if path.suffix in _TYPES:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()[:10]
            found[path.name] = (path, f"{path.stem}-{digest}{path.suffix}")
    return found


def public_name(name: str) -> str:
    """`site.css` -> `site-<hash>.css`."""
    return _names()[name][1]
