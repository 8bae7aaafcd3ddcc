"""Links and attachments of published items, looked at again after 1, 7 and 30 days."""

from __future__ import annotations
