"""Whether a route may be given at a site: what its jurisdiction asks, and what is on file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db.models import Q

from clinic.people.models import PremisesApproval, Site
from kap.jurisdiction import JurisdictionError, Provision, load_jurisdiction


@dataclass(frozen=True)
class Premises:
    """What is asked of a site's premises for a route on a day, and the approval that answers it.

    `asked` None: the jurisdiction's pack says nothing about the route, which opens nothing.
    """

    route: str
    asked: Provision | None
    approval: PremisesApproval | None
    jurisdiction: str

    @property
    def is_open(self) -> bool:
        """Return whether the route may be given there on that day."""
        if self.asked is None:
            return False
        return not self.asked.needs_approval or self.approval is not None


def premises(site: Site, route: str, day: date) -> Premises:
    """Return what `site` needs for `route` on its local `day`, with the approval that stands."""
    pack = load_jurisdiction(site.jurisdiction)
    try:
        asked = pack.premises(route, day)
    except JurisdictionError:
        return Premises(route, None, None, site.jurisdiction)
    return Premises(route, asked, _approval(site, route, str(asked.value), day), site.jurisdiction)


def _approval(site: Site, route: str, kind: str, day: date) -> PremisesApproval | None:
    rows = PremisesApproval.objects.filter(
        Q(valid_until__isnull=True) | Q(valid_until__gte=day),
        site=site,
        route=route,
        kind=kind,
        valid_from__lte=day,
        withdraws__isnull=True,
        withdrawn_by__isnull=True,
    )
    return rows.order_by("-recorded_at").first()
