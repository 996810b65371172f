"""What is typed at the bedside: exact numbers, times of today, nothing taken for an answer."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django import forms

from clinic.course.forms import FactsForm, LiftForm, Number
from kap.facts import vocabulary
from tests.pages import key

ZONE = ZoneInfo("America/Toronto")
AT = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)  # 10:00 in Toronto


def facts(names: list[str], **sent: str) -> FactsForm:
    return FactsForm(
        {"key": key(), **sent}, kinds=[vocabulary()[name] for name in names], zone=ZONE, at=AT
    )


@pytest.mark.parametrize(
    ("typed", "read"),
    [("0.5", "0.5"), ("0,5", "0.5"), ("38 000", "38000"), (" 12,25 ", "12.25"), ("", None)],
)
def test_a_point_or_a_comma_is_the_decimal_sign(typed: str, read: str | None) -> None:
    field = Number(required=False)
    assert field.clean(typed) == (None if read is None else Decimal(read))


@pytest.mark.parametrize("typed", ["1,234", "34,500", "1.2.3", "ten", "NaN"])
def test_what_can_be_read_in_two_ways_is_refused(typed: str) -> None:
    with pytest.raises(forms.ValidationError):
        Number().clean(typed)


def test_an_empty_answer_says_nothing_and_not_known_says_so() -> None:
    form = facts(
        ["alcohol_24h", "cannabis_24h", "escort_named", "consent_today"],
        alcohol_24h="no",
        cannabis_24h="not_known",
        consent_today="declined",
        taken_at="",
    )
    assert form.is_valid()
    told = {reading.name: (reading.value, reading.reason) for reading in form.readings()}
    assert told == {
        "alcohol_24h": (False, ""),
        "cannabis_24h": (None, "not_known"),
        "consent_today": (None, "declined"),
    }


def test_a_reading_is_of_the_time_it_was_taken_today() -> None:
    form = facts(["systolic"], systolic="122", taken_at="09:45")
    assert form.is_valid()
    [reading] = form.readings()
    assert reading.observed_at == datetime(2026, 11, 24, 14, 45, tzinfo=UTC)
    assert (reading.value, reading.unit, reading.source) == ("122", "mm[Hg]", "staff")


@pytest.mark.parametrize(
    "sent",
    [
        {"systolic": "122", "taken_at": "10:01"},  # still to come
        {"systolic": "1220", "taken_at": ""},  # impossible
        {"systolic": "122.5", "taken_at": ""},  # finer than its step
        {"systolic": "", "taken_at": ""},  # nothing
    ],
)
def test_what_cannot_be_true_is_refused(sent: dict[str, str]) -> None:
    assert not facts(["systolic"], **sent).is_valid()


def test_dates_and_codes_have_inputs_too() -> None:
    form = facts(
        ["attempt_date", "indication"], attempt_date="2024-05-02", indication="TRD", taken_at=""
    )
    assert form.is_valid()
    assert [reading.value for reading in form.readings()] == ["2024-05-02", "TRD"]


def test_what_the_clinic_states_itself_is_of_the_record() -> None:
    form = facts(["consent_today"], consent_today="yes", taken_at="")
    assert form.is_valid()
    assert form.readings({"consent_today"})[0].source == "record"


def test_an_override_is_of_this_day_and_needs_twenty_letters() -> None:
    class Found:
        rule_id, level, why = "GO-TIME", "P", "too early"

    given: dict[str, Any] = {"findings": [Found()], "zone": ZONE, "at": AT}
    assert not LiftForm({"key": key(), "rule_id": "GO-TIME", "reason": "short"}, **given).is_valid()
    form = LiftForm(
        {"key": key(), "rule_id": "GO-TIME", "reason": "stopped after one minute"}, **given
    )
    assert form.is_valid()
    assert form.until() == datetime(2026, 11, 25, 5, 0, tzinfo=UTC)
