"""The printed record: a set that was typed at once is one line; the log says what was given."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import uuid4

import pytest
from django.urls import reverse

from clinic.database import now
from clinic.dosing import actions, record_page
from clinic.dosing.live import Live
from clinic.dosing.models import Infusion
from clinic.dosing.record_page import cuffs
from kap.picture import HEIGHT, LOWEST
from tests import world as builders
from tests.clock import Clock
from tests.pages import text_of
from tests.world import World

SET = {"systolic": 124, "diastolic": 68, "heart_rate": 72, "spo2": 98, "respiratory_rate": 14}


def test_a_set_typed_at_once_is_recorded_whole(world: World) -> None:
    builders.known_well(world.course)
    builders.accept(world.course)
    session = builders.plan_dose(world.course)
    builders.start(session)
    values = {name: Decimal(value) for name, value in SET.items()}
    actions.record_set(session=session, values=values, key=uuid4(), by=world.author("bob"))
    *_, line = cuffs(Live(session, now()))
    shown = {name: line[name] for name in ("nibp", "heart_rate", "spo2", "respiratory_rate")}
    assert shown == {
        "nibp": "124/68",
        "heart_rate": "72",
        "spo2": "98",
        "respiratory_rate": "14",
    }


def test_given_and_not_given_are_exact_and_add_up_to_the_dose(world: World, clock: Clock) -> None:
    builders.known_well(world.course)
    builders.accept(world.course)
    session = builders.plan_dose(world.course)
    infusion = builders.start(session)
    clock.step(17 * 60 + 9.7)
    actions.stop(session=session, id=uuid4(), by=world.author("bob"))
    parts = record_page.of(Live(session, now()), "en")
    given, waste = Decimal(parts["given_mg"]), Decimal(parts["waste_mg"])
    assert given + waste == Decimal(infusion.order.dose_ug).scaleb(-3)
    row = Infusion.objects.get(pk=infusion.pk)
    assert row.stopped_at is not None
    millis = (row.stopped_at - row.started_at) // timedelta(milliseconds=1)
    pumped = Fraction(millis * infusion.order.rate_ul_h, 3_600_000)
    exact = infusion.order.dose_ug * pumped / infusion.order.final_ul  # dose.md, section 5
    assert given * 1000 == int(exact)
    page = text_of(world.client("bob").get(reverse("dosing:record", args=[session.pk])))
    assert f"Given {parts['given_mg']} mg from the log's times and rates, rounded down" in page


@pytest.mark.parametrize(
    ("asked", "drawn"),
    [("?height=200", 200), ("?height=1", LOWEST), ("", HEIGHT), ("?height=9999", HEIGHT)]
    + [(f"?height={wrong}", HEIGHT) for wrong in ("x", "-5", "12345", "²")],
)
def test_the_trend_is_as_high_as_its_place(world: World, asked: str, drawn: int) -> None:
    builders.known_well(world.course)
    builders.accept(world.course)
    session = builders.plan_dose(world.course)
    page = world.client("bob").get(reverse("dosing:chart", args=[session.pk]) + asked)
    assert f'height="{drawn}"' in page.content.decode()
