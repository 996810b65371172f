"""Amounts with their unit: mixing units is an error, and no number is a binary float.

Units are UCUM codes. `mg(34) + kg(68)` raises UnitError; `mg_per_kg("0.5") * kg("68.0")` is mg(34).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

# UCUM code -> how it is written beside a number (docs/algorithms/dose.md; "mcg", never "µg").
UNITS = {
    "mg": "mg",
    "ug": "mcg",
    "kg": "kg",
    "g": "g",
    "mL": "mL",
    "uL": "mcL",
    "cm": "cm",
    "min": "min",
    "s": "s",
    "h": "h",
    "d": "d",
    "mL/h": "mL/h",
    "mg/mL": "mg/mL",
    "mg/kg": "mg/kg",
    "mg/kg/min": "mg/kg/min",
    "mm[Hg]": "mmHg",
    "/min": "/min",
    "%": "%",
    "Cel": "°C",
    "ng/mL": "ng/mL",
    "kg/m2": "kg/m²",
    "1": "",
}
_CODES = {shown: code for code, shown in UNITS.items() if shown} | {code: code for code in UNITS}

# What a product of two units is. Anything else is refused: an answer nobody planned is a wrong one.
_PRODUCTS = {
    frozenset({"mg/kg", "kg"}): "mg",
    frozenset({"mg/kg/min", "min"}): "mg/kg",
    frozenset({"mg/mL", "mL"}): "mg",
    frozenset({"mL/h", "h"}): "mL",
}
_AMOUNT = re.compile(r"\s*(?P<number>[+-]?[0-9.,]+)\s*(?P<unit>\S+)\s*")
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
_DIGITS = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_GROUP_FROM = 10_000

Exact = Decimal | int | str


class UnitError(ValueError):
    """A unit that is missing, unknown or mixed with another, or a number that is not exact."""


def exact(value: object, what: str = "a number") -> Decimal:
    """Return a Decimal, int or decimal text as it is. UnitError for a binary float or no number."""
    if isinstance(value, float):
        raise UnitError(f"{what}: {value!r} is a binary float; write Decimal('{value}') or a text")
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str)):
        raise UnitError(f"{what}: {value!r} is no number; write a Decimal, an int or a text")
    # Decimal itself would also take "1_0", blanks and the digits of any script.
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise UnitError(f"{what}: {value!r} is no number; write digits, as in 68.0")
    number = Decimal(value)
    if not number.is_finite():
        raise UnitError(f"{what}: {value!r} is no number; write digits, as in 68.0")
    return number


def read_number(text: str) -> Decimal:
    """Return a number as a person writes it: point or comma. `1,234` is ambiguous: UnitError."""
    written = text.strip()
    if _THOUSANDS.fullmatch(written):
        whole = written.replace(",", "")
        raise UnitError(f"{written!r} may be {whole} or {written.replace(',', '.')}; write one")
    if not _NUMBER.fullmatch(written):
        raise UnitError(f"{written!r} is no number; write digits, as in 68.0 or 68,0")
    return Decimal(written.replace(",", "."))


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact amount in one UCUM unit. Sums and comparisons need the same unit, else UnitError."""

    value: Decimal
    unit: str

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise UnitError(f"{self.unit!r} is no unit here; use one of {', '.join(UNITS)}")
        object.__setattr__(self, "value", exact(self.value, self.unit))

    def __str__(self) -> str:
        """Return the amount as it is shown: "34 mg", no trailing zero, thin space in thousands."""
        return f"{shown(self.value)} {UNITS[self.unit]}".rstrip()

    def _same(self, other: Quantity) -> Decimal:
        if not isinstance(other, Quantity):
            raise UnitError(f"{self} and {other!r}: give the unit of {other!r}")
        if other.unit != self.unit:
            raise UnitError(f"{self} and {other}: convert one of them first")
        return other.value

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.value + self._same(other), self.unit)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.value - self._same(other), self.unit)

    def __lt__(self, other: Quantity) -> bool:
        return self.value < self._same(other)

    def __le__(self, other: Quantity) -> bool:
        return self.value <= self._same(other)

    def __gt__(self, other: Quantity) -> bool:
        return self.value > self._same(other)

    def __ge__(self, other: Quantity) -> bool:
        return self.value >= self._same(other)

    def __mul__(self, other: Quantity | Decimal | int) -> Quantity:
        """Return the amount times a number, or a product that makes sense (mg/kg x kg = mg)."""
        if not isinstance(other, Quantity):
            return Quantity(self.value * exact(other), self.unit)
        unit = _PRODUCTS.get(frozenset({self.unit, other.unit}))
        if unit is None:
            raise UnitError(f"{self} x {other} is no amount that is used here; check the units")
        return Quantity(self.value * other.value, unit)


def shown(value: Decimal) -> str:
    """Return a number for people: leading zero, no trailing zero, thin space from 10 000 on."""
    plain = f"{value:f}"
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return f"{Decimal(plain):,f}".replace(",", "\u2009") if abs(value) >= _GROUP_FROM else plain


def parse(text: str) -> Quantity:
    """Return the amount of a text such as "35 mg" or "6,8 mL". UnitError says what is wrong."""
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise UnitError(f"{text!r}: write a number and its unit, as in '35 mg'")
    unit = _CODES.get(found["unit"])
    if unit is None:
        raise UnitError(f"{text!r}: {found['unit']!r} is no unit here; use {', '.join(UNITS)}")
    return Quantity(read_number(found["number"]), unit)


def mg(value: Exact) -> Quantity:
    """Return milligrams."""
    return Quantity(exact(value, "mg"), "mg")


def kg(value: Exact) -> Quantity:
    """Return kilograms."""
    return Quantity(exact(value, "kg"), "kg")


def ml(value: Exact) -> Quantity:
    """Return millilitres."""
    return Quantity(exact(value, "mL"), "mL")


def ml_per_h(value: Exact) -> Quantity:
    """Return millilitres per hour."""
    return Quantity(exact(value, "mL/h"), "mL/h")


def mg_per_ml(value: Exact) -> Quantity:
    """Return milligrams per millilitre."""
    return Quantity(exact(value, "mg/mL"), "mg/mL")


def mg_per_kg(value: Exact) -> Quantity:
    """Return milligrams per kilogram of dosing weight."""
    return Quantity(exact(value, "mg/kg"), "mg/kg")


def mmhg(value: Exact) -> Quantity:
    """Return millimetres of mercury."""
    return Quantity(exact(value, "mmHg"), "mm[Hg]")


def minutes(value: Exact) -> Quantity:
    """Return minutes."""
    return Quantity(exact(value, "min"), "min")


def ng_per_ml(value: Exact) -> Quantity:
    """Return nanograms per millilitre."""
    return Quantity(exact(value, "ng/mL"), "ng/mL")
