"""Pictures of a session: the trend (heart rate, pressure, saturation, breathing) and the spark.

x is minutes from the start of the infusion, on a fixed span, so that slopes compare between
sessions. A gap stays a gap; a value off the scale keeps its number at the edge; what is stale is
hatched. The words and rows beside the picture are in `kap.trend`; the patient's arc in `kap.arc`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape

from kap.axis import TEXT_PX, Colours, Language, Pen, Scale, Theme, plain, px, svg
from kap.trend import GLYPHS, TICK_MIN, WORDS, Point, Pressure, Trend, runs, sentence, t_plus

# Layout, in px, and display scales. None of these is a clinical limit: limits come with the trend.
LEFT, RIGHT = 44, 44
FLAGS, SPO2, MAIN, RR, CLOCK = 40, 64, 200, 40, 36
HEIGHT = FLAGS + SPO2 + MAIN + RR + CLOCK
LOWEST = 160  # a lower picture could not be read: its place scrolls
MAIN_GRID = (40, 80, 120, 160, 200)
SPO2_GRID = (80, 90, 95, 100)
RR_GRID = (0, 20, 40)
LABEL_MIN = 30
LABEL_GAP = 13
WORD_GAP = 26  # between two numbers of the main axis: a word of the panel stands there too
MARK_GAP = 34  # two marks nearer than this stand on two rows


@dataclass(frozen=True, slots=True)
class _Panel:
    """A box of the picture with its own vertical scale."""

    pen: Pen
    x: Scale
    y: Scale
    top: int
    bottom: int

    @property
    def right(self) -> float:
        return float(self.x.at_b)

    def height_of(self, value: Decimal) -> float:
        """Return the pixel row of a value; one off the scale sits on the edge."""
        return min(float(self.bottom), max(float(self.top), self.y(value)))


def trend(
    spec: Trend,
    *,
    width: int = 720,
    height: int = HEIGHT,
    theme: Theme = "day",
    colours: Colours = "vars",
    language: Language = "en",
) -> str:
    """Return the session trend as SVG, `width` px wide and `height` px high, LOWEST at the least.

    A lower one has lower panels and fewer numbers at its axes; text keeps its size.
    """
    pen, height = Pen(colours, theme), max(height, LOWEST)
    x = Scale(spec.first_minute, spec.last_minute, LEFT, width - RIGHT)
    spo2, main, rr = _panels(pen, x, height - FLAGS - CLOCK)
    body = [
        *_frame(spec, x, pen, (spo2, main, rr), language),
        *_limits(spec, spo2, main, rr),
        *_pressures(main, spec.pressures),
        *_continuous(main, "c-hr", spec.heart_rate, spec.sample_seconds),
        *_steps(spo2, "c-spo2", spec.spo2, spec.sample_seconds),
        *_squares(rr, "c-rr", spec.respiratory_rate),
        *_marks(spec, x, pen, rr.bottom),
        *_now(spec, x, pen, rr.bottom, language),
    ]
    label = sentence(spec, language)
    return svg(body, width=width, height=height, label=label, pen=pen, language=language)


def spark(
    values: Sequence[Decimal | None],
    *,
    low: Decimal,
    high: Decimal,
    label: str,
    width: int = 96,
    colours: Colours = "vars",
    theme: Theme = "day",
) -> str:
    """Return a small line of equally spaced values between low and high; None leaves a gap."""
    pen, height = Pen(colours, theme), 24
    x, y = Scale(0, max(1, len(values) - 1), 4, width - 4), Scale(low, high, height - 4, 4)
    body, run = [], list[tuple[float, float]]()
    for index, value in enumerate([*values, None]):
        if value is not None:
            run.append((x(index), y(value)))
            continue
        if len(run) == 1:
            body.append(pen.dot("c-score", *run[0], 2))
        elif run:
            body.append(pen.line("c-score", run))
        run = []
    return svg(body, width=width, height=height, label=label, pen=pen, language="en")


def decimated(points: Sequence[Point], x: Scale) -> list[Point]:
    """Return at most the lowest and the highest point of each pixel column, in time order.

    An extreme is never lost, so a one-second dip is still seen in a four-hour picture.
    """
    columns: dict[int, list[Point]] = {}
    for point in points:
        columns.setdefault(int(x(point.minute)), []).append(point)
    kept: list[Point] = []
    for column in columns.values():
        low = min(column, key=lambda p: p.value)
        high = max(column, key=lambda p: p.value)
        kept += [p for p in column if p is low or p is high]
    return kept


def _panels(pen: Pen, x: Scale, high: int) -> tuple[_Panel, _Panel, _Panel]:
    """Return the three panels, which share `high` px as they do in a picture of full height."""
    full = SPO2 + MAIN + RR
    main_top, floor = FLAGS + high * SPO2 // full, FLAGS + high
    rr_top = floor - high * RR // full
    return (
        _Panel(pen, x, Scale(80, 100, main_top - 4, FLAGS + 4), FLAGS, main_top),
        _Panel(pen, x, Scale(40, 200, rr_top, main_top), main_top, rr_top),
        _Panel(pen, x, Scale(0, 40, floor, rr_top), rr_top, floor),
    )


def _frame(
    spec: Trend, x: Scale, pen: Pen, panels: tuple[_Panel, _Panel, _Panel], language: Language
) -> Iterator[str]:
    """Grid lines and axis words of the three panels, and the minutes with the clock beneath."""
    spo2, main, rr = panels
    numbers = _readable(main, MAIN_GRID, WORD_GAP)
    yield from _grid(spo2, SPO2_GRID, _readable(spo2, SPO2_GRID, LABEL_GAP), right=True)
    yield from _grid(main, MAIN_GRID, numbers, right=False)
    # The lowest number of the main panel stands on the upper edge of the breaths.
    breaths = RR_GRID[1:2] if rr.bottom - rr.top >= 2 * LABEL_GAP else ()
    yield from _grid(rr, RR_GRID[1:2], breaths, right=False)
    words, (_, second, third, *_) = WORDS[language], numbers
    yield pen.text("c-spo2", 4, min(spo2.top + 18, spo2.bottom - 10), words["spo2"])
    yield pen.text("c-hr", 4, main.y(second) - 8, words["hr"])
    yield pen.text("c-nibp", 4, main.y(third) - 8, words["nibp"])
    yield pen.text("c-rr", 4, min(rr.top + 34, rr.bottom - 2), words["rr"])
    floor = rr.bottom
    first = -(-spec.first_minute // TICK_MIN) * TICK_MIN
    for minute in range(first, spec.last_minute + 1, TICK_MIN):
        yield pen.line("c-grid", [(x(minute), floor), (x(minute), floor + 4)], width=1)
        if minute % LABEL_MIN == 0:
            yield pen.text(
                "c-text", x(minute), floor + 17, t_plus(Decimal(minute), language), anchor="middle"
            )
            wall = spec.clock.get(minute, "")
            if wall:
                yield pen.text("c-muted", x(minute), floor + 32, wall, anchor="middle")


def _readable(panel: _Panel, values: Sequence[int], gap: int) -> list[int]:
    """Return the values, from the top, whose numbers stand at least `gap` px apart."""
    kept: list[int] = []
    for value in reversed(values):
        if not kept or panel.y(value) - panel.y(kept[-1]) >= gap:
            kept.append(value)
    return kept


def _grid(
    panel: _Panel, values: Sequence[int], numbers: Collection[int], *, right: bool
) -> Iterator[str]:
    for value in values:
        y = panel.y(value)
        yield panel.pen.line("c-grid", [(LEFT, y), (panel.right, y)], width=0.5)
        if value not in numbers:
            continue
        edge, anchor = (panel.right + 4, "start") if right else (LEFT - 4, "end")
        yield panel.pen.text("c-muted", edge, y + 4, str(value), anchor=anchor)


def _limits(spec: Trend, spo2: _Panel, main: _Panel, rr: _Panel) -> Iterator[str]:
    """Dashed lines with their words at the right end; words that would overlap are left to the
    table."""
    placed: list[float] = []
    for limit in sorted(spec.limits, key=lambda one: (one.is_baseline, one.label)):
        panel = {"spo2": spo2, "respiratory_rate": rr}.get(limit.signal, main)
        if not panel.y.holds(limit.value):
            continue
        y = panel.height_of(limit.value)
        if limit.until is not None:
            edge = panel.height_of(limit.until)
            wide = panel.right - LEFT
            yield panel.pen.rect("c-limit", LEFT, min(y, edge), wide, abs(y - edge), "0.08")
        dash = "1 3" if limit.is_baseline else "6 4"
        yield panel.pen.line("c-limit", [(LEFT, y), (panel.right, y)], width=1, dash=dash)
        at = max(panel.top + TEXT_PX, y - 3)
        if all(abs(at - other) >= LABEL_GAP for other in placed):
            placed.append(at)
            yield panel.pen.text("c-limit", panel.right - 4, at, limit.label, anchor="end")


def _continuous(panel: _Panel, role: str, points: Sequence[Point], seconds: int) -> Iterator[str]:
    """A line for each run without a gap, a dot where a run is one reading."""
    for run in runs(points, seconds):
        shown = decimated(run, panel.x)
        if len(shown) > 1:
            yield panel.pen.line(
                role, [(panel.x(p.minute), panel.height_of(p.value)) for p in shown]
            )
        if len(run) == 1:
            [only] = run
            at = (panel.x(only.minute), panel.height_of(only.value))
            yield panel.pen.dot(role, *at, 3, hollow=only.by_hand)
        yield from _off_scale(panel, role, run)


def _steps(panel: _Panel, role: str, points: Sequence[Point], seconds: int) -> Iterator[str]:
    """A stair for each run: a saturation holds until the next one."""
    for run in runs(points, seconds):
        shown = decimated(run, panel.x)
        if len(run) == 1:
            yield from _continuous(panel, role, run, seconds)
            continue
        first, *rest = shown
        d = f"M{px(panel.x(first.minute))} {px(panel.height_of(first.value))}"
        for p in rest:
            d += f"H{px(panel.x(p.minute))}V{px(panel.height_of(p.value))}"
        yield panel.pen.path(role, d)
        yield from _off_scale(panel, role, run)


def _squares(panel: _Panel, role: str, points: Sequence[Point]) -> Iterator[str]:
    """One square a pixel column and extreme: breathing is read as a cloud, not as a line."""
    for p in decimated(points, panel.x):
        at = (panel.x(p.minute), panel.height_of(p.value))
        yield panel.pen.square(role, *at, 4, hollow=p.by_hand)
    yield from _off_scale(panel, role, points)


def _off_scale(panel: _Panel, role: str, points: Sequence[Point]) -> Iterator[str]:
    """An arrow and the number at the edge for the worst value of each spell off the scale."""
    spell: list[Point] = []
    for point in [*points, None]:
        if point is not None and not panel.y.holds(point.value):
            spell.append(point)
            continue
        if spell:
            worst = max(spell, key=lambda p: abs(p.value - Decimal(str(panel.y.a))))
            yield _arrow(panel, role, worst.minute, worst.value)
        spell = []


def _arrow(panel: _Panel, role: str, minute: Decimal, value: Decimal) -> str:
    is_high = value > panel.y.b
    words = f"{'▲' if is_high else '▼'} {plain(value)}"
    y = panel.top + TEXT_PX if is_high else panel.bottom - 3
    return panel.pen.text(role, panel.x(minute) + 4, y, words)


def _pressures(panel: _Panel, readings: Sequence[Pressure]) -> Iterator[str]:
    """A chevron at each end of a thin stem and a bar at the mean; a failed cuff is a `?`."""
    for reading in readings:
        x = panel.x(reading.minute)
        if reading.systolic is None or reading.diastolic is None:
            y = float(panel.bottom - 10)
            yield panel.pen.dot("c-nibp", x, y, 6, hollow=True)
            yield panel.pen.text("c-nibp", x, y + 4, "?", anchor="middle")
            continue
        high, low = panel.height_of(reading.systolic), panel.height_of(reading.diastolic)
        dash = "2 2" if reading.by_hand else ""
        yield panel.pen.line("c-nibp", [(x, high), (x, low)], width=1, dash=dash)
        yield panel.pen.line("c-nibp", [(x - 5, high - 6), (x, high), (x + 5, high - 6)])
        yield panel.pen.line("c-nibp", [(x - 5, low + 6), (x, low), (x + 5, low + 6)])
        if reading.mean is not None:
            mean = panel.height_of(reading.mean)
            yield panel.pen.line("c-nibp", [(x - 3, mean), (x + 3, mean)])
        for value in (reading.systolic, reading.diastolic):
            if not panel.y.holds(value):
                yield _arrow(panel, "c-nibp", reading.minute, value)


def _marks(spec: Trend, x: Scale, pen: Pen, floor: int) -> Iterator[str]:
    """Each event on its minute; one too near the one before stands on the upper row."""
    before, row = float("-inf"), FLAGS - 6
    for mark in sorted(spec.marks, key=lambda one: one.minute):
        at = x(mark.minute)
        crowded = at - before < MARK_GAP and row == FLAGS - 6
        before, row = at, FLAGS - 6 - (18 if crowded else 0)
        dash = "2 3"
        yield f"<g><title>{escape(mark.text, quote=False)}</title>"
        yield pen.line("c-mark", [(at, FLAGS), (at, floor)], width=0.5, dash=dash)
        glyph = f"{GLYPHS[mark.kind]}{mark.stars}"
        yield pen.text("c-mark", at, row, glyph, anchor="middle", size=14)
        yield "</g>"


def _now(spec: Trend, x: Scale, pen: Pen, floor: int, language: Language) -> Iterator[str]:
    """The future tinted, the stale part hatched, a solid line between what was and what is not."""
    if spec.now is None or not x.holds(spec.now):
        return
    at, top, high = x(spec.now), FLAGS, floor - FLAGS
    yield pen.rect("c-future", at, top, float(x.at_b) - at, high, "0.08")
    if spec.stale_from is not None and spec.stale_from < spec.now:
        since = max(float(x.at_a), x(spec.stale_from))
        yield pen.hatch("c-stale", since, top, at - since, high)
    yield pen.line("c-now", [(at, top), (at, top + high)], width=1)
    yield pen.text("c-now", at + 4, top + high - 4, WORDS[language]["now"])
