"""A card's compartments as matrices: amounts in mg, flows in 1/min, one row of people.

Every matrix conserves mass: what is cleared and forms nothing, and what is lost in the gut, goes
to the last compartment, `eliminated`, from which nothing comes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kap.pk.card import PARENT, ModelCard
from kap.pk.dosing import Schedule
from kap.pk.person import Covariates, Floats, values
from kap.pk.tree import Modes, modes

ELIMINATED = "eliminated"


@dataclass(frozen=True, slots=True)
class Reading:
    """Where an analyte is measured: its compartment, its volume in L, mg/L to the card's unit."""

    compartment: str
    volume: Floats
    scale: float


@dataclass(frozen=True, slots=True)
class Compartments:
    """One card for some people: names, `matrix` (people, n, n) in 1/min, and what is measured."""

    names: tuple[str, ...]
    matrix: Floats
    readings: Mapping[str, Reading]
    parameters: Mapping[str, Floats]
    intravenous: str

    def place(self, name: str) -> int:
        """Return the number of a compartment."""
        return self.names.index(name)


@dataclass(frozen=True, slots=True)
class Given:
    """mg put into a compartment: at `start_min`, or evenly up to `end_min`. A column of people."""

    compartment: str
    start_min: float
    end_min: float
    mg: Floats

    @property
    def is_instant(self) -> bool:
        """Return whether all of it is given at once."""
        return self.end_min == self.start_min

    @property
    def mg_per_min(self) -> Floats:
        """Return the rate of what is given evenly."""
        rate: Floats = self.mg / (self.end_min - self.start_min)
        return rate

    def between(self, start_min: float, end_min: float) -> Given:
        """Return the part of an even input that falls into a span which it overlaps."""
        start, end = max(self.start_min, start_min), min(self.end_min, end_min)
        return Given(self.compartment, start, end, self.mg_per_min * (end - start))


def compartments(card: ModelCard, person: Covariates, effects: Floats) -> Compartments:
    """Return a card's compartments for rows of random effects."""
    found = values(card, person, effects)
    return _nasal(card, found) if card.kind == "nasal" else _mammillary(card, found)


def parent_modes(card: ModelCard, person: Covariates, effects: Floats) -> Modes:
    """Return the modes of a mammillary card's parent."""
    return modes(*parent_constants(card, person, effects))


def parent_constants(
    card: ModelCard, person: Covariates, effects: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return k10 (people,), k1j and kj1 (people, peripherals) in 1/min, and V1 (people,) in L."""
    found = values(card, person, effects)
    return (*_micro(card, found), found["V1"])


def given(parts: Compartments, schedule: Schedule) -> list[Given]:
    """Return what a schedule puts into which compartment, for each person."""
    p, vein = parts.parameters, parts.intravenous
    ones = np.ones(len(parts.matrix))
    found = [Given(vein, s.start_min, s.end_min, ones * s.mg) for s in schedule.segments]
    found += [Given(vein, b.t_min, b.t_min, ones * b.mass.value) for b in schedule.boluses]
    for device in schedule.devices:
        at, mg = device.t_min, device.content.value
        share = p["FRn"] if device.index == 1 else p["later_device"] * p["FRn"]
        swallowed, end = mg * (1 - share), at + float(p["Dsw"][0])
        found += [
            Given("nose", at, at, mg * share),
            Given("gut", at, end, swallowed * p["Fgut"]),
            Given(ELIMINATED, at, end, swallowed * (1 - p["Fgut"])),
        ]
    return found


# --- structures ---------------------------------------------------------------------------------


class _Build:
    """Flows added one by one to a matrix whose columns sum to 0."""

    def __init__(self, names: tuple[str, ...], people: int) -> None:
        self.names = (*names, ELIMINATED)
        self.matrix = np.zeros((people, len(self.names), len(self.names)))

    def flow(self, source: str, target: str, rate: Floats) -> None:
        """Add a flow in 1/min of the amount in `source`."""
        a, b = self.names.index(source), self.names.index(target)
        self.matrix[:, a, a] -= rate
        self.matrix[:, b, a] += rate

    def exchange(self, one: str, other: str, out: Floats, back: Floats) -> None:
        """Add a flow each way."""
        self.flow(one, other, out)
        self.flow(other, one, back)


def _micro(card: ModelCard, p: Mapping[str, Floats]) -> tuple[Floats, Floats, Floats]:
    """Return k10 (people,), k1j and kj1 (people, peripherals), in 1/min."""
    if card.kind == "micro":
        last = ("2", "3") if "k13" in p else ("2",)
        out = [p[f"k1{n}"] for n in last]
        back = [p[f"k{n}1"] for n in last]
        return p["k10"], np.stack(out, axis=1), np.stack(back, axis=1)
    last = ("2", "3") if "V3" in p else ("2",)
    out = [p[f"Q{n}"] / p["V1"] for n in last]
    back = [p[f"Q{n}"] / p[f"V{n}"] for n in last]
    return p["CL"] / p["V1"], np.stack(out, axis=1), np.stack(back, axis=1)


def _mammillary(card: ModelCard, p: Mapping[str, Floats]) -> Compartments:
    k10, out, back = _micro(card, p)
    names = ["central", *(f"peripheral{n + 1}" for n in range(out.shape[1]))]
    for one in card.metabolites:
        names += [f"{one.analyte} step {n + 1}" for n in range(one.transits)]
        names += [one.analyte, f"{one.analyte} peripheral"]
    build = _Build(tuple(names), len(k10))
    for n in range(out.shape[1]):
        build.exchange("central", f"peripheral{n + 1}", out[:, n], back[:, n])
    readings = {PARENT: Reading("central", p["V1"], card.analytes[PARENT].scale)}
    source, cleared = "central", k10
    for one in card.metabolites:
        for n in range(one.transits):
            step = f"{one.analyte} step {n + 1}"
            build.flow(source, step, cleared)
            source, cleared = step, one.transits / p[one.mean_transit]
        share = p[one.share] if one.share else np.ones(len(k10))
        build.flow(source, one.analyte, cleared * share)
        build.flow(source, ELIMINATED, cleared * (1 - share))
        volume, exchange = p[one.central], p[one.exchange]
        build.exchange(
            one.analyte,
            f"{one.analyte} peripheral",
            exchange / volume,
            exchange / p[one.peripheral],
        )
        readings[one.analyte] = Reading(one.analyte, volume, card.analytes[one.analyte].scale)
        source, cleared = one.analyte, p[one.clearance] / volume
    build.flow(source, ELIMINATED, cleared)
    return Compartments(build.names, build.matrix, readings, p, "central")


def _nasal(card: ModelCard, p: Mapping[str, Floats]) -> Compartments:
    """Nose and gut feed plasma and liver; the liver eliminates, in part as metabolite."""
    metabolite = next(name for name in card.analytes if name != PARENT)
    names = ("nose", "gut", "plasma", "peripheral1", "peripheral2", "liver")
    build = _Build((*names, metabolite, f"{metabolite} peripheral"), len(p["Vc"]))
    build.flow("nose", "plasma", p["ka_n"])
    build.flow("gut", "liver", p["ka_sw"])
    build.exchange("plasma", "peripheral1", p["Q1"] / p["Vc"], p["Q1"] / p["Vp1"])
    build.exchange("plasma", "peripheral2", p["Q2"] / p["Vc"], p["Q2"] / p["Vp2"])
    build.exchange("plasma", "liver", p["Qh"] / p["Vc"], p["Qh"] / p["Vh"])
    build.flow("liver", ELIMINATED, p["kel"])
    build.flow("liver", metabolite, p["kmet"])
    build.flow(metabolite, ELIMINATED, p["CLn"] / p["Vcn"])
    build.exchange(metabolite, f"{metabolite} peripheral", p["Q3"] / p["Vcn"], p["Q3"] / p["Vpn"])
    readings = {
        PARENT: Reading("plasma", p["Vc"], card.analytes[PARENT].scale),
        metabolite: Reading(metabolite, p["Vcn"], card.analytes[metabolite].scale),
    }
    return Compartments(build.names, build.matrix, readings, p, "plasma")
