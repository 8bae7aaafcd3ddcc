"""`multipart/form-data` (RFC 7578) as bytes. The same parts give the same bytes for ever. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple


class Part(NamedTuple):
    """A file. `name` is what the platform is told it is called."""

    name: str
    media_type: str
    content: bytes


def multipart(fields: Mapping[str, str], files: Mapping[str, Part]) -> tuple[str, bytes]:
    """The Content-Type and the body. Fields come first, in the order given."""
    chunks = [(_head(name), value.encode()) for name, value in fields.items()]
    chunks += [(_head(name, part), part.content) for name, part in files.items()]
    seed = hashlib.sha256(b"".join(head + content for head, content in chunks)).hexdigest()
    boundary = f"gongbao-{seed[:40]}"
    mark = boundary.encode()
    body = b"".join(b"--" + mark + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n" for head, content in chunks)
    return f"multipart/form-data; boundary={boundary}", body + b"--" + mark + b"--\r\n"


def _head(name: str, part: Part | None = None) -> bytes:
    head = f'Content-Disposition: form-data; name="{_quoted(name)}"'
    if part is not None:
        head += f'; filename="{_quoted(part.name)}"\r\nContent-Type: {part.media_type}'
    return head.encode()


def _quoted(name: str) -> str:
    """As browsers do (RFC 7578 section 2; WHATWG HTML, multipart encoding)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
