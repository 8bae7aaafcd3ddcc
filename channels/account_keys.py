"""Types that the settings of accounts share."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict


class Frozen(BaseModel):
    """Unknown keys are refused; a wrong value is never shown."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _base(url: str) -> str:
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


# Where a platform's interface lives, without a trailing slash: a setting, so that a stand-in can take its place.
BaseAddress = Annotated[str, AfterValidator(_base)]
