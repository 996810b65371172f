"""The vocabulary: what may be known about a patient, in which unit, in which smallest step.

The data are in `facts.toml`; its form is in docs/algorithms/screening.md section 1.
Clinical numbers are exact: a value is a whole number of the fact's steps, never a binary float.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

TYPES = ("bool", "number", "date", "instant", "code", "list")
DIRECTIONS = ("up", "down", "two-sided", "none")
LISTS = ("conditions", "medications", "allergies", "antidepressant_trials")
ANSWERERS = (
    *("patient", "coordinator", "nurse", "therapist", "prescriber", "pharmacist"),
    *("device", "record"),
)


class FactError(ValueError):
    """A fact that the vocabulary does not hold, or a value that it refuses."""


@dataclass(frozen=True, slots=True)
class FactType:
    """One entry of the vocabulary. `unit` is UCUM; `step`, `low`, `high` are in that unit.

    `direction` says where the risk lies: "up" (true, more, later), "down", "two-sided" or "none".
    """

    name: str
    type: str
    unit: str = ""
    step: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    direction: str = "none"
    answered_by: tuple[str, ...] = ()
    ask: Mapping[str, str] = field(default_factory=dict)

    def accept(self, value: Decimal, unit: str | None) -> Decimal:
        """Return `value` if it is possible, on a step and in this fact's unit; else FactError."""
        if unit != self.unit:
            wrong = f"has no unit; write {self.unit!r}" if not unit else f"is in {unit!r}"
            raise FactError(f"{self.name}: {value} {wrong}; this fact is kept in {self.unit!r}")
        if not value.is_finite():
            raise FactError(f"{self.name}: {value} is no number")
        if self.low is None or self.high is None or not self.low <= value <= self.high:
            raise FactError(
                f"{self.name}: {value} {unit} is impossible; "
                f"it lies between {self.low} and {self.high} {self.unit}. Check value and unit"
            )
        self.steps(value)
        return value

    def steps(self, value: Decimal) -> int:
        """Return `value` as a whole number of steps; FactError when it lies between two."""
        if self.step is None:
            raise FactError(f"{self.name} is no number")
        count = value / self.step
        whole = int(count)
        if whole != count:
            raise FactError(
                f"{self.name}: {value} is finer than its step of {self.step} {self.unit}; round it"
            )
        return whole


def steps_up(value: Fraction, step: Fraction) -> int:
    """Return the exact ratio `value` as whole steps, rounded up (towards more)."""
    return -((-value) // step)


@cache
def vocabulary() -> Mapping[str, FactType]:
    """Return every fact by name, as shipped in `facts.toml`."""
    text = resources.files("kap").joinpath("facts.toml").read_text(encoding="utf-8")
    return read_vocabulary(text)


def read_vocabulary(text: str) -> Mapping[str, FactType]:
    """Return the vocabulary of a TOML text; FactError names the entry, the key and the way out."""
    entries = tomllib.loads(text, parse_float=Decimal).get("fact", {})
    return MappingProxyType({name: _entry(name, row) for name, row in entries.items()})


_KEYS = frozenset({"type", "unit", "step", "low", "high", "direction", "answered_by", "ask"})
_NOTES = frozenset({"loinc", "snomed", "note", "source", "mark", "unverified"})


def _entry(name: str, row: Mapping[str, Any]) -> FactType:
    _check_shape(name, row)
    number = row["type"] == "number"
    return FactType(
        name=name,
        type=row["type"],
        unit=row.get("unit", ""),
        step=Decimal(row["step"]) if number else None,
        low=Decimal(row["low"]) if number else None,
        high=Decimal(row["high"]) if number else None,
        direction=row.get("direction", "none"),
        answered_by=tuple(row.get("answered_by", ())),
        ask=MappingProxyType(dict(row["ask"])),
    )


def _check_shape(name: str, row: Mapping[str, Any]) -> None:
    def demand(holds: bool, problem: str) -> None:
        if not holds:
            raise FactError(f"facts.toml, fact.{name}: {problem}")

    unknown = sorted(row.keys() - _KEYS - _NOTES)
    demand(not unknown, f"unknown key {', '.join(unknown)}")
    demand(name.isidentifier() and name == name.lower(), "the name is lower case with _")
    demand(row.get("type") in TYPES, f"type {row.get('type')!r} is none of {', '.join(TYPES)}")
    demand((row["type"] == "list") == (name in LISTS), f"lists are exactly {', '.join(LISTS)}")
    direction = row.get("direction", "none")
    demand(direction in DIRECTIONS, f"direction {direction!r} is none of {', '.join(DIRECTIONS)}")
    strangers = sorted(set(row.get("answered_by", ())) - set(ANSWERERS))
    demand(not strangers, f"answered_by {', '.join(strangers)}: use {', '.join(ANSWERERS)}")
    texts = row.get("ask")
    demand(isinstance(texts, dict) and set(texts) == {"en", "fr"}, "ask needs en and fr")
    numeric = {"unit", "step", "low", "high"}
    given = numeric & row.keys()
    demand(given == (numeric if row["type"] == "number" else set()), _NUMERIC)
    if row["type"] == "number":
        demand(row["step"] > 0 and row["low"] < row["high"], "needs step > 0 and low < high")


_NUMERIC = "a number needs unit, step, low and high, and nothing else has them"
