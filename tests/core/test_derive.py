"""Readings, lists and times become facts; what cannot be told stays unknown, with the reason."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date, timedelta
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
from kap.evidence import Look
from kap.evidence import told as reader
from kap.logic import Truth, at_least
from kap.protocol import Protocol
from kap.value import FALSE, TRUE, UNKNOWN, Value
from tests.core.small_protocol import AGAIN, AT, FACTS, NOW, TEXT, chart, rule, small, told

PROTOCOL: Protocol = small()
DAY = 24 * 60


def read(
    name: str,
    patient: Chart,
    stage: str = "screening",
    at: Moment = AT,
    protocol: Protocol = PROTOCOL,
) -> Value:
    """Return the value of a fact for a patient."""
    ready = protocol.stage(stage)
    look = Look(patient, at, protocol.plan.derivers, ready.limits, ready.now)
    return look.value(protocol.plan.columns[name].slot)


def number(name: str, patient: Chart, stage: str = "screening", at: Moment = AT) -> Any:
    """Return a number in its own unit, a pair of ends, or the reason why it is unknown."""
    value, step = read(name, patient, stage, at), PROTOCOL.plan.columns[name].step
    if value.low is None or value.high is None:
        return value.reason
    ends = value.low * step, value.high * step
    return ends[0] if ends[0] == ends[1] else ends


def truth(name: str, patient: Chart, stage: str = "screening") -> Any:
    """Return true, false, or the reason why it is unknown."""
    value = read(name, patient, stage)
    return value.reason if value.truth == UNKNOWN else value.truth == TRUE


def reviewed(*items: Any, complete: bool = True, days_ago: int = 0) -> ReviewedList[Any]:
    return ReviewedList(NOW - timedelta(days=days_ago), complete, items)


def icd(code: str, status: str = "active", onset: str | None = None) -> Condition:
    return Condition("ICD-10", code, status, onset)


# --- blood pressure -----------------------------------------------------------------------------


def test_the_mean_of_two_readings_keeps_its_half() -> None:
    patient = chart(told("systolic", 140, 20), told("systolic", 141, 10))
    assert number("systolic_mean", patient) == Decimal("140.5")


@pytest.mark.parametrize(("gap", "known"), [(4, False), (5, True), (15, True), (16, False)])
def test_two_readings_lie_five_to_fifteen_minutes_apart(gap: int, known: bool) -> None:
    patient = chart(told("systolic", 140, 10 + gap), told("systolic", 142, 10))
    assert number("systolic_mean", patient) == (141 if known else Reason.ONE_READING)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([], Reason.NEVER_ASKED),
        ([told("systolic", 140)], Reason.ONE_READING),
        ([told("systolic", 140, 31 * DAY)], Reason.TOO_OLD),
        ([told("systolic", None, 0, reason=Reason.DECLINED)], Reason.DECLINED),
        (
            [told("systolic", 140, 10), told("systolic", None, 0, reason=Reason.NOT_KNOWN)],
            Reason.NOT_KNOWN,
        ),
    ],
)
def test_without_two_readings_the_mean_is_unknown(facts: list[Fact], expected: Reason) -> None:
    assert number("systolic_mean", chart(*facts)) is expected


def test_at_the_start_a_pressure_of_an_hour_ago_is_too_old() -> None:
    for minutes, known in ((50, True), (61, False)):
        patient = chart(told("systolic", 130, minutes), told("systolic", 130, minutes - 10))
        wanted = 130 if known else Reason.ONE_READING
        assert number("systolic_mean", patient, "start") == wanted
        assert number("systolic_mean", patient) == 130


def test_latest_and_previous_read_several_facts_in_time() -> None:
    patient = chart(told("systolic", 130, 90), told("systolic_session", 150, 10))
    assert number("systolic_latest", patient) == 150
    assert number("systolic_previous", patient) is Reason.ONE_READING
    assert number("systolic_previous", patient.with_facts(told("systolic", 120, 5))) == 130
    assert number("systolic_previous", Chart()) is Reason.NEVER_ASKED


def test_the_latest_reading_may_be_too_old_or_unknown() -> None:
    assert number("systolic_latest", chart(told("systolic", 130, 31 * DAY))) is Reason.TOO_OLD
    asked = told("systolic", None, reason=Reason.DECLINED)
    assert number("systolic_latest", chart(told("systolic", 130, 5), asked)) is Reason.DECLINED


def test_what_is_observed_after_the_moment_is_not_known_at_it() -> None:
    later = told("systolic", 190, -5)
    patient = chart(told("systolic", 130, 20), later)
    assert number("systolic_latest", patient) == 130
    assert number("systolic_latest", chart(later)) is Reason.NEVER_ASKED


# --- times --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (date(2026, 10, 14), 41),
        ("2026-10", (24, 54)),
        (date(2026, 11, 25), -1),
    ],
)
def test_days_are_counted_by_local_dates_and_a_partial_date_gives_both_ends(
    value: Any, expected: Any
) -> None:
    patient = chart(told("cv_event", True), told("cv_event_date", value))
    assert number("days_since_cv_event", patient) == expected


def test_behind_a_false_guard_nothing_is_asked() -> None:
    value = read("days_since_cv_event", chart(told("cv_event", False)))
    assert (value.reason, value.asks) == (Reason.NEVER_ASKED, ())
    value = read("hours_to_planned", chart(told("dosed_before", False)))
    assert value.asks == ()


def test_a_missing_date_is_asked() -> None:
    value = read("days_since_cv_event", chart(told("cv_event", True)))
    assert (value.reason, value.asks) == (Reason.NEVER_ASKED, ("cv_event_date",))
    declined = told("cv_event_date", None, reason=Reason.DECLINED)
    assert number("days_since_cv_event", chart(declined)) is Reason.DECLINED


@pytest.mark.parametrize(
    ("dated", "onsets", "expected"),
    [
        (None, ["2026-11-01"], 23),
        (None, ["2014", "2026-11-01"], 23),
        (None, [None, "2014"], Reason.NOT_KNOWN),
        (date(2026, 10, 1), ["2026-11-01"], 23),
        (date(2026, 11, 10), ["2026-11-01"], 14),
        (date(2026, 11, 10), [None], 14),
    ],
)
def test_the_later_of_told_date_and_coded_onset_wins(
    dated: date | None, onsets: list[str | None], expected: Any
) -> None:
    facts = [] if dated is None else [told("cv_event_date", dated)]
    events = [icd("I21.4", "past", onset) for onset in onsets]
    patient = chart(*facts, conditions=reviewed(*events))
    assert number("days_since_cv_event", patient) == expected


def test_forty_seven_hours_are_less_than_forty_eight_to_the_second() -> None:
    start = told("last_start", NOW - timedelta(hours=48, seconds=-1))
    patient = chart(told("dosed_before", True), start, told("planned_start", NOW))
    assert read("hours_to_planned", patient).low == 48 * 3600 - 1


def test_at_the_start_the_planned_start_is_now() -> None:
    start = told("last_start", NOW - timedelta(hours=50))
    late = told("planned_start", NOW + timedelta(hours=10))
    patient = chart(told("dosed_before", True), start, late)
    assert number("hours_to_planned", patient, "order") == 60
    assert number("hours_to_planned", patient, "start") == 50


def test_a_missing_start_or_slot_is_asked() -> None:
    guarded = chart(told("dosed_before", True))
    assert read("hours_to_planned", guarded).asks == ("last_start",)
    started = guarded.with_facts(told("last_start", NOW))
    assert read("hours_to_planned", started, "order").asks == ("planned_start",)
    unknown = chart(told("last_stop", None, reason=Reason.NOT_KNOWN))
    assert number("minutes_since_stop", unknown) is Reason.NOT_KNOWN


def test_minutes_since_the_stop_are_rounded_down() -> None:
    stopped = told("last_stop", NOW - timedelta(minutes=59, seconds=59, microseconds=999999))
    assert read("minutes_since_stop", chart(stopped)).low == 59 * 60 + 59


@pytest.mark.parametrize(
    ("born", "expected"), [(date(2008, 11, 25), 17), (date(2008, 11, 24), 18), ("2008", (17, 18))]
)
def test_age_is_in_whole_years_by_the_local_date(born: Any, expected: Any) -> None:
    assert number("age", chart(told("birth_date", born))) == expected


def test_an_unknown_birth_date_gives_no_age() -> None:
    assert number("age", Chart()) is Reason.NEVER_ASKED


def test_a_told_age_and_a_derived_age_that_differ_are_a_conflict_without_a_riskier_side() -> None:
    born = told("birth_date", date(1980, 1, 1))
    assert number("age", chart(born, told("age", 46))) == 46
    assert number("age", chart(born, told("age", 30))) is Reason.UNCONFIRMED


NEEDED = ("cv_event_date", "last_start", "indication", "medications")


@pytest.mark.parametrize("name", NEEDED)
def test_a_date_an_instant_a_code_and_a_list_may_be_needed(name: str) -> None:
    body = f'needs = ["{name}"]'
    protocol = small(TEXT + rule("X", "I", body, "need_more_information"))
    assert read(name, Chart(), protocol=protocol).reason is Reason.NEVER_ASKED
    patient = chart(
        told("cv_event_date", "2014"),
        told("last_start", NOW),
        told("indication", "TRD"),
        medications=reviewed(),
    )
    assert read(name, patient, protocol=protocol).reason is None


def test_a_date_expires_like_any_fact_and_an_instant_gives_its_local_day() -> None:
    expiring = TEXT.replace('"birth_date", ', "").replace(
        "bp_valid = [", 'bp_valid = ["birth_date", '
    )
    born = told("birth_date", date(1980, 1, 1), 31 * DAY)
    value = read("age", chart(born), protocol=small(expiring))
    assert value.reason is Reason.TOO_OLD
    since_start = TEXT.replace('since = "course_start"', 'since = "last_start"')
    scores = [told("phq9", 2, 40 * DAY), told("phq9", 6, DAY)]
    patient = chart(told("last_start", NOW - timedelta(days=2)), *scores)
    assert read("phq9_best", patient, protocol=small(since_start)).low == 6


# --- counting -----------------------------------------------------------------------------------


def test_doses_of_the_last_twelve_months_are_counted() -> None:
    given = [told("dose", 35, days * DAY) for days in (1, 200, 364, 366)]
    assert number("doses_12_months", chart(*given)) == 3
    assert number("doses", chart(*given)) == 4


def test_whoever_was_never_dosed_has_no_doses_and_silence_is_unknown() -> None:
    assert number("doses_12_months", chart(told("dosed_before", False))) == 0
    assert number("doses_12_months", chart(told("dosed_before", True))) is Reason.NEVER_ASKED
    assert number("doses", Chart()) is Reason.NEVER_ASKED


@pytest.mark.parametrize(
    ("pain", "breath", "expected"),
    [
        (True, None, True),
        (False, False, False),
        (False, None, Reason.NEVER_ASKED),
    ],
)
def test_one_symptom_is_enough_and_one_unknown_is_not_none(
    pain: bool, breath: bool | None, expected: Any
) -> None:
    facts = [told("chest_pain", pain)]
    facts += [] if breath is None else [told("dyspnoea", breath)]
    assert truth("symptom", chart(*facts)) == expected


def test_an_old_result_stays_on_file() -> None:
    assert truth("weight_on_file", Chart()) is False
    assert truth("weight_on_file", chart(told("weight", 70, 400 * DAY))) is True
    declined = told("weight", None, reason=Reason.DECLINED)
    assert truth("weight_on_file", chart(declined)) is False
    assert truth("bp_on_file", chart(told("systolic_session", 120))) is True


# --- scores -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("apart", "known"), [(4, False), (5, True), (15, True), (16, False)])
def test_relapse_reads_the_lesser_of_two_scores_some_days_apart(apart: int, known: bool) -> None:
    patient = chart(told("phq9", 14, (2 + apart) * DAY), told("phq9", 12, 2 * DAY))
    assert number("phq9_pair", patient) == (12 if known else Reason.ONE_READING)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([], Reason.NEVER_ASKED),
        ([told("phq9", 12)], Reason.ONE_READING),
        ([told("phq9", 12, 8 * DAY)], Reason.TOO_OLD),
        (
            [told("phq9", None, 6 * DAY, reason=Reason.DECLINED), told("phq9", 12)],
            Reason.ONE_READING,
        ),
        ([told("phq9", None, reason=Reason.DECLINED)], Reason.DECLINED),
    ],
)
def test_one_score_is_no_pair(facts: list[Fact], expected: Reason) -> None:
    assert number("phq9_pair", chart(*facts)) is expected


COURSE = told("course_start", date(2026, 11, 1))


def test_the_best_score_since_the_course_began() -> None:
    scores = [told("phq9", 2, 40 * DAY), told("phq9", 6, 10 * DAY), told("phq9", 9)]
    assert number("phq9_best", chart(COURSE, *scores)) == 6
    assert number("phq9_best", chart(*scores)) is Reason.NEVER_ASKED
    assert number("phq9_best", chart(COURSE, scores[0])) is Reason.NEVER_ASKED
    declined = told("phq9", None, reason=Reason.DECLINED)
    assert number("phq9_best", chart(COURSE, declined)) is Reason.DECLINED


def test_change_is_exact_and_rounded_up_and_a_baseline_of_nought_gives_no_percentage() -> None:
    scores = [told("phq9", 6, 3 * DAY), told("phq9", 8)]
    assert number("phq9_rise", chart(COURSE, *scores)) == 2
    assert number("phq9_change", chart(COURSE, *scores)) == 34
    nought = [told("phq9", 0, 3 * DAY), told("phq9", 8)]
    assert number("phq9_change", chart(COURSE, *nought)) is Reason.NOT_KNOWN
    assert number("phq9_rise", chart(COURSE, *nought)) == 8
    assert number("phq9_change", chart(*scores)) is Reason.NEVER_ASKED


def test_of_a_told_and_a_derived_number_the_riskier_is_taken_and_the_conflict_listed() -> None:
    scores = [told("phq9", 6, 3 * DAY), told("phq9", 8)]
    for said, taken in ((10, 34), (60, 60)):
        patient = chart(COURSE, *scores, told("phq9_change", said))
        assert number("phq9_change", patient) == taken
        assert "disagree" in read("phq9_change", patient).conflict


# --- weight -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "known"),
    [
        (["70"], True),
        (["70", "73.5"], True),
        (["70", "73.6"], False),
        (["70", "66.4"], False),
        (["70", "154", "153"], True),
    ],
)
def test_a_weight_that_jumps_is_unknown_until_confirmed(weights: list[str], known: bool) -> None:
    protocol = small()
    kind = FACTS["weight"]
    facts = [told("weight", kg, 100 - place) for place, kg in enumerate(weights)]
    ready = protocol.stage("screening")
    look = Look(chart(*facts), AT, protocol.plan.derivers, ready.limits, ready.now)
    value = reader(kind, (1, 20))(look)
    assert value.reason == (None if known else Reason.UNCONFIRMED)


@pytest.mark.parametrize(
    "fact",
    [
        Fact("systolic", Decimal(130), "kPa", observed_at=NOW),
        Fact("aneurysm", "no", observed_at=NOW),
        Fact("systolic", True, observed_at=NOW),
    ],
)
def test_a_reading_of_another_unit_or_type_is_never_taken(fact: Fact) -> None:
    name = "systolic_latest" if fact.name == "systolic" else fact.name
    with pytest.raises(ChartError, match=fact.name):
        read(name, chart(fact))


# --- reviewed lists -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (None, Reason.NEVER_ASKED),
        (reviewed(), False),
        (reviewed(complete=False), Reason.NOT_REVIEWED),
        (reviewed(days_ago=31), Reason.TOO_OLD),
        (reviewed(days_ago=-1), Reason.NOT_REVIEWED),
        (reviewed(icd("I71.3")), True),
        (reviewed(icd("i71 3", "past")), True),
        (reviewed(icd("I71.3"), complete=False), True),
        (reviewed(icd("I71.3"), days_ago=31), True),
        (reviewed(icd("I71.3", "refuted")), False),
        (reviewed(icd("I71.3", "family")), False),
        (reviewed(icd("")), Reason.UNCODED),
        (reviewed(icd("", "refuted")), False),
        (reviewed(Condition("SNOMED", "73831009")), Reason.UNCODED),
        (reviewed(icd("I7")), Reason.UNCODED),
        (reviewed(icd("I67")), Reason.UNCODED),
        (reviewed(icd("I67.0")), False),
    ],
)
def test_what_a_list_of_diagnoses_says_of_an_aneurysm(conditions: Any, expected: Any) -> None:
    assert truth("aneurysm", chart(conditions=conditions)) == expected


@pytest.mark.parametrize(
    ("item", "now", "family"),
    [
        (icd("F20.0"), True, False),
        (icd("F20.0", "past"), False, False),
        (icd("F20.0", "family"), False, True),
        (icd("F23.1"), Reason.UNCODED, False),
    ],
)
def test_now_counts_active_only_and_family_only_family(
    item: Condition, now: Any, family: Any
) -> None:
    patient = chart(conditions=reviewed(item))
    assert truth("psychosis", patient) == now
    value = read("family_psychosis", patient, protocol=small_with("family_psychosis"))
    assert value.truth == (TRUE if family else FALSE)


def test_a_list_as_old_as_the_list_allows_is_too_old_for_a_fact_that_expires_sooner() -> None:
    patient = chart(conditions=reviewed(days_ago=8))
    assert truth("aneurysm", patient) is False
    assert truth("psychosis", patient) is Reason.TOO_OLD
    yesterday = chart(conditions=reviewed(days_ago=1))
    assert truth("psychosis", yesterday) is False
    assert truth("psychosis", yesterday, "start") is Reason.TOO_OLD


@pytest.mark.parametrize(
    ("said", "item", "expected", "conflict"),
    [
        (False, icd("I71.3"), True, True),
        (True, icd("Z00"), True, True),
        (True, icd("I71.3"), True, False),
        (False, icd(""), False, False),
    ],
)
def test_where_fact_and_list_disagree_the_risk_wins_and_the_conflict_is_listed(
    said: bool, item: Condition, expected: bool, conflict: bool
) -> None:
    patient = chart(told("aneurysm", said), conditions=reviewed(item))
    assert truth("aneurysm", patient) is expected
    assert bool(read("aneurysm", patient).conflict) is conflict


def test_where_true_is_good_false_is_the_risk() -> None:
    patient = chart(told("steady", False), conditions=reviewed(icd("Z00.0")))
    protocol = small_with("steady")
    assert read("steady", patient, protocol=protocol).truth == FALSE
    expired = chart(conditions=reviewed(icd("Z00.0"), days_ago=31))
    assert read("steady", expired, protocol=protocol).reason is Reason.TOO_OLD


def small_with(name: str) -> Protocol:
    """Return the small protocol with a rule that reads `name`."""
    return small(TEXT + rule("X", "P", f'when = "{name}"', "defer", AGAIN))


def test_an_answer_settles_what_a_code_only_asks() -> None:
    patient = chart(
        told("hypertension", False),
        conditions=reviewed(),
        medications=reviewed(Medication("C07AB02", "metoprolol")),
    )
    protocol = small_with("hypertension")
    assert read("hypertension", patient, protocol=protocol).truth == FALSE
    unasked = replace(patient, facts={})
    assert read("hypertension", unasked, protocol=protocol).reason is Reason.UNCODED
    declined = unasked.with_facts(told("hypertension", None, reason=Reason.DECLINED))
    value = read("hypertension", declined, protocol=protocol)
    assert (value.reason, len(value.evidence)) == (Reason.DECLINED, 2)


def test_an_allergy_counts_and_an_intolerance_does_not() -> None:
    protocol = small_with("ketamine_allergy")
    for kind, expected in (("allergy", TRUE), ("intolerance", FALSE)):
        patient = chart(allergies=reviewed(Allergy("N01AX03", kind)))
        assert read("ketamine_allergy", patient, protocol=protocol).truth == expected


def test_a_fact_that_nobody_is_asked_is_read_from_codes_alone() -> None:
    assert truth("dementia", chart(conditions=reviewed(icd("F03", "past")))) is True
    assert truth("dementia", chart(conditions=reviewed())) is False


# --- medicines ----------------------------------------------------------------------------------


def drug(atc: str, prn: bool | None = False, mg: str | None = None) -> Medication:
    return Medication(atc, "", None if mg is None else Decimal(mg), prn)


@pytest.mark.parametrize(
    ("medications", "daily", "taken"),
    [
        (None, Reason.NEVER_ASKED, Reason.NEVER_ASKED),
        (reviewed(), False, False),
        (reviewed(drug("N05BA12")), True, True),
        (reviewed(drug("N05BA12", prn=True)), False, True),
        (reviewed(drug("N05BA12", prn=None)), Reason.UNCODED, True),
        (reviewed(drug("")), Reason.UNCODED, Reason.UNCODED),
        (reviewed(drug("N05BA99")), False, False),
        (reviewed(drug("N05BA12"), complete=False), True, True),
        (reviewed(drug("N05BA12"), days_ago=31), Reason.TOO_OLD, Reason.TOO_OLD),
    ],
)
def test_whether_a_medicine_of_a_class_is_taken(medications: Any, daily: Any, taken: Any) -> None:
    patient = chart(medications=medications)
    assert truth("takes_bzd_daily", patient) == daily
    assert truth("takes_bzd", patient) == taken


@pytest.mark.parametrize(
    ("medications", "expected"),
    [
        (None, Reason.NEVER_ASKED),
        (reviewed(), 0),
        (reviewed(drug("N05BA12", mg="0.5"), drug("C07AB02", mg="50")), 10),
        (reviewed(drug("N05BA06", mg="1")), Decimal("3.4")),
        (reviewed(drug("N05BA12", mg="0.5"), drug("", mg="1")), Reason.UNCODED),
        (reviewed(drug("N05BA12")), Reason.UNCODED),
        (reviewed(drug("N05BA01", mg="5")), Reason.UNCODED),
    ],
)
def test_the_diazepam_equivalent_is_exact_and_rounded_up(medications: Any, expected: Any) -> None:
    assert number("diazepam_mg_day", chart(medications=medications)) == expected


@pytest.mark.parametrize(
    ("atcs", "bzd", "ap", "li", "unmatched"),
    [
        (["N05BA12"], True, False, False, False),
        (["N05AN01"], False, False, True, False),
        (["N05AH04"], False, True, False, False),
        (["A01"], False, False, False, True),
        ([""], None, None, None, None),
        (["N05A"], False, True, None, False),
        (["N05"], None, None, None, None),
        (["N05", "N05BA12"], True, None, None, None),
    ],
)
def test_the_longest_prefix_says_which_row_a_medicine_belongs_to(
    atcs: list[str], bzd: bool | None, ap: bool | None, li: bool | None, unmatched: bool | None
) -> None:
    protocol = small_with("m_unmatched")
    patient = chart(medications=reviewed(*map(drug, atcs)))
    names = ("m_bzd", "m_ap", "m_li", "m_unmatched")
    found = [read(name, patient, protocol=protocol).truth for name in names]
    # A medicine that cannot be coded leaves open which row it is: no row is false then.
    wanted = [{True: TRUE, False: FALSE, None: UNKNOWN}[w] for w in (bzd, ap, li, unmatched)]
    assert found[:3] == wanted[:3]
    assert found[3] == wanted[3] or atcs == [""]


# --- antidepressant trials ----------------------------------------------------------------------

GOOD = Trial("N06AB06", Decimal(50), Decimal(6), True, False, True)
OTHER = replace(GOOD, atc="N06AB04")


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        (None, Reason.NEVER_ASKED),
        (reviewed(GOOD, OTHER), True),
        (reviewed(GOOD, GOOD), False),
        (reviewed(GOOD), False),
        (reviewed(GOOD, OTHER, complete=False), True),
        (reviewed(GOOD, complete=False), Reason.NOT_REVIEWED),
        (reviewed(GOOD, OTHER, days_ago=31), Reason.TOO_OLD),
        (reviewed(GOOD, replace(OTHER, mg_per_day=Decimal(19))), False),
        (reviewed(GOOD, replace(OTHER, weeks=Decimal("5.9"))), False),
        (reviewed(GOOD, replace(OTHER, adherent=False)), False),
        (reviewed(GOOD, replace(OTHER, adherent=None)), Reason.NOT_KNOWN),
        (reviewed(GOOD, replace(OTHER, mg_per_day=None)), Reason.NOT_KNOWN),
        (reviewed(GOOD, replace(OTHER, current_episode=False)), False),
        (reviewed(GOOD, replace(OTHER, stopped_for_intolerance=True)), False),
        (reviewed(GOOD, replace(OTHER, atc="N06AG02")), Reason.NOT_KNOWN),
        (reviewed(GOOD, replace(OTHER, atc="N06AG02", judged=True)), True),
        (reviewed(GOOD, replace(OTHER, atc="N06AG02", judged=False)), False),
        (reviewed(GOOD, replace(OTHER, atc="C07AB02")), False),
        (reviewed(GOOD, replace(OTHER, atc="")), Reason.NOT_KNOWN),
        (reviewed(replace(GOOD, atc=""), replace(OTHER, atc="")), Reason.NOT_KNOWN),
        (reviewed(GOOD, OTHER, replace(OTHER, atc="")), True),
        (reviewed(GOOD, replace(GOOD, adherent=None)), False),
        (reviewed(GOOD, replace(OTHER, stopped_for_intolerance=None)), Reason.NOT_KNOWN),
        (reviewed(*(replace(GOOD, adherent=None) for _ in range(2))), False),
        (reviewed(replace(GOOD, adherent=None), replace(OTHER, adherent=None)), Reason.NOT_KNOWN),
    ],
)
def test_two_adequate_trials_of_different_drugs_in_this_episode(trials: Any, expected: Any) -> None:
    assert truth("two_trials", chart(antidepressant_trials=trials)) == expected


def test_what_two_adequate_trials_were_read_from_are_those_two() -> None:
    too_short = replace(OTHER, atc="N06AB05", weeks=Decimal(2))
    trials = reviewed(too_short, GOOD, OTHER)
    assert read("two_trials", chart(antidepressant_trials=trials)).evidence == (GOOD, OTHER)


def test_what_a_sum_was_read_from_are_the_medicines_in_it() -> None:
    lorazepam = Medication("N05BA06", mg_per_day=Decimal(1))
    beta_blocker = Medication("C07AB02", mg_per_day=Decimal(50))
    patient = chart(medications=reviewed(beta_blocker, lorazepam))
    assert read("diazepam_mg_day", patient).evidence == (lorazepam,)


@pytest.mark.parametrize("told_", [*itertools.product((True, False, None), repeat=2)])
@pytest.mark.parametrize("count", [1, 2])
def test_counting_is_that_of_the_logic(count: int, told_: tuple[bool | None, ...]) -> None:
    protocol = small(TEXT.replace("symptom = { at_least = 1,", f"symptom = {{ at_least = {count},"))
    said = [
        told(name, value, reason=None if value is not None else Reason.NOT_KNOWN)
        for name, value in zip(("chest_pain", "dyspnoea"), told_, strict=True)
    ]
    counted = read("symptom", chart(*said), protocol=protocol)
    assert Truth(counted.truth) is at_least(count, [Truth.of(value) for value in told_])
