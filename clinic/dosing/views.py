"""The order, the start gate and the monitor's binding: pages before the hour."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.course import queries as course_queries
from clinic.course.actions import Refused, record_facts
from clinic.course.forms import FactsForm, KeyedForm, LiftForm
from clinic.course.models import Session
from clinic.course.once import once
from clinic.database import now
from clinic.dosing import actions, queries
from clinic.dosing.forms import BindForm, ConditionForm, OrderForm, StartForm
from clinic.dosing.live import order_text
from clinic.dosing.models import Device, StartAuthorization
from clinic.people.access import ClinicRequest, second_person
from kap.ceilings import DoseError
from kap.dose import DosePlan
from kap.facts import vocabulary
from kap.quantity import shown
from kap.verdict import Verdict

Did = HttpResponse | None
CHANGED = "changed"
# What is measured again at a gate although it is known.
AGAIN = {
    "start": ("systolic", "diastolic", "heart_rate", "spo2", "weight"),
    "discharge": (
        *("systolic_session", "diastolic_session", "heart_rate_session", "spo2_session"),
        *("moaas", "oriented", "aldrete", "padss", "gait_steady", "dissociation", "distress"),
        *("nausea", "sips_tolerated", "escort_present"),
    ),
}


def page_of(request: ClinicRequest, session: Session, **more: Any) -> dict[str, Any]:
    """Return what every page of a session shows."""
    infusion = queries.infusion_of(session)
    standing = infusion.order if infusion else queries.order_of(session)
    return {
        "session": session,
        "course": session.course,
        "patient": session.patient,
        "site": session.site,
        "order": standing,
        "order_text": order_text(standing) if standing else "",
        "dose_mg": shown(Decimal(standing.dose_ug).scaleb(-3)) if standing else "",
        "short_name": short_name(session),
        "infusion": infusion,
        "new_key": uuid4(),
        "by": request.by,
        **more,
    }


def short_name(session: Session) -> str:
    """Return the person as staff say it: Marie K."""
    first, *rest = str(session.patient.legal_name).split()
    called = session.patient.preferred_name or first
    return f"{called} {rest[-1][0]}." if rest else called


def seen(request: ClinicRequest, verdict: Verdict) -> Verdict:
    """Return the verdict as this reader's roles may see it."""
    return verdict.seen_by(request.by.role)


def go(request: ClinicRequest, view: str, session: Session) -> HttpResponse:
    """Send the browser on after a form was done; a replay, which did nothing, is audited here."""
    if not request.by.trail:
        audit.record(by=request.by, action="session.replay", about=session)
    return redirect(view, session_id=session.pk)


def attempt(form: Form, act: Callable[[], object]) -> bool:
    """Return whether the action was done; its refusal stands in the form, in words."""
    try:
        act()
    except (Refused, PermissionError, DoseError) as refusal:
        code = CHANGED if isinstance(refusal, actions.Changed) else "refused"
        form.add_error(None, ValidationError(str(refusal), code))
        return False
    return True


def status_of(forms: dict[str, Any]) -> int:
    """Return 200, 400 for a form that failed, 409 where what is known changed meanwhile."""
    failed = [form for form in forms.values() if form is not None and form.errors]
    changed = any(form.has_error(NON_FIELD_ERRORS, CHANGED) for form in failed)
    return 409 if changed else 400 if failed else 200


# -- the order ------------------------------------------------------------------------------------


@once("dosing:order")
def order(request: ClinicRequest, session_id: UUID) -> HttpResponse:
    """Ask for a dose, show its arithmetic and the gate's answer, sign it."""
    session, at = queries.session_of(session_id), now()
    gate, plan = queries.order_gate(session, at), None
    forms = gate_forms(request, gate)
    if gate_did(request, gate, forms):
        return go(request, "dosing:order", session)
    asked = request.POST if request.method == "POST" and "do" not in request.POST else None
    form = forms["form"] = OrderForm(asked, initial=_chosen(request))
    if form.is_valid():
        draft = queries.Draft(**{k: v for k, v in form.cleaned_data.items() if k != "key"})
        if "sign" in request.POST and _signed(request, session, form, draft):
            return go(request, "dosing:start", session)
        plan = _planned(form, draft, gate)
        gate = queries.order_gate(session, at, plan)
    audit.record(by=request.by, action="order.view", about=session)
    page = _order_page(request, session, gate, plan)
    return render(request, "dosing/order.html", {**page, **forms}, status=status_of(forms))


def _signed(request: ClinicRequest, session: Session, form: Form, draft: queries.Draft) -> bool:
    key = form.cleaned_data["key"]
    done = attempt(
        form, lambda: actions.sign_order(session=session, draft=draft, key=key, by=request.by)
    )
    if done:
        messages.success(request, _("Order signed."))
    return done


def _chosen(request: ClinicRequest) -> dict[str, Any]:
    """Return the key, and what was chosen by a chip: nothing else is filled in."""
    chips = {name: request.GET[name] for name in ("mg_per_kg", "minutes") if name in request.GET}
    return {"key": uuid4(), **chips}


def _planned(form: Form, draft: queries.Draft, gate: queries.Gate) -> DosePlan | None:
    """Return the plan of a draft; None without a weight in date, or where there is no such dose."""
    weight = queries.weight_of(gate)
    if weight is None:
        return None
    try:
        return queries.planned(draft, weight[0].kg, course_queries.protocol_of(gate.course))
    except DoseError as error:
        form.add_error(None, str(error))
        return None


def _order_page(
    request: ClinicRequest, session: Session, gate: queries.Gate, plan: DosePlan | None
) -> dict[str, Any]:
    parameters = course_queries.protocol_of(session.course).parameters
    return page_of(
        request,
        session,
        gate=gate,
        now=gate.at,
        plan=plan,
        verdict=seen(request, gate.verdict),
        weight=queries.weight_of(gate),
        last_weight=gate.body.get("weight"),
        screening=queries.screening_decision(session.course),
        usual={
            "mg_per_kg": parameters["dose_usual"].value,
            "minutes": parameters["min_minutes"].value,
        },
        strengths=parameters["vial_strengths"].value,
        may_sign=plan is not None and gate.is_open,
        asked_mg=shown(plan.dose_mg) if plan is not None else "",
        lines=[line.text for line in plan.lines()] if plan is not None else [],
    )


# -- the gate -------------------------------------------------------------------------------------


@once("dosing:start")
def start(request: ClinicRequest, session_id: UUID) -> HttpResponse:
    """Show the start gate as a checklist; take facts, conditions, the second check, the start."""
    session = queries.session_of(session_id)
    standing = queries.order_of(session)
    if standing is None or queries.infusion_of(session) is not None:
        audit.record(by=request.by, action="start.view", about=session)
        return render(request, "dosing/start.html", page_of(request, session))
    gate = queries.start_gate(session, standing, now())
    forms: dict[str, Any] = gate_forms(request, gate)
    forms["check_form"] = StartForm(posted(request, "check"), initial={"key": uuid4()})
    if request.method == "POST" and (done := _start_did(request, gate, forms)):
        return done
    audit.record(by=request.by, action="start.view", about=session)
    gate = queries.start_gate(session, standing, now())
    actions.ask_at_the_chair(gate=gate, by=request.by)
    page = page_of(
        request,
        session,
        gate=gate,
        now=gate.at,
        verdict=seen(request, gate.verdict),
        bound=queries.bound_to(session),
        authorization=live_authorization(session, gate.at),
        plan=queries.plan_of(standing),
        bind_form=BindForm(devices=free_devices(session), initial={"key": uuid4()}),
        **forms,
    )
    return render(request, "dosing/start.html", page, status=status_of(forms))


def live_authorization(session: Session, at: datetime) -> StartAuthorization | None:
    """Return the newest second check that still holds."""
    rows = StartAuthorization.objects.filter(session=session, expires_at__gt=at)
    return rows.select_related("second_checker", "issuer").order_by("-decided_at").first()


def posted(request: ClinicRequest, do: str) -> Any:
    return request.POST if request.method == "POST" and request.POST.get("do") == do else None


def gate_forms(request: ClinicRequest, gate: queries.Gate) -> dict[str, Any]:
    """Return the forms by which a gate is opened: facts, conditions, overrides."""
    return {
        "facts_form": FactsForm(
            posted(request, "facts"),
            kinds=gate.asks({request.by.role, *request.by.roles}),
            zone=gate.session.site.tz,
            at=gate.at,
        ),
        "again_form": FactsForm(
            posted(request, "again"),
            kinds=[vocabulary()[name] for name in AGAIN.get(gate.stage, ())],
            zone=gate.session.site.tz,
            at=gate.at,
        ),
        "condition_form": ConditionForm(posted(request, "condition")),
        "lift_form": _lift_form(request, gate),
    }


def _lift_form(request: ClinicRequest, gate: queries.Gate) -> LiftForm | None:
    found = gate.liftable({request.by.role, *request.by.roles})
    sent = posted(request, "lift")
    return LiftForm(sent, findings=found, zone=gate.session.site.tz, at=gate.at) if found else None


def gate_did(request: ClinicRequest, gate: queries.Gate, forms: dict[str, Any]) -> bool:
    """Do what a gate's form asked; return whether it was done."""
    do, by = request.POST.get("do"), request.by
    if do in ("facts", "again"):
        form = forms[f"{do}_form"]
        return form.is_valid() and attempt(
            form,
            lambda: record_facts(
                of=gate.session,
                session=gate.session,
                by=by,
                readings=form.readings(queries.STATED_HERE),
            ),
        )
    if do == "condition" and forms["condition_form"].is_valid():
        text = forms["condition_form"].cleaned_data["text"]
        return attempt(
            forms["condition_form"], lambda: actions.meet_condition(gate=gate, text=text, by=by)
        )
    if do == "lift" and forms["lift_form"] is not None and forms["lift_form"].is_valid():
        return attempt(forms["lift_form"], lambda: _lift(request, gate, forms["lift_form"]))
    return False


def _lift(request: ClinicRequest, gate: queries.Gate, form: LiftForm) -> None:
    data, second = form.cleaned_data, None
    if data["second_username"]:
        second = second_person(
            request,
            username=data["second_username"],
            password=data["second_password"],
            roles=("prescriber", "nurse", "medical_director"),
            site=gate.session.site_id,
        )
    actions.override(
        gate=gate,
        rule_id=data["rule_id"],
        reason=data["reason"],
        expires_at=form.until(),
        second=second,
        clearance=data["clearance"],
        by=request.by,
    )


def _start_did(request: ClinicRequest, gate: queries.Gate, forms: dict[str, Any]) -> Did:
    """Return where to go once what the start page's form asked is done; None when it was not."""
    session, here = gate.session, "dosing:start"
    if gate_did(request, gate, forms):
        return go(request, here, session)
    check = forms["check_form"]
    if request.POST.get("do") == "check" and check.is_valid():
        done = attempt(check, lambda: _check(request, session, check))
        return go(request, here, session) if done else None
    if request.POST.get("do") == "start":
        form = forms["begin_form"] = KeyedForm(request.POST)
        if form.is_valid() and attempt(form, lambda: _begin(request, session, form)):
            return go(request, "dosing:session", session)
    return None


def _check(request: ClinicRequest, session: Session, form: StartForm) -> None:
    """The second checker signs on this device and keys the rate anew."""
    data, standing = form.cleaned_data, queries.order_of(session)
    assert standing is not None
    second = second_person(
        request,
        username=data["second_username"],
        password=data["second_password"],
        roles=("nurse", "prescriber"),
        site=session.site_id,
    )
    actions.authorise(
        session=session,
        order=standing,
        second=second,
        rate_ml_h=data["rate_ml_h"],
        key=data["key"],
        by=request.by,
    )


def _begin(request: ClinicRequest, session: Session, form: KeyedForm) -> None:
    authorization = get_object_or_404(
        StartAuthorization.objects.select_related("order__course__protocol", "order__site"),
        pk=request.POST.get("authorization"),
        session=session,
    )
    actions.start_infusion(authorization=authorization, key=form.cleaned_data["key"], by=request.by)


# -- the monitor ----------------------------------------------------------------------------------


def bind(request: ClinicRequest, session_id: UUID) -> HttpResponse:
    """Bind a monitor of the site to the person in the chair."""
    session = queries.session_of(session_id)
    form = BindForm(request.POST, devices=free_devices(session))
    if form.is_valid() and attempt(form, lambda: _bind(request, session, form)):
        messages.success(request, _("The monitor is bound to this session."))
        return go(request, "dosing:session", session)
    audit.record(by=request.by, action="device.bind", about=session, outcome="refused")
    page = page_of(request, session, bind_form=form)
    return render(request, "dosing/bind.html", page, status=400)


def free_devices(session: Session) -> Any:
    """Return the site's devices in use that are bound to nobody."""
    return Device.objects.filter(site_id=session.site_id, retired_at__isnull=True).exclude(
        associations__released_at__isnull=True, associations__isnull=False
    )


def _bind(request: ClinicRequest, session: Session, form: BindForm) -> None:
    data = form.cleaned_data
    actions.bind(
        session=session,
        device=data["device"],
        mrn=data["mrn"],
        birth_date=data["birth_date"],
        key=data["key"],
        by=request.by,
    )
