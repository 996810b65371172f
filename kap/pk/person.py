"""One virtual person or many: covariates and random effects in, a model's parameters out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kap.pk.card import ModelCard, PkParameter, Race
from kap.pk.refusal import refused

Floats = NDArray[np.float64]

REFERENCE_KG = 70.0


@dataclass(frozen=True, slots=True)
class Covariates:
    """Age in years, weight in kg, and race as the person stated it; None: not told."""

    age_y: float | None
    weight_kg: float | None
    race: Race = "not_stated"


def random_effects(card: ModelCard, normals: ArrayLike) -> Floats:
    """Return random effects, shape (people, effects), of standard normals of the same shape.

    PkError when the card reports no variability, or for another number of columns.
    """
    drawn = np.asarray(normals, dtype=float)
    root = card.variability.root()
    if not len(root):
        what = f"{card.id}: variability"
        raise refused("variability", what, "not reported", "ask for the typical curve alone")
    if drawn.ndim != 2 or drawn.shape[1] != len(root):
        names = ", ".join(card.variability.names)
        raise refused("variability", "normals", drawn.shape, f"give a column for each of {names}")
    if not np.isfinite(drawn).all():
        raise refused("not_a_number", "normals", "not all finite", "write finite numbers")
    effects: Floats = drawn @ root.T
    return effects


def values(card: ModelCard, person: Covariates, effects: Floats) -> dict[str, Floats]:
    """Return each parameter in L, L/min, 1/min, min or 1, shape (people,), for rows of effects."""
    people = len(effects)
    found = {}
    for name, parameter in card.parameters.items():
        value = np.full(people, _typical(card, parameter, person))
        if name in card.variability.names:
            eta = effects[:, card.variability.names.index(name)]
            value = _spread(value, eta, is_logit=name in card.variability.logit)
        for effect in card.effects:
            if effect.parameter == name and person.race in effect.race:
                value = value * effect.factor
        # A fraction that a covariate lifts above all of the dose is all of the dose.
        found[name] = np.minimum(value, 1.0) if parameter.unit == "1" else value
    return found


def _typical(card: ModelCard, parameter: PkParameter, person: Covariates) -> float:
    value = parameter.value
    if parameter.weight_exponent and person.weight_kg is not None:
        value *= (person.weight_kg / REFERENCE_KG) ** parameter.weight_exponent
    if parameter.each_kg and person.weight_kg is not None:
        value *= person.weight_kg
    for effect in card.effects:
        if effect.parameter == parameter.name and effect.each_year and person.age_y is not None:
            value += effect.each_year * max(0.0, person.age_y - effect.age_above_y)
    return value


def _spread(value: Floats, eta: Floats, *, is_logit: bool) -> Floats:
    if is_logit:
        return 1 / (1 + (1 - value) / value * np.exp(-eta))
    return value * np.exp(eta)
