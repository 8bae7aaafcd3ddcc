"""Nothing that must stay hidden reaches the logs."""

from __future__ import annotations

import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.log_setup import JsonLines, redact

ID_NUMBER = "11010519491231002X"  # a published test vector of the check-digit algorithm


def line(message: str, *args: object, **extra: object) -> dict[str, object]:
    record = logging.LogRecord("t", logging.INFO, __file__, 1, message, args, None)
    record.__dict__.update(extra)
    return dict(json.loads(JsonLines().format(record)))


@pytest.mark.parametrize(
    "secret",
    [
        "whsec_Z29uZ2Jhby1iZW5jaC1zZWNyZXQtMDEyMzQ1Njc4OQ==",
        "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "gbt_h7Jf0sQb3kXbq2Yh9c1vWm4tR8uZ",
        "Bearer h7Jf0sQb3kXbq2Yh9c1vWm4tR8uZ",
        "Basic dXNlcjpwYXNzd29yZA==",
    ],
)
@pytest.mark.parametrize("around", ["{}", "refused: {}, then", "key={}&a=b", '"{}"'])
def test_a_secret_is_replaced_wherever_it_stands(secret: str, around: str) -> None:
    told = json.dumps(line("told %s", around.format(secret), also=around.format(secret)))
    assert secret.split("_")[-1].split(" ")[-1] not in told


def test_a_query_s_token_is_replaced() -> None:
    assert "s3cr3t" not in redact("GET /x?access_token=s3cr3t&b=1 HTTP/1.1")
    assert "b=1" in redact("GET /x?access_token=s3cr3t&b=1 HTTP/1.1")


@pytest.mark.parametrize("number", [ID_NUMBER, "13812345678", "6222 0200 0000 0000 000", "138-1234-5678"])
def test_long_numbers_are_masked(number: str) -> None:
    told = redact(f"refused {number}.")
    assert number not in told
    assert sum(c.isdigit() for c in told) <= 4


def test_a_traceback_is_redacted_as_well() -> None:
    try:
        raise ValueError(f"bad number {ID_NUMBER}")
    except ValueError:
        record = logging.LogRecord("t", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    told = JsonLines().format(record)
    assert ID_NUMBER not in told
    assert "ValueError" in told


@given(st.text())
def test_every_line_is_one_json_document(text: str) -> None:
    told = JsonLines().format(logging.LogRecord("t", logging.INFO, __file__, 1, "%s", (text,), None))
    assert "\n" not in told
    assert set(json.loads(told)) >= {"at", "level", "logger", "message"}


def test_short_numbers_and_hashes_stay_readable() -> None:
    text = "delivery 4711 of 2026-11-23, hash 0e71e81ebc5571a3a57d4c5d38bd65175d703811519a43c7e23f6b8b524c0e79"
    assert redact(text) == text
