"""What the tests of the checklist share."""

from __future__ import annotations

import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RULES, WORDS = ROOT / "config" / "rules", ROOT / "config" / "words"
TODAY = datetime.date(2024, 7, 1)
