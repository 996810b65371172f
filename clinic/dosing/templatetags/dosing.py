"""Small words of the hour's templates."""

from __future__ import annotations

import uuid

from django import template

from clinic.dosing.alarms import cause_words

register = template.Library()


@register.simple_tag
def new_key() -> str:
    """Return a key that makes a second press or a replay of one form harmless."""
    return str(uuid.uuid4())


@register.simple_tag
def causes() -> list[tuple[str, str]]:
    """Return the causes of an alarm that are one tap away, with their words."""
    return list(cause_words().items())


@register.simple_tag
def minutes_seconds(milliseconds: int) -> str:
    """Return a span as 0:42."""
    seconds = max(0, milliseconds) // 1000
    return f"{seconds // 60}:{seconds % 60:02}"
