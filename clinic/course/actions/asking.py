"""The same question asked again, and what changed (docs/decisions/2026-11-24-asking-again.md).

An asking never stands in the way of what it follows: a fact that is recorded, a session that is
planned and a dose that is stopped stay so when the question cannot be asked; a task says so then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import cache
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Max, Value, When, Window
from django.utils import translation
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course import booked, queries
from clinic.course.actions.changed import SOURCE, tell_change
from clinic.course.actions.rows import hold, written
from clinic.course.actions.tasks import open_task
from clinic.course.models import Asking, Course, Session
from clinic.database import now
from kap.chart import Chart
from kap.lapse import reads
from kap.protocol import load
from kap.verdict import Verdict, ask

Occasion = Asking.Occasion
STAGES = ("screening", "booking", "day-before")  # those that a fact which changes is asked at
_waiting: ContextVar[dict[tuple[Any, Any], tuple[Any, Author, set[str]]] | None] = ContextVar(
    "asked once", default=None
)
log = logging.getLogger(__name__)


def ask_again(
    *,
    course: Course,
    stage: str,
    occasion: str,
    by: Author,
    session: Session | None = None,
    verdict: Verdict | None = None,
) -> Asking | None:
    """Ask a stage about the course now; return the row that was written, or None.

    A row is written at the first time of an occasion, and when the answer or the rules that speak
    changed. A `verdict` given was asked just now, with what only a higher app knows.
    """

    def ready() -> Asking | None:
        hold(_name(course))
        at = now()
        asked = verdict or _asked(course, stage, session, queries.chart(course.patient, at), at)
        return _keep(course, session, occasion, asked, by)

    return _in_nobodys_way(course, by, ready)


@contextmanager
def asked_once() -> Iterator[None]:
    """Ask once, at the end of the block, about all that is told in it; within a transaction."""
    if _waiting.get() is not None:
        yield
        return
    waiting: dict[tuple[Any, Any], tuple[Any, Author, set[str]]] = {}
    mark = _waiting.set(waiting)
    try:
        yield
    finally:
        _waiting.reset(mark)
    for of, by, names in waiting.values():
        ask_after_a_fact(of=of, names=names, by=by)


def ask_after_a_fact(*, of: Any, names: Iterable[str], by: Author) -> None:
    """Ask the newest course of the patient of `of` again, at the stage its next session is at.

    Not where no stage before a dose reads any of the facts or lists that are named.
    """
    waiting = _waiting.get()
    if waiting is not None:
        kept = waiting.setdefault((of.site_id, of.patient_id), (of, by, set()))
        kept[2].update(names)
        return
    courses = Course.objects.filter(patient=of.patient_id, site=of.site_id)
    course = courses.select_related("patient", "site", "protocol").order_by("-recorded_at").first()
    if course is None:
        return

    def ready() -> Asking | None:
        if _read(course.protocol.protocol_id, course.protocol.version).isdisjoint(names):
            return None
        # Two who record at once wait here for each other: the second asks with both facts.
        hold(_name(course))
        at = now()
        known, coming = queries.chart(course.patient, at), booked.booked(course, at)
        session = booked.next_booked(coming, known, course.site)
        stage = booked.stage_of(session, at, course.site)
        verdict = _asked(course, stage, session, known, at, coming)
        return _keep(course, session, Occasion.FACT_CHANGE, verdict, by)

    _in_nobodys_way(course, by, ready)


@cache
def _read(protocol_id: str, version: str) -> frozenset[str]:
    protocol = load(protocol_id, version)
    return frozenset().union(*(reads(protocol, stage) for stage in STAGES))


def _name(course: Course) -> str:
    return f"asking of {course.pk}"


def _in_nobodys_way(
    course: Course, by: Author, ready: Callable[[], Asking | None]
) -> Asking | None:
    """Return what `ready` returns; where it fails, log the kind of failure and open a task."""
    try:
        with transaction.atomic():
            return ready()
    except Exception as error:  # a stop must be written whatever is wrong with a file or a row
        log.error("course %s could not be asked again: %s", course.pk, type(error).__name__)
        _tell_failure(course, by)
        return None


def _tell_failure(course: Course, by: Author) -> None:
    source = f"{SOURCE} failed"
    if queries.open_tasks(course=course, source=source).exists():
        return
    with translation.override(settings.LANGUAGE_CODE):  # the team's
        open_task(
            of=course,
            course=course,
            kind="asking",
            owner_role="prescriber",
            due_at=now(),
            by=by,
            source=source,
            text=_("The question could not be asked again: look at this course before any dose."),
        )


def _asked(
    course: Course,
    stage: str,
    session: Session | None,
    known: Chart,
    at: datetime,
    coming: Sequence[Session] | None = None,
) -> Verdict:
    """Return the answer; a booked session is asked about with its slot, among those to come."""
    if session is not None:
        slots = booked.booked(course, at) if coming is None else coming
        known = known.with_facts(*booked.slot_facts(session, slots, at))
    return ask(queries.protocol_of(course), stage, known, queries.moment(at, course.site))


def _keep(
    course: Course, session: Session | None, occasion: str, verdict: Verdict, by: Author
) -> Asking | None:
    """Write the asking where there is something to say, and tell the role whose turn it is."""
    before = _before(course, session, verdict.stage)
    told = _told(verdict, before)
    if before is not None and before.is_of(session, verdict.stage):
        is_same = (before.answer, before.speaking) == (told["answer"], told["speaking"])
        if is_same and _was_asked(course, session, verdict.stage, occasion):
            return None
    asking = Asking.add(
        **written(course, by),
        **told,
        course=course,
        session=session,
        place=1 + getattr(before, "last", 0),
        occasion=occasion,
        protocol=course.protocol,
        before=before,
    )
    audit.record(
        by=by,
        action="asking.ask",
        about=asking,
        stage=asking.stage,
        occasion=occasion,
        answer=asking.answer,
    )
    tell_change(asking=asking, verdict=verdict, by=by)
    return asking


def _told(verdict: Verdict, before: Asking | None) -> dict[str, Any]:
    """Return the columns that the verdict fills, and what changed since `before`.

    A rule that this stage does not read has not ceased to speak.
    """
    speaking = {finding.rule_id for finding in verdict.findings if finding.state == "spoke"}
    silent = {finding.rule_id for finding in verdict.findings} - speaking | set(verdict.quiet)
    spoke = set(before.speaking) if before is not None else set()
    return {
        "stage": verdict.stage,
        "asked_at": verdict.at.utc,
        "digest": verdict.digest,
        "answer": str(verdict.answer),
        "facts_hash": verdict.facts_hash,
        "speaking": sorted(speaking),
        "began": sorted(speaking - spoke),
        "ceased": sorted(spoke & silent),
    }


def _was_asked(course: Course, session: Session | None, stage: str, occasion: str) -> bool:
    """Return whether this occasion has its row: a change of a fact needs none of its own."""
    if occasion == Occasion.FACT_CHANGE:
        return True
    return course.askings.filter(session=session, stage=stage, occasion=occasion).exists()


def _before(course: Course, session: Session | None, stage: str) -> Asking | None:
    """Return the last asking of this session and stage; where there is none, of the course.

    It comes with `last`, the place of the course's last asking.
    """
    at = {"session": session} if session is not None else {"session__isnull": True}
    other = Case(When(stage=stage, **at, then=Value(0)), default=Value(1))
    last = Window(Max("place"))
    return course.askings.annotate(last=last).order_by(other, "-place").first()
