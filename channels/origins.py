"""Where a platform's interface lives: a setting of every account, so that a stand-in can take its place."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator


def origin(url: str) -> str:
    """Without a trailing slash. Raises `ValueError`."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError("must be an http(s) address with a host")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must have no user name, password, query or fragment")
    return url.rstrip("/")


Origin = Annotated[str, AfterValidator(origin)]
