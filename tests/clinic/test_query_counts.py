"""A list asks as many queries for twelve people as for three: it grows with the clinic."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from clinic.course import actions as course_actions
from clinic.course import queries as course_queries
from clinic.database import now
from clinic.intake import queries as intake_queries
from tests import world as ground
from tests.world import World

FEW, MANY = 3, 12


def in_screening(number: int) -> None:
    """Somebody whose case has facts, lists and a decision sent back."""
    _enrolment, course = ground.open_person(f"Person {number}")
    ground.known_well(course, consented=False)
    verdict, chart = course_queries.verdict(course, "screening", now())
    course_actions.decide(
        course=course,
        stage="screening",
        kind="asked",
        reason="ask again",
        by=ground.author("alice"),
        verdict=verdict,
        chart=chart,
    )


def in_a_room(number: int) -> None:
    """Somebody with a dose running: order, log and readings of the day."""
    _enrolment, course = ground.open_person(f"Person {number}")
    ground.known_well(course)
    ground.accept(course)
    ground.start(ground.plan_dose(course))


def booked(number: int) -> None:
    """Somebody with a dose booked this week."""
    _enrolment, course = ground.open_person(f"Person {number}")
    ground.known_well(course, consented=False)
    ground.plan_dose(course, in_minutes=3 * 24 * 60)


def asked(name: str, view: str) -> int:
    """Return how many queries a page asked, once it is warm."""
    browser = ground.signed_in(name)
    address = reverse(view)
    browser.get(address)
    with CaptureQueriesContext(connection) as queries:
        answer = browser.get(address)
    assert answer.status_code == 200
    assert b"Person 0" in answer.content or b"P.0." in answer.content
    return len(queries)


@pytest.mark.parametrize(
    ("name", "view", "arrives"),
    [
        ("alice", "intake:worklist", in_screening),
        ("bob", "today:patients", in_screening),
        ("bob", "today:today", in_a_room),
        ("bob", "today:booked", booked),
        ("bob", "dosing:board", in_a_room),
        ("bob", "dosing:board_rows", in_a_room),
    ],
)
def test_a_list_asks_no_more_for_more_people(
    world: World, name: str, view: str, arrives: Callable[[int], None]
) -> None:
    assert world
    counts = []
    for already, until in ((0, FEW), (FEW, MANY)):
        for number in range(already, until):
            arrives(number)
        counts.append(asked(name, view))
    assert counts[0] == counts[1]


def test_a_list_that_asks_for_each_person_is_seen(world: World) -> None:
    """The broken configuration: the cases, each asked by itself."""
    assert world
    counts = []
    for already, until in ((0, FEW), (FEW, MANY)):
        for number in range(already, until):
            in_screening(number)
        with CaptureQueriesContext(connection) as queries:
            for case in intake_queries.cases(now(), "prescriber"):
                course_queries.verdict(case.course, "screening", now())
        counts.append(len(queries))
    assert counts[1] > counts[0]


def test_charts_read_at_once_are_those_read_one_by_one(world: World) -> None:
    assert world
    for number in range(FEW):
        in_screening(number)
    at = now()
    cases = intake_queries.cases(at, "prescriber")
    together = course_queries.charts((case.course.patient_id for case in cases), at)
    assert len(together) == FEW + 1
    for case in cases:
        alone = course_queries.chart(case.course.patient, at)
        assert together[case.course.patient_id].to_json() == alone.to_json()
        verdict, _chart = course_queries.verdict(case.course, "screening", at)
        assert case.verdict.to_json() == verdict.seen_by("prescriber").to_json()


@pytest.mark.parametrize(
    ("view", "most"), [("dosing:order", 30), ("dosing:session", 30), ("intake:screening", 24)]
)
def test_a_page_of_one_person_stays_within_its_queries(world: World, view: str, most: int) -> None:
    ground.known_well(world.course)
    ground.accept(world.course)
    session = ground.plan_dose(world.course)
    key = world.course.pk if view.startswith("intake") else session.pk
    browser = ground.signed_in("alice")
    browser.get(reverse(view, args=[key]))
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(reverse(view, args=[key])).status_code == 200
    assert len(queries) <= most
