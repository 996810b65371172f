"""The hour as it is read: rows to core values, the fold, and what page, stream, board show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import Exists, Max, Min, OuterRef, QuerySet
from django.utils.translation import gettext as _

from clinic.course import queries as course_queries
from clinic.course.models import Session
from clinic.dosing import queries
from clinic.dosing.alarms import AlarmRow, rows_of
from clinic.dosing.log_words import words_of
from clinic.dosing.models import Heartbeat, Observation, Order, SessionEvent
from clinic.dosing.seen import RANGE, Seen
from kap import observation as kap_observation
from kap.log import Event
from kap.observation import StaleLimits, duration, stale_limits, vitals
from kap.protocol import Protocol
from kap.quantity import shown
from kap.session import Phase, SessionState, fold

WATCH = "watch"
SYSTOLIC, DIASTOLIC, MEAN = "systolic", "diastolic", "mean_pressure"
CUFF = "nibp"
CUFF_VITALS = (SYSTOLIC, DIASTOLIC)
TILES = ("heart_rate", "spo2", CUFF, "respiratory_rate")
UNITS = {"heart_rate": "/min", "spo2": "%", CUFF: "mmHg", "respiratory_rate": "/min"}
DIM = (Phase.RUNNING, Phase.PAUSED)


def names() -> dict[str, str]:
    """Return what the tiles are called."""
    return {"heart_rate": _("HR"), "spo2": _("SpO2"), CUFF: _("NIBP"), "respiratory_rate": _("RR")}


# -- rows to core values --------------------------------------------------------------------------


def event_of(row: SessionEvent) -> Event:
    """Return one line of the log as the core reads it."""
    return Event(
        kind=row.kind,
        observed_at=row.observed_at,
        recorded_at=row.recorded_at,
        id=str(row.pk),
        author=row.author,
        data=row.data,
        corrects=str(row.corrects_id) if row.corrects_id else None,
    )


def observation_of(row: Observation) -> kap_observation.Observation:
    """Return one reading as the core reads it."""
    return kap_observation.Observation(
        vital=row.vital,
        value=row.value,
        unit=row.unit,
        observed_at=row.observed_at,
        received_at=row.received_at,
        source=row.source,
        id=str(row.pk),
        skew_ms=row.skew_ms,
        device=str(row.association_id or ""),
    )


def standing(*sessions: Session | UUID) -> QuerySet[Observation]:
    """Return the readings that stand: a corrected one is left out, though never removed."""
    corrected = Observation.objects.filter(corrects=OuterRef("pk"))
    return Observation.objects.filter(session__in=sessions).exclude(Exists(corrected))


# One probe of the index for each vital of each session, however long the sessions have run.
NEWEST = """
    SELECT newest.*
    FROM unnest(%s::uuid[]) AS wanted (id), unnest(%s::text[]) AS vital (code), LATERAL (
        SELECT * FROM dosing_observation AS seen
        WHERE seen.session_id = wanted.id AND seen.vital = vital.code AND NOT EXISTS (
            SELECT FROM dosing_observation AS right_one WHERE right_one.corrects_id = seen.id)
        ORDER BY seen.observed_at DESC, seen.received_at DESC, seen.id DESC LIMIT 1
    ) AS newest
"""


def newest(sessions: Iterable[UUID]) -> dict[UUID, dict[str, Observation]]:
    """Return, by session, the newest reading of each vital, by its own time, that stands."""
    found: dict[UUID, dict[str, Observation]] = {pk: {} for pk in sessions}
    for row in Observation.objects.raw(NEWEST, [list(found), list(vitals())]):
        found[row.session_id][row.vital] = row
    return found


def latest(session: Session) -> dict[str, Observation]:
    """Return the newest reading of each vital of one session."""
    return newest([session.pk])[session.pk]


def fold_of(session: Session, order: Order | None) -> SessionState:
    """Return the state of the session's log."""
    rows = SessionEvent.objects.filter(session=session)
    return fold(map(event_of, rows), plan=order)


def order_text(order: Order) -> str:
    """Return an order in one line, each number with its unit."""
    return _(
        "%(dose)s mg over %(minutes)s min = %(final)s mL at %(rate)s mL/h, draw %(draw)s mL"
    ) % {
        "dose": shown(Decimal(order.dose_ug).scaleb(-3)),
        "minutes": order.minutes,
        "final": shown(Decimal(order.final_ul).scaleb(-3)),
        "rate": shown(Decimal(order.rate_ul_h).scaleb(-3)),
        "draw": shown(Decimal(order.draw_ul).scaleb(-3)),
    }


# -- what is shown --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tile:
    """One number on the page: its age by the server, and the ages at which it greys and goes."""

    vital: str
    name: str
    unit: str
    text: str
    range: str
    age_ms: int | None
    aging_ms: int
    stale_ms: int
    source: str

    @property
    def is_stale(self) -> bool:
        """Whether the server itself would not show the value any more."""
        return self.age_ms is None or self.age_ms > self.stale_ms

    @property
    def shown(self) -> str:
        """Return the value, or `--`."""
        return "--" if self.is_stale else self.text

    def news(self) -> dict[str, Any]:
        """Return what the stream sends of it."""
        return {"vital": self.vital, "text": self.text, "age_ms": self.age_ms, "range": self.range}


class Live:
    """One session at one instant; with what was `seen` of it, where that is kept."""

    def __init__(self, session: Session, at: datetime, seen: Seen | None = None) -> None:
        self.session, self.at, self.seen = session, at, seen

    @cached_property
    def protocol(self) -> Protocol:
        """Return the protocol of the course."""
        return course_queries.protocol_of(self.session.course)

    @cached_property
    def limits(self) -> StaleLimits:
        """Return how old values may be."""
        return stale_limits(self.protocol.tables["alarm_param"])

    @cached_property
    def order(self) -> Order | None:
        """Return the order that runs, or stands."""
        infusion = queries.infusion_of(self.session)
        return infusion.order if infusion else queries.order_of(self.session)

    @cached_property
    def state(self) -> SessionState:
        """Return the fold of the log."""
        return fold_of(self.session, self.order)

    @property
    def link_ms(self) -> int:
        """Return how long a page may hear nothing before it says NO LINK, in ms."""
        return _ms(duration(self.protocol.tables["alarm_param"], "no_link"))

    @property
    def theme(self) -> str:
        """Return the theme of the room: dim while the infusion lasts."""
        return "dim" if self.state.phase in DIM else "day"

    @property
    def order_text(self) -> str:
        """Return the order in one line."""
        return order_text(self.order) if self.order is not None else ""

    @property
    def given(self) -> str:
        """Return the milligrams delivered by now."""
        return f"{shown(Decimal(self.state.delivered_ug(self.at)).scaleb(-3))} mg"

    @property
    def elapsed(self) -> str:
        """Return the time since the start as staff say it."""
        if self.state.started_at is None:
            return ""
        seconds = int((self.at - self.state.started_at).total_seconds())
        return f"T+{seconds // 60}:{seconds % 60:02}"

    @cached_property
    def latest(self) -> dict[str, Observation]:
        """Return the newest reading of each vital."""
        return latest(self.session) if self.seen is None else self.seen.latest

    @cached_property
    def tiles(self) -> list[Tile]:
        """Return the four numbers of the page."""
        return [self.tile(vital) for vital in TILES]

    def tile(self, vital: str) -> Tile:
        """Return one number; without a reading it has no age and is `--`."""
        row = self.latest.get(SYSTOLIC if vital == CUFF else vital)
        seen = observation_of(row) if row is not None else None
        span = self.limits.of(seen.feed if seen else "cuff" if vital == CUFF else "stream")
        return Tile(
            vital=vital,
            name=names()[vital],
            unit=UNITS[vital],
            text=self._text(vital, row),
            range=self._range(vital),
            source=row.source if row else "",
            age_ms=max(0, _ms(seen.age(self.at))) if seen else None,
            aging_ms=_ms(span.fresh),
            stale_ms=_ms(span.stale),
        )

    def _text(self, vital: str, row: Observation | None) -> str:
        if row is None:
            return "--"
        if vital != CUFF:
            return shown(row.value)
        low = self.latest.get(DIASTOLIC)
        together = low is not None and low.observed_at == row.observed_at
        return f"{shown(row.value)}/{shown(low.value) if low is not None and together else '--'}"

    def _range(self, vital: str) -> str:
        found = self._ranges.get(SYSTOLIC if vital == CUFF else vital)
        return f"{shown(found[0])}–{shown(found[1])}" if found else ""

    @cached_property
    def _ranges(self) -> Mapping[str, tuple[Decimal, Decimal]]:
        """Return the lowest and highest reading of the last ten minutes, by vital."""
        if self.seen is not None:
            return self.seen.ranges(self.at)
        rows = (
            standing(self.session)
            .filter(observed_at__gt=self.at - RANGE)
            .values_list("vital")
            .annotate(Min("value"), Max("value"))
            .order_by()
        )
        return {vital: (low, high) for vital, low, high in rows}

    @cached_property
    def alarms(self) -> list[AlarmRow]:
        """Return the open alarms, the loudest first."""
        return rows_of(self.session, self.at)

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        """Return the lines a nurse reads back, newest first, a corrected one marked as such."""
        rows = list(
            SessionEvent.objects.filter(session=self.session).order_by("-observed_at", "-seq")
        )
        voided = {row.corrects_id for row in rows if row.corrects_id}
        return [
            {
                "row": row,
                "words": words_of(row),
                "is_corrected": row.pk in voided,
                "may_undo": self.may_undo(row) and row.pk not in voided,
            }
            for row in rows
        ]

    def may_undo(self, row: SessionEvent) -> bool:
        """Return whether a line can be taken back in one tap: not a start or stop, and not late."""
        return row.kind in UNDOABLE and self.at - row.recorded_at < UNDO


UNDOABLE = ("said", "scored", "music", "paused", "resumed")
UNDO = timedelta(minutes=10)


def _ms(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


def watch_ms(at: datetime) -> int | None:
    """Return how long ago `clinic watch` last looked, or None when it never did."""
    row = Heartbeat.objects.filter(name=WATCH).first()
    return None if row is None else max(0, _ms(at - row.at))
