"""One reading: what is possible, how old it is, and the baseline."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from kap.moment import MomentError
from kap.observation import (
    Freshness,
    Observation,
    ObservationError,
    baseline,
    duration,
    latest,
    stale_limits,
    vital,
    vitals,
)

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PARAMS = {
    "stale_stream": {"value": 10, "unit": "s"},
    "nibp_cycle": {"value": 10, "unit": "min"},
    "nibp_fresh_extra": {"value": 1, "unit": "min"},
    "nibp_due_factor": {"value": Decimal("1.5"), "unit": "1"},
}


def seconds(count):
    return NOON + timedelta(seconds=count)


def seen(value=120, code="systolic", at=NOON, received=None, **other):
    unit = vital(code).unit
    return Observation(code, Decimal(value), unit, at, received or at, **other)


def test_every_vital_has_a_range_and_a_way_to_come():
    for one in vitals().values():
        assert one.low < one.high
        assert one.feed in ("stream", "cuff", "manual")


def test_an_arrest_and_an_apnoea_are_possible_readings():
    assert seen(0, "heart_rate").value == 0
    assert seen(0, "respiratory_rate").value == 0


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (lambda: seen(301), "between 40 and 300"),
        (lambda: seen(39), "between 40 and 300"),
        (lambda: Observation("systolic", Decimal(16), "kPa", NOON, NOON), "kept in"),
        (lambda: Observation("systolic", 120.0, "mm[Hg]", NOON, NOON), "binary float"),
        (lambda: Observation("mood", Decimal(1), "1", NOON, NOON), "no vital sign 'mood'"),
    ],
)
def test_an_impossible_reading_is_refused(told, why):
    with pytest.raises(ObservationError, match=why):
        told()


def test_a_time_without_offset_is_refused():
    with pytest.raises(MomentError):
        seen(at=datetime(2026, 11, 24, 12, 0))  # noqa: DTZ001  the point of the test


def test_a_value_is_never_younger_than_its_sample_nor_than_its_arrival():
    late = seen(received=seconds(30))
    assert late.age(seconds(40)) == timedelta(seconds=40)
    from_the_future = seen(at=seconds(60), received=NOON)
    assert from_the_future.age(seconds(40)) == timedelta(seconds=40)


def test_a_clock_that_runs_ahead_is_corrected():
    ahead = seen(at=seconds(30), received=seconds(2), skew_ms=30_000)
    assert ahead.sampled_at == NOON
    assert ahead.age(seconds(10)) == timedelta(seconds=10)


@pytest.mark.parametrize(
    ("code", "source", "age_s", "expected"),
    [
        ("spo2", "device", 10, Freshness.FRESH),
        ("spo2", "device", 11, Freshness.STALE),
        ("systolic", "device", 11 * 60, Freshness.FRESH),
        ("systolic", "device", 11 * 60 + 1, Freshness.AGING),
        ("systolic", "device", 16 * 60, Freshness.AGING),
        ("systolic", "device", 16 * 60 + 1, Freshness.STALE),
        ("spo2", "staff", 10 * 60, Freshness.FRESH),
        ("spo2", "staff", 10 * 60 + 1, Freshness.STALE),
    ],
)
def test_a_value_ages_by_the_way_it_came(code, source, age_s, expected):
    value = 97 if code == "spo2" else 120
    found = seen(value, code, source=source).freshness(seconds(age_s), stale_limits(PARAMS))
    assert found is expected
    is_stale = seen(value, code, source=source).is_stale(seconds(age_s), stale_limits(PARAMS))
    assert is_stale == (expected is Freshness.STALE)


def test_a_stream_is_greyed_where_the_protocol_says_from_when():
    limits = stale_limits({**PARAMS, "stale_stream_fresh": {"value": 3, "unit": "s"}})
    assert seen(97, "spo2").freshness(seconds(3), limits) is Freshness.FRESH
    assert seen(97, "spo2").freshness(seconds(4), limits) is Freshness.AGING


def test_a_shorter_cycle_makes_a_cuff_reading_stale_sooner():
    limits = stale_limits(PARAMS, cycle=timedelta(minutes=2))
    assert not seen().is_stale(seconds(240), limits)
    assert seen().is_stale(seconds(241), limits)


def test_a_duration_has_its_unit():
    assert duration({"x": {"value": 2, "unit": "min"}}, "x") == timedelta(minutes=2)
    assert duration({"x": {"value": 48, "unit": "h"}}, "x") == timedelta(hours=48)


def test_the_latest_reading_is_the_one_sampled_last():
    early, late = seen(118, received=seconds(90)), seen(122, at=seconds(60))
    assert latest([late, early], "systolic") is late
    assert latest([late], "diastolic") is None


def test_the_baseline_is_the_exact_mean_of_the_last_two_before_the_dose():
    readings = [seen(140), seen(118, at=seconds(60)), seen(123, at=seconds(120))]
    during = seen(180, at=seconds(600))
    assert baseline([during, *readings], "systolic", seconds(300)) == Decimal("120.5")
    assert baseline([*readings, during], "systolic", None) == Decimal("151.5")


def test_one_reading_is_no_baseline():
    assert baseline([seen(118)], "systolic", seconds(300)) is None
    assert baseline([], "systolic", None) is None
