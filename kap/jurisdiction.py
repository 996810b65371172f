"""What the law and the college ask where a site stands: dated rows, each sourced and marked.

The rows are `kap/jurisdictions/<id>.toml`. A row may hold only between dates, so a question names
its day. A topic that a pack does not hold is refused, never taken for "nothing is asked".
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

MARKS = ("S", "M", "D")
TOPICS = (
    *("premises", "event_report", "event_report_written", "ledger_law", "loss_report"),
    *("ledger_retention", "schedule", "chart_retention", "age_of_consent", "age_of_majority"),
    *("inclusion_age", "privacy", "psychotherapy", "crisis_line", "crisis_line_indigenous"),
    "emergency_number",
)
UNITS = ("h", "d", "business_d", "a")
ROUTES = ("IV", "SC", "IM", "SL", "IN", "PO", "NASAL")
LANGUAGES = ("en", "fr")
COMMUNITY = "community"  # the one value of `premises` that asks for no approval
_HEADER = ("id", "title", "version")
_KEYS = (
    *("topic", "routes", "text", "value", "unit", "source", "mark", "unverified", "note"),
    *("effective_from", "effective_to"),
)


class JurisdictionError(ValueError):
    """A pack that is unsound, or a question it does not answer; says the entry and the way out."""


@dataclass(frozen=True, slots=True)
class Provision:
    """One dated row: what is asked, in words (`text` by language) and as a value.

    `routes`: the routes it is about; empty: all. `unit` goes with a number: h, d, business_d, a.
    """

    topic: str
    text: Mapping[str, str]
    value: Decimal | str | bool
    source: str
    mark: str
    unit: str = ""
    routes: tuple[str, ...] = ()
    unverified: bool = False
    note: str = ""
    effective_from: date | None = None
    effective_to: date | None = None

    @property
    def needs_approval(self) -> bool:
        """Whether premises must be approved before a route is given there (not in the community).

        What is not plainly open is closed: a value that no line here knows asks for an approval.
        """
        return self.topic == "premises" and self.value != COMMUNITY

    def holds_on(self, day: date) -> bool:
        """Return whether it is in effect on `day`; both ends are included."""
        begun = self.effective_from is None or self.effective_from <= day
        return begun and (self.effective_to is None or day <= self.effective_to)


@dataclass(frozen=True, slots=True)
class Jurisdiction:
    """Whose law holds at a site. `version` names the pack; `sources`: what the codes stand for."""

    id: str
    title: Mapping[str, str]
    version: str
    provisions: tuple[Provision, ...]
    sources: Mapping[str, str]

    def on(self, topic: str, day: date) -> tuple[Provision, ...]:
        """Return the rows of a topic that hold on `day`, in the order of the pack.

        JurisdictionError when the pack has none on that day: unknown is not "nothing is asked".
        """
        found = tuple(p for p in self.provisions if p.topic == topic and p.holds_on(day))
        if not found:
            held = sorted({p.topic for p in self.provisions if p.holds_on(day)})
            raise JurisdictionError(
                f"{self.id} {self.version} says nothing about {topic!r} on {day};"
                f" it has {', '.join(held)}"
            )
        return found

    def the(self, topic: str, day: date) -> Provision:
        """Return the one row of a topic that holds on `day`; JurisdictionError for several."""
        found = self.on(topic, day)
        if len(found) > 1:
            raise JurisdictionError(f"{self.id}: {topic} has {len(found)} rows on {day}; ask `on`")
        return found[0]

    def premises(self, route: str, day: date) -> Provision:
        """Return what the premises of a route need on `day`.

        JurisdictionError when the pack is silent about the route: ask the college first.
        """
        for provision in self.on("premises", day):
            if route in provision.routes:
                return provision
        raise JurisdictionError(
            f"{self.id} {self.version} says nothing about premises for {route!r} on {day};"
            " ask the college, then add the row"
        )


def jurisdictions() -> tuple[str, ...]:
    """Return the ids of the shipped packs."""
    folder = resources.files("kap").joinpath("jurisdictions")
    names = [file.name for file in folder.iterdir() if file.name.endswith(".toml")]
    return tuple(sorted(name.removesuffix(".toml") for name in names))


@cache
def load_jurisdiction(jurisdiction_id: str) -> Jurisdiction:
    """Return a shipped pack; JurisdictionError names those that there are."""
    if jurisdiction_id not in jurisdictions():
        raise JurisdictionError(
            f"no jurisdiction {jurisdiction_id!r}; shipped: {', '.join(jurisdictions())}"
        )
    file = resources.files("kap").joinpath("jurisdictions").joinpath(f"{jurisdiction_id}.toml")
    found = parse_jurisdiction(file.read_text(encoding="utf-8"))
    _demand(found.id == jurisdiction_id, f"{file.name} says it is {found.id}")
    return found


def parse_jurisdiction(text: str) -> Jurisdiction:
    """Return the pack that a TOML text writes; JurisdictionError names the row and the way out."""
    data = tomllib.loads(text, parse_float=Decimal)
    _only("pack", data, ("jurisdiction", "row", "source"))
    head = data.get("jurisdiction", {})
    _only("jurisdiction", head, _HEADER)
    for key in _HEADER:
        _demand(bool(head.get(key)), f"jurisdiction.{key}: missing")
    sources = data.get("source", {})
    rows = tuple(_row(place, row, sources) for place, row in enumerate(data.get("row", []), 1))
    _disjoint(rows)
    return Jurisdiction(
        id=head["id"],
        title=_texts("jurisdiction.title", head["title"]),
        version=head["version"],
        provisions=rows,
        sources=MappingProxyType(dict(sources)),
    )


def _row(place: int, row: Mapping[str, Any], sources: Mapping[str, str]) -> Provision:
    where = f"row {place} ({row.get('topic')})"
    _only(where, row, _KEYS)
    for key, allowed in (("topic", TOPICS), ("mark", MARKS)):
        _one_of(f"{where}.{key}", row.get(key), allowed)
    for route in row.get("routes", []):
        _one_of(f"{where}.routes", route, ROUTES)
    _demand(row["topic"] != "premises" or bool(row.get("routes")), f"{where}: name the routes")
    value, start, end = _value(where, row), row.get("effective_from"), row.get("effective_to")
    for day in (start, end):
        _demand(day is None or type(day) is date, f"{where}: {day!r} is no date")
    _demand(start is None or end is None or start <= end, f"{where}: it ends before it begins")
    codes = [part.strip() for part in str(row.get("source", "")).split(";")]
    _demand(all(codes), f"{where}.source: missing")
    lost = [code for code in codes if code.startswith("S:") and code not in sources]
    _demand(not lost, f"{where}: {', '.join(lost)} is not listed in [source]")
    read = any(code.startswith("S:") for code in codes)
    _demand(row["mark"] != "S" or read, f"{where}: mark S names a source that was read")
    return Provision(
        topic=row["topic"],
        text=_texts(where, row.get("text", {})),
        value=value,
        source=row["source"],
        mark=row["mark"],
        unit=row.get("unit", ""),
        routes=tuple(row.get("routes", ())),
        unverified=row.get("unverified", False),
        note=row.get("note", ""),
        effective_from=start,
        effective_to=end,
    )


def _value(where: str, row: Mapping[str, Any]) -> Decimal | str | bool:
    value = row.get("value")
    if type(value) is int:
        value = Decimal(value)
    if not isinstance(value, Decimal | str | bool):
        raise JurisdictionError(f"{where}.value: {value!r}; write one value")
    _demand(isinstance(value, Decimal) == ("unit" in row), f"{where}: a number has a unit, only it")
    if "unit" in row:
        _one_of(f"{where}.unit", row["unit"], UNITS)
    return value


def _disjoint(rows: Iterable[Provision]) -> None:
    """Refuse two rows of one topic about one route that hold on the same day."""
    seen: list[Provision] = []
    for row in rows:
        for other in seen:
            apart = row.topic != other.topic or (
                bool(row.routes) and not set(row.routes) & set(other.routes)
            )
            before = (row.effective_to or date.max) < (other.effective_from or date.min)
            after = (other.effective_to or date.max) < (row.effective_from or date.min)
            _demand(apart or before or after, f"{row.topic}: two rows hold on the same day")
        seen.append(row)


def _texts(where: str, text: Mapping[str, str]) -> Mapping[str, str]:
    _demand(
        set(text) == set(LANGUAGES) and all(text.values()), f"{where}: write it in en and in fr"
    )
    return MappingProxyType(dict(text))


def _only(where: str, row: Mapping[str, Any], allowed: Iterable[str]) -> None:
    odd = [key for key in row if key not in allowed]
    _demand(not odd, f"{where}: unknown key {', '.join(odd)}; allowed are {', '.join(allowed)}")


def _one_of(where: str, value: object, allowed: tuple[str, ...]) -> None:
    _demand(value in allowed, f"{where}: {value!r}; write one of {', '.join(allowed)}")


def _demand(holds: bool, problem: str) -> None:
    if not holds:
        raise JurisdictionError(problem)
