"""The picture of curves and bands, with the fixed caption and what each one is.

Past is drawn heavier than future. The same in rows and in one sentence is for those who cannot see
it. Source of the rules: docs/algorithms/pharmacokinetics.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kap.axis import Colours, Language, Pen, Scale, Theme, plain, svg, table
from kap.pk.display import BANNER, CAPTION, shown
from kap.pk.dosing import Schedule
from kap.pk.person import Floats

LEFT, RIGHT, TOP, PLOT, FLOOR, LINE = 56, 24, 44, 200, 44, 16
LABELS = 12
STEPS_MIN = (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 720, 1440)
DASHES = ("", "6 4", "2 3", "10 3 2 3")
ROWS = 24

WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "minutes": "minutes",
        "peak": "{name}: highest {value} {unit} at {at} min",
        "band": "shaded: 5 to 95 % of people",
        "empty": "no curve",
    },
    "fr": {
        "minutes": "minutes",
        "peak": "{name} : maximum {value} {unit} à {at} min",
        "band": "ombré : 5 à 95 % des personnes",
        "empty": "aucune courbe",
    },
}


@dataclass(frozen=True, slots=True)
class Lane:
    """What is drawn: named lines over `t_min` (min), a band, when drug was given, words below.

    `now`: what is later is drawn dotted. `is_unverified` adds the banner.
    """

    title: str
    unit: str
    t_min: Floats
    lines: tuple[tuple[str, Floats], ...] = ()
    band: tuple[Floats, Floats] | None = None
    given: tuple[tuple[float, float], ...] = ()
    words: tuple[str, ...] = ()
    now: float | None = None
    is_unverified: bool = False


def when_given(schedule: Schedule) -> tuple[tuple[float, float], ...]:
    """Return when drug was given, as (start, end) in min; the same twice for an instant."""
    pumped = [(one.start_min, one.end_min) for one in schedule.segments]
    at_once = [one.t_min for one in schedule.boluses] + [one.t_min for one in schedule.devices]
    return tuple(sorted([*pumped, *((at, at) for at in at_once)]))


def lane(
    spec: Lane,
    *,
    width: int = 720,
    theme: Theme = "day",
    colours: Colours = "vars",
    language: Language = "en",
) -> str:
    """Return the lane as SVG, `width` px wide; the caption is part of it and cannot be left out."""
    pen = Pen(colours, theme)
    x = Scale(float(spec.t_min[0]), float(spec.t_min[-1]), LEFT, width - RIGHT)
    y = Scale(0, _top(spec), TOP + PLOT, TOP)
    below = [*spec.words]
    if spec.band is not None:
        below.append(WORDS[language]["band"])
    below += _folded(CAPTION[language], width - LEFT - RIGHT)
    body = [
        *_head(spec, pen, language),
        *_axes(spec, pen, x, y, language),
        *_given(spec, pen, x),
        *_band(spec, pen, x, y),
        *_lines(spec, pen, x, y),
        *(
            pen.text("c-text", LEFT, TOP + PLOT + FLOOR + LINE * n, text)
            for n, text in enumerate(below)
        ),
    ]
    height = TOP + PLOT + FLOOR + LINE * len(below)
    label = lane_sentence(spec, language)
    return svg(body, width=width, height=height, label=label, pen=pen, language=language)


def lane_sentence(spec: Lane, language: Language = "en") -> str:
    """Return the lane in one sentence: the peak of each line, then the caption."""
    words, said = WORDS[language], []
    for name, values in spec.lines:
        place = int(np.argmax(values))
        at = plain(round(float(spec.t_min[place])))
        value = shown(float(values[place]), language)
        said.append(words["peak"].format(name=name, value=value, unit=spec.unit, at=at))
    return f"{spec.title}. {'; '.join(said) or words['empty']}. {CAPTION[language]}"


def lane_table(spec: Lane, *, language: Language = "en") -> str:
    """Return the lane as an HTML table: at most ROWS times, two significant digits."""
    columns = [WORDS[language]["minutes"], *(f"{name} ({spec.unit})" for name, _ in spec.lines)]
    shares = np.linspace(0, len(spec.t_min) - 1, min(ROWS, len(spec.t_min)))
    rows = (
        [
            plain(round(float(spec.t_min[n]), 1)),
            *(shown(float(v[n]), language) for _, v in spec.lines),
        ]
        for n in shares.round().astype(int)
    )
    return table(lane_sentence(spec, language), columns, rows)


# --- parts --------------------------------------------------------------------------------------


def _head(spec: Lane, pen: Pen, language: Language) -> Iterator[str]:
    yield pen.text("c-text", LEFT, 18, spec.title, size=14)
    if spec.is_unverified:
        yield pen.text("c-text", LEFT, 36, BANNER[language].upper())


def _axes(spec: Lane, pen: Pen, x: Scale, y: Scale, language: Language) -> Iterator[str]:
    floor, left, right = TOP + PLOT, float(x.at_a), float(x.at_b)
    step = float(y.b) / 4
    for n in range(5):
        row = y(n * step)
        yield pen.line("c-grid", [(left, row), (right, row)], width=0.5)
        yield pen.text("c-muted", left - 4, row + 4, plain(n * step), anchor="end")
    yield pen.text("c-muted", 4, TOP - 12, spec.unit)
    for minute in _ticks(float(x.a), float(x.b)):
        yield pen.line("c-grid", [(x(minute), floor), (x(minute), floor + 4)], width=1)
        yield pen.text("c-text", x(minute), floor + 18, plain(minute), anchor="middle")
    yield pen.text("c-muted", right, floor + 32, WORDS[language]["minutes"], anchor="end")
    if spec.now is not None and x.holds(spec.now):
        yield pen.line("c-now", [(x(spec.now), TOP), (x(spec.now), floor)], width=1)


def _given(spec: Lane, pen: Pen, x: Scale) -> Iterator[str]:
    for start, end in spec.given:
        left, right = (x(min(max(at, x.a), x.b)) for at in (start, end))
        yield pen.rect("c-mark", left, TOP + PLOT - 4, max(2.0, right - left), 4)


def _band(spec: Lane, pen: Pen, x: Scale, y: Scale) -> Iterator[str]:
    """Columns one step wide, from the lower to the upper percentile."""
    if spec.band is None:
        return
    low, high = spec.band
    for n in range(len(spec.t_min) - 1):
        left, right = x(float(spec.t_min[n])), x(float(spec.t_min[n + 1]))
        top, bottom = y(float(high[n])), y(float(low[n]))
        yield pen.rect("c-band", left, top, right - left, bottom - top, "0.2")


def _lines(spec: Lane, pen: Pen, x: Scale, y: Scale) -> Iterator[str]:
    now = math.inf if spec.now is None else spec.now
    for n, (name, values) in enumerate(spec.lines):
        points = [(x(float(t)), y(float(v))) for t, v in zip(spec.t_min, values, strict=True)]
        seen = int(np.searchsorted(spec.t_min, now, side="right"))
        dash = DASHES[n % len(DASHES)]
        if seen:
            yield pen.line("c-score", points[:seen], dash=dash)
        if seen < len(points):
            yield pen.line("c-future", points[max(0, seen - 1) :], width=1, dash="1 3")
        if len(spec.lines) > 1:
            yield from _key(pen, n, name, dash, float(x.at_b))


def _key(pen: Pen, n: int, name: str, dash: str, right: float) -> Iterator[str]:
    row = TOP + 8 + LINE * n
    yield pen.line("c-score", [(right - 220, row), (right - 184, row)], dash=dash)
    yield pen.text("c-text", right - 178, row + 4, name)


def _top(spec: Lane) -> float:
    """Return a round number that holds every value: 1, 2, 4 or 8 times a power of ten."""
    tops = [float(values.max()) for _, values in spec.lines]
    if spec.band is not None:
        tops.append(float(spec.band[1].max()))
    highest = max([*tops, 1.0])
    power = 10.0 ** math.floor(math.log10(highest))
    return next(n * power for n in (1, 2, 4, 8, 10) if n * power >= highest)


def _ticks(first: float, last: float) -> list[int]:
    step = next(
        (n for n in STEPS_MIN if (last - first) / n <= LABELS), math.ceil((last - first) / LABELS)
    )
    return list(range(math.ceil(first / step) * step, math.floor(last) + 1, step))


def _folded(text: str, width: int) -> list[str]:
    """Return a text in lines that fit a width in px, at some 6.5 px a letter."""
    lines: list[str] = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if len(longer) * 6.5 > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def described(words: Sequence[str], width: int = 660) -> tuple[str, ...]:
    """Return words for below a lane, folded to its width."""
    return tuple(line for text in words for line in _folded(text, width))
