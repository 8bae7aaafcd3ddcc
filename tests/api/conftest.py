"""Fixtures of the API."""

from api_world import world

__all__ = ["world"]
