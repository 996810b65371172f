"""The wall board: one row a room, fixed order; what is stale has its value removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from clinic.audit.author import Author
from clinic.course.models import Session
from clinic.dosing.alarms import rows_of_all
from clinic.dosing.live import CUFF, Live, Tile, event_of, newest
from clinic.dosing.models import Infusion, Order, SessionEvent
from clinic.dosing.seen import Seen
from clinic.people.models import Site
from kap.log import Event
from kap.session import fold

BEFORE, AFTER = timedelta(hours=4), timedelta(hours=8)


@dataclass(frozen=True)
class Row:
    """One room: initials only, phase, numbers, alarms."""

    session: Session
    live: Live

    @property
    def initials(self) -> str:
        """Return the person's initials: a wall is read by strangers."""
        words = str(self.session.patient.legal_name).split()
        return ".".join(word[0].upper() for word in (*words[:1], *words[1:][-1:])) + "."

    @property
    def is_late(self) -> bool:
        """Whether the planned start has passed and nobody has arrived."""
        return (
            self.live.state.phase.value == "planned" and self.live.at > self.session.planned_start
        )

    @property
    def streams(self) -> list[Tile]:
        """Return the numbers that a monitor sends each second."""
        return [t for t in self.live.tiles if t.source == "device" and t.vital != CUFF]

    @property
    def data_age(self) -> int | None:
        """Return the age in s of the newest streamed value; None when nothing streams."""
        ages = [tile.age_ms for tile in self.streams if tile.age_ms is not None]
        return min(ages) // 1000 if ages else None

    @property
    def has_data(self) -> bool:
        """Whether the monitor speaks."""
        return any(not tile.is_stale for tile in self.streams)


def sites(by: Author) -> list[Site]:
    """Return the reader's sites."""
    return list(Site.objects.filter(code__in=by.sites).order_by("code"))


def rows(by: Author, at: datetime) -> list[Row]:
    """Return who is or will be in a room: begun and not gone, or planned around now."""
    here = Infusion.objects.filter(discharged_at__isnull=True, left_at__isnull=True)
    planned = Q(planned_start__range=(at - BEFORE, at + AFTER), infusion__isnull=True)
    found = (
        Session.objects.filter(
            Q(pk__in=here.values("session")) | planned,
            kind=Session.Kind.DOSING,
            replaced_by__isnull=True,
            site_id__in=by.sites,
        )
        .select_related("course__protocol", "patient", "site")
        .order_by("site_id", "room", "planned_start")
    )
    return [Row(live.session, live) for live in lives(list(found), at)]


def lives(sessions: Sequence[Session], at: datetime) -> list[Live]:
    """Return each session's hour with order, log, alarms and newest readings read at once for all.

    The ranges of the last minutes, which a board does not show, are left out.
    """
    ids = [session.pk for session in sessions]
    orders, latest, alarms = orders_of(ids), newest(ids), rows_of_all(sessions, at)
    events: dict[UUID, list[Event]] = {pk: [] for pk in ids}
    for row in SessionEvent.objects.filter(session__in=ids):
        events[row.session_id].append(event_of(row))
    found = []
    for session in sessions:
        live = Live(session, at, Seen(0, latest=latest.get(session.pk, {})))
        live.order, live.alarms = orders.get(session.pk), alarms[session.pk]
        live.state = fold(events[session.pk], plan=live.order)
        found.append(live)
    return found


def orders_of(sessions: Sequence[UUID]) -> dict[UUID, Order]:
    """Return the order that runs, or stands, of each session that has one."""
    standing = Order.objects.filter(session__in=sessions, replaced_by__isnull=True)
    running = Infusion.objects.filter(session__in=sessions).select_related("order")
    return {row.session_id: row for row in standing.order_by("signed_at")} | {
        row.session_id: row.order for row in running
    }
