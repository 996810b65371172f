"""Signing an order, and what opens a gate: overrides and conditions met."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course import queries as course_queries
from clinic.course.actions import (
    Lifted,
    Reading,
    Refused,
    close_task,
    decide,
    hold,
    open_task,
    record_facts,
    written,
)
from clinic.course.models import Decision, Session
from clinic.database import now
from clinic.dosing import queries
from clinic.dosing.models import Order
from clinic.people.models import Staff
from kap.chart import Fact as Told
from kap.chart_json import plain


@transaction.atomic
def sign_order(*, session: Session, draft: queries.Draft, key: UUID, by: Author) -> Order:
    """Sign an order in whole micrograms. Raises Refused where the gate is closed."""
    hold(str(key))  # a second press waits, then finds the first one's row
    if signed := Order.objects.filter(pk=key).first():
        return signed
    at = now()
    tell_record(session=session, by=by)
    weight = queries.weight_of(queries.order_gate(session, at))
    if weight is None:
        raise Refused(
            _("There is no weight in date; weigh the person, record it, and order again.")
        )
    if queries.screening_decision(session.course) is None:
        raise Refused(_("No accepted screening decision stands; review the course first."))
    if queries.infusion_of(session) is not None:
        raise Refused(_("This session's infusion has begun; an order can no longer be signed."))
    plan = queries.planned(draft, weight[0].kg, course_queries.protocol_of(session.course))
    gate = queries.order_gate(session, at, plan)
    decision = decided(gate, by)
    order = Order.add(
        **written(session, by) | {"id": key},
        course=session.course,
        session=session,
        decision=decision,
        replaces=queries.order_of(session),
        mg_per_kg=draft.mg_per_kg,
        weight_g=plan.weight_g,
        minutes=plan.minutes,
        vial_ug_per_ml=plan.vial_ug_per_ml,
        asked_ug=plan.asked_ug,
        dose_ug=plan.dose_ug,
        draw_ul=plan.draw_ul,
        final_ul=plan.final_ul,
        rate_ul_h=plan.rate_ul_h,
        signed_at=at,
        expires_at=queries.expiry(session, at),
    )
    audit.record(by=by, action="order.sign", about=order, dose_ug=order.dose_ug)
    return order


def decided(gate: queries.Gate, by: Author, reason: str = "") -> Decision:
    """Store the gate's Decision, or raise Refused with the words of what closes it."""
    if gate.premises_bar:
        raise Refused(gate.premises_bar)
    if not gate.is_open:
        why = "; ".join(f.why for f in gate.verdict.findings[:3])
        raise Refused(
            _("%(label)s: %(why)s") % {"label": gate.verdict.label.capitalize(), "why": why}
        )
    overridden = gate.after != gate.verdict.answer
    return decide(
        course=gate.course,
        stage=gate.stage,
        session=gate.session,
        by=by,
        verdict=gate.verdict,
        chart=gate.chart,
        reason=reason or gate.verdict.label,
        kind=Decision.Kind.OVERRIDDEN if overridden else Decision.Kind.ACCEPTED,
    )


@transaction.atomic
def override(
    *,
    gate: queries.Gate,
    rule_id: str,
    reason: str,
    expires_at: datetime,
    by: Author,
    second: Staff | None = None,
    clearance: str = "",
) -> Decision:
    """Lift one finding at a gate, as its level allows; the gate is then asked again."""
    lifted = Lifted(rule_id, reason, expires_at, second_person=second, clearance=clearance)
    return decide(
        course=gate.course,
        stage=gate.stage,
        session=gate.session,
        by=by,
        verdict=gate.verdict,
        chart=gate.chart,
        reason=reason,
        kind=Decision.Kind.OVERRIDDEN,
        lifted=[lifted],
    )


@transaction.atomic
def meet_condition(*, gate: queries.Gate, text: str, by: Author) -> None:
    """Put one's name to a condition being met, for this session alone."""
    found = [pair for pair in gate.to_do if pair[1].text == text]
    if not found:
        raise Refused(_("This condition is not open here (any more); look at the list again."))
    finding, condition = found[0]
    if condition.owner not in {by.role, *by.roles}:
        raise Refused(_("This condition is the %(owner)s's to sign.") % {"owner": condition.owner})
    rule = course_queries.protocol_of(gate.course).rule(finding.rule_id)
    order = queries.order_of(gate.session)
    if rule.stages == ("order",) and order is not None and order.author == by.id:
        raise Refused(_("Another prescriber than the one who signed the order must sign this."))
    task = open_task(
        of=gate.session,
        kind=queries.CONDITION,
        text=text,
        owner_role=condition.owner,
        due_at=gate.at,
        by=by,
        course=gate.course,
        source=f"{finding.rule_id}@{gate.session.pk}",
    )
    close_task(task=task, disposition=queries.MET, note=by.name or by.id, by=by)


def tell_record(*, session: Session, by: Author) -> None:
    """Write what the clinic's own rows say as Facts, once each (source `record`)."""
    facts = queries.untold(session, now())
    if facts:
        record_facts(of=session, readings=map(_as_reading, facts), by=by)


def _as_reading(fact: Told) -> Reading:
    return Reading(fact.name, plain(fact.value), fact.observed_at, unit=fact.unit, source="record")
