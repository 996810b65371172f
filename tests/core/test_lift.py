"""An override: what it lifts, what it needs, and what stays open beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kap.finding import Finding
from kap.lift import Lift, after, refusal
from kap.moment import Moment, MomentError
from kap.rule import Answer, RuleCondition

NOW = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
AT = Moment.at(NOW)
PLAN, CONTACT = (
    RuleCondition(text, "nurse", "order") for text in ("safety plan", "contact within 72 hours")
)
RELATIVE = Finding(
    rule_id="R-ONE",
    level="R",
    verdict=Answer.REFER_TO_SPECIALIST,
    if_true=Answer.REFER_TO_SPECIALIST,
    state="spoke",
    why="why",
    source="S:1",
    mark="S",
)
TWO_CONDITIONS = replace(
    RELATIVE, level="P", verdict=Answer.ELIGIBLE_WITH_CONDITIONS, conditions=(PLAN, CONTACT)
)
WHOLE = Lift("R-ONE", NOW + timedelta(hours=1), "dr-1", "dr-2", "known to us")


def test_a_clearance_is_asked_only_where_the_rule_names_a_specialty() -> None:
    assert refusal(RELATIVE, WHOLE, AT) == ""
    heart = replace(RELATIVE, specialty="cardiology")
    assert "clearance document of cardiology" in refusal(heart, WHOLE, AT)
    assert refusal(heart, replace(WHOLE, clearance="letter-7"), AT) == ""


def test_one_of_two_conditions_leaves_the_other_open() -> None:
    met = frozenset({PLAN.text})
    assert after([TWO_CONDITIONS], [], AT, met) == (Answer.ELIGIBLE_WITH_CONDITIONS, (CONTACT,))
    both = met | {CONTACT.text}
    assert after([TWO_CONDITIONS], [], AT, both) == (Answer.ELIGIBLE, ())


def test_the_end_of_an_override_says_its_zone() -> None:
    with pytest.raises(MomentError):
        Lift("R-ONE", datetime(2026, 11, 24, 15, 0))  # noqa: DTZ001  # that is what is refused
