"""From referral to screening: who waits, what is known, what is asked next."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.course import actions as course_actions
from clinic.course import queries as course_queries
from clinic.course.actions import Refused
from clinic.course.forms import HistoryForm
from clinic.course.models import Course, ListReview, Referral
from clinic.course.once import once
from clinic.database import now
from clinic.intake import actions, queries
from clinic.intake.forms import OpenPatientForm, ReviewedForm, row_formset
from clinic.intake.groups import grouped
from clinic.intake.queries import course_of, page_of
from clinic.people.access import ClinicRequest
from kap.facts import vocabulary
from kap.protocol import load
from kap.verdict import Verdict


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
        request.POST or None,
        indications=tuple(map(str, indications)),
        initial={
            "legal_name": row.name,
            "language": row.language,
            "birth_date": _told_birth_date(row),
        },
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
        referral=row,
        legal_name=data["legal_name"],
        preferred_name=data["preferred_name"],
        birth_date=data["birth_date"],
        language=data["language"],
        indication=data["indication"],
        by=request.by,
    )
    messages.success(request, _("Patient and course opened."))
    return redirect("outcomes:course", course_id=course.pk)


def worklist(request: ClinicRequest) -> HttpResponse:
    """Return the people in screening with their answer, what is unknown and the case's age."""
    found = queries.cases(now(), request.by.role)
    audit.record_reads(by=request.by, action="worklist.view", rows=[case.course for case in found])
    return render(request, "intake/worklist.html", {"cases": found})


def screening(request: ClinicRequest, course_id: UUID) -> HttpResponse:
    """Return what is known and what is asked next."""
    course = course_of(course_id)
    audit.record(by=request.by, action="screening.view", about=course)
    return _screening(request, course)


def _screening(
    request: ClinicRequest, course: Course, form: HistoryForm | None = None
) -> HttpResponse:
    at = now()
    whole = course_queries.verdict(course, "screening", at)[0]
    seen = whole.seen_by(request.by.role)
    form = form or _facts_form(request, course, seen)
    page = page_of(
        course,
        verdict=seen,
        now=at,
        form=form,
        asked=list(grouped(form.asked())),
        known=list(grouped(queries.known_facts(course, at, whole, seen))),
        reviews=course_queries.latest_reviews(course.patient, at),
        kinds=ListReview.Kind.choices,
        may_review=request.by.holds("nurse", "prescriber", "medical_director"),
    )
    status = 400 if form.is_bound else 200
    return render(request, "intake/screening.html", page, status=status)


def _facts_form(
    request: ClinicRequest, course: Course, verdict: Verdict, data: Any = None
) -> HistoryForm:
    """Return the form of what is unknown, and of a fact named in the address to record anew."""
    kinds = {kind.name: kind for kind in queries.answerable(verdict, request.by)}
    again = vocabulary().get(request.GET.get("fact", ""))
    if again is not None and queries.may_record(again, request.by):
        kinds = {again.name: again}
    return HistoryForm(data, kinds=kinds.values(), zone=course.site.tz, at=now())


@once("intake:screening")
def record_facts(request: ClinicRequest, course_id: UUID) -> HttpResponse:
    """Store what was answered and ask the protocol again."""
    course = course_of(course_id)
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


@once("intake:review_list")
def review_list(request: ClinicRequest, course_id: UUID, kind: str) -> HttpResponse:
    """Go through a list: rows as known before, each to be confirmed, and whether it is complete."""
    course = course_of(course_id)
    if kind not in ListReview.Kind.values:
        raise Http404
    formset_class, at = row_formset(kind), now()
    last = course_queries.latest_reviews(course.patient, at).get(kind)
    rows = formset_class(request.POST or None, initial=_rows(last))
    reviewed = ReviewedForm(request.POST or None)
    if request.method == "POST" and rows.is_valid() and reviewed.is_valid():
        try:
            course_actions.review_list(
                of=course,
                kind=kind,
                items=rows.items(),
                by=request.by,
                complete=reviewed.cleaned_data["complete"] == "yes",
            )
        except Refused as refused:
            reviewed.add_error(None, str(refused))
        else:
            messages.success(request, _("List reviewed."))
            return redirect("intake:screening", course_id=course.pk)
    audit.record(by=request.by, action="list.view", about=course, kind=kind)
    page = page_of(
        course, rows=rows, reviewed=reviewed, title=ListReview.Kind(kind).label, last=last
    )
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
