"""Invented people and invented monitors: the same every time, and believable."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from kap import course, instrument, outcome, synth, trace
from kap.chart import Chart, Fact, Moment, Source
from kap.course import Scored
from kap.dice import Dice
from kap.facts import vocabulary
from kap.logic import Truth
from kap.outcome import Reading, Relapse, RelapseLimits
from kap.protocol import load
from kap.trace import TraceError, device_trace
from kap.verdict import ask

NOW = datetime(2026, 11, 24, 16, 30, tzinfo=UTC)
WALL = synth.fixed_offsets({"toronto": -5, "vancouver": -7})
CAST = synth.people(1, NOW, WALL)
PHQ9 = instrument.load("phq9")


def of(phase: str) -> list[synth.Person]:
    return [person for person in CAST if person.phase == phase]


def test_about_forty_people_stand_at_every_phase_in_both_cities_and_languages():
    assert 38 <= len(CAST) <= 44
    assert {person.phase for person in CAST} == set(synth.phases())
    for site in ("toronto", "vancouver"):
        assert {p.language for p in CAST if p.site == site} == {"en", "fr"}
    assert {person.sex for person in CAST} == {"F", "M"}


@pytest.mark.parametrize("night", ["2026-11-01", "2027-03-14"])
@pytest.mark.parametrize("hours", range(9))
def test_on_a_night_when_the_clocks_change_a_dose_lasts_as_long_as_on_any_other(night, hours):
    zone = ZoneInfo("America/Toronto")

    def wall(_site, day, at):
        return datetime.combine(day, at, zone)

    now = datetime.fromisoformat(f"{night}T04:30:00+00:00") + timedelta(hours=hours)
    for person in synth.people(1, now, wall):
        for dose in person.doses:
            if dose.stopped_at is not None:
                lasted = dose.stopped_at.astimezone(UTC) - dose.started_at.astimezone(UTC)
                assert lasted == timedelta(minutes=synth.INFUSION_MIN)
        pair = [datetime.fromisoformat(r["observed_at"]) for r in readings(person, "systolic")]
        assert {later - earlier for earlier, later in pairwise(pair)} <= {timedelta(minutes=10)}


def readings(person: synth.Person, name: str) -> list[dict]:
    return person.chart["facts"].get(name, [])


def test_names_are_hard_ones_long_single_and_full_of_diacritics():
    names = [person.name for person in CAST]
    assert len(set(names)) == len(names)
    assert "Suharto" in names
    assert max(map(len, names)) > 40
    assert sum(not name.isascii() for name in names) > 15


def test_the_same_seed_gives_the_same_people_and_another_seed_gives_others():
    assert synth.people(1, NOW, WALL) == CAST
    assert synth.people(2, NOW, WALL) != CAST


@pytest.mark.parametrize("person", CAST, ids=lambda person: person.id)
def test_every_chart_is_accepted_and_says_nothing_of_the_future(person):
    known = person.known_at(NOW)
    assert Chart.from_json(known.to_json()) == known
    for readings in known.facts.values():
        assert all(fact.observed_at <= NOW for fact in readings)


@pytest.mark.parametrize("person", CAST, ids=lambda person: person.id)
def test_every_questionnaire_scores_to_the_total_it_claims(person):
    for filled in person.scores:
        assert instrument.score(PHQ9, filled.answers).total == filled.total
        assert filled.answered_at <= NOW


@pytest.mark.parametrize("hour", [2, 11, 16, 23])
def test_doses_keep_48_hours_and_come_after_consent_at_any_time_of_day(hour):
    for person in synth.people(3, NOW.replace(hour=hour), WALL):
        starts = [dose.started_at for dose in person.doses]
        assert all(b - a >= timedelta(hours=48) for a, b in pairwise(starts))
        assert not starts or person.consented_at < starts[0]
        assert person.birth_date < date(2008, 11, 24)


def test_doses_keep_48_elapsed_hours_across_the_spring_change():
    zones = {"toronto": ZoneInfo("America/Toronto"), "vancouver": ZoneInfo("America/Vancouver")}

    def wall(site: str, day: date, at: time) -> datetime:
        return datetime.combine(day, at, zones[site])

    for person in synth.people(1, datetime(2026, 3, 10, 15, tzinfo=UTC), wall):
        starts = [dose.started_at.astimezone(UTC) for dose in person.doses]
        assert all(b - a >= timedelta(hours=48) for a, b in pairwise(starts))


def test_a_running_dose_has_no_end_and_every_other_one_has():
    running = {p.phase for p in CAST for dose in p.doses if dose.stopped_at is None}
    assert running == {"in-session"}


def test_whoever_has_not_come_to_consent_has_none():
    before = [p for p in CAST if p.phase in ("referred", "eligible", "screening-unknown")]
    assert not any(p.consented_at or p.doses for p in before)
    assert all(p.consented_at for p in of("consented"))


def test_a_dosing_day_is_told_only_to_those_who_are_dosed_today():
    dosed = {p.phase for p in CAST if "escort_named" in p.chart["facts"]}
    assert dosed == {"in-session", "discharged-today"}


def test_what_the_cast_leaves_unknown_is_absent_and_not_false():
    for person in of("screening-unknown"):
        facts = person.chart["facts"]
        assert {"systolic", "qtc", "pregnancy_test_positive", "capacity"} - facts.keys()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_protocol_answers_each_of_the_cast_as_expected_at_screening(seed):
    protocol, at = load("iv-ketamine", "2026.1"), Moment(NOW, NOW.date())
    for person in synth.people(seed, NOW, WALL):
        answer = ask(protocol, "screening", person.known_at(NOW), at).answer
        assert (person.name, answer) == (person.name, person.expects)


def test_a_booster_is_offered_to_the_relapsing_and_not_to_those_who_are_well():
    protocol, at = load("iv-ketamine", "2026.1"), Moment(NOW, NOW.date())
    planned = Fact("planned_start", NOW + timedelta(days=2), observed_at=NOW, source=Source.RECORD)

    def answers(phase):
        charts = [person.known_at(NOW).with_facts(planned) for person in of(phase)]
        return {ask(protocol, "booster", chart, at).answer for chart in charts}

    assert answers("relapsing") == {"eligible_with_conditions"}
    assert answers("responded") == {"defer"}


def responses(phase: str) -> list[Truth]:
    return [
        course.response_so_far(PHQ9, p.doses, [Scored(f.answered_at, f.total) for f in p.scores])
        for p in of(phase)
    ]


def test_responders_responded_and_the_unchanged_did_not():
    assert set(responses("responded")) == {Truth.TRUE}
    assert set(responses("relapsing")) == {Truth.TRUE}
    assert set(responses("unchanged")) == {Truth.FALSE}


@pytest.mark.parametrize("phase", ["relapsing", "booster-due"])
def test_the_relapsing_have_two_high_readings_that_confirm_it(phase):
    limits = RelapseLimits(score=10, rise=5, gap_min=5, gap_max=15, repeat_within=7)
    for person in of(phase):
        after = [f for f in person.scores if f.answered_at > person.doses[0].started_at]
        readings = [Reading(f.answered_at.date(), f.total) for f in after]
        assert outcome.relapse(limits, Truth.TRUE, readings).state is Relapse.CONFIRMED


def test_one_person_answered_the_safety_item():
    flagged = [
        p.id for p in CAST for f in p.scores if instrument.score(PHQ9, f.answers).opens_safety
    ]
    assert len(flagged) == 1


def test_the_offset_of_a_site_is_its_own():
    assert WALL("vancouver", date(2026, 11, 24), time(9)).utcoffset() == timedelta(hours=-7)


# --- monitors -----------------------------------------------------------------------------------


def values(scenario: str, code: str, seconds: int = 3600) -> list[Decimal]:
    return [s.value for s in device_trace(7, scenario, NOW, seconds) if s.code == code]


@pytest.mark.parametrize("scenario", trace.scenarios())
def test_a_trace_is_repeatable_and_in_time_order(scenario):
    first = list(device_trace(7, scenario, NOW, 600))
    assert first == list(device_trace(7, scenario, NOW, 600))
    assert first != list(device_trace(8, scenario, NOW, 600))
    assert all(a.at <= b.at for a, b in pairwise(first))


def test_streams_come_each_second_and_the_cuff_each_cycle():
    assert len(values("normal", "heart_rate", 60)) == 60
    cuffs = [s.at for s in device_trace(7, "normal", NOW, 601) if s.code == "systolic"]
    assert cuffs == [NOW, NOW + timedelta(minutes=5), NOW + timedelta(minutes=10)]
    assert len(list(device_trace(7, "normal", NOW, 61, cuff_seconds=60))) == 61 * 3 + 2 * 3


def test_the_hypertensive_pressure_rises_to_172_and_settles():
    pressures = values("hypertension", "systolic")
    assert max(pressures) == 172
    assert pressures[0] < 130
    assert pressures[-1] < 130
    assert sum(p >= 160 for p in pressures) == 1
    assert max(values("normal", "systolic")) < 144


def test_saturation_falls_in_a_desaturation_and_never_exceeds_a_hundred():
    assert min(values("desaturation", "spo2")) < 90
    assert min(values("normal", "spo2")) >= 95
    assert max(values("normal", "spo2")) <= 100


def test_an_artefact_is_sent_as_a_value_for_a_few_seconds():
    assert values("artefact", "spo2").count(82) == 14
    assert values("artefact", "heart_rate").count(82) < 3600


def test_a_lost_link_is_silence_and_not_a_value():
    seconds = {int((s.at - NOW).total_seconds()) for s in device_trace(7, "link_loss", NOW, 1500)}
    assert set(range(1500)) - seconds == set(range(1200, 1290))


def test_a_shape_stays_level_after_its_last_point():
    assert values("normal", "systolic", 7200)[-1] == 122


def test_a_scenario_that_does_not_exist_is_named_with_those_that_do():
    with pytest.raises(TraceError, match="no scenario 'storm'; use one of normal, hypertension"):
        next(device_trace(1, "storm", NOW, 1))


def test_dice_fall_inside_their_range_and_reach_both_ends():
    dice = Dice("seed")
    thrown = [dice.between(-2, 2) for _ in range(500)]
    assert set(thrown) == {-2, -1, 0, 1, 2}
    assert {dice.choice("ab") for _ in range(50)} == {"a", "b"}


def test_what_is_told_on_a_dosing_day_and_at_the_way_home_are_facts_within_their_bounds():
    told = {**synth.day_of(), **synth.recovered(), **synth.going_home()}
    kinds = {name: vocabulary()[name] for name in told}
    numbers = {name: told[name] for name, kind in kinds.items() if kind.type == "number"}
    assert all(kinds[name].low <= value <= kinds[name].high for name, value in numbers.items())
    assert {type(told[name]) for name in told.keys() - numbers.keys()} == {bool}


def test_the_morning_tells_no_symptom_and_an_escort():
    morning = synth.day_of()
    assert (morning["delirium"], morning["intoxicated"], morning["escort_named"]) == (
        False,
        False,
        True,
    )
    assert "escort_present" not in morning
    assert synth.going_home()["escort_present"] is True
