"""From a referral to a patient, and from a Verdict to a Decision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from django.db import transaction
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from clinic.audit.author import Author
from clinic.course import actions as course_actions
from clinic.course import queries as course_queries
from clinic.course.actions import Lifted, Reading, Refused
from clinic.course.models import Course, Decision, Referral
from clinic.database import now
from kap.chart import Chart
from kap.facts import vocabulary
from kap.rule import Answer
from kap.verdict import Unknown, Verdict

ACCEPTABLE = (Answer.ELIGIBLE, Answer.ELIGIBLE_WITH_CONDITIONS)
# How long a colleague has to ask what the review lacked: a habit of work, no clinical number.
ASK_WITHIN = timedelta(days=2)


@transaction.atomic
def open_patient(
    *,
    referral: Referral,
    legal_name: str,
    preferred_name: str,
    birth_date: date,
    language: str,
    indication: str,
    by: Author,
) -> Course:
    """Open a Patient and a Course from a referral; what the person told becomes Facts of theirs."""
    course_actions.hold(f"referral {referral.pk}")
    if opened := Course.objects.filter(referral=referral).first():
        return opened
    enrolment = course_actions.open_patient(
        site=referral.site,
        legal_name=legal_name,
        preferred_name=preferred_name,
        birth_date=birth_date,
        language=language,
        email=referral.email,
        phone=referral.phone,
        by=by,
    )
    told = [*_self_told(referral), Reading("indication", indication, now())]
    course_actions.record_facts(of=enrolment, readings=told, by=by)
    return course_actions.open_course(
        enrolment=enrolment, indication=indication, referral=referral, by=by
    )


def _self_told(referral: Referral) -> Iterable[Reading]:
    for name, readings in Chart.from_json(referral.chart).facts.items():
        if name == "birth_date":
            continue  # the coordinator asked for it again
        for fact in readings:
            value = fact.value.isoformat() if isinstance(fact.value, date) else fact.value
            reason = str(fact.reason or "")
            yield Reading(name, value, fact.observed_at, fact.unit or "", "self", reason)


@transaction.atomic
def decide(
    *,
    course: Course,
    kind: str,
    reason: str,
    verdict: Verdict,
    chart: Chart,
    by: Author,
    lifted: Sequence[Lifted] = (),
) -> Decision:
    """Store what the prescriber does with the screening Verdict; «asked» opens the tasks.

    Raises Refused when an answer is accepted that nobody may accept.
    """
    answer = course_queries.answer_after(course, verdict, now())
    if kind == Decision.Kind.ACCEPTED and answer not in ACCEPTABLE:
        raise Refused(
            _(
                "The answer is «%(answer)s»: it cannot be accepted. Ask, decline, or override what"
                " may be overridden."
            )
            % {"answer": verdict.label}
        )
    decided = course_actions.decide(
        course=course,
        stage="screening",
        kind=kind,
        reason=reason,
        by=by,
        verdict=verdict,
        chart=chart,
        lifted=lifted,
    )
    if kind == Decision.Kind.ASKED:
        _ask(course, verdict, by)
    return decided


def _ask(course: Course, verdict: Verdict, by: Author) -> None:
    """Give each role that may answer its part of what is unknown."""
    language = (get_language() or "en")[:2]
    wanted: dict[str, list[str]] = {}
    for unknown in verdict.unknowns:
        question = unknown.question.get(language) or unknown.fact.replace("_", " ")
        wanted.setdefault(_owner(unknown), []).append(question)
    for role, questions in (wanted or {"nurse": [verdict.label]}).items():
        course_actions.open_task(
            of=course,
            course=course,
            kind="ask",
            owner_role=role,
            by=by,
            source="screening",
            text=_("Ask and record: %(facts)s") % {"facts": "; ".join(questions)},
            due_at=now() + ASK_WITHIN,
        )


def _owner(unknown: Unknown) -> str:
    kind = vocabulary().get(unknown.fact)
    prescriber_only = kind is not None and kind.answered_by == ("prescriber",)
    return "prescriber" if prescriber_only else "nurse"
