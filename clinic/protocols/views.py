"""The protocols: what they say, where they stand at a site, and a course's move to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.forms import Form
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.course.actions import Refused
from clinic.course.models import Course, Proposal, ProtocolVersion, Signature
from clinic.people import access
from clinic.people.access import ClinicRequest
from clinic.people.models import Site, Staff
from clinic.protocols import actions, page, queries
from clinic.protocols.forms import MoveForm, ReasonForm, SignForm


def _sites(request: ClinicRequest) -> list[Site]:
    return list(Site.objects.filter(pk__in=request.by.sites).order_by("code"))


def _me(request: ClinicRequest) -> Staff:
    found: Staff = request.user.staff  # type: ignore[union-attr]  # the policy lets staff in
    return found


def protocols(request: ClinicRequest) -> HttpResponse:
    """Return every version that this installation knows, with its state at the reader's sites."""
    sites = _sites(request)
    rows = [
        {"version": each, "states": queries.states(sites, each)}
        for each in ProtocolVersion.objects.order_by("protocol_id", "-recorded_at", "-name")
    ]
    return render(request, "protocols/list.html", {"rows": rows})


def protocol(request: ClinicRequest, name: str) -> HttpResponse:
    """Return one version: its state, every rule and parameter, searched; `print` for paper."""
    return _protocol(request, get_object_or_404(ProtocolVersion, pk=name))


def _protocol(
    request: ClinicRequest, version: ProtocolVersion, form: Form | None = None
) -> HttpResponse:
    asked = request.GET.get("q", "").strip()[:80]
    told: dict[str, Any] = {"problem": ""}
    try:
        text = queries.text_of(version)
    except Refused as refused:
        told["problem"] = str(refused)
    else:
        rows, numbers = page.chapters(text, asked), page.parameters(text, asked)
        told |= {"text": text, "chapters": rows, "parameters": numbers, "sources": page.every(text)}
        told["rules"] = sum(len(part.rules) for each in rows for part in each.sections)
        told["unverified"] = page.unverified(rows, numbers)
    told |= {
        "version": version,
        "states": [_standing(request, site, version) for site in _sites(request)],
        "asked": asked,
        "me": _me(request),
        "form": form,
        "reason": ReasonForm(),
        "sign": SignForm(),
        "layout": "ui/print.html" if "print" in request.GET else "ui/staff.html",
        "reference": f"{version.name} · {version.digest}",
    }
    return render(request, "protocols/protocol.html", told, status=400 if form else 200)


def _standing(request: ClinicRequest, site: Site, version: ProtocolVersion) -> dict[str, Any]:
    """Return where the version stands at a site, and what the reader may do about it there."""
    held = {role.role for role in _me(request).roles.filter(site=site)}
    may = {
        do: bool(held & set(access.policy()[f"protocols:{do}", "POST"].roles))
        for do in ("propose", "sign", "withdraw")
    }
    return {"state": queries.state(site, version), "may": may}


def _written(
    request: ClinicRequest,
    version: ProtocolVersion,
    form: Form,
    write: Callable[[], object],
    said: str,
) -> HttpResponse:
    """Run an action for a form and go back to the protocol, or show what is wrong with it."""
    try:
        if form.is_valid():
            write()
            messages.success(request, said)
            return redirect("protocols:protocol", name=version.pk)
    except (Refused, PermissionError) as refused:
        form.add_error(None, str(refused))
        audit.record(by=request.by, action="protocol.refused", about=version, outcome="refused")
    return _protocol(request, version, form)


def propose(request: ClinicRequest, name: str, site: str) -> HttpResponse:
    """Propose a version for a site of the proposer's."""
    version = get_object_or_404(ProtocolVersion, pk=name)
    if site not in request.by.sites:
        raise Http404
    form = ReasonForm(request.POST)

    def write() -> None:
        actions.propose(
            version=version,
            site=Site.objects.get(pk=site),
            proposer=_me(request),
            reason=form.cleaned_data["reason"],
            by=request.by,
        )

    return _written(request, version, form, write, _("Proposed. A medical director signs it."))


def sign(request: ClinicRequest, proposal_id: UUID) -> HttpResponse:
    """Sign a proposal with one's own password, once more."""
    row = get_object_or_404(Proposal.objects.select_related("protocol", "site"), pk=proposal_id)
    form = SignForm(request.POST)

    def write() -> None:
        director = access.confirm_person(request, form.cleaned_data["password"])
        actions.sign(proposal=row, director=director, by=request.by)

    return _written(
        request, row.protocol, form, write, _("Signed. Decisions are stored from now on.")
    )


def withdraw(request: ClinicRequest, signature_id: UUID) -> HttpResponse:
    """Take a signature back, with the reason."""
    row = get_object_or_404(Signature.objects.select_related("protocol", "site"), pk=signature_id)
    form = ReasonForm(request.POST)

    def write() -> None:
        actions.withdraw(
            signature=row, director=_me(request), reason=form.cleaned_data["reason"], by=request.by
        )

    return _written(
        request, row.protocol, form, write, _("Withdrawn. Nothing starts under it now.")
    )


def _is_moved(course: Course, form: MoveForm) -> bool:
    """Return whether this very form moved the course before: then its version is no choice now."""
    key = form.cleaned_data.get("key") if form.is_bound else None
    return key is not None and course.moves.filter(pk=key).exists()


def _move(request: ClinicRequest, course: Course, form: MoveForm) -> None:
    told = form.cleaned_data
    if not _is_moved(course, form):
        actions.move_course(
            course=course,
            to=ProtocolVersion.objects.get(pk=told["to"]),
            reason=told["reason"],
            key=told["key"],
            by=request.by,
        )


def move(request: ClinicRequest, course_id: UUID) -> HttpResponse:
    """Show a course's version and the moves so far; move it to another version, with the reason."""
    course = get_object_or_404(
        Course.objects.select_related("patient", "site", "protocol"), pk=course_id
    )
    versions = queries.open_to(course)
    form = MoveForm(request.POST or None, versions=versions)
    if form.is_valid() or _is_moved(course, form):
        try:
            _move(request, course, form)
        except Refused as refused:
            form.add_error(None, str(refused))
        else:
            audit.record(by=request.by, action="course.view", about=course)
            messages.success(request, _("Moved. The screening is decided anew."))
            return redirect("outcomes:course", course_id=course.pk)
    audit.record(by=request.by, action="course.view", about=course)
    told_page = {
        "course": course,
        "patient": course.patient,
        "site": course.site,
        "form": form,
        "versions": versions,
        "moves": course.moves.order_by("-recorded_at"),
    }
    status = 400 if form.is_bound else 200
    return render(request, "protocols/move.html", told_page, status=status)
