"""A chart keeps what was told, refuses what cannot be, and takes silence for silence."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

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
    Source,
    Trial,
)
from kap.moment import MomentError, before, span, years_between
from tests.core.small_protocol import FACTS, NOW, chart, told

SEEN = {"observed_at": "2026-11-24T09:30:00-05:00", "source": "staff"}
WEIGHT = {"value": "70.1", "unit": "kg", **SEEN}


def listing(name: str, **item: Any) -> dict[str, Any]:
    """Return input with one list of one item."""
    return {name: {"complete": False, "items": [item]}}


def read(data: dict[str, Any]) -> Chart:
    return Chart.from_json(data, FACTS)


def test_a_chart_written_and_read_again_is_the_same() -> None:
    full = chart(
        told("weight", "70.1", id="w1", source=Source.DEVICE),
        told("systolic", 138, recorded_at=NOW + timedelta(minutes=2)),
        told("aneurysm", None, reason=Reason.DECLINED),
        told("cv_event_date", "2014-05"),
        told("birth_date", date(1980, 5, 2)),
        told("planned_start", NOW),
        told("indication", "TRD"),
        conditions=ReviewedList(NOW, True, (Condition("ICD-10", "I71.3", "past", "2014", "c1"),)),
        medications=ReviewedList(
            NOW, False, (Medication("", "herb", Decimal("1.5"), True, "2020", "2026-11-23"),)
        ),
        allergies=ReviewedList(None, False, (Allergy("N01AX03", "intolerance"),)),
        antidepressant_trials=ReviewedList(
            NOW, True, (Trial("N06AB06", Decimal(50), Decimal(6), True, False, True, None, "t"),)
        ),
    )
    again = read(json.loads(json.dumps(full.to_json())))
    assert again.to_json() == full.to_json()
    assert again.facts["weight"][0].value == Decimal("70.1")
    assert again.facts["birth_date"][0].value == date(1980, 5, 2)


def test_an_absent_list_was_never_reviewed() -> None:
    assert read({}).conditions is None
    assert read({"conditions": None}).conditions is None
    assert "conditions" not in Chart().to_json()


def test_one_reading_or_a_list_of_them_and_oldest_first() -> None:
    early = {**WEIGHT, "value": 69, "observed_at": "2026-11-20T09:00:00-05:00"}
    assert [f.value for f in read({"facts": {"weight": [WEIGHT, early]}}).facts["weight"]] == [
        Decimal(69),
        Decimal("70.1"),
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"fact": {}}, "chart.fact: unknown key; did you mean facts"),
        ({"facts": []}, "facts: .*write an object"),
        ({"facts": {"wieght": WEIGHT}}, "facts.wieght: no such fact; did you mean weight"),
        ({"facts": {"zzzz": WEIGHT}}, "facts.zzzz: no such fact; remove it"),
        ({"facts": {"conditions": WEIGHT}}, "facts.conditions: no such fact"),
        ({"facts": {"weight": 70}}, "facts.weight: 70; write an object"),
        ({"facts": {"weight": {**SEEN, "value": 70}}}, "facts.weight: 70 has no unit"),
        ({"facts": {"weight": {**WEIGHT, "unit": "lb"}}}, "facts.weight: .*'lb'"),
        ({"facts": {"weight": {**WEIGHT, "value": 1200}}}, "facts.weight: 1200 kg is impossible"),
        ({"facts": {"weight": {**WEIGHT, "value": "70.05"}}}, "facts.weight: .*finer"),
        ({"facts": {"weight": {**WEIGHT, "value": 70.1}}}, "facts.weight.value: .*binary float"),
        ({"facts": {"weight": {**WEIGHT, "value": True}}}, "facts.weight.value: True is no number"),
        ({"facts": {"weight": {**WEIGHT, "value": "heavy"}}}, "weight.value: 'heavy' is no number"),
        ({"facts": {"weight": {**WEIGHT, "note": 1}}}, "facts.weight.note: unknown key"),
        ({"facts": {"weight": {**WEIGHT, "source": "cat"}}}, "weight.source: 'cat'; write one of"),
        ({"facts": {"weight": {**WEIGHT, "id": 7}}}, "facts.weight.id: 7; write a text"),
        ({"facts": {"weight": {**WEIGHT, "reason": "declined"}}}, "not both"),
        ({"facts": {"weight": {**SEEN}}}, "facts.weight.reason: None; write one of"),
        (
            {"facts": {"weight": {**WEIGHT, "observed_at": "2026-11-24"}}},
            "observed_at: .*no offset",
        ),
        ({"facts": {"weight": {**WEIGHT, "observed_at": "noon"}}}, "'noon' is no instant"),
        ({"facts": {"aneurysm": {**SEEN, "value": "no"}}}, "aneurysm.value: 'no'; write true or"),
        ({"facts": {"aneurysm": {**SEEN, "value": True, "unit": "1"}}}, "a bool has no unit"),
        ({"facts": {"birth_date": {**SEEN, "value": "2014-13"}}}, "birth_date.value: '2014-13'"),
        ({"conditions": []}, "conditions: .*write an object"),
        ({"conditions": {"complete": True}}, "conditions.reviewed_at: missing"),
        ({"conditions": {"items": []}}, "conditions.complete: None; write true or false"),
        ({"conditions": {"complete": False, "items": {}}}, "conditions.items: .*write a list"),
        ({"conditions": {"complete": False, "items": [1]}}, r"conditions.items\[0\]: 1; write an"),
        (
            {"conditions": {"complete": False, "items": [{"system": "ICD-10", "code": "I71"}]}},
            r"conditions.items\[0\].status: None; write one of active",
        ),
        (
            {"medications": {"complete": False, "items": [{"atc": "N05", "mg_per_day": "-1"}]}},
            r"medications.items\[0\].mg_per_day: '-1' is impossible",
        ),
        (
            {"medications": {"complete": False, "items": [{"atc": "N05", "prn": "yes"}]}},
            r"medications.items\[0\].prn: 'yes'",
        ),
        ({"allergies": {"complete": False, "items": [{"kode": "x"}]}}, "did you mean code"),
        ({"antidepressant_trials": {"complete": False, "items": [{"dose": 1}]}}, "unknown key"),
        ({"facts": {"weight": {**WEIGHT, "value": [1]}}}, r"weight.value: \[1\] is no number"),
        ({"facts": {"weight": {**WEIGHT, "value": True}}}, "weight.value: True is no number"),
        (listing("conditions", colour="red"), r"conditions.items\[0\].colour: unknown key"),
        (listing("medications", colour="red"), r"medications.items\[0\].colour: unknown key"),
        (listing("allergies", colour="red"), r"allergies.items\[0\].colour: unknown key"),
        (listing("medications", mg_per_day="Infinity"), "mg_per_day: 'Infinity' is impossible"),
        (listing("conditions", status="active", onset="spring"), r"items\[0\].onset: 'spring'"),
    ],
)
def test_bad_input_is_refused_with_key_value_and_way_out(data: dict[str, Any], said: str) -> None:
    with pytest.raises(ChartError, match=said):
        read(data)


def test_a_fact_has_a_value_or_the_reason_why_not() -> None:
    with pytest.raises(ChartError, match="not both"):
        Fact("aneurysm", None, observed_at=NOW)
    with pytest.raises(ChartError, match="not both"):
        Fact("aneurysm", True, observed_at=NOW, reason=Reason.DECLINED)


def test_a_complete_list_says_when_it_was_reviewed() -> None:
    with pytest.raises(ChartError, match="reviewed_at"):
        ReviewedList(None, True, ())


def test_a_reading_cannot_be_filed_under_another_name() -> None:
    with pytest.raises(ChartError, match="weight is filed under systolic"):
        Chart(facts={"systolic": (told("weight", 70),)})


def test_an_empty_row_of_readings_is_no_reading() -> None:
    assert Chart(facts={"systolic": ()}).latest is None


def test_the_shipped_vocabulary_is_the_default() -> None:
    assert Chart.from_json({"facts": {}}) == Chart()


def test_hours_are_true_across_a_clock_change() -> None:
    vancouver = ZoneInfo("America/Vancouver")
    first = Fact("aneurysm", True, observed_at=datetime(2024, 3, 10, 1, 30, tzinfo=vancouver))
    second = Fact("aneurysm", True, observed_at=datetime(2024, 3, 10, 3, 30, tzinfo=vancouver))
    assert second.observed_at - first.observed_at == timedelta(hours=1)


def test_a_moment_knows_its_local_date_and_refuses_a_naive_instant() -> None:
    evening = Moment.at(datetime.fromisoformat("2026-11-24T21:00:00-05:00"))
    assert (evening.utc.day, evening.local_date.day) == (25, 24)
    assert evening.utc.tzinfo is UTC
    with pytest.raises(MomentError, match="no offset"):
        Moment.at(datetime(2026, 11, 24, 9))  # noqa: DTZ001  the naive instant is the test


def test_a_partial_date_is_all_the_days_that_it_may_be() -> None:
    assert span("2024") == (date(2024, 1, 1), date(2024, 12, 31))
    assert span("2024-02") == (date(2024, 2, 1), date(2024, 2, 29))
    assert span("2024-02-03") == (date(2024, 2, 3), date(2024, 2, 3))
    with pytest.raises(MomentError, match="write 2014"):
        span("spring")


@pytest.mark.parametrize(
    ("unit", "amount", "expected"),
    [
        ("d", 30, date(2024, 3, 1)),
        ("wk", 1, date(2024, 3, 24)),
        ("mo", 1, date(2024, 2, 29)),
        ("a", 1, date(2023, 3, 31)),
    ],
)
def test_calendar_steps_back(unit: str, amount: int, expected: date) -> None:
    assert before(date(2024, 3, 31), amount, unit) == expected


def test_a_birthday_on_the_29th_of_february_counts_from_the_first_of_march() -> None:
    born = date(2004, 2, 29)
    assert years_between(born, date(2022, 2, 28)) == 17
    assert years_between(born, date(2022, 3, 1)) == 18


def test_an_instant_may_be_a_datetime_with_an_offset() -> None:
    seen = datetime(2026, 11, 24, 9, 30, tzinfo=ZoneInfo("America/Toronto"))
    (fact,) = read({"facts": {"weight": {**WEIGHT, "observed_at": seen}}}).facts["weight"]
    assert (fact.observed_at, fact.day) == (seen, date(2026, 11, 24))
    with pytest.raises(ChartError, match=r"facts\.weight\.observed_at: .*has no offset"):
        read({"facts": {"weight": {**WEIGHT, "observed_at": seen.replace(tzinfo=None)}}})


# --- what stands beside what was told ------------------------------------------------------------


def test_a_chart_knows_when_its_last_reading_was_made() -> None:
    told_so_far = told("weight", 71, minutes_ago=90), told("weight", 70), told("systolic", 138, 30)
    assert chart(*told_so_far).latest == NOW
    assert Chart().latest is None


def test_the_same_reading_told_in_two_zones_is_the_same() -> None:
    here = NOW.astimezone(ZoneInfo("America/Toronto"))
    there = NOW.astimezone(ZoneInfo("Pacific/Auckland"))
    first, second = (Fact("smokes", True, observed_at=at) for at in (here, there))
    assert first == second
    assert first.day != second.day


def test_a_reading_and_a_chart_are_shown_without_what_follows_from_them() -> None:
    assert "day=" not in repr(told("weight", 70))
    shown = repr(chart(told("weight", 70)))
    assert "latest=" not in shown
    assert "told=" not in shown


def test_a_chart_is_read_in_the_vocabulary_that_is_handed_over() -> None:
    own = {"blue": replace(FACTS["aneurysm"], name="blue")}
    row = {"facts": {"blue": [{"value": True, **SEEN}]}}
    assert Chart.from_json(row, own).facts["blue"][0].value is True
    with pytest.raises(ChartError, match="blue"):
        Chart.from_json(row)


def test_a_list_holds_what_it_is_given_for_good_and_says_its_zone() -> None:
    given = [Allergy("N01AX03")]
    held: Any = ReviewedList(NOW, True, given)  # type: ignore[arg-type]  # as a careless caller
    given.clear()
    assert held.items == (Allergy("N01AX03"),)
    with pytest.raises(MomentError):
        ReviewedList(NOW.replace(tzinfo=None), True)


def test_who_said_it_and_why_it_is_unknown_are_written_as_these_words() -> None:
    assert [str(source) for source in Source] == ["self", "staff", "device", "import", "record"]
    assert [str(reason) for reason in Reason] == [
        "never_asked",
        "not_known",
        "declined",
        "too_old",
        "not_reviewed",
        "uncoded",
        "unconfirmed",
        "one_reading",
    ]


def test_an_item_is_read_as_it_is_written() -> None:
    written = listing("medications", atc="N05BA06", mg_per_day="0.5", since="2014-05")
    held: Any = read(written).medications
    (lorazepam,) = held.items
    assert (lorazepam.mg_per_day, lorazepam.since) == (Decimal("0.5"), "2014-05")
    held = read(listing("medications", mg_per_day=0)).medications
    (none_taken,) = held.items
    assert none_taken.mg_per_day == 0


def test_what_is_not_there_is_not_written() -> None:
    medicines = ReviewedList(NOW, True, (Medication("N05BA06"),))
    plain = chart(told("weight", "70.1"), medications=medicines).to_json()
    assert plain["medications"]["items"] == [{"atc": "N05BA06"}]
    assert plain["facts"]["weight"] == [
        {"observed_at": NOW.isoformat(), "source": "staff", "value": "70.1", "unit": "kg"}
    ]


def test_a_reading_that_was_written_down_later_says_when_and_under_which_id() -> None:
    later = NOW + timedelta(minutes=2)
    (row,) = chart(told("weight", "70.1", recorded_at=later, id="w1")).to_json()["facts"]["weight"]
    assert (row["recorded_at"], row["id"]) == (later.isoformat(), "w1")
