"""The therapy around the drug: kinds of session, settings, modalities, what a note holds.

The lists and their numbers are data (`kap/therapy.toml`, clinical reference 12). One record per
person: nothing here ever holds two people's words together.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any


class TherapyError(ValueError):
    """A kind, setting or modality that does not exist; names those that do."""


class Kind(StrEnum):
    """What an encounter is for."""

    PREPARATION = "preparation"
    DOSING = "dosing"
    INTEGRATION = "integration"


@dataclass(frozen=True, slots=True)
class Setting:
    """How many people are in the room: fewest and most patients, and least therapists."""

    id: str
    text: Mapping[str, str]
    fewest: int
    most: int
    therapists: int


@dataclass(frozen=True, slots=True)
class Modality:
    """A coded way of working. `between_doses`: not on the day of a dose."""

    id: str
    text: Mapping[str, str]
    between_doses: bool


@dataclass(frozen=True, slots=True)
class NotePart:
    """One heading of a note. `is_private`: kept from everyone but its author's access scope."""

    id: str
    text: Mapping[str, str]
    is_private: bool
    required_for: frozenset[Kind]


def kinds() -> Mapping[Kind, Mapping[str, str]]:
    """Return the kinds of session with their words by language, in the order of a course."""
    return {Kind(row["id"]): _words(row) for row in _data()["kind"]}


def settings() -> Mapping[str, Setting]:
    """Return the settings by id: one-to-one, pair, group."""
    return {
        row["id"]: Setting(
            id=row["id"],
            text=_words(row),
            fewest=row["people"][0],
            most=row["people"][1],
            therapists=row["therapists"],
        )
        for row in _data()["setting"]
    }


def modalities() -> Mapping[str, Modality]:
    """Return the modalities by id."""
    return {
        row["id"]: Modality(row["id"], _words(row), row.get("between_doses", False))
        for row in _data()["modality"]
    }


def note_parts() -> tuple[NotePart, ...]:
    """Return the headings of a note, in order."""
    return tuple(
        NotePart(
            id=row["id"],
            text=_words(row),
            is_private=row.get("private", False),
            required_for=frozenset(map(Kind, row.get("required_for", ()))),
        )
        for row in _data()["note"]
    )


def missing_parts(kind: Kind, note: Mapping[str, str]) -> tuple[str, ...]:
    """Return the ids of the headings that still keep this note from being signed, in order."""
    required = (part.id for part in note_parts() if kind in part.required_for)
    return tuple(part for part in required if not note.get(part, "").strip())


def misfits(setting_id: str, people: int, therapists: int) -> tuple[str, ...]:
    """Return what is wrong with this many people in this setting, in words; empty when it fits."""
    setting = settings().get(setting_id)
    if setting is None:
        raise TherapyError(f"no setting {setting_id!r}; use one of {', '.join(settings())}")
    found = []
    if not setting.fewest <= people <= setting.most:
        span = f"{setting.fewest} to {setting.most}"
        found.append(f"{people} people in {setting_id}: it takes {span}")
    if therapists < setting.therapists:
        found.append(f"{therapists} therapists in {setting_id}: at least {setting.therapists}")
    return tuple(found)


def early_integration(ended_at: datetime) -> tuple[datetime, datetime]:
    """Return the first and last UTC instant for early integration after an administration's end."""
    window, ended = _data()["early_integration"], ended_at.astimezone(UTC)
    return (
        ended + timedelta(hours=window["from_h"]["value"]),
        ended + timedelta(hours=window["to_h"]["value"]),
    )


@cache
def _data() -> Mapping[str, Any]:
    text = resources.files("kap").joinpath("therapy.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _words(row: Mapping[str, Any]) -> dict[str, str]:
    return {"en": row["en"], "fr": row["fr"]}
