"""From a referral to a patient, and who waits in screening."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.urls import reverse

from clinic.audit.models import Event
from clinic.course import queries as course_queries
from clinic.course.models import Course, Decision, Fact, Referral
from clinic.database import now
from clinic.intake import queries
from clinic.people.models import Enrolment
from tests import world as ground
from tests.clock import Clock
from tests.pages import text_of
from tests.world import World

OPEN = {
    "legal_name": "Rose Almeida",
    "preferred_name": "Rosie",
    "birth_date": "1990-02-03",
    "language": "fr",
    "indication": "TRD",
}


@pytest.fixture
def referral(world: World) -> Referral:
    """Rose, who answered the self-check for Toronto."""
    assert world
    return ground.refer(birth_date="1990-02-03", aneurysm=False, pregnant=None)


def address(row: Referral) -> str:
    return reverse("intake:referral", args=[row.pk])


def test_the_coordinator_sees_who_waits(world: World, referral: Referral) -> None:
    page = world.client("cora").get(reverse("intake:referrals"))
    assert "Rose Almeida" in text_of(page)
    assert address(referral) in page.content.decode()
    assert "Rose" not in page.content.decode().split("</title>")[0]


def test_nobody_waits_is_said_in_words(world: World) -> None:
    assert "No referral waits" in text_of(world.client("cora").get(reverse("intake:referrals")))


def test_opening_a_patient_and_a_course_takes_the_answers_along(
    world: World, referral: Referral
) -> None:
    cora = world.client("cora")
    page = cora.get(address(referral))
    assert 'value="Rose Almeida"' in page.content.decode()
    assert 'value="1990-02-03"' in page.content.decode()
    done = cora.post(address(referral), OPEN)
    with world.acting("cora"):
        course = Course.objects.get(referral=referral)
        assert done["Location"] == reverse("outcomes:course", args=[course.pk])
        patient = course.patient
        assert (patient.legal_name, str(patient), patient.language) == (
            "Rose Almeida",
            "Rosie",
            "fr",
        )
        assert patient.email == "rose@example.org"
        told = {fact.name: fact for fact in Fact.objects.filter(patient=patient)}
        assert (told["aneurysm"].value, told["aneurysm"].source) == (False, "self")
        assert (told["pregnant"].value, told["pregnant"].reason) == (None, "not_known")
        assert (told["birth_date"].value, told["birth_date"].source) == ("1990-02-03", "record")
        assert told["indication"].value == "TRD"
        assert Enrolment.objects.get(patient=patient).mrn.startswith("TOR-")


def test_opening_twice_opens_once(world: World, referral: Referral) -> None:
    cora = world.client("cora")
    first, again = cora.post(address(referral), OPEN), cora.post(address(referral), OPEN)
    assert first["Location"] == again["Location"]
    with world.acting("cora"):
        assert Course.objects.filter(referral=referral).count() == 1


def test_two_coordinators_at_once_open_once(world: World, referral: Referral) -> None:
    from clinic.intake import actions

    details: dict[str, Any] = {**OPEN, "birth_date": date(1990, 2, 3)}
    with world.acting("cora"):
        by = world.author("cora")
        courses = [actions.open_patient(referral=referral, by=by, **details) for _ in range(2)]
        assert courses[0] == courses[1]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"birth_date": "1690-02-03"}, "1690-02-03 is no date of birth; check the year."),
        ({"birth_date": "3 Feb"}, "Enter a valid date."),
        ({"legal_name": ""}, "This field is required."),
        ({"indication": "flu"}, "flu is not one of the available choices"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_opened(
    world: World, referral: Referral, wrong: dict[str, str], said: str
) -> None:
    page = world.client("cora").post(address(referral), {**OPEN, **wrong})
    assert page.status_code == 400
    assert said in text_of(page)
    assert 'value="Rosie"' in page.content.decode()
    with world.acting("cora"):
        assert not Course.objects.filter(referral=referral).exists()


def test_somebody_of_this_name_and_date_is_pointed_out_before_opening(
    world: World, referral: Referral
) -> None:
    ground.open_person("ROSE ALMEIDA", born=date(1990, 2, 3))
    cora = world.client("cora")
    warned = cora.post(address(referral), OPEN)
    assert warned.status_code == 400
    assert "Enrolled already" in text_of(warned)
    assert "Somebody with this name and date is enrolled already." in text_of(warned)
    done = cora.post(address(referral), {**OPEN, "same_person": "on"})
    assert done.status_code == 302


def test_the_same_name_at_another_site_is_nobodys_business(
    world: World, referral: Referral
) -> None:
    ground.open_person("Rose Almeida", by="charlie", born=date(1990, 2, 3))
    assert world.client("cora").post(address(referral), OPEN).status_code == 302


def test_a_nurse_reads_a_referral_and_does_not_open_it(world: World, referral: Referral) -> None:
    bob = world.client("bob")
    assert "A coordinator opens the patient." in text_of(bob.get(address(referral)))
    assert bob.post(address(referral), OPEN).status_code == 404


# -- the worklist ----------------------------------------------------------------------------------


def worklist(world: World, name: str = "alice") -> Any:
    return world.client(name).get(reverse("intake:worklist"))


def test_the_worklist_shows_answer_unknowns_and_age(world: World, clock: Clock) -> None:
    clock.step(3 * 24 * 3600)
    with world.acting("alice"):
        verdict, _chart = course_queries.verdict(world.course, "screening", now())
    page = text_of(worklist(world))
    assert f"Marie Kowalski need more information {len(verdict.unknowns)} 3 Toronto" in page
    assert len(verdict.unknowns) > 20


def test_an_empty_worklist_says_so(world: World) -> None:
    assert "Nobody is in screening." in text_of(worklist(world, "charlie"))


def test_a_settled_case_leaves_the_worklist_and_one_asked_about_stays(world: World) -> None:
    ground.known_well(world.course)
    assert in_screening(world)
    decide(world, "asked")
    assert in_screening(world)
    decide(world, "accepted")
    assert not in_screening(world)


def test_a_declined_case_leaves_the_worklist(world: World) -> None:
    decide(world, "declined")
    assert not in_screening(world)


def test_a_decision_about_an_order_settles_no_screening(world: World) -> None:
    ground.known_well(world.course)
    decide(world, "accepted", stage="order")
    assert in_screening(world)


def in_screening(world: World) -> bool:
    with world.acting("alice"):
        return world.course.pk in {case.course.pk for case in queries.cases(now(), "prescriber")}


def decide(world: World, kind: str, stage: str = "screening") -> Decision:
    from clinic.course import actions

    with world.acting("alice"):
        verdict, chart = course_queries.verdict(world.course, stage, now())
        return actions.decide(
            course=world.course,
            stage=stage,
            kind=kind,
            reason="a test's",
            by=world.author("alice"),
            verdict=verdict,
            chart=chart,
        )


def test_the_coordinator_sees_no_suicide_tier_on_the_worklist(world: World) -> None:
    ground.known_well(world.course)
    ground.tell(world.course, si_acute=True, si_plan=True, si_intent=True)
    seen = text_of(worklist(world, "cora"))
    assert "Marie Kowalski" in seen
    assert "suicid" not in seen.lower()
    assert (
        reverse("intake:screening", args=[world.course.pk])
        not in worklist(world, "cora").content.decode()
    )


def test_the_worklist_is_audited_once_for_each_patient_shown(world: World) -> None:
    ground.open_person("Second Person")
    worklist(world)
    with world.acting("alice"):
        events = Event.objects.filter(action="worklist.view")
        assert events.count() == 2
        assert world.patient.pk in {event.patient_id for event in events}
