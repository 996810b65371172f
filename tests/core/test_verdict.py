"""One question at every gate: the answer, its reasons, what is unknown, who may lift what."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from kap.chart import (
    Allergy,
    Chart,
    ChartError,
    Condition,
    Fact,
    Medication,
    Moment,
    Reason,
    ReviewedList,
    Trial,
)
from kap.lift import refusal
from kap.protocol import ProtocolError
from kap.value import TRUE, Value
from kap.verdict import Answer, Lift, Verdict, ask, decision, may_see, replay, suppose
from tests.core.small_protocol import AGAIN, AT, NOW, TEXT, chart, rule, small, told

PROTOCOL = small()
LISTS = {
    "conditions": ReviewedList(NOW, True, ()),
    "medications": ReviewedList(NOW, True, ()),
    "allergies": ReviewedList(NOW, True, ()),
}
WELL = (
    told("systolic", 130, 20),
    told("systolic", 132, 10),
    told("si_intent", False),
    told("left_handed", False),
    told("chest_pain", False),
    told("dyspnoea", False),
    told("indication", "TRD"),
    told("dosed_before", False),
)


def well(*more: Fact, without: str = "") -> Chart:
    """Return someone whom no rule speaks about, with `more` told and one fact never asked."""
    return chart(*(f for f in WELL if f.name != without), *more, **LISTS)


def asked(patient: Chart, stage: str = "screening", at: Moment = AT) -> Verdict:
    return ask(PROTOCOL, stage, patient, at)


def lift(rule_id: str, **more: Any) -> Lift:
    """Return an override that carries everything level R may demand, changed by `more`."""
    whole = Lift(rule_id, NOW + timedelta(hours=1), "dr-1", "dr-2", "known to us", "letter-7")
    return replace(whole, **more)


def test_someone_of_whom_no_rule_speaks_is_eligible() -> None:
    verdict = asked(well())
    assert verdict.answer is Answer.ELIGIBLE
    assert (verdict.findings, verdict.unknowns) == ((), ())
    assert len(verdict.quiet) == len(PROTOCOL.stage("screening").rules)
    assert verdict.may_start([], AT)


def test_the_answers_are_ranked_from_eligible_to_refer_now() -> None:
    assert [answer.rank for answer in Answer] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("fact", "answer"),
    [
        (told("aneurysm", True), Answer.CONTRAINDICATED),
        (told("si_intent", True), Answer.REFER_NOW),
        (told("psychosis", True), Answer.REFER_TO_SPECIALIST),
        (told("left_handed", True), Answer.DEFER),
    ],
)
def test_one_rule_that_speaks_gives_its_answer(fact: Fact, answer: Answer) -> None:
    assert asked(well(fact)).answer is answer


def test_the_highest_answer_wins_and_every_reason_is_listed() -> None:
    verdict = asked(well(told("aneurysm", True), told("left_handed", True), without="si_intent"))
    assert verdict.answer is Answer.CONTRAINDICATED
    assert [f.rule_id for f in verdict.findings] == ["CI-ANEUR", "R-HAND", "NOW-SI"]
    assert [f.state for f in verdict.findings] == ["spoke", "spoke", "unknown"]


def test_nothing_known_is_never_eligible_at_any_stage() -> None:
    for stage in PROTOCOL.stages:
        verdict = asked(Chart(), stage)
        assert verdict.answer is Answer.NEED_MORE_INFORMATION
        assert not verdict.may_start([], AT)


@pytest.mark.parametrize(
    ("missing", "screening", "order"),
    [
        ("si_intent", Answer.NEED_MORE_INFORMATION, Answer.NEED_MORE_INFORMATION),
        ("indication", Answer.NEED_MORE_INFORMATION, Answer.NEED_MORE_INFORMATION),
        ("left_handed", Answer.ELIGIBLE_WITH_CONDITIONS, Answer.NEED_MORE_INFORMATION),
        ("systolic", Answer.ELIGIBLE_WITH_CONDITIONS, Answer.NEED_MORE_INFORMATION),
        ("dosed_before", Answer.ELIGIBLE, Answer.NEED_MORE_INFORMATION),
    ],
)
def test_an_unknown_closes_or_caps_by_level_kind_and_stage(
    missing: str, screening: Answer, order: Answer
) -> None:
    assert asked(well(without=missing)).answer is screening
    assert asked(well(without=missing), "order").answer is order


def test_what_is_capped_says_what_to_settle_before_the_order_and_no_tick_settles_it() -> None:
    verdict = asked(well(without="left_handed"))
    (condition,) = verdict.conditions
    assert (condition.text, condition.due) == ("Settle before the order: left_handed", "order")
    ticked = frozenset({condition.text})
    assert verdict.after([], AT, ticked) is Answer.ELIGIBLE_WITH_CONDITIONS
    assert not verdict.may_start([], AT, ticked)


def test_an_unknown_is_listed_with_reason_question_and_what_it_would_settle() -> None:
    verdict = asked(well(told("chest_pain", None, reason=Reason.DECLINED), without="indication"))
    by_name = {unknown.fact: unknown for unknown in verdict.unknowns}
    assert list(by_name) == ["indication", "chest_pain", "birth_date"]
    assert by_name["chest_pain"].reason == "declined"
    assert by_name["chest_pain"].settles == ("I-AGE", "DUE-LATER")
    assert by_name["indication"].question == {"en": "indication?", "fr": "indication ?"}


def test_a_missing_list_is_what_is_asked_for_its_medicines() -> None:
    verdict = asked(replace(well(), medications=None))
    (unknown,) = verdict.unknowns
    assert (unknown.fact, unknown.reason) == ("medications", "never_asked")
    assert unknown.settles == ("M-BZD", "M-AP", "M-LI")


def test_a_note_never_changes_the_answer() -> None:
    listed = ReviewedList(NOW, True, (Medication("N05AN01", "lithium"),))
    verdict = asked(replace(well(), medications=listed))
    assert verdict.answer is Answer.ELIGIBLE
    (note,) = verdict.findings
    assert (note.rule_id, note.medication["title"]) == ("M-LI", "LI")
    unread = asked(replace(well(), medications=None), "order")
    assert {f.rule_id: f.verdict for f in unread.findings}["M-LI"] is Answer.ELIGIBLE


def test_needs_stands_only_where_only_if_is_not_false() -> None:
    assert "I-AGE" in asked(well()).quiet
    verdict = asked(well(told("chest_pain", True)))
    assert verdict.answer is Answer.NEED_MORE_INFORMATION
    assert verdict.unknowns[0].fact == "birth_date"
    known = asked(well(told("chest_pain", True), told("age", 40)))
    assert known.answer is Answer.ELIGIBLE_WITH_CONDITIONS


# --- overrides and conditions -------------------------------------------------------------------


@pytest.mark.parametrize("fact", [told("aneurysm", True), None])
def test_an_absolute_is_never_lifted_known_or_unknown(fact: Fact | None) -> None:
    patient = well(fact) if fact else replace(well(), conditions=None)
    verdict = asked(patient)
    before = verdict.answer
    assert "nobody may override" in verdict.refusal(lift("CI-ANEUR"), AT)
    assert verdict.after([lift("CI-ANEUR")], AT) is before
    assert not verdict.may_start([lift(f.rule_id) for f in verdict.findings], AT)


def test_what_must_be_known_is_never_lifted() -> None:
    verdict = asked(well(told("chest_pain", True)))
    assert "level I" in verdict.refusal(lift("I-AGE"), AT)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"who": " "}, "names the prescriber and the reason"),
        ({"reason": ""}, "names the prescriber and the reason"),
        ({"second": ""}, "second, different person"),
        ({"second": "dr-1"}, "second, different person"),
        ({"expires_at": None}, "say when the override ends"),
        ({"expires_at": NOW}, "ended"),
        ({"clearance": ""}, "clearance document of psychiatry"),
    ],
)
def test_a_relative_takes_two_persons_a_reason_an_end_and_the_clearance(
    change: dict[str, Any], said: str
) -> None:
    verdict = asked(well(told("psychosis", True)))
    override = lift("R-PSY", **change)
    assert said in verdict.refusal(override, AT)
    lifted = verdict.after([override], AT)
    assert lifted is (Answer.REFER_TO_SPECIALIST if said else Answer.ELIGIBLE)
    assert verdict.may_start([override], AT) is not bool(said)
    assert verdict.answer is Answer.REFER_TO_SPECIALIST


def test_a_precaution_takes_a_prescriber_and_a_reason_and_lifts_nothing_else() -> None:
    patient = well(told("systolic", 150, 9), told("systolic", 150, 2), told("left_handed", True))
    verdict = asked(patient)
    plain = Lift("BP-SOFT", who="dr-1", reason="known to us")
    assert verdict.after([plain], AT) is Answer.DEFER
    assert verdict.refusal(Lift("NO-SUCH"), AT) == "NO-SUCH neither spoke nor is unknown here"
    assert verdict.after([plain, lift("R-HAND")], AT) is Answer.ELIGIBLE


def test_an_override_is_for_its_own_rule() -> None:
    (finding,) = asked(well(told("left_handed", True))).findings
    assert "not for R-HAND" in refusal(finding, lift("R-PSY"), AT)


def test_conditions_due_by_the_start_hold_it_back_until_they_are_met() -> None:
    verdict = asked(well(told("systolic", 150, 9), told("systolic", 150, 2)))
    assert verdict.answer is Answer.ELIGIBLE_WITH_CONDITIONS
    assert not verdict.may_start([], AT)
    assert verdict.may_pass("order", [], AT)
    met = frozenset({"rest first"})
    assert verdict.may_start([], AT, met)
    assert verdict.after([], AT, met) is Answer.ELIGIBLE


def test_what_is_due_after_the_day_never_holds_the_start_back() -> None:
    verdict = asked(well(told("chest_pain", True), told("age", 40)))
    assert verdict.after([], AT) is Answer.ELIGIBLE_WITH_CONDITIONS
    assert verdict.may_start([], AT)


@pytest.mark.parametrize(("minutes", "home"), [(59, False), (60, True)])
def test_nobody_goes_home_before_the_time(minutes: int, home: bool) -> None:
    stopped = told("last_stop", NOW - timedelta(minutes=minutes))
    assert asked(chart(stopped), "discharge").may_start([], AT) is home


def test_the_words_are_those_of_the_stage() -> None:
    assert asked(well(), "start").label == "may start"
    assert asked(well()).label == "eligible"
    assert asked(Chart()).label == "need more information"


# --- who may read -------------------------------------------------------------------------------


def test_a_suicide_tier_never_reaches_the_coordinator() -> None:
    verdict = asked(well(told("si_intent", True)))
    seen = verdict.seen_by("coordinator")
    assert seen.answer is Answer.REFER_NOW
    assert [(f.rule_id, f.why, f.values) for f in seen.findings] == [
        ("restricted", "restricted reason", ())
    ]
    assert "si_intent" not in json.dumps(seen.to_json())
    assert "NOW-SI" not in json.dumps(seen.to_json())
    assert "si_intent" in json.dumps(verdict.seen_by("nurse").to_json())
    assert seen.tasks == ()


def test_neither_what_is_unknown_nor_what_is_quiet_tells_a_restricted_reason() -> None:
    unknown = asked(well(without="si_intent")).seen_by("patient")
    assert "si_intent" not in json.dumps(unknown.to_json())
    quiet = asked(well()).seen_by("patient")
    assert "NOW-SI" not in quiet.quiet
    assert quiet.answer is Answer.ELIGIBLE


def test_whoever_has_no_audience_to_obey_sees_all() -> None:
    assert may_see("patient", ())
    assert may_see("nurse", ("nurse",))
    assert not may_see("patient", ("nurse",))


# --- stored -------------------------------------------------------------------------------------


@pytest.mark.parametrize("patient", [Chart(), well(), well(told("aneurysm", True))])
def test_a_verdict_written_and_read_is_the_same(patient: Chart) -> None:
    verdict = asked(patient)
    again = Verdict.from_json(json.loads(json.dumps(verdict.to_json())))
    assert again == verdict
    assert hash(again) == hash(verdict)
    assert again.explain() == verdict.explain()
    assert again != "eligible"


def test_a_stored_decision_replays_to_the_same_verdict() -> None:
    patient = well(told("aneurysm", True))
    stored = json.loads(json.dumps(decision(asked(patient), patient)))
    told_then, today = replay(stored, lambda _id, _version: PROTOCOL)
    assert told_then == today == asked(patient)


def test_a_stored_decision_that_was_altered_does_not_replay() -> None:
    patient = well(told("aneurysm", True))
    stored = json.loads(json.dumps(decision(asked(patient), patient)))
    stored["chart"]["facts"]["aneurysm"][0]["value"] = False
    told_then, today = replay(stored, lambda _id, _version: PROTOCOL)
    assert told_then != today


def test_the_same_facts_have_the_same_hash_and_a_new_reading_another() -> None:
    first = asked(well())
    later = Moment.at(NOW + timedelta(minutes=5))
    assert first.facts_hash == asked(well(), at=later).facts_hash
    assert first.facts_hash != asked(well(told("systolic", 133, 1))).facts_hash
    assert first.facts_hash != asked(replace(well(), medications=None)).facts_hash
    assert first.facts_hash == asked(well(told("weight", 70))).facts_hash


def test_a_conflict_is_listed() -> None:
    listed = ReviewedList(NOW, True, (Condition("ICD-10", "I71.3"),))
    verdict = asked(replace(well(told("aneurysm", False)), conditions=listed))
    assert verdict.answer is Answer.CONTRAINDICATED
    assert verdict.conflicts[0].startswith("aneurysm:")
    assert "note   aneurysm" in verdict.explain()


# --- shown --------------------------------------------------------------------------------------


def test_a_verdict_reads_in_a_notebook_and_what_was_typed_means_nothing_there() -> None:
    verdict = asked(well(told("systolic", 150, 9), told("left_handed", True), without="indication"))
    head, blank, *items = verdict._repr_markdown_().split("\n")
    assert head == r"**defer \(defer\) at screening, small 1.0**"
    assert blank == ""
    assert r"- spoke R\-HAND \[R\] defer: R\-HAND" in items
    assert r"  - indication = unknown \(never\_asked\)" in items
    assert len(items) == len(verdict.rows()) - 1
    typed = replace(verdict.detail, conflicts=("a|b <script>*x*",))
    assert r"a\|b \<script\>\*x\*" in verdict._with(typed)._repr_markdown_()


def test_a_verdict_explains_itself_in_rows() -> None:
    patient = well(
        told("systolic", 150, 9, id="bp-1"),
        told("systolic", 151, 2),
        told("left_handed", True),
        told("cv_event", True),
        told("cv_event_date", "2026-10"),
        without="indication",
    )
    text = asked(patient).explain()
    for part in (
        "defer (defer) at screening, small 1.0",
        "spoke  R-HAND [R] defer: R-HAND",
        "systolic_mean = 150.5 mm[Hg]",
        "to do: rest first (nurse, by start)",
        "ask again: tomorrow",
        "days_since_cv_event = 24 to 54 d",
        "indication = unknown (never_asked)",
        "ask    indication: never_asked; settles IND",
    ):
        assert part in text
    assert "<li>" in asked(patient)._repr_html_()
    assert repr(asked(patient)) == "<Verdict defer at screening by small@1.0>"


def test_a_value_names_its_evidence_its_source_and_its_time() -> None:
    pressure = told("systolic", 150, 2, id="bp-1")
    verdict = asked(well(told("systolic", 150, 9), pressure))
    (finding,) = verdict.findings
    (value,) = finding.values
    assert value.observed_at == pressure.observed_at
    assert (value.source, value.text) == ("staff", "150")
    assert value.evidence[-1].endswith("staff [bp-1]")


def test_a_need_a_trial_and_an_allergy_show_what_they_were_read_from() -> None:
    more = (
        rule("X", "P", 'when = "ketamine_allergy"', "defer", AGAIN)
        + rule("Y", "P", 'when = "two_trials"', "defer", AGAIN)
        + rule("Z", "I", 'needs = ["medications", "age"]', "need_more_information")
    )
    trials = tuple(
        Trial(atc, Decimal(50), Decimal(6), True, False, True, id=atc[-1])
        for atc in ("N06AB06", "N06AB04")
    )
    patient = replace(
        well(),
        allergies=ReviewedList(NOW, True, (Allergy("N01AX03"),)),
        antidepressant_trials=ReviewedList(NOW, True, trials),
    )
    verdict = ask(small(TEXT + more), "screening", patient, AT)
    values = {v.name: v for f in verdict.findings for v in f.values}
    assert values["ketamine_allergy"].evidence == ("allergy N01AX03",)
    assert values["two_trials"].evidence == ("trial of N06AB06 [6]", "trial of N06AB04 [4]")
    assert values["medications"].text == "reviewed"


def test_reasons_kept_from_a_reader_are_told_once() -> None:
    again = rule("NOW-SI-2", "A", 'when = "si_intent"', "refer_now", 'audience = ["nurse"]')
    patient = well(told("si_intent", True))
    verdict = ask(small(TEXT + again), "screening", patient, AT)
    assert len(verdict.findings) == 2
    assert len(verdict.seen_by("patient").findings) == 1
    assert len(verdict.seen_by("prescriber").findings) == 2


def test_every_raw_fact_and_list_read_is_named() -> None:
    verdict = asked(well(told("age", None, reason=Reason.DECLINED)))
    read = {value.name: value for value in verdict.facts_read}
    assert read["conditions"].text.endswith("complete")
    assert read["systolic"].text == "132"
    assert (read["age"].text, read["age"].reason) == ("unknown", "declined")
    assert read["cv_event_date"].text == "unknown"
    empty = {value.name: value.text for value in asked(Chart()).facts_read}
    assert empty["medications"] == "never reviewed"


def test_an_hour_that_has_no_exact_decimal_is_shown_rounded_down() -> None:
    start = told("last_start", NOW - timedelta(hours=20, seconds=1))
    patient = well(told("dosed_before", True), start, told("planned_start", NOW))
    verdict = asked(patient, "order")
    values = {v.name: v.text for f in verdict.findings for v in f.values}
    assert values["hours_to_planned"] == "20.00"


# --- asking -------------------------------------------------------------------------------------


def test_an_unknown_stage_and_an_unmeasured_unit_are_refused() -> None:
    with pytest.raises(ProtocolError, match="has no stage 'breakfast'"):
        asked(well(), "breakfast")
    value = told("systolic", 120).value
    early = Fact("systolic", value, "kPa", observed_at=NOW - timedelta(minutes=10))
    with pytest.raises(ChartError, match="kPa"):
        asked(chart(early, replace(early, observed_at=NOW)))


def test_supposing_changes_one_fact_and_stores_nothing() -> None:
    patient = well()
    verdict = suppose(PROTOCOL, "screening", patient, AT, {"aneurysm": Value(truth=TRUE)})
    assert verdict.answer is Answer.CONTRAINDICATED
    assert asked(patient).answer is Answer.ELIGIBLE
