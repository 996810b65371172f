"""Why this answer: what would change it, what to ask next, when to ask again, what lapses."""

import json
from datetime import date, datetime, timedelta

import pytest

from kap import cli
from kap.chart import Condition, Moment, ReviewedList
from kap.explain import NOTHING_MORE, explain
from kap.explain_text import explanation_json, explanation_lines
from kap.lapse import lapses, reads
from kap.protocol import load
from kap.rule import Answer, ProtocolError
from kap.verdict import ask
from tests.core.small_protocol import (
    AGAIN,
    AT,
    CODES,
    DERIVED,
    HEADER,
    NOW,
    PARAMS,
    RULES,
    STAGES,
    chart,
    rule,
    small,
    told,
)

REVIEWED = ReviewedList(NOW, True, ())
LISTS = {"conditions": REVIEWED, "medications": REVIEWED, "allergies": REVIEWED}
BOOLS = ("aneurysm", "cv_event", "si_intent", "psychosis", "left_handed", "chest_pain", "dyspnoea")


def protocol(*rules):
    return small(HEADER + PARAMS + STAGES + DERIVED + CODES + "".join(rules or (RULES,)))


def well(**facts):
    """A chart that the small protocol calls eligible, but for what is said."""
    known = dict.fromkeys(BOOLS, False) | {"indication": "TRD", "birth_date": date(1980, 5, 1)}
    pressures = [told("systolic", facts.pop(f"systolic_{n}", 120), 20 - 10 * n) for n in (1, 2)]
    told_facts = [
        told(name, value) for name, value in (known | facts).items() if value != "unasked"
    ]
    return chart(*pressures, *told_facts, **LISTS)


def found(subject, stage="screening", of=None):
    return explain(of or protocol(), stage, subject, AT)


def sets(explained):
    return [({s.fact: s.then for s in c.facts}, c.answer) for c in explained.changes]


# --- what would change it ---


def test_an_eligible_patient_needs_no_change():
    explained = found(well())
    assert explained.verdict.answer is Answer.ELIGIBLE
    assert (explained.changes, explained.ask, explained.again) == ((), None, ())
    assert not explained.takes_more


def test_one_fact_that_would_lower_the_answer_is_named_with_both_values():
    explained = found(well(aneurysm=True))
    (change,) = explained.changes
    assert change.answer is Answer.ELIGIBLE
    assert (change.facts[0].fact, change.facts[0].now, change.facts[0].then) == (
        "aneurysm", "true", "false",
    )  # fmt: skip


def test_a_number_is_supposed_just_across_its_threshold_on_the_near_side():
    over = found(well(systolic_1=150, systolic_2=150))
    assert sets(over) == [({"systolic_mean": "140"}, Answer.ELIGIBLE)]
    assert over.changes[0].facts[0].unit == "mm[Hg]"


def test_two_facts_are_named_together_and_no_larger_set_beside_a_smaller():
    explained = found(well(aneurysm=True, left_handed=True, psychosis=True))
    # the aneurysm alone holds the answer: it lowers to what holds it next
    assert sets(explained) == [({"aneurysm": "false"}, Answer.REFER_TO_SPECIALIST)]
    both = found(well(psychosis=True), of=protocol(
        rule("A-ONE", "A", 'when = "aneurysm or psychosis"', "contraindicated"),
        rule("A-TWO", "A", 'when = "psychosis or left_handed"', "contraindicated"),
    ))  # fmt: skip
    assert sets(both) == [({"psychosis": "false"}, Answer.ELIGIBLE)]
    pair = found(well(aneurysm=True, left_handed=True), of=protocol(
        rule("A-ONE", "A", 'when = "aneurysm"', "contraindicated"),
        rule("A-TWO", "A", 'when = "left_handed"', "contraindicated"),
    ))  # fmt: skip
    assert sets(pair) == [({"aneurysm": "false", "left_handed": "false"}, Answer.ELIGIBLE)]


def test_what_takes_more_than_three_facts_says_so():
    explained = found(chart())
    assert explained.takes_more
    assert explained.changes == ()


def test_a_code_is_supposed_to_be_each_one_that_a_rule_lists():
    explained = found(well(indication="OCD"))
    assert sets(explained) == [({"indication": "PTSD"}, Answer.ELIGIBLE)]


def test_the_best_of_several_replies_is_kept():
    bands = protocol(
        rule("HIGH", "A", 'when = "systolic_mean >= param.hard_sbp"', "contraindicated"),
        rule("SOFT", "A", 'when = "systolic_mean > param.soft_sbp"', "defer", AGAIN),
    )  # fmt: skip
    explained = found(well(systolic_1=170, systolic_2=170), of=bands)
    assert sets(explained) == [({"systolic_mean": "140"}, Answer.ELIGIBLE)]


PARAMS_MORE = (
    PARAMS
    + """
scores = { value = [9, 10], unit = "1", source = "S:60", mark = "S" }
least = { value = 35, unit = "kg", source = "clinic policy", mark = "D" }
exact = { value = 12, unit = "1", source = "clinic policy", mark = "D" }
"""
)


def more(*rules):
    return small(HEADER + PARAMS_MORE + STAGES + DERIVED + CODES + "".join(rules))


def test_a_listed_number_and_an_exact_one_have_bands_on_both_sides():
    listed = more(rule("IN", "A", 'when = "phq9 in param.scores"', "defer", AGAIN))
    explained = found(well(phq9=9), of=listed)
    assert sets(explained) == [({"phq9": "8"}, Answer.ELIGIBLE)]
    exact = more(rule("IS", "A", 'when = "phq9 == param.exact"', "defer", AGAIN))
    assert sets(found(well(phq9=12), of=exact)) == [({"phq9": "11"}, Answer.ELIGIBLE)]
    beside = more(rule("ISNT", "A", 'when = "phq9 != param.exact"', "defer", AGAIN))
    assert sets(found(well(phq9=20), of=beside)) == [({"phq9": "12"}, Answer.ELIGIBLE)]


def test_a_threshold_at_the_end_of_what_is_possible_leaves_nothing_to_suppose():
    least = more(rule("LOW", "A", 'when = "weight >= param.least"', "contraindicated"))
    assert found(well(weight=70), of=least).takes_more


def test_the_other_side_of_a_comparison_of_two_facts_moves_with_the_first():
    falling = more(
        rule("RISE", "A", 'when = "systolic_previous < systolic_latest"', "defer", AGAIN),
        rule("LEFT", "A", 'when = "param.soft_sbp < systolic_latest"', "defer", AGAIN),
    )  # fmt: skip
    explained = found(well(systolic_1=150, systolic_2=152), of=falling)
    assert sets(explained)[0] == ({"systolic_latest": "140"}, Answer.ELIGIBLE)
    unknown = found(chart(), of=falling)
    assert [o.reply for o in unknown.ask.outcomes] == ["140", "141"]


def test_a_needed_list_is_supposed_reviewed_and_a_date_cannot_be_supposed():
    needs = more(rule("I-LIST", "I", 'needs = ["medications", "birth_date"]',
                      "need_more_information"))  # fmt: skip
    explained = found(chart(told("birth_date", date(1980, 1, 1))), of=needs)
    assert sets(explained) == [({"medications": "reviewed"}, Answer.ELIGIBLE)]
    known = found(chart(medications=REVIEWED), of=needs)
    assert known.takes_more
    assert known.ask is None


# --- what to ask next ---


def test_reviewing_a_list_settles_most():
    explained = found(chart())
    assert explained.ask is not None
    assert explained.ask.fact == "conditions"
    (outcome,) = explained.ask.outcomes
    assert outcome.reply == NOTHING_MORE
    assert outcome.settled > 1


def test_each_reply_to_a_question_says_where_it_leads():
    explained = found(well(si_intent="unasked"))
    assert explained.ask.fact == "si_intent"
    assert explained.ask.question == {"en": "si_intent?", "fr": "si_intent ?"}
    assert [(o.reply, o.answer) for o in explained.ask.outcomes] == [
        ("true", Answer.REFER_NOW),
        ("false", Answer.ELIGIBLE),
    ]


# --- when to ask again ---


def heart(days):
    return well(cv_event=True, cv_event_date=(AT.local_date - timedelta(days=days)))


@pytest.mark.parametrize(("days", "wait"), [(0, 42), (28, 14), (41, 1)])
def test_a_rule_that_counts_days_names_its_day_and_is_quiet_on_it(days, wait):
    (again,) = found(heart(days)).again
    assert (again.rule_id, again.when) == ("CI-MI", AT.local_date + timedelta(days=wait))
    on_it = Moment(AT.utc + timedelta(days=wait), again.when)
    day_before = Moment(AT.utc + timedelta(days=wait - 1), again.when - timedelta(days=1))
    spoke = [
        [
            f.rule_id
            for f in ask(protocol(), "screening", heart(days), at).findings
            if f.state == "spoke"
        ]
        for at in (day_before, on_it)
    ]
    assert "CI-MI" in spoke[0]
    assert "CI-MI" not in spoke[1]


def test_a_rule_that_counts_hours_names_the_minute():
    gone = told("last_stop", NOW - timedelta(minutes=17), observed_at=NOW)
    (again,) = found(chart(gone), "discharge").again
    assert again.rule_id == "GO-TIME"
    assert again.text == "tomorrow"
    assert timedelta(minutes=43) <= again.when - AT.utc <= timedelta(minutes=44)


def test_a_rule_that_time_does_not_lift_says_so():
    assert [(a.rule_id, a.when) for a in found(well(aneurysm=True)).again] == [("CI-ANEUR", None)]
    planned = told("planned_start", NOW + timedelta(hours=1), observed_at=NOW)
    started = told("last_start", NOW, observed_at=NOW)
    explained = found(well(dosed_before=True).with_facts(planned, started), "order")
    assert [(a.rule_id, a.when) for a in explained.again] == [("INT-48", None)]


# --- what lapses ---


def test_what_lapses_before_a_booked_day_is_listed_with_its_day_the_earliest_first():
    subject = well(steady=True).with_facts(told("phq9", 12, minutes_ago=60 * 24 * 3))
    until = Moment(AT.utc + timedelta(days=8), AT.local_date + timedelta(days=8))
    listed = {
        lapse.fact: lapse.when for lapse in lapses(protocol(), "screening", subject, AT, until)
    }
    assert listed == {
        name: AT.local_date + timedelta(days=8) for name in ("psychosis", "si_intent")
    }
    later = Moment(AT.utc + timedelta(days=31), AT.local_date + timedelta(days=31))
    found_ = lapses(protocol(), "screening", subject, AT, later)
    assert [lapse.day for lapse in found_] == sorted(lapse.day for lapse in found_)
    assert {"conditions", "systolic"} <= {lapse.fact for lapse in found_}
    assert "aneurysm" not in {lapse.fact for lapse in found_}


def test_a_fact_kept_by_the_clock_lapses_at_an_instant():
    until = Moment(AT.utc + timedelta(hours=2), AT.local_date)
    by_clock = lapses(protocol(), "start", well(), AT, until)
    (pressure,) = [lapse for lapse in by_clock if lapse.fact == "systolic"]
    assert isinstance(pressure.when, datetime)
    assert pressure.when > AT.utc + timedelta(minutes=59)
    assert pressure.day == pressure.when.date()


def test_what_was_never_told_or_is_out_of_date_does_not_lapse():
    until = Moment(AT.utc + timedelta(days=40), AT.local_date + timedelta(days=40))
    old = chart(told("psychosis", False, minutes_ago=60 * 24 * 30))
    assert lapses(protocol(), "screening", old, AT, until) == ()
    unread = chart(conditions=ReviewedList(None, False, (Condition("icd10", "Z00"),)))
    assert lapses(protocol(), "screening", unread, AT, until) == ()


# --- as text ---


def test_the_command_explains_and_names_every_part(capsys):
    assert cli.main(["screen", "examples/contraindicated.json", "--explain"]) == 1
    said = capsys.readouterr().out
    assert "What would change it:\n  cv_event false (now true): eligible_with_conditions" in said
    assert "days_since_cv_event 183 d (now 28)" in said
    assert "Ask again: CI-MI, from 2026-12-08 (6 weeks after the event)" in said
    assert cli.main(["screen", "examples/unknown.json", "--explain"]) == 3
    said = capsys.readouterr().out
    assert "What would change it: more than 3 facts." in said
    assert "Ask next: List of diagnoses, reviewed as complete" in said
    assert cli.main(["screen", "examples/contraindicated.json", "--explain", "--json"]) == 1
    written = json.loads(capsys.readouterr().out)["explanation"]
    assert written["ask_again"][0]["when"] == "2026-12-08"
    assert written["changes"][0]["facts"][0]["then"] == "false"


def test_an_eligible_patient_is_explained_in_no_words():
    assert list(explanation_lines(found(well()))) == []


def test_the_command_takes_a_supposition_or_an_explanation(capsys):
    words = ["screen", "examples/eligible.json", "--explain", "--what-if", "pregnant=true"]
    assert cli.main(words) == 2
    assert "one at a time" in capsys.readouterr().err


def test_many_ways_are_counted_and_a_rule_without_a_date_is_named():
    names = [*BOOLS[1:], "dosed_before", "hypertension", "family_psychosis"]
    any_of = rule("ANY", "A", f'when = "{" and ".join(names)}"', "contraindicated")
    explained = found(well(**dict.fromkeys(names, True)), of=protocol(any_of))
    lines = list(explanation_lines(explained))
    assert "  and 1 more ways (--json lists all)" in lines
    assert "Ask again: ANY, time alone does not lift it" in lines
    assert len(explanation_json(explained)["changes"]) == 9


def test_an_unknown_is_told_as_json_with_its_replies():
    written = explanation_json(found(well(si_intent="unasked")))
    assert written["ask_next"]["fact"] == "si_intent"
    assert written["ask_next"]["replies"][0] == {
        "reply": "true", "answer": "refer_now", "settles": 1,
    }  # fmt: skip


def test_what_a_stage_reads_is_told_in_raw_facts_and_lists():
    protocol = load("iv-ketamine")
    screening, start = (reads(protocol, stage) for stage in ("screening", "start"))
    assert {"psychosis_now", "conditions", "systolic"} <= screening < start
    assert "systolic_mean" not in start  # derived from the readings
    assert "sips_tolerated" not in start
    with pytest.raises(ProtocolError):
        reads(protocol, "no such stage")
