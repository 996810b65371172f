"""A chart as JSON: strict on the way in, exact on the way out."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from kap.facts import LISTS, FactError, FactType
from kap.known import (
    Allergy,
    ChartError,
    Condition,
    Fact,
    FactValue,
    Medication,
    Reason,
    ReviewedList,
    Source,
    Trial,
)
from kap.moment import MomentError, instant, span, with_offset

STATUSES = ("active", "past", "refuted", "family")
KINDS = ("allergy", "intolerance")


def read_chart(data: Mapping[str, Any], facts: Mapping[str, FactType]) -> dict[str, Any]:
    """Return the fields of a chart; ChartError names the key, the value and the way out."""
    _only(data, ("facts", *LISTS), "chart")
    told = {
        name: _readings(name, rows, facts)
        for name, rows in _table(data.get("facts", {}), "facts").items()
    }
    return {
        "facts": told,
        "conditions": _reviewed(data, "conditions", _condition),
        "medications": _reviewed(data, "medications", _medication),
        "allergies": _reviewed(data, "allergies", _allergy),
        "antidepressant_trials": _reviewed(data, "antidepressant_trials", _trial),
    }


# --- facts --------------------------------------------------------------------------------------

_READING = ("value", "unit", "observed_at", "recorded_at", "source", "reason", "id")


def _readings(name: str, rows: Any, facts: Mapping[str, FactType]) -> tuple[Fact, ...]:
    if name not in facts or facts[name].type == "list":
        raise ChartError(f"facts.{name}: no such fact{_near(name, facts)}")
    listed = rows if isinstance(rows, list) else [rows]
    key, kind = f"facts.{name}", facts[name]
    return tuple(_reading(key, row, kind) for row in listed)


def _reading(key: str, row: Any, kind: FactType) -> Fact:
    _only(_table(row, key), _READING, key)
    recorded = row.get("recorded_at")
    value = _value(key, row, kind)
    return Fact(
        name=kind.name,
        value=value,
        unit=row.get("unit", "") if value is not None else "",
        observed_at=_instant(key, row.get("observed_at"), ".observed_at"),
        recorded_at=None if recorded is None else _instant(key, recorded, ".recorded_at"),
        source=_source(key, row.get("source")),
        id=_text(key, row.get("id", ""), ".id"),
        reason=_reason(key, row),
    )


# By their names: looked up for every reading of a chart, of which there are hundreds.
_SOURCES: Mapping[str, Source] = {source.value: source for source in Source}


def _source(key: str, value: Any) -> Source:
    found = _SOURCES.get(value) if isinstance(value, str) else None
    if found is None:
        names = ", ".join(_SOURCES)
        raise ChartError(f"{key}.source: {value!r}; write one of {names}")
    return found


def _reason(key: str, row: Mapping[str, Any]) -> Reason | None:
    if row.get("value") is not None:
        if "reason" in row:
            raise ChartError(f"{key}: a value, or the reason why there is none; not both")
        return None
    return Reason(_one_of(f"{key}.reason", row.get("reason"), Reason))


def _value(key: str, row: Mapping[str, Any], kind: FactType) -> FactValue:
    value = row.get("value")
    if value is None:
        return None
    if kind.type == "number":
        try:
            return kind.accept(number(key, value, ".value"), row.get("unit"))
        except FactError as problem:
            raise ChartError(f"facts.{problem}") from None
    if "unit" in row:
        raise ChartError(f"{key}.unit: {row['unit']!r}; a {kind.type} has no unit, leave it out")
    return _READERS[kind.type](key, value, ".value")


def _bool(key: str, value: Any, part: str = "") -> bool:
    if isinstance(value, bool):
        return value
    raise ChartError(
        f"{key}{part}: {value!r}; write true or false, or a reason instead of the value"
    )


def _date(key: str, value: Any, part: str = "") -> date | str:
    try:
        first, last = span(_text(key, value, part))
    except MomentError as problem:
        raise ChartError(f"{key}{part}: {problem}") from None
    return first if first == last else str(value)


def _instant(key: str, value: Any, part: str = "") -> datetime:
    """Return an instant from ISO text with its offset, or from a datetime that has one."""
    try:
        if isinstance(value, datetime):
            return with_offset(value)
        return instant(_text(key, value, part))
    except MomentError as problem:
        raise ChartError(f"{key}{part}: {problem}") from None


def _text(key: str, value: Any, part: str = "") -> str:
    if isinstance(value, str):
        return value
    raise ChartError(f"{key}{part}: {value!r}; write a text")


_READERS: Mapping[str, Callable[[str, Any, str], FactValue]] = {
    "bool": _bool,
    "date": _date,
    "instant": _instant,
    "code": _text,
}


def number(key: str, value: Any, part: str = "") -> Decimal:
    """Return an exact number from int, Decimal or text; a binary float is refused."""
    if isinstance(value, float):
        raise ChartError(f"{key}{part}: {value!r} is a binary float; write the number as text")
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ChartError(f"{key}{part}: {value!r} is no number")
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ChartError(f"{key}{part}: {value!r} is no number; write it as 68.0") from None


# --- lists --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    """One item of a list, read key by key."""

    key: str
    row: Mapping[str, Any]

    def text(self, name: str, fallback: str = "") -> str:
        return _text(f"{self.key}.{name}", self.row.get(name, fallback))

    def flag(self, name: str) -> bool | None:
        value = self.row.get(name)
        return None if value is None else _bool(f"{self.key}.{name}", value)

    def amount(self, name: str) -> Decimal | None:
        value = self.row.get(name)
        if value is None:
            return None
        found = number(f"{self.key}.{name}", value)
        if not found.is_finite() or found < 0:
            raise ChartError(f"{self.key}.{name}: {value!r} is impossible; write 0 or more")
        return found

    def date(self, name: str) -> str | None:
        value = self.row.get(name)
        if value is not None:
            _date(f"{self.key}.{name}", value)
        return value

    def choice(self, name: str, allowed: tuple[str, ...], fallback: str | None = None) -> str:
        value = self.row.get(name, fallback)
        if value not in allowed:
            raise ChartError(f"{self.key}.{name}: {value!r}; write one of {', '.join(allowed)}")
        return str(value)


def _reviewed(
    data: Mapping[str, Any], name: str, read: Callable[[_Row], Any]
) -> ReviewedList[Any] | None:
    found = data.get(name)
    if found is None:
        return None
    _only(_table(found, name), ("reviewed_at", "complete", "items"), name)
    reviewed = found.get("reviewed_at")
    items = found.get("items", [])
    if not isinstance(items, list):
        raise ChartError(f"{name}.items: {items!r}; write a list")
    keys = [f"{name}.items[{place}]" for place in range(len(items))]
    rows = [_Row(key, _table(item, key)) for key, item in zip(keys, items, strict=True)]
    complete = _bool(f"{name}.complete", found.get("complete"))
    if complete and reviewed is None:
        raise ChartError(f"{name}.reviewed_at: missing; a complete list says when it was reviewed")
    return ReviewedList(
        reviewed_at=None if reviewed is None else _instant(f"{name}.reviewed_at", reviewed),
        complete=complete,
        items=tuple(read(row) for row in rows),
    )


def _condition(row: _Row) -> Condition:
    _only(row.row, ("system", "code", "status", "onset", "id"), row.key)
    return Condition(
        system=row.text("system"),
        code=row.text("code"),
        status=row.choice("status", STATUSES),
        onset=row.date("onset"),
        id=row.text("id"),
    )


def _medication(row: _Row) -> Medication:
    _only(row.row, ("atc", "name", "mg_per_day", "prn", "since", "last_taken", "id"), row.key)
    return Medication(
        atc=row.text("atc"),
        name=row.text("name"),
        mg_per_day=row.amount("mg_per_day"),
        prn=row.flag("prn"),
        since=row.date("since"),
        last_taken=None if row.row.get("last_taken") is None else row.text("last_taken"),
        id=row.text("id"),
    )


def _allergy(row: _Row) -> Allergy:
    _only(row.row, ("code", "kind", "id"), row.key)
    return Allergy(row.text("code"), row.choice("kind", KINDS), row.text("id"))


_TRIAL_FLAGS = ("adherent", "stopped_for_intolerance", "current_episode", "judged")


def _trial(row: _Row) -> Trial:
    _only(row.row, ("atc", "name", "mg_per_day", "weeks", *_TRIAL_FLAGS, "id"), row.key)
    return Trial(
        atc=row.text("atc"),
        mg_per_day=row.amount("mg_per_day"),
        weeks=row.amount("weeks"),
        adherent=row.flag("adherent"),
        stopped_for_intolerance=row.flag("stopped_for_intolerance"),
        current_episode=row.flag("current_episode"),
        judged=row.flag("judged"),
        id=row.text("id"),
    )


# --- refusing -----------------------------------------------------------------------------------


def _table(value: Any, key: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise ChartError(f"{key}: {value!r}; write an object")


def _only(row: Mapping[str, Any], allowed: tuple[str, ...], key: str) -> None:
    for name in row:
        if name not in allowed:
            raise ChartError(f"{key}.{name}: unknown key{_near(name, allowed)}")


def _near(name: str, allowed: Mapping[str, Any] | tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, list(allowed), n=1)
    return f"; did you mean {close[0]}?" if close else "; remove it, or see `kap facts`"


def _one_of(key: str, value: Any, allowed: Any) -> Any:
    try:
        return allowed(value)
    except ValueError:
        names = ", ".join(member.value for member in allowed)
        raise ChartError(f"{key}: {value!r}; write one of {names}") from None


# --- writing ------------------------------------------------------------------------------------


def write_fact(fact: Fact) -> dict[str, Any]:
    """Return the JSON of one reading."""
    row: dict[str, Any] = {
        "observed_at": fact.observed_at.isoformat(),
        "source": fact.source.value,
    }
    if fact.recorded_at != fact.observed_at and fact.recorded_at is not None:
        row["recorded_at"] = fact.recorded_at.isoformat()
    if fact.id:
        row["id"] = fact.id
    if fact.reason is not None:
        return row | {"reason": fact.reason.value}
    return row | {"value": plain(fact.value)} | ({"unit": fact.unit} if fact.unit else {})


def plain(value: Any) -> Any:
    """Return `value` as JSON holds it: exact numbers and dates as text, truth and text as is."""
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, date) else value


def write_list(found: ReviewedList[Any]) -> dict[str, Any]:
    """Return the JSON of one reviewed list."""
    reviewed = found.reviewed_at
    return {
        "reviewed_at": None if reviewed is None else reviewed.isoformat(),
        "complete": found.complete,
        "items": [_write_item(item) for item in found.items],
    }


def _write_item(item: Any) -> dict[str, Any]:
    values = {name: getattr(item, name) for name in item.__slots__}
    optional = {name: plain(value) for name, value in values.items() if value not in (None, "")}
    required = {name: plain(values[name]) for name in ("atc", "code", "system") if name in values}
    return required | optional
