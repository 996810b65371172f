"""Exact curves: a card, a person, what was given, and the times that are asked about.

Inputs are constant between events, so every stretch between two of them has a closed form: sums
of exponentials for a parent in a mammillary model, one matrix exponential for the chains. No
differential equation is stepped. Source: docs/algorithms/pharmacokinetics.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from kap.pk.card import PARENT, ModelCard
from kap.pk.chain import Chain
from kap.pk.compartments import Compartments, Given, compartments, given, parent_modes
from kap.pk.curve import Curve
from kap.pk.dosing import Schedule
from kap.pk.fit import demand_fit, times
from kap.pk.person import Covariates, Floats
from kap.pk.refusal import refused
from kap.pk.tree import Modes, grid_step


def solve(
    card: ModelCard,
    person: Covariates,
    schedule: Schedule,
    t_min: ArrayLike,
    analyte: str = PARENT,
    eta: ArrayLike | None = None,
) -> Curve:
    """Return the curve of one person: the typical one, or that of the random effects `eta`.

    `eta` has the order of `card.variability.names`. PkError where the card does not fit.
    """
    demand_fit(card, person, schedule)
    effects = _effects(card, eta)
    asked = times(t_min)
    found = levels(card, person, schedule, asked, effects, analyte)[0]
    return Curve.of(card, analyte, asked, found)


def levels(
    card: ModelCard,
    person: Covariates,
    schedule: Schedule,
    t_min: Floats,
    effects: Floats,
    analyte: str = PARENT,
) -> Floats:
    """Return concentrations in the analyte's unit, shape (people, times), for rows of effects."""
    kind = card.analyte(analyte)
    if analyte == PARENT and card.kind != "nasal":
        parent = parent_modes(card, person, effects)
        return _by_modes(parent, schedule, t_min) * kind.scale
    return _by_chain(compartments(card, person, effects), schedule, t_min, analyte)


def _effects(card: ModelCard, eta: ArrayLike | None) -> Floats:
    size = len(card.variability.names)
    if eta is None:
        return np.zeros((1, size))
    found = np.asarray(eta, dtype=float)
    if found.shape != (size,) or not np.isfinite(found).all():
        names = ", ".join(card.variability.names) or "no effect"
        raise refused("variability", f"{card.id}: eta", found, f"give one number each for {names}")
    return found[None, :]


# --- stretches ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stretch:
    """From one change of input to the next: `end_min` is infinite for the last."""

    start_min: float
    end_min: float


def stretches(starts: Sequence[float], ends: Sequence[float]) -> list[Stretch]:
    """Return the stretches between all times at which an input begins or ends."""
    changes = sorted({*starts, *ends})
    return [Stretch(a, b) for a, b in pairwise([*changes, math.inf])]


def _asked(stretch: Stretch, t_min: Floats) -> slice:
    """Return which of the times, in ascending order, lie in a stretch, its end left out."""
    first, last = np.searchsorted(t_min, [stretch.start_min, stretch.end_min], side="left")
    return slice(int(first), int(last))


# --- a parent in a mammillary model -------------------------------------------------------------


def _by_modes(parent: Modes, schedule: Schedule, t_min: Floats) -> Floats:
    found = np.zeros((len(parent.rates), len(t_min)))
    for stretch, asked, state, rate in course(parent, schedule, t_min):
        found[:, asked] = parent.levels(state, rate, t_min[asked] - stretch.start_min)
    return found


def course(
    parent: Modes, schedule: Schedule, t_min: Floats
) -> Iterator[tuple[Stretch, slice, Floats, float]]:
    """Yield each stretch that holds times: it, their places, the state at its start, mg/min."""
    pump = schedule.segments
    starts = [s.start_min for s in pump] + [b.t_min for b in schedule.boluses]
    state = parent.start()
    for stretch in stretches(starts, [s.end_min for s in pump]):
        at = stretch.start_min
        state = state + sum(b.mass.value for b in schedule.boluses if b.t_min == at)
        rate = sum(s.mg_per_min for s in pump if s.start_min <= at < s.end_min)
        asked = _asked(stretch, t_min)
        if asked.stop > asked.start:
            yield stretch, asked, state, rate
        if stretch.end_min < math.inf:
            state = parent.after(state, rate, stretch.end_min - at)


# --- chains -------------------------------------------------------------------------------------


def _by_chain(parts: Compartments, schedule: Schedule, t_min: Floats, analyte: str) -> Floats:
    reading = parts.readings[analyte]
    measured = [name for name in parts.names if name != "eliminated"]
    inputs = [one for one in given(parts, schedule) if one.compartment in measured]
    walk = Walk(parts, inputs, len(measured))
    row = np.zeros(walk.state.shape)
    row[:, parts.place(reading.compartment)] = reading.scale / reading.volume
    found = np.zeros((len(row), len(t_min)))
    for stretch in walk.stretches:
        walk.enter(stretch)
        asked = _asked(stretch, t_min)
        offsets = t_min[asked] - stretch.start_min
        if len(offsets):
            found[:, asked] = walk.read(row, offsets)
        walk.leave(stretch)
    return found


class Walk:
    """The state of some people as it goes from stretch to stretch: mg, then mg/min of inputs.

    `size` is how many of the compartments are followed.
    """

    def __init__(self, parts: Compartments, inputs: Sequence[Given], size: int) -> None:
        self.parts, self.inputs, self.size = parts, inputs, size
        evenly = {one.compartment for one in inputs if not one.is_instant}
        self.fed = [name for name in parts.names if name in evenly]
        places = tuple(parts.place(name) for name in self.fed)
        self.chain = Chain(parts.matrix[:, :size, :size], places)
        self.state = self.chain.start()
        self.stretches = stretches([i.start_min for i in inputs], [i.end_min for i in inputs])

    def enter(self, stretch: Stretch) -> None:
        """Take what is given at the start, and the rates that hold from there on."""
        at, state = stretch.start_min, self.state.copy()
        state[:, self.size :] = 0.0
        for one in self.inputs:
            if one.is_instant and one.start_min == at:
                state[:, self.parts.place(one.compartment)] += one.mg
            elif one.start_min <= at < one.end_min:
                state[:, self.size + self.fed.index(one.compartment)] += one.mg_per_min
        self.state = state

    def leave(self, stretch: Stretch) -> None:
        """Go to the end of a stretch that has one."""
        if stretch.end_min < math.inf:
            self.state = self.chain.after(self.state, stretch.end_min - stretch.start_min)

    def read(self, row: Floats, offsets: Floats) -> Floats:
        """Return `row` times the state at offsets from the start of the stretch."""
        step = grid_step(offsets)
        if step is not None:
            first = self.chain.after(self.state, float(offsets[0]))
            return self.chain.grid(first, row, step, len(offsets))
        found, state, at = np.empty((len(row), len(offsets))), self.state, 0.0
        for place, offset in enumerate(offsets):
            state, at = self.chain.after(state, float(offset) - at), float(offset)
            found[:, place] = (row * state).sum(axis=1)
        return found


# --- where the mass is --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Balance:
    """mg of base at each time: given so far, in each compartment, eliminated for good.

    Metabolites count as the parent that formed them.
    """

    t_min: Floats
    given: Floats
    in_body: Floats
    eliminated: Floats

    @property
    def error(self) -> float:
        """Return the largest difference, as a share of what was given."""
        missing = np.abs(self.given - self.in_body - self.eliminated)
        return float((missing / np.maximum(self.given, 1e-300)).max(initial=0.0))


def mass_balance(
    card: ModelCard, person: Covariates, schedule: Schedule, t_min: ArrayLike
) -> Balance:
    """Return where the given mass is at each time, for the typical person."""
    demand_fit(card, person, schedule)
    asked = times(t_min)
    parts = compartments(card, person, _effects(card, None))
    inputs = given(parts, schedule)
    walk = Walk(parts, inputs, len(parts.names))
    amounts = np.zeros((len(asked), walk.size))
    for stretch in walk.stretches:
        walk.enter(stretch)
        places = _asked(stretch, asked)
        for place in range(places.start, places.stop):
            ahead = walk.chain.after(walk.state, float(asked[place]) - stretch.start_min)
            amounts[place] = ahead[0, : walk.size]
        walk.leave(stretch)
    total = sum((_so_far(one, asked) for one in inputs), np.zeros(len(asked)))
    return Balance(asked, total, amounts[:, :-1].sum(axis=1), amounts[:, -1])


def _so_far(one: Given, t_min: Floats) -> Floats:
    mg = float(one.mg[0])
    if one.is_instant:
        return np.where(t_min >= one.start_min, mg, 0.0)
    passed = np.clip((t_min - one.start_min) / (one.end_min - one.start_min), 0.0, 1.0)
    return passed * mg
