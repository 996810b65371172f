"""Reading a course: the chart as the core wants it, the verdict at a stage, what is still open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet

from clinic.course.models import (
    Consent,
    Course,
    Decision,
    Fact,
    ListItem,
    ListReview,
    Override,
    ProtocolVersion,
    Session,
    Signature,
    Task,
)
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


def is_signed(course: Course) -> bool:
    """Return whether the site's medical director signed the course's protocol version."""
    return Signature.objects.filter(
        site_id=course.site_id, protocol_id=course.protocol_id, digest=course.protocol.digest
    ).exists()


def may_decide(course: Course) -> bool:
    """Return whether a Decision may be stored: a signed protocol, or a demonstration."""
    return settings.MODE == "demo" or is_signed(course)


def facts_of(patient: Patient, at: datetime) -> QuerySet[Fact]:
    """Return the facts that stand at `at`, oldest first; corrected ones are left out."""
    return Fact.objects.filter(
        patient=patient, observed_at__lte=at, corrected_by__isnull=True
    ).order_by("observed_at", "recorded_at", "id")


def chart(patient: Patient, at: datetime, *more: Mapping[str, Any]) -> Chart:
    """Return everything known about the patient at `at`.

    `more` are readings that are not rows: the plan an order page asks about, or the slot of a
    session, as `{"name", "value", "unit", "observed_at", "source"}`.
    """
    readings: dict[str, list[dict[str, Any]]] = {}
    zones = {site.pk: site.tz for site in Site.objects.all()}
    # Rows, not models: a chart has hundreds, and a gate is asked many times an hour.
    for name, site, *fact in facts_of(patient, at).values_list("name", "site_id", *FACT_COLUMNS):
        readings.setdefault(name, []).append(_reading(zones[site], *fact))
    for told in more:
        rest = {key: value for key, value in told.items() if key != "name"}
        readings.setdefault(str(told["name"]), []).append(rest)
    return Chart.from_json({"facts": readings, **_lists(patient, at)})  # numbers are text: exact


FACT_COLUMNS = ("id", "value", "unit", "observed_at", "recorded_at", "source", "reason")


def _reading(
    zone: ZoneInfo,
    id: UUID,
    value: Any,
    unit: str,
    observed_at: datetime,
    recorded_at: datetime,
    source: str,
    reason: str,
) -> dict[str, Any]:
    """Return a fact as the core reads it: in its site's zone, whose offset says the local date."""
    reading: dict[str, Any] = {
        "value": value,
        "observed_at": observed_at.astimezone(zone).isoformat(),
        "recorded_at": recorded_at.isoformat(),
        "source": source,
        "id": str(id),
    }
    if unit:
        reading["unit"] = unit
    if reason:
        reading["reason"] = reason
    return reading


def latest_reviews(patient: Patient, at: datetime) -> dict[str, ListReview]:
    """Return the newest review of each list at `at`."""
    reviews = ListReview.objects.filter(patient=patient, reviewed_at__lte=at).select_related("site")
    return {review.kind: review for review in reviews.order_by("reviewed_at", "recorded_at")}


def _lists(patient: Patient, at: datetime) -> dict[str, Any]:
    return {
        kind: {
            "reviewed_at": review.reviewed_at.astimezone(review.site.tz).isoformat(),
            "complete": review.complete,
            "items": [_item(kind, row) for row in items_of(review)],
        }
        for kind, review in latest_reviews(patient, at).items()
    }


ITEMS = {
    "conditions": ("condition_items", ("system", "code", "status", "onset")),
    "medications": (
        "medication_items",
        ("atc", "name", "mg_per_day", "prn", "since", "last_taken"),
    ),
    "allergies": ("allergy_items", ("code", "kind")),
    "antidepressant_trials": (
        "trial_items",
        (
            "atc",
            "mg_per_day",
            "weeks",
            "adherent",
            "stopped_for_intolerance",
            "current_episode",
            "judged",
        ),
    ),
}


def items_of(review: ListReview) -> Iterable[ListItem]:
    """Return the rows of a reviewed list, in the order they were written."""
    items: Iterable[ListItem] = getattr(review, ITEMS[review.kind][0]).order_by("recorded_at", "id")
    return items


def _item(kind: str, row: ListItem) -> dict[str, Any]:
    item = {name: _plain(getattr(row, name)) for name in ITEMS[kind][1]}
    return {name: value for name, value in item.items() if value not in (None, "")} | {
        "id": str(row.pk)
    }


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return value


def verdict(
    course: Course, stage: str, at: datetime, *more: Mapping[str, Any]
) -> tuple[Verdict, Chart]:
    """Ask the course's protocol at a stage and return the Verdict with the chart it read."""
    known = chart(course.patient, at, *more)
    return ask(protocol_of(course), stage, known, moment(at, course.site)), known


def live_overrides(course: Course, at: datetime) -> list[Override]:
    """Return the overrides of the course that still lift a finding at `at`."""
    return list(
        Override.objects.filter(decision__course=course, expires_at__gt=at).order_by("recorded_at")
    )


def lifts(course: Course, at: datetime) -> list[Lift]:
    """Return the live overrides as the core reads them."""
    return [
        Lift(
            rule_id=row.rule_id,
            who=row.author,
            second=f"staff:{row.second_person_id}" if row.second_person_id else "",
            reason=row.reason,
            clearance=row.clearance,
            expires_at=row.expires_at,
        )
        for row in live_overrides(course, at)
    ]


def answer_after(course: Course, verdict: Verdict, at: datetime) -> Answer:
    """Return the answer once the overrides of the course that are live at `at` lifted their own."""
    return verdict.after(lifts(course, at), moment(at, course.site))


def last_decision(course: Course, stage: str) -> Decision | None:
    """Return the newest Decision of the course at a stage, or None."""
    return course.decisions.filter(stage=stage).order_by("-decided_at").first()


def active_consent(course: Course, scope: str) -> Consent | None:
    """Return the consent of this scope that stands: signed and not withdrawn."""
    return (
        course.consents.filter(scope=scope, withdraws__isnull=True, withdrawn_by__isnull=True)
        .order_by("-signed_at")
        .first()
    )


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
