"""Pharmacokinetics to 50 digits: a second program, written from the equations of the page alone.

`drawn(n)` invents models and doses from a seed, coincident and nearly coincident rates among them,
`exact` answers them with mpmath, `worst_error` compares. The suite asks 300, `make prove` more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import mpmath
import numpy as np

from kap.pk.card import ModelCard
from kap.pk.cards import load_card
from kap.pk.dosing import Bolus, Mass, NasalDevice, Rate, segments
from kap.pk.person import Covariates
from kap.pk.solve import solve

DIGITS = 50
BITS = 260  # of the whole numbers behind the point, some 78 digits
SMALLEST = 1e-12  # of the peak: below, an error is not counted
PERSON = Covariates(30, 70)

Numbers = Mapping[str, float]


@dataclass(frozen=True)
class Drawn:
    """One invented model: a card with other numbers, what is given, the times asked about."""

    card: ModelCard
    rates: tuple[tuple[float, float, float], ...]  # start, end, mg/min
    bolus: tuple[float, float]  # time, mg
    devices: tuple[float, ...]
    t_min: tuple[float, ...]


def drawn(count: int, seed: int = 20261124) -> Iterator[Drawn]:
    """Yield invented models: ten parents in mammillary models to one chain and one nasal."""
    dice = np.random.default_rng(seed)
    for number in range(count):
        kind = number % 12
        yield _nasal(dice) if kind == 5 else _chain(dice) if kind == 11 else _parent(dice, number)


def worst_error(one: Drawn) -> float:
    """Return the largest relative error over analytes and times, and fail on a negative level."""
    substance = one.card.substance
    pump = []
    for start, end, rate in one.rates:
        pump += [Rate(start, rate, substance, "base"), Rate(end, 0, substance, "base")]
    doses = [Bolus(one.bolus[0], Mass(one.bolus[1], "mg", "base", substance))]
    for index, at in enumerate(one.devices, 1):
        doses.append(NasalDevice(at, Mass(28, "mg", "base", substance), index))
    schedule = segments([*pump, *doses], 1e6)
    worst = 0.0
    expected = exact(one)
    for analyte, levels in expected.items():
        found = solve(one.card, PERSON, schedule, np.array(one.t_min), analyte).values
        assert (found >= 0).all()
        peak = max(levels)
        for ours, theirs in zip(found, levels, strict=True):
            if theirs > SMALLEST * peak:
                worst = max(worst, abs(float((mpmath.mpf(float(ours)) - theirs) / theirs)))
    return worst


# --- invented models ----------------------------------------------------------------------------


def _rate(dice: np.random.Generator) -> float:
    """Return a rate constant from 1e-3 to 1 /min, log-uniform."""
    return float(10 ** dice.uniform(-3, 0))


def _with(card: ModelCard, numbers: Numbers) -> ModelCard:
    changed = dict(card.parameters)
    for name, value in numbers.items():
        plain = replace(changed[name], value=value, weight_exponent=0.0, each_kg=False)
        changed[name] = plain
    return replace(card, parameters=changed, ranges={}, effects=())


def _doses(
    dice: np.random.Generator,
) -> dict[str, tuple[tuple[float, ...], ...] | tuple[float, ...]]:
    """Return an infusion that is paused, and a bolus."""
    first, pause, second = (float(n) for n in dice.uniform(1, 40, 3))
    again = first + pause
    mg = float(dice.uniform(0.1, 2))
    stop = again + second
    times = (first / 2, first, again, stop, stop + float(dice.uniform(1, 300)), 1440.0)
    return {
        "rates": ((0.0, first, mg), (again, stop, mg / 2)),
        "bolus": (float(dice.uniform(0, stop)), float(dice.uniform(0, 10))),
        "t_min": tuple(sorted(times)),
    }


def _parent(dice: np.random.Generator, number: int) -> Drawn:
    k = {name: _rate(dice) for name in ("k10", "k12", "k13", "k21", "k31")}
    turn = number % 5
    if turn == 1:
        k["k31"] = k["k21"]
    if turn == 2:
        k["k31"] = k["k21"] * (1 + 1e-9 * float(dice.uniform(-1, 1)))
    if turn == 3:
        k["k10"] = 0.0
    if turn == 4:
        k["k10"] = k["k21"] = k["k31"]
    card = _with(load_card("domino_iv"), {**k, "V1": float(dice.uniform(2, 200))})
    return Drawn(card, devices=(), **_doses(dice))


def _chain(dice: np.random.Generator) -> Drawn:
    """Return a parent with two metabolites; its steps may be as fast as the exchange."""
    volumes = ("V1", "V2", "V3", "Vpn", "V_hnk", "Vp_hnk")
    numbers = {name: float(dice.uniform(2, 200)) for name in volumes}
    back = {"Q2": "V2", "Q3": "V3", "Qn": "Vpn", "Q_hnk": "Vp_hnk", "CLn": "V1", "CL_hnk": "V_hnk"}
    for flow, volume in {**back, "CL": "V1"}.items():
        numbers[flow] = numbers[volume] * _rate(dice)
    numbers |= {"MTT": 2 / _rate(dice), "share_n": float(dice.uniform(0, 1))}
    numbers |= {"MTT_hnk": numbers["MTT"], "share_hnk": float(dice.uniform(0, 1))}
    if dice.uniform() < 0.5:
        numbers["MTT"] = 2 * numbers["V2"] / numbers["Q2"]
    return Drawn(_with(load_card("simons2022_iv"), numbers), devices=(), **_doses(dice))


def _nasal(dice: np.random.Generator) -> Drawn:
    card = load_card("perezruixo2021_nasal")
    volumes = {name: float(dice.uniform(20, 500)) for name in ("Vc", "Vp1", "Vp2", "Vh")}
    volumes |= {name: float(dice.uniform(20, 500)) for name in ("Vcn", "Vpn")}
    flows = {"Q1": "Vp1", "Q2": "Vp2", "Qh": "Vh", "Q3": "Vpn", "CLn": "Vcn"}
    numbers = {flow: volumes[volume] * _rate(dice) for flow, volume in flows.items()}
    numbers |= {name: _rate(dice) for name in ("ka_n", "ka_sw", "kel", "kmet")}
    if dice.uniform() < 0.5:
        numbers["ka_n"] = numbers["ka_sw"]
    numbers |= {"FRn": float(dice.uniform(0.1, 0.9)), "Fgut": float(dice.uniform(0.1, 0.9))}
    numbers["Dsw"] = float(dice.uniform(5, 60))
    plain = replace(_with(card, {**volumes, **numbers}), routes=_FREE)
    doses = _doses(dice)
    return Drawn(plain, devices=(0.0, 5.0, 9.5), **doses)


_FREE = {
    name: replace(route, total_mg=None)
    for name, route in load_card("perezruixo2021_nasal").routes.items()
}


# --- the second program -------------------------------------------------------------------------

Matrix = np.ndarray  # of mpf


def exact(one: Drawn) -> dict[str, list[mpmath.mpf]]:
    """Return each analyte's levels at the times, to some 50 digits less what squaring costs."""
    with mpmath.workdps(DIGITS + 15):
        return _levels(one)


def _levels(one: Drawn) -> dict[str, list[mpmath.mpf]]:
    p = {name: mpmath.mpf(parameter.value) for name, parameter in one.card.parameters.items()}
    flows, vein, reads = _FLOWS[one.card.kind](one.card.id, p)
    names = sorted({name for pair in flows for name in pair} - {"out"})
    size = len(names)
    matrix = np.full((size, size), mpmath.mpf(0), dtype=object)
    for (source, target), rate in flows.items():
        matrix[names.index(source), names.index(source)] -= rate
        if target != "out":
            matrix[names.index(target), names.index(source)] += rate
    instants = [(one.bolus[0], vein, mpmath.mpf(one.bolus[1]))]
    evenly = [(a, b, vein, mpmath.mpf(rate)) for a, b, rate in one.rates]
    for index, at in enumerate(one.devices, 1):
        share = p["FRn"] * (p["later_device"] if index > 1 else 1)
        instants.append((at, "n", 28 * share))
        end = at + one.card.parameters["Dsw"].value
        evenly.append((at, end, "s", 28 * (1 - share) * p["Fgut"] / (mpmath.mpf(end) - at)))
    found = {analyte: [] for analyte in reads}
    changes = {at for at, _, _ in instants} | {t for a, b, _, _ in evenly for t in (a, b)}
    stops = sorted(changes | set(one.t_min))
    state = np.full(size, mpmath.mpf(0), dtype=object)
    for at, following in zip(stops, [*stops[1:], None], strict=True):
        for when, name, mg in instants:
            if when == at:
                state[names.index(name)] += mg
        for analyte, (name, factor) in reads.items():
            if at in one.t_min:
                found[analyte].append(state[names.index(name)] * factor)
        if following is not None:
            rates = np.full(size, mpmath.mpf(0), dtype=object)
            for a, b, name, rate in evenly:
                if a <= at < b:
                    rates[names.index(name)] += rate
            state = _carried(matrix, rates, state, mpmath.mpf(following) - mpmath.mpf(at))
    return found


def _carried(matrix: Matrix, rates: Matrix, state: Matrix, minutes: mpmath.mpf) -> Matrix:
    size = len(state)
    whole = np.full((size + 1, size + 1), mpmath.mpf(0), dtype=object)
    whole[:size, :size], whole[:size, size] = matrix * minutes, rates * minutes
    return _exponential(whole)[:size] @ np.append(state, mpmath.mpf(1))


def _exponential(matrix: Matrix) -> Matrix:
    """Return exp(matrix), by its series and squarings in whole numbers of 2^-BITS."""
    size = len(matrix)
    largest = max(float(abs(one)) for one in np.diagonal(matrix)) + 1e-30
    halvings = max(0, int(np.ceil(np.log2(largest))) + 10)
    whole = [int(mpmath.floor(mpmath.ldexp(one, BITS - halvings))) for one in matrix.flat]
    scaled = np.array(whole, dtype=object).reshape(size, size)
    found = np.array([[(i == j) << BITS for j in range(size)] for i in range(size)], dtype=object)
    term, n = found.copy(), 0
    while n < 2 or any(term.flat):
        n += 1
        term = (term @ scaled >> BITS) // n
        term[abs(term) < 4] = 0  # what rounding leaves would never end
        found = found + term
    for _ in range(halvings):
        found = found @ found >> BITS
    return np.array([mpmath.ldexp(int(one), -BITS) for one in found.flat]).reshape(size, size)


Flows = dict[tuple[str, str], mpmath.mpf]


def _both(flows: Flows, a: str, b: str, q: mpmath.mpf, va: mpmath.mpf, vb: mpmath.mpf) -> None:
    flows[a, b], flows[b, a] = q / va, q / vb


def _micro_flows(_: str, p: Mapping[str, mpmath.mpf]) -> tuple[Flows, str, dict]:
    flows = {("1", "out"): p["k10"], ("1", "2"): p["k12"], ("2", "1"): p["k21"]}
    if "k13" in p:
        flows |= {("1", "3"): p["k13"], ("3", "1"): p["k31"]}
    return flows, "1", {"parent": ("1", 1000 / p["V1"])}


def _mammillary_flows(card_id: str, p: Mapping[str, mpmath.mpf]) -> tuple[Flows, str, dict]:
    flows: Flows = {}
    _both(flows, "1", "2", p["Q2"], p["V1"], p["V2"])
    if "V3" in p:
        _both(flows, "1", "3", p["Q3"], p["V1"], p["V3"])
    reads = {"parent": ("1", 1000 / p["V1"])}
    if card_id == "otto2021_iv":
        flows["1", "n"] = p["CL"] / p["V1"]
        _both(flows, "n", "np", p["Qn"], p["Vn"], p["Vpn"])
        flows["n", "out"] = p["CLn"] / p["Vn"]
        reads["s_norketamine"] = ("n", 1000 / p["Vn"])
    elif card_id == "simons2022_iv":
        base = mpmath.mpf("237.73")
        rate, quick = 2 / p["MTT"], 2 / p["MTT_hnk"]
        flows |= {("1", "t1"): p["CL"] / p["V1"], ("t1", "t2"): rate}
        flows |= {("t2", "n"): rate * p["share_n"], ("t2", "out"): rate * (1 - p["share_n"])}
        _both(flows, "n", "np", p["Qn"], p["V1"], p["Vpn"])
        flows |= {("n", "t3"): p["CLn"] / p["V1"], ("t3", "t4"): quick}
        flows |= {("t4", "h"): quick * p["share_hnk"], ("t4", "out"): quick * (1 - p["share_hnk"])}
        _both(flows, "h", "hp", p["Q_hnk"], p["V_hnk"], p["Vp_hnk"])
        flows["h", "out"] = p["CL_hnk"] / p["V_hnk"]
        reads["s_norketamine"] = ("n", 1000 / p["V1"] / base)
        reads["s_hydroxynorketamine"] = ("h", 1000 / p["V_hnk"] / base)
    else:
        flows["1", "out"] = p["CL"] / p["V1"]
    return flows, "1", reads


def _nasal_flows(_: str, p: Mapping[str, mpmath.mpf]) -> tuple[Flows, str, dict]:
    flows: Flows = {("n", "c"): p["ka_n"], ("s", "h"): p["ka_sw"]}
    _both(flows, "c", "p1", p["Q1"], p["Vc"], p["Vp1"])
    _both(flows, "c", "p2", p["Q2"], p["Vc"], p["Vp2"])
    _both(flows, "c", "h", p["Qh"], p["Vc"], p["Vh"])
    flows |= {("h", "out"): p["kel"], ("h", "m"): p["kmet"]}
    _both(flows, "m", "mp", p["Q3"], p["Vcn"], p["Vpn"])
    flows["m", "out"] = p["CLn"] / p["Vcn"]
    return flows, "c", {"parent": ("c", 1000 / p["Vc"]), "noresketamine": ("m", 1000 / p["Vcn"])}


_FLOWS = {"micro": _micro_flows, "mammillary": _mammillary_flows, "nasal": _nasal_flows}


def flows_of(
    card: ModelCard, numbers: Numbers
) -> tuple[dict[tuple[str, str], float], str, dict[str, tuple[str, float]], Sequence[str]]:
    """Return a card's flows in 1/min, where a vein leads, what is read, the names of its states."""
    p = {name: mpmath.mpf(value) for name, value in numbers.items()}
    flows, vein, reads = _FLOWS[card.kind](card.id, p)
    names = sorted({name for pair in flows for name in pair} - {"out"})
    plain = {pair: float(rate) for pair, rate in flows.items()}
    return plain, vein, {k: (name, float(f)) for k, (name, f) in reads.items()}, names
