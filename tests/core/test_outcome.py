"""Response, remission, worsening and relapse, at the edges where one point decides."""

from datetime import date, timedelta

import pytest

from kap import instrument, outcome
from kap.logic import Truth
from kap.outcome import Outcome, Reading, Relapse, RelapseLimits
from kap.protocol import load

PHQ9 = instrument.load("phq9")
LIMITS = RelapseLimits(score=10, rise=5, gap_min=5, gap_max=15, repeat_within=7)
DAY = date(2026, 9, 1)


def readings(*pairs: tuple[int, int]) -> list[Reading]:
    return [Reading(DAY + timedelta(days=day), score) for day, score in pairs]


@pytest.mark.parametrize(
    ("baseline", "latest", "word"),
    [
        (20, 10, Outcome.RESPONDED),
        (20, 11, Outcome.PARTIAL),
        (19, 10, Outcome.PARTIAL),  # 9.5 would be half: 10 is not yet a response
        (19, 9, Outcome.RESPONDED),
        (20, 15, Outcome.PARTIAL),
        (20, 16, Outcome.UNCHANGED),
        (19, 15, Outcome.UNCHANGED),  # 4/19 is 21 %
        (20, 4, Outcome.REMITTED),
        (20, 5, Outcome.RESPONDED),
        (12, 16, Outcome.UNCHANGED),
        (12, 17, Outcome.WORSE),
        (0, 0, Outcome.UNKNOWN),
        (0, 9, Outcome.UNKNOWN),
        (None, 3, Outcome.UNKNOWN),
        (20, None, Outcome.UNKNOWN),
    ],
)
def test_the_outcome_word_turns_where_the_definition_turns(baseline, latest, word):
    assert outcome.response(PHQ9, baseline, latest) is word


def test_a_response_is_compared_without_division_for_every_pair_of_scores():
    for baseline in range(1, 28):
        for latest in range(28):
            known = outcome.responded(PHQ9, baseline, latest)
            assert known is (Truth.TRUE if latest * 2 <= baseline else Truth.FALSE)
        line = outcome.response_line(PHQ9, baseline)
        assert outcome.responded(PHQ9, baseline, line) is Truth.TRUE
        assert outcome.responded(PHQ9, baseline, line + 1) is Truth.FALSE


def test_a_response_is_not_also_a_partial_response():
    assert outcome.partly_responded(PHQ9, 20, 10) is Truth.FALSE
    assert outcome.partly_responded(PHQ9, 20, 15) is Truth.TRUE
    assert outcome.partly_responded(PHQ9, None, 15) is Truth.UNKNOWN


def test_remission_needs_no_baseline_but_needs_a_score():
    assert outcome.remitted(PHQ9, 4) is Truth.TRUE
    assert outcome.remitted(PHQ9, 5) is Truth.FALSE
    assert outcome.remitted(PHQ9, None) is Truth.UNKNOWN


def test_five_points_up_is_early_worsening_and_four_are_not():
    assert outcome.worsened(PHQ9, 12, 17) is Truth.TRUE
    assert outcome.worsened(PHQ9, 12, 16) is Truth.FALSE
    assert outcome.worsened(PHQ9, None, 16) is Truth.UNKNOWN
    assert outcome.worsened(PHQ9, 12, None) is Truth.UNKNOWN


def test_the_smallest_change_that_matters_counts_in_both_directions():
    assert outcome.changed_meaningfully(PHQ9, 12, 7) is Truth.TRUE
    assert outcome.changed_meaningfully(PHQ9, 7, 12) is Truth.TRUE
    assert outcome.changed_meaningfully(PHQ9, 12, 8) is Truth.FALSE
    assert outcome.changed_meaningfully(PHQ9, None, 8) is Truth.UNKNOWN
    assert outcome.changed_meaningfully(PHQ9, 8, None) is Truth.UNKNOWN


def test_one_high_reading_is_a_possible_relapse_to_be_repeated_on_day_five_to_seven():
    state = outcome.relapse(LIMITS, Truth.TRUE, readings((0, 4), (30, 12)))
    assert state.state is Relapse.POSSIBLE
    assert state.since == DAY + timedelta(days=30)
    assert state.repeat_from == DAY + timedelta(days=35)
    assert state.repeat_until == DAY + timedelta(days=37)


@pytest.mark.parametrize(
    ("gap", "state"),
    [
        (4, Relapse.POSSIBLE),
        (5, Relapse.CONFIRMED),
        (15, Relapse.CONFIRMED),
        (16, Relapse.POSSIBLE),
    ],
)
def test_a_second_high_reading_confirms_only_five_to_fifteen_days_later(gap, state):
    seen = readings((0, 4), (30, 12), (30 + gap, 11))
    assert outcome.relapse(LIMITS, Truth.TRUE, seen).state is state


@pytest.mark.parametrize(
    ("best", "score", "state"),
    [(4, 10, Relapse.POSSIBLE), (4, 9, Relapse.NONE), (6, 10, Relapse.NONE)],
)
def test_a_high_reading_is_ten_or_more_and_five_above_the_best(best, score, state):
    seen = readings((0, best), (30, score))
    assert outcome.relapse(LIMITS, Truth.TRUE, seen).state is state


def test_a_low_reading_before_a_high_one_confirms_nothing():
    seen = readings((0, 4), (25, 6), (32, 13))
    assert outcome.relapse(LIMITS, Truth.TRUE, seen).state is Relapse.POSSIBLE


def test_who_never_responded_cannot_relapse_and_an_unknown_response_stays_unknown():
    seen = readings((0, 4), (30, 12), (36, 12))
    assert outcome.relapse(LIMITS, Truth.FALSE, seen).state is Relapse.NONE
    assert outcome.relapse(LIMITS, Truth.UNKNOWN, seen).state is Relapse.UNKNOWN
    assert outcome.relapse(LIMITS, Truth.TRUE, []).state is Relapse.UNKNOWN


def test_the_first_confirmed_relapse_keeps_its_date_after_recovery():
    seen = readings((0, 4), (30, 12), (36, 12), (60, 5))
    assert outcome.relapse(LIMITS, Truth.TRUE, seen).state is Relapse.NONE
    assert outcome.first_relapse(LIMITS, Truth.TRUE, seen) == DAY + timedelta(days=36)
    assert outcome.first_relapse(LIMITS, Truth.TRUE, seen[:2]) is None


def test_relapse_limits_are_the_protocols_and_the_repeat_is_the_instruments():
    parameters = load("iv-ketamine", "2026.1").parameters
    assert outcome.relapse_limits(parameters, PHQ9) == LIMITS
