"""The way home: the discharge gate, the vial's account, leaving against advice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django.http import HttpResponse
from django.shortcuts import render

from clinic.audit import actions as audit
from clinic.course.forms import KeyedForm, SecondSigner
from clinic.course.models import Session
from clinic.course.once import once
from clinic.database import now
from clinic.dosing import actions, queries
from clinic.dosing.forms import LeaveForm
from clinic.dosing.views import (
    Did,
    attempt,
    gate_did,
    gate_forms,
    go,
    page_of,
    posted,
    seen,
    status_of,
)
from clinic.people.access import ClinicRequest, second_person
from kap.quantity import shown


@once("dosing:discharge")
def discharge(request: ClinicRequest, session_id: UUID) -> HttpResponse:
    """Show the gates of the way home; take facts and overrides, sign, or record who leaves."""
    session = queries.session_of(session_id)
    infusion = queries.infusion_of(session)
    if (
        infusion is None
        or infusion.stopped_at is None
        or infusion.discharged_at
        or infusion.left_at
    ):
        audit.record(by=request.by, action="discharge.view", about=session)
        return render(request, "dosing/discharge.html", page_of(request, session))
    gate = queries.discharge_gate(session, now())
    forms = gate_forms(request, gate)
    forms["close_form"] = SecondSigner(posted(request, "close"), initial={"key": uuid4()})
    forms["leave_form"] = LeaveForm(posted(request, "leave"), initial={"key": uuid4()})
    if request.method == "POST" and (done := _discharge_did(request, gate, forms)):
        return done
    audit.record(by=request.by, action="discharge.view", about=session)
    gate = queries.discharge_gate(session, now())
    page = page_of(
        request,
        session,
        gate=gate,
        verdict=seen(request, gate.verdict),
        given_mg=shown(Decimal(infusion.delivered_ug or 0).scaleb(-3)),
        waste_mg=shown(Decimal(queries.waste_ug(infusion)).scaleb(-3)),
        vial_closed="vial_ledger_closed" not in {u.fact for u in gate.verdict.unknowns},
        **forms,
    )
    return render(request, "dosing/discharge.html", page, status=status_of(forms))


def _discharge_did(request: ClinicRequest, gate: queries.Gate, forms: dict[str, Any]) -> Did:
    session, here = gate.session, "dosing:discharge"
    if gate_did(request, gate, forms):
        return go(request, here, session)
    do, close, leave = request.POST.get("do"), forms["close_form"], forms["leave_form"]
    if do == "close" and close.is_valid():
        done = attempt(close, lambda: _close_vial(request, session, close))
        return go(request, here, session) if done else None
    if do == "leave" and leave.is_valid():
        done = attempt(
            leave,
            lambda: actions.leave_against_advice(
                session=session,
                reason=leave.cleaned_data["reason"],
                key=leave.cleaned_data["key"],
                by=request.by,
            ),
        )
        return go(request, "dosing:session", session) if done else None
    if do == "sign":
        form = forms["sign_form"] = KeyedForm(request.POST)
        if form.is_valid() and attempt(
            form,
            lambda: actions.discharge(session=session, key=form.cleaned_data["key"], by=request.by),
        ):
            return go(request, "dosing:record", session)
    return None


def _close_vial(request: ClinicRequest, session: Session, form: SecondSigner) -> None:
    """Two persons sign what was given and what was wasted."""
    data = form.cleaned_data
    second = second_person(
        request,
        username=data["second_username"],
        password=data["second_password"],
        roles=("nurse", "prescriber", "pharmacist"),
        site=session.site_id,
    )
    actions.close_vial(session=session, second=second, key=data["key"], by=request.by)
