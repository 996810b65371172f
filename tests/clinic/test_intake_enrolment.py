"""A patient at a second site: agreed to at the first, opened by the patient's code there."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.utils import ProgrammingError
from django.test import Client
from django.urls import reverse

from clinic.audit.models import Event
from clinic.course import queries as course_queries
from clinic.course.models import Course
from clinic.database import now
from clinic.people.models import Enrolment, EnrolmentOffer, Patient, Role, Staff
from tests import world as ground
from tests.clock import Clock
from tests.pages import text_of
from tests.world import World

CONSENT = "Asked in person on 24 November; agrees that Vancouver is told her name and birth date."


@pytest.fixture
def vera(world: World) -> Client:
    """The browser of Vancouver's coordinator."""
    user = get_user_model().objects.create_user("vera", password="x")
    person = Staff.objects.create(user=user, name="Vera")
    with world.acting("charlie"):
        Role.objects.create(staff=person, site_id="vancouver", role="coordinator")
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def offered(world: World, who: str = "cora", **told: str) -> Any:
    where = reverse("intake:offer", args=[world.course.pk])
    form = {"key": str(uuid4()), "to": "vancouver", "consent": CONSENT} | told
    return world.client(who).post(where, form)


def code_in(page: Any) -> str:
    found = re.search(r"<code>([0-9a-f-]{19})</code>", page.content.decode())
    assert found is not None
    return found[1]


def enrolled(client: Client, code: str, site: str = "vancouver") -> Any:
    form = {"key": str(uuid4()), "site": site, "code": code, "indication": "TRD"}
    return client.post(reverse("intake:enrol"), form)


def test_a_patient_who_agreed_is_enrolled_at_the_second_site_with_nothing_known(
    world: World, vera: Client
) -> None:
    with world.acting("bob"):
        ground.known_well(world.course)
    page = offered(world)
    done = enrolled(vera, code_in(page).upper().replace("-", " "))
    assert done.status_code == 302
    with world.acting("charlie"):
        patient = Patient.objects.get()
        assert patient == world.patient
        assert Enrolment.objects.get().mrn == "VAN-00001"
        course = Course.objects.get()
        known = course_queries.chart(patient, now())
        assert set(known.facts) == {"birth_date"}
        seen = {event.action: event for event in Event.objects.filter(site_id="vancouver")}
        assert seen["patient.enrol"].patient_id == patient.pk
    assert done["Location"] == reverse("outcomes:course", args=[course.pk])
    assert vera.get(reverse("outcomes:course", args=[world.course.pk])).status_code == 404
    with world.acting("cora"):
        assert Event.objects.get(action="enrolment.offer").detail == {"to": "vancouver"}
        assert EnrolmentOffer.objects.get().consent == CONSENT
    again = enrolled(vera, code_in(page))
    assert again["Location"] == done["Location"]


def test_nobody_is_enrolled_without_a_code_in_date_and_for_the_site(
    world: World, vera: Client, clock: Clock
) -> None:
    code = code_in(offered(world))
    for wrong, where in (("0000-0000-0000-0000", vera), (code, world.client("cora"))):
        site = "vancouver" if where is vera else "toronto"
        sent = enrolled(where, wrong, site)
        assert sent.status_code == 400
        assert "No offer for this site has this code" in text_of(sent)
    assert enrolled(vera, code, "toronto").status_code == 400
    clock.step(timedelta(days=14, minutes=1).total_seconds())
    assert enrolled(vera, code).status_code == 400
    with world.acting("charlie"):
        assert not Patient.objects.exists()


def test_the_consent_is_noted_and_the_code_shown_once(world: World) -> None:
    assert offered(world, consent="").status_code == 400
    assert offered(world, to="toronto").status_code == 400
    key = str(uuid4())
    shown = code_in(offered(world, key=key))
    repeated = offered(world, key=key)
    assert repeated.status_code == 400
    assert "shown once already" in text_of(repeated)
    page = text_of(world.client("alice").get(reverse("intake:offer", args=[world.course.pk])))
    assert CONSENT in page
    assert shown not in page


@pytest.mark.parametrize("who", ["bob", "tess", "ada", "pri", "phil", "charlie"])
def test_others_neither_offer_nor_enrol(world: World, who: str) -> None:
    assert offered(world, who).status_code == 404
    assert enrolled(world.client(who), "x").status_code == 404


def test_an_offer_opens_nothing_for_who_does_not_act_at_its_site(world: World) -> None:
    offered(world)
    ask = "SELECT afterglow_offered((SELECT code_hash FROM people_enrolmentoffer), 'vancouver')"
    with world.acting("cora"), connection.cursor() as cursor:
        cursor.execute(ask)
        assert cursor.fetchone() == (None,)
        cursor.execute("SELECT set_config('afterglow.sites', 'toronto,vancouver', true)")
        cursor.execute(ask)
        assert cursor.fetchone() == (world.patient.pk,)
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            cursor.execute("UPDATE people_enrolmentoffer SET to_site_id = 'toronto'")


def test_the_site_itself_is_no_other_site(world: World) -> None:
    from clinic.course.actions import Refused
    from clinic.intake.enrolment import actions

    with world.acting("cora") as by, pytest.raises(Refused, match="at this site already"):
        actions.offer(course=world.course, to=world.site, consent=CONSENT, key=uuid4(), by=by)
