"""Whose turn it is when an answer changed: one task, in the transaction of what changed it.

What is unknown is never good news. The text says no more than a coordinator may read, since a
course page shows it to everybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext as _

from clinic.audit.author import Author
from clinic.course import queries
from clinic.course.actions.tasks import close_task, open_task
from clinic.course.models import Asking, Task
from clinic.database import now
from clinic.ui import words
from clinic.ui.instants import french
from kap.facts import vocabulary
from kap.rule import Answer
from kap.verdict import Unknown, Verdict

SOURCE = "asked again"
SUPERSEDED = "superseded"
SAFETY = "safety"
# How long a colleague has to act on an answer that is not urgent: a habit of work, no clinical
# number. Never later than the session is planned for.
ACT_WITHIN = timedelta(days=2)
REASONS, QUESTIONS = 3, 6  # said in a task; the course page has all
CHAIR = "start"


@dataclass(frozen=True)
class Turn:
    """The role whose turn it is, the kind of task, and whether it is told of good news."""

    role: str
    kind: str = "asking"
    is_better: bool = False


def tell_change(*, asking: Asking, verdict: Verdict, by: Author) -> Task | None:
    """Open one task for the role whose turn it is after a changed answer, or return None."""
    turn = turn_after(asking, verdict)
    if turn is None:
        return None
    standing = list(queries.open_tasks(course=asking.course, source__startswith=f"{SOURCE} at"))
    if turn.kind == SAFETY and any(task.kind == SAFETY for task in standing):
        return None
    with translation.override(settings.LANGUAGE_CODE):  # the team's, not that of whose hand it was
        _supersede(standing, asking, by)
        task = open_task(
            of=asking,
            course=asking.course,
            kind=turn.kind,
            owner_role=turn.role,
            text=_text(asking, verdict, turn),
            due_at=_due(asking, turn),
            source=f"{SOURCE} at {asking.stage}",
            by=by,
        )
        if turn.is_better and asking.stage == CHAIR and by.holds("nurse", "prescriber"):
            close_task(task=task, disposition="seen", note=_("Seen at the chair."), by=by)
    return task


def turn_after(asking: Asking, verdict: Verdict) -> Turn | None:
    """Return whose turn it is, None where nobody's is.

    The first answer of a stage is news where it stands in the way; what a stage asks for the first
    time at the chair is on the gate before those who answer it, and a course that opens is on the
    worklist of screening. An emergency is always told.
    """
    answer, before = verdict.answer, asking.before
    if before is not None and before.answer == answer:
        return None
    if answer is Answer.REFER_NOW:
        return Turn("prescriber", SAFETY)
    if before is None:
        return None
    if answer.rank >= Answer.DEFER.rank:
        return Turn("prescriber")
    if answer is Answer.NEED_MORE_INFORMATION:
        is_asked_there = asking.is_first and asking.stage == CHAIR
        return None if is_asked_there else Turn(who_answers(verdict.unknowns))
    if answer.rank > Answer(before.answer).rank:
        return Turn("prescriber")
    if asking.is_first:
        return None
    return Turn("nurse" if asking.stage == CHAIR else "coordinator", is_better=True)


def who_answers(unknowns: Iterable[Unknown]) -> str:
    """Return the nurse where the nurse may record all that is missing, else the prescriber."""
    kinds = vocabulary()
    asked = [kinds[unknown.fact].answered_by for unknown in unknowns if unknown.fact in kinds]
    told = [answerers for answerers in asked if answerers != ("record",)]
    return "nurse" if all("nurse" in answerers for answerers in told) else "prescriber"


def _supersede(standing: Iterable[Task], asking: Asking, by: Author) -> None:
    """Close what an older answer asked for; a safety task waits for a person's own words."""
    note = _("Asked again: the answer is now «%(answer)s».") % {"answer": _word(asking.answer)}
    for task in standing:
        if task.kind != SAFETY:
            close_task(task=task, disposition=SUPERSEDED, note=note, by=by)


def _due(asking: Asking, turn: Turn) -> datetime:
    at = now()
    if turn.kind == SAFETY:
        return at + queries.safety_wait(asking.course)
    if asking.stage == CHAIR:
        return at
    latest = asking.session.planned_start if asking.session else at + ACT_WITHIN
    return max(at, min(at + ACT_WITHIN, latest))


def _text(asking: Asking, verdict: Verdict, turn: Turn) -> str:
    """Return what changed and why, as a coordinator may read it."""
    seen = verdict.seen_by("coordinator")
    changed = _("Asked again (%(occasion)s): %(before)s → %(answer)s.") % {
        "occasion": asking.get_occasion_display(),
        "before": _word(asking.before.answer) if asking.before else _("not asked before"),
        "answer": _word(asking.answer),
    }
    if turn.is_better:
        return changed + " " + _("The next step may be booked or asked for.")
    if verdict.answer is Answer.NEED_MORE_INFORMATION:
        return changed + " " + _("Ask and record: %(facts)s") % {"facts": _questions(seen)}
    reasons = [
        (finding.why_fr if french() else "") or words.label(finding.why)
        for finding in seen.findings
        if finding.verdict is verdict.answer
    ]
    return changed + " " + "; ".join(reasons[:REASONS])


def _questions(seen: Verdict) -> str:
    language = "fr" if french() else "en"
    asked = [u.question.get(language) or words.fact(u.fact) for u in seen.unknowns]
    more = [_("and %(n)s more") % {"n": len(asked) - QUESTIONS}] if len(asked) > QUESTIONS else []
    return "; ".join([*asked[:QUESTIONS], *more]) or words.label("restricted reason")


def _word(answer: str) -> str:
    return words.label(answer.replace("_", " "))
