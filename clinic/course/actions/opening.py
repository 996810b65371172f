"""Opening a patient at a site, and a course."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from django.db import transaction

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course.actions.asking import Occasion, ask_again
from clinic.course.actions.facts import Reading, record_facts
from clinic.course.actions.protocols import protocol_to_open
from clinic.course.actions.rows import hold, written
from clinic.course.models import Course, Referral
from clinic.database import now
from clinic.people.models import Enrolment, Patient, Site
from kap.chart_json import plain
from kap.course import default_doses, dose_facts


@transaction.atomic
def open_patient(
    *, site: Site, legal_name: str, birth_date: date, language: str, by: Author, **details: Any
) -> Enrolment:
    """Open a Patient at a site and return the Enrolment, with its chart number.

    Somebody new has had no dose: the record says so from the first day, for the stages to read.
    """
    patient = Patient.add(
        legal_name=legal_name,
        birth_date=birth_date,
        language=language,
        recorded_at=now(),
        **details,
    )
    enrolment = enrol_patient(patient_id=patient.pk, site=site)
    at = now().astimezone(site.tz)
    none_given = dose_facts((), series_length=default_doses(), at=at)
    record_facts(
        of=enrolment,
        by=by,
        readings=[
            Reading("birth_date", birth_date.isoformat(), at, source="record"),
            *(Reading(f.name, plain(f.value), at, f.unit, "record") for f in none_given),
        ],
    )
    audit.record(by=by, action="patient.open", site=site.code, patient=patient, about=enrolment)
    return enrolment


def enrol_patient(*, patient_id: UUID, site: Site) -> Enrolment:
    """Write a patient's Enrolment at a site under the next chart number, in the caller's name."""
    hold(f"chart numbers of {site.code}")
    number = Enrolment.objects.filter(site=site).count() + 1
    mrn = f"{site.code[:3].upper()}-{number:05d}"
    return Enrolment.add(patient_id=patient_id, site=site, mrn=mrn, recorded_at=now())


@transaction.atomic
def open_course(
    *,
    enrolment: Enrolment,
    indication: str,
    by: Author,
    referral: Referral | None = None,
    protocol_id: str = "iv-ketamine",
) -> Course:
    """Open a Course under the newest version that is signed at the site, and ask its screening."""
    course = Course.add(
        **written(enrolment, by),
        referral=referral,
        indication=indication,
        protocol=protocol_to_open(protocol_id, enrolment.site),
    )
    audit.record(by=by, action="course.open", about=course, protocol=course.protocol_id)
    ask_again(course=course, stage="screening", occasion=Occasion.REFERRAL, by=by)
    return course
