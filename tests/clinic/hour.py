"""The ground of the tests of the hour: Marie at Toronto, ready for an order, by real actions."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.db import connections

from clinic.audit.author import Author
from clinic.course import actions as course_actions
from clinic.course import queries as course_queries
from clinic.course.actions import Reading
from clinic.course.models import Course, Proposal, ProtocolVersion, Session, Signature
from clinic.database import now
from clinic.dosing import actions, queries
from clinic.dosing.models import Infusion, Order, StartAuthorization
from clinic.people import access
from clinic.people.models import Enrolment, Role, Site, Staff

EXAMPLE = json.loads(Path("examples/eligible.json").read_text(), parse_float=Decimal)
PASSWORD = "of tests only, and long"
SITES = {
    "toronto": ("Toronto", "America/Toronto", "ca-on"),
    "vancouver": ("Vancouver", "America/Vancouver", "ca-bc"),
}
STAFF = {
    "alice": ("toronto", ["nurse"]),
    "bob": ("toronto", ["nurse"]),
    "petra": ("toronto", ["prescriber"]),
    "paul": ("toronto", ["prescriber"]),
    "thea": ("toronto", ["therapist"]),
    "charlie": ("vancouver", ["nurse"]),
    "cora": ("vancouver", ["prescriber"]),
}
# What the day asks besides the example's own facts.
DAY: dict[str, Any] = {
    "identity_checked": True,
    "consent_today": True,
    "escort_named": True,
    "alcohol_24h": False,
    "cannabis_24h": False,
    "medicines_held_as_asked": True,
    "hours_since_meal": "8",
    "hours_since_clear_fluids": "3",
}
DRAFT = queries.Draft(Decimal("0.5"), 40, Decimal(50), Decimal(50))


def install(using: str = "migrate") -> None:
    """Write sites and staff as the owner, and register the protocols."""
    for code, (name, zone, jurisdiction) in SITES.items():
        Site.objects.using(using).create(
            code=code,
            name=name,
            zone=zone,
            jurisdiction=jurisdiction,
            phone="555-0100",
            address="-",
        )
    for username, (site, roles) in STAFF.items():
        user = get_user_model().objects.db_manager(using).create_user(username, password=PASSWORD)
        staff = Staff.objects.using(using).create(user=user, name=username.title())
        for role in roles:
            Role.objects.using(using).create(staff=staff, site_id=site, role=role)
    for protocol in course_actions.register_protocols(using=using):
        _sign(protocol, using)


def _sign(protocol: ProtocolVersion, using: str) -> None:
    people = Staff.objects.using(using)
    for code in SITES:
        asked = {
            "site_id": code,
            "protocol": protocol,
            "digest": protocol.digest,
            "proposer": people.get(user__username="petra"),
            "recorded_at": now(),
        }
        Signature.add(
            using=using,
            **asked,
            proposal=Proposal.add(using=using, **asked, reason="tests"),
            director=people.get(user__username="paul"),
            licence_number="1",
        )


def staff(name: str) -> Staff:
    """Return a member of staff."""
    return Staff.objects.get(user__username=name)


def author(name: str) -> Author:
    """Return a member of staff as the author of an action, in every role held."""
    found = access.staff_author(staff(name), ("prescriber", "nurse", "therapist"))
    assert found is not None
    return found


@dataclass
class Hour:
    """Marie's dosing session, and what was done in it so far."""

    enrolment: Enrolment
    course: Course
    session: Session
    order: Order | None = None
    authorization: StartAuthorization | None = None
    infusion: Infusion | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    def tell(self, by: str = "alice", minutes_ago: float = 0, **values: Any) -> None:
        """Record facts as staff would, in the vocabulary's units."""
        at = now() - timedelta(minutes=minutes_ago)
        course_actions.record_facts(
            of=self.session,
            session=self.session,
            by=author(by),
            readings=[reading(name, value, at) for name, value in values.items()],
        )

    def ready_for_the_day(self) -> None:
        """Record what the start gate asks of the day, and two rested pressures."""
        self.tell(minutes_ago=9, systolic=122, diastolic=78)
        self.tell(minutes_ago=1, systolic=120, diastolic=78, heart_rate=68, spo2=98, **DAY)

    def sign(self, draft: queries.Draft = DRAFT, by: str = "petra") -> Order:
        """Sign an order."""
        self.order = actions.sign_order(
            session=self.session, draft=draft, key=uuid4(), by=author(by)
        )
        return self.order

    def check(self, first: str = "alice", second: str = "bob") -> StartAuthorization:
        """Do the second check."""
        assert self.order is not None
        self.authorization = actions.authorise(
            session=self.session,
            order=self.order,
            second=staff(second),
            rate_ml_h=Decimal(self.order.rate_ul_h) / 1000,
            key=uuid4(),
            by=author(first),
        )
        return self.authorization

    def start(self) -> Infusion:
        """Go from nothing to a running infusion."""
        if self.order is None:
            self.ready_for_the_day()
            self.sign()
        self.infusion = actions.start_infusion(
            authorization=self.authorization or self.check(), key=uuid4(), by=author("alice")
        )
        return self.infusion


def reading(name: str, value: Any, at: datetime) -> Reading:
    """Return a value as staff tell it."""
    from kap.facts import vocabulary

    unit = vocabulary()[name].unit
    source = "record" if name in queries.STATED_HERE else "staff"
    return Reading(name, str(value) if unit else value, at, unit=unit, source=source)


def marie(site: str = "toronto", prescriber: str = "petra", nurse: str = "alice") -> Hour:
    """Open Marie with an eligible chart, an accepted screening, a consent, and a session now."""
    by, at = author(prescriber), now()
    enrolment = course_actions.open_patient(
        site=Site.objects.get(code=site),
        legal_name="Marie Kowalski",
        birth_date=date(1988, 5, 17),
        language="en",
        by=author(nurse),
    )
    course = course_actions.open_course(enrolment=enrolment, indication="TRD", by=by)
    course_actions.record_facts(of=course, by=by, readings=list(_example(at)))
    for kind in ("conditions", "medications", "allergies", "antidepressant_trials"):
        items = [dict(item) for item in EXAMPLE.get(kind, {}).get("items", [])]
        for item in items:
            item.pop("id", None)
        course_actions.review_list(of=course, kind=kind, complete=True, items=items, by=by)
    course_actions.sign_consent(
        course=course,
        scope="treatment",
        version="1",
        language="en",
        text="-",
        signer="Marie",
        by=by,
    )
    verdict, chart = course_queries.verdict(course, "screening", now())
    course_actions.decide(
        course=course,
        stage="screening",
        kind="accepted",
        reason="fits",
        by=by,
        verdict=verdict,
        chart=chart,
    )
    session = course_actions.plan_session(
        course=course,
        kind="dosing",
        planned_start=at + timedelta(minutes=5),
        planned_minutes=120,
        number=1,
        by=by,
        room="2",
    )
    return Hour(enrolment, course, queries.session_of(session.pk))


def _example(at: datetime) -> Any:
    for name, told in EXAMPLE["facts"].items():
        rows = told if isinstance(told, list) else [told]
        for back, row in enumerate(reversed(rows)):
            if name in ("birth_date", "bmi", "consent_active", "dosed_before"):
                continue
            value, unit = row["value"], row.get("unit", "")
            seen = at - timedelta(hours=1, minutes=10 * back)  # two pressures, ten minutes apart
            source = row.get("source", "staff")
            yield Reading(name, str(value) if unit else value, seen, unit=unit, source=source)


def owner_executes(statement: str) -> None:
    """Run SQL as the owner."""
    with connections["migrate"].cursor() as cursor:
        cursor.execute(statement)


MONITOR = "BEDMON^00A0B1FFFEC2D3E4^EUI-64"


def owner_adds_device(sender: str, site: str = "toronto", authority: str = "") -> None:
    """Register a monitor, as the administrator would."""
    with connections["migrate"].cursor() as cursor:
        cursor.execute(
            "INSERT INTO dosing_device (id, site_id, sender, name, room, authority)"
            " VALUES (gen_random_uuid(), %s, %s, 'Monitor', '2', %s)",
            [site, sender, authority],
        )


def second_session(first: Hour) -> Hour:
    """Return a second session of the same person at the same time, as two bookings would be."""
    session = course_actions.plan_session(
        course=first.course,
        kind="dosing",
        planned_start=first.session.planned_start,
        planned_minutes=120,
        number=2,
        by=author("petra"),
        room="3",
    )
    return Hour(first.enrolment, first.course, queries.session_of(session.pk))


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
