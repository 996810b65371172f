"""Options of the operators: doses since a question, days to a planned day, the strict doses."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from kap.chart import Chart, Moment, Reason, ReviewedList, Trial
from kap.evidence import Look
from kap.protocol import Protocol, ProtocolError
from kap.value import TRUE, Value
from tests.core.small_protocol import AT, NOW, TEXT, chart, rule, small, told

DAY = 24 * 60
MORE = """
doses_since_weighing = { count_in = "dose", after = "weight", guard = "dosed_before" }
days_to_planned = { days_since = "last_start", to = "planned_start", guard = "dosed_before" }
[derived.two_trials_strictly]
trials_adequate = "antidepressant_trials"
n = "trials"
weeks = "trial_weeks"
class = "antidepressant"
strict = "strictly"
"""
STRICT = """[minimum_dose.strict]
source = "ATHF-SF"
mark = "M"
atc = { N06AB06 = 100 }
"""


def wider(strictly: int = 0) -> Protocol:
    """Return the small protocol with the options in use."""
    text = TEXT.replace("[derived.two_trials]", MORE + "[derived.two_trials]")
    param = f'strictly = {{ value = {strictly}, unit = "1", source = "clinic policy", mark = "D" }}'
    text = text.replace("[param]", f"[param]\n{param}")
    return small(text.replace("[rule.", STRICT + "[rule.", 1))


def read(name: str, patient: Chart, stage: str = "screening", at: Moment = AT) -> Value:
    protocol = wider()
    ready = protocol.stage(stage)
    look = Look(patient, at, protocol.plan.derivers, ready.limits, ready.now)
    return look.value(protocol.plan.columns[name].slot)


def test_doses_since_a_question_count_from_its_last_answer() -> None:
    given = [told("dose", 35, days * DAY) for days in (9, 6, 5, 1)]
    asked = [told("weight", 70, 8 * DAY), told("weight", 70, 5 * DAY)]
    dosed = told("dosed_before", True)
    assert read("doses_since_weighing", chart(dosed, *given, *asked)).low == 1
    assert read("doses_since_weighing", chart(dosed, *given, asked[0])).low == 3
    assert read("doses_since_weighing", chart(dosed, told("dose", 35), told("weight", 70))).low == 0


def test_a_question_never_answered_is_asked_and_nobody_undosed_is_asked() -> None:
    dosed = chart(told("dosed_before", True), told("dose", 35, DAY))
    found = read("doses_since_weighing", dosed)
    assert (found.reason, found.asks) == (Reason.NEVER_ASKED, ("weight",))
    assert read("doses_since_weighing", chart(told("dosed_before", False))).low == 0
    silent = read("doses_since_weighing", chart(told("dosed_before", True)))
    assert (silent.reason, silent.asks) == (Reason.NEVER_ASKED, ("dose",))


def test_days_to_a_planned_day_are_counted_by_local_dates() -> None:
    started = NOW - timedelta(days=3, hours=-6)  # in the afternoon, three dates ago
    facts = [told("dosed_before", True), told("last_start", started)]
    planned = told("planned_start", NOW + timedelta(days=4, hours=-1))
    assert read("days_to_planned", chart(*facts, planned)).low == 7
    assert read("days_to_planned", chart(*facts), "start").low == 3
    assert read("days_to_planned", chart(*facts)).asks == ("planned_start",)


def test_the_strict_doses_decide_only_where_the_parameter_says_so() -> None:
    good = Trial("N06AB06", Decimal(50), Decimal(6), True, False, True)
    other = Trial("N06AB04", Decimal(20), Decimal(6), True, False, True)
    strong = Trial("N06AB06", Decimal(100), Decimal(6), True, False, True)
    for strictly, first, expected in ((0, good, True), (1, good, False), (1, strong, True)):
        protocol = wider(strictly)
        ready = protocol.stage("screening")
        patient = chart(antidepressant_trials=ReviewedList(NOW, True, (first, other)))
        look = Look(patient, AT, protocol.plan.derivers, ready.limits, ready.now)
        slot = protocol.plan.columns["two_trials_strictly"].slot
        assert (look.value(slot).truth == TRUE) is expected, strictly


def test_strict_doses_that_are_not_written_are_missed() -> None:
    param = '[param]\nstrictly = { value = 1, unit = "1", source = "clinic policy", mark = "D" }'
    text = TEXT.replace("[param]", param).replace(
        'class = "antidepressant"', 'class = "antidepressant"\nstrict = "strictly"'
    )
    with pytest.raises(ProtocolError, match=r"minimum_dose\.strict"):
        small(text + rule("MORE", "P", 'when = "two_trials"', "defer", 'reask = "later"'))
