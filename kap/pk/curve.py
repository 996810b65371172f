"""A curve with everything that must stand beside it: card, analyte, matrix, unit, status."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kap.pk.card import ModelCard
from kap.pk.drawing import Lane, described, lane, lane_table
from kap.pk.person import Floats


@dataclass(frozen=True, slots=True)
class Curve:
    """Concentrations of one analyte at times in min, in `unit`. A model is not a measurement."""

    card: ModelCard
    analyte: str
    t_min: Floats
    values: Floats

    @classmethod
    def of(cls, card: ModelCard, analyte: str, t_min: Floats, values: Floats) -> Curve:
        """Return a curve whose arrays cannot be changed."""
        for array in (t_min, values):
            array.flags.writeable = False
        return cls(card, analyte, t_min, values)

    @property
    def unit(self) -> str:
        """Return the unit of the values: ng/mL or nmol/mL."""
        return self.card.analyte(self.analyte).unit

    @property
    def matrix(self) -> str:
        """Return where it would be measured: arterial, venous, plasma, not_verified."""
        return self.card.analyte(self.analyte).matrix

    def records(self) -> Iterator[dict[str, object]]:
        """Yield one flat row a time: card, analyte, matrix, unit, minute, value."""
        for minute, value in zip(self.t_min, self.values, strict=True):
            yield {
                "card": self.card.id,
                "version": self.card.version,
                "analyte": self.analyte,
                "matrix": self.matrix,
                "unit": self.unit,
                "t_min": float(minute),
                "value": float(value),
            }

    def peak(self) -> tuple[float, float]:
        """Return (time in min, value) of the highest value asked about."""
        place = int(np.argmax(self.values))
        return float(self.t_min[place]), float(self.values[place])

    def lane(self) -> Lane:
        """Return the curve as it is drawn, with its card, matrix, status and warnings."""
        return Lane(
            f"{self.card.analyte(self.analyte).name}, {self.card.id}",
            self.unit,
            self.t_min,
            lines=((self.card.id, self.values),),
            words=described(about(self.card, self.analyte)),
            is_unverified=self.card.status != "verified",
        )

    def plot(self) -> str:
        """Return the curve as an SVG picture that carries its own colours."""
        return lane(self.lane(), colours="literal")

    def _repr_html_(self) -> str:
        return self.plot() + lane_table(self.lane())


def about(card: ModelCard, analyte: str) -> list[str]:
    """Return what stands beside a card's curve: analyte, matrix, status, signature, warnings."""
    what = card.analyte(analyte)
    signed = f"signed by {card.signed_by}" if card.signed_by else "not signed"
    matrix = what.matrix.replace("_", " ")
    head = f"{card.id}@{card.version}: {what.name}, {matrix}; status {card.status}; {signed}."
    return [head, f"Population: {card.population}.", *card.warnings]
