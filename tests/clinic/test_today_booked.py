"""Before the booked sessions: what expires before a dose is listed a week ahead, as a role may."""

from __future__ import annotations

import pytest
from django.urls import reverse

from clinic.audit.models import Event
from clinic.database import now
from clinic.today import booked
from tests import world as ground
from tests.pages import text_of
from tests.world import World

A_DAY = 24 * 60


def page(world: World, name: str) -> str:
    return text_of(world.client(name).get(reverse("today:booked")))


@pytest.fixture
def ahead(world: World) -> World:
    """Marie, known well, with a dose in five days."""
    ground.known_well(world.course)
    ground.plan_dose(world.course, in_minutes=5 * A_DAY)
    return world


def expiring(world: World, name: str) -> dict[str, tuple[str, ...]]:
    with world.acting(name) as by:
        (row,) = booked.ahead(by, now())
    return {each.fact: each.answered_by for each in row.expiring}


def test_no_dose_in_the_coming_week_says_so(world: World) -> None:
    ground.plan_dose(world.course, in_minutes=8 * A_DAY)
    assert "No dose is booked for the coming seven days." in page(world, "bob")


def test_nothing_that_expires_says_so(world: World) -> None:
    ground.plan_dose(world.course, in_minutes=2 * A_DAY)
    assert "goes out of date before this session" in page(world, "bob")


def test_a_pressure_and_the_weight_are_out_of_date_in_five_days_and_the_sex_is_not(
    ahead: World,
) -> None:
    found = expiring(ahead, "bob")
    assert "device" in found["systolic"]
    assert "nurse" in found["systolic"]
    assert "sex_male" not in found
    told = page(ahead, "bob")
    assert "systolic" in told
    assert "a device" in told
    assert "Record it" in told


def test_the_last_answer_and_what_changed_are_shown(ahead: World) -> None:
    ground.tell(ahead.course, psychosis_now=True)
    told = page(ahead, "bob")
    assert "contraindicated" in told
    assert "began:" in told
    assert "a fact changed" in told


def test_a_coordinator_reads_no_fact_of_suicide_risk_and_gets_no_form(ahead: World) -> None:
    assert "si_plan" in expiring(ahead, "bob") or "si_intent" in expiring(ahead, "bob")
    assert not [name for name in expiring(ahead, "cora") if name.startswith("si_")]
    assert "Record it" not in page(ahead, "cora")


def test_another_site_sees_no_session_of_ours_and_each_one_seen_is_audited(ahead: World) -> None:
    assert "No dose is booked" in page(ahead, "charlie")
    page(ahead, "bob")
    with ahead.acting("pri"):
        seen = Event.objects.filter(action="booked.view", patient_id=ahead.patient.pk)
        assert [event.role for event in seen] == ["nurse"]


def test_a_list_is_gone_through_on_its_own_page(ahead: World) -> None:
    ground.plan_dose(ahead.course, number=2, in_minutes=6.5 * A_DAY)
    each = booked.Expiring("medications", now(), ("nurse",))
    assert each.is_list
    assert not booked.Expiring("weight", now(), ("nurse",)).is_list


def test_the_page_is_in_french(ahead: World) -> None:
    client = ahead.client("bob")
    told = text_of(client.get(reverse("today:booked"), headers={"accept-language": "fr-CA"}))
    assert "Avant les séances réservées" in told
