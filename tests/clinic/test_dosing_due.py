"""The scores that a set asks for, by the schedule of the shipped protocol."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest
from django.urls import reverse

from clinic.course.models import Session
from clinic.dosing import actions
from clinic.dosing.due import Times, due, is_done, times_of
from kap.protocol import load
from tests import world as builders
from tests.world import World

NAMES = ("moaas", "dissociation", "nausea", "distress")


@pytest.fixture(scope="module")
def schedule() -> Any:
    """The schedule of the newest shipped protocol."""
    return load("iv-ketamine").tables["schedule"]


@pytest.mark.parametrize(
    ("minute", "of", "asked"),
    [
        (None, None, {"moaas", "dissociation", "nausea"}),
        (0, 0, {"moaas"}),
        (19, 10, {"moaas"}),
        (20, 20, {"moaas", "nausea"}),
        (31, 30, {"moaas"}),
        (40, 40, {"moaas", "dissociation", "nausea"}),
        (79, 70, {"moaas"}),
        (80, 70, {"moaas", "dissociation"}),
        (90, 85, {"moaas", "dissociation"}),
        (101, 100, {"moaas"}),
    ],
)
def test_each_set_asks_for_its_own_scores(
    schedule: Any, minute: int | None, of: int | None, asked: set[str]
) -> None:
    found = due(schedule, NAMES, minute)
    assert (found.minute, set(found.names)) == (of, asked)


def test_a_score_that_the_schedule_never_asks_is_never_due(schedule: Any) -> None:
    times = times_of(schedule, "distress")
    assert (times.minutes, times.window) == ((), ())
    assert not times.covers(80)


def test_without_a_schedule_nothing_is_due() -> None:
    assert due({}, NAMES, None).names == frozenset()
    assert due({}, NAMES, 20) == due({}, NAMES, 0)


@pytest.mark.parametrize(
    ("asked", "scored", "done"),
    [
        (None, None, False),
        (None, -3, True),
        (40, None, False),
        (40, -3, False),
        (40, 39, False),
        (40, 40, True),
        (40, 55, True),
        (70, 79, False),  # asked within the window alone: from its first minute
        (70, 80, True),
        (85, 81, True),
    ],
)
def test_a_score_of_a_set_is_done_once_it_was_given_since_then(
    asked: int | None, scored: int | None, done: bool
) -> None:
    times = Times(minutes=(20, 40), window=(80, 100))
    assert is_done(times, asked, scored) is done


def planned(world: World) -> Session:
    builders.known_well(world.course)
    builders.accept(world.course)
    return builders.plan_dose(world.course)


def shown(world: World, session: Session) -> str:
    page = world.client("bob").get(reverse("dosing:session", args=[session.pk]))
    return str(page.content.decode())


def test_the_page_says_which_scores_of_the_set_are_done(world: World) -> None:
    session = planned(world)
    builders.start(session)
    before = shown(world, session)
    assert "T+0</span>" in before
    assert 'class="score is-done"' not in before
    actions.score(session=session, values={"moaas": 5}, key=uuid4(), by=world.author("bob"))
    after = shown(world, session)
    assert "T+0 · ✓ done</span>" in after
    assert after.count('class="score is-done" data-score="moaas"') == 1
    [told] = re.findall('data-scored="([^"]*)"', after)
    assert "moaas:0" in told.split()


def test_scores_before_the_start_are_done_before_it(world: World) -> None:
    session = planned(world)
    for name in ("moaas", "dissociation"):
        actions.score(session=session, values={name: 0}, key=uuid4(), by=world.author("bob"))
    text = shown(world, session)
    assert text.count('class="score is-done"') == 2
    assert "before the start</span>" in text  # nausea is still due
