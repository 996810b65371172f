"""What Today shows: everything by urgency, read from all apps; nothing is written here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cached_property
from uuid import UUID

from django.db.models import Q, QuerySet

from clinic.audit.author import Author
from clinic.course import queries as course_queries
from clinic.course.models import Referral, Session, Task
from clinic.dosing.models import Infusion
from clinic.interop.models import Quarantine
from clinic.people.models import Enrolment, Role, Site

SEES_EVERY_TASK = ("medical_director",)


@dataclass
class Today:
    """One reader's day at the sites where they work."""

    by: Author
    at: datetime

    @cached_property
    def sites(self) -> list[Site]:
        """Return the reader's sites."""
        return list(Site.objects.filter(code__in=self.by.sites).order_by("code"))

    @cached_property
    def running(self) -> list[Infusion]:
        """Return the infusions that run or have not left yet, longest running first."""
        rows = Infusion.objects.filter(discharged_at__isnull=True, left_at__isnull=True)
        return list(rows.select_related("patient", "session", "site").order_by("started_at"))

    @cached_property
    def tasks(self) -> list[Task]:
        """Return the open tasks of the roles that the reader holds at each site, soonest first."""
        mine = Q(pk__in=[])
        for site, roles in roles_at(self.by).items():
            sees_all = roles & set(SEES_EVERY_TASK)
            mine |= Q(site=site) if sees_all else Q(site=site, owner_role__in=roles)
        rows = course_queries.open_tasks().select_related("patient", "course", "site")
        return list(rows.filter(mine)[:50])

    @cached_property
    def sessions(self) -> list[Session]:
        """Return today's sessions by each site's own day."""
        found: list[Session] = []
        for site in self.sites:
            first, next_day = day_of(self.at, site)
            found += (
                Session.objects.filter(
                    site=site,
                    planned_start__gte=first,
                    planned_start__lt=next_day,
                    replaced_by__isnull=True,
                )
                .select_related("patient", "course", "site", "infusion")
                .order_by("planned_start")
            )
        return sorted(found, key=lambda row: row.planned_start)

    @cached_property
    def next_session(self) -> Session | None:
        """Return the first session after today, for an empty day."""
        rows = Session.objects.filter(planned_start__gt=self.at, replaced_by__isnull=True)
        return rows.select_related("patient", "site").order_by("planned_start").first()

    @cached_property
    def referrals(self) -> int:
        """Return how many referrals wait for a coordinator."""
        return Referral.objects.filter(course__isnull=True).count()

    @cached_property
    def quarantined(self) -> int:
        """Return how many device messages nobody has looked at."""
        return Quarantine.objects.filter(resolution__isnull=True).count()


def roles_at(by: Author) -> dict[str, set[str]]:
    """Return the roles that a member of staff holds now, by site: none of one opens another."""
    staff = UUID(by.id.removeprefix("staff:"))
    held = Role.objects.filter(staff=staff, site__in=by.sites)
    found: dict[str, set[str]] = {}
    for site, role in held.values_list("site", "role"):
        found.setdefault(site, set()).add(role)
    return found


def may_close(by: Author, task: Task) -> bool:
    """Return whether the task is one of the reader's at its site."""
    roles = roles_at(by).get(task.site_id, set())
    return bool(roles & {task.owner_role, *SEES_EVERY_TASK})


def day_of(at: datetime, site: Site) -> tuple[datetime, datetime]:
    """Return the first instant of the site's local day that holds `at`, and of the day after it."""
    start = datetime.combine(at.astimezone(site.tz).date(), time(), tzinfo=site.tz)
    end = datetime.combine(start.date() + timedelta(days=1), time(), tzinfo=site.tz)
    return start, end


def find_patients(text: str) -> QuerySet[Enrolment]:
    """Return enrolments whose name, preferred name, chart number or phone holds `text`."""
    rows = Enrolment.objects.select_related("patient", "site").order_by("patient__legal_name")
    if not text:
        return rows
    return rows.filter(
        Q(patient__legal_name__icontains=text)
        | Q(patient__preferred_name__icontains=text)
        | Q(patient__phone__icontains=text)
        | Q(mrn__icontains=text)
    )
