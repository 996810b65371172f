"""What devices sent and nobody could read: seen, and resolved by a named person."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.course.actions import Refused
from clinic.interop import actions
from clinic.interop.forms import ResolveForm
from clinic.interop.models import Quarantine
from clinic.people.access import ClinicRequest

SHOWN = 200


def quarantine(request: ClinicRequest) -> HttpResponse:
    """Show what is open, oldest first. Values are not shown: a message is read in the record."""
    audit.record(by=request.by, action="quarantine.view")
    return _page(request, ResolveForm(), status=200)


def resolve(request: ClinicRequest, quarantine_id: UUID) -> HttpResponse:
    """Record what was done about one entry."""
    row = get_object_or_404(Quarantine, pk=quarantine_id)
    form = ResolveForm(request.POST)
    if form.is_valid():
        try:
            actions.resolve(quarantine=row, note=form.cleaned_data["note"], by=request.by)
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, _("Resolved."))
            return redirect("devices:quarantine")
    audit.record(by=request.by, action="quarantine.view")
    return _page(request, form, status=400, failed=row)


def _page(
    request: ClinicRequest, form: ResolveForm, *, status: int, failed: Quarantine | None = None
) -> HttpResponse:
    rows = Quarantine.objects.filter(resolution__isnull=True).select_related("message")
    page = {
        "rows": rows.order_by("recorded_at")[:SHOWN],
        "count": rows.count(),
        "form": form,
        "failed": failed,
    }
    return render(request, "interop/quarantine.html", page, status=status)
