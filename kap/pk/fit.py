"""Does this card fit this person and these doses? If not, a refusal: the value and the range."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kap.pk.card import DoseRange, ModelCard
from kap.pk.dosing import NasalDevice, Schedule
from kap.pk.person import Covariates, Floats
from kap.pk.refusal import Code, PkError, Refusal, refused


@dataclass(frozen=True, slots=True)
class Ok:
    """The card fits; `notes` say what it does not read, and which ranges it does not report."""

    notes: tuple[str, ...]


def fit_for(card: ModelCard, person: Covariates, schedule: Schedule) -> Ok | Refusal:
    """Return whether a card may be asked about this person and these doses, and why not."""
    found = _misfit(card, person, schedule)
    return found if found is not None else Ok(tuple(_notes(card, person)))


def demand_fit(card: ModelCard, person: Covariates, schedule: Schedule) -> None:
    """Raise PkError with the refusal where the card does not fit."""
    found = fit_for(card, person, schedule)
    if isinstance(found, Refusal):
        raise PkError(found)


def times(t_min: ArrayLike) -> Floats:
    """Return times in min as an array. PkError unless they are finite and in ascending order."""
    found = np.asarray(t_min, dtype=float)
    if found.ndim != 1 or not np.isfinite(found).all():
        raise refused("times", "times", "not a row of finite numbers", "write minutes")
    back = np.flatnonzero(np.diff(found) < 0)
    if len(back):
        pair = f"{found[back[0]]:g} before {found[back[0] + 1]:g}"
        raise refused("times", "times", pair, "write them in ascending order")
    return found


def _misfit(card: ModelCard, person: Covariates, schedule: Schedule) -> Refusal | None:
    if schedule.substance not in (None, card.substance):
        way = f"{card.id} takes mg of {card.substance} base; amounts are not halved or converted"
        return Refusal("substance", f"{card.id}: substance", str(schedule.substance), way)
    return (
        _out_of_range(card, "weight_kg", person.weight_kg, is_read=card.is_weight_scaled)
        or _out_of_range(card, "age_y", person.age_y, is_read=card.reads_age)
        or _wrong_route(card, schedule)
    )


_NAMES = {"weight_kg": ("weight", "kg"), "age_y": ("age", "y")}
_MISSING: dict[str, Code] = {"weight_kg": "weight_missing", "age_y": "age_missing"}


def _out_of_range(
    card: ModelCard, name: str, value: float | None, *, is_read: bool
) -> Refusal | None:
    word, unit = _NAMES[name]
    what, span = f"{card.id}: {word}", card.ranges.get(name)
    if value is None:
        if not is_read and span is None:
            return None
        return Refusal(_MISSING[name], what, "not told", f"tell the {word} in {unit}")
    if not math.isfinite(value) or value <= 0:
        return Refusal("not_a_number", what, f"{value:g} {unit}", "write a number above 0")
    if span is not None and not span[0] <= value <= span[1]:
        return Refusal(
            "out_of_range", what, f"{value:g} {unit}", f"its range is {_span(span, unit)}"
        )
    return None


def _span(span: tuple[float, float], unit: str) -> str:
    low, high = span
    return f"{low:g} {unit} and more" if math.isinf(high) else f"{low:g} to {high:g} {unit}"


def _wrong_route(card: ModelCard, schedule: Schedule) -> Refusal | None:
    if schedule.devices:
        if "nasal" not in card.routes:
            return Refusal("route", f"{card.id}: route", "nasal", "it knows the vein alone")
        for session in _sessions(schedule.devices):
            found = _device_misfit(card, card.routes["nasal"], session)
            if found is not None:
                return found
    if schedule.segments or schedule.boluses:
        return _total_misfit(card, "iv", schedule.iv_mg)
    return None


def _device_misfit(card: ModelCard, route: DoseRange, session: list[NasalDevice]) -> Refusal | None:
    for device in session:
        content = device.content.value
        if route.device_mg is not None and content != route.device_mg:
            what = f"{card.id}: device {device.index}"
            way = f"a device holds {route.device_mg:g} mg of base"
            return Refusal("device", what, f"{content:g} mg", way)
    return _total_misfit(card, "nasal", sum(device.content.value for device in session))


def _total_misfit(card: ModelCard, name: str, mg: float) -> Refusal | None:
    span = card.routes[name].total_mg
    if span is None or span[0] <= mg <= span[1]:
        return None
    what, way = f"{card.id}: {name} dose", f"its range is {_span(span, 'mg')}"
    return Refusal("dose_out_of_range", what, f"{mg:g} mg", way)


def _sessions(devices: tuple[NasalDevice, ...]) -> list[list[NasalDevice]]:
    """Return the devices of each session: a first device begins a session."""
    found: list[list[NasalDevice]] = []
    for device in devices:
        if device.index == 1 or not found:
            found.append([])
        found[-1].append(device)
    return found


def _notes(card: ModelCard, person: Covariates) -> list[str]:
    notes = []
    for name, (word, _) in _NAMES.items():
        is_read = card.is_weight_scaled if name == "weight_kg" else card.reads_age
        if not is_read:
            notes.append(f"{word}: not used")
        if name not in card.ranges:
            notes.append(f"{word}: range not reported")
    if not card.reads_race:
        notes.append("race: not used")
    elif person.race == "not_stated":
        notes.append("race: not stated, taken as the reference category")
    if not card.variability.names:
        notes.append("variability: not reported")
    missing = card.variability.not_reported
    return notes + [
        f"variability of {n}: not reported, bands are drawn without it" for n in missing
    ]
