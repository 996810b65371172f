"""The session trend as values and as words: what the picture shows, for those who cannot see it.

`Trend` holds one session's readings on a clock of minutes from the start of the infusion.
`sentence` says it in one line, `trend_table` in rows, `trend_csv` gives every sample. The drawing
itself is `kap.picture.trend`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from typing import Literal

from kap.axis import Language, csv, plain, table, told

Signal = Literal["heart_rate", "systolic", "diastolic", "spo2", "respiratory_rate"]

TICK_MIN, CHANGE_MIN = 10, 10
GAP_PERIODS = 3  # more than three sample periods without a sample is a gap

GLYPHS = {
    "start": "▶",
    "pause": "‖",
    "resume": "▶",
    "stop": "■",
    "alarm": "▲",
    "acknowledged": "✓",
    "late": "↺",
    "note": "•",
}

WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "title": "Session trend",
        "hr": "HR",
        "nibp": "NIBP",
        "spo2": "SpO2",
        "rr": "RR",
        "now": "now",
        "no value": "no value",
        "up": "up {n} in {minutes} min",
        "down": "down {n} in {minutes} min",
        "same": "unchanged in {minutes} min",
        "stale": "no data since {when}",
        "empty": "no readings yet",
        "time": "Time (min from start)",
        "events": "Events",
        "limits": "Limits: {all}",
        "hand": "by hand",
        "failed": "failed",
    },
    "fr": {
        "title": "Tendance de la séance",
        "hr": "FC",
        "nibp": "PNI",
        "spo2": "SpO2",
        "rr": "FR",
        "now": "maintenant",
        "no value": "aucune valeur",
        "up": "hausse de {n} en {minutes} min",
        "down": "baisse de {n} en {minutes} min",
        "same": "stable depuis {minutes} min",
        "stale": "aucune donnée depuis {when}",
        "empty": "aucune mesure",
        "time": "Temps (min depuis le début)",
        "events": "Événements",
        "limits": "Limites : {all}",
        "hand": "à la main",
        "failed": "échec",
    },
}


@dataclass(frozen=True, slots=True)
class Point:
    """One reading: minutes from the start, and its value in the unit of its signal."""

    minute: Decimal
    value: Decimal
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Pressure:
    """One cuff reading in mmHg; both values None when the cuff failed."""

    minute: Decimal
    systolic: Decimal | None
    diastolic: Decimal | None
    mean: Decimal | None = None
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class LimitLine:
    """A limit as the protocol words it; `until` shades up to the next; a baseline is dotted."""

    signal: Signal
    value: Decimal
    label: str
    until: Decimal | None = None
    is_baseline: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened: kind is a key of GLYPHS; `stars` is an alarm's *, ** or ***."""

    minute: Decimal
    kind: str
    text: str
    stars: str = ""


@dataclass(frozen=True, slots=True)
class Trend:
    """What is known of one session. `sample_seconds`: the period of the continuous signals.

    `clock` gives the wall time to print under a labelled minute. `stale_from` is the minute from
    which nothing has come; from there to `now` is hatched.
    """

    heart_rate: Sequence[Point] = ()
    pressures: Sequence[Pressure] = ()
    spo2: Sequence[Point] = ()
    respiratory_rate: Sequence[Point] = ()
    limits: Sequence[LimitLine] = ()
    marks: Sequence[Mark] = ()
    now: Decimal | None = None
    stale_from: Decimal | None = None
    sample_seconds: int = 1
    first_minute: int = -15
    last_minute: int = 120
    clock: Mapping[int, str] = field(default_factory=dict)


def sentence(spec: Trend, language: Language = "en") -> str:
    """Return the trend in one sentence: each latest value and how it moved in ten minutes."""
    words = WORDS[language]
    parts = [
        _said(words["hr"], "/min", spec.heart_rate, language),
        _said(words["spo2"], "%", spec.spo2, language),
        _said_pressure(spec.pressures, language),
        _said(words["rr"], "/min", spec.respiratory_rate, language),
    ]
    said = [part for part in parts if part] or [words["empty"]]
    if spec.stale_from is not None:
        said.insert(0, words["stale"].format(when=t_plus(spec.stale_from, language)))
    return f"{words['title']}: {'; '.join(said)}"


def trend_table(spec: Trend, *, language: Language = "en") -> str:
    """Return the trend as an HTML table: a row for each cuff reading, event, and tenth minute."""
    words = WORDS[language]
    columns = [
        words["time"],
        f"{words['nibp']} (mmHg)",
        f"{words['hr']} (/min)",
        f"{words['spo2']} (%)",
        f"{words['rr']} (/min)",
        words["events"],
    ]
    caption = words["title"]
    if spec.limits:
        lines = "; ".join(limit.label for limit in spec.limits)
        caption = f"{caption}. {words['limits'].format(all=lines)}"
    return table(caption, columns, (_row(spec, minute, language) for minute in _minutes(spec)))


def trend_csv(spec: Trend) -> str:
    """Return every sample and event, one a line: minute, signal, value, unit, source."""
    lines: list[tuple[Decimal, str, str, str, str]] = []
    for signal, unit, points in _series(spec):
        lines += [(p.minute, signal, plain(p.value), unit, _by(p.by_hand)) for p in points]
    for reading in spec.pressures:
        for signal in ("systolic", "diastolic", "mean"):
            value = getattr(reading, signal)
            shown = "" if value is None else plain(value)
            lines.append((reading.minute, signal, shown, "mmHg", _by(reading.by_hand)))
    lines += [(m.minute, m.kind, m.text, "", "") for m in spec.marks]
    rows = ((plain(minute), *rest) for minute, *rest in sorted(lines))
    return csv(["minute", "signal", "value", "unit", "source"], rows)


def runs(points: Sequence[Point], sample_seconds: int) -> list[list[Point]]:
    """Return points cut where more than three sample periods passed without one."""
    gap = Decimal(GAP_PERIODS * sample_seconds) / 60
    cut: list[list[Point]] = []
    for point in points:
        if cut and point.minute - cut[-1][-1].minute <= gap:
            cut[-1].append(point)
        else:
            cut.append([point])
    return cut


def t_plus(minute: Decimal, language: Language) -> str:
    """Return a minute of the session as staff say it: T+30, T-15."""
    sign = "-" if minute < 0 else "+"
    return f"T{sign}{told(abs(minute), language)}"


def _said(name: str, unit: str, points: Sequence[Point], language: Language) -> str:
    if not points:
        return ""
    latest = points[-1]
    since = latest.minute - CHANGE_MIN
    before = [p for p in points if p.minute <= since]
    said = f"{name} {told(latest.value, language)} {unit}"
    return said if not before else f"{said}, {_moved(latest.value - before[-1].value, language)}"


def _moved(change: Decimal, language: Language) -> str:
    key = "same" if change == 0 else "up" if change > 0 else "down"
    return WORDS[language][key].format(n=told(abs(change), language), minutes=CHANGE_MIN)


def _said_pressure(readings: Sequence[Pressure], language: Language) -> str:
    if not readings:
        return ""
    latest = readings[-1]
    return (
        f"{WORDS[language]['nibp']} {_cuff(latest, language)} ({t_plus(latest.minute, language)})"
    )


def _cuff(reading: Pressure, language: Language) -> str:
    if reading.systolic is None or reading.diastolic is None:
        return WORDS[language]["failed"]
    both = f"{told(reading.systolic, language)}/{told(reading.diastolic, language)} mmHg"
    return f"{both}, {WORDS[language]['hand']}" if reading.by_hand else both


def _minutes(spec: Trend) -> list[Decimal]:
    """The rows of the table: whole minutes that hold a cuff reading or an event, and tenths."""
    told_at = [r.minute for r in spec.pressures] + [m.minute for m in spec.marks]
    seen = {minute.to_integral_value(ROUND_FLOOR) for minute in told_at}
    for _, _, points in _series(spec):
        floors = {p.minute.to_integral_value(ROUND_FLOOR) for p in points}
        seen |= {minute for minute in floors if minute % TICK_MIN == 0}
    return sorted(seen)


def _row(spec: Trend, minute: Decimal, language: Language) -> list[str]:
    cuffs = [_cuff(r, language) for r in spec.pressures if _within(r.minute, minute)]
    events = [f"{GLYPHS[m.kind]} {m.text}" for m in spec.marks if _within(m.minute, minute)]
    streams = [_last_in(points, minute, language) for _, _, points in _series(spec)]
    nothing = WORDS[language]["no value"]
    cuff = "; ".join(cuffs) or nothing
    return [t_plus(minute, language), cuff, *(s or nothing for s in streams), "; ".join(events)]


def _last_in(points: Sequence[Point], minute: Decimal, language: Language) -> str:
    inside = [p for p in points if _within(p.minute, minute)]
    if not inside:
        return ""
    shown = told(inside[-1].value, language)
    return f"{shown}, {WORDS[language]['hand']}" if inside[-1].by_hand else shown


def _within(minute: Decimal, row: Decimal) -> bool:
    return row <= minute < row + 1


def _series(spec: Trend) -> Iterator[tuple[str, str, Sequence[Point]]]:
    yield "heart_rate", "/min", spec.heart_rate
    yield "spo2", "%", spec.spo2
    yield "respiratory_rate", "/min", spec.respiratory_rate


def _by(by_hand: bool) -> str:
    return "staff" if by_hand else "device"
