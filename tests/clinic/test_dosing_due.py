"""The scores that a set asks for, by the schedule of the shipped protocol."""

from __future__ import annotations

from typing import Any

import pytest

from clinic.dosing.due import due, times_of
from kap.protocol import load

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
