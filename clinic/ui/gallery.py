"""Specimens for the gallery: each component in its states, with invented people."""

from __future__ import annotations

from typing import Any


def specimens() -> dict[str, Any]:
    """Return what the gallery shows."""
    return {}
