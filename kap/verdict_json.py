"""A verdict as JSON and back, field by field; instants as ISO 8601, numbers as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from kap.finding import Detail, Finding, Guarded, ReadValue, Unknown
from kap.moment import Moment, instant
from kap.rule import Answer, RuleCondition

_HEADER = ("answer", "stage", "protocol_id", "version", "digest", "label")


def write_header(verdict: Any) -> dict[str, Any]:
    """Return the answer, what was asked, and by which protocol."""
    at: Moment = verdict.at
    when = {"utc": at.utc.isoformat(), "local_date": at.local_date.isoformat()}
    return {name: str(getattr(verdict, name)) for name in _HEADER} | {"at": when}


def read_header(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that `write_header` wrote."""
    found: dict[str, Any] = {name: data[name] for name in _HEADER}
    found["answer"] = Answer(found["answer"])
    local_date = date.fromisoformat(data["at"]["local_date"])
    found["at"] = Moment(utc=instant(data["at"]["utc"]), local_date=local_date)
    return found


def write_detail(detail: Detail) -> dict[str, Any]:
    """Return findings, unknowns and what was read."""
    written = _plain(asdict(detail))
    assert isinstance(written, dict)
    return written


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(held) for key, held in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(held) for held in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Answer) else value


def read_detail(data: Mapping[str, Any]) -> Detail:
    """Return the detail that `write_detail` wrote."""
    return Detail(
        findings=tuple(_finding(row) for row in data["findings"]),
        quiet=tuple(data["quiet"]),
        unknowns=tuple(
            Unknown(**row | {"settles": tuple(row["settles"])}) for row in data["unknowns"]
        ),
        conflicts=tuple(data["conflicts"]),
        facts_read=tuple(_read_value(row) for row in data["facts_read"]),
        facts_hash=data["facts_hash"],
        guarded=tuple(_guarded(row) for row in data["guarded"]),
    )


def _finding(row: Mapping[str, Any]) -> Finding:
    return Finding(
        **{
            **row,
            "verdict": Answer(row["verdict"]),
            "if_true": Answer(row["if_true"]),
            "values": tuple(_read_value(value) for value in row["values"]),
            "conditions": tuple(RuleCondition(**held) for held in row["conditions"]),
            "tasks": tuple(RuleCondition(**held) for held in row["tasks"]),
            "audience": tuple(row["audience"]),
        }
    )


def _read_value(row: Mapping[str, Any]) -> ReadValue:
    seen = row["observed_at"]
    return ReadValue(
        **{
            **row,
            "observed_at": None if seen is None else instant(seen),
            "evidence": tuple(row["evidence"]),
        }
    )


def _guarded(row: Mapping[str, Any]) -> Guarded:
    return Guarded(row["rule_id"], tuple(row["audience"]), tuple(row["facts"]))
