"""What is read in one pass is what each fact's own deriver reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kap.chart import Chart, Condition, Medication, Moment, Reason, ReviewedList
from kap.evidence import Look
from kap.protocol import Protocol, Stage
from kap.value import FALSE
from tests.core.small_protocol import AT, NOW, TEXT, small, told
from tests.core.test_replay import PEOPLE
from tests.core.test_verdict import well

# A yes or no whose validity is counted in minutes, and one in days that a rule reads at the start.
CLOCKED = TEXT.replace(
    'bp_valid_start = ["systolic"]', 'bp_valid_start = ["systolic", "left_handed", "psychosis"]'
).replace('same-day = ["psychosis"]', 'same-day = ["chest_pain"]')
PROTOCOL = small(CLOCKED)
LISTED = ReviewedList(NOW, True, (Condition("ICD-10", "I71"), Condition("ICD-10", "F23")))
MORE = {
    "old": well(told("si_intent", False, 60 * 24 * 8), told("left_handed", True, 61)),
    "recent": well(told("left_handed", True, 59), told("psychosis", False, 59)),
    "touched": replace(well(told("aneurysm", False)), conditions=LISTED),
    "sure": replace(well(told("psychosis", False)), conditions=ReviewedList(NOW, True, ())),
    "risk told": well(told("psychosis", True)),
    "not reviewed": replace(well(told("psychosis", False)), conditions=None),
    "medicines": replace(
        well(), medications=ReviewedList(NOW, True, (Medication("N05BA12"), Medication("N05")))
    ),
    "declined": well(told("left_handed", None, reason=Reason.DECLINED)),
}


def apart(protocol: Protocol, stage: Stage, chart: Chart, at: Moment) -> list[str]:
    """Return the facts that the pass filled otherwise than their derivers would."""
    plan = protocol.plan
    passed = Look(chart, at, plan.derivers, stage.limits, stage.now)
    stage.first_pass.read(passed)
    derived = Look(chart, at, plan.derivers, stage.limits, stage.now)
    found = []
    for name, column in plan.columns.items():
        one = passed.values[column.slot]
        if one is not None:
            other = derived.value(column.slot)
            pairs = [(getattr(one, key), getattr(other, key)) for key in KEYS]
            pairs.append((passed.evidence(one), derived.evidence(other)))
            found += [name for mine, its in pairs if mine != its]
    return found


KEYS = ("truth", "low", "high", "code", "reason", "asks", "conflict")
DAYS = (0, -1, 8, 400)


@pytest.mark.parametrize("stage", sorted(PROTOCOL.stages))
@pytest.mark.parametrize("name", [*PEOPLE, *MORE])
def test_the_pass_reads_as_the_derivers_do(name: str, stage: str) -> None:
    chart = (PEOPLE | MORE)[name]
    for days in DAYS:
        at = Moment.at(NOW + timedelta(days=days))
        assert apart(PROTOCOL, PROTOCOL.stage(stage), chart, at) == []


def test_the_pass_fills_most_of_what_is_plain() -> None:
    stage = PROTOCOL.stage("screening")
    look = Look(well(), AT, PROTOCOL.plan.derivers, stage.limits, stage.now)
    stage.first_pass.read(look)
    assert sum(value is not None for value in look.values) >= 8


def test_a_pass_that_takes_what_was_never_asked_for_no_would_be_found() -> None:
    broken = small(CLOCKED)
    stage = broken.stage("screening")
    for alone in stage.first_pass.alone:
        for fact in alone.facts:
            fact.open[Reason.NEVER_ASKED].truth = FALSE
    assert "left_handed" in apart(broken, stage, Chart(), AT)
