"""The second check and the start (docs/algorithms/start-authorization.md)."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course import booked
from clinic.course import queries as course_queries
from clinic.course.actions import Occasion, Refused, ask_again, hold, written
from clinic.course.models import Asking, Session
from clinic.database import now
from clinic.dosing import queries
from clinic.dosing.actions.log import append, reach
from clinic.dosing.actions.order import decided, tell_record
from clinic.dosing.models import Infusion, Order, StartAuthorization
from clinic.people.models import Staff

# How long a second check holds before the pump must have been started; the database allows no more.
AUTHORIZATION_LIFE = timedelta(minutes=15)
PATIENT_LOCK = 7_401_002


class Changed(Refused):
    """What is known changed after the second check: the gate must be looked at again."""


def neutral() -> Refused:
    """Return the one refusal of a second start: it tells nothing about another site."""
    return Refused(
        _(
            "Start refused: this person or this order already has an infusion or was dosed too"
            " recently. Nothing was started."
        )
    )


def ask_at_the_chair(*, gate: queries.Gate, by: Author) -> Asking | None:
    """Keep what the start gate answers on the day of the session: once, then when it changes."""
    site = gate.session.site
    if booked.local_day(gate.at, site) < booked.local_day(gate.session.planned_start, site):
        return None
    return ask_again(
        course=gate.course,
        session=gate.session,
        stage=gate.stage,
        occasion=Occasion.CHAIR,
        verdict=gate.verdict,
        by=by,
    )


@transaction.atomic
def authorise(
    *, session: Session, order: Order, second: Staff, rate_ml_h: Decimal, key: UUID, by: Author
) -> StartAuthorization:
    """Bind the start gate's answer to patient, order, session, facts and two persons.

    The one function that builds a StartAuthorization (docs/algorithms/start-authorization.md).
    """
    hold(str(key))  # a second press waits, then finds the first one's row
    if given := StartAuthorization.objects.filter(pk=key).first():
        return given
    at = now()
    _check_order(order, session, at)
    if rate_ml_h * 1000 != order.rate_ul_h:
        raise Refused(
            _(
                "The second checker keyed %(rate)s mL/h; that is not the order's rate. Both check"
                " the order and the pump anew."
            )
            % {"rate": rate_ml_h}
        )
    gate = queries.start_gate(session, order, at)
    decision = decided(gate, by)
    protocol = course_queries.protocol_of(session.course)
    authorization = StartAuthorization.add(
        **written(session, by) | {"id": key},
        order=order,
        session=session,
        decision=decision,
        protocol_name=session.course.protocol_id,
        protocol_digest=protocol.digest,
        facts_hash=gate.verdict.facts_hash,
        outcome=str(gate.verdict.answer),
        may_start=gate.is_open,
        second_checker=second,
        override_ids=[str(o.pk) for o in course_queries.live_overrides(session.course, at)],
        min_interval_h=int(queries.number(protocol, "min_interval_h")),
        issuer_id=by.id.removeprefix("staff:"),
        decided_at=at,
        expires_at=at + AUTHORIZATION_LIFE,
    )
    for kind in ("arrived", "checked", "authorised"):
        reach(session=session, kind=kind, by=by)
    audit.record(by=by, action="start.authorise", about=authorization, second=str(second.pk))
    return authorization


def _check_order(order: Order, session: Session, at: datetime) -> None:
    if order.session_id != session.pk or Order.objects.filter(replaces=order).exists():
        raise Refused(_("Another order stands for this session; look at it again."))
    if at >= order.expires_at:
        raise Refused(_("The order expired; the prescriber signs a new one."))


@transaction.atomic
def start_infusion(*, authorization: StartAuthorization, key: UUID, by: Author) -> Infusion:
    """Start: receipt, patient's lock, everything read and asked again, row, log line, facts, audit.

    Raises Changed when what is known changed since the second check, and the neutral Refused when
    the database will not have a second one.
    """
    body = {"start": str(authorization.pk)}
    if done := audit.receipt(principal=by.id, key=str(key), body=body):
        return Infusion.objects.get(pk=done["infusion"])
    lock_patient(authorization.patient_id)
    order, session = authorization.order, queries.session_of(authorization.session_id)
    if Infusion.objects.filter(order=order).exists() or _is_running(session):
        raise neutral()
    at = now()  # read after the lock: the transaction's own now() stands still
    _check_order(order, session, at)
    if at >= authorization.expires_at:
        raise Refused(_("The second check ran out after 15 minutes; check again."))
    if not course_queries.may_decide(session.course):
        raise Refused(_("The signature on this protocol version was withdrawn; nothing starts."))
    gate = queries.start_gate(session, order, at)
    if gate.verdict.facts_hash != authorization.facts_hash or not gate.is_open:
        raise Changed(_("Something changed since the second check. Look at the gate again."))
    infusion = _insert(authorization, at)
    append(
        session=session,
        id=uuid4(),
        kind="started",
        observed_at=infusion.started_at,
        by=by,
        data={"infusion": str(infusion.pk), "rate_ul_h": order.rate_ul_h, "dose_ug": order.dose_ug},
    )
    tell_record(session=session, by=by)
    audit.record(by=by, action="infusion.start", about=infusion, order=str(order.pk))
    audit.keep_receipt(
        principal=by.id, key=str(key), body=body, result={"infusion": str(infusion.pk)}
    )
    return infusion


def lock_patient(patient_id: UUID) -> None:
    """Hold every other start of this patient until this transaction ends, at whatever site.

    An advisory lock: the program may not UPDATE a Patient, which `FOR UPDATE` would need.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))",
            [str(patient_id), PATIENT_LOCK],
        )


def _is_running(session: Session) -> bool:
    running = Infusion.objects.exclude(state=Infusion.State.STOPPED)
    return running.filter(patient_id=session.patient_id).exists()


def _wait(authorization: StartAuthorization) -> int:
    """Return the minutes from the stop to a discharge, of the protocol the course is judged by."""
    protocol = course_queries.protocol_of(authorization.session.course)
    return int(queries.number(protocol, "discharge_min"))


def _insert(authorization: StartAuthorization, at: datetime) -> Infusion:
    try:
        with transaction.atomic():
            infusion = Infusion.add(
                site_id=authorization.site_id,
                patient_id=authorization.patient_id,
                session_id=authorization.session_id,
                order_id=authorization.order_id,
                authorization=authorization,
                auth_decided_at=authorization.decided_at,
                auth_expires_at=authorization.expires_at,
                state=Infusion.State.RUNNING,
                started_at=at,
                discharge_min=_wait(authorization),
            )
    except IntegrityError as error:
        raise neutral() from error
    infusion.refresh_from_db()  # the database sets started_at
    return infusion
