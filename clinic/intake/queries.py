"""What the intake pages show: cases in screening, what is known, what would settle the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db.models import F, OuterRef, Q, Subquery
from django.shortcuts import get_object_or_404

from clinic.audit.author import Author
from clinic.course import queries as course_queries
from clinic.course.models import Course, Decision, Fact, Override
from clinic.intake.actions import ACCEPTABLE
from clinic.people.models import Enrolment, Site
from kap.chart import Chart, Reason
from kap.difference import Difference, difference
from kap.evidence import Limit
from kap.explain import Explanation, explain
from kap.facts import FactType, vocabulary
from kap.rule import Answer
from kap.verdict import Verdict

SETTLED = (Decision.Kind.ACCEPTED, Decision.Kind.DECLINED)
OVERRIDDEN = Decision.Kind.OVERRIDDEN


def course_of(course_id: UUID) -> Course:
    """Return a course of the reader's sites, with what every page of it shows; else 404."""
    rows = Course.objects.select_related("patient", "site", "protocol")
    return get_object_or_404(rows, pk=course_id)


def why(course: Course, chart: Chart, at: datetime) -> Explanation:
    """Return what would change the screening's answer, what to ask next and when to ask again."""
    moment = course_queries.moment(at, course.site)
    return explain(course_queries.protocol_of(course), "screening", chart, moment)


def page_of(course: Course, **more: Any) -> dict[str, Any]:
    """Return what every page of a course shows."""
    return {"course": course, "patient": course.patient, "site": course.site, **more}


@dataclass(frozen=True)
class Case:
    """One course that no screening decision has settled."""

    course: Course
    verdict: Verdict
    days: int


def cases(at: datetime, role: str) -> list[Case]:
    """Return the courses in screening with their answer now, the oldest first.

    As many queries for a hundred as for one: this page grows with the clinic.
    """
    rows = _unsettled()
    opened = _opened_by_override([row for row in rows if row.last_kind == OVERRIDDEN])
    waiting = [row for row in rows if row.pk not in opened]
    return [
        Case(course, verdict.seen_by(role), (at - course.recorded_at).days)
        for course, verdict in zip(
            waiting, course_queries.verdicts(waiting, "screening", at), strict=True
        )
    ]


def _unsettled() -> list[Any]:
    """Return the courses that nobody accepted or declined, each with its `last_kind`."""
    last = Decision.objects.filter(course=OuterRef("pk"), stage="screening").order_by("-decided_at")
    rows = Course.objects.annotate(last_kind=Subquery(last.values("kind")[:1])).filter(
        Q(last_kind__isnull=True) | ~Q(last_kind__in=SETTLED)
    )
    return list(rows.select_related("patient", "site", "protocol").order_by("recorded_at"))


def _opened_by_override(courses: Sequence[Course]) -> set[UUID]:
    """Return the keys of the courses whose override opened the way when it was signed."""
    of_these = {"course__in": [course.pk for course in courses]}
    newest = Decision.objects.filter(stage="screening", **of_these).defer("chart")
    newest = newest.order_by("course_id", "-decided_at").distinct("course_id")
    told = {row.course_id: row for row in newest}
    live: dict[UUID, list[Override]] = {course.pk: [] for course in courses}
    rows = Override.objects.filter(decision__course__in=live).order_by("recorded_at")
    for row in rows.annotate(of_course=F("decision__course")):
        if row.is_live(told[row.of_course].decided_at):
            live[row.of_course].append(row)
    return {
        course.pk
        for course in courses
        if _answer_when_signed(told[course.pk], live[course.pk], course.site) in ACCEPTABLE
    }


def _answer_when_signed(decision: Decision, live: Sequence[Override], site: Site) -> Answer:
    """Return the answer of a stored Decision once the overrides of that moment lifted their own."""
    lifts = [course_queries.lift_of(row) for row in live]
    when = course_queries.moment(decision.decided_at, site)
    return Verdict.from_json(decision.verdict).after(lifts, when)


def answerable(verdict: Verdict, by: Author) -> list[FactType]:
    """Return the facts that this reader may record and that the verdict lacks, lists left out."""
    known = vocabulary()
    asked = [known[unknown.fact] for unknown in verdict.unknowns if unknown.fact in known]
    return [kind for kind in asked if may_record(kind, by)]


def may_record(kind: FactType, by: Author) -> bool:
    """Return whether a reader may record this fact; what a person tells, staff may write down."""
    if kind.type == "list" or kind.answered_by == ("record",):
        return False
    return by.holds("prescriber", "medical_director", "nurse") or "patient" in kind.answered_by


@dataclass(frozen=True)
class Known:
    """One fact as it stands: its question, its latest reading, how long that is valid."""

    kind: FactType
    fact: Fact
    limit: Limit | None
    too_old: bool

    @property
    def name(self) -> str:
        """The fact's name."""
        return self.kind.name


def known_facts(course: Course, at: datetime, whole: Verdict, seen: Verdict) -> list[Known]:
    """Return the latest reading of each fact that this reader may see, in the vocabulary's order.

    `whole` is the Verdict as computed and `seen` as the reader's role may read it.
    """
    latest = course_queries.newest_facts(course.patient, at)
    hidden = {read.name for read in whole.facts_read} - {read.name for read in seen.facts_read}
    limits = course_queries.protocol_of(course).stages[whole.stage].limits
    old = {unknown.fact for unknown in whole.unknowns if unknown.reason == Reason.TOO_OLD}
    return [
        Known(kind, latest[name], limits.get(name), name in old)
        for name, kind in vocabulary().items()
        if name in latest and name not in hidden
    ]


def namesakes(site: Site, legal_name: str, birth_date: date) -> list[Enrolment]:
    """Return who is enrolled at the site under this name and date of birth."""
    return list(
        Enrolment.objects.filter(
            site=site, patient__legal_name__iexact=legal_name, patient__birth_date=birth_date
        ).select_related("patient")
    )


@dataclass(frozen=True)
class Changed:
    """The last Decision at this stage, and what differs since."""

    last: Decision
    since: Difference


def changed(course: Course, verdict: Verdict, chart: Chart) -> Changed | None:
    """Return what differs from what the last Decision read and said; None without a decision."""
    last = course_queries.last_decision(course, "screening")
    if last is None:
        return None
    told, known = Verdict.from_json(last.verdict), Chart.from_json(last.chart)
    return Changed(last, difference(told, known, verdict, chart))
