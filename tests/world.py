"""The one world of the tests: Toronto's Alice treats Marie, Bob helps, Charlie must see nothing.

Marie's hour, with the dose in it, is `tests.clinic.hour`.

Sites, staff, roles and signatures are written once by the owner (`install`); `World` is a test's
own: Marie with her course, and builders that do what staff would, by the same actions. Within a
test's transaction `world.acting(name)` says whose rows are seen; each request says it anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.test import Client

from clinic.audit.author import Author
from clinic.course import actions as course_actions
from clinic.course import queries as course_queries
from clinic.course.actions import Reading
from clinic.course.consents import wording
from clinic.course.models import (
    Consent,
    Course,
    Decision,
    ListReview,
    Proposal,
    ProtocolVersion,
    Referral,
    Session,
    Signature,
)
from clinic.database import now
from clinic.dosing import actions as dosing
from clinic.dosing import queries as dosing_queries
from clinic.dosing.models import Infusion, Order
from clinic.people import access
from clinic.people.models import Enrolment, Patient, PremisesApproval, Role, Room, Site, Staff
from clinic.portal import actions as portal
from kap.chart import Chart
from kap.facts import vocabulary

PASSWORD = "of tests only, and long"
SITES = {
    "toronto": ("Toronto", "America/Toronto", "ca-on"),
    "vancouver": ("Vancouver", "America/Vancouver", "ca-bc"),
}
APPROVALS = {"ca-on": "ohp_approved", "ca-bc": "hospital_or_accredited"}
STAFF = {
    "alice": ("toronto", ("prescriber",)),
    "omar": ("toronto", ("prescriber",)),
    "bob": ("toronto", ("nurse",)),
    "nina": ("toronto", ("nurse",)),
    "tess": ("toronto", ("therapist",)),
    "cora": ("toronto", ("coordinator",)),
    "phil": ("toronto", ("pharmacist",)),
    "dee": ("toronto", ("medical_director",)),
    "pri": ("toronto", ("privacy_officer",)),
    "ada": ("toronto", ("administrator",)),
    "charlie": ("vancouver", ("nurse", "prescriber")),
}
ROOMS = ("1", "2")  # of each site
# What the clinic computes from its own rows, or what the opening of a patient tells.
TOLD_BY_ROWS = {"birth_date", "consent_active", "dosed_before"}
# What the day of a dose asks besides the example's own facts.
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
EXAMPLE = json.loads(
    (Path(__file__).parent.parent / "examples" / "eligible.json").read_text(encoding="utf-8"),
    parse_float=Decimal,
    parse_int=Decimal,
)
DRAFT = dosing_queries.Draft(Decimal("0.5"), 40, Decimal(50), Decimal(50))


def install(using: str = "migrate") -> None:
    """Write sites, staff, roles and the directors' signatures, as the owner; commits."""
    for code, (name, zone, jurisdiction) in SITES.items():
        Site.objects.using(using).create(
            code=code,
            name=name,
            zone=zone,
            jurisdiction=jurisdiction,
            phone="555-0100",
            address="1 Example Street",
        )
        for room in ROOMS:
            Room.objects.using(using).create(site_id=code, name=room)
        PremisesApproval.add(
            using=using,
            site_id=code,
            route="IV",
            kind=APPROVALS[jurisdiction],
            reference="tests",
            valid_from=date(2020, 1, 1),
            author="owner",
            recorded_at=now(),
        )
    for username, (site, roles) in STAFF.items():
        user = get_user_model().objects.db_manager(using).create_user(username, password=PASSWORD)
        person = Staff.objects.using(using).create(user=user, name=username.title())
        for role in roles:
            Role.objects.using(using).create(staff=person, site_id=site, role=role)
    for protocol in course_actions.register_protocols(using=using):
        _sign(protocol, using)


def _sign(protocol: ProtocolVersion, using: str) -> None:
    people = Staff.objects.using(using)
    for code in SITES:
        asked = {
            "site_id": code,
            "protocol": protocol,
            "digest": protocol.digest,
            "proposer": people.get(user__username="alice"),
            "recorded_at": now(),
        }
        Signature.add(
            using=using,
            **asked,
            proposal=Proposal.add(using=using, **asked, reason="tests"),
            director=people.get(user__username="dee"),
            licence_number="1",
        )


def staff(name: str) -> Staff:
    """Return a member of staff by user name, or Toronto's first holder of a role."""
    return Staff.objects.get(user__username=_username(name))


def _username(name: str) -> str:
    if name in STAFF:
        return name
    return next(user for user, (site, held) in STAFF.items() if site == "toronto" and name in held)


def author(name: str) -> Author:
    """Return a member of staff as the author of an action, in every role held."""
    found = access.staff_author(staff(name), STAFF[_username(name)][1])
    assert found is not None
    return found


def acting(name: str) -> AbstractContextManager[Author]:
    """Run a block as this person: the database then shows their sites' rows."""
    return access.acting(author(name))


def signed_in(name: str) -> Client:
    """Return a browser in which this person is signed in."""
    client = Client()
    backend = "django.contrib.auth.backends.ModelBackend"
    client.force_login(staff(name).user, backend=backend)
    return client


@dataclass
class World:
    """Marie, enrolled at Toronto with a course that nothing is known about yet."""

    enrolment: Enrolment
    course: Course

    @property
    def patient(self) -> Patient:
        """Marie herself."""
        return self.course.patient

    @property
    def site(self) -> Site:
        """Toronto."""
        return self.course.site

    def author(self, name: str) -> Author:
        """Return a person or role of `STAFF` as the author of an action."""
        return author(name)

    def staff(self, name: str) -> Staff:
        """Return a person of `STAFF` by name or role."""
        return staff(name)

    def acting(self, name: str) -> AbstractContextManager[Author]:
        """Run a block as this person."""
        return acting(name)

    def client(self, name: str) -> Client:
        """Return a browser in which this person is signed in."""
        return signed_in(name)


def arrive() -> World:
    """Open Marie and her course, and leave Alice acting for the rest of the transaction."""
    access.enter(author("alice"))
    enrolment, course = open_person()
    return World(enrolment, course)


def open_person(
    name: str = "Marie Kowalski",
    *,
    by: str = "alice",
    born: date = date(1988, 5, 17),
    language: str = "en",
) -> tuple[Enrolment, Course]:
    """Open a patient and a course at the site of `by`, who is left acting."""
    hand = author(by)
    access.enter(hand)
    enrolment = course_actions.open_patient(
        site=Site.objects.get(pk=hand.sites[0]),
        legal_name=name,
        birth_date=born,
        language=language,
        by=hand,
    )
    return enrolment, course_actions.open_course(enrolment=enrolment, indication="TRD", by=hand)


def reading(name: str, value: Any, at: datetime, source: str = "staff") -> Reading:
    """Return a value as staff tell it, in the vocabulary's unit; None is asked and not known."""
    if value is None:
        return Reading(name, None, at, source=source, reason="not_known")
    unit = vocabulary()[name].unit
    return Reading(name, str(value) if unit else value, at, unit=unit, source=source)


def tell(of: Any, by: str = "bob", *, minutes_ago: float = 0, **values: Any) -> None:
    """Record facts about the patient of a course or session."""
    at = now() - timedelta(minutes=minutes_ago)
    course_actions.record_facts(
        of=of,
        by=author(by),
        session=of if isinstance(of, Session) else None,
        readings=[reading(name, value, at) for name, value in values.items()],
    )


def _example(at: datetime) -> Iterator[Reading]:
    """Yield the facts of the eligible example as if told before `at`, pairs 10 min apart."""
    for name, rows in EXAMPLE["facts"].items():
        if name in TOLD_BY_ROWS:
            continue
        told = rows if isinstance(rows, list) else [rows]
        for place, row in enumerate(told):
            when = at - timedelta(minutes=10 * (len(told) - place))
            yield reading(name, row["value"], when, row["source"])


def known_well(
    course: Course, by: str = "bob", *, consented: bool = True, minutes_ago: float = 0
) -> None:
    """Record all that makes screening «eligible»; with the consent, order and start ask the day."""
    hand, told = author(by), now() - timedelta(minutes=minutes_ago)
    with course_actions.asked_once():
        course_actions.record_facts(of=course, by=hand, readings=list(_example(told)))
        for kind in ListReview.Kind.values:
            items = [dict(item) for item in EXAMPLE[kind]["items"]]
            for item in items:
                if "weeks" in item:
                    item["weeks"] = int(item["weeks"])
            course_actions.review_list(of=course, kind=kind, complete=True, items=items, by=hand)
    if consented:
        sign_consent(course, by)


def sign_consent(course: Course, by: str = "bob") -> Consent:
    """Sign the shipped consent to treatment."""
    text = wording("treatment")
    return course_actions.sign_consent(
        course=course,
        scope="treatment",
        version=text.version,
        language="en",
        text=text.text["en"],
        signer=course.patient.legal_name,
        teach_back="in her own words",
        by=author(by),
    )


def accept(course: Course, by: str = "alice") -> Decision:
    """Accept the screening as it stands now."""
    verdict, chart = course_queries.verdict(course, "screening", now())
    return course_actions.decide(
        course=course,
        stage="screening",
        kind="accepted",
        reason="fits",
        by=author(by),
        verdict=verdict,
        chart=chart,
    )


def plan_dose(course: Course, *, number: int = 1, in_minutes: float = 5) -> Session:
    """Plan a dosing session of this course."""
    return course_actions.plan_session(
        course=course,
        kind="dosing",
        planned_start=now() + timedelta(minutes=in_minutes),
        planned_minutes=120,
        number=number,
        room="2",
        by=author("alice"),
    )


def eligible_for_start(session: Session, by: str = "bob") -> None:
    """Record what the start gate asks of the day, and two rested pressures."""
    tell(session, by, minutes_ago=9, systolic=122, diastolic=78)
    tell(session, by, minutes_ago=1, systolic=120, diastolic=78, heart_rate=68, spo2=98, **DAY)


def sign_order(session: Session, by: str = "alice", draft: dosing_queries.Draft = DRAFT) -> Order:
    """Sign an order, of 0.5 mg/kg over 40 min unless another draft is given."""
    return dosing.sign_order(session=session, draft=draft, key=uuid4(), by=author(by))


def start(session: Session) -> Infusion:
    """Take a session whose course is `known_well` and `accept`ed to a running infusion."""
    eligible_for_start(session)
    order = sign_order(session)
    authorization = dosing.authorise(
        session=session,
        order=order,
        second=staff("nina"),
        rate_ml_h=Decimal(order.rate_ul_h) / 1000,
        key=uuid4(),
        by=author("bob"),
    )
    return dosing.start_infusion(authorization=authorization, key=uuid4(), by=author("bob"))


def refer(site: str = "toronto", name: str = "Rose Almeida", **answers: Any) -> Referral:
    """Keep a referral of somebody who answered the self-check (None: not known).

    Their site is left acting.
    """
    by = Author("self", "", "patient", (site,), purpose="referral")
    access.enter(by)
    at = now()
    facts = {
        key: {"value": value, "observed_at": at.isoformat(), "source": "self"}
        | ({"reason": "not_known"} if value is None else {})
        for key, value in answers.items()
    }
    return portal.refer(
        site=Site.objects.get(pk=site),
        key=uuid4(),
        name=name,
        email="rose@example.org",
        phone="",
        language="en",
        message="",
        chart=Chart.from_json({"facts": facts}),
        by=by,
    )
