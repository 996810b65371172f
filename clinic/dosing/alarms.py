"""Alarms as a session has them: the protocol's signals with this person's baseline, and rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Self
from uuid import UUID

from django.db.models import F
from django.utils.translation import gettext as _

from clinic.course import queries as course_queries
from clinic.course.models import Fact, Session
from clinic.dosing.models import Alarm
from kap import alarm as kap_alarm
from kap.limit import Level, Signal, signals
from kap.protocol import load
from kap.quantity import shown

STALE = "stale"
PRESSURES = ("systolic", "diastolic")
BASELINE_READINGS = 2
MARKS = {"low": "*", "medium": "**", "high": "***"}


def signals_of(session: Session, *, with_baseline: bool = False) -> Mapping[str, Signal]:
    """Return the signals of the course's protocol, with the mean before the dose where wanted."""
    before = baselines([session]).get(session.pk, {}) if with_baseline else {}
    return known_signals(session, before)


def known_signals(session: Session, before: Mapping[str, Decimal]) -> Mapping[str, Signal]:
    """Return the signals of the course's protocol with these means before the dose."""
    protocol = course_queries.protocol_of(session.course)
    return _signals(protocol.id, protocol.version, before.get("systolic"), before.get("diastolic"))


@lru_cache(maxsize=256)
def _signals(
    protocol_id: str, version: str, systolic: Decimal | None, diastolic: Decimal | None
) -> Mapping[str, Signal]:
    tables = load(protocol_id, version).tables
    return signals(tables, {"systolic": systolic, "diastolic": diastolic})


def baselines(sessions: Iterable[Session]) -> dict[UUID, dict[str, Decimal]]:
    """Return, by session, the means of the last two pressures before the dose.

    No mean before the dose, nor of fewer readings.
    """
    told = Fact.objects.filter(
        session__in=list(sessions),
        name__in=PRESSURES,
        session__infusion__started_at__gte=F("observed_at"),
        value__isnull=False,
        corrected_by__isnull=True,
    ).order_by("-observed_at", "-recorded_at")
    values: dict[UUID, dict[str, list[Decimal]]] = {}
    for session_id, name, value in told.values_list("session_id", "name", "value"):
        last = values.setdefault(session_id, {}).setdefault(name, [])
        if len(last) < BASELINE_READINGS:
            last.append(Decimal(str(value)))
    return {
        session_id: {
            name: sum(last, Decimal(0)) / BASELINE_READINGS
            for name, last in found.items()
            if len(last) == BASELINE_READINGS
        }
        for session_id, found in values.items()
    }


# -- silence as a technical alarm -----------------------------------------------------------------


@dataclass(frozen=True)
class Silence:
    """A signal that does not speak: since when, and until when its sound is paused."""

    since: datetime | None = None
    silent_until: datetime | None = None

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self:
        """Return what a row holds."""
        since, until = state.get("since"), state.get("silent_until")
        return cls(
            datetime.fromisoformat(since) if since else None,
            datetime.fromisoformat(until) if until else None,
        )

    def to_json(self) -> dict[str, Any]:
        """Return what a row holds; {} is a signal that speaks."""
        if self.since is None:
            return {}
        until = self.silent_until
        return {
            "since": self.since.isoformat(),
            "silent_until": until.isoformat() if until else None,
        }

    def at(self, moment: datetime, *, is_stale: bool) -> Self:
        """Return the silence at `moment`: begun, over, or sounding again."""
        if not is_stale:
            return replace(self, since=None, silent_until=None)
        over = self.silent_until is not None and moment >= self.silent_until
        return replace(
            self, since=self.since or moment, silent_until=None if over else self.silent_until
        )

    def acknowledged(self, moment: datetime, known: Mapping[str, Signal]) -> Self:
        """Return the silence with its sound paused as long as the protocol lets one."""
        pause: timedelta = next(iter(known.values())).silence
        return replace(self, silent_until=moment + pause)

    def change_from(self, before: Silence) -> str:
        """Return what the log says of the step, or nothing."""
        if (self.since is None) != (before.since is None):
            return "closed" if self.since is None else "raised"
        return "sounds_again" if before.silent_until and not self.silent_until else ""


# -- rows to show ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class AlarmRow:
    """One alarm as the page shows it: marks, name, value, limit and unit, words, time, silence."""

    signal: str
    name: str
    level: str
    priority: str
    marks: str
    text: str
    words: str
    for_ms: int
    silent_ms: int
    is_sounding: bool
    pause: str
    note: str = ""

    @property
    def news(self) -> str:
        """Return what makes it news: another level or condition is announced anew."""
        return f"{self.signal}:{self.level}"

    @property
    def is_critical(self) -> bool:
        """Whether the STOP card is shown."""
        return self.level == Level.CRITICAL.word


def cause_words() -> dict[str, str]:
    """Return the causes a person may give an alarm, by the core's codes."""
    return {
        "artefact": _("artefact"),
        "repositioned": _("repositioned"),
        "rate_down": _("rate down"),
        "prescriber_called": _("prescriber called"),
        "treated": _("treated"),
        "other": _("other"),
    }


def level_words() -> dict[str, str]:
    """Return what each level asks for."""
    return {
        "advisory": _("watch"),
        "amber": _("nurse, repeat"),
        "red": _("pause infusion, physician"),
        "critical": _("STOP, emergency plan"),
        "technical": _("no value: check the monitor"),
    }


def vital_names() -> dict[str, str]:
    """Return what the vitals are called on an alarm row."""
    return {
        "systolic": _("SYS"),
        "diastolic": _("DIA"),
        "heart_rate": _("HR"),
        "spo2": _("SpO2"),
        "respiratory_rate": _("RR"),
        "mean_pressure": _("MAP"),
        "temperature": _("temperature"),
        "moaas": _("MOAA/S"),
        "rass": _("RASS"),
        "distress": _("distress"),
        "dissociation": _("dissociation"),
        "nausea": _("nausea"),
    }


def rows_of(session: Session, at: datetime) -> list[AlarmRow]:
    """Return the open alarms, the loudest first."""
    return rows_of_all([session], at)[session.pk]


def rows_of_all(sessions: Collection[Session], at: datetime) -> dict[UUID, list[AlarmRow]]:
    """Return the open alarms of each session, the loudest first, in as many queries as for one."""
    states: dict[UUID, list[Alarm]] = {session.pk: [] for session in sessions}
    for row in Alarm.objects.filter(session__in=list(states)).exclude(state={}):
        states[row.session_id].append(row)
    before = baselines(session for session in sessions if states[session.pk])
    return {
        session.pk: _rows(
            states[session.pk], known_signals(session, before.get(session.pk, {})), at
        )
        for session in sessions
    }


def _rows(states: Iterable[Alarm], known: Mapping[str, Signal], at: datetime) -> list[AlarmRow]:
    rows = [
        _silent_row(row, at, known)
        if row.signal.startswith(STALE)
        else _row(row, known[row.signal], at)
        for row in states
    ]
    order = {"critical": 4, "red": 3, "amber": 2, "technical": 1, "advisory": 0}
    return sorted(
        (r for r in rows if r), key=lambda r: (not r.is_sounding, -order[r.level], r.name)
    )


def _row(row: Alarm, signal: Signal, at: datetime) -> AlarmRow | None:
    alarm = kap_alarm.Alarm.from_json(signal, row.state)
    if not alarm.is_open:
        return None
    watch, level = alarm.leading, alarm.level.word
    name = vital_names()[watch.limit.vital]
    return AlarmRow(
        signal=row.signal,
        name=name,
        level=level,
        priority=alarm.level.priority,
        marks=MARKS[alarm.level.priority],
        text=f"{name} {_value_and_limit(alarm)}",
        words=level_words()[level],
        for_ms=_ms(alarm.since, at),
        silent_ms=-_ms(alarm.silent_until, at),
        is_sounding=alarm.is_sounding,
        pause=_pause(signal),
        note=note_words().get(alarm.note, ""),
    )


def _value_and_limit(alarm: kap_alarm.Alarm) -> str:
    limit, value = alarm.leading.limit, alarm.leading.value
    told = "--" if value is None else shown(value)
    bound = limit.thresholds.get(alarm.leading.level)
    unit = {"mm[Hg]": "mmHg", "1": ""}.get(limit.unit, limit.unit)
    if bound is None:
        return f"{told} {unit}".strip()
    sign = {(True, True): ">", (True, False): "≥", (False, True): "<", (False, False): "≤"}
    return f"{told} {sign[limit.is_high, bound.strict]} {shown(bound.value)} {unit}".strip()


def note_words() -> dict[str, str]:
    """Return what else an alarm asks for or comes from."""
    return {
        "repeat_due": _("repeat the reading"),
        "repeat_overdue": _("repeat overdue"),
        "symptom": _("with a symptom"),
        "late": _("for an earlier reading"),
    }


def _silent_row(row: Alarm, at: datetime, known: Mapping[str, Signal]) -> AlarmRow:
    silence = Silence.of(row.state)
    name = vital_names().get(row.signal.removeprefix(f"{STALE} "), row.signal)
    return AlarmRow(
        signal=row.signal,
        name=name,
        level="technical",
        priority="low",
        marks="!!",
        text=_("%(name)s: no value") % {"name": name},
        words=level_words()["technical"],
        for_ms=_ms(silence.since, at),
        silent_ms=-_ms(silence.silent_until, at),
        is_sounding=silence.silent_until is None,
        pause=_pause(next(iter(known.values()))),
    )


def _pause(signal: Signal) -> str:
    """Return how long an acknowledgement pauses the sound, as 2:00."""
    seconds = int(signal.silence.total_seconds())
    return f"{seconds // 60}:{seconds % 60:02}"


def _ms(since: datetime | None, at: datetime) -> int:
    return 0 if since is None else (at - since) // timedelta(milliseconds=1)
