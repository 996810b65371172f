"""What a course page shows: scores in time, response against baseline, what comes next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.db import connection
from django.db.models import QuerySet

from clinic.audit.author import Author
from clinic.course import queries as course_queries
from clinic.course.models import Course, Fact, Session, Task
from clinic.outcomes.models import QuestionnaireLink, Response
from kap import instrument as instruments
from kap import outcome
from kap.instrument import Instrument

CLINICIANS = ("nurse", "therapist", "prescriber", "medical_director")


@dataclass
class Progress:
    """One course's scores on one instrument, read once."""

    course: Course
    instrument: Instrument
    at: datetime

    @cached_property
    def responses(self) -> list[Response]:
        """Return the responses up to now, oldest first."""
        return list(
            self.course.responses.filter(
                instrument=self.instrument.id, answered_at__lte=self.at
            ).order_by("answered_at")
        )

    @cached_property
    def doses(self) -> list[Fact]:
        """Return the doses given, oldest first."""
        return list(course_queries.facts_of(self.course.patient, self.at).filter(name="dose"))

    @property
    def scored(self) -> list[Response]:
        """Return the responses that have a total."""
        return [row for row in self.responses if row.total is not None]

    @cached_property
    def baseline(self) -> Response | None:
        """Return the last score before the first dose; before any dose, the last one."""
        first = self.doses[0].observed_at if self.doses else None
        before = [row for row in self.scored if first is None or row.answered_at <= first]
        return before[-1] if before else None

    @property
    def latest(self) -> Response | None:
        """Return the newest score, when it is not the baseline itself."""
        newest = self.scored[-1] if self.scored else None
        return newest if newest and newest != self.baseline else None

    @property
    def outcome(self) -> outcome.Outcome:
        """Return how the latest score stands against the baseline; unknown without both."""
        before, after = self.baseline, self.latest
        return outcome.response(
            self.instrument, before.total if before else None, after.total if after else None
        )

    @property
    def change(self) -> int | None:
        """Return latest minus baseline, in points."""
        if self.baseline is None or self.latest is None:
            return None
        return int(self.latest.total or 0) - int(self.baseline.total or 0)


def progress(course: Course, at: datetime, instrument_id: str = "phq9") -> Progress:
    """Return the course's progress on an instrument."""
    return Progress(course, instruments.load(instrument_id), at)


def tasks_for(by: Author, course: Course) -> QuerySet[Task]:
    """Return the course's open tasks that this reader may see: safety is for clinicians alone."""
    rows = course_queries.open_tasks(course=course)
    return rows if by.holds(*CLINICIANS) else rows.exclude(kind="safety")


def next_of(sessions: Iterable[Session], at: datetime) -> Session | None:
    """Return the soonest session that is still to come, of sessions in time."""
    return next((row for row in sessions if row.planned_start > at), None)


def find_link(token_hash: str) -> tuple[str, str] | None:
    """Return a link's id and site by its token's hash, or None. No site is set yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT link::text, site FROM afterglow_link(%s)", [token_hash])
        found: tuple[str, str] | None = cursor.fetchone()
    return found


def author_of_link(link_id: str, site: str, by: Author) -> Author:
    """Return the patient as the author behind a link, in the same request."""
    return Author(
        f"link:{link_id}",
        "",
        "patient",
        (site,),
        purpose="treatment",
        request=by.request,
        trail=by.trail,
    )


def link_of(link_id: str) -> QuestionnaireLink:
    """Return the link with its course, patient and site."""
    return QuestionnaireLink.objects.select_related("course", "patient", "site").get(pk=link_id)
