"""What the phases share, written by actions: facts, lists, consent, tasks, decisions."""

from __future__ import annotations

import pytest

from clinic.course import queries
from clinic.database import now
from tests import world as ground
from tests.world import World

pytestmark = pytest.mark.django_db


def test_marie_known_well_is_eligible_and_may_be_dosed(world: World) -> None:
    ground.known_well(world.course)
    verdict, _chart = queries.verdict(world.course, "screening", now())
    assert verdict.answer == "eligible", verdict.explain()
    ground.accept(world.course)
    infusion = ground.start(ground.plan_dose(world.course))
    assert infusion.discharged_at is None
    assert queries.is_dosed(world.patient)


def test_marie_of_whom_nothing_is_known_needs_more_information(world: World) -> None:
    verdict, _chart = queries.verdict(world.course, "screening", now())
    assert verdict.answer == "need_more_information"
