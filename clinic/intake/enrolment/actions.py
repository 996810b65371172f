"""Offering a patient's enrolment to another site, and opening it there with the patient's code."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course.actions import (
    Reading,
    Refused,
    enrol_patient,
    hold,
    open_course,
    record_facts,
    written,
)
from clinic.course.models import Course
from clinic.database import now
from clinic.people.models import EnrolmentOffer, Patient, Site

OFFER_LIFE = timedelta(days=14)  # a habit of work: the visit at the other site falls into it


class Offered(NamedTuple):
    """An offer and its code, which is shown once; only its hash is kept."""

    offer: EnrolmentOffer
    code: str


def hashed(code: str) -> str:
    """Return the hash under which a code is kept; spaces, dashes and capitals do not count."""
    plain = "".join(code.lower().split()).replace("-", "")
    return hashlib.sha256(plain.encode()).hexdigest()


@transaction.atomic
def offer(*, course: Course, to: Site, consent: str, key: UUID, by: Author) -> Offered:
    """Note that the patient agreed to be enrolled at `to` as well, and make the code for it.

    Raises Refused for the site itself, and for a form whose code was shown before.
    """
    if to.pk == course.site_id:
        raise Refused(_("The person is enrolled at this site already; choose another one."))
    hold(f"offer {key}")
    if EnrolmentOffer.objects.filter(pk=key).exists():
        raise Refused(_("The code of this form was shown once already; make a new one."))
    raw = secrets.token_hex(8)
    row = EnrolmentOffer.add(
        **written(course, by) | {"id": key},
        to_site=to,
        consent=consent,
        code_hash=hashed(raw),
        expires_at=now() + OFFER_LIFE,
    )
    audit.record(by=by, action="enrolment.offer", about=row, to=to.pk)
    return Offered(row, "-".join(raw[place : place + 4] for place in range(0, 16, 4)))


@transaction.atomic
def enrol(*, site: Site, code: str, indication: str, by: Author) -> Course:
    """Enrol the patient of a code at this site and open a course; the same code again opens it.

    Only name, birth date and contact come along. What the other site recorded stays there: here
    everything is unknown until it is asked. Raises Refused for a code that opens nothing here.
    """
    patient_id = _offered(code, site)
    if patient_id is None:
        audit.record(by=by, action="enrolment.refuse", site=site.pk, outcome="refused")
        raise Refused(
            _("No offer for this site has this code, or its 14 days are over; ask the other site.")
        )
    hold(f"enrolment of {patient_id} at {site.code}")
    if done := Course.objects.filter(site=site, patient_id=patient_id).first():
        audit.record(by=by, action="enrolment.repeat", about=done)
        return done
    row = enrol_patient(patient_id=patient_id, site=site)
    patient = Patient.objects.get(pk=patient_id)
    born = Reading("birth_date", patient.birth_date.isoformat(), now(), source="record")
    record_facts(of=row, by=by, readings=[born])
    audit.record(by=by, action="patient.enrol", site=site.pk, patient=patient, about=row)
    return open_course(enrolment=row, indication=indication, by=by)


def _offered(code: str, site: Site) -> UUID | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT afterglow_offered(%s, %s)", [hashed(code), site.pk])
        found: UUID | None = cursor.fetchone()[0]
    return found
