"""Alarm rows: locked, stepped by the core, written back, and told to the log.

A row is one signal of one session. `stale <vital>` rows are technical: no value, never "normal".
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course.actions import Refused
from clinic.course.models import Session
from clinic.database import now
from clinic.dosing import live
from clinic.dosing.actions.log import append
from clinic.dosing.alarms import STALE, Silence, signals_of
from clinic.dosing.models import Alarm, Observation
from kap import alarm as kap_alarm
from kap.limit import AlarmError, Signal

Stepped = tuple[kap_alarm.Alarm, kap_alarm.AlarmEvent | None]


def step(*, session: Session, seen: Iterable[Observation], by: Author) -> None:
    """Let the alarms of the vitals that were read take the readings into account."""
    readings = sorted((live.observation_of(row) for row in seen), key=lambda one: one.order())
    known = signals_of(session, with_baseline=any(r.vital in live.CUFF_VITALS for r in readings))
    touched = [s for s in known.values() if s.vitals & {one.vital for one in readings}]
    rows = _locked(session, [signal.name for signal in touched])
    for signal in touched:
        alarm = kap_alarm.Alarm.from_json(signal, rows[signal.name].state)
        for reading in readings:
            alarm, event = alarm.after(reading)
            _told(session, event, by)
        _keep(rows[signal.name], alarm.to_json())


def _locked(session: Session, names: Iterable[str]) -> dict[str, Alarm]:
    """Return the alarm rows of these signals, locked: two monitors may report the same second."""
    wanted = sorted(names)
    for name in set(wanted) - set(
        Alarm.objects.filter(session=session, signal__in=wanted).values_list("signal", flat=True)
    ):
        _make(session, name)
    rows = Alarm.objects.select_for_update().filter(session=session, signal__in=wanted)
    return {row.signal: row for row in rows.order_by("signal")}


def _make(session: Session, name: str) -> None:
    Alarm.objects.bulk_create(
        [
            Alarm(
                session=session,
                site_id=session.site_id,
                patient_id=session.patient_id,
                signal=name,
                state={},
            )
        ],
        ignore_conflicts=True,
    )


def _keep(row: Alarm, state: dict[str, Any]) -> None:
    if state != row.state:
        Alarm.objects.filter(pk=row.pk).update(state=state)


def _told(session: Session, event: kap_alarm.AlarmEvent | None, by: Author) -> None:
    """Write what changed into the log."""
    if event is not None:
        append(
            session=session,
            id=uuid4(),
            kind=event.kind,
            observed_at=event.at,
            by=by,
            data=event.data(),
        )


def tick(*, session: Session, by: Author) -> None:
    """Ask every alarm of a session what time alone has done, and see who has fallen silent."""
    at = now()
    known = signals_of(session, with_baseline=True)
    open_ones = Alarm.objects.filter(session=session).exclude(state={})
    rows = _locked(session, open_ones.values_list("signal", flat=True))
    for name, row in rows.items():
        if name in known:
            _ticked(session, row, known[name], at, by)
    _see_silence(session, at, by)


def _ticked(session: Session, row: Alarm, signal: Signal, at: datetime, by: Author) -> None:
    alarm, event = kap_alarm.Alarm.from_json(signal, row.state).at(at)
    _told(session, event, by)
    _keep(row, alarm.to_json())


# -- silence --------------------------------------------------------------------------------------


def _see_silence(session: Session, at: datetime, by: Author) -> None:
    """Raise a technical alarm for each monitored vital that is stale; close it when it speaks."""
    limits = live.Live(session, at).limits
    stale = {
        f"{STALE} {vital}": live.observation_of(row).is_stale(at, limits)
        for vital, row in live.latest(session).items()
        if row.source == "device" and _is_bound(row)
    }
    gone = Alarm.objects.filter(session=session, signal__startswith=STALE).exclude(state={})
    names = {name for name, silent in stale.items() if silent}
    names |= set(gone.values_list("signal", flat=True))
    for name, row in _locked(session, names).items():
        _settle_silence(session, row, stale.get(name, False), at, by)


def _is_bound(row: Observation) -> bool:
    return row.association is not None and row.association.released_at is None


def _settle_silence(session: Session, row: Alarm, is_stale: bool, at: datetime, by: Author) -> None:
    before = Silence.of(row.state)
    after = before.at(at, is_stale=is_stale)
    if change := after.change_from(before):
        kind = "alarm_closed" if change == "closed" else "alarm_raised"
        data = {"signal": row.signal, "level": "technical", "change": change}
        append(session=session, id=uuid4(), kind=kind, observed_at=at, by=by, data=data)
    _keep(row, after.to_json())


# -- what a person does about it ------------------------------------------------------------------


@transaction.atomic
def acknowledge(*, session: Session, signal: str, by: Author, cause: str = "") -> None:
    """Silence an alarm for the protocol's minutes at most; it stays open."""
    row = _open_row(session, signal)
    at = now()
    if signal.startswith(STALE):
        silent = Silence.of(row.state).acknowledged(at, signals_of(session))
        append(
            session=session,
            id=uuid4(),
            kind="alarm_acknowledged",
            observed_at=at,
            by=by,
            data={"signal": signal, "level": "technical", "cause": cause},
        )
        _keep(row, silent.to_json())
    else:
        alarm = kap_alarm.Alarm.from_json(
            signals_of(session, with_baseline=True)[signal], row.state
        )
        _keep_stepped(session, row, _with_words(lambda: alarm.acknowledge(at, cause)), by)
    audit.record(by=by, action="alarm.acknowledge", about=row, signal=signal)


def _keep_stepped(session: Session, row: Alarm, stepped: Stepped, by: Author) -> None:
    _told(session, stepped[1], by)
    _keep(row, stepped[0].to_json())


def _with_words(act: Any) -> Any:
    try:
        return act()
    except AlarmError as error:
        raise Refused(str(error)) from error


@transaction.atomic
def close(*, session: Session, signal: str, cause: str, by: Author) -> None:
    """Give an alarm its cause. It closes with that cause when its values say so, never before."""
    row = _open_row(session, signal)
    if signal.startswith(STALE):
        raise Refused(_("A silent signal closes when it speaks again; acknowledge it meanwhile."))
    alarm = kap_alarm.Alarm.from_json(signals_of(session, with_baseline=True)[signal], row.state)
    given = _with_words(lambda: alarm.with_cause(cause))
    _keep(row, given.to_json())
    append(
        session=session,
        id=uuid4(),
        kind="said",
        observed_at=now(),
        by=by,
        data={"text": _("cause of the alarm"), "signal": signal, "cause": cause},
    )
    audit.record(by=by, action="alarm.cause", about=row, signal=signal, cause=cause)


def _open_row(session: Session, signal: str) -> Alarm:
    row = Alarm.objects.select_for_update().filter(session=session, signal=signal).first()
    if row is None or not row.state:
        raise Refused(_("This alarm is not open (any more)."))
    return row
