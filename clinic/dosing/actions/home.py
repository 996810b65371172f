"""The way home: the vial's account, the discharge, and leaving against advice."""

from __future__ import annotations

from uuid import UUID, uuid4

from django.db import transaction
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course.actions import Reading, Refused, open_task, record_facts
from clinic.course.models import Session
from clinic.database import now
from clinic.dosing import queries
from clinic.dosing.actions.log import append
from clinic.dosing.actions.monitor import release
from clinic.dosing.actions.order import decided
from clinic.dosing.models import Infusion, SessionEvent
from clinic.people.models import Staff


def _ended(session: Session) -> Infusion:
    infusion = queries.infusion_of(session)
    if infusion is None or infusion.stopped_at is None:
        raise Refused(_("The infusion has not been stopped; stop it first."))
    return infusion


@transaction.atomic
def close_vial(*, session: Session, second: Staff, key: UUID, by: Author) -> None:
    """Two persons sign what was given and what was wasted; both come from the log."""
    infusion, at = _ended(session), now()
    if SessionEvent.objects.filter(pk=key).exists():
        return
    if by.id == f"staff:{second.pk}":
        raise Refused(_("The second signer must be another person."))
    amounts = {"given_ug": infusion.delivered_ug, "waste_ug": queries.waste_ug(infusion)}
    append(
        session=session,
        id=key,
        kind="gate_signed",
        observed_at=at,
        by=by,
        data={"gate": "vial", "second": f"staff:{second.pk}", **amounts},
    )
    closed = Reading("vial_ledger_closed", True, at, source="record")
    record_facts(of=session, session=session, readings=[closed], by=by)
    audit.record(by=by, action="vial.close", about=session, second=str(second.pk), amounts=amounts)


@transaction.atomic
def discharge(*, session: Session, key: UUID, by: Author) -> Infusion:
    """Sign the way home. Raises Refused while a gate is closed."""
    infusion = _ended(session)
    if SessionEvent.objects.filter(pk=key).exists():
        return infusion
    if infusion.discharged_at is not None or infusion.left_at is not None:
        raise Refused(_("This person has left already."))
    decision = decided(queries.discharge_gate(session, now()), by)
    for id, kind in ((uuid4(), "gate_signed"), (key, "discharged")):
        data = {"gate": "discharge", "decision": str(decision.pk)}
        event = append(session=session, id=id, kind=kind, observed_at=now(), by=by, data=data)
    Infusion.objects.filter(pk=infusion.pk).update(discharged_at=event.observed_at)
    release(session=session, by=by)
    audit.record(by=by, action="session.discharge", about=infusion, decision=str(decision.pk))
    infusion.refresh_from_db()
    return infusion


@transaction.atomic
def leave_against_advice(*, session: Session, reason: str, key: UUID, by: Author) -> None:
    """Record that somebody left before the gates were open, and have the prescriber call."""
    infusion, at = _ended(session), now()
    if SessionEvent.objects.filter(pk=key).exists():
        return
    append(
        session=session,
        id=key,
        kind="said",
        observed_at=at,
        by=by,
        data={"text": _("left against advice"), "reason": reason, "against_advice": True},
    )
    Infusion.objects.filter(pk=infusion.pk).update(left_at=at)
    open_task(
        of=session,
        kind="left_against_advice",
        course=session.course,
        owner_role="prescriber",
        text=_("Left against advice after a dose: call the person and the escort."),
        by=by,
        due_at=at,
        source=str(session.pk),
    )
    release(session=session, by=by)
    audit.record(by=by, action="session.leave_against_advice", about=infusion)
