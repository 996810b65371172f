"""The two pages of an enrolment at a second site."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.course.actions import Refused
from clinic.intake.enrolment import actions
from clinic.intake.enrolment.forms import EnrolForm, OfferForm
from clinic.intake.queries import course_of
from clinic.people.access import ClinicRequest
from clinic.people.models import EnrolmentOffer, Site
from kap.protocol import load


def offer(request: ClinicRequest, course_id: UUID) -> HttpResponse:
    """Note the patient's consent, make a code for another site and show it once."""
    course = course_of(course_id)
    others = Site.objects.exclude(pk=course.site_id).order_by("code")
    form = OfferForm(request.POST or None, sites=others)
    page = {"course": course, "patient": course.patient, "site": course.site, "form": form}
    page["offers"] = EnrolmentOffer.objects.filter(patient=course.patient).select_related("to_site")
    if form.is_valid():
        told = form.cleaned_data
        try:
            made = actions.offer(
                course=course,
                to=Site.objects.get(pk=told["to"]),
                consent=told["consent"],
                key=told["key"],
                by=request.by,
            )
            return render(request, "intake/offered.html", page | {"made": made})
        except Refused as refused:
            form.add_error(None, str(refused))
    audit.record(by=request.by, action="enrolment.view", about=course)
    return render(request, "intake/offer.html", page, status=400 if form.is_bound else 200)


def _indications() -> tuple[str, ...]:
    """Return the codes of what the newest protocol treats."""
    listed = load("iv-ketamine").parameters["listed_indications"].value
    assert isinstance(listed, tuple)
    return tuple(map(str, listed))


def enrol(request: ClinicRequest) -> HttpResponse:
    """Enrol the patient whose code is typed, and open their course here."""
    form = EnrolForm(
        request.POST or None,
        sites=Site.objects.filter(pk__in=request.by.sites).order_by("code"),
        indications=_indications(),
    )
    if form.is_valid():
        told = form.cleaned_data
        try:
            course = actions.enrol(
                site=Site.objects.get(pk=told["site"]),
                code=told["code"],
                indication=told["indication"],
                by=request.by,
            )
        except Refused as refused:
            form.add_error("code", str(refused))
        else:
            messages.success(request, _("Enrolled here. Nothing is known yet: ask everything."))
            return redirect("outcomes:course", course_id=course.pk)
    audit.record(by=request.by, action="enrolment.ask")
    status = 400 if form.is_bound else 200
    return render(request, "intake/enrol.html", {"form": form}, status=status)
