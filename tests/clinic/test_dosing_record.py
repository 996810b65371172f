"""The printed record: what one set holds stands on one line."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

from clinic.database import now
from clinic.dosing import actions
from clinic.dosing.live import Live
from clinic.dosing.record_page import cuffs
from tests import world as builders
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
