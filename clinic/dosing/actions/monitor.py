"""The feed: a monitor bound to a session, its readings, the sets typed by hand, and silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course.actions import Refused, hold, written
from clinic.course.models import Fact, Session
from clinic.database import now
from clinic.dosing import feed, live, queries
from clinic.dosing.actions import alarms
from clinic.dosing.actions.log import append
from clinic.dosing.models import Association, Device, Infusion, Observation
from kap import observation as kap_observation
from kap.facts import FactError, vocabulary
from kap.observation import vital as vital_of

# The vital signs that a gate reads, by what they are called before the dose; after it `_session`.
GATE_VITALS = ("systolic", "diastolic", "heart_rate", "spo2")
# The scores that a gate reads, and what they are called before the dose.
SCORES: Mapping[str, str] = {
    "moaas": "",
    "dissociation": "dissociation_before",
    "nausea": "",
    "distress": "",
}


# -- the monitor's place --------------------------------------------------------------------------


@transaction.atomic
def bind(
    *, session: Session, device: Device, mrn: str, birth_date: date, key: UUID, by: Author
) -> Association:
    """Bind a monitor to the person in the chair, after two identifiers agreed with the chart."""
    hold(str(key))  # a second press waits, then finds the first one's row
    if known := Association.objects.filter(pk=key).first():
        return known
    if mrn.strip() != queries.mrn_of(session) or birth_date != session.patient.birth_date:
        raise Refused(
            _(
                "The chart number and date of birth read from the person are not those of this"
                " session. Check who is in the chair."
            )
        )
    if device.site_id != session.site_id:
        raise Refused(_("This monitor belongs to another site."))
    if Device.objects.select_for_update().get(pk=device.pk).retired_at is not None:
        raise Refused(_("This monitor is retired; choose another one."))
    try:
        with transaction.atomic():
            row = Association.add(
                **written(session, by) | {"id": key}, device=device, session=session, bound_at=now()
            )
    except IntegrityError as error:
        raise Refused(
            _("This monitor is bound to another session; release it there first.")
        ) from error
    audit.record(by=by, action="device.bind", about=row, device=str(device.pk))
    return row


def release(*, session: Session, by: Author) -> None:
    """Release every monitor of the session: from now on its values belong to nobody."""
    at = now()
    for row in session.associations.filter(released_at__isnull=True):
        Association.objects.filter(pk=row.pk).update(released_at=at)
        audit.record(by=by, action="device.release", about=row)


# -- readings -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heard:
    """Readings of one session that came together, whose they are, and how they came."""

    session: Session
    seen: Sequence[kap_observation.Observation]
    by: Author
    association: Association | None = None
    message_id: UUID | None = None
    digest: str = ""


def record_observations(
    *, session: Session, seen: Sequence[kap_observation.Observation], by: Author, **more: Any
) -> list[Observation]:
    """Store readings of one session, as `record_heard` does; `more` as Heard names it."""
    [rows] = record_heard(heard=[Heard(session, seen, by, **more)])
    return rows


@transaction.atomic
def record_heard(*, heard: Sequence[Heard]) -> list[list[Observation]]:
    """Store readings, open or close the alarms they touch, tell the gate's facts; audit each.

    All or nothing. Each takes the numbers that follow in its session's sequence, in this order.
    """
    rows = _store(heard)
    spoken = [(one, found) for one, found in zip(heard, rows, strict=True) if found]
    for one, found in spoken:
        _tell_gate(one.session, found, one.by)
    if spoken:
        alarms.step(told=[(one.session, found, one.by) for one, found in spoken])
        feed.announce_all({one.session.pk: found[-1].seq for one, found in spoken})
    audit.record_writes(
        action="observation.record",
        about=[
            (one.by, one.session, {"count": len(found), "digest": one.digest})
            for one, found in zip(heard, rows, strict=True)
        ],
    )
    return rows


def _store(heard: Sequence[Heard]) -> list[list[Observation]]:
    """Insert every reading at once; return the rows of each that was heard."""
    numbers = _numbers(heard)
    at = now()
    rows = iter(
        Observation.add_all(
            {
                "site_id": one.session.site_id,
                "patient_id": one.session.patient_id,
                "author": one.by.id,
                "author_role": one.by.role,
                "recorded_at": at,
                "session": one.session,
                "seq": next(numbers[one.session.pk]),
                "vital": seen.vital,
                "value": seen.value,
                "unit": seen.unit,
                "observed_at": seen.observed_at,
                "received_at": seen.received_at,
                "source": seen.source,
                "association": one.association,
                "message_id": one.message_id,
                "skew_ms": seen.skew_ms,
            }
            for one in heard
            for seen in one.seen
        )
    )
    return [list(islice(rows, len(one.seen))) for one in heard]


def _numbers(heard: Iterable[Heard]) -> dict[UUID, Iterator[int]]:
    """Take the numbers these readings need and return them by session; holds the logs' locks.

    The logs are taken in the order of their keys, as `alarms.hold_logs` does.
    """
    sessions: dict[UUID, Session] = {one.session.pk: one.session for one in heard if one.seen}
    counts = Counter(dict.fromkeys(sorted(sessions), 0))
    for one in heard:
        counts[one.session.pk] += len(one.seen)
    wanted = [(sessions[pk], count) for pk, count in counts.items() if count]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO dosing_loghead (session_id, site_id, patient_id, seq)"
            " SELECT * FROM unnest(%s::uuid[], %s::text[], %s::uuid[], %s::bigint[])"
            " ON CONFLICT (session_id)"
            " DO UPDATE SET seq = dosing_loghead.seq + EXCLUDED.seq RETURNING session_id, seq",
            [
                [session.pk for session, _ in wanted],
                [session.site_id for session, _ in wanted],
                [session.patient_id for session, _ in wanted],
                [count for _, count in wanted],
            ],
        )
        return {pk: iter(range(last - counts[pk] + 1, last + 1)) for pk, last in cursor.fetchall()}


@transaction.atomic
def record_set(
    *, session: Session, values: Mapping[str, Decimal], key: UUID, by: Author
) -> list[Observation]:
    """Store a set read off the monitor by hand, or scores: each now, each by this person."""
    body = {"set": str(session.pk), **{name: f"{value:f}" for name, value in values.items()}}
    if audit.receipt(principal=by.id, key=str(key), body=body) is not None:
        return []
    if not values:
        raise Refused(_("Nothing was entered; enter what was measured."))
    at = now()
    seen = [
        kap_observation.Observation(
            vital=name,
            value=value,
            unit=vital_of(name).unit,
            observed_at=at,
            received_at=at,
            source="staff",
        )
        for name, value in values.items()
    ]
    rows = record_observations(session=session, seen=seen, by=by)
    audit.keep_receipt(
        principal=by.id, key=str(key), body=body, result={"ids": [str(row.pk) for row in rows]}
    )
    return rows


@transaction.atomic
def score(*, session: Session, values: Mapping[str, int], key: UUID, by: Author) -> None:
    """Store scores as readings (alarms read them), as lines of the log, and for the gate."""
    numbers = {name: Decimal(value) for name, value in values.items()}
    for row in record_set(session=session, values=numbers, key=key, by=by):
        append(
            session=session,
            id=uuid4(),
            kind="scored",
            observed_at=row.observed_at,
            by=by,
            data={"instrument": row.vital, "value": int(row.value)},
        )


# -- what the gates need of it --------------------------------------------------------------------


def _tell_gate(session: Session, rows: Iterable[Observation], by: Author) -> None:
    """Write vitals and scores as the Facts that start and discharge read.

    A stream is told with each cuff reading and each typed set, not each second.
    """
    rows = list(rows)
    is_set = any(row.vital == live.SYSTOLIC or row.source == "staff" for row in rows)
    begun = queries.infusion_of(session) is not None if is_set else False
    for row in rows if is_set else ():
        if name := _fact_name(row.vital, begun=begun):
            _tell(session, name, row, by)


def _fact_name(vital: str, *, begun: bool) -> str:
    if vital in GATE_VITALS:
        return f"{vital}_session" if begun else vital
    if vital in SCORES:
        return vital if begun else SCORES[vital]
    return ""


def _tell(session: Session, name: str, row: Observation, by: Author) -> None:
    """Write one Fact; a value the vocabulary refuses stays a reading and opens no gate."""
    kind = vocabulary()[name]
    try:
        kind.accept(row.value, kind.unit)
    except FactError:
        return
    Fact.add(
        **written(session, by),
        name=name,
        value=f"{row.value.normalize():f}",
        unit=kind.unit,
        observed_at=row.observed_at,
        source="device" if row.source == "device" else "staff",
        session=session,
    )


# -- alarms and silence ---------------------------------------------------------------------------


def acknowledge(*, session: Session, signal: str, by: Author) -> None:
    """Acknowledge an alarm: its sound pauses, it stays open."""
    alarms.acknowledge(session=session, signal=signal, by=by)


def close_alarm(*, session: Session, signal: str, cause: str, by: Author) -> None:
    """Close an alarm with its cause."""
    alarms.close(session=session, signal=signal, cause=cause, by=by)


def tick_alarms(*, by: Author) -> int:
    """Ask every live session what time alone has done to its alarms; return how many sessions."""
    sessions = live_sessions()
    alarms.tick(sessions=sessions, by=by)
    return len(sessions)


def live_sessions() -> list[Session]:
    """Return the sessions with a bound monitor or an infusion that has not ended."""
    running = Infusion.objects.exclude(state=Infusion.State.STOPPED).values("session")
    bound = Association.objects.filter(released_at__isnull=True).values("session")
    rows = Session.objects.filter(Q(pk__in=running) | Q(pk__in=bound))
    return list(rows.select_related("course__protocol", "patient", "site"))


def beat() -> None:
    """Say that `clinic watch` looked just now; a part of every beat of the live stream."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO dosing_heartbeat (name, at) VALUES (%s, %s)"
            " ON CONFLICT (name) DO UPDATE SET at = EXCLUDED.at",
            [live.WATCH, now()],
        )
