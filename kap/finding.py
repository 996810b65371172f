"""What a verdict shows: findings, what they turned on, what is unknown and what settles it.

Rendered only when somebody looks; deciding itself builds none of this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from kap.chart_json import write_fact, write_list
from kap.compiled import Column
from kap.condition import Known, unsettled
from kap.evidence import Look
from kap.facts import LISTS
from kap.known import Allergy, Condition, Fact, Medication, ReviewedList, Trial
from kap.logic import Truth
from kap.protocol import Protocol, Stage, canonical, unknown_answer
from kap.rule import Answer, Rule, RuleCondition
from kap.value import UNKNOWN, Value


@dataclass(frozen=True, slots=True)
class ReadValue:
    """One fact as it was read: `text` in `unit`, when and by whom observed, or why unknown."""

    name: str
    text: str
    unit: str = ""
    observed_at: datetime | None = None
    source: str = ""
    reason: str = ""
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule's part of a verdict. `state`: "spoke" or "unknown".

    `verdict` is what it makes of the answer now; `if_true` is the rule's own verdict.
    """

    rule_id: str
    level: str
    verdict: Answer
    if_true: Answer
    state: str
    why: str
    source: str
    mark: str
    values: tuple[ReadValue, ...] = ()
    conditions: tuple[RuleCondition, ...] = ()
    tasks: tuple[RuleCondition, ...] = ()
    reask: str = ""
    specialty: str = ""
    audience: tuple[str, ...] = ()
    medication: Mapping[str, str] = field(default_factory=dict)
    why_fr: str = ""
    reask_fr: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """One thing to ask: the fact, why it is unknown, the rules it would settle, the question."""

    fact: str
    reason: str
    settles: tuple[str, ...]
    question: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Guarded:
    """A rule that only `audience` may see, and the facts that only such rules read."""

    rule_id: str
    audience: tuple[str, ...]
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Detail:
    """Everything of a verdict beyond its answer."""

    findings: tuple[Finding, ...]
    quiet: tuple[str, ...]
    unknowns: tuple[Unknown, ...]
    conflicts: tuple[str, ...]
    facts_read: tuple[ReadValue, ...]
    facts_hash: str
    guarded: tuple[Guarded, ...] = ()


SETTLE = "Settle before the order: {facts}"


def render(protocol: Protocol, stage: Stage, look: Look, truths: list[int]) -> Detail:
    """Return the detail of a decided look; `truths` are the rules' answers in stage order."""
    shown = Renderer(protocol, stage, look)
    pairs = list(zip((planned.rule for planned in stage.rules), truths, strict=True))
    open_facts = {rule.id: shown.open_facts(rule) for rule, truth in pairs if truth == UNKNOWN}
    findings = [shown.finding(rule, truth, open_facts) for rule, truth in pairs if truth]
    return Detail(
        findings=tuple(sorted(findings, key=lambda f: (-f.verdict.rank, f.state == "unknown"))),
        quiet=tuple(rule.id for rule, truth in pairs if not truth),
        unknowns=shown.unknowns(open_facts),
        conflicts=shown.conflicts(),
        facts_read=tuple(shown.root(name) for name in shown.roots),
        facts_hash=shown.facts_hash(),
        guarded=shown.guarded(),
    )


class Renderer:
    """Writes out what one look saw."""

    def __init__(self, protocol: Protocol, stage: Stage, look: Look) -> None:
        self.protocol = protocol
        self.stage = stage
        self.look = look
        self.rules = {planned.rule.id: planned.rule for planned in stage.rules}
        names = {name for rule in self.rules.values() for name in rule.facts}
        found = {root for name in names for root in protocol.plan.roots[name]}
        self.roots = tuple(sorted(found))
        self.parameters = {name: p.value for name, p in protocol.parameters.items()}

    def value(self, name: str) -> Value:
        """Return the value of a named fact."""
        return self.look.value(self.protocol.plan.columns[name].slot)

    def known(self, name: str) -> Known:
        """Return the value as the reference evaluator takes it."""
        value, column = self.value(name), self.protocol.plan.columns[name]
        if column.kind == "number" and value.low is not None and value.high is not None:
            ends = value.low * column.step, value.high * column.step
            return ends[0] if ends[0] == ends[1] else ends
        return value.code if column.kind == "code" else Truth(value.truth)

    def open_facts(self, rule: Rule) -> tuple[str, ...]:
        """Return the facts whose being unknown leaves the rule unknown."""
        values = {name: self.known(name) for name in rule.facts}
        trees = [e.tree for e in (rule.expression, rule.only_if) if e is not None]
        found = [name for name in rule.needs if self.value(name).reason is not None]
        for tree in trees:
            found += unsettled(tree, values, self.parameters)
        return tuple(dict.fromkeys(found))

    def finding(self, rule: Rule, truth: int, open_facts: Mapping[str, tuple[str, ...]]) -> Finding:
        """Return the finding of a rule that spoke or is unknown."""
        spoke = truth != UNKNOWN
        verdict = rule.verdict if spoke else unknown_answer(rule, self.stage.name)
        conditions = rule.conditions if spoke else ()
        if not spoke and verdict is Answer.ELIGIBLE_WITH_CONDITIONS:
            asked = ", ".join(self.asks(open_facts[rule.id]))
            conditions = (RuleCondition(SETTLE.format(facts=asked), "prescriber", "order"),)
        return Finding(
            rule_id=rule.id,
            level=rule.level,
            verdict=verdict,
            if_true=rule.verdict,
            state="spoke" if spoke else "unknown",
            why=rule.why,
            source=rule.source,
            mark=rule.mark,
            values=tuple(self.read_value(name) for name in rule.facts),
            conditions=conditions,
            tasks=rule.tasks if spoke else (),
            reask=rule.reask,
            specialty=rule.specialty,
            audience=rule.audience,
            medication=rule.medication,
            why_fr=rule.why_fr,
            reask_fr=rule.reask_fr,
        )

    def asks(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return what would have to be asked to know `names`."""
        return tuple(dict.fromkeys(ask for name in names for ask in self.value(name).asks))

    def unknowns(self, open_facts: Mapping[str, tuple[str, ...]]) -> tuple[Unknown, ...]:
        """Return what to ask, what settles the gravest rules first."""
        settles: dict[str, list[str]] = {}
        reasons: dict[str, str] = {}
        for rule_id, names in open_facts.items():
            for name in names:
                for ask in self.value(name).asks:
                    settles.setdefault(ask, []).append(rule_id)
                    reasons.setdefault(ask, self._reason(ask, name))
        found = [
            Unknown(ask, reasons[ask], tuple(dict.fromkeys(ids)), self._question(ask))
            for ask, ids in settles.items()
        ]
        return tuple(sorted(found, key=self._gravity))

    def _reason(self, ask: str, name: str) -> str:
        columns = self.protocol.plan.columns
        own = self.value(ask).reason if ask in columns else None
        return str(own or self.value(name).reason)

    def _question(self, ask: str) -> Mapping[str, str]:
        kind = self.protocol.facts.get(ask)
        return {} if kind is None else dict(kind.ask)

    def _gravity(self, unknown: Unknown) -> tuple[int, int, str]:
        ranks = [self.rules[rule_id].verdict.rank for rule_id in unknown.settles]
        return -max(ranks), -len(ranks), unknown.fact

    def conflicts(self) -> tuple[str, ...]:
        """Return where what was told and what lists say disagree."""
        names = {name for rule in self.rules.values() for name in rule.facts}
        found = (self.value(name).conflict for name in sorted(names))
        return tuple(text for text in found if text)

    def read_value(self, name: str) -> ReadValue:
        """Return a named fact as read."""
        value, column = self.value(name), self.protocol.plan.columns[name]
        seen = self.look.evidence(value)
        latest = _latest(seen)
        return ReadValue(
            name=name,
            text=_text(value, column),
            unit=column.unit,
            observed_at=_seen_at(latest),
            source=latest.source.value if isinstance(latest, Fact) else "",
            reason=value.reason.value if value.reason else "",
            evidence=tuple(_evidence(item) for item in seen if item is not None),
        )

    def root(self, name: str) -> ReadValue:
        """Return the latest reading of a raw fact, or the review of a list."""
        if name in LISTS:
            found = getattr(self.look.chart, name)
            shown = "never reviewed" if found is None else _evidence(found)
            return ReadValue(name, shown, observed_at=_seen_at(found))
        told = self.look.readings(name)
        if not told:
            return ReadValue(name, "unknown", reason="never_asked")
        fact = told[-1]
        reason = fact.reason.value if fact.reason else ""
        text = "unknown" if fact.value is None else _plain(fact.value)
        evidence = (fact.id,) if fact.id else ()
        return ReadValue(
            name, text, fact.unit, fact.observed_at, fact.source.value, reason, evidence
        )

    def facts_hash(self) -> str:
        """Return the SHA-256 of canonical JSON of every reading and list that the stage reads."""
        lists = {n: getattr(self.look.chart, n) for n in self.roots if n in LISTS}
        told = {
            name: [write_fact(fact) for fact in self.look.readings(name)]
            for name in self.roots
            if name not in LISTS
        }
        reviewed = {n: None if found is None else write_list(found) for n, found in lists.items()}
        return hashlib.sha256(canonical({"facts": told, "lists": reviewed})).hexdigest()

    def guarded(self) -> tuple[Guarded, ...]:
        """Return the rules with an audience, and the facts nobody else's rule reads."""
        roots = self.protocol.plan.roots
        open_rules = [rule for rule in self.rules.values() if not rule.audience]
        public = {root for rule in open_rules for name in rule.facts for root in roots[name]}
        found = []
        for rule in self.rules.values():
            if rule.audience:
                read = {root for name in rule.facts for root in roots[name]}
                found.append(Guarded(rule.id, rule.audience, tuple(sorted(read - public))))
        return tuple(found)


def _latest(evidence: tuple[Any, ...]) -> Any:
    dated = [item for item in evidence if _seen_at(item) is not None]
    return max(dated, key=lambda item: _seen_at(item) or item, default=None)


def _seen_at(item: Any) -> datetime | None:
    if isinstance(item, Fact):
        return item.observed_at
    return item.reviewed_at if isinstance(item, ReviewedList) else None


_TRUTHS = ("false", "unknown", "true")


def _text(value: Value, column: Column) -> str:
    if column.kind == "number":
        if value.low is None or value.high is None:
            return "unknown"
        low, high = (decimal_text(steps * column.step) for steps in (value.low, value.high))
        return low if low == high else f"{low} to {high}"
    if column.kind == "bool":
        return _TRUTHS[value.truth]
    if value.reason is not None:
        return "unknown"
    return value.code or "reviewed"


def decimal_text(value: Fraction) -> str:
    """Return an exact decimal where there is one, else two places, rounded towards less."""
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    if Fraction(exact) == value:
        return f"{exact.normalize():f}"
    hundredths = value.numerator * 100 // value.denominator
    return f"{Decimal(hundredths) / 100:.2f}"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _evidence(item: Any) -> str:
    match item:
        case Fact():
            told = "unknown" if item.value is None else _plain(item.value)
            said = f"{item.name} {told} {item.unit}".strip()
            return f"{said}, {item.observed_at.isoformat()}, {item.source.value}" + _id(item.id)
        case Condition():
            return f"{item.system} {item.code or 'uncoded'} ({item.status})" + _id(item.id)
        case Medication():
            return f"{item.name} {item.atc or 'uncoded'}".strip() + _id(item.id)
        case Allergy():
            return f"{item.kind} {item.code or 'uncoded'}" + _id(item.id)
        case Trial():
            return f"trial of {item.atc or 'uncoded'}" + _id(item.id)
    state = "complete" if item.complete else "not marked complete"
    when = item.reviewed_at.isoformat() if item.reviewed_at else "at no known time"
    return f"list reviewed {when}, {state}"


def _id(text: str) -> str:
    return f" [{text}]" if text else ""


def evidence_id(text: str) -> str:
    """Return the id of the row that a piece of evidence names; "" where it names none."""
    _said, found, rest = text.rpartition(" [")
    return rest[:-1] if found and rest.endswith("]") else ""
