"""A clinical table that a nurse could have written, read into charts and asked of the protocol.

Each file `tests/spec/<topic>.toml` holds `[[table]]`s: a title, a stage, the columns (each names
the fact it tells) and rows of plain cells; the last two are the verdict and the rules behind it.
What a row does not tell is as in `people.toml`: a person about whom nothing stands in the way.
How a cell is written is described in docs/spec/README.md, which `render.py` makes from `CELLS`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from kap.chart import Chart
from kap.facts import vocabulary
from kap.moment import Moment
from kap.protocol import Protocol
from kap.verdict import Verdict, ask

HERE = Path(__file__).parent
NOW = datetime.fromisoformat("2026-11-24T09:00:00-05:00")
KETAMINE, SPRAY = "iv-ketamine", "esketamine-spray"
BOTH = (KETAMINE, SPRAY)
LISTS = ("conditions", "medications", "allergies", "antidepressant_trials")
APART = timedelta(minutes=8)  # between the readings of one cell, unless the cell says when

CELLS = """\
| cell | means |
| --- | --- |
| `yes`, `no`, `72`, `TRD` | the answer, now |
| `-` | never asked; a list that nobody reviewed |
| (empty) | as in a person about whom nothing stands in the way |
| `41 days ago`, `2026-10`, `47 h ago`, `in 2 h` | a date or a moment |
| `no (8 days ago)` | an answer given then |
| `136/84, 138/82` | two blood pressures, 8 minutes apart, the last one now |
| `12 x 30 days ago` | the same moment, told twelve times |
| `I63 since 41 days ago; F20 family` | all diagnoses: active, or `past`, `refuted`, `family` |
| `N05BA06 1 mg; N05CF01 7.5 mg prn` | all medicines, mg a day |
| `N06AB06 150 mg 10 wk` | a trial in this episode; or `earlier`, `intolerant`, `not-taken` |
| `not complete: I71` | a list that is not marked complete |
| `nothing` | a list reviewed as complete, with nothing on it |
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its cells by column, the expected answer, and the ids of the rules behind it."""

    cells: Mapping[str, str]
    verdict: str
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One table of one topic: `columns` maps a heading to the fact, list or pair it tells.

    Each of `protocols` answers every row as it says.
    """

    topic: str
    title: str
    stage: str
    text: str
    columns: Mapping[str, str]
    rows: tuple[Row, ...]
    protocols: tuple[str, ...] = (KETAMINE,)


def tables() -> tuple[Table, ...]:
    """Return every table of every topic, in the order of the files' names."""
    return tuple(table for path in topics() for table in _read(path))


def topics() -> tuple[Path, ...]:
    """Return the files that hold tables."""
    return tuple(path for path in sorted(HERE.glob("*.toml")) if path.name != "people.toml")


def _read(path: Path) -> Iterator[Table]:
    for row in tomllib.loads(path.read_text(encoding="utf-8"))["table"]:
        yield Table(
            topic=path.stem,
            title=row["title"],
            stage=row["stage"],
            text=row.get("text", ""),
            columns=row["columns"],
            rows=tuple(_row(row["columns"], cells) for cells in row["rows"]),
            protocols=tuple(row.get("protocols", (KETAMINE,))),
        )


def _row(columns: Mapping[str, str], cells: list[str]) -> Row:
    *told, verdict, because = cells
    named = dict(zip(columns, told, strict=True))
    return Row(named, verdict, tuple(filter(None, because.split(", "))))


def behind(verdict: Verdict) -> set[str]:
    """Return the rules that made the answer; "BP-SOFT?" is one that cannot be answered yet."""
    if verdict.answer == "eligible":
        return set()
    return {
        found.rule_id + ("?" if found.state == "unknown" else "")
        for found in verdict.findings
        if found.verdict == verdict.answer
    }


def asked(protocol: Protocol, table: Table, row: Row) -> Verdict:
    """Return what the protocol says of the row's person."""
    return ask(protocol, table.stage, chart(table, row, protocol.id), Moment.at(NOW))


# --- a row's chart ------------------------------------------------------------------------------


def chart(table: Table, row: Row, protocol: str = KETAMINE) -> Chart:
    """Return the clean person of the table's stage, with what the row tells instead."""
    told = {"facts": {}, **person(table.stage, protocol)}
    for heading, cell in row.cells.items():
        if cell:
            _tell(told, table.columns[heading], cell)
    return Chart.from_json(told)


def person(stage: str, protocol: str = KETAMINE) -> dict[str, Any]:
    """Return the clean person at a stage, in the form of `Chart.from_json`."""
    clean = tomllib.loads((HERE / "people.toml").read_text(encoding="utf-8"))
    told: dict[str, Any] = {"facts": {}}
    for part in clean["at"][protocol][stage]:
        for target, cell in clean[part].items():
            _tell(told, target, cell)
    return told


def _tell(told: dict[str, Any], target: str, cell: str) -> None:
    if target in LISTS:
        _tell_list(told, target, cell)
        return
    names = target.split("/")
    for place, name in enumerate(names):
        told["facts"].pop(name, None)
        if cell != "-":
            parts = [_half(part, place, len(names)) for part in cell.split(", ")]
            told["facts"][name] = list(_readings(name, [part for part in parts if part]))


def _half(part: str, place: int, of: int) -> str:
    """Return the part of "136/84 (9 min ago)" that belongs to one of two facts."""
    value, _, when = part.partition(" (")
    half = value.split("/")[place] if of > 1 else value
    return half + (f" ({when}" if when else "")


def _readings(name: str, parts: list[str]) -> Iterator[dict[str, Any]]:
    kind = vocabulary()[name]
    repeated = [p for part in parts for p in _repeat(part)]
    for place, part in enumerate(repeated):
        said = re.fullmatch(r"(.*?)(?: \((.* ago)\))?", part)
        assert said is not None
        late = NOW - APART * (len(repeated) - 1 - place) if kind.type == "number" else NOW
        row: dict[str, Any] = {
            "observed_at": (moment(said[2]) if said[2] else late).isoformat(),
            "source": "staff",
            "value": _value(kind.type, said[1]),
        }
        if kind.type == "number":
            row["unit"] = kind.unit
        if kind.type == "instant":
            row["observed_at"] = min(moment(said[1]), NOW).isoformat()
        yield row


def _repeat(part: str) -> list[str]:
    many = re.fullmatch(r"(\d+) x (.*)", part)
    return [many[2]] * int(many[1]) if many else [part]


def _value(kind: str, text: str) -> Any:
    readers: dict[str, Callable[[str], Any]] = {
        "bool": {"yes": True, "no": False}.__getitem__,
        "number": Decimal,
        "date": lambda told: moment(told).date().isoformat() if " " in told else told,
        "instant": lambda told: moment(told).isoformat(),
        "code": str,
    }
    return readers[kind](text)


_UNITS = {"min": "minutes", "h": "hours", "days": "days", "day": "days", "s": "seconds"}


def moment(text: str) -> datetime:
    """Return the instant that "47 h 59 min ago" or "in 2 h" names."""
    parts = re.findall(r"(\d+) (min|h|days|day|s)\b", text)
    assert parts, f"{text!r} names no time"
    apart = timedelta(**{_UNITS[unit]: int(amount) for amount, unit in parts})
    return NOW + apart if text.startswith("in ") else NOW - apart


# --- lists --------------------------------------------------------------------------------------


def _tell_list(told: dict[str, Any], name: str, cell: str) -> None:
    told.pop(name, None)
    if cell == "-":
        return
    complete = not cell.startswith("not complete: ")
    items = [] if cell == "nothing" else cell.removeprefix("not complete: ").split("; ")
    reviewed = re.fullmatch(r"(.*) \((.* ago)\)", items[-1]) if items else None
    if reviewed:
        items[-1] = reviewed[1]
    told[name] = {
        "reviewed_at": (moment(reviewed[2]) if reviewed else NOW).isoformat(),
        "complete": complete,
        "items": [_ITEMS[name](item.split()) for item in items],
    }


def _condition(words: list[str]) -> dict[str, Any]:
    status = next((w for w in words if w in ("past", "refuted", "family")), "active")
    item = {"system": "ICD-10", "code": words[0], "status": status}
    if "since" in words:
        item["onset"] = moment(" ".join(words[words.index("since") :])).date().isoformat()
    return item


def _medication(words: list[str]) -> dict[str, Any]:
    coded = words[0] != "uncoded"
    return {
        "atc": words[0] if coded else "",
        "name": words[0],
        "mg_per_day": _before(words, "mg"),
        "prn": "prn" in words,
    }


def _allergy(words: list[str]) -> dict[str, Any]:
    return {"code": words[0], "kind": words[1]}


def _trial(words: list[str]) -> dict[str, Any]:
    item: dict[str, Any] = {
        "atc": words[0],
        "mg_per_day": _before(words, "mg"),
        "weeks": int(_before(words, "wk") or 0),
        "adherent": "not-taken" not in words,
        "stopped_for_intolerance": "intolerant" in words,
        "current_episode": "earlier" not in words,
    }
    return item | ({"judged": True} if "judged" in words else {})


def _before(words: Iterable[str], unit: str) -> Decimal | None:
    listed = list(words)
    return Decimal(listed[listed.index(unit) - 1]) if unit in listed else None


_ITEMS: dict[str, Callable[[list[str]], dict[str, Any]]] = {
    "conditions": _condition,
    "medications": _medication,
    "allergies": _allergy,
    "antidepressant_trials": _trial,
}
