"""What a user would notice, told to operators once: conditions (pure), words, the outbox's messages, the canary."""

from __future__ import annotations
