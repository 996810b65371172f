"""The weight that a dose is counted on: actual, or adjusted from a body mass index on.

The numbers are in `ceilings.toml`. Source: docs/algorithms/dose.md, section 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction

from kap.ceilings import THOUSANDTH, Ceilings, DoseError, ceilings, positive, whole
from kap.quantity import shown


@dataclass(frozen=True, slots=True)
class DosingWeight:
    """The weight that a dose is counted on, and what it came from.

    `basis` is "actual" or "adjusted"; `kg` has whole grams, rounded down. Source: Devine, 7.1.
    """

    kg: Decimal
    basis: str
    actual_kg: Decimal
    bmi: Decimal
    ideal_kg: Decimal | None = None


def dosing_weight(
    actual_kg: Decimal | int | str, height_cm: Decimal | int | str, sex_male: bool | None
) -> DosingWeight:
    """Return the dosing weight: the actual one, or from a body mass index of 30 the adjusted one.

    `bmi` is exact to 0.1 kg/m2, rounded half up, for showing; the choice is made on the exact
    ratio. DoseError outside the weight and index ranges, for an unknown sex where it decides, and
    below 152.4 cm, where the prescriber picks the weight.
    """
    held = ceilings()
    weight = whole(actual_kg, "weight in kg", THOUSANDTH)
    height = positive(height_cm, "height in cm")
    bmi = Fraction(weight) * 10_000 / Fraction(height) ** 2
    _within(weight, held.weight_low, held.weight_high, "kg")
    _within(bmi, held.bmi_low, held.bmi_high, "kg/m2")
    read = Decimal(int(bmi * 10 + Fraction(1, 2))).scaleb(-1)
    if bmi < Fraction(held.bmi_adjusted_from):
        return DosingWeight(weight, "actual", weight, read)
    ideal = _ideal_weight(height, sex_male, held)
    adjusted = ideal + held.share_of_excess * (weight - ideal)
    return DosingWeight(
        adjusted.quantize(THOUSANDTH, ROUND_FLOOR), "adjusted", weight, read, ideal_kg=ideal
    )


def _ideal_weight(height: Decimal, sex_male: bool | None, held: Ceilings) -> Decimal:
    if height < held.ideal_from_cm:
        raise DoseError(
            f"{shown(height)} cm",
            f"the formula starts at {held.ideal_from_cm} cm",
            "WEIGHT",
            "the prescriber picks the dosing weight",
        )
    if sex_male is None:
        raise DoseError(
            "sex not known",
            "the ideal weight of men and women differs",
            "WEIGHT",
            "record it, or the prescriber picks the dosing weight",
        )
    start = held.ideal_men if sex_male else held.ideal_women
    return start + held.ideal_per_cm * (height - held.ideal_from_cm)


def _within(value: Decimal | Fraction, low: Decimal, high: Decimal, unit: str) -> None:
    if not Fraction(low) <= Fraction(value) <= Fraction(high):
        raise DoseError(
            f"{float(value):.1f} {unit}",
            f"it lies between {low} and {high} {unit}",
            "WEIGHT",
            "check weight, height and their units (lb or kg)",
        )
