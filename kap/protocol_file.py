"""A protocol's TOML, read strictly: every key is known, every word is on its list.

The form is in docs/algorithms/screening.md section 2; what the names mean is
checked in `kap/plan.py`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from kap.condition import ConditionError, Expression, parse
from kap.rule import (
    AFTER,
    LEVELS,
    MARKS,
    ROLES,
    STAGES,
    Answer,
    Example,
    Parameter,
    ProtocolError,
    Rule,
    RuleCondition,
)

Table = Mapping[str, Any]

# Tables that other modules read (alarms, schedule of measures, titles of sources); digested too.
OTHER_SECTIONS = ("alarm", "alarm_param", "schedule", "source")
SECTIONS = (
    *("protocol", "param", "stage", "labels", "validity", "jump", "derived", "codes"),
    *("class_facts", "medication", "equivalents", "minimum_dose", "rule", "selfcheck"),
    *OTHER_SECTIONS,
)
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def read_toml(text: str) -> dict[str, Any]:
    """Return the tables of a protocol file; decimals are exact."""
    try:
        data = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as problem:
        raise ProtocolError(f"not readable as TOML: {problem}") from None
    only("protocol file", data, SECTIONS)
    only("protocol", table("protocol", data.get("protocol")), _HEADER)
    for key in ("id", "version", "drug", "title"):
        text_of("protocol", data["protocol"], key)
    if not re.fullmatch(r"\d+(\.\d+)*", data["protocol"]["version"]):
        raise ProtocolError("protocol.version: numbers and dots, as in 2026.1")
    return data


_HEADER = ("id", "version", "drug", "title", "files", "note")


def only(where: str, row: Table, allowed: Iterable[str]) -> None:
    """Refuse keys that are not `allowed`."""
    odd = [key for key in row if key not in allowed]
    if odd:
        raise ProtocolError(f"{where}: unknown key {odd[0]}; allowed are {', '.join(allowed)}")


def table(where: str, row: Any) -> Table:
    """Return `row` if it is a table."""
    if isinstance(row, dict):
        return row
    raise ProtocolError(f"{where}: {row!r}; write a table")


def text_of(where: str, row: Table, key: str) -> str:
    """Return a text that must be there and must not be empty."""
    found = row.get(key)
    if isinstance(found, str) and found.strip():
        return found
    raise ProtocolError(f"{where}.{key}: {found!r}; write a text")


def choice(where: str, value: Any, allowed: Iterable[str]) -> str:
    """Return `value` if it is one of `allowed`."""
    if isinstance(value, str) and value in allowed:
        return value
    raise ProtocolError(f"{where}: {value!r}; write one of {', '.join(allowed)}")


def texts(where: str, value: Any, allowed: Iterable[str] | None = None) -> tuple[str, ...]:
    """Return a list of texts, each one of `allowed` when that is given."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ProtocolError(f"{where}: {value!r}; write a list of texts")
    for item in value if allowed is not None else ():
        choice(where, item, allowed or ())
    return tuple(value)


def flag(where: str, row: Table, key: str) -> bool:
    """Return a truth that is false when absent."""
    found = row.get(key, False)
    if isinstance(found, bool):
        return found
    raise ProtocolError(f"{where}.{key}: {found!r}; write true or false")


def name_of(where: str, name: str) -> str:
    """Return `name` if it is written as names are: lower case, digits and _."""
    if _NAME.fullmatch(name) and name != "param":
        return name
    raise ProtocolError(f"{where}.{name}: names are lower case letters, digits and _")


# --- parameters ---------------------------------------------------------------------------------

_PARAMETER = (
    *("value", "unit", "source", "mark", "unverified", "note"),
    *("effective_from", "effective_to"),
)


def read_parameters(data: Table) -> dict[str, Parameter]:
    """Return `[param.*]` by name."""
    return {name: _parameter(name, row) for name, row in data.get("param", {}).items()}


def _parameter(name: str, row: Any) -> Parameter:
    where = f"param.{name_of('param', name)}"
    only(where, table(where, row), _PARAMETER)
    value = row.get("value")
    found = (
        tuple(_scalar(where, v) for v in value)
        if isinstance(value, list)
        else _number(where, value)
    )
    return Parameter(
        name=name,
        value=found,
        unit=text_of(where, row, "unit"),
        source=text_of(where, row, "source"),
        mark=choice(f"{where}.mark", row.get("mark"), MARKS),
        unverified=flag(where, row, "unverified"),
        note=row.get("note", ""),
        effective_from=_day(where, row, "effective_from"),
        effective_to=_day(where, row, "effective_to"),
    )


def _number(where: str, value: Any) -> Decimal:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        found = Decimal(value)
        if found.is_finite():
            return found
    raise ProtocolError(f"{where}.value: {value!r}; write a number, or a list for `in`")


def _scalar(where: str, value: Any) -> Decimal | str:
    return value if isinstance(value, str) else _number(where, value)


def _day(where: str, row: Table, key: str) -> date | None:
    found = row.get(key)
    if found is None or type(found) is date:
        return found
    raise ProtocolError(f"{where}.{key}: {found!r}; write a date such as 2026-10-01")


# --- rules --------------------------------------------------------------------------------------

_RULE = (
    *("stages", "level", "when", "require", "needs", "only_if", "verdict", "why", "source", "mark"),
    *("conditions", "tasks", "reask", "specialty", "audience", "unverified", "examples", "note"),
    *("why_fr", "reask_fr"),
)
_ROW = (
    *(
        "atc",
        "title",
        "title_fr",
        "severity",
        "hold",
        "hold_fr",
        "why_fr",
        "reask_fr",
        "stages",
        "level",
        "verdict",
        "why",
        "source",
        "mark",
    ),
    *("conditions", "tasks", "reask", "specialty", "audience", "unverified", "examples", "note"),
    *("why_fr", "reask_fr"),
)
SEVERITIES = ("major", "moderate", "minor", "uncertain", "info")


def read_rules(data: Table) -> tuple[Rule, ...]:
    """Return `[rule.*]` in the order of the file, then one rule for each `[medication.*]`."""
    rules = [_rule(key, row) for key, row in data.get("rule", {}).items()]
    rows = [_medication_rule(tag, row) for tag, row in data.get("medication", {}).items()]
    ids = [rule.id for rule in (*rules, *rows)]
    twice = sorted({key for key in ids if ids.count(key) > 1})
    if twice:
        raise ProtocolError(f"rule.{twice[0]} stands twice; a [medication.*] row makes M-<TAG>")
    return (*rules, *rows)


def _rule(key: str, row: Any) -> Rule:
    where = f"rule.{key}"
    only(where, table(where, row), _RULE)
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]*(-[A-Za-z0-9]+)*", key):
        raise ProtocolError(f"{where}: an id is letters and digits joined by hyphens")
    kinds = [kind for kind in ("when", "require", "needs") if kind in row]
    if len(kinds) != 1 or ("only_if" in row and kinds != ["needs"]):
        raise ProtocolError(
            f"{where}: exactly one of when, require, needs (only_if goes with needs)"
        )
    kind = kinds[0]
    needs = texts(f"{where}.needs", row["needs"]) if kind == "needs" else ()
    return _finished(where, key, row, kind, {
        "expression": None if kind == "needs" else expression(where, kind, row[kind]),
        "needs": needs,
        "only_if": expression(where, "only_if", row["only_if"]) if "only_if" in row else None,
    })  # fmt: skip


def _medication_rule(tag: str, row: Any) -> Rule:
    where = f"medication.{tag}"
    only(where, table(where, row), _ROW)
    if not re.fullmatch(r"[A-Z0-9]+", tag):
        raise ProtocolError(f"{where}: a tag is capitals and digits")
    shown = {
        "title": text_of(where, row, "title"),
        "severity": choice(f"{where}.severity", row.get("severity"), SEVERITIES),
        "hold": row.get("hold", ""),
        "title_fr": row.get("title_fr", ""),
        "hold_fr": row.get("hold_fr", ""),
    }
    read = parse(medication_fact(tag))
    return _finished(where, f"M-{tag}", row, "when", {"expression": read, "medication": shown})


def medication_fact(tag: str) -> str:
    """Return the name of the derived fact of an interaction row."""
    return f"m_{tag.lower()}"


def _finished(where: str, key: str, row: Table, kind: str, parts: dict[str, Any]) -> Rule:
    rule = Rule(
        id=key,
        stages=texts(f"{where}.stages", row.get("stages"), STAGES),
        level=choice(f"{where}.level", row.get("level"), LEVELS),
        kind=kind,
        verdict=Answer(choice(f"{where}.verdict", row.get("verdict"), tuple(Answer))),
        why=text_of(where, row, "why"),
        why_fr=row.get("why_fr", ""),
        reask_fr=row.get("reask_fr", ""),
        source=text_of(where, row, "source"),
        mark=choice(f"{where}.mark", row.get("mark"), MARKS),
        conditions=_conditions(where, row, "conditions"),
        tasks=_conditions(where, row, "tasks"),
        reask=row.get("reask", ""),
        specialty=row.get("specialty", ""),
        audience=texts(f"{where}.audience", row.get("audience", []), ROLES),
        unverified=flag(where, row, "unverified"),
        examples=tuple(_example(where, row, e) for e in row.get("examples", [])),
        **parts,
    )
    _agree(where, rule)
    return rule


def _agree(where: str, rule: Rule) -> None:
    def demand(holds: bool, problem: str) -> None:
        if not holds:
            raise ProtocolError(f"{where}: {problem}")

    demand(bool(rule.stages), "names no stage")
    demand(rule.kind != "needs" or bool(rule.needs), "needs nothing")
    note = rule.level == "N"
    demand(note == (rule.verdict is Answer.ELIGIBLE), "level N and verdict eligible go together")
    demand(not (note and rule.kind != "when"), "a note is a `when`")
    demand(rule.level != "I" or rule.kind == "needs", "level I goes with `needs`")
    conditional = rule.verdict is Answer.ELIGIBLE_WITH_CONDITIONS
    demand(not conditional or bool(rule.conditions), "eligible_with_conditions names a condition")
    deferred = rule.verdict is Answer.DEFER
    demand(not deferred or bool(rule.reask or rule.conditions), "defer says when to ask again")


def _conditions(where: str, row: Table, key: str) -> tuple[RuleCondition, ...]:
    found = row.get(key, [])
    if not isinstance(found, list):
        raise ProtocolError(f"{where}.{key}: {found!r}; write a list of {{text, owner, due}}")
    return tuple(_condition(f"{where}.{key}", item) for item in found)


def _condition(where: str, row: Any) -> RuleCondition:
    only(where, table(where, row), ("text", "text_fr", "owner", "due"))
    return RuleCondition(
        text=text_of(where, row, "text"),
        text_fr=row.get("text_fr", ""),
        owner=choice(f"{where}.owner", row.get("owner"), ROLES),
        due=choice(f"{where}.due", row.get("due"), (*STAGES, AFTER)),
    )


def _example(where: str, row: Table, example: Any) -> Example:
    where = f"{where}.examples"
    only(where, table(where, example), ("given", "expect", "stage"))
    return Example(
        given=table(f"{where}.given", example.get("given")),
        expect=choice(f"{where}.expect", example.get("expect"), EXPECTED),
        stage=choice(f"{where}.stage", example.get("stage", row["stages"][0]), row["stages"]),
    )


EXPECTED = ("speaks", "quiet", "unknown", *Answer)


def expression(where: str, key: str, text: Any) -> Expression:
    """Return a condition of the file; the error names the rule, the text and the column."""
    if not isinstance(text, str):
        raise ProtocolError(f"{where}.{key}: {text!r}; write a text")
    try:
        return parse(text)
    except ConditionError as problem:
        raise ProtocolError(f"{where}.{key}: {problem}") from None
