"""Compiled loops answer as NumPy does, to 1e-12; so do the loops as plain Python."""

import sys

import numpy as np
import pytest

from kap.pk import fast, simulate
from kap.pk.cards import load_card
from kap.pk.dosing import Bolus, Mass, NasalDevice, Rate, segments
from kap.pk.normals import quasi_normal
from kap.pk.person import Covariates, random_effects
from kap.pk.refusal import PkError
from kap.pk.tree import modes

YOUNG, CHILD = Covariates(25, 70), Covariates(10, 30)
S, RACEMATE = "esketamine", "ketamine_racemate"
PAUSED = [Rate(5, 0.5, S, "base"), Rate(20, 0, S, "base"), Rate(30, 0.5, S, "base")]
LOG = [*PAUSED, Rate(50, 0, S, "base"), Bolus(60, Mass(4, "mg", "base", S))]
SIMONS, HERD = load_card("simons2022_iv"), load_card("herd2007_iv")
GRIDS = {
    "a day by the minute": np.arange(0, 1441.0),
    "after the start": np.arange(10, 400.0),
    "not even": np.array([0, 1, 7, 7.5, 20, 60, 61, 300.0]),
    "even, then not": np.concatenate([np.arange(0, 100.0), [130, 170, 1000]]),
}


@pytest.fixture(params=["compiled", "plain"])
def people(request, monkeypatch) -> int:
    """Return how many people are asked: many of machine code, few of plain Python."""
    if request.param == "compiled":
        return 300
    monkeypatch.setattr(fast, "_compiled", lambda loop: loop)
    return 3


@pytest.mark.parametrize("grid", GRIDS)
def test_curves_are_those_of_numpy(people: int, grid: str) -> None:
    asked = (SIMONS, YOUNG, segments(LOG, 1e4), GRIDS[grid], quasi_normal(people, 8))
    assert fast.population(*asked) == pytest.approx(simulate.population(*asked), rel=1e-12)


@pytest.mark.parametrize("above", [0.0, 0.5, 40.0, 1e6])
@pytest.mark.parametrize("grid", GRIDS)
def test_exposure_is_that_of_numpy(people: int, grid: str, above: float) -> None:
    asked = (SIMONS, YOUNG, segments(LOG, 1e4), GRIDS[grid], quasi_normal(people, 8), above)
    ours, theirs = fast.exposure(*asked), simulate.exposure(*asked)
    for name in ("auc", "cmax", "above_min"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-12), name


def test_two_compartments_and_no_dose(people: int) -> None:
    dose = segments([Bolus(0, Mass(10, "mg", "base", RACEMATE))], 1e4)
    for schedule in (dose, segments([], 0)):
        asked = (HERD, CHILD, schedule, np.arange(0, 300.0), quasi_normal(people, 4))
        assert fast.population(*asked) == pytest.approx(simulate.population(*asked), rel=1e-12)
        ours, theirs = (one.exposure(*asked, 20.0) for one in (fast, simulate))
        assert ours.auc == pytest.approx(theirs.auc, rel=1e-12)
        assert ours.above_min == pytest.approx(theirs.above_min, rel=1e-12)


def test_rates_that_coincide_are_nothing_special(people: int) -> None:
    k = 10 ** np.random.default_rng(5).uniform(-3, 0, (people, 5))
    k[0, 4] = k[0, 3]
    k[1, 4] = k[1, 3] * (1 + 1e-9)
    k[2, 0] = 0
    per_volume = np.full(people, 0.5)
    rates, weights = np.empty((people, 3)), np.empty((people, 3))
    fast._compiled(fast.decompose)(k[:, 0], k[:, 1:3], k[:, 3:5], per_volume, rates, weights)
    known = modes(k[:, 0], k[:, 1:3], k[:, 3:5], 1 / per_volume)
    t_min = np.array([0, 1, 30, 300.0])
    alone = np.zeros((people, 3)) + 1.0
    ours = fast.Modes(rates, weights).levels(alone, 0.0, t_min)
    assert ours == pytest.approx(known.levels(alone, 0.0, t_min), rel=1e-12)


def test_one_sweep_of_rotations_would_be_noticed(monkeypatch) -> None:
    """The negative control: modes that were not turned to the end are not those of NumPy."""
    monkeypatch.setattr(fast, "_compiled", lambda loop: loop)
    monkeypatch.setattr(fast, "SWEEPS", 1)
    asked = (SIMONS, YOUNG, segments(LOG, 1e4), GRIDS["not even"], quasi_normal(3, 8))
    assert fast.population(*asked) != pytest.approx(simulate.population(*asked), rel=1e-12)


def test_chains_are_left_to_numpy() -> None:
    content = Mass(28, "mg", "base", S)
    sprayed = segments([NasalDevice(0, content, 1)], 1e4)
    nasal = (load_card("perezruixo2021_nasal"), YOUNG, sprayed, np.arange(0, 60.0))
    z = quasi_normal(3, 10)
    assert (fast.population(*nasal, z) == simulate.population(*nasal, z)).all()
    assert (fast.exposure(*nasal, z, 30.0).auc == simulate.exposure(*nasal, z, 30.0).auc).all()
    chain = (SIMONS, YOUNG, segments(LOG, 1e4), np.arange(0, 60.0), quasi_normal(3, 8))
    ours = fast.population(*chain, "s_norketamine")
    assert (ours == simulate.population(*chain, "s_norketamine")).all()


def test_what_does_not_fit_is_refused_here_too() -> None:
    asked = (SIMONS, CHILD, segments(LOG, 1e4), np.arange(0, 60.0), quasi_normal(3, 8))
    with pytest.raises(PkError, match="its range is 53 to 93 kg"):
        fast.population(*asked)
    with pytest.raises(PkError, match="its range is 53 to 93 kg"):
        fast.exposure(*asked, 1.0)
    with pytest.raises(PkError, match="none; give a row a person"):
        fast.exposure(*asked[:1], YOUNG, *asked[2:4], np.zeros((0, 8)), 1.0)


def test_without_the_extra_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    fast._compiled.cache_clear()
    with pytest.raises(PkError, match=r"not installed; install afterglow\[fast\]"):
        fast.population(SIMONS, YOUNG, segments(LOG, 1e4), [1.0, 2.0], quasi_normal(2, 8))
    fast._compiled.cache_clear()


def test_the_effects_are_those_of_the_card() -> None:
    z = quasi_normal(4, 8)
    parent = fast._modes(SIMONS, YOUNG, random_effects(SIMONS, z), 1000.0)
    assert parent.weights.sum(axis=1) == pytest.approx(
        1000 / (11.6 * np.exp(random_effects(SIMONS, z)[:, 0])), rel=1e-12
    )
