"""The parts of a protocol: parameters, rules, conditions, examples, and the words they use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from kap.condition import Expression


class ProtocolError(ValueError):
    """An unsound protocol file; the message names the entry and the way out."""


class Answer(StrEnum):
    """The seven answers; a higher rank beats a lower one. Source: clinical reference, section 1."""

    ELIGIBLE = "eligible"
    ELIGIBLE_WITH_CONDITIONS = "eligible_with_conditions"
    NEED_MORE_INFORMATION = "need_more_information"
    DEFER = "defer"
    REFER_TO_SPECIALIST = "refer_to_specialist"
    CONTRAINDICATED = "contraindicated"
    REFER_NOW = "refer_now"

    @property
    def rank(self) -> int:
        """1 (eligible) to 7 (refer_now)."""
        return _RANKS[self]


_RANKS = {answer: place for place, answer in enumerate(Answer, start=1)}

STAGES = (
    *("screening", "booking", "day-before", "order", "start"),
    *("discharge", "checkpoint", "booster"),
)
AFTER = "after"  # due once the dosing day is over
LEVELS = {
    "A": "absolute: nobody may override it, not even while it is unknown",
    "R": "relative: prescriber, second person, reason and expiry",
    "P": "precaution: prescriber and reason",
    "I": "must be known",
    "N": "note: never changes the answer",
}
ROLES = (
    *("patient", "coordinator", "nurse", "therapist", "prescriber", "pharmacist"),
    *("medical_director", "privacy_officer", "administrator"),
)
MARKS = {
    "S": "read in the cited source",
    "M": "widely known, to be checked against the source",
    "D": "product default that a medical director must sign",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number (or list) of medicine with its unit (UCUM) and provenance."""

    name: str
    value: Decimal | tuple[Decimal | str, ...]
    unit: str
    source: str
    mark: str
    unverified: bool = False
    note: str = ""
    effective_from: date | None = None
    effective_to: date | None = None

    def is_effective(self, day: date) -> bool:
        """Return whether the parameter holds on `day` (both ends included)."""
        if self.effective_from is not None and day < self.effective_from:
            return False
        return self.effective_to is None or day <= self.effective_to


@dataclass(frozen=True, slots=True)
class RuleCondition:
    """Something to be done: the text, the role that owns it, and the stage by which it is due."""

    text: str
    owner: str
    due: str
    text_fr: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A test patient inside the file: what is given, and what the rule alone must say."""

    given: Mapping[str, Any]
    expect: str
    stage: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `kind` is "when", "require" or "needs"; see docs/algorithms/screening.md."""

    id: str
    stages: tuple[str, ...]
    level: str
    kind: str
    verdict: Answer
    why: str
    source: str
    mark: str
    expression: Expression | None = None
    needs: tuple[str, ...] = ()
    only_if: Expression | None = None
    conditions: tuple[RuleCondition, ...] = ()
    tasks: tuple[RuleCondition, ...] = ()
    reask: str = ""
    specialty: str = ""
    audience: tuple[str, ...] = ()
    unverified: bool = False
    examples: tuple[Example, ...] = ()
    medication: Mapping[str, str] = field(default_factory=dict)  # title, severity, hold of a row
    why_fr: str = ""
    reask_fr: str = ""

    @property
    def facts(self) -> tuple[str, ...]:
        """The facts that the rule names, each once."""
        named = [e.facts for e in (self.expression, self.only_if) if e is not None]
        return tuple(dict.fromkeys([*self.needs, *(name for part in named for name in part)]))

    @property
    def text(self) -> str:
        """The rule as it is written, on one line."""
        body = ", ".join(self.needs) if self.expression is None else str(self.expression)
        return f"{self.kind} {body}" + (f" only if {self.only_if}" if self.only_if else "")
