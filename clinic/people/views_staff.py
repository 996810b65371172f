"""The administrator's pages about staff, and the page that a new colleague's link opens."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.forms import SetPasswordForm
from django.db.models import Prefetch
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.people import actions
from clinic.people.access import ClinicRequest
from clinic.people.actions import Invited, Refused
from clinic.people.forms import InviteForm, PersonForm, RolesForm
from clinic.people.models import Role, Site, Staff


def _site(request: ClinicRequest, code: str) -> Site:
    """Return one of the administrator's own sites; any other is not found."""
    if code not in request.by.sites:
        raise Http404
    return get_object_or_404(Site, pk=code)


def _person(site: Site, staff_id: UUID) -> Staff:
    """Return somebody who holds or held a role at the site."""
    if not Role.ever.filter(site=site, staff_id=staff_id).exists():
        raise Http404
    return get_object_or_404(Staff.objects.select_related("user"), pk=staff_id)


def staff(request: ClinicRequest) -> HttpResponse:
    """Return who works, or worked, at the administrator's sites, and in which roles."""
    sites = [
        {"site": site, "people": _people(site)}
        for site in Site.objects.filter(pk__in=request.by.sites).order_by("code")
    ]
    audit.record(by=request.by, action="staff.list")
    return render(request, "people/staff.html", {"sites": sites})


def _people(site: Site) -> list[Staff]:
    held = Prefetch("roles", Role.objects.filter(site=site), to_attr="held_here")
    ever = Staff.objects.filter(pk__in=Role.ever.filter(site=site).values("staff"))
    return list(ever.select_related("user").prefetch_related(held).order_by("name"))


def invite(request: ClinicRequest, site: str) -> HttpResponse:
    """Add a colleague with roles, and show their link once."""
    place = _site(request, site)
    form = InviteForm(request.POST or None)
    if form.is_valid():
        try:
            return _show(
                request, place, actions.invite(site=place, by=request.by, **form.cleaned_data)
            )
        except Refused as refused:
            form.add_error(None, str(refused))
    audit.record(by=request.by, action="staff.ask", site=place.code)
    page = {"site": place, "form": form}
    return render(request, "people/invite.html", page, status=400 if form.is_bound else 200)


def person(request: ClinicRequest, site: str, staff_id: UUID) -> HttpResponse:
    """Show a colleague with the roles they hold and held here; change name, licence and roles."""
    place = _site(request, site)
    row = _person(place, staff_id)
    said = request.POST.get("do", "")
    held = [role.role for role in row.roles.filter(site=place)]
    roles = RolesForm(request.POST if said == "roles" else None, initial={"roles": held})
    about = PersonForm(
        request.POST if said == "person" else None,
        initial={"name": row.name, "licence_number": row.licence_number},
    )
    form = roles if said == "roles" else about
    if form.is_valid() and _changed(request, place, row, form):
        messages.success(request, _("Saved. It holds from now on."))
        return redirect("people:person", site=place.pk, staff_id=row.pk)
    audit.record(by=request.by, action="staff.view", site=place.code, about=row)
    page = {"site": place, "person": row, "roles": roles, "about": about}
    page["ever"] = Role.ever.filter(staff=row, site=place).order_by("-recorded_at", "-id")
    page["waits"] = not row.user.has_usable_password()
    return render(request, "people/person.html", page, status=400 if form.is_bound else 200)


def _changed(request: ClinicRequest, site: Site, row: Staff, form: RolesForm | PersonForm) -> bool:
    try:
        if isinstance(form, RolesForm):
            actions.set_roles(staff=row, site=site, roles=form.cleaned_data["roles"], by=request.by)
        else:
            actions.correct_staff(staff=row, site=site, by=request.by, **form.cleaned_data)
    except Refused as refused:
        form.add_error(None, str(refused))
        return False
    audit.record(by=request.by, action="staff.change", site=site.code, about=row)
    return True


def link(request: ClinicRequest, site: str, staff_id: UUID) -> HttpResponse:
    """Make a new link for who has no password yet, or has lost it, and show it once."""
    place = _site(request, site)
    row = _person(place, staff_id)
    try:
        made = actions.forget_password(staff=row, site=place, by=request.by)
    except Refused as refused:
        audit.record(by=request.by, action="staff.link", about=row, outcome="refused")
        messages.error(request, str(refused))
        return redirect("people:person", site=place.pk, staff_id=row.pk)
    return _show(request, place, made)


def _show(request: ClinicRequest, site: Site, made: Invited) -> HttpResponse:
    page = {"site": site, "person": made.staff, "address": made.address}
    return render(request, "people/invited.html", page)


def welcome(request: ClinicRequest, staff_id: UUID, token: str) -> HttpResponse:
    """Let a new colleague choose a password, once; then they sign in and add a second factor."""
    row = Staff.objects.select_related("user").filter(pk=staff_id).first()
    if row is None or not actions.is_open(row, token):
        return render(request, "people/link_spent.html", status=404)
    form = SetPasswordForm(row.user, request.POST or None)
    if form.is_valid():
        actions.set_first_password(
            staff=row, password=form.cleaned_data["new_password1"], by=request.by
        )
        messages.success(request, _("Your password is kept. Sign in with it now."))
        return redirect("account_login")
    page = {"person": row, "form": form}
    return render(request, "people/welcome.html", page, status=400 if form.is_bound else 200)
