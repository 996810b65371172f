"""Something supposed changes the answer as the same thing told would; two answers are compared."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from kap.chart import Allergy, Chart, Fact, Medication, Moment, ReviewedList, Source
from kap.difference import difference
from kap.finding import evidence_id
from kap.moment import instant
from kap.protocol import load
from kap.rule import Answer
from kap.verdict import Verdict, ask
from kap.what_if import WhatIfError, what_if

PROTOCOL = load("iv-ketamine")
EXAMPLE = Path(__file__).parents[2] / "examples" / "eligible.json"


def example() -> tuple[Chart, Moment]:
    """Return the example of an eligible person, and the moment it is meant for."""
    data = json.loads(EXAMPLE.read_text(encoding="utf-8"), parse_float=Decimal)
    at = Moment.at(instant(data.pop("asked_at")))
    return Chart.from_json(data), at


CHART, AT = example()


def told(name: str, value: bool | Decimal, unit: str = "") -> Fact:
    return Fact(name, value, unit, observed_at=AT.utc, recorded_at=AT.utc, source=Source.STAFF)


def asked(chart: Chart) -> Verdict:
    return ask(PROTOCOL, "screening", chart, AT)


def test_what_is_supposed_answers_as_the_same_thing_told_and_the_chart_stays_as_it_is() -> None:
    before = CHART.to_json()
    supposed = what_if(PROTOCOL, "screening", CHART, AT, {"psychosis_now": True})
    assert supposed.answer is Answer.CONTRAINDICATED
    assert supposed.answer is asked(CHART.with_facts(told("psychosis_now", True))).answer
    assert CHART.to_json() == before
    assert asked(CHART).answer is Answer.ELIGIBLE


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("weight", Decimal(900), "weight: 900 kg is impossible; it lies between"),
        ("no_such_fact", True, "no such fact"),
        ("birth_date", "x", "x"),
    ],
)
def test_what_cannot_be_is_refused_with_the_fact_the_value_and_what_it_may_be(
    name: str, value: bool | Decimal | str, words: str
) -> None:
    with pytest.raises(WhatIfError, match=words):
        what_if(PROTOCOL, "screening", CHART, AT, {name: value})


def test_two_answers_that_read_and_say_the_same_differ_in_nothing() -> None:
    again = CHART.with_facts(told("psychosis_now", False))
    assert difference(asked(CHART), CHART, asked(again), again).is_nothing


def test_a_value_that_changed_is_told_with_the_old_one_and_the_rule_that_began_to_speak() -> None:
    now = CHART.with_facts(told("psychosis_now", True))
    found = difference(asked(CHART), CHART, asked(now), now)
    assert [(f.name, f.was and f.was.text, f.now.text) for f in found.facts] == [
        ("psychosis_now", "false", "true")
    ]
    assert "CI-PSY-A" in [rule.rule_id for rule in found.began]
    back = difference(asked(now), now, asked(CHART), CHART)
    assert [rule.rule_id for rule in back.ceased] == [rule.rule_id for rule in found.began]
    assert not found.is_nothing


def test_a_rule_that_can_no_longer_be_judged_opened_and_is_settled_by_the_answer() -> None:
    silent = replace(
        CHART, facts={n: rows for n, rows in CHART.facts.items() if n != "psychosis_now"}
    )
    opened = difference(asked(CHART), CHART, asked(silent), silent)
    assert "CI-PSY-A" in [rule.rule_id for rule in opened.opened]
    settled = difference(asked(silent), silent, asked(CHART), CHART)
    assert "CI-PSY-A" in [rule.rule_id for rule in settled.settled]
    assert [(f.was and f.was.reason, f.now.text) for f in settled.facts] == [
        ("never_asked", "false")
    ]


def test_a_fact_that_the_older_answer_did_not_read_was_unknown_to_it() -> None:
    shorter = asked(CHART).to_json()
    shorter["facts_read"] = [r for r in shorter["facts_read"] if r["name"] != "psychosis_now"]
    found = difference(Verdict.from_json(shorter), CHART, asked(CHART), CHART)
    assert [(fact.name, fact.was, fact.now.text) for fact in found.facts] == [
        ("psychosis_now", None, "false")
    ]


def test_a_list_gone_through_again_differs_in_what_was_added_and_removed_not_in_its_keys() -> None:
    lithium, bupropion = Medication("N05AN01", "lithium"), Medication("N06AX12", "bupropion")
    was = replace(CHART, medications=ReviewedList(AT.utc, True, (replace(lithium, id="1"),)))
    same = replace(CHART, medications=ReviewedList(AT.utc, True, (replace(lithium, id="2"),)))
    assert difference(asked(was), was, asked(same), same).lists == ()
    now = replace(CHART, medications=ReviewedList(AT.utc, True, (bupropion,)))
    (found,) = difference(asked(was), was, asked(now), now).lists
    assert (found.name, found.added, found.removed) == ("medications", (bupropion,), (lithium,))


def test_a_list_no_longer_complete_differs_though_its_items_are_the_same() -> None:
    latex = Allergy("V07", "allergy")
    was = replace(CHART, allergies=None)
    now = replace(CHART, allergies=ReviewedList(AT.utc, True, (latex,)))
    (found,) = difference(asked(was), was, asked(now), now).lists
    assert (found.added, found.was_complete, found.is_complete) == ((latex,), False, True)
    open_now = replace(CHART, allergies=ReviewedList(AT.utc, False, (latex,)))
    (found,) = difference(asked(now), now, asked(open_now), open_now).lists
    assert (found.added, found.removed, found.is_complete) == ((), (), False)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("weight 68 kg, 2026-01-15T12:00:00+00:00, staff [bp-1]", "bp-1"),
        ("allergy N01AX03", ""),
        ("list reviewed at no known time, complete", ""),
    ],
)
def test_a_piece_of_evidence_names_its_row(text: str, found: str) -> None:
    assert evidence_id(text) == found


def test_a_list_that_the_stage_does_not_read_is_no_difference_of_its_answer() -> None:
    gate = ask(PROTOCOL, "discharge", CHART, AT)
    none = replace(CHART, conditions=None, medications=None)
    assert difference(gate, CHART, gate, none).is_nothing
