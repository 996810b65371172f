"""What the intake pages show: cases in screening, what is known, what would settle the rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from clinic.audit.author import Author
from clinic.course import queries as course_queries
from clinic.course.models import Course, Decision, Fact
from clinic.people.models import Enrolment, Site
from kap.facts import FactType, vocabulary
from kap.verdict import Verdict


@dataclass(frozen=True)
class Case:
    """One course that no screening decision has settled."""

    course: Course
    verdict: Verdict
    days: int


SETTLED = (Decision.Kind.ACCEPTED, Decision.Kind.DECLINED, Decision.Kind.OVERRIDDEN)


def cases(at: datetime, role: str) -> list[Case]:
    """Return the courses in screening with their answer now, the oldest first."""
    rows = (
        Course.objects.exclude(decisions__stage="screening", decisions__kind__in=SETTLED)
        .select_related("patient", "site", "protocol")
        .order_by("recorded_at")
    )
    return [
        Case(row, course_queries.verdict(row, "screening", at)[0].seen_by(role),
             (at - row.recorded_at).days)
        for row in rows
    ]


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
    """One fact as it stands, with its question."""

    kind: FactType
    fact: Fact


def known_facts(course: Course, at: datetime, hidden: Iterable[str]) -> list[Known]:
    """Return the latest reading of each fact that this reader may see, in the vocabulary's order."""
    latest = {fact.name: fact for fact in course_queries.facts_of(course.patient, at)}
    kept = set(hidden)
    return [
        Known(kind, latest[name])
        for name, kind in vocabulary().items()
        if name in latest and name not in kept
    ]


def namesakes(site: Site, legal_name: str, birth_date: object) -> list[Enrolment]:
    """Return who is enrolled at the site under this name and date of birth."""
    return list(
        Enrolment.objects.filter(
            site=site, patient__legal_name__iexact=legal_name, patient__birth_date=birth_date
        ).select_related("patient")
    )


@dataclass(frozen=True)
class Difference:
    """What changed since the last decision at this stage."""

    was: str
    spoke: list[str]
    quiet: list[str]


def difference(course: Course, verdict: Verdict) -> Difference | None:
    """Return which rules speak now and did not, and the other way round; None without a decision."""
    last = course_queries.last_decision(course, "screening")
    if last is None:
        return None
    before = {f.rule_id for f in Verdict.from_json(last.verdict).findings}
    after = {f.rule_id for f in verdict.findings}
    return Difference(last.answer, sorted(after - before), sorted(before - after))
