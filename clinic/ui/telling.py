"""A verdict in the order and the words in which a reader needs it. Reads; decides nothing.

Order: what is not met, what is unknown, cautions, notes; what is met is counted, not listed.
What closes the gate is "not met" whatever its level; a caution is what leaves it open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from clinic.ui import words
from clinic.ui.instants import french
from kap.facts import vocabulary
from kap.finding import SETTLE, Finding, ReadValue, Unknown
from kap.rule import Answer, RuleCondition
from kap.verdict import Verdict

OPEN = 6  # reasons of a kind shown before the fold
KINDS = ("stop", "unknown", "caution", "note")
NAMES = {
    "stop": gettext_lazy("not met"),
    "unknown": gettext_lazy("unknown"),
    "caution": gettext_lazy("caution"),
    "note": gettext_lazy("note"),
}
ICONS = {"stop": "✕", "unknown": "?", "caution": "▲", "note": "•"}


@dataclass(frozen=True, slots=True)
class Shown:
    """One value a reason turned on. `is_known` False: `text` says why it is unknown."""

    name: str
    text: str
    is_known: bool
    at: datetime | None
    source: str


@dataclass(frozen=True, slots=True)
class Row:
    """One reason. `kind` is one of KINDS; `state` its word; `asks` the questions that settle it."""

    rule_id: str
    kind: str
    icon: str
    state: str
    why: str
    level: str
    level_words: str
    source: str
    mark: str
    mark_words: str
    values: tuple[Shown, ...]
    conditions: tuple[Mapping[str, str], ...]
    reask: str
    asks: tuple[str, ...]
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """The reasons of one kind."""

    kind: str
    name: str
    rows: tuple[Row, ...]

    @property
    def head(self) -> tuple[Row, ...]:
        """The gravest: what is not met is never folded away, what is unknown in part."""
        return self.rows if self.kind == "stop" else self.rows[:OPEN]

    @property
    def rest(self) -> tuple[Row, ...]:
        """What is listed behind a fold."""
        return () if self.kind == "stop" else self.rows[OPEN:]


@dataclass(frozen=True, slots=True)
class Told:
    """A verdict for a reader: its word, its counts by kind, its reasons, what to ask."""

    icon: str
    label: str
    stage: str
    counts: Mapping[str, int]
    groups: tuple[Group, ...]
    asks: tuple[Mapping[str, str], ...]
    conflicts: tuple[str, ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        """Every reason, in order."""
        return tuple(row for group in self.groups for row in group.rows)


def tell(verdict: Verdict) -> Told:
    """Return `verdict` in the language of the page."""
    rows = [_row(finding, verdict.unknowns) for finding in verdict.findings]
    by_kind = {kind: tuple(row for row in rows if row.kind == kind) for kind in KINDS}
    return Told(
        icon=words.ICONS[verdict.answer],
        label=words.label(verdict.label),
        stage=words.of(words.STAGES, verdict.stage),
        counts={kind: len(found) for kind, found in by_kind.items()},
        groups=tuple(Group(k, str(NAMES[k]), found) for k, found in by_kind.items() if found),
        asks=tuple(_ask(unknown) for unknown in verdict.unknowns),
        conflicts=verdict.conflicts,
    )


def kind_of(finding: Finding) -> str:
    """Return what a finding is to the reader. Unknown is a kind of its own, never a pass."""
    if finding.state == "unknown":
        return "unknown"
    if finding.verdict is Answer.ELIGIBLE:
        return "note"
    return "caution" if finding.verdict is Answer.ELIGIBLE_WITH_CONDITIONS else "stop"


def _row(finding: Finding, unknowns: tuple[Unknown, ...]) -> Row:
    kind = kind_of(finding)
    state = str(NAMES[kind])
    if kind == "stop":
        state = f"{state} · {words.label(finding.verdict.replace('_', ' '))}"
    return Row(
        rule_id="" if not finding.level else finding.rule_id,
        kind=kind,
        icon=ICONS[kind],
        state=state,
        why=why_of(finding),
        level=finding.level,
        level_words=words.of(words.LEVELS, finding.level),
        source=finding.source,
        mark=finding.mark,
        mark_words=words.of(words.MARKS, finding.mark),
        values=tuple(_value(read) for read in finding.values if _speaks(read)),
        conditions=tuple(_condition(c) for c in (*finding.conditions, *finding.tasks)),
        reask=_either(finding.reask, finding.reask_fr),
        asks=tuple(_question(u) for u in unknowns if finding.rule_id in u.settles),
        evidence=tuple(e for read in finding.values for e in read.evidence),
    )


def why_of(finding: Finding) -> str:
    """Return a rule's reason in the language of the page."""
    return _either(words.label(finding.why), finding.why_fr)


def _either(english: str, other: str) -> str:
    return other if other and french() else english


def _speaks(read: ReadValue) -> bool:
    """Return whether a value says more than the reason itself: a derived "yes" only repeats it."""
    return bool(read.reason) or read.name in vocabulary() or read.text not in words.TRUTHS


def _value(read: ReadValue) -> Shown:
    known = not read.reason and read.text != "unknown"
    text = words.of(words.TRUTHS, read.text) if read.text in words.TRUTHS else read.text
    if not known:
        text = words.of(words.REASONS, read.reason or "unknown")
    elif read.unit:
        text = f"{words.number(text)} {words.unit(read.unit)}".rstrip()
    return Shown(
        name=words.fact(read.name),
        text=text,
        is_known=known,
        at=read.observed_at,
        source=words.of(words.SOURCES, read.source),
    )


def _condition(condition: RuleCondition) -> Mapping[str, str]:
    return {
        "text": condition_text(condition),
        "owner": words.role(condition.owner),
        "due": words.of(words.STAGES, condition.due),
    }


def condition_text(condition: Any) -> str:
    """Return what is to be done, in the language of the page."""
    head, found, facts = condition.text.partition(": ")
    if found and head == SETTLE.partition(": ")[0] and not condition.text_fr:
        named = ", ".join(words.fact(name) for name in facts.split(", "))
        return _("Settle before the order: %(facts)s") % {"facts": named}
    return _either(condition.text, condition.text_fr)


def _ask(unknown: Unknown) -> Mapping[str, str]:
    return {
        "fact": unknown.fact,
        "question": _question(unknown),
        "reason": words.of(words.REASONS, unknown.reason),
        "settles": ", ".join(unknown.settles),
    }


def _question(unknown: Unknown) -> str:
    asked = unknown.question.get("fr" if french() else "en", "")
    return asked or words.fact(unknown.fact)
