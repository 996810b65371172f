"""Kinds of session, settings, modalities, and what keeps a note from being signed."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from kap import therapy
from kap.therapy import Kind, TherapyError


def test_a_course_has_preparation_dosing_and_integration_in_that_order():
    assert list(therapy.kinds()) == [Kind.PREPARATION, Kind.DOSING, Kind.INTEGRATION]
    assert therapy.kinds()[Kind.INTEGRATION]["fr"] == "Intégration"


def test_people_are_treated_alone_in_pairs_or_in_groups():
    assert list(therapy.settings()) == ["one-to-one", "pair", "group"]


def test_the_four_ways_of_working_of_the_clinic_are_there_and_emdr_waits_between_doses():
    modalities = therapy.modalities()
    assert {"talking", "drama", "storytelling", "music"} <= modalities.keys()
    assert [m.id for m in modalities.values() if m.between_doses] == ["emdr"]


@pytest.mark.parametrize(
    ("setting", "people", "therapists", "problems"),
    [
        ("one-to-one", 1, 1, 0),
        ("one-to-one", 2, 1, 1),
        ("pair", 2, 1, 0),
        ("group", 4, 2, 0),
        ("group", 8, 2, 0),
        ("group", 3, 2, 1),
        ("group", 9, 1, 2),
    ],
)
def test_a_setting_takes_only_so_many_people_and_needs_its_therapists(
    setting, people, therapists, problems
):
    assert len(therapy.misfits(setting, people, therapists)) == problems


def test_a_setting_that_does_not_exist_is_named_with_those_that_do():
    with pytest.raises(TherapyError, match="'crowd'; use one of one-to-one, pair, group"):
        therapy.misfits("crowd", 3, 1)


def test_an_integration_note_needs_risk_and_plan_before_it_can_be_signed():
    assert therapy.missing_parts(Kind.INTEGRATION, {"plan": "  "}) == ("risk", "plan")
    assert therapy.missing_parts(Kind.INTEGRATION, {"risk": "none", "plan": "walk"}) == ()


def test_only_the_patients_themes_are_private():
    assert [part.id for part in therapy.note_parts() if part.is_private] == ["themes"]


def test_early_integration_lies_one_to_three_days_after_the_end_of_the_dose():
    ended = datetime(2026, 8, 10, 14, 0, tzinfo=UTC)
    assert therapy.early_integration(ended) == (ended + timedelta(days=1), ended + timedelta(3))


def test_early_integration_counts_hours_and_not_wall_time_across_the_spring_change():
    ended = datetime(2026, 3, 7, 10, 0, tzinfo=ZoneInfo("America/Toronto"))
    first, _ = therapy.early_integration(ended)
    assert first == ended.astimezone(UTC) + timedelta(hours=24)
    assert first.astimezone(ended.tzinfo).hour == 11
