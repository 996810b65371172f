"""Sites, staff and roles: who works where, given and ended by name; nothing is deleted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import Any, NamedTuple
from zoneinfo import available_timezones

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.database import now
from clinic.people.models import PremisesApproval, Role, Room, Site, Staff
from clinic.people.premises import premises

JURISDICTIONS = ("ca-on", "ca-bc")
CODE = re.compile(r"[a-z][a-z0-9-]{1,39}")


class Refused(Exception):
    """An action on sites or staff said no, in words: what, and the way out."""


class Invited(NamedTuple):
    """A member of staff; `address` sets the first password once, "" for who has one already."""

    staff: Staff
    address: str


# -- sites -----------------------------------------------------------------------------------------


@transaction.atomic
def add_site(
    *,
    code: str,
    name: str,
    zone: str,
    jurisdiction: str,
    phone: str,
    address: str,
    rooms: Iterable[str],
    by: Author,
) -> Site:
    """Open a site with its rooms; the same again changes nothing, but adds rooms that are new.

    Raises Refused for a code that is no code, or is taken by another site, an unknown zone or
    jurisdiction, and an empty name, phone or address.
    """
    told = {"name": name, "zone": zone, "jurisdiction": jurisdiction}
    told |= {"phone": phone, "address": address}
    _check_site(code, told)
    site = Site.objects.filter(pk=code).first()
    if site is None:
        site = Site.objects.create(code=code, **told)
        audit.record(by=by, action="site.add", site=code, name=name, zone=zone)
    elif changed := [key for key, value in told.items() if getattr(site, key) != value]:
        raise Refused(
            f"site {code} is there already with another {', '.join(changed)}; choose another code"
        )
    for room in rooms:
        _add_room(site, room.strip(), by)
    return site


def _check_site(code: str, told: dict[str, str]) -> None:
    if not CODE.fullmatch(code):
        raise Refused(f"code {code!r}: small letters, digits and -, 2 to 40 of them")
    if empty := [key for key, value in told.items() if not value.strip()]:
        raise Refused(f"{', '.join(empty)}: empty; patients read it, say it")
    if told["zone"] not in available_timezones():
        raise Refused(f"zone {told['zone']!r} is unknown; write one like America/Toronto")
    if told["jurisdiction"] not in JURISDICTIONS:
        raise Refused(
            f"jurisdiction {told['jurisdiction']!r} is unknown; say {' or '.join(JURISDICTIONS)}"
        )


def _add_room(site: Site, name: str, by: Author) -> None:
    if not name or len(name) > 20:
        raise Refused(f"room {name!r}: 1 to 20 letters, as on its door")
    _room, is_new = Room.objects.get_or_create(site=site, name=name)
    if is_new:
        audit.record(by=by, action="room.add", site=site.code, room=name)


# -- premises --------------------------------------------------------------------------------------


@transaction.atomic
def authorise(
    *,
    site: Site,
    route: str,
    reference: str,
    valid_from: date,
    valid_until: date | None,
    by: Author,
) -> PremisesApproval:
    """Write down that a site's premises are approved for a route, as its jurisdiction asks.

    The same again changes nothing. Raises Refused where nothing is asked, or the law is not known.
    """
    found = premises(site, route, valid_from)
    if found.asked is None:
        raise Refused(f"{site.jurisdiction} says nothing about premises for {route!r}: ask first")
    if not found.asked.needs_approval:
        raise Refused(f"{site.jurisdiction} asks for no approval of premises for {route}")
    if not reference.strip():
        raise Refused("reference: empty; name the paper, as in 'CPSO OHP 1234 of 3 May 2026'")
    if valid_until is not None and valid_until < valid_from:
        raise Refused(f"until {valid_until}: before {valid_from}, from which it holds")
    told: dict[str, Any] = {"route": route, "kind": str(found.asked.value)}
    told |= {"reference": reference.strip(), "valid_from": valid_from, "valid_until": valid_until}
    standing = PremisesApproval.objects.filter(site=site, withdraws=None, withdrawn_by=None)
    if known := standing.filter(**told).first():
        return known
    row = PremisesApproval.add(**told, site=site, author=by.id, recorded_at=now())
    audit.record(by=by, action="premises.authorise", site=site.code, route=route, kind=row.kind)
    return row


@transaction.atomic
def withdraw_approval(*, site: Site, route: str, reason: str, by: Author) -> int:
    """End every approval of a site's premises for a route; return how many stood. Refused for none.

    From now on nothing is planned, ordered or started there by that route.
    """
    if not reason.strip():
        raise Refused("reason: empty; say why the approval ended")
    standing = PremisesApproval.objects.filter(
        site=site, route=route, withdraws__isnull=True, withdrawn_by__isnull=True
    )
    rows = list(standing)
    if not rows:
        raise Refused(f"no approval of {site.code} for {route} stands")
    for row in rows:
        PremisesApproval.add(
            site=site,
            route=row.route,
            kind=row.kind,
            reference=reason.strip(),
            valid_from=row.valid_from,
            valid_until=row.valid_until,
            withdraws=row,
            author=by.id,
            recorded_at=now(),
        )
    audit.record(by=by, action="premises.withdraw", site=site.code, route=route)
    return len(rows)


# -- staff -----------------------------------------------------------------------------------------


@transaction.atomic
def invite(
    *,
    site: Site,
    mail: str,
    name: str,
    roles: Iterable[str],
    by: Author,
    licence_number: str = "",
) -> Invited:
    """Add a person with roles at a site; the same again changes nothing and makes a link anew.

    Somebody who works at another site keeps their name and password. Raises Refused for an
    address that is none, no name, no role or an unknown one.
    """
    mail, roles = mail.strip().lower(), _known(roles)
    _check_mail(mail)
    if not name.strip():
        raise Refused(_("The name is empty; write it as colleagues read it."))
    user, is_new = get_user_model().objects.get_or_create(
        username=mail, defaults={"email": mail, "is_active": True}
    )
    if is_new:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    staff, is_new = Staff.objects.get_or_create(
        user=user, defaults={"name": name.strip(), "licence_number": licence_number}
    )
    if is_new:
        audit.record(by=by, action="staff.add", site=site.code, about=staff)
    for role in roles:
        give_role(staff=staff, site=site, role=role, by=by)
    audit.record(by=by, action="staff.invite", site=site.code, about=staff)
    return Invited(staff, address_of(staff))


def _check_mail(mail: str) -> None:
    try:
        validate_email(mail)
    except ValidationError as error:
        raise Refused(
            _("%(mail)s is no e-mail address; write one like ada@clinic.ca") % {"mail": mail}
        ) from error


def _known(roles: Iterable[str]) -> tuple[str, ...]:
    named = tuple(dict.fromkeys(roles))
    if not named:
        raise Refused(_("No role was chosen; without one nobody can sign in."))
    for role in named:
        if role not in Role.Name.values:
            raise Refused(
                _("There is no role %(role)s; there are %(roles)s")
                % {"role": role, "roles": ", ".join(Role.Name.values)}
            )
    return named


def address_of(staff: Staff) -> str:
    """Return the link that sets a first password once; "" for who has set theirs."""
    if staff.user.has_usable_password():
        return ""
    token = default_token_generator.make_token(staff.user)
    path = reverse("people:welcome", kwargs={"staff_id": staff.pk, "token": token})
    return f"{settings.PUBLIC_ADDRESS}{path}"


def is_open(staff: Staff, token: str) -> bool:
    """Return whether a link still sets the first password: in date, not used, one role held."""
    user: User = staff.user
    return (
        not user.has_usable_password()
        and default_token_generator.check_token(user, token)
        and staff.roles.exists()
    )


@transaction.atomic
def set_first_password(*, staff: Staff, password: str, by: Author) -> None:
    """Keep the password that a person chose by their link; the link is spent."""
    user: User = staff.user
    user.set_password(password)
    user.save(update_fields=["password"])
    audit.record(by=by, action="staff.first_password", about=staff)


@transaction.atomic
def forget_password(*, staff: Staff, site: Site, by: Author) -> Invited:
    """Take a lost password away and make a link; passkeys and TOTP stay as they are."""
    _not_oneself(staff, by)
    _works_at(site, staff)
    staff.user.set_unusable_password()
    staff.user.save(update_fields=["password"])
    audit.record(by=by, action="staff.forget_password", site=site.code, about=staff)
    return Invited(staff, address_of(staff))


@transaction.atomic
def correct_staff(*, staff: Staff, site: Site, name: str, licence_number: str, by: Author) -> None:
    """Put a name or licence number right; signatures keep what they were signed with."""
    _not_oneself(staff, by)
    _works_at(site, staff)
    if (staff.name, staff.licence_number) != (name, licence_number):
        staff.name, staff.licence_number = name, licence_number
        staff.save(update_fields=["name", "licence_number"])
        audit.record(by=by, action="staff.correct", site=site.code, about=staff)


# -- roles -----------------------------------------------------------------------------------------


@transaction.atomic
def give_role(*, staff: Staff, site: Site, role: str, by: Author) -> Role:
    """Give a role at a site from now on; one that is held is held on."""
    Staff.objects.select_for_update().get(pk=staff.pk)  # two administrators may press at once
    if held := Role.objects.filter(staff=staff, site=site, role=role).first():
        return held
    _not_oneself(staff, by)
    row = Role.objects.create(staff=staff, site=site, role=role, author=by.id, recorded_at=now())
    audit.record(by=by, action="role.give", about=row, staff=str(staff.pk), role=role)
    return row


@transaction.atomic
def end_role(*, staff: Staff, site: Site, role: str, by: Author) -> None:
    """End a role at a site: from the next request on it opens nothing. The row stays."""
    _not_oneself(staff, by)
    for row in Role.objects.filter(staff=staff, site=site, role=role).select_for_update():
        Role.objects.filter(pk=row.pk).update(ended_at=now(), ended_by=by.id)
        audit.record(by=by, action="role.end", about=row, staff=str(staff.pk), role=role)


@transaction.atomic
def set_roles(*, staff: Staff, site: Site, roles: Iterable[str], by: Author) -> None:
    """Make these the roles that a person holds at a site: give what is new, end the rest."""
    named = tuple(roles)
    wanted = set(_known(named)) if named else set()
    held = set(Role.objects.filter(staff=staff, site=site).values_list("role", flat=True))
    for role in sorted(wanted - held):
        give_role(staff=staff, site=site, role=role, by=by)
    for role in sorted(held - wanted):
        end_role(staff=staff, site=site, role=role, by=by)


def _not_oneself(staff: Staff, by: Author) -> None:
    if by.id == f"staff:{staff.pk}":
        raise Refused(_("Nobody changes their own entry; ask another administrator."))


def _works_at(site: Site, staff: Staff) -> None:
    if not staff.roles.filter(site=site).exists():
        raise Refused(
            _("%(name)s holds no role at %(site)s any more; give one first.")
            % {"name": staff.name, "site": site.name}
        )
