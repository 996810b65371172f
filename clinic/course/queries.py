"""Reading a course: the chart as the core wants it, the verdict at a stage, what is still open."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet

from clinic.course.models import (
    Allergy,
    Condition,
    Consent,
    Course,
    Decision,
    Fact,
    ListItem,
    ListReview,
    Medication,
    Override,
    ProtocolVersion,
    Session,
    Signature,
    Task,
    Trial,
)
from clinic.course.told import told
from clinic.people.models import Patient, Site
from kap.chart import Chart, Moment
from kap.protocol import Protocol, load
from kap.verdict import Answer, Lift, Verdict, ask


def moment(at: datetime, site: Site) -> Moment:
    """Return the instant with the site's local date: the only place where a zone meets the core."""
    return Moment(utc=at, local_date=at.astimezone(site.tz).date())


def protocol_of(course: Course) -> Protocol:
    """Return the protocol version the course is pinned to, checked against its digest."""
    pinned: ProtocolVersion = course.protocol
    protocol = load(pinned.protocol_id, pinned.version)
    if protocol.digest != pinned.digest:
        raise ValueError(
            f"{pinned.name} is not the file this course was opened under"
            f" ({protocol.digest[:12]} is not {pinned.digest[:12]}); restore the released file"
        )
    return protocol


def _signatures(course: Course) -> QuerySet[Signature]:
    return Signature.objects.filter(
        site_id=course.site_id, protocol_id=course.protocol_id, digest=course.protocol.digest
    )


def is_signed(course: Course) -> bool:
    """Return whether a medical director's signature on the course's version stands at the site."""
    return _signatures(course).filter(withdrawal__isnull=True).exists()


def may_decide(course: Course) -> bool:
    """Return whether a Decision may be stored: a signed protocol, or a demonstration.

    Under a signature that was withdrawn, who is dosed already is still brought home.
    """
    if settings.MODE == "demo" or is_signed(course):
        return True
    return _signatures(course).exists() and is_dosed(course.patient)


def facts_of(patient: Patient, at: datetime) -> QuerySet[Fact]:
    """Return the facts that stand at `at`, oldest first; corrected ones are left out."""
    return _standing(at).filter(patient=patient)


def _standing(at: datetime) -> QuerySet[Fact]:
    return Fact.objects.filter(observed_at__lte=at, corrected_by__isnull=True).order_by(
        "observed_at", "recorded_at", "id"
    )


def newest_facts(patient: Patient, at: datetime, *names: str) -> dict[str, Fact]:
    """Return the newest row of each fact by name, in date or not; without `names`, of every one."""
    rows = facts_of(patient, at).order_by("name", "-observed_at", "-recorded_at", "-id")
    if names:
        rows = rows.filter(name__in=names)
    return {fact.name: fact for fact in rows.distinct("name")}


def chart(patient: Patient, at: datetime, *more: Mapping[str, Any]) -> Chart:
    """Return everything known about the patient at `at`.

    `more` are readings that are not rows: the plan an order page asks about, or the slot of a
    session, as `{"name", "value", "unit", "observed_at", "source"}`.
    """
    known = told([patient.pk], at)[patient.pk]
    for each in more:
        rest = {key: value for key, value in each.items() if key != "name"}
        known["facts"].setdefault(str(each["name"]), []).append(rest)
    return Chart.from_json(known)


def charts(patients: Iterable[UUID], at: datetime) -> dict[UUID, Chart]:
    """Return everything known about each patient at `at`, in as many queries as for one."""
    return {patient: Chart.from_json(known) for patient, known in told(set(patients), at).items()}


def latest_reviews(patient: Patient, at: datetime) -> dict[str, ListReview]:
    """Return the newest review of each list at `at`."""
    return {review.kind: review for review in _newest_reviews([patient.pk], at)}


def _newest_reviews(patients: Collection[UUID], at: datetime) -> QuerySet[ListReview]:
    rows = ListReview.objects.filter(patient_id__in=patients, reviewed_at__lte=at)
    newest = rows.order_by("patient_id", "kind", "-reviewed_at", "-recorded_at", "-id")
    return newest.distinct("patient_id", "kind")


LISTED: Mapping[str, type[ListItem]] = {
    "conditions": Condition,
    "medications": Medication,
    "allergies": Allergy,
    "antidepressant_trials": Trial,
}


def items_of(review: ListReview) -> Iterable[ListItem]:
    """Return the rows of a reviewed list, in the order they were written."""
    model = LISTED[review.kind]
    return model._default_manager.filter(review=review).order_by("recorded_at", "id")


def verdict(
    course: Course, stage: str, at: datetime, *more: Mapping[str, Any]
) -> tuple[Verdict, Chart]:
    """Ask the course's protocol at a stage and return the Verdict with the chart it read."""
    known = chart(course.patient, at, *more)
    return ask(protocol_of(course), stage, known, moment(at, course.site)), known


def verdicts(courses: Sequence[Course], stage: str, at: datetime) -> list[Verdict]:
    """Ask each course's protocol at a stage and return the Verdicts, in the order of the courses.

    The charts of all are read at once. A course comes with its patient, site and protocol.
    """
    known = charts((course.patient_id for course in courses), at)
    return [
        ask(protocol_of(course), stage, known[course.patient_id], moment(at, course.site))
        for course in courses
    ]


def live_overrides(course: Course, at: datetime) -> list[Override]:
    """Return the overrides that still lift a finding at `at`: those of the course's own version.

    A rule may mean something else in another version, so a move leaves its overrides behind.
    """
    given = Override.objects.filter(decision__course=course, decision__protocol=course.protocol_id)
    return list(given.filter(expires_at__gt=at).order_by("recorded_at"))


def lift_of(row: Override) -> Lift:
    """Return an override as the core reads it."""
    return Lift(
        rule_id=row.rule_id,
        who=row.author,
        second=f"staff:{row.second_person_id}" if row.second_person_id else "",
        reason=row.reason,
        clearance=row.clearance,
        expires_at=row.expires_at,
    )


def lifts(course: Course, at: datetime) -> list[Lift]:
    """Return the live overrides of the course as the core reads them."""
    return [lift_of(row) for row in live_overrides(course, at)]


def answer_after(course: Course, verdict: Verdict, at: datetime) -> Answer:
    """Return the answer once the overrides of the course that are live at `at` lifted their own."""
    return verdict.after(lifts(course, at), moment(at, course.site))


def decisions_of(course: Course) -> QuerySet[Decision]:
    """Return the Decisions of the course, newest first.

    The Verdict and Chart stored with each are large, and read only when they are asked for.
    """
    return course.decisions.defer("verdict", "chart").order_by("-decided_at")


def last_decision(course: Course, stage: str) -> Decision | None:
    """Return the newest Decision of the course at a stage, or None."""
    return decisions_of(course).filter(stage=stage).first()


def active_consent(course: Course, scope: str) -> Consent | None:
    """Return the consent of this scope that stands: signed and not withdrawn."""
    return (
        course.consents.filter(scope=scope, withdraws__isnull=True, withdrawn_by__isnull=True)
        .order_by("-signed_at")
        .first()
    )


def safety_wait(course: Course) -> timedelta:
    """Return within what time a clinician acts on a safety item while the clinic is open."""
    minutes = protocol_of(course).parameters["safety_task_min"].value
    assert isinstance(minutes, Decimal)  # the loader checked its unit
    return timedelta(minutes=int(minutes))


def is_dosed(patient: Patient) -> bool:
    """Return whether a dose has begun, at any site, from which the person is not discharged."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT afterglow_is_dosed(%s)", [patient.pk])
        answer: bool = cursor.fetchone()[0]
    return answer


def open_tasks(**where: Any) -> QuerySet[Task]:
    """Return tasks without a disposition, the soonest due first."""
    return Task.objects.filter(entry__isnull=True, **where).order_by("due_at")


def sessions_of(course: Course) -> QuerySet[Session]:
    """Return the sessions that stand (a moved one is replaced), in time."""
    return course.sessions.filter(replaced_by__isnull=True).order_by("planned_start")
