"""From a Verdict to a Decision, and to a consent. Views parse, call an action, render."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.course import actions as course_actions
from clinic.course import queries as course_queries
from clinic.course.actions import Lifted, Refused
from clinic.course.consents import Wording, wording
from clinic.course.evidence import evidence_of
from clinic.course.forms import DatedLiftForm
from clinic.course.models import Consent, Course, Decision
from clinic.course.once import once
from clinic.database import now
from clinic.intake import actions, queries
from clinic.intake.forms import ConsentForm, DecisionForm, WithdrawForm
from clinic.intake.queries import course_of, page_of
from clinic.intake.what_if import WhatIfForm, askable, asked
from clinic.people import access
from clinic.people.access import ClinicRequest
from clinic.people.models import Staff
from kap.chart import Chart
from kap.rule import Answer
from kap.verdict import Verdict

SECOND = ("prescriber", "medical_director")
SCOPE = "treatment"


# -- the review ------------------------------------------------------------------------------------


@once("intake:review")
def review(request: ClinicRequest, course_id: UUID) -> HttpResponse:
    """Show the Verdict with reasons, sources and unknowns; store what the prescriber decides."""
    course, at = course_of(course_id), now()
    verdict, chart = course_queries.verdict(course, "screening", at)
    after = course_queries.answer_after(course, verdict, at)
    decide, lift = _forms(request, course, verdict, after)
    try:
        if decide.is_bound and decide.is_valid():
            return _decide(request, course, decide, verdict, chart)
        if lift.is_bound and lift.is_valid():
            return _lift(request, course, lift, verdict, chart)
    except (Refused, PermissionError) as refused:
        (decide if decide.is_bound else lift).add_error(None, str(refused))
    return _review(request, course, at, verdict, chart, decide=decide, lift=lift)


def what_if(request: ClinicRequest, course_id: UUID) -> HttpResponse:
    """Show the answer as it would be beside the real one; nothing is stored."""
    course, at = course_of(course_id), now()
    verdict, chart = course_queries.verdict(course, "screening", at)
    after = course_queries.answer_after(course, verdict, at)
    decide, lift = _forms(request, course, verdict, after)
    form = WhatIfForm(request.POST, kinds=askable(verdict))
    found = None
    if form.is_valid():
        found = asked(course, verdict, chart, at, form.supposed)
    more = {"decide": decide, "lift": lift, "suppose": form, "what_if": found}
    return _review(request, course, at, verdict, chart, **more)


def _review(
    request: ClinicRequest,
    course: Course,
    at: datetime,
    verdict: Verdict,
    chart: Chart,
    **more: Any,
) -> HttpResponse:
    """Return the page: the answer, why, what changed, what if, and the two forms in `more`."""
    audit.record(by=request.by, action="review.view", about=course)
    after = course_queries.answer_after(course, verdict, at)
    page = page_of(
        course,
        verdict=verdict,
        after=after,
        now=at,
        signed=course_queries.is_signed(course),
        may_decide=course_queries.may_decide(course),
        acceptable=after in actions.ACCEPTABLE,
        overrides=course_queries.live_overrides(course, at),
        evidence=evidence_of(verdict, chart),
        changed=queries.changed(course, verdict, chart),
        why=queries.why(course, chart, at) if "why" in request.GET else None,
        **{"suppose": WhatIfForm(kinds=askable(verdict))} | more,
    )
    refused = page["decide"].is_bound or page["lift"].is_bound or page["suppose"].errors
    return render(request, "intake/review.html", page, status=400 if refused else 200)


def _forms(
    request: ClinicRequest, course: Course, verdict: Verdict, after: Answer
) -> tuple[DecisionForm, DatedLiftForm]:
    """Return both forms of the page; the one that was sent holds what was typed."""
    said = request.POST.get("do")
    decide = DecisionForm(
        request.POST if said == "decide" else None,
        acceptable=after in actions.ACCEPTABLE,
        initial={"facts_hash": verdict.facts_hash},
    )
    lift = DatedLiftForm(
        request.POST if said == "lift" else None,
        zone=course.site.tz,
        at=now(),
        findings=[finding for finding in verdict.findings if finding.level in ("P", "R")],
    )
    return decide, lift


def _decide(
    request: ClinicRequest, course: Course, form: DecisionForm, verdict: Verdict, chart: Chart
) -> HttpResponse:
    data = form.cleaned_data
    if data["facts_hash"] != verdict.facts_hash:
        raise Refused(
            _("Something was recorded since you opened this page: look again, then decide.")
        )
    row = actions.decide(
        course=course,
        kind=data["kind"],
        reason=data["reason"],
        verdict=verdict,
        chart=chart,
        by=request.by,
    )
    messages.success(request, _("Decision stored."))
    return redirect("intake:decision", decision_id=row.pk)


def _lift(
    request: ClinicRequest, course: Course, form: DatedLiftForm, verdict: Verdict, chart: Chart
) -> HttpResponse:
    data = form.cleaned_data
    lifted = Lifted(
        data["rule_id"],
        data["reason"],
        form.until(),
        _second(request, course, data),
        data["clearance"],
    )
    actions.decide(
        course=course,
        kind=Decision.Kind.OVERRIDDEN,
        reason=data["reason"],
        verdict=verdict,
        chart=chart,
        by=request.by,
        lifted=[lifted],
    )
    messages.success(request, _("Override stored; the computed answer stays visible beside it."))
    return redirect("intake:review", course_id=course.pk)


def _second(request: ClinicRequest, course: Course, data: dict[str, Any]) -> Staff | None:
    if not data["second_username"]:
        return None
    return access.second_person(
        request,
        username=data["second_username"],
        password=data["second_password"],
        roles=SECOND,
        site=course.site_id,
    )


# -- a decision ------------------------------------------------------------------------------------


def decision(request: ClinicRequest, decision_id: UUID) -> HttpResponse:
    """Return a stored Decision as it was taken."""
    row = get_object_or_404(
        Decision.objects.select_related("course", "patient", "site", "protocol"), pk=decision_id
    )
    audit.record(by=request.by, action="decision.view", about=row)
    stored = Verdict.from_json(row.verdict).seen_by(request.by.role)
    page = page_of(
        row.course,
        decision=row,
        verdict=stored,
        overrides=row.overrides.all(),
        evidence=evidence_of(stored, Chart.from_json(row.chart)),
    )
    return render(request, "intake/decision.html", page)


def decision_file(request: ClinicRequest, decision_id: UUID) -> HttpResponse:
    """Return the Decision as the file that `kap replay` reads."""
    row = get_object_or_404(Decision, pk=decision_id)
    audit.record(by=request.by, action="decision.export", about=row)
    body = json.dumps({"verdict": row.verdict, "chart": row.chart}, ensure_ascii=False, indent=2)
    response = HttpResponse(body, content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="decision-{row.pk}.json"'
    response["Cache-Control"] = "no-store"
    return response


# -- the consent -----------------------------------------------------------------------------------


@once("intake:consent")
def consent(request: ClinicRequest, course_id: UUID) -> HttpResponse:
    """Show the consent text and sign it, or show the one that stands."""
    course, text = course_of(course_id), wording(SCOPE)
    language = course.patient.language if course.patient.language in text.text else "en"
    form = ConsentForm(request.POST or None, questions=text.teach_back[language])
    if form.is_bound and form.is_valid():
        try:
            return _sign(request, course, text, language, form)
        except Refused as refused:
            form.add_error(None, str(refused))
    return _consent(request, course, form, text, language)


def _sign(
    request: ClinicRequest, course: Course, text: Wording, language: str, form: ConsentForm
) -> HttpResponse:
    course_actions.sign_consent(
        course=course,
        scope=SCOPE,
        version=text.version,
        language=language,
        text=text.text[language],
        signer=form.cleaned_data["signer"],
        teach_back=form.teach_back(),
        by=request.by,
    )
    messages.success(request, _("Consent signed."))
    return redirect("intake:consent", course_id=course.pk)


def _consent(
    request: ClinicRequest, course: Course, form: ConsentForm, text: Wording, language: str
) -> HttpResponse:
    audit.record(by=request.by, action="consent.view", about=course)
    page = page_of(
        course,
        form=form,
        wording=text,
        text=text.text[language],
        text_language=language,
        active=course_queries.active_consent(course, SCOPE),
        withdraw=WithdrawForm(initial={"signer": course.patient.legal_name}),
        consents=course.consents.order_by("-signed_at"),
        may_sign=request.by.holds("nurse", "therapist", "prescriber", "medical_director"),
    )
    return render(request, "intake/consent.html", page, status=400 if form.is_bound else 200)


def withdraw_consent(request: ClinicRequest, consent_id: UUID) -> HttpResponse:
    """Withdraw a consent: at once, without a reason. Sent twice, it is withdrawn once."""
    row = get_object_or_404(Consent, pk=consent_id, withdraws__isnull=True)
    form = WithdrawForm(request.POST)
    if form.is_valid():
        course_actions.withdraw_consent(
            consent=row, signer=form.cleaned_data["signer"], by=request.by
        )
        messages.success(request, _("Consent withdrawn. No dose starts without a new one."))
    else:
        audit.record(by=request.by, action="consent.view", about=row)
        messages.error(request, _("Withdrawn by: write the person's name."))
    return redirect("intake:consent", course_id=row.course_id)
