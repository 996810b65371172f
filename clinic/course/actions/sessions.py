"""Planning an encounter."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course import premises
from clinic.course.actions.asking import Occasion, ask_again
from clinic.course.actions.rows import Refused, written
from clinic.course.models import Course, Session


@transaction.atomic
def plan_session(
    *,
    course: Course,
    kind: str,
    planned_start: datetime,
    planned_minutes: int,
    number: int,
    by: Author,
    room: str = "",
    setting: str = "one-to-one",
    replaces: Session | None = None,
) -> Session:
    """Plan an encounter; a move names the session it replaces. A dose that is booked is asked.

    Raises Refused for a dose on premises without the approval that their jurisdiction asks for.
    """
    found = premises.premises_of(course, planned_start)
    if kind == Session.Kind.DOSING and not found.is_open:
        raise Refused(premises.closed_words(found))
    session = Session.add(
        **written(course, by),
        course=course,
        kind=kind,
        planned_start=planned_start,
        planned_minutes=planned_minutes,
        number=number,
        room=room,
        setting=setting,
        replaces=replaces,
    )
    audit.record(by=by, action="session.plan", about=session, kind=kind)
    if kind == Session.Kind.DOSING:
        ask_again(course=course, session=session, stage="booking", occasion=Occasion.BOOKING, by=by)
    return session
