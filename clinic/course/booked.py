"""Reading the dosing sessions that are booked: which one is next, and what a gate reads of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta

from django.db.models import Exists, OuterRef

from clinic.course.models import Asking, Course, Session
from clinic.people.models import Site
from kap.chart import Chart, Fact, Source

A_DAY = timedelta(days=1)


def local_day(at: datetime, site: Site) -> date:
    """Return the date that a wall at the site shows at `at`."""
    return at.astimezone(site.tz).date()


def midnight(day: date, site: Site) -> datetime:
    """Return the instant at which a day begins at the site."""
    return datetime.combine(day, time(), tzinfo=site.tz)


def booked(course: Course, at: datetime) -> list[Session]:
    """Return the course's dosing sessions that stand, from today at the site on, in time."""
    return list(
        course.sessions.filter(
            kind=Session.Kind.DOSING,
            replaced_by__isnull=True,
            planned_start__gte=midnight(local_day(at, course.site), course.site),
        ).order_by("planned_start")
    )


def not_asked_for_tomorrow(site: Site, at: datetime) -> list[Session]:
    """Return the doses booked for tomorrow by the site's wall that were not asked about for it."""
    tomorrow = local_day(at, site) + A_DAY
    rows = Session.objects.filter(
        site=site,
        kind=Session.Kind.DOSING,
        replaced_by__isnull=True,
        planned_start__gte=midnight(tomorrow, site),
        planned_start__lt=midnight(tomorrow + A_DAY, site),
    )
    asked = Asking.objects.filter(session=OuterRef("pk"), occasion=Asking.Occasion.DAY_BEFORE)
    rows = rows.filter(~Exists(asked)).select_related("course__protocol", "patient", "site")
    return list(rows.select_related("course__patient", "course__site").order_by("planned_start"))


def next_booked(sessions: Iterable[Session], known: Chart, site: Site) -> Session | None:
    """Return the first session on whose day no dose has begun, or None."""
    dosed = {local_day(fact.observed_at, site) for fact in known.facts.get("dose", ())}
    return next((s for s in sessions if local_day(s.planned_start, site) not in dosed), None)


def stage_of(session: Session | None, at: datetime, site: Site) -> str:
    """Return the stage at which a fact that changes now is asked about: by the session's day."""
    if session is None:
        return "screening"
    left = local_day(session.planned_start, site) - local_day(at, site)
    return "day-before" if left <= A_DAY else "booking"


def slot_facts(session: Session, booked: Iterable[Session], at: datetime) -> list[Fact]:
    """Return what the interval rules read of a session's slot, of those `booked` to come."""
    others = [row for row in booked if row.pk != session.pk and row.planned_start > at]
    before = [row for row in others if row.planned_start <= session.planned_start]
    after = [row for row in others if row.planned_start > session.planned_start]
    told: dict[str, bool | datetime] = {
        "slot_booked_before": bool(before),
        "slot_booked_after": bool(after),
        "planned_start": session.planned_start,
    }
    if before:
        told["slot_before"] = before[-1].planned_start
    if after:
        told["slot_after"] = after[0].planned_start
    seen = session.recorded_at.astimezone(session.site.tz)
    return [
        Fact(name, value, observed_at=seen, source=Source.RECORD) for name, value in told.items()
    ]
