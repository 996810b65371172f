"""Alarm rows: locked, stepped by the core, written back, and told to the log.

A row is one signal of one session. `stale <vital>` rows are technical: no value, never "normal".
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course.actions import Refused
from clinic.course.models import Session
from clinic.database import now
from clinic.dosing import live
from clinic.dosing.actions.log import append
from clinic.dosing.alarms import STALE, Silence, baselines, known_signals, signals_of
from clinic.dosing.models import Alarm, Association, LogHead, Observation
from kap import alarm as kap_alarm
from kap import observation as kap_observation
from kap.limit import AlarmError, Signal

Stepped = tuple[kap_alarm.Alarm, kap_alarm.AlarmEvent | None]
# Readings of one session that arrived together, and whose they are.
Told = tuple[Session, Sequence[Observation], Author]
Rows = dict[tuple[UUID, str], Alarm]


def hold_logs(sessions: Iterable[Session]) -> None:
    """Hold the logs of these sessions, always in one order.

    Whoever steps an alarm holds its session's log first, as whoever takes a number does: a watch,
    a monitor and a hand that meet wait for each other and never in a circle.
    """
    wanted = sorted({session.pk for session in sessions})
    list(LogHead.objects.select_for_update().filter(pk__in=wanted).order_by("pk").values("pk"))


# -- readings -------------------------------------------------------------------------------------


def step(*, told: Sequence[Told]) -> None:
    """Let the alarms of the vitals that were read take the readings into account.

    The logs of the sessions are held already: the readings took numbers there.
    """
    with_cuff = [s for s, rows, _ in told if any(row.vital in live.CUFF_VITALS for row in rows)]
    before = baselines(with_cuff) if with_cuff else {}
    touched = [(one, _touched(one, before.get(one[0].pk, {}))) for one in told]
    rows = _locked(
        {
            (session.pk, signal.name): session
            for (session, _, _), found in touched
            for signal in found
        }
    )
    states = {key: row.state for key, row in rows.items()}
    for (session, seen, by), found in touched:
        readings = sorted((live.observation_of(row) for row in seen), key=lambda one: one.order())
        for signal in found:
            _step(session, rows[session.pk, signal.name], signal, readings, by)
    _keep(row for key, row in rows.items() if row.state != states[key])


def _touched(told: Told, before: Mapping[str, Decimal]) -> list[Signal]:
    """Return the signals that read a vital of these readings."""
    session, rows, _by = told
    read = {row.vital for row in rows}
    return [one for one in known_signals(session, before).values() if one.vitals & read]


def _step(
    session: Session,
    row: Alarm,
    signal: Signal,
    readings: Iterable[kap_observation.Observation],
    by: Author,
) -> None:
    """Step one alarm by readings, oldest first; its row holds the new state, not written yet."""
    alarm = kap_alarm.Alarm.from_json(signal, row.state)
    for reading in readings:
        alarm, event = alarm.after(reading)
        _tell(session, event, by)
    row.state = alarm.to_json()


def _locked(wanted: Mapping[tuple[UUID, str], Session]) -> Rows:
    """Return the alarm rows of these sessions and signals, locked; made where there are none."""
    rows = _rows(wanted)
    if missing := [key for key in wanted if key not in rows]:
        Alarm.objects.bulk_create(
            [
                Alarm(
                    session=wanted[key],
                    site_id=wanted[key].site_id,
                    patient_id=wanted[key].patient_id,
                    signal=key[1],
                    state={},
                )
                for key in sorted(missing)
            ],
            ignore_conflicts=True,
        )
        rows = _rows(wanted)
    return rows


def _rows(wanted: Mapping[tuple[UUID, str], Session]) -> Rows:
    rows = Alarm.objects.select_for_update().filter(
        session__in={session for session, _ in wanted}, signal__in={name for _, name in wanted}
    )
    found = {(row.session_id, row.signal): row for row in rows.order_by("session_id", "signal")}
    return {key: found[key] for key in wanted if key in found}


def _keep(rows: Iterable[Alarm]) -> None:
    """Write the states of these rows, at once."""
    states = {str(row.pk): json.dumps(row.state) for row in rows}
    if states:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE dosing_alarm SET state = new.state"
                " FROM unnest(%s::uuid[], %s::jsonb[]) AS new (id, state)"
                " WHERE dosing_alarm.id = new.id",
                [list(states), list(states.values())],
            )


def _tell(session: Session, event: kap_alarm.AlarmEvent | None, by: Author) -> None:
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


# -- time alone, and silence ----------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """What time does to one alarm row: its next state, and what the log says of it, if anything."""

    session: Session
    signal: str
    state: dict[str, Any]
    kind: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


def tick(*, sessions: Sequence[Session], by: Author) -> None:
    """Ask every alarm of these sessions what time alone has done, and see who has fallen silent.

    Asked first without a lock: most seconds change nothing, and a monitor that writes is not kept
    waiting. What would change is asked again with the session's log held.
    """
    changing = {one.session.pk: one.session for one in _changes(sessions, now())}
    if changing:
        hold_logs(changing.values())
        at = now()
        _write(_changes(list(changing.values()), at), at, by)


def _write(changes: Sequence[Change], at: datetime, by: Author) -> None:
    rows = _locked({(one.session.pk, one.signal): one.session for one in changes})
    for one in changes:
        rows[one.session.pk, one.signal].state = one.state
        if one.kind:
            append(
                session=one.session, id=uuid4(), kind=one.kind, observed_at=at, by=by, data=one.data
            )
    _keep(rows.values())


def _changes(sessions: Sequence[Session], at: datetime) -> list[Change]:
    """Return what `at` changes in the alarm rows of these sessions."""
    states: dict[UUID, dict[str, Any]] = {session.pk: {} for session in sessions}
    open_ones = Alarm.objects.filter(session__in=sessions).exclude(state={}).order_by("signal")
    for row in open_ones:
        states[row.session_id][row.signal] = row.state
    before, silent = baselines(sessions), _silent(sessions, at)
    found: list[Change] = []
    for session in sessions:
        known = known_signals(session, before.get(session.pk, {}))
        mine = states[session.pk]
        found += [
            change
            for name in known.keys() & mine.keys()
            if (change := _timed(session, known[name], mine[name], at))
        ]
        quiet = {name for name in mine if name.startswith(STALE)} | silent[session.pk]
        found += [
            change
            for name in sorted(quiet)
            if (change := _silence(session, name, mine.get(name, {}), silent[session.pk], at))
        ]
    return found


def _timed(
    session: Session, signal: Signal, state: Mapping[str, Any], at: datetime
) -> Change | None:
    alarm = kap_alarm.Alarm.from_json(signal, state)
    after, event = alarm.at(at)
    if event is None:
        return None if after == alarm else Change(session, signal.name, after.to_json())
    return Change(session, signal.name, after.to_json(), event.kind, event.data())


def _silent(sessions: Sequence[Session], at: datetime) -> dict[UUID, set[str]]:
    """Return, by session, the technical alarms of the monitored vitals that are stale."""
    bound = set(
        Association.objects.filter(session__in=sessions, released_at__isnull=True).values_list(
            "pk", flat=True
        )
    )
    newest = live.newest([session.pk for session in sessions])
    found: dict[UUID, set[str]] = {}
    for session in sessions:
        limits = live.Live(session, at).limits
        found[session.pk] = {
            f"{STALE} {vital}"
            for vital, row in newest[session.pk].items()
            if row.source == "device"
            and row.association_id in bound
            and live.observation_of(row).is_stale(at, limits)
        }
    return found


def _silence(
    session: Session, name: str, state: Mapping[str, Any], silent: Collection[str], at: datetime
) -> Change | None:
    """Raise a technical alarm for a signal that is stale; close it when it speaks."""
    before = Silence.of(state)
    after = before.at(at, is_stale=name in silent)
    if after == before:
        return None
    change = after.change_from(before)
    if not change:
        return Change(session, name, after.to_json())
    kind = "alarm_closed" if change == "closed" else "alarm_raised"
    data = {"signal": name, "level": "technical", "change": change}
    return Change(session, name, after.to_json(), kind, data)


# -- what a person does about it ------------------------------------------------------------------


@transaction.atomic
def acknowledge(*, session: Session, signal: str, by: Author, cause: str = "") -> None:
    """Silence an alarm for the protocol's minutes at most; it stays open."""
    hold_logs([session])
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
        row.state = silent.to_json()
        _keep([row])
    else:
        alarm = kap_alarm.Alarm.from_json(
            signals_of(session, with_baseline=True)[signal], row.state
        )
        _keep_stepped(session, row, _with_words(lambda: alarm.acknowledge(at, cause)), by)
    audit.record(by=by, action="alarm.acknowledge", about=row, signal=signal)


def _keep_stepped(session: Session, row: Alarm, stepped: Stepped, by: Author) -> None:
    _tell(session, stepped[1], by)
    row.state = stepped[0].to_json()
    _keep([row])


def _with_words(act: Any) -> Any:
    try:
        return act()
    except AlarmError as error:
        raise Refused(str(error)) from error


@transaction.atomic
def close(*, session: Session, signal: str, cause: str, by: Author) -> None:
    """Give an alarm its cause. It closes with that cause when its values say so, never before."""
    hold_logs([session])
    row = _open_row(session, signal)
    if signal.startswith(STALE):
        raise Refused(_("A silent signal closes when it speaks again; acknowledge it meanwhile."))
    alarm = kap_alarm.Alarm.from_json(signals_of(session, with_baseline=True)[signal], row.state)
    given = _with_words(lambda: alarm.with_cause(cause))
    row.state = given.to_json()
    _keep([row])
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
