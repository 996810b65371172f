"""The session's log: lines are appended in one sequence; what follows from them is the fold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course.actions import Refused, hold, written
from clinic.course.models import Session
from clinic.database import now
from clinic.dosing import feed, live, queries
from clinic.dosing.actions.order import tell_record
from clinic.dosing.models import Infusion, SessionEvent
from kap.session import Phase, why_not

STATES = {
    Phase.RUNNING: Infusion.State.RUNNING,
    Phase.PAUSED: Infusion.State.PAUSED,
    Phase.STOPPED: Infusion.State.STOPPED,
    Phase.DISCHARGED: Infusion.State.STOPPED,
}


def next_seq(session: Session, count: int = 1) -> int:
    """Take `count` numbers of the session's sequence and return the first; holds its lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO dosing_loghead (session_id, site_id, patient_id, seq)"
            " VALUES (%s, %s, %s, %s) ON CONFLICT (session_id)"
            " DO UPDATE SET seq = dosing_loghead.seq + EXCLUDED.seq RETURNING seq",
            [session.pk, session.site_id, session.patient_id, count],
        )
        last: int = cursor.fetchone()[0]
    return last - count + 1


def append(
    *,
    session: Session,
    id: UUID,
    kind: str,
    observed_at: datetime,
    by: Author,
    data: Mapping[str, Any] | None = None,
    corrects: SessionEvent | None = None,
) -> SessionEvent:
    """Append one line and announce it; a line with a known id is the line that is there."""
    seq = next_seq(session)
    hold(str(id))  # a second press waits, then finds the first one's row
    if known := SessionEvent.objects.filter(pk=id).first():
        return known
    row = SessionEvent.add(
        **written(session, by) | {"id": id},
        session=session,
        seq=seq,
        kind=kind,
        observed_at=observed_at,
        data=dict(data or {}),
        corrects=corrects,
    )
    feed.announce(session.pk, seq)
    return row


def reach(*, session: Session, kind: str, by: Author) -> None:
    """Append a line that the log needs and does not have yet; nothing where it would not fit."""
    if not why_not(live.fold_of(session, queries.order_of(session)), kind):
        append(session=session, id=uuid4(), kind=kind, observed_at=now(), by=by)


@transaction.atomic
def record_event(
    *,
    session: Session,
    id: UUID,
    kind: str,
    by: Author,
    data: Mapping[str, Any] | None = None,
    corrects: SessionEvent | None = None,
    observed_at: datetime | None = None,
) -> SessionEvent:
    """Write one line and what follows from it. A stop is written in every state (INV-13).

    Raises Refused where another line does not fit; the same id again changes nothing.
    """
    hold(str(id))  # a second press waits, then finds the first one's row
    if known := SessionEvent.objects.filter(pk=id).first():
        return known
    problem = why_not(live.Live(session, now()).state, kind)
    if problem and kind != "stopped":
        raise Refused(problem)
    row = append(
        session=session,
        id=id,
        kind=kind,
        by=by,
        data=data,
        corrects=corrects,
        observed_at=observed_at or now(),
    )
    follow(session=session, by=by)
    audit.record(by=by, action=f"log.{kind}", about=row)
    return row


def follow(*, session: Session, by: Author) -> None:
    """Bring the infusion's row and the record's Facts to what the fold says."""
    infusion = queries.infusion_of(session)
    if infusion is None:
        return
    at = now()
    state = live.fold_of(session, infusion.order)
    stopped = state.clock_stop if state.phase in (Phase.STOPPED, Phase.DISCHARGED) else None
    Infusion.objects.filter(pk=infusion.pk).update(
        state=STATES.get(state.phase, Infusion.State.POSSIBLY_RUNNING),
        stopped_at=stopped,
        delivered_ug=state.delivered_ug(at) if stopped else None,
    )
    tell_record(session=session, by=by)


def pause(*, session: Session, id: UUID, by: Author) -> SessionEvent:
    """Record that the pump was paused."""
    return record_event(session=session, id=id, kind="paused", by=by)


def resume(*, session: Session, id: UUID, by: Author) -> SessionEvent:
    """Record that the pump runs again: the same administration."""
    if not by.holds("nurse", "prescriber"):
        raise Refused(_("A nurse or prescriber resumes."))
    return record_event(session=session, id=id, kind="resumed", by=by)


def stop(*, session: Session, id: UUID, by: Author) -> SessionEvent:
    """Record that the pump was stopped. Never gated; after it there is no restart that day."""
    return record_event(session=session, id=id, kind="stopped", by=by)


@transaction.atomic
def emergency(*, session: Session, id: UUID, by: Author) -> SessionEvent:
    """Record the emergency; while the pump runs or is paused, it is the stop too. Never gated."""
    phase = live.Live(session, now()).state.phase
    row = record_event(
        session=session,
        id=id,
        kind="stopped" if phase in live.DIM else "said",
        by=by,
        data={"emergency": True, "text": "EMERGENCY"},
    )
    audit.record(by=by, action="session.emergency", about=session)
    return row


def say(*, session: Session, id: UUID, text: str, by: Author) -> SessionEvent:
    """Note what happened, in a word that was tapped or typed."""
    if not text.strip():
        raise Refused(_("Write or tap what happened."))
    return record_event(session=session, id=id, kind="said", by=by, data={"text": text.strip()})


@transaction.atomic
def undo(*, session: Session, id: UUID, target: SessionEvent, by: Author) -> SessionEvent:
    """Take one line back by a correction; the line stays readable in the record."""
    hold(str(id))  # a second press waits, then finds the first one's row
    if known := SessionEvent.objects.filter(pk=id).first():
        return known
    if not live.Live(session, now()).may_undo(target):
        raise Refused(_("This can no longer be taken back in one tap; record a correction."))
    return record_event(
        session=session,
        id=id,
        kind="correction",
        by=by,
        corrects=target,
        data={"void": True, "reason": "undo"},
    )
