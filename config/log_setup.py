"""Logs as JSON lines on standard error, with what must never be printed masked."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any

# ID numbers, mobiles, cards: any long run of digits, also split by blanks or hyphens. Ours are shorter or hashed.
_DIGITS = re.compile(r"(?<![0-9A-Za-z_])\d(?:[ \-]?\d){10,18}[0-9Xx]?(?![0-9A-Za-z_])")
_TOKENS = re.compile(r"(whsec_|whsk_|gbt_)[A-Za-z0-9+/=_-]+|((?i:bearer|basic)\s+)[A-Za-z0-9+/=._~-]{8,}")
_PAIRS = re.compile(r"((?i:access_token|secret|password|token|key|sign)=)[^&\s\"']+")
_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


def redact(text: str) -> str:
    """Secrets and long numbers in `text` replaced; the rest as it was."""
    text = _TOKENS.sub(lambda m: (m[1] or m[2]) + "[redacted]", text)
    text = _PAIRS.sub(r"\1[redacted]", text)
    return _DIGITS.sub(lambda m: m[0][:2] + "*" * (len(m[0]) - 4) + m[0][-2:], text)


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        for key, value in record.__dict__.items():
            if key not in _OWN:
                facts[key] = redact(value) if isinstance(value, str) else value
        if record.exc_info:
            facts["error"] = redact(self.formatException(record.exc_info))
        return json.dumps(facts, ensure_ascii=False, default=lambda v: redact(str(v)))


def set_up(level: str) -> None:
    """Replaces the root logger's handlers. aiohttp's access log is left off: it would hold readers' addresses."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("aiohttp.access", "apscheduler", "alembic", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.WARNING)
