"""One question for every gate: `ask(protocol, stage, chart, at) -> Verdict`.

Every rule of the stage is evaluated, never only the first; the answer is the highest of all
(docs/algorithms/screening.md section 6). What is unknown is never taken for "no".
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from kap.chart import Chart
from kap.evidence import Look
from kap.finding import Detail, Finding, Guarded, ReadValue, Unknown, render
from kap.lift import Lift, after, is_due, refusal
from kap.moment import Moment
from kap.protocol import Protocol, Stage
from kap.rule import Answer, RuleCondition
from kap.value import Value
from kap.verdict_json import read_detail, read_header, write_detail, write_header

__all__ = [
    "Answer",
    "Finding",
    "Lift",
    "ReadValue",
    "Unknown",
    "Verdict",
    "ask",
    "decision",
    "may_see",
    "replay",
    "suppose",
]

MARKDOWN = re.compile(r"[\\`*_{}\[\]<>()#+!|~&-]")

RESTRICTED = "restricted reason"


class Verdict:
    """The answer of one stage about one chart at one moment, with everything that led to it.

    Findings, values and texts are rendered when first looked at.
    """

    __slots__ = (
        *("_detail", "_render", "answer", "at", "digest"),
        *("label", "protocol_id", "stage", "version"),
    )

    def __init__(
        self,
        *,
        answer: Answer,
        stage: str,
        protocol_id: str,
        version: str,
        digest: str,
        label: str,
        at: Moment,
        detail: Detail | Callable[[], Detail],
    ) -> None:
        self.answer = answer
        self.stage = stage
        self.protocol_id = protocol_id
        self.version = version
        self.digest = digest
        self.label = label
        self.at = at
        self._detail = detail if isinstance(detail, Detail) else None
        self._render = detail if not isinstance(detail, Detail) else None

    @property
    def detail(self) -> Detail:
        """Everything beyond the answer, rendered once."""
        if self._detail is None:
            assert self._render is not None
            self._detail, self._render = self._render(), None
        return self._detail

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every rule that spoke or is unknown, the gravest first."""
        return self.detail.findings

    @property
    def quiet(self) -> tuple[str, ...]:
        """The ids of the rules that were evaluated and have nothing to say."""
        return self.detail.quiet

    @property
    def unknowns(self) -> tuple[Unknown, ...]:
        """What to ask, with the rules that it would settle; the gravest first."""
        return self.detail.unknowns

    @property
    def conflicts(self) -> tuple[str, ...]:
        """Where what was told and what lists say disagree."""
        return self.detail.conflicts

    @property
    def conditions(self) -> tuple[RuleCondition, ...]:
        """Each condition with its owner and due stage, each once."""
        return tuple(dict.fromkeys(c for f in self.findings for c in f.conditions))

    @property
    def tasks(self) -> tuple[RuleCondition, ...]:
        """Each task with its owner and due stage, each once."""
        return tuple(dict.fromkeys(t for f in self.findings for t in f.tasks))

    @property
    def facts_read(self) -> tuple[ReadValue, ...]:
        """The latest reading of every raw fact, and every list, that the stage reads."""
        return self.detail.facts_read

    @property
    def facts_hash(self) -> str:
        """SHA-256 of canonical JSON of everything read: the same facts, the same hash."""
        return self.detail.facts_hash

    def after(
        self, overrides: Iterable[Lift], at: Moment, met: frozenset[str] = frozenset()
    ) -> Answer:
        """Return the answer after valid overrides and conditions met; this verdict stays as is."""
        return after(self.findings, overrides, at, met)[0]

    def may_start(
        self, overrides: Iterable[Lift], at: Moment, met: frozenset[str] = frozenset()
    ) -> bool:
        """Return whether the gate opens: eligible, or every condition due by then is met.

        Due by `start`; at stage `discharge` by `discharge`.
        """
        by = "discharge" if self.stage == "discharge" else "start"
        return self.may_pass(by, overrides, at, met)

    def may_pass(
        self, by: str, overrides: Iterable[Lift], at: Moment, met: frozenset[str] = frozenset()
    ) -> bool:
        """Return the same with the conditions due by stage `by`."""
        answer, open_ones = after(self.findings, overrides, at, met)
        if answer is Answer.ELIGIBLE_WITH_CONDITIONS:
            return not any(is_due(condition, by) for condition in open_ones)
        return answer is Answer.ELIGIBLE

    def refusal(self, lift: Lift, at: Moment) -> str:
        """Return why this override would lift nothing here; "" when it would."""
        reasons = [refusal(f, lift, at) for f in self.findings if f.rule_id == lift.rule_id]
        return reasons[0] if reasons else f"{lift.rule_id} neither spoke nor is unknown here"

    def seen_by(self, role: str) -> Verdict:
        """Return what `role` may read: reasons kept for others become "restricted reason"."""
        hidden = {g.rule_id: g for g in self.detail.guarded if not may_see(role, g.audience)}
        secret = {fact for guarded in hidden.values() for fact in guarded.facts}
        detail = Detail(
            findings=_seen_findings(self.findings, hidden),
            quiet=tuple(rule_id for rule_id in self.quiet if rule_id not in hidden),
            unknowns=_seen_unknowns(self.unknowns, hidden),
            conflicts=tuple(c for c in self.conflicts if c.split(":")[0] not in secret),
            facts_read=tuple(read for read in self.facts_read if read.name not in secret),
            facts_hash="" if hidden else self.facts_hash,
            guarded=tuple(g for g in self.detail.guarded if g.rule_id not in hidden),
        )
        return self._with(detail)

    def _with(self, detail: Detail) -> Verdict:
        return Verdict(
            answer=self.answer,
            stage=self.stage,
            protocol_id=self.protocol_id,
            version=self.version,
            digest=self.digest,
            label=self.label,
            at=self.at,
            detail=detail,
        )

    def to_json(self) -> dict[str, Any]:
        """Return this verdict as JSON; `from_json` of it is the same verdict."""
        return write_header(self) | write_detail(self.detail)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Verdict:
        """Return the verdict that `to_json` wrote."""
        return cls(**read_header(data), detail=read_detail(data))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Verdict) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash((self.answer, self.stage, self.digest, self.at))

    def __repr__(self) -> str:
        return f"<Verdict {self.answer} at {self.stage} by {self.protocol_id}@{self.version}>"

    def rows(self) -> tuple[str, ...]:
        """Return the verdict in rows of plain text: the answer, each finding, what is unknown."""
        head = f"{self.label} ({self.answer}) at {self.stage}, {self.protocol_id} {self.version}"
        found = tuple(row for finding in self.findings for row in _finding_rows(finding))
        asks = tuple(
            f"ask    {u.fact}: {u.reason}; settles {', '.join(u.settles)}" for u in self.unknowns
        )
        conflicts = tuple(f"note   {text}" for text in self.conflicts)
        return (head, *found, *asks, *conflicts, f"quiet  {len(self.quiet)} rules")

    def explain(self) -> str:
        """Return `rows()` as one text."""
        return "\n".join(self.rows())

    def _repr_html_(self) -> str:
        cells = "".join(f"<li>{html.escape(row)}</li>" for row in self.rows()[1:])
        return f"<p><strong>{html.escape(self.rows()[0])}</strong></p><ul>{cells}</ul>"

    def _repr_markdown_(self) -> str:
        """Return `rows()` as Markdown: what belongs to a finding is a list under it."""
        head, *rows = self.rows()
        return "\n".join([f"**{_plain(head)}**", "", *map(_as_item, rows)])


def _as_item(row: str) -> str:
    return f"  - {_plain(row)}" if row.startswith(" ") else f"- {_plain(row)}"


def _plain(words: str) -> str:
    """Return words of which no character means anything in Markdown: people type facts."""
    return MARKDOWN.sub(r"\\\g<0>", " ".join(words.split()))


def _finding_rows(finding: Finding) -> Iterable[str]:
    yield f"{finding.state:<7}{finding.rule_id} [{finding.level}] {finding.verdict}: {finding.why}"
    for read in finding.values:
        why = f" ({read.reason})" if read.reason else ""
        yield f"         {read.name} = {read.text} {read.unit}".rstrip() + why
    for condition in finding.conditions:
        yield f"         to do: {condition.text} ({condition.owner}, by {condition.due})"
    if finding.reask:
        yield f"         ask again: {finding.reask}"


def may_see(role: str, audience: tuple[str, ...]) -> bool:
    """Return whether `role` is among those who may read a reason (no audience: everybody)."""
    return not audience or role in audience


def _seen_findings(
    findings: tuple[Finding, ...], hidden: Mapping[str, Guarded]
) -> tuple[Finding, ...]:
    shown: list[Finding] = []
    for finding in findings:
        seen = _restricted(finding) if finding.rule_id in hidden else finding
        if seen not in shown:
            shown.append(seen)
    return tuple(shown)


def _restricted(finding: Finding) -> Finding:
    return Finding(
        rule_id="restricted",
        level="",
        verdict=finding.verdict,
        if_true=finding.verdict,
        state=finding.state,
        why=RESTRICTED,
        source="",
        mark="",
    )


def _seen_unknowns(
    unknowns: tuple[Unknown, ...], hidden: Mapping[str, Guarded]
) -> tuple[Unknown, ...]:
    open_to = ((u, tuple(i for i in u.settles if i not in hidden)) for u in unknowns)
    return tuple(replace(u, settles=settles) for u, settles in open_to if settles)


# --- asking -------------------------------------------------------------------------------------


def ask(protocol: Protocol, stage: str, chart: Chart, at: Moment) -> Verdict:
    """Return the verdict of `stage` about `chart` at this moment.

    ProtocolError when the protocol has no such stage or is not in effect on that day; ChartError
    when a reading is in another unit or type than the vocabulary says.
    """
    return suppose(protocol, stage, chart, at, {})


def suppose(
    protocol: Protocol, stage: str, chart: Chart, at: Moment, values: Mapping[str, Value]
) -> Verdict:
    """Return the verdict if each fact in `values` were as given there, whatever the chart says."""
    protocol.demand_effective(at.local_date)
    ready = protocol.stage(stage)
    look = Look(chart, at, protocol.plan.derivers, ready.limits, ready.now)
    ready.first_pass.read(look)
    for name, value in values.items():
        look.values[protocol.plan.columns[name].slot] = value
    return _verdict(protocol, ready, look, ready.truths(look))


def _verdict(protocol: Protocol, stage: Stage, look: Look, truths: list[int]) -> Verdict:
    answer = stage.answer(truths)
    return Verdict(
        answer=answer,
        stage=stage.name,
        protocol_id=protocol.id,
        version=protocol.version,
        digest=protocol.digest,
        label=stage.words[answer],
        at=look.at,
        detail=lambda: render(protocol, stage, look, truths),
    )


# --- stored decisions ---------------------------------------------------------------------------


def decision(verdict: Verdict, chart: Chart) -> dict[str, Any]:
    """Return what is stored of a decision: the verdict and the chart it was asked about."""
    return {"verdict": verdict.to_json(), "chart": chart.to_json()}


def replay(
    stored: Mapping[str, Any], load: Callable[[str, str], Protocol]
) -> tuple[Verdict, Verdict]:
    """Return the stored verdict, and the one that the same inputs give today.

    `load(id, version)` is `kap.protocol.load`. The two differ in `digest` when the file changed.
    """
    told = Verdict.from_json(stored["verdict"])
    protocol = load(told.protocol_id, told.version)
    chart = Chart.from_json(stored["chart"], protocol.facts)
    return told, ask(protocol, told.stage, chart, told.at)
