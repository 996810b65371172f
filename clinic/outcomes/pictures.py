"""A course's rows as the core's pictures draw them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.utils.safestring import SafeString

from clinic.course.models import Session
from clinic.outcomes.queries import Progress
from kap import arc as core
from kap import outcome
from kap.axis import Language

EARLIEST_DAY = -14  # where the arc begins, unless a score is older


class Drawn(NamedTuple):
    """A picture and its text twin, both made by the core from numbers alone."""

    svg: SafeString
    table: SafeString


def arc(seen: Progress, sessions: Sequence[Session], language: str) -> Drawn:
    """Return the patient's arc over the course, in days of the site from the first dose."""
    lang: Language = "fr" if language.startswith("fr") else "en"
    spec = spec_of(seen, sessions)
    # Safe: the core escapes its words and writes numbers only.
    return Drawn(
        SafeString(core.arc(spec, width=1100, language=lang)),
        SafeString(core.arc_table(spec, language=lang)),
    )


def spec_of(seen: Progress, sessions: Sequence[Session]) -> core.Arc:
    """Return the arc of a course: its scores, doses, therapy sessions and the response line."""
    zone = seen.course.site.tz
    first = seen.doses[0].observed_at if seen.doses else seen.at

    def day(at: datetime) -> int:
        return (at.astimezone(zone).date() - first.astimezone(zone).date()).days

    marks = [
        core.ArcMark(day(dose.observed_at), "dose", str(number))
        for number, dose in enumerate(seen.doses, start=1)
    ] + [
        core.ArcMark(day(session.planned_start), "therapy")
        for session in sessions
        if session.kind != Session.Kind.DOSING and session.planned_start <= seen.at
    ]
    baseline = seen.baseline.total if seen.baseline else None
    scores = [core.ArcScore(day(r.answered_at), r.total, r.prorated) for r in seen.responses]
    return core.Arc(
        instrument=seen.instrument,
        scores=scores,
        marks=marks,
        response_at=outcome.response_line(seen.instrument, baseline) if baseline else None,
        today=day(seen.at),
        first_day=min([EARLIEST_DAY, *(score.day - 1 for score in scores)]),
        last_day=max(60, day(seen.at) + 14),
    )
