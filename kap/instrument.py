"""Questionnaires: their items and words, and the exact score of a set of answers.

An instrument is a TOML file in `kap/instruments/`: items, answers, bands, what a missing answer
does, which items open the safety path. The code holds no number of any questionnaire. A missing
answer is never taken for 0: either the total is prorated and says so, or there is no total.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Any


class InstrumentError(ValueError):
    """An instrument or an answer that cannot be read; says the value and the way out."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer of an item: its value (points), its words by language, its LOINC code or ""."""

    value: int
    text: Mapping[str, str]
    loinc: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One question, with the values (points) its choices may take.

    `safety_from` is the value from which it opens the safety path; None: it never does.
    """

    number: int
    link_id: str
    text: Mapping[str, str]
    choices: tuple[Choice, ...]
    loinc: str
    mark: str
    is_scored: bool
    safety_from: int | None
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Band:
    """A range of totals, both ends included, and its word by language."""

    id: str
    low: int
    high: int
    text: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Wording:
    """An instrument in one language. `verified`: compared with the official form by a person."""

    version: str
    lang: str
    stem: str
    verified: bool
    provenance: str


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number that decides an outcome, with where it comes from (marks: S, M, D)."""

    value: int
    source: str
    mark: str


@dataclass(frozen=True, slots=True)
class Instrument:
    """One version of a questionnaire, as its TOML file says."""

    id: str
    version: str
    title: Mapping[str, str]
    recall_days: int
    panel_loinc: str
    total_loinc: str
    loinc_notice: str
    licence: str
    licence_checked: bool
    wordings: Mapping[str, Wording]
    items: tuple[Item, ...]
    bands: tuple[Band, ...]
    most_missing: int
    never_missing: tuple[int, ...]
    thresholds: Mapping[str, Threshold]

    @property
    def scored_items(self) -> tuple[Item, ...]:
        """The items that count in the total, in order."""
        return tuple(item for item in self.items if item.is_scored)

    @property
    def safety_items(self) -> tuple[Item, ...]:
        """The items that may open the safety path, in order."""
        return tuple(item for item in self.items if item.safety_from is not None)

    @property
    def lowest(self) -> int:
        """The lowest total, in points."""
        return self.bands[0].low

    @property
    def highest(self) -> int:
        """The highest total, in points."""
        return self.bands[-1].high

    def item(self, number: int) -> Item:
        """Return the item with this number; InstrumentError when there is none."""
        for item in self.items:
            if item.number == number:
                return item
        known = f"{self.items[0].number} to {self.items[-1].number}"
        raise InstrumentError(f"{self.id} has no item {number}; its items are {known}")

    def band(self, total: int) -> Band:
        """Return the band a total falls in; InstrumentError outside the instrument's range."""
        for band in self.bands:
            if band.low <= total <= band.high:
                return band
        raise InstrumentError(
            f"{total} is not a total of {self.id}; it goes from {self.lowest} to {self.highest}"
        )


@dataclass(frozen=True, slots=True)
class Score:
    """What a set of answers comes to.

    `total` is None when it may not be computed, and `why_no_total` says why: "too_many_missing" or
    "item_missing". `safety_items` are the items that open the safety path, by their answer or by
    having none; it does not depend on there being a total.
    """

    instrument_id: str
    version: str
    total: int | None
    band: Band | None
    prorated: bool
    missing: tuple[int, ...]
    safety_items: tuple[int, ...]
    why_no_total: str = ""

    @property
    def opens_safety(self) -> bool:
        """True when a clinician must look at these answers, whatever the total."""
        return bool(self.safety_items)


def available() -> tuple[str, ...]:
    """Return the ids of the shipped instruments, in alphabetical order."""
    shipped = resources.files("kap").joinpath("instruments").iterdir()
    return tuple(sorted(f.name.removesuffix(".toml") for f in shipped if f.name.endswith(".toml")))


@cache
def load(instrument_id: str) -> Instrument:
    """Return a shipped instrument by id, such as "phq9"; InstrumentError when it is not shipped."""
    if instrument_id not in available():
        known = ", ".join(available())
        raise InstrumentError(f"no instrument {instrument_id!r}; shipped: {known}")
    file = resources.files("kap").joinpath("instruments", f"{instrument_id}.toml")
    return read(file.read_text(encoding="utf-8"))


def read(text: str) -> Instrument:
    """Return the instrument that a TOML text describes; InstrumentError when it is unsound."""
    data = tomllib.loads(text)
    shared = tuple(_choice(row) for row in data["answer"])
    return _checked(
        Instrument(
            id=data["id"],
            version=data["version"],
            title=data["title"],
            recall_days=data["recall_days"],
            panel_loinc=data["panel_loinc"],
            total_loinc=data["total_loinc"],
            loinc_notice=data["loinc_notice"],
            licence=f"{data['licence']['holder']} {data['licence']['notice']}",
            licence_checked=data["licence"]["checked"],
            wordings={key: _wording(row) for key, row in data["language"].items()},
            items=tuple(_item(row, shared) for row in data["item"]),
            bands=tuple(_band(row) for row in data["band"]),
            most_missing=data["missing"]["most_missing"],
            never_missing=tuple(data["missing"]["never_missing"]),
            thresholds={key: Threshold(**row) for key, row in data["outcome"].items()},
        )
    )


def score(instrument: Instrument, answers: Mapping[int, int | None]) -> Score:
    """Score answers given by item number; an absent item or None is a missing answer.

    The total is exact: whole points, a prorated one rounded half up. InstrumentError when an item
    or a value does not exist.
    """
    _refuse_strangers(instrument, answers)
    missing = tuple(i.number for i in instrument.scored_items if answers.get(i.number) is None)
    why = _why_no_total(instrument, missing)
    total = None if why else _total(instrument, answers)
    return Score(
        instrument_id=instrument.id,
        version=instrument.version,
        total=total,
        band=None if total is None else instrument.band(total),
        prorated=total is not None and bool(missing),
        missing=missing,
        safety_items=_safety_items(instrument, answers),
        why_no_total=why,
    )


def _refuse_strangers(instrument: Instrument, answers: Mapping[int, int | None]) -> None:
    for number, value in answers.items():
        allowed = instrument.item(number).values
        if value is not None and (isinstance(value, bool) or value not in allowed):
            raise InstrumentError(
                f"item {number} of {instrument.id}: {value!r} is not an answer; "
                f"use one of {', '.join(map(str, allowed))}, or leave it out if not answered"
            )


def _why_no_total(instrument: Instrument, missing: tuple[int, ...]) -> str:
    if any(number in instrument.never_missing for number in missing):
        return "item_missing"
    return "too_many_missing" if len(missing) > instrument.most_missing else ""


def _total(instrument: Instrument, answers: Mapping[int, int | None]) -> int:
    given = [v for item in instrument.scored_items if (v := answers.get(item.number)) is not None]
    items, answered = len(instrument.scored_items), len(given)
    # Half up in whole numbers: floor(sum * items / answered + 1/2). `round` would go half to even.
    return (2 * sum(given) * items + answered) // (2 * answered)


def _safety_items(instrument: Instrument, answers: Mapping[int, int | None]) -> tuple[int, ...]:
    opened = []
    for item in instrument.items:
        if item.safety_from is None:
            continue
        value = answers.get(item.number)
        if value is None or value >= item.safety_from:
            opened.append(item.number)
    return tuple(opened)


def _words(row: Mapping[str, Any]) -> dict[str, str]:
    return {"en": row["en"], "fr": row["fr"]}


def _choice(row: Mapping[str, Any]) -> Choice:
    return Choice(row["value"], _words(row), row.get("loinc", ""))


def _band(row: Mapping[str, Any]) -> Band:
    return Band(row["id"], row["low"], row["high"], _words(row))


def _wording(row: Mapping[str, Any]) -> Wording:
    return Wording(row["version"], row["lang"], row["stem"], row["verified"], row["provenance"])


def _item(row: Mapping[str, Any], shared: tuple[Choice, ...]) -> Item:
    choices = tuple(_choice(choice) for choice in row.get("answer", ())) or shared
    return Item(
        number=row["number"],
        link_id=row["link_id"],
        text=_words(row),
        choices=choices,
        loinc=row["loinc"],
        mark=row["mark"],
        is_scored=row.get("scored", True),
        safety_from=row.get("safety_from"),
        values=tuple(choice.value for choice in choices),
    )


def _checked(instrument: Instrument) -> Instrument:
    """Return the instrument if its bands tile its range and its items are told apart."""
    links = [item.link_id for item in instrument.items]
    if len(set(links)) != len(links):
        raise InstrumentError(f"{instrument.id}: two items share a link_id; give each its own")
    reach = sum(max(c.value for c in item.choices) for item in instrument.scored_items)
    edges = [(band.low, band.high) for band in instrument.bands]
    touching = all(high + 1 == low for (_, high), (low, _) in pairwise(edges))
    if not touching or edges[0][0] != 0 or edges[-1][1] != reach:
        raise InstrumentError(
            f"{instrument.id}: bands {edges} must cover 0 to {reach} without a hole or an overlap"
        )
    return instrument
