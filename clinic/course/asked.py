"""Reading the askings of a course, as a role may: when, on what occasion, what changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from clinic.course.models import Asking, Course
from clinic.ui import words
from clinic.ui.instants import french
from kap.protocol import Protocol, load
from kap.rule import Answer
from kap.verdict import RESTRICTED, may_see

SHOWN = 10


@dataclass(frozen=True)
class Heard:
    """One asking as a role may read it: `began` and `ceased` are reasons in words."""

    asking: Asking
    began: tuple[str, ...]
    ceased: tuple[str, ...]

    @property
    def answer(self) -> Answer:
        """The answer as computed."""
        return Answer(self.asking.answer)

    @property
    def before(self) -> Answer | None:
        """The answer that it was held against, where it was another one."""
        before = self.asking.before
        is_other = before is not None and before.answer != self.asking.answer
        return Answer(before.answer) if before is not None and is_other else None


def askings_of(course: Course, role: str) -> list[Heard]:
    """Return the last askings of the course as `role` may read them, the newest first."""
    rows = course.askings.select_related("before", "protocol").order_by("-place")
    return [heard(row, role) for row in rows[:SHOWN]]


def last_askings(sessions: Iterable[UUID], role: str) -> dict[UUID, Heard]:
    """Return the last asking about each session as `role` may read it: one query for all."""
    rows = Asking.objects.filter(session__in=sessions).order_by("session_id", "-place")
    rows = rows.select_related("before", "protocol").distinct("session_id")
    return {row.session_id: heard(row, role) for row in rows if row.session_id is not None}


def heard(row: Asking, role: str) -> Heard:
    """Return an asking as `role` may read it."""
    protocol = load(row.protocol.protocol_id, row.protocol.version)
    return Heard(row, _reasons(protocol, row.began, role), _reasons(protocol, row.ceased, role))


def _reasons(protocol: Protocol, rule_ids: Iterable[str], role: str) -> tuple[str, ...]:
    """Return why each rule speaks, once each; one that is kept from the role says only that."""
    return tuple(dict.fromkeys(_reason(protocol, rule_id, role) for rule_id in rule_ids))


def _reason(protocol: Protocol, rule_id: str, role: str) -> str:
    rule = protocol.rule(rule_id)
    if not may_see(role, rule.audience):
        return words.label(RESTRICTED)
    return (rule.why_fr if french() else "") or rule.why
