"""What the browser finds: the shared world committed to a clone, and Marie at each step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

from django.db import connections

from clinic.course import actions as course_actions
from clinic.course.models import Course, Session
from clinic.database import now
from clinic.dosing import actions as dosing
from clinic.dosing import queries
from clinic.dosing.models import Device, Infusion
from tests import world

EUI64 = "00A0B1FFFEC2D3E4"
SENDER = f"BEDMON^{EUI64}^EUI-64"
SIGNED_IN = "sessionid"


def install() -> None:
    """Write sites, staff and a monitor in room 2, and say that this is a demonstration."""
    world.install()
    with connections["migrate"].cursor() as cursor:
        cursor.execute(
            "INSERT INTO people_installation (id, mode, recorded_at)"
            " VALUES (1, 'demo', afterglow_now()) ON CONFLICT (id) DO UPDATE SET mode = 'demo'"
        )
        cursor.execute(
            "INSERT INTO dosing_device (id, site_id, sender, name, room, authority)"
            " VALUES (gen_random_uuid(), 'toronto', %s, 'Monitor 2', '2', '')",
            [SENDER],
        )


@dataclass
class Marie:
    """One person, her course, her sessions, and what the monitor must say."""

    course: Course
    dosing: Session
    integration: Session
    mrn: str
    infusion: Infusion | None = None


def arrives(name: str = "Marie Kowalski") -> Course:
    """Open a person whose screening is accepted and who consented; commit."""
    with world.acting("alice"):
        _, course = world.open_person(name)
        world.known_well(course)
        world.accept(course)
        return course


def planned(course: Course) -> Marie:
    """Plan a dose now and the integration of the next day; tell what the day asks; commit."""
    with world.acting("alice"):
        dose = world.plan_dose(course)
        world.eligible_for_start(dose)
        talk = course_actions.plan_session(
            course=course,
            kind="integration",
            planned_start=now() + timedelta(days=1),
            planned_minutes=60,
            number=1,
            room="",
            by=world.author("alice"),
        )
        return Marie(course, dose, talk, queries.mrn_of(dose))


def bind(marie: Marie) -> None:
    """Bind room 2's monitor to her, as the nurse would."""
    with world.acting("bob") as by:
        dosing.bind(
            session=marie.dosing,
            device=Device.objects.get(sender=SENDER),
            mrn=marie.mrn,
            birth_date=marie.course.patient.birth_date,
            key=uuid4(),
            by=by,
        )


def start(marie: Marie) -> Marie:
    """Sign, check and start the infusion; commit."""
    with world.acting("alice"):
        order = world.sign_order(marie.dosing)
    with world.acting("bob") as by:
        authorization = dosing.authorise(
            session=marie.dosing,
            order=order,
            second=world.staff("nina"),
            rate_ml_h=Decimal(order.rate_ul_h) / 1000,
            key=uuid4(),
            by=by,
        )
        marie.infusion = dosing.start_infusion(authorization=authorization, key=uuid4(), by=by)
    return marie


def session_cookie(name: str) -> str:
    """Return the session of this person, signed in without the page."""
    return world.signed_in(name).cookies[SIGNED_IN].value
