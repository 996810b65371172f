"""Where staff may go: the main navigation, by the roles that policy.toml allows.

Read from the policy itself, so that no list of roles stands twice.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

POLICY = Path(__file__).parent.parent / "policy.toml"
SIGNED_IN = "signed_in"

PLACES: tuple[tuple[str, Promise], ...] = (
    ("today:today", _("Today")),
    ("today:patients", _("Patients")),
    ("dosing:board", _("Board")),
    ("intake:referrals", _("Referrals")),
    ("intake:worklist", _("Screening")),
    ("devices:quarantine", _("Devices")),
    ("protocols:list", _("Protocols")),
    ("people:staff", _("Staff")),
    ("today:audit", _("Audit")),
)


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the navigation."""

    name: str
    url: str
    here: bool


@cache
def allowed(view: str) -> frozenset[str]:
    """Return the roles that may read a view; none for a view without an entry."""
    entry = tomllib.loads(POLICY.read_text()).get(view, {}).get("GET", {})
    return frozenset(entry.get("roles", ()))


def places(roles: Collection[str], path: str) -> tuple[Place, ...]:
    """Return the entries open to these roles; one whose address does not exist is left out."""
    found = []
    for view, name in PLACES:
        url = _address(view)
        if url and roles and (allowed(view) & {*roles, SIGNED_IN}):
            found.append(Place(str(name), url, path == url))
    return tuple(found)


def _address(view: str) -> str:
    try:
        return reverse(view)
    except NoReverseMatch:
        return ""
