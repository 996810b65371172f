"""Many people in blocks, their exposure and bands; envelopes between models; a state ahead; NCA."""

import math
import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kap.pk.ahead import advance, level, state0
from kap.pk.cards import available, load_card
from kap.pk.display import (
    BANNER,
    BETWEEN_MODELS,
    CAPTION,
    Allowed,
    clinical_display,
    demonstration_cards,
    shown,
)
from kap.pk.dosing import Bolus, Mass, NasalDevice, Rate, segments
from kap.pk.nca import nca
from kap.pk.normals import quasi_normal
from kap.pk.person import Covariates, random_effects
from kap.pk.refusal import PkError, Refusal
from kap.pk.simulate import PEOPLE_AT_ONCE, band, bands, envelope, exposure, population
from kap.pk.solve import solve

ADULT, YOUNG = Covariates(40, 70), Covariates(25, 70)
MINUTES = np.arange(0.0, 481.0)
S, RACEMATE = "esketamine", "ketamine_racemate"


def infusion(substance, mg=20.0, minutes=40.0):
    return [Rate(0, mg / minutes, substance, "base"), Rate(minutes, 0, substance, "base")]


def sprays(count=3):
    content = Mass(28, "mg", "base", S)
    return [NasalDevice(5.0 * n, content, n + 1) for n in range(count)]


NASAL, SIMONS = load_card("perezruixo2021_nasal"), load_card("simons2022_iv")
SPRAYED, INFUSED = segments(sprays(), 1e4), segments(infusion(S), 1e4)


# -- many people -----------------------------------------------------------------------------------


@pytest.mark.parametrize("people", [1, PEOPLE_AT_ONCE, PEOPLE_AT_ONCE + 3])
def test_a_population_is_its_people(people: int) -> None:
    z = quasi_normal(people, 8)
    found = population(SIMONS, YOUNG, INFUSED, MINUTES, z)
    assert found.shape == (people, len(MINUTES))
    eta = random_effects(SIMONS, z)[-1]
    alone = solve(SIMONS, YOUNG, INFUSED, MINUTES, eta=eta).values
    assert found[-1] == pytest.approx(alone, rel=1e-11)


def test_a_population_that_does_not_fit_is_refused() -> None:
    for ask in (population, lambda *given: exposure(*given, above=1.0)):
        with pytest.raises(PkError, match="its range is 19 to 32 y"):
            ask(SIMONS, ADULT, INFUSED, MINUTES, quasi_normal(2, 8))


def test_exposure_is_that_of_the_curves_and_keeps_none() -> None:
    z = quasi_normal(500, 10)
    grid = population(NASAL, ADULT, SPRAYED, MINUTES, z)
    found = exposure(NASAL, ADULT, SPRAYED, MINUTES, z, above=60.0)
    assert found.auc == pytest.approx(np.trapezoid(grid, MINUTES, axis=1), rel=1e-12)
    assert found.cmax == pytest.approx(grid.max(axis=1), rel=1e-12)
    fine = np.linspace(0, 480, 48_001)
    between = np.array([np.interp(fine, MINUTES, row) for row in grid[:20]])
    assert found.above_min[:20] == pytest.approx((between >= 60).sum(axis=1) * 0.01, abs=0.05)
    assert found.above_min.min() >= 0
    assert found.above_min.max() > 30


def test_exposure_may_be_given_its_people_block_by_block() -> None:
    z = quasi_normal(300, 8)
    whole = exposure(SIMONS, YOUNG, INFUSED, MINUTES, z, above=50.0)
    blocks = (quasi_normal(100, 8, first) for first in (0, 100, 200))
    apart = exposure(SIMONS, YOUNG, INFUSED, MINUTES, blocks, above=50.0)
    for name in ("auc", "cmax", "above_min"):
        assert getattr(apart, name) == pytest.approx(getattr(whole, name), rel=1e-12)


def test_a_curve_wholly_above_a_level_is_above_it_all_the_time() -> None:
    t_min = MINUTES[30:40]
    found = exposure(SIMONS, YOUNG, INFUSED, t_min, quasi_normal(3, 8), above=0.001)
    assert found.above_min == pytest.approx(9)
    nobody = exposure(SIMONS, YOUNG, INFUSED, t_min, quasi_normal(3, 8), above=1e6)
    assert not nobody.above_min.any()


def test_memory_does_not_grow_with_people() -> None:
    def peak(people: int) -> int:
        blocks = (quasi_normal(50, 8, first) for first in range(0, people, 50))
        tracemalloc.start()
        exposure(SIMONS, YOUNG, INFUSED, MINUTES, blocks, above=50.0)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    few, many = peak(100), peak(1000)
    assert many < few * 1.5


@pytest.mark.parametrize(
    ("t_min", "z", "said"), [([1.0], np.zeros((1, 8)), "two or more"), (MINUTES, [], "none")]
)
def test_exposure_of_nothing_is_refused(t_min, z, said) -> None:
    with pytest.raises(PkError, match=said):
        exposure(SIMONS, YOUNG, INFUSED, t_min, z, above=1.0)


def test_bands_by_time_are_the_band_of_all() -> None:
    z, t_min = quasi_normal(200, 10), MINUTES[::5]
    whole = band(population(NASAL, ADULT, SPRAYED, t_min, z))
    parts = bands(NASAL, ADULT, SPRAYED, t_min, z)
    assert parts.q == whole.q == (5, 50, 95)
    assert parts.values == pytest.approx(whole.values, rel=1e-10)
    low, middle, high = whole.values[:, 5:]
    assert ((low < middle) & (middle < high)).all()
    typical = solve(NASAL, ADULT, SPRAYED, t_min).values[5:]
    assert ((low < typical) & (typical < high)).all()


# -- between models --------------------------------------------------------------------------------


def test_an_envelope_is_between_models() -> None:
    given_35 = segments(infusion(RACEMATE, 35), 1e4)
    curves = [solve(card, ADULT, given_35, MINUTES) for card in demonstration_cards()]
    found = envelope(curves)
    assert found.cards == ("clements1981_iv", "domino_iv", "kamp2020_iv")
    assert found.matrices == ("arterial", "not_verified")
    assert (found.low <= found.high).all()
    for curve in curves:
        assert ((found.low <= curve.values) & (curve.values <= found.high)).all()


def test_curves_that_are_not_alike_have_no_envelope() -> None:
    curves = [
        solve(SIMONS, YOUNG, INFUSED, MINUTES),
        solve(SIMONS, YOUNG, INFUSED, MINUTES, "s_norketamine"),
    ]
    with pytest.raises(PkError, match="simons2022_iv and simons2022_iv: not alike"):
        envelope(curves)
    with pytest.raises(PkError, match="simons2022_iv and otto2021_iv"):
        envelope([curves[0], solve(load_card("otto2021_iv"), YOUNG, INFUSED, MINUTES[:9])])
    with pytest.raises(PkError, match="no curve"):
        envelope([])


# -- normals without dice --------------------------------------------------------------------------


def test_normals_are_spread_evenly_and_always_the_same() -> None:
    found = quasi_normal(4096, 3)
    assert (found == quasi_normal(4096, 3)).all()
    assert (found[1000:] == quasi_normal(3096, 3, first=1000)).all()
    assert found.mean(axis=0) == pytest.approx(0, abs=0.01)
    assert found.std(axis=0) == pytest.approx(1, abs=0.01)
    assert np.corrcoef(found.T) == pytest.approx(np.eye(3), abs=0.01)
    assert (found < 1.6448536).mean(axis=0) == pytest.approx(0.95, abs=0.002)
    assert quasi_normal(0, 3).shape == (0, 3)


@pytest.mark.parametrize("asked", [(-1, 1, 0), (1, -1, 0), (1, 1, -1)])
def test_a_negative_number_of_people_is_refused(asked) -> None:
    with pytest.raises(PkError, match="whole numbers from 0 on"):
        quasi_normal(*asked)


# -- a state ahead ---------------------------------------------------------------------------------

LOGS = {
    "kamp2020_iv": [*infusion(RACEMATE), Bolus(7, Mass(5, "mg", "base", RACEMATE))],
    "simons2022_iv": [*infusion(S), Bolus(7, Mass(5, "mg", "base", S))],
    "perezruixo2021_nasal": [*sprays(), *infusion(S, mg=8.0)],
}


@pytest.mark.parametrize("card_id", LOGS)
def test_a_state_carried_from_event_to_event_is_the_whole_curve(card_id: str) -> None:
    card, person = load_card(card_id), YOUNG
    log = sorted(LOGS[card_id], key=lambda event: event.t_min)
    state = state0(card, person)
    for event, following in pairwise([*log, replace(log[-1], t_min=45.0)]):
        # Up to the event, then time alone, as an open page asks.
        state = advance(state, card, person, event, event.t_min)
        state = advance(state, card, person, None, (event.t_min + following.t_min) / 2)
    for at in (45.0, 60.0, 300.0):
        state = advance(state, card, person, None, at)
        whole = segments(log, at)
        for analyte in card.analytes:
            expected = float(solve(card, person, whole, [at], analyte).values[0])
            assert level(state, card, person, analyte) == pytest.approx(expected, rel=1e-11)
    assert state.amounts.sum() == pytest.approx(segments(log, 300).given_mg, rel=1e-11)


def test_a_state_does_not_go_back() -> None:
    card = load_card("kamp2020_iv")
    state = advance(state0(card, ADULT), card, ADULT, None, 10)
    late = Rate(9, 1, RACEMATE, "base")
    with pytest.raises(PkError, match="event: 9 min, from 10 to 20; start again from state0"):
        advance(state, card, ADULT, late, 20)
    with pytest.raises(PkError, match="event: 25 min"):
        advance(state, card, ADULT, replace(late, t_min=25), 20)


def test_a_state_refuses_what_the_card_refuses() -> None:
    with pytest.raises(PkError, match="its range is 18 y and more"):
        state0(load_card("kamp2020_iv"), Covariates(12, 40))
    start = state0(NASAL, ADULT)
    with pytest.raises(PkError, match="ketamine_racemate"):
        advance(start, NASAL, ADULT, Rate(1, 1, RACEMATE, "base"), 5)
    over = advance(start, NASAL, ADULT, Bolus(1, Mass(20, "mg", "base", S)), 5)
    with pytest.raises(PkError, match="40 mg; its range is 0 to 28 mg"):
        advance(over, NASAL, ADULT, Bolus(6, Mass(20, "mg", "base", S)), 8)
    with pytest.raises(PkError, match="analyte"):
        level(start, NASAL, ADULT, "hydroxynorketamine")


# -- without a model -------------------------------------------------------------------------------


def test_one_exponential_is_analysed_exactly() -> None:
    """A bolus of 10 mg into 20 L with a clearance of 2 L/min: half-life 6.93 min."""
    t_min = np.arange(0, 60.5, 5)
    found = nca(t_min, 500 * np.exp(-0.1 * t_min), dose_mg=10)
    assert (found.cmax, found.tmax) == (500, 0)
    assert found.half_life == pytest.approx(math.log(2) / 0.1)
    assert found.auc_inf == pytest.approx(5000)
    assert found.auc == pytest.approx(5000 * (1 - math.exp(-6)))
    assert found.clearance == pytest.approx(2)


def test_a_models_clearance_and_half_life_are_found_in_its_curve() -> None:
    card, t_min = load_card("kamp2020_iv"), np.linspace(0, 2880, 5761)
    schedule = segments([Bolus(0, Mass(10, "mg", "base", RACEMATE))], 1e4)
    found = nca(t_min, solve(card, ADULT, schedule, t_min).values, dose_mg=10)
    assert found.clearance == pytest.approx(84 / 60, rel=1e-3)
    assert found.half_life == pytest.approx(184, rel=0.01)


def test_what_samples_cannot_say_is_unknown() -> None:
    rising = nca([0, 1, 2, 3], [0, 1, 2, 3], dose_mg=1)
    assert (rising.half_life, rising.auc_inf, rising.clearance) == (None, None, None)
    assert rising.auc == 4.5
    flat = nca([0, 1, 2, 3, 4], [0, 2, 1, 1, 1])
    assert flat.half_life is None
    assert nca([0, 5, 5, 5], [3, 2, 2, 1]).half_life is None
    zeros = nca([0, 1, 2, 3], [0, 4, 0, 0])
    assert zeros.auc == 4
    assert zeros.auc_inf is None
    assert nca([0, 1, 2, 3, 4], [8, 4, 2, 1, 0.5]).clearance is None


@pytest.mark.parametrize(
    ("t_min", "levels", "said"),
    [
        ([0], [1], "two or more of both"),
        ([0, 1], [1], "2 times, 1 levels"),
        ([0, 1], [1, -1], "numbers from 0 on"),
        ([0, 1], [1, math.nan], "numbers from 0 on"),
        ([1, 0], [1, 1], "ascending"),
    ],
)
def test_samples_that_are_none_are_refused(t_min, levels, said) -> None:
    with pytest.raises(PkError, match=said):
        nca(t_min, levels)


@settings(deadline=None)
@given(factor=st.floats(0.01, 100), shift=st.floats(-100, 100))
def test_areas_scale_and_do_not_depend_on_the_clock(factor, shift) -> None:
    t_min, levels = np.array([0, 5, 10, 20, 40, 80.0]), np.array([0, 9, 8, 5, 2, 0.3])
    one, other = nca(t_min, levels), nca(t_min + shift, levels * factor)
    assert other.auc == pytest.approx(one.auc * factor)
    assert other.half_life == pytest.approx(one.half_life)


# -- who may see it --------------------------------------------------------------------------------


def test_no_card_draws_in_a_clinic_before_it_was_signed_there() -> None:
    for card_id in available():
        assert isinstance(clinical_display(load_card(card_id), {}), Refusal)
    said = clinical_display(NASAL, {})
    assert isinstance(said, Refusal)
    assert said.value == "not signed here"


def test_a_verified_card_signed_here_is_allowed_for_its_parent_alone() -> None:
    signed = {card.digest: "Dr A. Tremblay" for card in map(load_card, available())}
    allowed = [
        c for c in available() if isinstance(clinical_display(load_card(c), signed), Allowed)
    ]
    assert allowed == ["perezruixo2021_nasal"]
    assert clinical_display(NASAL, signed) == Allowed(NASAL.id, NASAL.version, "Dr A. Tremblay")
    refused = clinical_display(NASAL, signed, "noresketamine")
    assert isinstance(refused, Refusal)
    assert refused.value == "for the library only"


def test_a_signature_is_of_one_text() -> None:
    signed = {"0" * 64: "Dr A. Tremblay"}
    assert isinstance(clinical_display(NASAL, signed), Refusal)


def test_a_card_that_was_only_read_elsewhere_is_not_drawn_even_when_signed() -> None:
    peer = replace(NASAL, status="peer", signed_by="somebody")
    said = clinical_display(peer, {})
    assert isinstance(said, Refusal)
    assert said.value == "status peer"


def test_the_caption_is_the_one_that_was_fixed() -> None:
    assert CAPTION["en"] == (
        "Population model, not this patient. Not a measurement. "
        "Do not use to decide discharge, dose or alarm."
    )
    assert BANNER["en"] == "unverified model"
    assert set(CAPTION) == set(BANNER) == set(BETWEEN_MODELS) == {"en", "fr"}


@pytest.mark.parametrize(
    ("value", "en", "fr"),
    [(253.05, "250", "250"), (0.99, "< 1", "< 1"), (1.06, "1.1", "1,1"), (99.6, "100", "100")],
)
def test_a_level_is_shown_with_two_digits(value, en, fr) -> None:
    assert (shown(value), shown(value, "fr")) == (en, fr)
