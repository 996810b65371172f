"""The hard ceilings of a dose (`ceilings.toml`), and the database CHECK made from the same rows.

A protocol may be stricter, never looser. The file is pinned: its digest stands in this module, so
that a ceiling is changed in two places by somebody who means it.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from kap.quantity import UnitError, exact

PINNED = "2538d72bfea3c89b62d4e9d02563520e672b705ca40da345ff7fd429f6a07d4f"

# Of a kilogram; likewise the microlitre of a mL, the microgram of a mg.
THOUSANDTH = Decimal("0.001")
_LARGEST = Decimal(1_000_000)
_FINEST = -9  # decimals


class DoseError(ValueError):
    """A dose that does not exist. Carries `value`, `limit`, `rule` and the way out."""

    def __init__(self, value: str, limit: str, rule: str, way_out: str) -> None:
        super().__init__(f"{value}: {limit} ({rule}); {way_out}")
        self.value, self.limit, self.rule, self.way_out = value, limit, rule, way_out


def positive(value: object, what: str) -> Decimal:
    """Return an exact number above 0; DoseError names it by `what`."""
    try:
        number = exact(value, what)
    except UnitError as problem:
        raise DoseError(str(value), str(problem), "exact numbers", "write digits") from None
    exponent = number.as_tuple().exponent
    fine = isinstance(exponent, int) and exponent >= _FINEST
    if not (fine and 0 < number <= _LARGEST):
        raise DoseError(
            str(value),
            f"{what} is above 0, at most {_LARGEST}, with 9 decimals at most",
            "possible numbers",
            "check value and unit",
        )
    return number


def whole(value: object, what: str, step: Decimal) -> Decimal:
    """Return an exact number above 0 that is a whole number of `step`; else DoseError."""
    number = positive(value, what)
    if number % step:
        raise DoseError(
            str(value), f"{what} is a whole number of {step}", "possible numbers", "round it"
        )
    return number


class CeilingError(ValueError):
    """A ceilings file that is not the pinned one, or a route that it does not hold."""


@dataclass(frozen=True, slots=True)
class Route:
    """The ceilings of one route; None: none is set. mg/kg is per kg of dosing weight."""

    code: str
    drug: str
    is_orderable: bool
    bolus_allowed: bool
    mg_per_kg_max: Decimal | None = None
    mg_per_kg_min_max: Decimal | None = None
    mg_max: Decimal | None = None
    minutes_min: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Every hard limit of a dose. Weights in kg, body mass index in kg/m2, heights in cm."""

    digest: str
    weight_low: Decimal
    weight_high: Decimal
    bmi_low: Decimal
    bmi_high: Decimal
    bmi_adjusted_from: Decimal
    ideal_men: Decimal
    ideal_women: Decimal
    ideal_per_cm: Decimal
    ideal_from_cm: Decimal
    share_of_excess: Decimal
    routes: Mapping[str, Route]

    def route(self, code: str) -> Route:
        """Return the ceilings of a route; CeilingError when there is none of that name."""
        if code not in self.routes:
            raise CeilingError(f"no route {code!r}; use one of {', '.join(self.routes)}")
        return self.routes[code]


@cache
def ceilings() -> Ceilings:
    """Return the shipped ceilings. CeilingError when the file is not the pinned one."""
    found = resources.files("kap").joinpath("ceilings.toml").read_bytes()
    return read_ceilings(found, pinned=PINNED)


def read_ceilings(text: bytes, *, pinned: str) -> Ceilings:
    """Return the ceilings of a TOML text whose SHA-256 is `pinned`; else CeilingError."""
    digest = hashlib.sha256(text).hexdigest()
    if digest != pinned:
        raise CeilingError(f"ceilings.toml has digest {digest}, pinned is {pinned}: restore it")
    data = tomllib.loads(text.decode(), parse_float=Decimal)
    ideal = _values(data["ideal_weight"])
    weight, bmi = _values(data["weight"]), _values(data["bmi"])
    return Ceilings(
        digest=digest,
        weight_low=weight["low"],
        weight_high=weight["high"],
        bmi_low=bmi["low"],
        bmi_high=bmi["high"],
        bmi_adjusted_from=bmi["adjusted_from"],
        ideal_men=ideal["men"],
        ideal_women=ideal["women"],
        ideal_per_cm=ideal["per_cm"],
        ideal_from_cm=ideal["from_cm"],
        share_of_excess=ideal["share_of_excess"],
        routes=MappingProxyType({code: _route(code, row) for code, row in data["route"].items()}),
    )


def ceiling_check_sql(
    held: Ceilings,
    *,
    route: str = "route",
    dose_ug: str = "dose_ug",
    mg_per_kg: str = "mg_per_kg",
    weight_g: str = "weight_g",
    minutes: str = "minutes",
) -> str:
    """Return the SQL of the CHECK that the order table carries, for columns of these names.

    Micrograms per gram are milligrams per kilogram, so nothing is divided and nothing is rounded.
    A route without an orderable protocol is refused.
    """
    weight = f"{weight_g} BETWEEN {_grams(held.weight_low)} AND {_grams(held.weight_high)}"
    branches = [
        " AND ".join(
            [
                f"{route} = '{row.code}'",
                weight,
                *_row_sql(row, dose_ug, mg_per_kg, weight_g, minutes),
            ]
        )
        for row in held.routes.values()
        if row.is_orderable
    ]
    return " OR ".join(f"({branch})" for branch in branches)


def _row_sql(row: Route, dose: str, per_kg: str, weight: str, minutes: str) -> list[str]:
    """The conditions of one route, each only where a ceiling is set."""
    limits = [
        (row.mg_per_kg_max, f"{per_kg} <= {{0}} AND {dose} <= {{0}} * {weight}"),
        (row.mg_per_kg_min_max, f"{dose} <= {{0}} * {weight} * {minutes}"),
        (row.mg_max, f"{dose} <= {{0}} * 1000"),
        (row.minutes_min, f"{minutes} >= {{0}}"),
    ]
    return [text.format(limit) for limit, text in limits if limit is not None]


def _grams(kilograms: Decimal) -> int:
    return int(kilograms * 1000)


def _values(rows: Mapping[str, Any]) -> dict[str, Decimal]:
    return {name: Decimal(row["value"]) for name, row in rows.items()}


def _route(code: str, row: Mapping[str, Any]) -> Route:
    limits = {name: Decimal(cell["value"]) for name, cell in row.items() if isinstance(cell, dict)}
    return Route(code, row["drug"], row["orderable"], row["bolus"], **limits)
