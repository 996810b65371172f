"""The session's trend from its rows: points, cuffs, limits, marks. Drawn by `kap.picture`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils.safestring import SafeString, mark_safe

from clinic.dosing.alarms import level_words
from clinic.dosing.live import DIASTOLIC, DIM, MEAN, SYSTOLIC, Live, standing
from clinic.dosing.log_words import words_of
from clinic.dosing.models import Observation, SessionEvent
from kap.axis import Language
from kap.picture import HEIGHT, trend
from kap.trend import LimitLine, Mark, Point, Pressure, Trend, trend_csv, trend_table

WIDTH = 720
# The levels of the protocol's alarm table that are drawn, and the words beside the line.
DRAWN = (("systolic", "amber_high"), ("systolic", "red_high"))
MARKS = {
    "started": "start",
    "paused": "pause",
    "resumed": "resume",
    "stopped": "stop",
    "alarm_raised": "alarm",
    "alarm_acknowledged": "acknowledged",
    "said": "note",
}
STARS = {"advisory": "*", "amber": "**", "red": "***", "critical": "***"}


@dataclass(frozen=True)
class Drawn:
    """A trend as picture, table and samples."""

    svg: SafeString
    table: SafeString
    csv: str


def trend_of(live: Live, language: str, *, width: int = WIDTH, height: int = HEIGHT) -> Drawn:
    """Return the session's trend, as high as its place on the page; never higher than HEIGHT px.

    The core escapes every text that it draws.
    """
    lang: Language = "fr" if language.startswith("fr") else "en"
    spec = _spec(live)
    picture = trend(
        spec,
        width=width,
        height=min(height, HEIGHT),
        theme=live.theme,  # type: ignore[arg-type]  # day or dim
        language=lang,
    )
    return Drawn(
        mark_safe(picture),  # kap escapes every text
        mark_safe(trend_table(spec, language=lang)),  # kap escapes every text
        trend_csv(spec),
    )


def _spec(live: Live) -> Trend:
    zero = live.state.started_at or live.at
    rows = list(standing(live.session).order_by("observed_at", "received_at"))
    running = live.state.phase in DIM
    return Trend(
        heart_rate=_points(rows, "heart_rate", zero),
        spo2=_points(rows, "spo2", zero),
        respiratory_rate=_points(rows, "respiratory_rate", zero),
        pressures=_pressures(rows, zero),
        limits=_limits(live),
        marks=_marks(live, zero),
        now=_minute(live.at, zero) if running else None,
        stale_from=_stale_from(live, rows, zero) if running else None,
        clock=_clock(live, zero),
    )


def _minute(at: datetime, zero: datetime) -> Decimal:
    return Decimal((at - zero) // timedelta(milliseconds=1)) / 60_000


def _points(rows: list[Observation], vital: str, zero: datetime) -> list[Point]:
    return [
        Point(_minute(row.observed_at, zero), row.value, by_hand=row.source == "staff")
        for row in rows
        if row.vital == vital
    ]


def _pressures(rows: list[Observation], zero: datetime) -> list[Pressure]:
    cuffs: dict[datetime, dict[str, Observation]] = {}
    for row in rows:
        if row.vital in (SYSTOLIC, DIASTOLIC, MEAN):
            cuffs.setdefault(row.observed_at, {})[row.vital] = row
    return [_pressure(at, cuff, zero) for at, cuff in sorted(cuffs.items())]


def _pressure(at: datetime, cuff: dict[str, Observation], zero: datetime) -> Pressure:
    value = {vital: row.value for vital, row in cuff.items()}
    return Pressure(
        _minute(at, zero),
        value.get(SYSTOLIC),
        value.get(DIASTOLIC),
        value.get(MEAN),
        by_hand=any(row.source == "staff" for row in cuff.values()),
    )


def _limits(live: Live) -> list[LimitLine]:
    table = live.protocol.tables["alarm"]
    name = f"{live.protocol.id} {live.protocol.version}"
    return [
        LimitLine(
            "systolic",
            Decimal(table[signal][level]),
            f"SYS {table[signal][level]}: {level_words()[level.removesuffix('_high')]} ({name})",
        )
        for signal, level in DRAWN
    ]


def _marks(live: Live, zero: datetime) -> list[Mark]:
    rows = SessionEvent.objects.filter(session=live.session, kind__in=MARKS)
    return [
        Mark(
            _minute(row.observed_at, zero),
            MARKS[row.kind],
            words_of(row),
            stars=STARS.get(row.data.get("level", ""), "") if row.kind == "alarm_raised" else "",
        )
        for row in rows.order_by("observed_at")
    ]


def _stale_from(live: Live, rows: list[Observation], zero: datetime) -> Decimal | None:
    streams = [
        row for row in rows if row.vital in ("heart_rate", "spo2") and row.source == "device"
    ]
    if not streams or live.at - streams[-1].observed_at <= live.limits.stream.stale:
        return None
    return _minute(streams[-1].observed_at, zero)


def _clock(live: Live, zero: datetime) -> dict[int, str]:
    """Return the wall time under each labelled minute, in the site's zone."""
    zone = live.session.site.tz
    return {
        minute: (zero + timedelta(minutes=minute)).astimezone(zone).strftime("%H:%M")
        for minute in range(0, 121, 30)
    }
