"""What a person did with a Verdict: the Decision, and the findings it lifted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course import queries
from clinic.course.actions.rows import Refused, written
from clinic.course.models import Course, Decision, Override, Session
from clinic.database import now
from clinic.people.models import Staff
from kap.chart import Chart
from kap.verdict import Lift, Verdict


@dataclass(frozen=True)
class Lifted:
    """One finding a prescriber wants to lift: level R needs a second person and an expiry."""

    rule_id: str
    reason: str
    expires_at: datetime
    second_person: Staff | None = None
    clearance: str = ""


@transaction.atomic
def decide(
    *,
    course: Course,
    stage: str,
    kind: str,
    reason: str,
    by: Author,
    verdict: Verdict,
    chart: Chart,
    lifted: Sequence[Lifted] = (),
    session: Session | None = None,
) -> Decision:
    """Store what a person did with a Verdict, with everything it read, so that it can be replayed.

    Raises Refused for an unsigned protocol outside demo mode, for a level A override, and for an R
    override without a second person.
    """
    if not queries.may_decide(course):
        raise Refused(
            _("This protocol version is not signed for this site; no decision is stored.")
        )
    decision = Decision.add(
        **written(course, by),
        course=course,
        session=session,
        protocol=course.protocol,
        stage=stage,
        answer=str(verdict.answer),
        kind=kind,
        reason=reason,
        verdict=verdict.to_json(),
        chart=chart.to_json(),
        facts_hash=verdict.facts_hash,
        decided_at=now(),
    )
    for lift in lifted:
        _override(decision, verdict, lift, by)
    audit.record(
        by=by, action=f"decision.{kind}", about=decision, stage=stage, answer=decision.answer
    )
    return decision


def _override(decision: Decision, verdict: Verdict, lift: Lifted, by: Author) -> Override:
    """Store one override. Raises Refused where the core says that it would lift nothing."""
    levels = {finding.rule_id: finding.level for finding in verdict.findings}
    level = levels.get(lift.rule_id)
    if level not in ("P", "R"):
        raise Refused(
            _("%(rule)s is level %(level)s: nobody may override it.")
            % {"rule": lift.rule_id, "level": level or "-"}
        )
    if level == "R" and (lift.second_person is None or f"staff:{lift.second_person.pk}" == by.id):
        raise Refused(_("%(rule)s is level R: a second person must sign.") % {"rule": lift.rule_id})
    if why := verdict.refusal(_as_lift(lift, by), queries.moment(now(), decision.site)):
        raise Refused(_("This override would lift nothing: %(why)s.") % {"why": why})
    return Override.add(
        **written(decision, by),
        decision=decision,
        rule_id=lift.rule_id,
        level=level,
        reason=lift.reason,
        second_person=lift.second_person,
        clearance=lift.clearance,
        expires_at=lift.expires_at,
    )


def _as_lift(lift: Lifted, by: Author) -> Lift:
    second = f"staff:{lift.second_person.pk}" if lift.second_person else ""
    return Lift(lift.rule_id, lift.expires_at, by.id, second, lift.reason, lift.clearance)
