"""The two invented clinics: sites, staff with their roles, monitors. Written as the owner."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from datetime import date

from django.contrib.auth import get_user_model

from clinic.audit.author import Author
from clinic.database import now
from clinic.dosing.models import Device
from clinic.people.access import staff_author
from clinic.people.models import PremisesApproval, Role, Room, Site, Staff
from clinic.postgres_account import data_folder

SITES = (
    (
        "toronto",
        "Afterglow Toronto",
        "America/Toronto",
        "ca-on",
        "+1 416 555 0142",
        "120 Invented Street, Toronto ON",
    ),
    (
        "vancouver",
        "Afterglow Vancouver",
        "America/Vancouver",
        "ca-bc",
        "+1 604 555 0117",
        "88 Imagined Avenue, Vancouver BC",
    ),
)
STAFF = (
    ("cora", "Cora Lim", "toronto", ("coordinator",)),
    ("nina", "Nina Osei", "toronto", ("nurse",)),
    ("bob", "Bob Tremblay", "toronto", ("nurse",)),
    ("alice", "Dr. Alice Fontaine", "toronto", ("prescriber",)),
    ("tess", "Tess Whitefeather", "toronto", ("therapist",)),
    ("phil", "Phil Castellano", "toronto", ("pharmacist",)),
    ("dee", "Dr. Dee Rahman", "toronto", ("medical_director", "prescriber")),
    ("pri", "Pri Nandakumar", "toronto", ("privacy_officer",)),
    ("ada", "Ada Berg", "toronto", ("administrator",)),
    ("coco", "Coco Martel", "vancouver", ("coordinator",)),
    ("charlie", "Charlie Ito", "vancouver", ("nurse",)),
    ("vera", "Vera Lindqvist", "vancouver", ("nurse",)),
    ("omar", "Dr. Omar Haddad", "vancouver", ("prescriber",)),
    ("tuan", "Tuan Pham", "vancouver", ("therapist",)),
)
APPROVALS = (("toronto", "ohp_approved"), ("vancouver", "hospital_or_accredited"))
ROOMS = (("1", "toronto"), ("2", "toronto"), ("3", "vancouver"), ("4", "vancouver"))


@dataclass(frozen=True)
class Places:
    """The staff by user name, and who does what at a site."""

    staff: dict[str, Staff]

    def author(self, username: str) -> Author:
        """Return a member of staff acting in every role held."""
        staff = self.staff[username]
        roles = tuple(role.role for role in staff.roles.all())
        found = staff_author(staff, roles)
        assert found is not None
        return found

    def who(self, site: str, role: str, *, place: int = 0) -> str:
        """Return the user name of the nth person with a role at a site."""
        found = [name for name, _n, where, roles in STAFF if where == site and role in roles]
        return found[place]


def build(*, write_sign_ins: bool = True) -> Places:
    """Write sites, staff and monitors; passwords are random for each database."""
    for code, name, zone, jurisdiction, phone, address in SITES:
        Site.objects.create(
            code=code, name=name, zone=zone, jurisdiction=jurisdiction, phone=phone, address=address
        )
    for site, kind in APPROVALS:
        PremisesApproval.add(
            site_id=site,
            route="IV",
            kind=kind,
            reference="invented for the demonstration",
            valid_from=date(2020, 1, 1),
            author="owner",
            recorded_at=now(),
        )
    staff: dict[str, Staff] = {}
    sign_ins: list[dict[str, str]] = []
    for username, name, site, roles in STAFF:
        password = f"{secrets.token_hex(2)}-{secrets.token_hex(2)}-{secrets.token_hex(2)}"
        user = get_user_model().objects.create_user(username, password=password)
        staff[username] = Staff.objects.create(
            user=user, name=name, licence_number=f"DEMO-{len(staff) + 1:03d}"
        )
        for role in roles:
            Role.objects.create(staff=staff[username], site_id=site, role=role)
        sign_ins.append(
            {
                "role": roles[0].replace("_", " "),
                "site": site,
                "username": username,
                "password": password,
            }
        )
    for room, site in ROOMS:
        Room.objects.create(site_id=site, name=room)
        Device.objects.create(
            site_id=site,
            sender=f"MON{room}^00A0B1FFFEC2D3E{room}^EUI-64",
            room=room,
            name=f"Monitor {room}",
            authority="KAP",
        )
    if write_sign_ins:
        _keep(sign_ins)
    return Places(staff)


def _keep(sign_ins: list[dict[str, str]]) -> None:
    kept = data_folder() / "demo_sign_ins.json"
    with os.fdopen(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(sign_ins, file, indent=1)
