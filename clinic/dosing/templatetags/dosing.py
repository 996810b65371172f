"""Small words of the hour's templates."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

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
    """One row of buttons, the minutes and window in which the schedule asks for it; done or not."""

    field: BoundField
    minutes: str
    window: str
    is_done: bool


@dataclass(frozen=True)
class ScoreSet:
    """The scores: those that the set of now asks for, and the others."""

    title: str
    now: tuple[Score, ...]
    later: tuple[Score, ...]


@register.simple_tag
def score_set(live: Live, form: forms.Form) -> ScoreSet:
    """Return the scores with those due first, by the schedule of the course's protocol."""
    schedule, minute = live.protocol.tables["schedule"], _minute(live, live.at)
    fields = {field.name: field for field in form.visible_fields()}
    found, last = due.due(schedule, fields, minute), last_scored(live)
    rows = {}
    for name, field in fields.items():
        times = due.times_of(schedule, name)
        is_done = name in found.names and due.is_done(times, found.minute, last.get(name))
        rows[name] = Score(
            field, " ".join(map(str, times.minutes)), " ".join(map(str, times.window)), is_done
        )
    now = tuple(row for name, row in rows.items() if name in found.names)
    title = _("before the start") if found.minute is None else f"T+{found.minute}"
    return ScoreSet(
        title=f"{title} · {DONE} {_('done')}" if now and all(r.is_done for r in now) else title,
        now=now,
        later=tuple(row for name, row in rows.items() if name not in found.names),
    )


DONE = "✓"


def last_scored(live: Live) -> dict[str, int]:
    """Return the minute of the newest reading of each vital, from the start; before it below 0."""
    found = ((name, _minute(live, row.observed_at)) for name, row in live.latest.items())
    return {name: -1 if minute is None else minute for name, minute in found}


def _minute(live: Live, at: datetime) -> int | None:
    """Return the whole minute from the start; None before there is one."""
    started = live.state.started_at
    return None if started is None else (at - started) // timedelta(minutes=1)


@register.simple_tag
def scored(live: Live) -> str:
    """Return, for the page's script, when each vital was last read: "moaas:20 nausea:-3"."""
    return " ".join(f"{name}:{minute}" for name, minute in sorted(last_scored(live).items()))


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
