"""The series on the calendar, its checkpoints, and the facts that gates and boosters ask for."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from kap import course, instrument
from kap.chart import Chart, Source
from kap.course import CourseError, Dose, Pattern, Scored
from kap.facts import vocabulary
from kap.logic import Truth

PHQ9 = instrument.load("phq9")
LEAST_H = 48
TORONTO = ZoneInfo("America/Toronto")


def at_nine(day: date) -> datetime:
    """The 09:00 slot of a Toronto day, in UTC."""
    return datetime(day.year, day.month, day.day, 9, tzinfo=TORONTO).astimezone(UTC)


def day(number: int, hour: int = 13) -> datetime:
    return datetime(2026, 8, 10, hour, tzinfo=UTC) + timedelta(days=number)


def dose(number: int, *, is_booster: bool = False) -> Dose:
    return Dose(day(number), day(number) + timedelta(minutes=40), is_booster, f"dose-{number}")


SERIES = [dose(n) for n in (0, 2, 4, 7, 9, 11)]


def named(facts, name):
    return [fact.value for fact in facts if fact.name == name]


def test_the_default_series_is_six_doses_on_monday_wednesday_and_friday():
    starts = course.plan_series(
        date(2026, 8, 10),
        doses=course.default_doses(),
        on=course.pattern(),
        min_interval_h=LEAST_H,
        slot_at=at_nine,
    )
    days = [start.astimezone(TORONTO).date().day for start in starts]
    assert days == [10, 12, 14, 17, 19, 21]


def test_two_a_week_takes_three_weeks():
    starts = course.plan_series(
        date(2026, 8, 10),
        doses=6,
        on=course.pattern("two-a-week"),
        min_interval_h=LEAST_H,
        slot_at=at_nine,
    )
    assert [(s - starts[0]).days for s in starts] == [0, 3, 7, 10, 14, 17]


def test_a_series_that_starts_off_its_pattern_goes_on_upon_it():
    starts = course.plan_series(
        date(2026, 8, 11), doses=3, on=course.pattern(), min_interval_h=LEAST_H, slot_at=at_nine
    )
    assert [s.astimezone(TORONTO).date().day for s in starts] == [11, 14, 17]


def test_the_same_wall_time_two_days_later_is_not_offered_across_the_spring_change():
    # Clocks go forward in Toronto on 8 March 2026: Saturday 09:00 to Monday 09:00 is 47 hours.
    saturday, monday = at_nine(date(2026, 3, 7)), at_nine(date(2026, 3, 9))
    assert monday - saturday == timedelta(hours=47)
    later = monday + timedelta(hours=1)
    assert course.offered([monday, later], saturday, LEAST_H) == (later,)
    ordinary = at_nine(date(2026, 3, 14)), at_nine(date(2026, 3, 16))
    assert course.offered([ordinary[1]], ordinary[0], LEAST_H) == (ordinary[1],)


def test_slots_in_local_time_are_judged_by_elapsed_hours_too():
    local = [at_nine(date(2026, 3, d)).astimezone(TORONTO) for d in (7, 9, 10)]
    assert local[1] - local[0] == timedelta(hours=48)  # what the wall clock claims
    assert course.offered(local[1:], local[0], LEAST_H) == (local[2],)


def test_a_daily_pattern_skips_the_47_hour_slot_in_spring():
    daily = Pattern("daily", frozenset(range(1, 8)))
    starts = course.plan_series(
        date(2026, 3, 7), doses=2, on=daily, min_interval_h=LEAST_H, slot_at=at_nine
    )
    assert starts[1] == at_nine(date(2026, 3, 10))


def test_a_first_dose_waits_for_nothing():
    assert course.may_follow(None, day(0), LEAST_H)
    assert course.earliest_next(day(0), LEAST_H) == day(2)


def test_a_series_too_soon_after_the_last_dose_is_refused():
    with pytest.raises(CourseError, match="less than 48 h after the last dose"):
        course.plan_series(
            date(2026, 8, 10),
            doses=6,
            on=course.pattern(),
            min_interval_h=LEAST_H,
            slot_at=at_nine,
            last_start=day(-1),
        )


def test_a_pattern_without_days_is_refused_and_not_searched_for_ever():
    with pytest.raises(CourseError, match="choose another"):
        course.plan_series(
            date(2026, 8, 10),
            doses=2,
            on=Pattern("never", frozenset()),
            min_interval_h=LEAST_H,
            slot_at=at_nine,
        )


def test_a_pattern_that_does_not_exist_is_named():
    with pytest.raises(CourseError, match="no pattern 'daily'; use one of three-a-week"):
        course.pattern("daily")


@pytest.mark.parametrize(
    ("given", "due"),
    [
        (0, ()),
        (1, ()),
        (2, ("CP-A",)),
        (3, ("CP-A",)),
        (4, ("CP-B",)),
        (5, ()),
        (6, ("STOP-6",)),
        (8, ("STOP-8",)),
    ],
)
def test_a_checkpoint_stands_between_the_doses_that_the_reference_names(given, due):
    assert course.checkpoints(given) == due


def test_before_any_dose_the_record_says_so_and_invents_nothing():
    facts = course.dose_facts([], series_length=6, at=day(0))
    assert named(facts, "dosed_before") == [False]
    assert named(facts, "series_doses") == [Decimal(0)]
    assert named(facts, "series_complete") == [False]
    assert {f.name for f in facts}.isdisjoint({"last_start", "last_stop", "course_end", "dose"})


def test_a_complete_series_and_a_booster_are_told_apart():
    booster = dose(40, is_booster=True)
    facts = course.dose_facts([*SERIES, booster], series_length=6, at=day(41))
    assert named(facts, "dosed_before") == [True]
    assert named(facts, "dose") == [d.started_at for d in [*SERIES, booster]]
    assert named(facts, "booster_dose") == [booster.started_at]
    assert named(facts, "last_start") == [booster.started_at]
    assert named(facts, "last_stop") == [booster.stopped_at]
    assert named(facts, "series_doses") == [Decimal(6)]
    assert named(facts, "lifetime_doses") == [Decimal(7)]
    assert named(facts, "series_complete") == [True]
    assert named(facts, "course_end") == [SERIES[-1].stopped_at]
    assert {f.source for f in facts} == {Source.RECORD}


def test_whether_a_booster_is_scheduled_is_said_only_where_it_is_known():
    silent = course.dose_facts(SERIES, series_length=6, at=day(12))
    assert named(silent, "booster_scheduled") == []
    told = course.dose_facts(SERIES, series_length=6, at=day(12), booster_scheduled=False)
    assert named(told, "booster_scheduled") == [False]


def test_a_dose_that_still_runs_has_no_stop_and_ends_no_series():
    running = [*SERIES[:5], Dose(day(11))]
    facts = course.dose_facts(running, series_length=6, at=day(11))
    assert named(facts, "last_stop") == []
    assert named(facts, "series_complete") == [False]
    assert named(facts, "last_start") == [day(11)]


def test_the_baseline_is_the_last_score_before_the_first_dose():
    scores = [Scored(day(-7), 21), Scored(day(-1), 18), Scored(day(3), 12)]
    assert course.baseline(SERIES, scores).total == 18
    assert course.baseline([], scores).total == 12
    assert course.baseline(SERIES, scores[2:]) is None


@pytest.mark.parametrize(
    ("totals", "known"),
    [((9,), Truth.TRUE), ((10,), Truth.FALSE), ((8, 15), Truth.TRUE), ((), Truth.UNKNOWN)],
)
def test_whoever_relapses_has_responded_before(totals, known):
    scores = [Scored(day(-1), 18), *(Scored(day(12 + 7 * n), t) for n, t in enumerate(totals))]
    assert course.response_so_far(PHQ9, SERIES, scores) is known


def test_without_a_dose_there_is_no_response_to_speak_of():
    scores = [Scored(day(-9), 18), Scored(day(-1), 5)]
    assert course.response_so_far(PHQ9, [], scores) is Truth.UNKNOWN


def test_score_facts_leave_unsaid_what_is_not_known():
    alone = course.score_facts(PHQ9, [], [Scored(day(-1), 18, "r1")], at=day(0))
    assert [(f.name, f.value, f.unit, f.id) for f in alone] == [("phq9", Decimal(18), "1", "r1")]
    scores = [Scored(day(-1), 18), Scored(day(12), 8)]
    facts = course.score_facts(PHQ9, SERIES, scores, at=day(13))
    assert named(facts, "phq9_baseline") == [Decimal(18)]
    assert named(facts, "responded") == [True]
    none_before = course.score_facts(PHQ9, SERIES, scores[1:], at=day(13))
    assert named(none_before, "phq9_baseline") == named(none_before, "responded") == []


def test_every_fact_of_a_course_is_in_the_vocabulary_and_survives_the_chart_format():
    scores = [Scored(day(-1), 18), Scored(day(12), 8)]
    facts = (
        *course.dose_facts([*SERIES, dose(40, is_booster=True)], series_length=6, at=day(41)),
        *course.score_facts(PHQ9, SERIES, scores, at=day(41)),
    )
    assert {fact.name for fact in facts} <= set(vocabulary())
    chart = Chart().with_facts(*facts)
    assert Chart.from_json(chart.to_json()) == chart
