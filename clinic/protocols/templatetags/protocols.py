"""The words of a protocol's marks."""

from __future__ import annotations

from django import template

from clinic.ui import words

register = template.Library()


@register.filter
def mark_word(mark: str) -> str:
    """Return what a mark says about how far an entry was checked."""
    return words.of(words.MARKS, mark)
