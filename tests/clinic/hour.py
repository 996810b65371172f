"""Marie's hour: her dosing session in the tests' one world, and what was done in it so far."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import uuid4

from django.db import connections

from clinic.course import actions as course_actions
from clinic.course.models import Course, Session
from clinic.dosing import actions, queries
from clinic.dosing.models import Infusion, Order, StartAuthorization
from clinic.people.models import Enrolment
from tests import world


@dataclass
class Hour:
    """Marie's dosing session, and what was done in it so far."""

    enrolment: Enrolment
    course: Course
    session: Session
    order: Order | None = None
    authorization: StartAuthorization | None = None
    infusion: Infusion | None = None

    def tell(self, by: str = "bob", minutes_ago: float = 0, **values: Any) -> None:
        """Record facts as staff would, in the vocabulary's units."""
        world.tell(self.session, by, minutes_ago=minutes_ago, **values)

    def ready_for_the_day(self) -> None:
        """Record what the start gate asks of the day, and two rested pressures."""
        world.eligible_for_start(self.session)

    def sign(self, draft: queries.Draft = world.DRAFT, by: str = "alice") -> Order:
        """Sign an order."""
        self.order = world.sign_order(self.session, by, draft)
        return self.order

    def check(self, first: str = "bob", second: str = "nina") -> StartAuthorization:
        """Do the second check."""
        assert self.order is not None
        self.authorization = actions.authorise(
            session=self.session,
            order=self.order,
            second=world.staff(second),
            rate_ml_h=Decimal(self.order.rate_ul_h) / 1000,
            key=uuid4(),
            by=world.author(first),
        )
        return self.authorization

    def start(self) -> Infusion:
        """Go from nothing to a running infusion."""
        if self.order is None:
            self.ready_for_the_day()
            self.sign()
        self.infusion = actions.start_infusion(
            authorization=self.authorization or self.check(), key=uuid4(), by=world.author("bob")
        )
        return self.infusion


def marie() -> Hour:
    """Open Marie with an eligible chart, an accepted screening, a consent, and a session now.

    What is known of her was told an hour ago: the day's own pressures are still to be taken.
    """
    enrolment, course = world.open_person()
    world.known_well(course, minutes_ago=60)
    world.accept(course)
    session = world.plan_dose(course)
    return Hour(enrolment, course, queries.session_of(session.pk))


def second_session(first: Hour) -> Hour:
    """Return a second session of the same person at the same time, as two bookings would be."""
    session = course_actions.plan_session(
        course=first.course,
        kind="dosing",
        planned_start=first.session.planned_start,
        planned_minutes=120,
        number=2,
        by=world.author("alice"),
        room="3",
    )
    return Hour(first.enrolment, first.course, queries.session_of(session.pk))


# -- what only the owner of the database may do ----------------------------------------------------

MONITOR = "BEDMON^00A0B1FFFEC2D3E4^EUI-64"


def owner_executes(statement: str) -> None:
    """Run SQL as the owner."""
    with connections["migrate"].cursor() as cursor:
        cursor.execute(statement)


def owner_adds_device(sender: str, site: str = "toronto", authority: str = "") -> None:
    """Register a monitor, as the administrator would."""
    with connections["migrate"].cursor() as cursor:
        cursor.execute(
            "INSERT INTO dosing_device (id, site_id, sender, name, room, authority)"
            " VALUES (gen_random_uuid(), %s, %s, 'Monitor', '2', %s)",
            [site, sender, authority],
        )


def owner_ends_listeners() -> None:
    """Terminate every connection that listens, as a restart of the database would."""
    import psycopg

    from clinic.database import embedded

    server = embedded()
    assert server is not None
    name = connections["default"].settings_dict["NAME"]
    with psycopg.connect(server.url("postgres", name), autocommit=True) as database:
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
        )


def owner_installs(mode: str) -> None:
    """Write down the mode the database was created in."""
    owner_executes(
        f"INSERT INTO people_installation (id, mode, recorded_at) VALUES (1, '{mode}',"
        f" afterglow_now()) ON CONFLICT (id) DO UPDATE SET mode = '{mode}'"
    )
