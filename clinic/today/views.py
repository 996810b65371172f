"""Today, the patients, and the audit log: pages that read all and write nothing of their own."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit import chain
from clinic.audit.models import Event
from clinic.course import actions as course_actions
from clinic.course.actions import Refused
from clinic.course.models import Course, Task
from clinic.database import now
from clinic.people.access import ClinicRequest
from clinic.today import booked, queries

PAGE = 50


def today(request: ClinicRequest) -> HttpResponse:
    """Return the reader's day by urgency."""
    day = queries.Today(request.by, now())
    audit.record_reads(
        by=request.by, action="today.view", rows=[*day.running, *day.tasks, *day.sessions]
    )
    return render(request, "today/today.html", {"day": day, "now": day.at})


def before_the_booked(request: ClinicRequest) -> HttpResponse:
    """Return what expires before the doses of the coming week, and what was answered last."""
    at = now()
    rows = booked.ahead(request.by, at)
    audit.record_reads(by=request.by, action="booked.view", rows=[row.session for row in rows])
    may_record = request.by.holds(*booked.RECORDS_FACTS)
    return render(request, "today/booked.html", {"rows": rows, "now": at, "may_record": may_record})


def patients(request: ClinicRequest) -> HttpResponse:
    """Return the patients of the reader's sites, found by name, number or phone."""
    text = request.GET.get("q", "").strip()[:80]
    page = Paginator(queries.find_patients(text), PAGE).get_page(request.GET.get("page"))
    courses = {
        course.patient_id: course
        for course in Course.objects.filter(patient__in=[row.patient_id for row in page]).order_by(
            "recorded_at"
        )
    }
    rows = [{"enrolment": row, "course": courses.get(row.patient_id)} for row in page]
    audit.record_reads(by=request.by, action="patient.list", rows=list(page))
    return render(request, "today/patients.html", {"page": page, "rows": rows, "text": text})


def close_task(request: ClinicRequest, task_id: UUID) -> HttpResponse:
    """Close a task with what was done about it."""
    task = get_object_or_404(Task, pk=task_id)
    note = request.POST.get("note", "").strip()
    try:
        if not queries.may_close(request.by, task):
            raise Refused(_("This task is another role's; ask them to close it."))
        if not note:
            raise Refused(_("Say in a few words what was done, then close the task."))
        course_actions.close_task(task=task, disposition="done", note=note, by=request.by)
    except Refused as refused:
        audit.record(by=request.by, action="task.close", about=task, outcome="refused")
        messages.error(request, str(refused))
    else:
        messages.success(request, _("Task closed."))
    return redirect("today:today")


def audit_log(request: ClinicRequest) -> HttpResponse:
    """Return who saw and did what, newest first, with whether the chain holds.

    The newest links are looked at each time; with `walk`, every link.
    """
    events = Event.objects.filter(site_id__in=request.by.sites).order_by("-id")
    if action := request.GET.get("action", ""):
        events = events.filter(action__startswith=action)
    page = Paginator(events, PAGE).get_page(request.GET.get("page"))
    look = chain.whole if "walk" in request.GET else chain.since_walk
    seen = look([*request.by.sites, ""])
    audit.record(by=request.by, action="audit.view", site=request.by.sites[0])
    shown = {
        "page": page,
        "chains": seen,
        "broken": [each.broken for each in seen if each.broken is not None],
        "action": action,
    }
    return render(request, "today/audit.html", shown)
