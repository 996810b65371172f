"""Model cards: a published model as data, with its population, status, warnings and signature.

Volumes are kept in L, flows in L/min, rate constants
in 1/min, times in min; a card says them as its paper does, and `Parameter.printed` keeps that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kap.pk.dosing import Substance
from kap.pk.refusal import refused

Status = Literal["verified", "abstract", "peer"]
Matrix = Literal["arterial", "venous", "plasma", "not_verified"]
Kind = Literal["mammillary", "micro", "nasal"]
Race = Literal["asian", "japanese", "other", "not_stated"]

PARENT = "parent"


@dataclass(frozen=True, slots=True)
class PkParameter:
    """One number of a model. `value` is in L, L/min, 1/min, min or 1, at `printed` as published.

    `weight_exponent` scales by (weight/70 kg) to that power; `each_kg` multiplies by the weight.
    """

    name: str
    value: float
    printed: float
    unit: str
    weight_exponent: float = 0.0
    each_kg: bool = False


@dataclass(frozen=True, slots=True)
class Analyte:
    """What is measured: its name, matrix and unit, and whether a clinic may ever see its curve.

    `scale` turns mg/L into `unit`. `residual` is the published residual error, by its kind.
    """

    id: str
    name: str
    matrix: Matrix
    unit: str
    scale: float
    clinical: bool
    residual: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Metabolite:
    """A link of a one-way chain: what is cleared of the one before forms this one.

    The names are parameters: `share` of what passes `transits` equal steps (together
    `mean_transit`) reaches the central volume; no share is all of it.
    """

    analyte: str
    transits: int
    mean_transit: str
    share: str
    central: str
    peripheral: str
    clearance: str
    exchange: str


@dataclass(frozen=True, slots=True)
class Effect:
    """What a covariate does to a parameter: a factor for some, or a slope above an age."""

    parameter: str
    race: tuple[Race, ...] = ()
    factor: float = 1.0
    age_above_y: float = math.inf
    each_year: float = 0.0


@dataclass(frozen=True, slots=True)
class Variability:
    """Between people: `names` in the order of the random effects, their covariance, the kinds.

    Effects are exponential, but for the parameters of `logit`. `not_reported` names parameters
    whose variability the paper has and does not print.
    """

    names: tuple[str, ...]
    covariance: tuple[tuple[float, ...], ...]
    logit: frozenset[str]
    not_reported: tuple[str, ...]

    def root(self) -> NDArray[np.float64]:
        """Return the lower triangular root of the covariance, shape (effects, effects)."""
        size = len(self.names)
        if not size:
            return np.zeros((0, 0))
        return np.linalg.cholesky(np.array(self.covariance).reshape(size, size))


@dataclass(frozen=True, slots=True)
class DoseRange:
    """What a route may carry: mg in total, and mg a device; None where the card says no range."""

    total_mg: tuple[float, float] | None
    device_mg: float | None


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One published model, complete. `digest` is the SHA-256 of its file."""

    id: str
    version: str
    digest: str
    title: str
    substance: Substance
    population: str
    status: Status
    status_why: str
    clinical_screen: Literal["once_signed", "no"]
    clinical_screen_why: str
    citation: str
    weight_scaling: str
    signed_by: str
    warnings: tuple[str, ...]
    kind: Kind
    metabolites: tuple[Metabolite, ...]
    analytes: Mapping[str, Analyte]
    ranges: Mapping[str, tuple[float, float]]
    routes: Mapping[str, DoseRange]
    parameters: Mapping[str, PkParameter]
    variability: Variability
    effects: tuple[Effect, ...]

    @property
    def matrix(self) -> Matrix:
        """Return where the parent was measured."""
        return self.analytes[PARENT].matrix

    @property
    def is_weight_scaled(self) -> bool:
        """Return whether any parameter depends on the weight."""
        return any(p.weight_exponent or p.each_kg for p in self.parameters.values())

    @property
    def reads_age(self) -> bool:
        """Return whether any parameter depends on the age."""
        return any(effect.each_year for effect in self.effects)

    @property
    def reads_race(self) -> bool:
        """Return whether any parameter depends on stated race."""
        return any(effect.race for effect in self.effects)

    def analyte(self, analyte_id: str) -> Analyte:
        """Return one analyte. PkError when the card has none of this name."""
        if analyte_id in self.analytes:
            return self.analytes[analyte_id]
        known = ", ".join(self.analytes)
        raise refused("analyte", f"{self.id}: analyte", repr(analyte_id), f"ask for {known}")
