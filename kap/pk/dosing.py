"""What was given, typed by substance, salt, route and time; and the pump's log as segments.

Times are minutes from an origin that the caller chooses, amounts mg. A model's doses are mg of
base: an amount of the hydrochloride is refused until `to_base()` has converted it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from kap.pk.refusal import refused

Substance = Literal["ketamine_racemate", "esketamine", "arketamine"]
Salt = Literal["base", "hcl"]

SUBSTANCES = ("ketamine_racemate", "esketamine", "arketamine")
BASE_G_PER_MOL = 237.73
HCL_G_PER_MOL = 274.19
BASE_OF_HCL = BASE_G_PER_MOL / HCL_G_PER_MOL


def _known(substance: str, salt: str) -> None:
    if substance not in SUBSTANCES:
        raise refused("substance", "substance", repr(substance), f"use {', '.join(SUBSTANCES)}")
    if salt not in ("base", "hcl"):
        raise refused("salt", "salt", repr(salt), "say base or hcl")


def _number(what: str, value: float, *, least: float) -> None:
    """Refuse what is no finite number from `least` on."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise refused("not_a_number", what, repr(value), "write a finite number")
    if value < least:
        raise refused("out_of_range", what, value, f"write {least} or more")


@dataclass(frozen=True, slots=True)
class Mass:
    """An amount in mg of one substance, as base or as hydrochloride."""

    value: float
    unit: Literal["mg"]
    salt: Salt
    substance: Substance

    def __post_init__(self) -> None:
        """Refuse an amount that is negative or no number, another unit, an unknown salt."""
        _known(self.substance, self.salt)
        _number("mass", self.value, least=0)
        if self.unit != "mg":
            raise refused("not_a_number", "unit of a mass", repr(self.unit), "write mg")

    def to_base(self) -> Mass:
        """Return the same amount as mg of base: hydrochloride times 0.86703."""
        if self.salt == "base":
            return self
        return replace(self, value=self.value * BASE_OF_HCL, salt="base")


@dataclass(frozen=True, slots=True)
class Bolus:
    """An amount given at one instant into the vein."""

    t_min: float
    mass: Mass

    def __post_init__(self) -> None:
        """Refuse a time that is no number."""
        _number("time", self.t_min, least=-math.inf)


@dataclass(frozen=True, slots=True)
class Rate:
    """The pump runs at this rate from now on; 0 is a pause or a stop."""

    t_min: float
    mg_per_min: float
    substance: Substance
    salt: Salt

    def __post_init__(self) -> None:
        """Refuse a negative rate, and what is no number."""
        _known(self.substance, self.salt)
        _number("time", self.t_min, least=-math.inf)
        _number("rate", self.mg_per_min, least=0)

    def to_base(self) -> Rate:
        """Return the same rate in mg of base a minute."""
        if self.salt == "base":
            return self
        return replace(self, mg_per_min=self.mg_per_min * BASE_OF_HCL, salt="base")


@dataclass(frozen=True, slots=True)
class NasalDevice:
    """One nasal device used at one instant; `index` counts the devices of a session from 1."""

    t_min: float
    content: Mass
    index: int

    def __post_init__(self) -> None:
        """Refuse an index below 1 and a time that is no number."""
        _number("time", self.t_min, least=-math.inf)
        if isinstance(self.index, bool) or not isinstance(self.index, int) or self.index < 1:
            raise refused("device", "index of a device", repr(self.index), "count from 1")


Event = Bolus | Rate | NasalDevice


@dataclass(frozen=True, slots=True)
class PumpSegment:
    """A stretch at one rate above 0, from `start_min` up to but not including `end_min`."""

    start_min: float
    end_min: float
    mg_per_min: float

    @property
    def mg(self) -> float:
        """Return what the stretch gave."""
        return self.mg_per_min * (self.end_min - self.start_min)


@dataclass(frozen=True, slots=True)
class Schedule:
    """What had been given by `until_min`: sorted, disjoint segments, boluses and devices, as base.

    `substance` is None where nothing was given.
    """

    substance: Substance | None
    until_min: float
    segments: tuple[PumpSegment, ...] = ()
    boluses: tuple[Bolus, ...] = ()
    devices: tuple[NasalDevice, ...] = ()

    @property
    def iv_mg(self) -> float:
        """Return mg of base given into the vein."""
        pumped = sum(segment.mg for segment in self.segments)
        return pumped + sum(bolus.mass.value for bolus in self.boluses)

    @property
    def given_mg(self) -> float:
        """Return mg of base given by any route."""
        return self.iv_mg + sum(device.content.value for device in self.devices)


def segments(events: Sequence[Event], until: float) -> Schedule:
    """Return the log up to `until` as a schedule; a segment still open is closed there.

    Events may come in any order; of two rates at the same instant the later written one holds.
    What is later than `until` has not happened yet and is left out. PkError for a log of several
    substances, and for an amount of hydrochloride that was not converted.
    """
    _number("until", until, least=-math.inf)
    happened = sorted((e for e in events if e.t_min <= until), key=lambda event: event.t_min)
    substance = _one_substance(events)
    rates = [event for event in happened if isinstance(event, Rate)]
    ends = [rate.t_min for rate in rates[1:]] + [until]
    pumped = (
        PumpSegment(rate.t_min, end, rate.mg_per_min)
        for rate, end in zip(rates, ends, strict=False)
        if rate.mg_per_min > 0 and end > rate.t_min
    )
    return Schedule(
        substance,
        until,
        tuple(pumped),
        tuple(event for event in happened if isinstance(event, Bolus)),
        tuple(event for event in happened if isinstance(event, NasalDevice)),
    )


def substance_and_salt(event: Event) -> tuple[Substance, Salt]:
    """Return what an event gives."""
    if isinstance(event, Rate):
        return event.substance, event.salt
    mass = event.mass if isinstance(event, Bolus) else event.content
    return mass.substance, mass.salt


def _one_substance(events: Sequence[Event]) -> Substance | None:
    found = [substance_and_salt(event) for event in events]
    if any(salt == "hcl" for _, salt in found):
        raise refused("salt", "dose", "mg of hydrochloride", "convert it with to_base()")
    names = sorted({substance for substance, _ in found})
    if len(names) > 1:
        raise refused("substance", "doses", " and ".join(names), "give one substance")
    return found[0][0] if found else None
