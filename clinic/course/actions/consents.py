"""A consent that is signed, and its withdrawal."""

from __future__ import annotations

import hashlib
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course import queries
from clinic.course.actions.facts import Reading, record_facts
from clinic.course.actions.rows import Refused, hold, written
from clinic.course.models import Consent, Course
from clinic.database import now


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
