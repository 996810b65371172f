"""What of a verdict a role may see, and which conditions hold a gate shut."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from kap.chart import Allergy, Condition, ReviewedList
from kap.verdict import Answer, Verdict, ask
from tests.core.small_protocol import NOW, TEXT, rule, small, told
from tests.core.test_verdict import AT, asked, well

DUE_BY_DISCHARGE = 'conditions = [{ text = "ride home", owner = "nurse", due = "discharge" }]'
FOR_NURSES = 'audience = ["nurse"]'


def leaving() -> Verdict:
    """Return what is said at the discharge of somebody who must have a ride."""
    asks = 'when = "left_handed"', "eligible_with_conditions", DUE_BY_DISCHARGE
    stopped = told("last_stop", NOW - timedelta(minutes=60))
    patient = well(told("left_handed", True), stopped)
    return ask(small(TEXT + rule("RIDE", "P", *asks, stage="discharge")), "discharge", patient, AT)


def test_what_is_due_by_the_discharge_holds_it_back_until_it_is_met() -> None:
    verdict = leaving()
    assert verdict.answer is Answer.ELIGIBLE_WITH_CONDITIONS
    assert not verdict.may_start([], AT)
    assert verdict.may_start([], AT, frozenset({"ride home"}))


def test_one_condition_that_is_due_holds_the_start_back_whatever_else_is_due_later() -> None:
    pressures = told("systolic", 150, 10), told("systolic", 150)
    patient = well(*pressures, told("chest_pain", True), told("age", 40))
    verdict = asked(patient)
    assert {c.text: c.due for c in verdict.conditions} == {
        "rest first": "start",
        "call at 24 h": "after",
    }
    assert not verdict.may_start([], AT)
    assert verdict.may_start([], AT, frozenset({"rest first"}))


def two_conflicts() -> Verdict:
    """Return a verdict in which two facts disagree with the lists; one is for nurses only."""
    coded = ReviewedList(NOW, True, (Condition("ICD-10", "I10"),))
    reacted = ReviewedList(NOW, True, (Allergy("N01AX03"),))
    told_otherwise = told("ketamine_allergy", False), told("hypertension", False)
    kept = rule("KEPT", "A", 'when = "ketamine_allergy"', "contraindicated", FOR_NURSES)
    shown = rule("SHOWN", "P", 'when = "hypertension"', "defer", 'reask = "tomorrow"')
    patient = replace(well(*told_otherwise), conditions=coded, allergies=reacted)
    return ask(small(TEXT + kept + shown), "screening", patient, AT)


def test_a_conflict_about_a_fact_that_is_kept_from_a_reader_is_kept_too() -> None:
    verdict = two_conflicts()
    about = {
        role: [conflict.split(":")[0] for conflict in verdict.seen_by(role).conflicts]
        for role in ("nurse", "patient")
    }
    assert sorted(about["nurse"]) == ["hypertension", "ketamine_allergy"]
    assert about["patient"] == ["hypertension"]


def test_a_hash_of_facts_that_are_kept_from_a_reader_is_kept_too() -> None:
    verdict = two_conflicts()
    assert verdict.seen_by("nurse").facts_hash
    assert verdict.seen_by("patient").facts_hash == ""


def test_a_notebook_shows_the_head_once_and_every_row_below_it() -> None:
    verdict = two_conflicts()
    head, *rows = verdict.rows()
    shown = verdict._repr_html_()
    assert shown.count("<li>") == len(rows)
    assert shown.startswith(f"<p><strong>{head}</strong></p><ul><li>spoke")


def test_what_is_unknown_and_kept_from_nobody_is_still_asked() -> None:
    kept = rule("KEPT", "A", 'when = "aneurysm"', "contraindicated", FOR_NURSES)
    verdict = ask(small(TEXT + kept), "screening", well(without="indication"), AT)
    asks = {unknown.fact: unknown.settles for unknown in verdict.seen_by("patient").unknowns}
    assert asks["indication"] == ("IND",)
