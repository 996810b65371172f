"""Curves against 50 digits, against integrated equations, and against what the papers published."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from kap.pk.cards import available, load_card
from kap.pk.chain import exponential
from kap.pk.dosing import Bolus, Mass, NasalDevice, Rate, Schedule, segments
from kap.pk.person import Covariates, random_effects, values
from kap.pk.refusal import PkError
from kap.pk.solve import levels, mass_balance, solve
from kap.pk.tree import modes, phi
from tests.pk_reference import drawn, flows_of, worst_error

CHILD, ADULT = Covariates(10, 30), Covariates(30, 70)
MINUTES = np.arange(0.0, 1441.0)


def person(card_id: str) -> Covariates:
    return CHILD if card_id in ("herd2007_iv", "hornik2018_iv") else ADULT


def infusion(substance, mg, minutes, start=0.0):
    end = start + minutes
    return [Rate(start, mg / minutes, substance, "base"), Rate(end, 0, substance, "base")]


def bolus(substance, mg, at=0.0):
    return Bolus(at, Mass(mg, "mg", "base", substance))


def sprays(count):
    content = Mass(28, "mg", "base", "esketamine")
    return [NasalDevice(5.0 * n, content, n + 1) for n in range(count)]


def doses(card_id: str) -> Schedule:
    """Return a paused infusion with a bolus, and devices where there is a nose."""
    substance = load_card(card_id).substance
    events = [*infusion(substance, 10, 20), *infusion(substance, 8, 20, 25), bolus(substance, 5, 7)]
    return segments(events + (sprays(3) if "nasal" in card_id else []), 1e6)


# -- 50 digits -------------------------------------------------------------------------------------


def test_three_hundred_invented_models_agree_with_fifty_digits() -> None:
    assert max(map(worst_error, drawn(300))) < 1e-10


def test_another_number_would_be_noticed() -> None:
    """The negative control: one rate changed by 1e-8 is seen."""
    import tests.pk_reference as reference

    one = next(drawn(1))
    name = "k21"
    parameters = dict(one.card.parameters)
    parameters[name] = reference.replace(
        parameters[name], value=parameters[name].value * (1 + 1e-8)
    )
    exact = reference.exact(one)
    changed = reference.replace(one, card=reference.replace(one.card, parameters=parameters))
    other = reference.exact(changed)
    away = max(abs(a / b - 1) for a, b in zip(exact["parent"], other["parent"], strict=True) if b)
    assert away > 1e-10


# -- integrated equations --------------------------------------------------------------------------


@pytest.mark.parametrize("card_id", available())
def test_every_card_and_metabolite_agrees_with_integrated_equations(card_id: str) -> None:
    card, schedule, t_min = load_card(card_id), doses(card_id), np.linspace(1, 600, 41)
    nobody = np.zeros((1, len(card.variability.names)))
    numbers = {n: float(v[0]) for n, v in values(card, person(card_id), nobody).items()}
    for analyte, expected in integrated(card, numbers, schedule, t_min).items():
        found = solve(card, person(card_id), schedule, t_min, analyte).values
        assert found == pytest.approx(expected, rel=1e-9)


def integrated(card, numbers, schedule, t_min):
    """Return each analyte's levels by scipy's DOP853, from change to change of the input."""
    flows, vein, reads, names = flows_of(card, numbers)
    matrix = np.zeros((len(names), len(names)))
    for (source, target), rate in flows.items():
        matrix[names.index(source), names.index(source)] -= rate
        if target != "out":
            matrix[names.index(target), names.index(source)] += rate
    instants = [(b.t_min, vein, b.mass.value) for b in schedule.boluses]
    evenly = [(s.start_min, s.end_min, vein, s.mg_per_min) for s in schedule.segments]
    for device in schedule.devices:
        share = numbers["FRn"] * (1 if device.index == 1 else 0.62)
        instants.append((device.t_min, "n", 28 * share))
        rate = 28 * (1 - share) * numbers["Fgut"] / numbers["Dsw"]
        evenly.append((device.t_min, device.t_min + numbers["Dsw"], "s", rate))
    changes = {t for t, _, _ in instants} | {t for a, b, *_ in evenly for t in (a, b)}
    stops = sorted(changes | set(t_min))
    state, found = np.zeros(len(names)), []
    for at, end in zip(stops, [*stops[1:], stops[-1] + 1], strict=True):
        for when, name, mg in instants:
            state[names.index(name)] += mg if when == at else 0
        if at in t_min:
            found.append(state)
        fed = np.zeros(len(names))
        for a, b, name, rate in evenly:
            fed[names.index(name)] += rate if a <= at < b else 0
        done = solve_ivp(
            lambda _, x, fed=fed: matrix @ x + fed,
            (at, end),
            state,
            method="DOP853",
            rtol=1e-11,
            atol=1e-14,
        )
        state = done.y[:, -1]
    amounts = np.array(found).T
    return {a: amounts[names.index(n)] * factor for a, (n, factor) in reads.items()}


# -- published and computed ------------------------------------------------------------------------


def half_lives(card_id: str) -> list[float]:
    """Return the half-lives in min of a mammillary card's parent at 70 kg, shortest first."""
    from kap.pk.compartments import parent_modes

    card = load_card(card_id)
    found = parent_modes(card, ADULT, np.zeros((1, len(card.variability.names)))).rates[0]
    return sorted(float(one) for one in math.log(2) / found)


@pytest.mark.parametrize(
    ("card_id", "minutes"),
    [
        ("otto2021_iv", [12.9, 89, 442]),
        ("kamp2020_iv", [2.8, 28, 184]),
        ("domino_iv", [0.40, 4.6, 115]),
    ],
)
def test_half_lives_are_those_of_the_page(card_id: str, minutes: list[float]) -> None:
    assert half_lives(card_id) == pytest.approx(minutes, rel=0.02)


def test_hijazi_agrees_with_its_abstract() -> None:
    card = load_card("hijazi2003_iv")
    assert half_lives("hijazi2003_iv")[-1] / 60 == pytest.approx(4.95, abs=0.005)
    per_kg = card.parameters["V1"].value * card.parameters["k10"].value * 1000
    assert per_kg == pytest.approx(36.0, abs=0.05)


@pytest.mark.parametrize(("card_id", "litres"), [("simons2022_iv", 225), ("kamp2020_iv", 238)])
def test_the_volume_at_steady_state_is_that_of_the_page(card_id: str, litres: float) -> None:
    parameters = load_card(card_id).parameters
    assert sum(parameters[v].value for v in ("V1", "V2", "V3")) == pytest.approx(litres, abs=0.5)


def test_simons_reaches_the_published_peak() -> None:
    """20 mg over 20 min; published mean peaks 273 and 260 ng/mL (Front Pain Res 2022;3:946486)."""
    curve = solve(
        load_card("simons2022_iv"), ADULT, segments(infusion("esketamine", 20, 20), 20), MINUTES
    )
    at, peak = curve.peak()
    assert at == 20
    assert 260 <= peak <= 273


def test_racemate_models_differ_about_twofold_over_the_hours() -> None:
    given_35 = segments(infusion("ketamine_racemate", 35, 40), 40)
    cards = map(load_card, ("kamp2020_iv", "domino_iv", "clements1981_iv"))
    later = [float(solve(card, ADULT, given_35, [100.0]).values[0]) for card in cards]
    assert 1.5 < max(later) / min(later) < 3


@pytest.mark.parametrize(("count", "share"), [(1, 0.54), (2, 0.437), (3, 0.403)])
def test_devices_together_reach_the_share_of_the_page(count: int, share: float) -> None:
    from kap.pk.compartments import compartments
    from kap.pk.compartments import given as put

    card = load_card("perezruixo2021_nasal")
    parts = compartments(card, ADULT, np.zeros((1, 10)))
    nose = [g for g in put(parts, segments(sprays(count), 60)) if g.compartment == "nose"]
    assert sum(float(g.mg[0]) for g in nose) / (28 * count) == pytest.approx(share, abs=0.0005)


# -- what must hold --------------------------------------------------------------------------------


@pytest.mark.parametrize("card_id", available())
def test_what_was_given_is_in_the_body_or_gone(card_id: str) -> None:
    balance = mass_balance(load_card(card_id), person(card_id), doses(card_id), MINUTES[::37])
    assert balance.error < 1e-9
    assert (np.diff(balance.eliminated) >= 0).all()
    assert balance.given[-1] == pytest.approx(doses(card_id).given_mg)
    assert balance.given[0] < balance.given[-1]


def test_a_leak_would_be_seen() -> None:
    from dataclasses import replace

    card = load_card("domino_iv")
    balance = mass_balance(card, ADULT, doses("domino_iv"), MINUTES[::37])
    assert replace(balance, eliminated=balance.eliminated * (1 - 1e-6)).error > 1e-9


@pytest.mark.parametrize("card_id", ["kamp2020_iv", "herd2007_iv", "simons2022_iv"])
def test_the_whole_area_is_dose_over_clearance(card_id: str) -> None:
    card = load_card(card_id)
    parameters = values(card, person(card_id), np.zeros((1, len(card.variability.names))))
    t_min = np.linspace(0, 20_000, 400_001)
    schedule = segments([bolus(card.substance, 10)], 1e6)
    found = solve(card, person(card_id), schedule, t_min).values
    area = float(np.trapezoid(found, t_min)) / 1000
    assert area == pytest.approx(10 / float(parameters["CL"][0]), rel=1e-4)


@pytest.mark.parametrize("card_id", available())
def test_no_level_depends_on_the_grid(card_id: str) -> None:
    card, who, schedule = load_card(card_id), person(card_id), doses(card_id)
    odd = np.array([3.0, 19.0, 20.0, 44.0, 45.0, 46.0, 300.0, 1440.0])
    for analyte in card.analytes:
        on_grid = solve(card, who, schedule, MINUTES, analyte).values[odd.astype(int)]
        assert on_grid == pytest.approx(solve(card, who, schedule, odd, analyte).values, rel=1e-11)


@pytest.mark.parametrize("card_id", available())
def test_a_pause_is_two_infusions(card_id: str) -> None:
    card, who = load_card(card_id), person(card_id)
    s = card.substance
    paused = [Rate(0, 0.5, s, "base"), Rate(10, 0, s, "base"), Rate(15, 0.5, s, "base")]
    whole = segments([*paused, Rate(35, 0, s, "base")], 1e6)
    first, second = (segments(infusion(s, 0.5 * m, m, at), 1e6) for at, m in ((0, 10), (15, 20)))
    for analyte in card.analytes:
        both = [solve(card, who, one, MINUTES, analyte).values for one in (first, second)]
        assert solve(card, who, whole, MINUTES, analyte).values == pytest.approx(
            both[0] + both[1], rel=1e-11
        )


@pytest.mark.parametrize("card_id", available())
def test_one_segment_split_is_the_same_segment(card_id: str) -> None:
    card, who = load_card(card_id), person(card_id)
    s = card.substance
    parts = [Rate(t, 0.5, s, "base") for t in (0, 1.3, 7, 7.0001, 39)] + [Rate(40, 0, s, "base")]
    for analyte in card.analytes:
        split = solve(card, who, segments(parts, 1e6), MINUTES[:200], analyte).values
        whole = solve(card, who, segments(infusion(s, 20, 40), 1e6), MINUTES[:200], analyte).values
        assert split == pytest.approx(whole, rel=1e-12)


def test_an_open_infusion_read_now_is_the_same_infusion_stopped_now() -> None:
    card, s = load_card("kamp2020_iv"), "ketamine_racemate"
    running = segments([Rate(0, 0.9, s, "base")], 17)
    stopped = segments([Rate(0, 0.9, s, "base"), Rate(17, 0, s, "base")], 17)
    assert running == stopped
    found = solve(card, ADULT, running, [16.0, 17.0, 18.0]).values
    assert found[1] > found[0] > 0
    assert found[2] < found[1]


def test_the_value_at_a_bolus_is_the_one_after_it() -> None:
    card = load_card("kamp2020_iv")
    schedule = segments([bolus("ketamine_racemate", 25, at=5)], 1e6)
    before, after = solve(card, ADULT, schedule, [5 - 1e-9, 5.0]).values
    assert before == 0
    assert after == pytest.approx(1000)


def test_a_short_infusion_is_nearly_a_bolus() -> None:
    card, t_min = load_card("kamp2020_iv"), [1.0, 10.0, 100.0]
    at_once = solve(card, ADULT, segments([bolus("ketamine_racemate", 10)], 1e6), t_min).values
    gaps = []
    for minutes in (1e-2, 1e-4, 1e-6):
        short = segments(infusion("ketamine_racemate", 10, minutes), 1e6)
        gaps.append(float(np.abs(solve(card, ADULT, short, t_min).values / at_once - 1).max()))
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-6


def test_nothing_given_is_nothing_measured() -> None:
    for card_id in available():
        card = load_card(card_id)
        for analyte in card.analytes:
            found = solve(card, person(card_id), segments([], 0), MINUTES[:40], analyte).values
            assert not found.any()


AMOUNTS = st.floats(0.01, 50)
SPANS = st.floats(0.5, 120)


@settings(deadline=None, max_examples=40)
@given(a=AMOUNTS, b=AMOUNTS, minutes=SPANS, gap=SPANS, factor=st.floats(0.1, 10))
@pytest.mark.parametrize("card_id", ["kamp2020_iv", "simons2022_iv", "otto2021_iv"])
def test_doses_add_scale_and_shift(card_id, a, b, minutes, gap, factor) -> None:
    card = load_card(card_id)
    s, t_min = card.substance, np.array([0.7, 5, 33, 170, 600.0]) + gap
    last = list(card.analytes)[-1]

    def at(events, times=t_min):
        return solve(card, ADULT, segments(events, 1e6), times, last).values

    one, two = infusion(s, a, minutes), [bolus(s, b, at=gap / 2)]
    assert at([*one, *two]) == pytest.approx(at(one) + at(two), rel=1e-11)
    assert at(infusion(s, a * factor, minutes)) == pytest.approx(at(one) * factor, rel=1e-11)
    assert at(infusion(s, a, minutes, start=gap), t_min + gap) == pytest.approx(at(one), rel=1e-9)


def test_people_are_solved_as_each_alone() -> None:
    for card_id in ("simons2022_iv", "perezruixo2021_nasal"):
        card = load_card(card_id)
        z = np.random.default_rng(7).standard_normal((5, len(card.variability.names)))
        effects = random_effects(card, z)
        together = levels(card, ADULT, doses(card_id), MINUTES, effects)
        for row, eta in zip(together, effects, strict=True):
            alone = solve(card, ADULT, doses(card_id), MINUTES, eta=eta).values
            assert row == pytest.approx(alone, rel=1e-11)


def test_random_effects_of_another_shape_are_refused() -> None:
    card = load_card("otto2021_iv")
    for eta in ([0.0], [0, 0, 0, math.nan]):
        with pytest.raises(PkError, match="one number each for V1, CL, Vn, CLn"):
            solve(card, ADULT, doses("otto2021_iv"), [1.0], eta=eta)


# -- the parts -------------------------------------------------------------------------------------


def test_the_mean_of_a_decay_is_whole_at_zero() -> None:
    x = np.array([0.0, 1e-300, 1e-17, 1e-8, 1.0, 700.0])
    assert phi(x) == pytest.approx([1, 1, 1, 1 - 5e-9, 1 - math.exp(-1), 1 / 700], rel=1e-15)


def test_weights_are_never_negative_and_sum_to_one_over_the_volume() -> None:
    dice = np.random.default_rng(3)
    k = 10 ** dice.uniform(-3, 0, (1000, 5))
    k[:100, 0] = 0
    k[100:200, 4] = k[100:200, 3]
    found = modes(k[:, 0], k[:, 1:3], k[:, 3:5], np.full(1000, 4.0))
    assert (found.weights >= 0).all()
    assert (found.rates >= 0).all()
    assert found.weights.sum(axis=1) == pytest.approx(0.25)


def test_no_entry_of_an_exponential_is_negative() -> None:
    """A defective chain: equal steps. Its exponential is known: t^n e^-t / n!."""
    matrix = np.diag([-1.0] * 5) + np.diag([1.0] * 4, -1)
    for minutes in (1e-9, 0.1, 1.0, 60.0, 500.0):
        found = exponential(matrix[None], minutes)[0]
        assert (found >= 0).all()
        known = [minutes**n * math.exp(-minutes) / math.factorial(n) for n in range(5)]
        assert found[:, 0] == pytest.approx(known, rel=1e-11)
    assert (exponential(matrix[None], 0.0)[0] == np.eye(5)).all()
