"""What was given: typed, as base, one substance; and whether a card fits it, or why not."""

import math

import pytest

from kap.pk.cards import available, load_card
from kap.pk.dosing import Bolus, Mass, NasalDevice, PumpSegment, Rate, Schedule, segments
from kap.pk.fit import Ok, demand_fit, fit_for, times
from kap.pk.person import Covariates
from kap.pk.refusal import PkError, Refusal

RACEMATE, S_KETAMINE = "ketamine_racemate", "esketamine"
ADULT = Covariates(40, 70)


def rate(t_min, mg_per_min, substance=RACEMATE, salt="base"):
    return Rate(t_min, mg_per_min, substance, salt)


def bolus(mg, substance=RACEMATE, salt="base", at=0.0):
    return Bolus(at, Mass(mg, "mg", salt, substance))


def sprays(*mg):
    masses = [Mass(one, "mg", "base", S_KETAMINE) for one in mg]
    return [NasalDevice(5.0 * n, mass, n + 1) for n, mass in enumerate(masses)]


# -- the pump's log as segments --------------------------------------------------------------------


def test_a_log_becomes_segments_that_do_not_touch() -> None:
    log = [rate(0, 1), rate(10, 0), rate(15, 1), rate(20, 2), rate(30, 0)]
    found = segments(log, 60)
    assert found.segments == (
        PumpSegment(0, 10, 1),
        PumpSegment(15, 20, 1),
        PumpSegment(20, 30, 2),
    )
    assert found.iv_mg == found.given_mg == 35
    assert (found.substance, found.until_min) == (RACEMATE, 60)


def test_a_log_may_be_written_in_any_order() -> None:
    log = [rate(10, 0), bolus(3, at=4), rate(0, 1)]
    assert segments(log, 60) == segments(sorted(log, key=lambda e: e.t_min), 60)


def test_an_open_segment_ends_at_the_reading() -> None:
    assert segments([rate(0, 1)], 7).segments == (PumpSegment(0, 7, 1),)
    assert segments([rate(0, 1)], 0).segments == ()


def test_what_has_not_happened_yet_is_left_out() -> None:
    log = [rate(0, 1), rate(10, 0), bolus(5, at=8), *sprays(28, 28, 28)]
    with pytest.raises(PkError, match="esketamine and ketamine_racemate; give one substance"):
        segments(log, 7)
    assert segments(log[:3], 7) == Schedule(RACEMATE, 7, (PumpSegment(0, 7, 1),))
    assert len(segments(log[3:], 5).devices) == 2


def test_of_two_rates_at_one_instant_the_later_written_holds() -> None:
    assert segments([rate(0, 1), rate(0, 2)], 5).segments == (PumpSegment(0, 5, 2),)


def test_no_log_is_no_dose() -> None:
    assert segments([], 5) == Schedule(None, 5)
    assert segments([], 5).given_mg == 0


# -- salts and units -------------------------------------------------------------------------------


def test_hydrochloride_is_converted_by_molar_mass_and_never_by_itself() -> None:
    salt = Mass(100, "mg", "hcl", RACEMATE)
    assert salt.to_base().value == pytest.approx(86.703, abs=0.0005)
    assert salt.to_base().to_base() == salt.to_base()
    assert rate(0, 1, salt="hcl").to_base().mg_per_min == pytest.approx(0.86703, abs=5e-6)
    assert rate(0, 1).to_base() == rate(0, 1)
    for event in (bolus(1, salt="hcl"), rate(0, 1, salt="hcl")):
        with pytest.raises(PkError, match="mg of hydrochloride; convert it with to_base"):
            segments([event], 5)


def test_a_device_of_the_label_holds_28_mg_of_base() -> None:
    assert Mass(32.3, "mg", "hcl", S_KETAMINE).to_base().value == pytest.approx(28, abs=0.01)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Mass(-1, "mg", "base", RACEMATE), "mass: -1; write 0 or more"),
        (lambda: Mass(math.nan, "mg", "base", RACEMATE), "mass: nan; write a finite number"),
        (lambda: Mass(True, "mg", "base", RACEMATE), "mass: True"),
        (lambda: Mass("35", "mg", "base", RACEMATE), "mass: '35'"),
        (lambda: Mass(35, "g", "base", RACEMATE), "unit of a mass: 'g'; write mg"),
        (lambda: Mass(35, "mg", "sulfate", RACEMATE), "salt: 'sulfate'; say base or hcl"),
        (lambda: Mass(35, "mg", "base", "propofol"), "substance: 'propofol'; use ketamine_racem"),
        (lambda: rate(0, -0.1), "rate: -0.1; write 0 or more"),
        (lambda: rate(math.inf, 1), "time: inf"),
        (lambda: bolus(1, at=math.nan), "time: nan"),
        (lambda: NasalDevice(0, Mass(28, "mg", "base", S_KETAMINE), 0), "index of a device: 0"),
        (lambda: NasalDevice(0, Mass(28, "mg", "base", S_KETAMINE), True), "count from 1"),
        (lambda: segments([], math.nan), "until: nan"),
    ],
)
def test_what_makes_no_sense_is_refused(make, said) -> None:
    with pytest.raises(PkError, match=said):
        make()


# -- does the card fit? ----------------------------------------------------------------------------


def fit(card_id, person=ADULT, events=()):
    return fit_for(load_card(card_id), person, segments(events, 60))


REFUSED = [
    ("simons2022_iv", Covariates(25, 70), [bolus(5)], "substance", "ketamine_racemate; .* not hal"),
    ("kamp2020_iv", ADULT, [bolus(5, S_KETAMINE)], "substance", "esketamine"),
    ("domino_iv", ADULT, [bolus(5, "arketamine")], "substance", "arketamine"),
    ("domino_iv", Covariates(40, None), [], "weight_missing", "weight: not told; tell .* in kg"),
    ("perezruixo2021_nasal", Covariates(40, None), [], "weight_missing", "weight"),
    ("perezruixo2021_nasal", Covariates(None, 70), [], "age_missing", "age"),
    ("domino_iv", Covariates(40, 0), [], "not_a_number", "0 kg; write a number above 0"),
    ("domino_iv", Covariates(40, -70), [], "not_a_number", "-70 kg"),
    ("domino_iv", Covariates(40, math.nan), [], "not_a_number", "nan kg"),
    ("domino_iv", Covariates(12, 40), [], "out_of_range", "12 y; its range is 18 y and more"),
    ("simons2022_iv", Covariates(40, 70), [], "out_of_range", "40 y; its range is 19 to 32 y"),
    ("herd2007_iv", Covariates(10, 80), [], "out_of_range", "80 kg; .* 10.8 to 74.8 kg"),
    ("kamp2020_iv", ADULT, sprays(28), "substance", "esketamine"),
    ("otto2021_iv", ADULT, sprays(28), "route", "nasal; it knows the vein alone"),
    ("perezruixo2021_nasal", ADULT, sprays(14), "device", "14 mg; a device holds 28 mg of base"),
    ("perezruixo2021_nasal", ADULT, sprays(*[28] * 5), "dose_out_of_range", "140 mg; .*14 to 112"),
    (
        "perezruixo2021_nasal",
        ADULT,
        [bolus(28.5, S_KETAMINE)],
        "dose_out_of_range",
        "iv dose: 28.5 mg; its range is 0 to 28 mg",
    ),
]


@pytest.mark.parametrize(("card_id", "person", "events", "code", "said"), REFUSED)
def test_a_card_that_does_not_fit_says_why(card_id, person, events, code, said) -> None:
    found = fit(card_id, person, events)
    assert isinstance(found, Refusal)
    assert found.code == code
    with pytest.raises(PkError, match=said) as raised:
        demand_fit(load_card(card_id), person, segments(events, 60))
    assert raised.value.refusal == found


def test_the_range_itself_fits() -> None:
    for age, kg in ((18, 39), (86, 170)):
        assert isinstance(fit("perezruixo2021_nasal", Covariates(age, kg), sprays(28)), Ok)
    assert isinstance(fit("perezruixo2021_nasal", ADULT, sprays(28, 28, 28, 28)), Ok)
    assert isinstance(fit("perezruixo2021_nasal", ADULT, [bolus(28, S_KETAMINE)]), Ok)


def test_a_second_session_begins_with_its_first_device() -> None:
    late = [NasalDevice(one.t_min + 4320, one.content, one.index) for one in sprays(28, 28, 28)]
    schedule = segments([*sprays(28, 28, 28), *late], 5000)
    assert isinstance(fit_for(load_card("perezruixo2021_nasal"), ADULT, schedule), Ok)


def test_what_a_card_does_not_read_is_said() -> None:
    found = fit("perezruixo2021_nasal")
    assert found == Ok(
        (
            "weight: not used",
            "race: not stated, taken as the reference category",
            "variability of kmet: not reported, bands are drawn without it",
        )
    )
    assert fit("otto2021_iv", Covariates(None, 70)) == Ok(
        ("weight: range not reported", "age: not used", "age: range not reported", "race: not used")
    )
    assert "variability: not reported" in fit("domino_iv").notes
    told = fit("perezruixo2021_nasal", Covariates(40, 70, "other"))
    assert not any("race" in note for note in told.notes)


def test_every_card_fits_somebody() -> None:
    for card_id in available():
        child = card_id in ("herd2007_iv", "hornik2018_iv")
        person = Covariates(10, 30) if child else Covariates(25, 70)
        assert isinstance(fit(card_id, person), Ok)


@pytest.mark.parametrize(
    ("t_min", "said"),
    [
        ([0, 10, 5], "times: 10 before 5; write them in ascending order"),
        ([0, math.nan], "finite numbers"),
        ([[0.0]], "finite numbers"),
    ],
)
def test_times_that_are_no_times_are_refused(t_min, said) -> None:
    with pytest.raises(PkError, match=said):
        times(t_min)
