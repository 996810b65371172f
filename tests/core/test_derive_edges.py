"""The edges of the operators: which reading decides, what is asked, what it was read from."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kap.chart import Fact, Reason
from kap.protocol import Protocol, ProtocolError
from tests.core.small_protocol import NOW, TEXT, chart, small, told
from tests.core.test_derive import number, read
from tests.core.test_derive_options import wider

DAY = 24 * 60


def changed(*pairs: tuple[str, str]) -> Protocol:
    """Return the small protocol with some of its texts changed."""
    text = TEXT
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return small(text)


def gap(least: str, most: str, unit: str) -> Protocol:
    """Return the small protocol in which a pair of scores lies so far apart."""
    return changed(
        ('pair_min = { value = 5, unit = "d"', f'pair_min = {{ value = {least}, unit = "{unit}"'),
        ('pair_max = { value = 15, unit = "d"', f'pair_max = {{ value = {most}, unit = "{unit}"'),
    )


@pytest.mark.parametrize(("before", "after"), [(10, 5), (5, 10)])
def test_the_latest_of_two_facts_is_the_newer_whichever_it_is(before: int, after: int) -> None:
    patient = chart(told("systolic", 130, before), told("systolic_session", 150, after))
    assert number("systolic_latest", patient) == (150 if after < before else 130)


def test_of_two_facts_the_first_is_asked_for() -> None:
    assert read("systolic_latest", chart()).asks == ("systolic",)
    old = told("systolic_session", 150, 40 * DAY)
    assert read("systolic_latest", chart(old)).asks == ("systolic",)
    declined = told("systolic_session", None, reason=Reason.DECLINED)
    seen = read("systolic_latest", chart(declined))
    assert (seen.asks, seen.reason) == (("systolic",), Reason.DECLINED)


def test_facts_of_two_units_have_no_latest() -> None:
    two = '["systolic", "systolic_session"]'
    with pytest.raises(ProtocolError, match="different units or steps do not mix"):
        changed((f"latest = {two}", 'latest = ["systolic", "weight"]'))


def test_a_gap_is_in_one_unit() -> None:
    with pytest.raises(ProtocolError, match="gap: 'min' and 'h' do not mix"):
        changed(('gap_max = { value = 15, unit = "min"', 'gap_max = { value = 15, unit = "h"'))


@pytest.mark.parametrize(
    ("least", "most", "unit", "minutes", "is_pair"),
    [
        ("60", "120", "s", 1, True),
        ("60", "120", "s", 2, True),
        ("61", "120", "s", 1, False),
        ("60", "119", "s", 2, False),
        ("1", "2", "h", 60, True),
        ("1", "2", "h", 59, False),
        ("1", "2", "h", 121, False),
        ("1", "2", "wk", 7 * DAY, True),
        ("1", "2", "wk", 14 * DAY, True),
        ("1", "2", "wk", 6 * DAY, False),
        ("1", "2", "wk", 15 * DAY, False),
    ],
)
def test_a_pair_lies_as_far_apart_as_its_unit_says(
    least: str, most: str, unit: str, minutes: int, is_pair: bool
) -> None:
    patient = chart(told("phq9", 12, minutes), told("phq9", 10))
    seen = read("phq9_pair", patient, protocol=gap(least, most, unit))
    assert (seen.reason is None) is is_pair


def test_a_pair_is_the_last_two_and_was_read_from_them() -> None:
    scores = [told("phq9", score, days * DAY) for score, days in ((3, 20), (14, 7), (12, 0))]
    seen = read("phq9_pair", chart(*scores))
    assert (seen.low, seen.evidence) == (12, tuple(scores[1:]))


def test_a_pair_whose_last_score_is_not_known_says_why_and_shows_that_one() -> None:
    scores = told("phq9", 3, 7 * DAY), told("phq9", None, reason=Reason.DECLINED)
    seen = read("phq9_pair", chart(*scores))
    assert (seen.reason, seen.evidence) == (Reason.DECLINED, scores[1:])
    old = [told("phq9", 9, days * DAY) for days in (40, 30, 20)]
    seen = read("phq9_pair", chart(*old))
    assert (seen.reason, seen.evidence) == (Reason.TOO_OLD, (old[-1],))


def test_a_mean_whose_last_reading_is_not_known_says_why_and_shows_that_one() -> None:
    first, second = told("systolic", 130, 20), told("systolic", 132, 10)
    declined = told("systolic", None, reason=Reason.DECLINED)
    seen = read("systolic_mean", chart(first, second, declined))
    assert (seen.reason, seen.evidence) == (Reason.DECLINED, (declined,))


def test_a_mean_of_readings_that_are_all_too_old_shows_the_last() -> None:
    old = [told("systolic", 130, days * DAY) for days in (50, 49, 48)]
    seen = read("systolic_mean", chart(*old))
    assert (seen.reason, seen.evidence) == (Reason.TOO_OLD, (old[-1],))


@pytest.mark.parametrize(
    ("minutes", "is_mean"), [((20, 10, 0), True), ((40, 10, 0), False), ((20, 19, 9), False)]
)
def test_all_neighbours_of_a_mean_lie_a_gap_apart(minutes: tuple[int, ...], is_mean: bool) -> None:
    three = changed(("bp_n = { value = 2", "bp_n = { value = 3"))
    patient = chart(*(told("systolic", 130, ago) for ago in minutes))
    assert (read("systolic_mean", patient, protocol=three).reason is None) is is_mean


def test_the_lowest_counts_from_the_day_of_the_start_on() -> None:
    start = told("course_start", (NOW - timedelta(days=10)).date())
    low_before, on_the_day = told("phq9", 2, 11 * DAY), told("phq9", 5, 10 * DAY)
    patient = chart(start, low_before, on_the_day, told("phq9", 9))
    assert number("phq9_best", patient) == 5


def dose(mg: str, days: int) -> Fact:
    return told("dose", mg, days * DAY)


def test_a_dose_that_was_told_counts_whatever_is_said_of_dosed_before() -> None:
    patient = chart(told("dosed_before", False), dose("34", 3))
    assert number("doses_12_months", patient) == 1


def test_what_was_said_not_to_have_happened_is_not_counted() -> None:
    pains = changed(('doses = { count_in = "dose" }', 'doses = { count_in = "chest_pain" }'))
    said = (told("chest_pain", yes, ago) for yes, ago in ((True, 9), (False, 5), (True, 1)))
    assert read("doses", chart(*said), protocol=pains).low == 2


def test_doses_count_from_the_last_answer_that_was_known() -> None:
    patient = chart(
        told("dosed_before", True),
        told("weight", 70, 9 * DAY),
        told("weight", None, DAY, reason=Reason.DECLINED),
        *(dose("34", days) for days in (20, 8, 7)),
    )
    assert read("doses_since_weighing", patient, protocol=wider()).low == 2


def test_a_dose_of_a_year_ago_to_the_day_is_out_of_the_year() -> None:
    patient = chart(told("dosed_before", True), dose("34", 365), dose("34", 364), dose("34", 1))
    assert number("doses_12_months", patient) == 2
    assert number("doses", patient) == 3


def test_a_change_is_so_many_of_a_hundred() -> None:
    start = told("course_start", (NOW - timedelta(days=10)).date())
    patient = chart(start, told("phq9", 10, 5 * DAY), told("phq9", 25))
    assert number("phq9_change", patient) == 150
