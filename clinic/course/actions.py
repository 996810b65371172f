"""Writing what the phases share. Each action: load, ask the core, write, audit; one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course import queries
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
    Referral,
    Session,
    Task,
    TaskEntry,
    Trial,
)
from clinic.database import now
from clinic.people.models import Enrolment, Patient, Site, Staff
from kap.chart import Chart, ChartError
from kap.facts import vocabulary
from kap.protocol import available, load
from kap.verdict import Lift, Verdict

ITEM_MODELS: dict[str, type[ListItem]] = {
    "conditions": Condition,
    "medications": Medication,
    "allergies": Allergy,
    "antidepressant_trials": Trial,
}


class Refused(Exception):
    """An action said no, in words for the person at the screen: what, and the way out."""


@dataclass(frozen=True)
class Reading:
    """A value as it is told: JSON value or None with a reason, unit, and when it was so."""

    name: str
    value: Any
    observed_at: datetime
    unit: str = ""
    source: str = "staff"
    reason: str = ""

    def told(self) -> dict[str, Any]:
        """Return the reading in the form the core reads."""
        row = {
            "value": self.value,
            "unit": self.unit,
            "observed_at": self.observed_at.isoformat(),
            "source": self.source,
            "reason": self.reason,
        }
        return {key: value for key, value in row.items() if value not in ("", None)}


def written(of: Any, by: Author) -> dict[str, Any]:
    """Return the columns every clinical row of `of` (a course, session or enrolment) carries."""
    return {
        "site_id": of.site_id,
        "patient_id": of.patient_id,
        "author": by.id,
        "author_role": by.role,
        "recorded_at": now(),
    }


def hold(name: str) -> None:
    """Hold a name until this transaction ends; a second one that asks for it waits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def register_protocols(using: str = "default") -> list[ProtocolVersion]:
    """Write down each shipped protocol version once; a changed file is refused."""
    rows = []
    for protocol_id, version in available():
        protocol, name = load(protocol_id, version), f"{protocol_id}@{version}"
        known = ProtocolVersion.objects.using(using).filter(name=name).first()
        if known is None:
            known = ProtocolVersion.add(
                using=using,
                name=name,
                protocol_id=protocol_id,
                version=version,
                digest=protocol.digest,
                recorded_at=now(),
            )
        if known.digest != protocol.digest:
            raise Refused(f"{name} was registered with another digest; released files never change")
        rows.append(known)
    return rows


def newest_protocol(protocol_id: str) -> ProtocolVersion:
    """Return the newest registered version of a protocol."""
    protocol = load(protocol_id)
    return ProtocolVersion.objects.get(name=f"{protocol_id}@{protocol.version}")


@transaction.atomic
def open_patient(
    *, site: Site, legal_name: str, birth_date: date, language: str, by: Author, **details: Any
) -> Enrolment:
    """Open a Patient at a site and return the Enrolment, with its chart number."""
    hold(f"chart numbers of {site.code}")
    patient = Patient.add(
        legal_name=legal_name,
        birth_date=birth_date,
        language=language,
        recorded_at=now(),
        **details,
    )
    number = Enrolment.objects.filter(site=site).count() + 1
    enrolment = Enrolment.add(
        patient=patient, site=site, mrn=f"{site.code[:3].upper()}-{number:05d}", recorded_at=now()
    )
    record_facts(
        of=enrolment,
        by=by,
        readings=[Reading("birth_date", birth_date.isoformat(), now(), source="record")],
    )
    audit.record(by=by, action="patient.open", site=site.code, patient=patient, about=enrolment)
    return enrolment


@transaction.atomic
def open_course(
    *,
    enrolment: Enrolment,
    indication: str,
    by: Author,
    referral: Referral | None = None,
    protocol_id: str = "iv-ketamine",
) -> Course:
    """Open a Course pinned to the newest version of the protocol."""
    course = Course.add(
        **written(enrolment, by),
        referral=referral,
        indication=indication,
        protocol=newest_protocol(protocol_id),
    )
    audit.record(by=by, action="course.open", about=course, protocol=course.protocol_id)
    return course


@transaction.atomic
def record_facts(
    *, of: Any, readings: Iterable[Reading], by: Author, session: Session | None = None
) -> list[Fact]:
    """Store readings about the patient of `of`. Raises Refused for one that cannot be true."""
    given = list(readings)
    _check(given)
    columns = written(of, by)
    rows = Fact.add_all(
        {
            **columns,
            "name": reading.name,
            "value": reading.value,
            "unit": reading.unit,
            "observed_at": reading.observed_at,
            "source": reading.source,
            "reason": reading.reason,
            "session": session,
        }
        for reading in given
    )
    audit.record(by=by, action="fact.record", about=of, names=sorted({r.name for r in given}))
    return rows


def _check(readings: Sequence[Reading]) -> None:
    facts: dict[str, list[dict[str, Any]]] = {}
    latest = now() + timedelta(minutes=1)
    for reading in readings:
        if reading.observed_at > latest:
            raise Refused(
                _("%(name)s: %(at)s is in the future; give the time it was observed")
                % {"name": reading.name, "at": reading.observed_at.isoformat(timespec="minutes")}
            )
        facts.setdefault(reading.name, []).append(reading.told())
    try:
        Chart.from_json({"facts": facts})
    except ChartError as error:
        raise Refused(str(error)) from error


@transaction.atomic
def correct_fact(*, fact: Fact, value: Any, reason: str, by: Author) -> Fact:
    """Record a correction of a fact; the old value stays readable in the record."""
    unit = vocabulary()[fact.name].unit if value is not None else ""
    _check([Reading(fact.name, value, fact.observed_at, unit, fact.source, reason)])
    row = Fact.add(
        **written(fact, by),
        name=fact.name,
        value=value,
        unit=unit,
        observed_at=fact.observed_at,
        source=fact.source,
        reason=reason,
        session=fact.session,
        corrects=fact,
    )
    audit.record(by=by, action="fact.correct", about=row, corrects=str(fact.pk))
    return row


@transaction.atomic
def review_list(
    *,
    of: Any,
    kind: str,
    complete: bool,
    items: Sequence[Mapping[str, Any]],
    by: Author,
    reviewed_at: datetime | None = None,
) -> ListReview:
    """Store a list as gone through. Not complete, it can make facts true, never false."""
    review = ListReview.add(
        **written(of, by), kind=kind, reviewed_at=reviewed_at or now(), complete=complete
    )
    for item in items:
        ITEM_MODELS[kind].add(**written(of, by), review=review, **item)
    try:
        queries.chart(review.patient, now())
    except ChartError as error:
        raise Refused(str(error)) from error
    audit.record(by=by, action="list.review", about=review, kind=kind, complete=complete)
    return review


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
    """Plan an encounter; a move names the session it replaces."""
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
    return session


@transaction.atomic
def sign_consent(
    *,
    course: Course,
    scope: str,
    version: str,
    language: str,
    text: str,
    signer: str,
    by: Author,
    teach_back: str = "",
) -> Consent:
    """Keep a signed consent with the words that were signed, and the fact that the gate reads.

    Raises Refused between the start of a dose and the discharge: nobody consents under the drug;
    and while the same words stand signed.
    """
    at = now()
    hold(f"consents of {course.pk}")
    standing = queries.active_consent(course, scope)
    if standing is not None and (standing.version, standing.language) == (version, language):
        raise Refused(_("This version is signed already and stands; withdraw it to sign anew."))
    if queries.is_dosed(course.patient):
        raise Refused(_("No consent is taken between the start of a dose and the discharge."))
    consent = Consent.add(
        **written(course, by),
        course=course,
        scope=scope,
        version=version,
        language=language,
        text=text,
        text_digest=hashlib.sha256(text.encode()).hexdigest(),
        signer=signer,
        signed_at=at,
        teach_back=teach_back,
    )
    _tell_consent(course, scope, True, at, by)
    audit.record(by=by, action="consent.sign", about=consent, scope=scope, version=version)
    return consent


@transaction.atomic
def withdraw_consent(*, consent: Consent, signer: str, by: Author) -> Consent:
    """Record that a consent is withdrawn: at once, in any state, needing nobody's approval.

    A consent that was withdrawn before stays so. Another one that stands goes on standing.
    """
    at = now()
    hold(f"consents of {consent.course_id}")
    if before := Consent.objects.filter(withdraws=consent).first():
        audit.record(by=by, action="consent.withdraw", about=before, scope=consent.scope)
        return before
    row = Consent.add(
        **written(consent, by),
        course=consent.course,
        scope=consent.scope,
        version=consent.version,
        language=consent.language,
        text=consent.text,
        text_digest=consent.text_digest,
        signer=signer,
        signed_at=at,
        withdraws=consent,
    )
    stands = queries.active_consent(consent.course, consent.scope) is not None
    _tell_consent(consent.course, consent.scope, stands, at, by)
    audit.record(by=by, action="consent.withdraw", about=row, scope=consent.scope)
    return row


def _tell_consent(course: Course, scope: str, stands: bool, at: datetime, by: Author) -> None:
    if scope == "treatment":
        record_facts(
            of=course, by=by, readings=[Reading("consent_active", stands, at, source="record")]
        )


@transaction.atomic
def open_task(
    *,
    of: Any,
    kind: str,
    text: str,
    owner_role: str,
    due_at: datetime,
    by: Author,
    course: Course | None = None,
    source: str = "",
) -> Task:
    """Give a role something to do by a time."""
    task = Task.add(
        **written(of, by),
        course=course,
        kind=kind,
        text=text,
        owner_role=owner_role,
        due_at=due_at,
        source=source,
    )
    audit.record(by=by, action="task.open", about=task, kind=kind)
    return task


@transaction.atomic
def close_task(*, task: Task, disposition: str, note: str, by: Author) -> TaskEntry:
    """Record what was done about a task; it is closed once."""
    if hasattr(task, "entry"):
        raise Refused(
            _("This task was closed at %(at)s by another person.")
            % {"at": task.entry.recorded_at.isoformat(timespec="minutes")}
        )
    entry = TaskEntry.add(**written(task, by), task=task, disposition=disposition, note=note)
    audit.record(by=by, action="task.close", about=task, disposition=disposition)
    return entry


@dataclass(frozen=True)
class Lifted:
    """One finding a prescriber wants to lift: level R needs a second person and an expiry."""

    rule_id: str
    reason: str
    expires_at: datetime
    second_person: Staff | None = None
    clearance: str = ""


@transaction.atomic
def decide(
    *,
    course: Course,
    stage: str,
    kind: str,
    reason: str,
    by: Author,
    verdict: Verdict,
    chart: Chart,
    lifted: Sequence[Lifted] = (),
    session: Session | None = None,
) -> Decision:
    """Store what a person did with a Verdict, with everything it read, so that it can be replayed.

    Raises Refused for an unsigned protocol outside demo mode, for a level A override, and for an R
    override without a second person.
    """
    if not queries.may_decide(course):
        raise Refused(
            _("This protocol version is not signed for this site; no decision is stored.")
        )
    decision = Decision.add(
        **written(course, by),
        course=course,
        session=session,
        protocol=course.protocol,
        stage=stage,
        answer=str(verdict.answer),
        kind=kind,
        reason=reason,
        verdict=verdict.to_json(),
        chart=chart.to_json(),
        facts_hash=verdict.facts_hash,
        decided_at=now(),
    )
    for lift in lifted:
        _override(decision, verdict, lift, by)
    audit.record(
        by=by, action=f"decision.{kind}", about=decision, stage=stage, answer=decision.answer
    )
    return decision


def _override(decision: Decision, verdict: Verdict, lift: Lifted, by: Author) -> Override:
    """Store one override. Raises Refused where the core says that it would lift nothing."""
    levels = {finding.rule_id: finding.level for finding in verdict.findings}
    level = levels.get(lift.rule_id)
    if level not in ("P", "R"):
        raise Refused(
            _("%(rule)s is level %(level)s: nobody may override it.")
            % {"rule": lift.rule_id, "level": level or "-"}
        )
    if level == "R" and (lift.second_person is None or f"staff:{lift.second_person.pk}" == by.id):
        raise Refused(_("%(rule)s is level R: a second person must sign.") % {"rule": lift.rule_id})
    if why := verdict.refusal(_as_lift(lift, by), queries.moment(now(), decision.site)):
        raise Refused(_("This override would lift nothing: %(why)s.") % {"why": why})
    return Override.add(
        **written(decision, by),
        decision=decision,
        rule_id=lift.rule_id,
        level=level,
        reason=lift.reason,
        second_person=lift.second_person,
        clearance=lift.clearance,
        expires_at=lift.expires_at,
    )


def _as_lift(lift: Lifted, by: Author) -> Lift:
    second = f"staff:{lift.second_person.pk}" if lift.second_person else ""
    return Lift(lift.rule_id, lift.expires_at, by.id, second, lift.reason, lift.clearance)
