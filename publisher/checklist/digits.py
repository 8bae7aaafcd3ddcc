"""Check digits and shapes of the numbers that name persons and bodies."""

from __future__ import annotations

import datetime
import re

from stdnum import luhn
from stdnum.cn import ric, uscc

# Province codes of GB/T 2260, the first two digits of a resident ID (GB 11643).
PROVINCES = frozenset(
    [
        "11",
        "12",
        "13",
        "14",
        "15",
        "21",
        "22",
        "23",
        "31",
        "32",
        "33",
        "34",
        "35",
        "36",
        "37",
        "41",
        "42",
        "43",
        "44",
        "45",
        "46",
        "50",
        "51",
        "52",
        "53",
        "54",
        "61",
        "62",
        "63",
        "64",
        "65",
        "71",
        "81",
        "82",
        "83",
    ]
)
_ORG_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)  # GB 11714
_USCC_SHAPE = re.compile(r"[0-9A-HJ-NPQRTUWXY]{2}\d{6}[0-9A-HJ-NPQRTUWXY]{10}")  # GB 32100: no I O S V Z


def real_date(year: int, month: int, day: int) -> bool:
    try:
        datetime.date(year, month, day)
    except ValueError:
        return False
    return True


def resident_shape(number: str, today: datetime.date) -> bool:
    """Province and birth date of an 18-character resident ID; the first '9' is a foreign permanent resident."""
    if number[:2] not in PROVINCES and number[0] != "9":
        return False
    year, month, day = int(number[6:10]), int(number[10:12]), int(number[12:14])
    return year >= 1850 and real_date(year, month, day) and datetime.date(year, month, day) <= today


def resident_checked(number: str) -> bool:
    """The check character alone. `stdnum.cn.ric.is_valid` also asks its own list of counties, which lacks old
    and renamed ones (it refuses 440524188001010014), so only its check digit is used.
    """
    return bool(ric.calc_check_digit(number) == number[-1].upper())


def old_resident_shape(number: str) -> bool:
    """15 digits, birth year in two digits, no check character."""
    birth = int("19" + number[6:8]), int(number[8:10]), int(number[10:12])
    return number[:2] in PROVINCES and real_date(*birth)


def credit_code_shape(code: str) -> bool:
    return _USCC_SHAPE.fullmatch(code) is not None


def credit_code_checked(code: str) -> bool:
    """GB 32100 check character; the vector 911101000000000040 (sum divisible by 31) is in the tests because
    several implementations forget the last `mod 31`. `stdnum` is right here.
    """
    return credit_code_shape(code) and bool(uscc.calc_check_digit(code) == code[-1])


def organisation_code_checked(code: str) -> bool:
    """GB 11714: eight characters and a check character, without hyphen."""
    total = sum(int(char, 36) * weight for char, weight in zip(code, _ORG_WEIGHTS, strict=False))
    return "0123456789X0"[11 - total % 11] == code[8]


def card_checked(number: str) -> bool:
    return bool(luhn.is_valid(number))
