"""From referral to decision and consent. Views parse, call an action, render."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.course import actions as course_actions
from clinic.course import queries as course_queries
from clinic.course.actions import Lifted, Refused
from clinic.course.consents import wording
from clinic.course.forms import FactsForm, LiftForm
from clinic.course.models import Consent, Course, Decision, ListReview, Referral
from clinic.database import now
from clinic.intake import actions, queries
from clinic.intake.forms import (
    ConsentForm,
    DecisionForm,
    OpenPatientForm,
    ReviewedForm,
    row_formset,
)
from clinic.people import access
from clinic.people.access import ClinicRequest
from kap.facts import vocabulary
from kap.protocol import load
from kap.verdict import Verdict

SECOND = ("prescriber", "medical_director")


def _course(course_id: UUID) -> Course:
    return get_object_or_404(
        Course.objects.select_related("patient", "site", "protocol"), pk=course_id
    )


def _page(course: Course, **more: Any) -> dict[str, Any]:
    return {"course": course, "patient": course.patient, "site": course.site, **more}


def _language() -> str:
    return (get_language() or "en")[:2]


def referrals(request: ClinicRequest) -> HttpResponse:
    """Return the referrals that wait, the oldest first."""
    waiting = Referral.objects.filter(course__isnull=True).order_by("recorded_at")
    rows = list(waiting.select_related("site"))
    audit.record(by=request.by, action="referral.list", found=len(rows))
    return render(request, "intake/referrals.html", {"referrals": rows})


def referral(request: ClinicRequest, referral_id: UUID) -> HttpResponse:
    """Show a referral; open a patient and a course from it."""
    row = get_object_or_404(Referral.objects.select_related("site"), pk=referral_id)
    if course := Course.objects.filter(referral=row).first():
        audit.record(by=request.by, action="referral.view", about=course)
        return redirect("outcomes:course", course_id=course.pk)
    audit.record(by=request.by, action="referral.view", about=row)
    indications = load("iv-ketamine").parameters["listed_indications"].value
    assert isinstance(indications, tuple)
    form = OpenPatientForm(
        request.POST or None, indications=tuple(map(str, indications)),
        initial={"legal_name": row.name, "language": row.language,
                 "birth_date": _told_birth_date(row)},
    )
    page: dict[str, Any] = {"referral": row, "site": row.site, "form": form}
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        page["namesakes"] = queries.namesakes(row.site, data["legal_name"], data["birth_date"])
        if not page["namesakes"] or data["same_person"]:
            return _open(request, row, data)
        form.add_error("same_person", _("Somebody with this name and date is enrolled already."))
    return render(request, "intake/referral.html", page, status=400 if form.errors else 200)


def _told_birth_date(row: Referral) -> str:
    readings = row.chart.get("facts", {}).get("birth_date", [])
    last = readings[-1] if isinstance(readings, list) and readings else readings
    return str(last.get("value", "")) if isinstance(last, dict) else ""


def _open(request: ClinicRequest, row: Referral, data: dict[str, Any]) -> HttpResponse:
    course = actions.open_patient(
        referral=row, legal_name=data["legal_name"], preferred_name=data["preferred_name"],
        birth_date=data["birth_date"], language=data["language"], indication=data["indication"],
        by=request.by,
    )
    messages.success(request, _("Patient and course opened."))
    return redirect("outcomes:course", course_id=course.pk)


def worklist(request: ClinicRequest) -> HttpResponse:
    """Return the people in screening with their answer, what is unknown and the case's age."""
    found = queries.cases(now(), request.by.role)
    audit.record_reads(
        by=request.by, action="worklist.view", rows=[case.course for case in found]
    )
    return render(request, "intake/worklist.html", {"cases": found})


def screening(request: ClinicRequest, course_id: UUID) -> HttpResponse:
    """Return what is known and what is asked next."""
    course = _course(course_id)
    audit.record(by=request.by, action="screening.view", about=course)
    return _screening(request, course)


def _screening(
    request: ClinicRequest, course: Course, form: FactsForm | None = None
) -> HttpResponse:
    at = now()
    verdict = course_queries.verdict(course, "screening", at)[0]
    seen = verdict.seen_by(request.by.role)
    hidden = {read.name for read in verdict.facts_read} - {read.name for read in seen.facts_read}
    page = _page(
        course, verdict=seen, now=at, form=form or _facts_form(request, course, seen),
        known=queries.known_facts(course, at, hidden),
        reviews=course_queries.latest_reviews(course.patient, at),
        kinds=ListReview.Kind.choices,
        may_review=request.by.holds("nurse", "prescriber", "medical_director"),
    )
    return render(request, "intake/screening.html", page, status=400 if form else 200)


def _facts_form(
    request: ClinicRequest, course: Course, verdict: Verdict, data: Any = None
) -> FactsForm:
    """Return the form of what is unknown, and of a fact named in the address to record anew."""
    kinds = {kind.name: kind for kind in queries.answerable(verdict, request.by)}
    again = vocabulary().get(request.GET.get("fact", ""))
    if again is not None and queries.may_record(again, request.by):
        kinds = {again.name: again}
    return FactsForm(data, kinds=kinds.values(), zone=course.site.tz, at=now())


def record_facts(request: ClinicRequest, course_id: UUID) -> HttpResponse:
    """Store what was answered and ask the protocol again."""
    course = _course(course_id)
    verdict = course_queries.verdict(course, "screening", now())[0].seen_by(request.by.role)
    form = _facts_form(request, course, verdict, request.POST)
    if form.is_valid():
        try:
            course_actions.record_facts(of=course, readings=form.readings(), by=request.by)
        except Refused as refused:
            form.add_error(None, str(refused))
        else:
            messages.success(request, _("Recorded."))
            return redirect("intake:screening", course_id=course.pk)
    audit.record(by=request.by, action="screening.view", about=course)
    return _screening(request, course, form)


def review_list(request: ClinicRequest, course_id: UUID, kind: str) -> HttpResponse:
    """Go through a list: rows as known before, each to be confirmed, and whether it is complete."""
    course = _course(course_id)
    if kind not in ListReview.Kind.values:
        raise Http404
    formset_class, at = row_formset(kind), now()
    last = course_queries.latest_reviews(course.patient, at).get(kind)
    rows = formset_class(request.POST or None, initial=_rows(last))
    reviewed = ReviewedForm(request.POST or None)
    if request.method == "POST" and rows.is_valid() and reviewed.is_valid():
        try:
            course_actions.review_list(
                of=course, kind=kind, items=rows.items(), by=request.by,  # type: ignore[attr-defined]  # ListFormSet
                complete=reviewed.cleaned_data["complete"] == "yes",
            )
        except Refused as refused:
            reviewed.add_error(None, str(refused))
        else:
            messages.success(request, _("List reviewed."))
            return redirect("intake:screening", course_id=course.pk)
    audit.record(by=request.by, action="list.view", about=course, kind=kind)
    page = _page(course, rows=rows, reviewed=reviewed, title=ListReview.Kind(kind).label, last=last)
    failed = request.method == "POST"
    return render(request, "intake/list.html", page, status=400 if failed else 200)


def _rows(last: ListReview | None) -> list[dict[str, Any]]:
    if last is None:
        return []
    yes_no = {True: "yes", False: "no"}
    return [
        {
            name: yes_no.get(value, value) if isinstance(value, bool) else value
            for name, value in vars(row).items()
            if not name.startswith("_")
        }
        for row in course_queries.items_of(last)
    ]


def review(request: ClinicRequest, course_id: UUID) -> HttpResponse:
    """Show the Verdict with reasons, sources and unknowns; store what the prescriber decides."""
    course = _course(course_id)
    at = now()
    verdict, chart = course_queries.verdict(course, "screening", at)
    after = verdict.after(
        course_queries.lifts(course, at), course_queries.moment(at, course.site)
    )
    decide = DecisionForm(initial={"facts_hash": verdict.facts_hash})
    liftable = [f for f in verdict.findings if f.level in ("P", "R")]
    lift = LiftForm(findings=liftable, zone=course.site.tz, at=at)
    if request.method == "POST":
        form = _decide if request.POST.get("do") == "decide" else _lift
        bound = (
            DecisionForm(request.POST) if form is _decide
            else LiftForm(request.POST, findings=liftable, zone=course.site.tz, at=at)
        )
        if bound.is_valid():
            try:
                return form(request, course, bound.cleaned_data, verdict, chart)
            except (Refused, PermissionError) as refused:
                bound.add_error(None, str(refused))
        decide, lift = (bound, lift) if form is _decide else (decide, bound)  # type: ignore[assignment]  # one of the two
    audit.record(by=request.by, action="review.view", about=course)
    page = _page(
        course, verdict=verdict, after=after, now=at, decide=decide, lift=lift, liftable=liftable,
        signed=course_queries.is_signed(course), may_decide=course_queries.may_decide(course),
        acceptable=after in actions.ACCEPTABLE, overrides=course_queries.live_overrides(course, at),
        changed=queries.difference(course, verdict),
    )
    return render(
        request, "intake/review.html", page, status=400 if request.method == "POST" else 200
    )


def _decide(
    request: ClinicRequest, course: Course, data: dict[str, Any], verdict: Verdict, chart: Any
) -> HttpResponse:
    if data["facts_hash"] != verdict.facts_hash:
        raise Refused(_("Something was recorded since you opened this page: look again, then decide."))
    row = actions.decide(
        course=course, kind=data["kind"], reason=data["reason"], verdict=verdict, chart=chart,
        by=request.by,
    )
    messages.success(request, _("Decision stored."))
    return redirect("intake:decision", decision_id=row.pk)


def _lift(
    request: ClinicRequest, course: Course, data: dict[str, Any], verdict: Verdict, chart: Any
) -> HttpResponse:
    second = None
    if data["second_username"]:
        second = access.second_person(
            request, username=data["second_username"], password=data["second_password"],
            roles=SECOND, site=course.site_id,
        )
    lifted = Lifted(data["rule_id"], data["reason"], data["until"], second, data["clearance"])
    actions.decide(
        course=course, kind=Decision.Kind.OVERRIDDEN, reason=data["reason"], verdict=verdict,
        chart=chart, by=request.by, lifted=[lifted],
    )
    messages.success(request, _("Override stored; the computed answer stays visible beside it."))
    return redirect("intake:review", course_id=course.pk)


def decision(request: ClinicRequest, decision_id: UUID) -> HttpResponse:
    """Return a stored Decision as it was taken."""
    row = get_object_or_404(
        Decision.objects.select_related("course", "patient", "site", "protocol"), pk=decision_id
    )
    audit.record(by=request.by, action="decision.view", about=row)
    stored = Verdict.from_json(row.verdict).seen_by(request.by.role)
    page = _page(row.course, decision=row, verdict=stored, overrides=row.overrides.all())
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


def consent(request: ClinicRequest, course_id: UUID) -> HttpResponse:
    """Show the consent text and sign it, or show the one that stands."""
    course = _course(course_id)
    text = wording("treatment")
    language = course.patient.language if course.patient.language in text.text else "en"
    form = ConsentForm(request.POST or None)
    active = course_queries.active_consent(course, "treatment")
    if request.method == "POST" and form.is_valid():
        try:
            course_actions.sign_consent(
                course=course, scope="treatment", version=text.version, language=language,
                text=text.text[language], signer=form.cleaned_data["signer"], by=request.by,
                teach_back=form.cleaned_data["teach_back"],
            )
        except Refused as refused:
            form.add_error(None, str(refused))
        else:
            messages.success(request, _("Consent signed."))
            return redirect("intake:consent", course_id=course.pk)
    audit.record(by=request.by, action="consent.view", about=course)
    page = _page(
        course, form=form, active=active, wording=text, text=text.text[language],
        text_language=language, consents=course.consents.order_by("-signed_at"),
        may_sign=request.by.holds("nurse", "therapist", "prescriber", "medical_director"),
    )
    return render(request, "intake/consent.html", page, status=400 if form.errors else 200)


def withdraw_consent(request: ClinicRequest, consent_id: UUID) -> HttpResponse:
    """Withdraw a consent: at once, without a reason."""
    row = get_object_or_404(Consent, pk=consent_id, withdraws__isnull=True)
    course_actions.withdraw_consent(
        consent=row, signer=request.POST.get("signer", "")[:200], by=request.by
    )
    messages.success(request, _("Consent withdrawn. No dose starts without a new one."))
    return redirect("intake:consent", course_id=row.course_id)
