"""Before the booked sessions: what will be out of date by then, and the last answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils.translation import gettext_lazy as _

from clinic.audit.author import Author
from clinic.course import asked, booked
from clinic.course import queries as course_queries
from clinic.course.models import Session
from clinic.ui import words
from kap.chart import Chart
from kap.facts import LISTS, vocabulary
from kap.lapse import Lapse, lapses
from kap.verdict import ask

AHEAD = timedelta(days=7)
# Who may answer without being a role of the staff.
MORE = {"patient": _("the patient"), "device": _("a device"), "record": _("our own record")}
RECORDS_FACTS = ("nurse", "prescriber", "medical_director")


@dataclass(frozen=True)
class Expiring:
    """A fact or list that is in date now and will not be at the session."""

    fact: str
    when: date | datetime
    answered_by: tuple[str, ...]

    @property
    def who(self) -> str:
        """Who may answer, in words."""
        return ", ".join(
            str(MORE[who]) if who in MORE else words.role(who) for who in self.answered_by
        )

    @property
    def is_list(self) -> bool:
        """Whether it is a reviewed list, which has a page of its own."""
        return self.fact in LISTS


@dataclass(frozen=True)
class Ahead:
    """One booked dose: what expires before it, and the last time it was asked about."""

    session: Session
    expiring: tuple[Expiring, ...]
    heard: asked.Heard | None


def ahead(by: Author, at: datetime) -> list[Ahead]:
    """Return the doses booked within seven days, in time: as many queries for many as for one."""
    sessions = _booked(at)
    charts = course_queries.charts((row.patient_id for row in sessions), at)
    last = asked.last_askings([row.pk for row in sessions], by.role)
    return [
        Ahead(row, tuple(_expiring(row, charts[row.patient_id], by, at)), last.get(row.pk))
        for row in sessions
    ]


def _booked(at: datetime) -> Sequence[Session]:
    rows = Session.objects.filter(
        kind=Session.Kind.DOSING,
        replaced_by__isnull=True,
        planned_start__gt=at,
        planned_start__lte=at + AHEAD,
    )
    return list(
        rows.select_related("course__protocol", "patient", "site").order_by("planned_start")
    )


def _expiring(session: Session, known: Chart, by: Author, at: datetime) -> Iterable[Expiring]:
    """Yield what lapses until the session and this reader may see, the earliest first."""
    protocol = course_queries.protocol_of(session.course)
    now, then = (course_queries.moment(t, session.site) for t in (at, session.planned_start))
    known = known.with_facts(*booked.slot_facts(session, (), at))
    seen = {read.name for read in ask(protocol, "start", known, now).seen_by(by.role).facts_read}
    for lapse in lapses(protocol, "start", known, now, then):
        if lapse.fact in seen:
            yield _told(lapse)


def _told(lapse: Lapse) -> Expiring:
    return Expiring(lapse.fact, lapse.when, vocabulary()[lapse.fact].answered_by)
