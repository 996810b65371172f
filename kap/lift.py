"""Overrides: which finding a person may lift, and what that takes. Level A is never lifted.

Source: clinical reference, section 1; a refusal is always said in words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from kap.finding import Finding
from kap.moment import Moment, with_offset
from kap.rule import STAGES, Answer, RuleCondition


@dataclass(frozen=True, slots=True)
class Lift:
    """One override of one rule: who, why, until when; for level R the second person, and the
    clearance document where the rule names a specialty. Names are opaque ids."""

    rule_id: str
    expires_at: datetime | None = None
    who: str = ""
    second: str = ""
    reason: str = ""
    clearance: str = ""

    def __post_init__(self) -> None:
        if self.expires_at is not None:
            object.__setattr__(self, "expires_at", with_offset(self.expires_at))


def refusal(finding: Finding, lift: Lift, at: Moment) -> str:
    """Return why `lift` does not lift `finding` at this moment; "" when it does."""
    if finding.rule_id != lift.rule_id:
        return f"this override is for {lift.rule_id}, not for {finding.rule_id}"
    if finding.level not in ("R", "P"):
        return f"{finding.rule_id} is of level {finding.level or 'unseen'}: nobody may override it"
    if not lift.who.strip() or not lift.reason.strip():
        return "an override names the prescriber and the reason"
    if lift.expires_at is not None and lift.expires_at <= at.utc:
        return f"this override ended at {lift.expires_at.isoformat()}"
    return _refusal_of_relative(finding, lift) if finding.level == "R" else ""


def _refusal_of_relative(finding: Finding, lift: Lift) -> str:
    second = lift.second.strip()
    if not second or second == lift.who.strip():
        return f"{finding.rule_id} is of level R: a second, different person signs too"
    if lift.expires_at is None:
        return f"{finding.rule_id} is of level R: say when the override ends"
    if finding.specialty and not lift.clearance.strip():
        return f"{finding.rule_id} needs the clearance document of {finding.specialty}"
    return ""


def after(
    findings: Iterable[Finding], lifts: Iterable[Lift], at: Moment, met: frozenset[str]
) -> tuple[Answer, tuple[RuleCondition, ...]]:
    """Return the answer once valid lifts took their own findings away, and the conditions open.

    `met` holds texts of conditions that are done; what is unknown is never met by a tick.
    """
    held = tuple(lifts)
    left = [f for f in findings if all(refusal(f, lift, at) for lift in held)]
    open_ones = [c for f in left for c in f.conditions if not is_met(f, c, met)]
    answers = [Answer.ELIGIBLE, *(f.verdict for f in left if not _is_done(f, met))]
    return max(answers, key=lambda answer: answer.rank), tuple(dict.fromkeys(open_ones))


def is_met(finding: Finding, condition: RuleCondition, met: frozenset[str]) -> bool:
    """Return whether a condition is done; only a rule that spoke has conditions to tick."""
    return finding.state == "spoke" and condition.text in met


def _is_done(finding: Finding, met: frozenset[str]) -> bool:
    conditional = finding.verdict is Answer.ELIGIBLE_WITH_CONDITIONS
    return conditional and all(is_met(finding, c, met) for c in finding.conditions)


def is_due(condition: RuleCondition, stage: str) -> bool:
    """Return whether a condition is due by `stage` (what is due `after` never is)."""
    return condition.due in STAGES and STAGES.index(condition.due) <= STAGES.index(stage)
