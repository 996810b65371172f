"""What a member of the public may write: a referral of themselves, once they agree to be called."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course.actions import newest_protocol
from clinic.course.models import Referral
from clinic.course.queries import moment
from clinic.database import now
from clinic.people.models import Site
from kap.chart import Chart
from kap.protocol import load
from kap.verdict import ask

PROTOCOL = "iv-ketamine"


@transaction.atomic
def refer(
    *,
    site: Site,
    key: UUID,
    name: str,
    email: str,
    phone: str,
    language: str,
    message: str,
    chart: Chart,
    by: Author,
) -> Referral:
    """Keep who wants to be contacted and what they answered; the same form twice is kept once."""
    if kept := Referral.objects.filter(pk=key).first():
        audit.record(by=by, action="referral.repeat", about=kept)
        return kept
    at = now()
    verdict = ask(load(PROTOCOL), "screening", chart, moment(at, site))
    referral = Referral.add(
        id=key,
        site=site,
        name=name,
        email=email,
        phone=phone,
        language=language,
        message=message,
        chart=chart.to_json(),
        answer=str(verdict.answer),
        protocol=newest_protocol(PROTOCOL),
        agreed_at=at,
        recorded_at=at,
    )
    audit.record(by=by, action="referral.make", about=referral)
    return referral
