"""A protocol as a page: its rules by stage and section, its parameters, its sources, searched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from clinic.ui import words
from clinic.ui.instants import french
from kap.protocol import Protocol
from kap.rule import STAGES, Example, Parameter, Rule

HEADING = re.compile(r"^# =+ (?P<title>.+?) =+$")
ENTRY = re.compile(r"^\[(?P<table>rule|medication)\.(?P<id>[\w-]+)\]$")


@dataclass(frozen=True)
class Shown:
    """One rule as it is read: `why` in the language of the page, examples in words."""

    rule: Rule
    why: str
    stages: str
    level: str
    sources: tuple[tuple[str, str], ...]
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """The rules that stand under one heading of the file."""

    title: str
    rules: tuple[Shown, ...]


@dataclass(frozen=True)
class Chapter:
    """The sections whose rules are first asked at one stage."""

    stage: str
    sections: tuple[Section, ...]


def headings(text: str) -> Mapping[str, str]:
    """Return, for each rule's or medicine's entry of a protocol file, the heading above it."""
    found, title = {}, ""
    for line in text.splitlines():
        if heading := HEADING.match(line):
            title = heading["title"]
        elif entry := ENTRY.match(line):
            found[entry["id"]] = title
    return found


def file_of(protocol: Protocol) -> str:
    """Return the text of a shipped protocol file."""
    shipped = resources.files("kap").joinpath("protocols", protocol.id)
    return shipped.joinpath(f"{protocol.version}.toml").read_text(encoding="utf-8")


def chapters(protocol: Protocol, asked: str = "") -> list[Chapter]:
    """Return every rule that holds `asked` in what is shown of it, by stage and section."""
    titles = headings(file_of(protocol))
    found: dict[str, dict[str, list[Shown]]] = {}
    for rule in protocol.rules:
        row = _shown(protocol, rule)
        if _holds(row, asked):
            title = titles.get(rule.id, titles.get(rule.id.removeprefix("M-"), ""))
            found.setdefault(rule.stages[0], {}).setdefault(title, []).append(row)
    return [
        Chapter(
            words.of(words.STAGES, stage),
            tuple(Section(title, tuple(rows)) for title, rows in found[stage].items()),
        )
        for stage in STAGES
        if stage in found
    ]


def _shown(protocol: Protocol, rule: Rule) -> Shown:
    return Shown(
        rule=rule,
        why=rule.why_fr if french() and rule.why_fr else rule.why,
        stages=", ".join(words.of(words.STAGES, stage) for stage in rule.stages),
        level=words.of(words.LEVELS, rule.level),
        sources=sources(protocol, rule.source),
        examples=tuple(_example(each) for each in rule.examples),
    )


def sources(protocol: Protocol, named: str) -> tuple[tuple[str, str], ...]:
    """Return each source behind an entry as (code, text); the text is "" for one in words."""
    codes = [code.strip() for code in named.split(";")]
    return tuple((code, str(protocol.tables["source"].get(code, ""))) for code in codes)


def _example(example: Example) -> str:
    given = ", ".join(f"{name} = {_plain(value)}" for name, value in example.given.items())
    return f"{given} → {example.expect} ({words.of(words.STAGES, example.stage)})"


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _holds(row: Shown, asked: str) -> bool:
    rule = row.rule
    told = " ".join(
        [
            rule.id,
            row.why,
            rule.text,
            rule.source,
            *map(str, row.sources),
            *rule.medication.values(),
        ]
    )
    return asked.lower() in told.lower()


@dataclass(frozen=True)
class Number:
    """One parameter as it is read."""

    parameter: Parameter
    value: str
    unit: str
    sources: tuple[tuple[str, str], ...]


def parameters(protocol: Protocol, asked: str = "") -> list[Number]:
    """Return every parameter that holds `asked`, in the order of the file."""
    return [
        row
        for row in (_number(protocol, each) for each in protocol.parameters.values())
        if asked.lower() in _told(row).lower()
    ]


def _number(protocol: Protocol, parameter: Parameter) -> Number:
    value = parameter.value
    told = ", ".join(map(str, value)) if isinstance(value, tuple) else f"{value:f}"
    unit = words.unit(parameter.unit)
    return Number(parameter, words.number(told), unit, sources(protocol, parameter.source))


def _told(row: Number) -> str:
    return " ".join(
        [
            row.parameter.name,
            row.value,
            row.parameter.source,
            row.parameter.note,
            *map(str, row.sources),
        ]
    )


def every(protocol: Protocol) -> tuple[tuple[str, str], ...]:
    """Return every source of the protocol as (code, text)."""
    return tuple((code, str(text)) for code, text in protocol.tables["source"].items())


def unverified(rows: Iterable[Chapter], numbers: Iterable[Number]) -> int:
    """Return how many entries are marked as not verified against their source."""
    rules = [row.rule for chapter in rows for part in chapter.sections for row in part.rules]
    return sum(rule.unverified for rule in rules) + sum(n.parameter.unverified for n in numbers)
