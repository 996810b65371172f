"""A state carried from event to event: what an open page asks each minute, without starting over.

A corrected event lies before the state: start again from `state0`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from kap.pk.card import PARENT, ModelCard
from kap.pk.compartments import Compartments, Given, compartments, given
from kap.pk.dosing import Event, Rate, segments
from kap.pk.fit import demand_fit
from kap.pk.person import Covariates, Floats
from kap.pk.refusal import refused
from kap.pk.solve import Stretch, Walk


@dataclass(frozen=True, slots=True)
class State:
    """Where a typical person is at one time: mg in each compartment, the rate, what still comes.

    `amounts` ends with what is eliminated. `events` are all that led here.
    """

    at_min: float
    amounts: Floats
    mg_per_min: float = 0.0
    coming: tuple[Given, ...] = ()
    events: tuple[Event, ...] = ()


def state0(card: ModelCard, person: Covariates, at_min: float = 0.0) -> State:
    """Return the state of a person who has had nothing. PkError where the card does not fit."""
    demand_fit(card, person, segments([], at_min))
    return State(at_min, np.zeros(len(_parts(card, person).names)))


def advance(
    state: State, card: ModelCard, person: Covariates, event: Event | None, to_min: float
) -> State:
    """Return the state at `to_min`, after an event on the way; None: only time passes.

    PkError for an event before the state or after `to_min`, and where the card does not fit.
    """
    at = to_min if event is None else event.t_min
    if not state.at_min <= at <= to_min:
        span = f"{at:g} min, from {state.at_min:g} to {to_min:g}"
        raise refused("times", "event", span, "start again from state0")
    events = state.events if event is None else (*state.events, event)
    demand_fit(card, person, segments(events, to_min))
    parts = _parts(card, person)
    if event is not None:
        state = _with(_moved(state, parts, at), parts, event)
    return replace(_moved(state, parts, to_min), events=events)


def level(state: State, card: ModelCard, person: Covariates, analyte: str = PARENT) -> float:
    """Return the concentration of a state, in the analyte's unit."""
    card.analyte(analyte)
    parts = _parts(card, person)
    reading = parts.readings[analyte]
    mg = float(state.amounts[parts.place(reading.compartment)])
    return mg * reading.scale / float(reading.volume[0])


def _parts(card: ModelCard, person: Covariates) -> Compartments:
    return compartments(card, person, np.zeros((1, len(card.variability.names))))


def _with(state: State, parts: Compartments, event: Event) -> State:
    if isinstance(event, Rate):
        return replace(state, mg_per_min=event.mg_per_min)
    amounts, coming = state.amounts.copy(), list(state.coming)
    for one in given(parts, segments([event], event.t_min)):
        if one.is_instant:
            amounts[parts.place(one.compartment)] += float(one.mg[0])
        else:
            coming.append(one)
    return replace(state, amounts=amounts, coming=tuple(coming))


def _moved(state: State, parts: Compartments, to_min: float) -> State:
    start = state.at_min
    if to_min == start:
        return state
    pumped = np.array([state.mg_per_min * (to_min - start)])
    pump = [Given(parts.intravenous, start, to_min, pumped)] if state.mg_per_min else []
    inputs = [*pump, *(one.between(start, to_min) for one in state.coming)]
    walk = Walk(parts, inputs, len(parts.names))
    walk.state[0, : walk.size] = state.amounts
    changes = {start, to_min, *(one.end_min for one in inputs)}
    for a, b in pairwise(sorted(changes)):
        walk.enter(Stretch(a, b))
        walk.leave(Stretch(a, b))
    coming = tuple(one for one in state.coming if one.end_min > to_min)
    return replace(state, at_min=to_min, amounts=walk.state[0, : walk.size], coming=coming)
