"""Small words of the hour's templates."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django import forms, template
from django.forms.boundfield import BoundField
from django.utils.translation import gettext as _

from clinic.dosing import due
from clinic.dosing.alarms import cause_words, vital_names
from clinic.dosing.live import Live
from clinic.ui import words
from kap.observation import vitals

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


@dataclass(frozen=True)
class Score:
    """One row of buttons, and the minutes and window in which the schedule asks for it."""

    field: BoundField
    minutes: str
    window: str


@dataclass(frozen=True)
class ScoreSet:
    """The scores: those that the set of now asks for, and the others."""

    title: str
    now: tuple[Score, ...]
    later: tuple[Score, ...]


@register.simple_tag
def score_set(live: Live, form: forms.Form) -> ScoreSet:
    """Return the scores with those due first, by the schedule of the course's protocol."""
    schedule, started = live.protocol.tables["schedule"], live.state.started_at
    fields = {field.name: field for field in form.visible_fields()}
    minute = None if started is None else (live.at - started) // timedelta(minutes=1)
    found = due.due(schedule, fields, minute)
    rows = {name: _score(field, due.times_of(schedule, name)) for name, field in fields.items()}
    return ScoreSet(
        title=_("before the start") if found.minute is None else f"T+{found.minute}",
        now=tuple(row for name, row in rows.items() if name in found.names),
        later=tuple(row for name, row in rows.items() if name not in found.names),
    )


def _score(field: BoundField, times: due.Times) -> Score:
    return Score(field, " ".join(map(str, times.minutes)), " ".join(map(str, times.window)))


@register.filter
def vital_label(code: str) -> str:
    """Return a vital sign as its label beside an input says it: its name and unit."""
    return f"{vital_names().get(code, code)} ({words.unit(vitals()[code].unit)})"


@register.filter
def read_off(fields: Iterable[BoundField]) -> list[BoundField]:
    """Return questions in their order, but each upper pressure just before its lower one."""
    rows = list(fields)
    for upper in [row for row in rows if row.name.startswith("systolic")]:
        lower = upper.name.replace("systolic", "diastolic")
        place = next((n for n, row in enumerate(rows) if row.name == lower), None)
        if place is not None and place < rows.index(upper):
            rows.insert(place, rows.pop(rows.index(upper)))
    return rows
