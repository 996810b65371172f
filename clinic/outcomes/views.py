"""The course page: is it helping, what comes next, is a booster due?"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.course import asked
from clinic.course import queries as course_queries
from clinic.course.actions import Refused
from clinic.course.models import Course
from clinic.course.once import once
from clinic.database import now
from clinic.outcomes import actions, queries
from clinic.outcomes.forms import PlanForm, SendForm
from clinic.outcomes.models import Response
from clinic.outcomes.pictures import arc
from clinic.people.access import ClinicRequest
from kap import instrument as instruments


def _course(course_id: UUID) -> Course:
    return get_object_or_404(
        Course.objects.select_related("patient", "site", "protocol"), pk=course_id
    )


def course(request: ClinicRequest, course_id: UUID) -> HttpResponse:
    """Return the course page."""
    row = _course(course_id)
    audit.record(by=request.by, action="course.view", about=row)
    return render(request, "outcomes/course.html", _page(request, row))


def _page(request: ClinicRequest, row: Course, **more: Any) -> dict[str, Any]:
    at = now()
    seen = queries.progress(row, at)
    booster, _chart = course_queries.verdict(row, "booster", at)
    sessions = list(course_queries.sessions_of(row))
    return {
        "course": row,
        "patient": row.patient,
        "site": row.site,
        "now": at,
        "progress": seen,
        "arc": arc(seen, sessions, get_language() or "en"),
        "sessions": sessions,
        "next_session": queries.next_of(sessions, at),
        "booster": booster.seen_by(request.by.role),
        "signed": course_queries.is_signed(row),
        "tasks": queries.tasks_for(request.by, row),
        "consent": course_queries.active_consent(row, "treatment"),
        "askings": asked.askings_of(row, request.by.role),
        "decisions": course_queries.decisions_of(row)[:10],
        "plan_form": PlanForm(site=row.site),
        "send_form": SendForm(),
        **more,
    }


@once("outcomes:course")
def plan(request: ClinicRequest, course_id: UUID) -> HttpResponse:
    """Plan the next session and go back to the course."""
    row = _course(course_id)
    form = PlanForm(request.POST, site=row.site)
    if form.is_valid():
        data = form.cleaned_data
        actions.plan_next(
            course=row,
            kind=data["kind"],
            planned_start=data["start"],
            planned_minutes=data["minutes"],
            room=data["room"],
            by=request.by,
        )
        messages.success(request, _("Session planned."))
        return redirect("outcomes:course", course_id=row.pk)
    return _asked_anew(request, row, plan_form=form)


def send(request: ClinicRequest, course_id: UUID) -> HttpResponse:
    """Make a link for the patient and show it."""
    row = _course(course_id)
    form = SendForm(request.POST)
    if not form.is_valid():
        return _asked_anew(request, row, send_form=form)
    try:
        sent = actions.send_questionnaire(
            course=row,
            instrument_id=form.cleaned_data["instrument"],
            key=form.cleaned_data["key"],
            by=request.by,
        )
    except Refused as refused:
        messages.error(request, str(refused))
        return _asked_anew(request, row)
    page = {
        "course": row,
        "patient": row.patient,
        "site": row.site,
        "link": sent.link,
        "address": actions.address(sent.token),
    }
    return render(request, "outcomes/sent.html", page)


def _asked_anew(request: ClinicRequest, row: Course, **forms: Any) -> HttpResponse:
    """Return the course page with what was typed and why it was refused (400)."""
    audit.record(by=request.by, action="course.view", about=row)
    return render(request, "outcomes/course.html", _page(request, row, **forms), status=400)


def response(request: ClinicRequest, response_id: UUID) -> HttpResponse:
    """Return one response as it was answered, item by item."""
    row = get_object_or_404(
        Response.objects.select_related("course", "patient", "site"), pk=response_id
    )
    audit.record(by=request.by, action="response.view", about=row)
    instrument, lang = instruments.load(row.instrument), (get_language() or "en")[:2]
    rows = [
        {"item": item, "text": item.text[lang], "answer": _words(item, row, lang)}
        for item in instrument.items
    ]
    page = {
        "response": row,
        "course": row.course,
        "patient": row.patient,
        "site": row.site,
        "title": instrument.title[lang],
        "rows": rows,
    }
    return render(request, "outcomes/response.html", page)


def _words(item: instruments.Item, row: Response, lang: str) -> str:
    value = row.answers.get(str(item.number))
    found = [choice.text[lang] for choice in item.choices if choice.value == value]
    return f"{found[0]} ({value})" if found else ""
