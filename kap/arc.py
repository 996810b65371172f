"""The patient's arc: one questionnaire's scores over a whole course, with what was done beside it.

x is days from the first dose; y is the instrument's whole range, never cut, with its bands in
words. Response and remission are lines; a missed questionnaire is hollow on the axis. Lines, bands
and words come from the instrument and the baseline; nothing clinical is written here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from kap.axis import TEXT_PX, Colours, Language, Pen, Scale, Theme, csv, svg, table
from kap.instrument import Instrument

LEFT, RIGHT, TOP, PLOT, BOTTOM = 40, 136, 52, 216, 40
HEIGHT = TOP + PLOT + BOTTOM
LABEL_DAYS = 30
LINE_GAP = 13

GLYPHS = {"dose": "▼", "booster": "◇", "therapy": "○", "adverse": "✕", "relapse": "⚑"}

WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "days": "days from first dose",
        "day": "Day",
        "score": "Score",
        "band": "Band",
        "event": "Events",
        "missed": "missed",
        "response": "response ≤ {n}",
        "remission": "remission < {n}",
        "today": "today",
        "said": "{title}: {first} on day {day0}, {last} on day {day1}, {more}",
        "more": "{doses} doses, {missed} missed",
        "empty": "{title}: no score yet",
        "dose": "dose",
        "booster": "booster",
        "therapy": "therapy",
        "adverse": "adverse event",
        "relapse": "relapse",
    },
    "fr": {
        "days": "jours depuis la première dose",
        "day": "Jour",
        "score": "Score",
        "band": "Catégorie",
        "event": "Événements",
        "missed": "manqué",
        "response": "réponse ≤ {n}",
        "remission": "rémission < {n}",
        "today": "aujourd’hui",
        "said": "{title} : {first} au jour {day0}, {last} au jour {day1}, {more}",
        "more": "{doses} doses, {missed} manqué(s)",
        "empty": "{title} : aucun score",
        "dose": "dose",
        "booster": "rappel",
        "therapy": "thérapie",
        "adverse": "événement indésirable",
        "relapse": "rechute",
    },
}


@dataclass(frozen=True, slots=True)
class ArcScore:
    """A total on a day from the first dose; None: the questionnaire was due and missed."""

    day: int
    total: int | None
    prorated: bool = False


@dataclass(frozen=True, slots=True)
class ArcMark:
    """Something done or met on a day: kind is a key of GLYPHS; `text` numbers or names it."""

    day: int
    kind: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Arc:
    """One course on one instrument. `response_at`: the highest score that is a response."""

    instrument: Instrument
    scores: Sequence[ArcScore] = ()
    marks: Sequence[ArcMark] = ()
    response_at: int | None = None
    today: int | None = None
    first_day: int = -14
    last_day: int = 180


def arc(
    spec: Arc,
    *,
    width: int = 720,
    theme: Theme = "day",
    colours: Colours = "vars",
    language: Language = "en",
) -> str:
    """Return the patient's arc as SVG, `width` px wide and HEIGHT px high."""
    pen = Pen(colours, theme)
    x = Scale(spec.first_day, spec.last_day, LEFT, width - RIGHT)
    y = Scale(spec.instrument.lowest, spec.instrument.highest, TOP + PLOT, TOP)
    body = [
        *_bands(spec, pen, x, y, language),
        *_days(spec, pen, x, language),
        *_lines(spec, pen, x, y, language),
        *_scores(spec, pen, x, y),
        *_marks(spec, pen, x),
    ]
    label = arc_sentence(spec, language)
    return svg(body, width=width, height=HEIGHT, label=label, pen=pen, language=language)


def arc_sentence(spec: Arc, language: Language = "en") -> str:
    """Return the arc in one sentence: first and latest score, doses, missed questionnaires."""
    words, title = WORDS[language], spec.instrument.title[language]
    known = [score for score in spec.scores if score.total is not None]
    if not known:
        return words["empty"].format(title=title)
    return words["said"].format(
        title=title,
        first=known[0].total,
        day0=known[0].day,
        last=known[-1].total,
        day1=known[-1].day,
        more=words["more"].format(
            doses=sum(mark.kind in ("dose", "booster") for mark in spec.marks),
            missed=len(spec.scores) - len(known),
        ),
    )


def arc_table(spec: Arc, *, language: Language = "en") -> str:
    """Return the arc as an HTML table, a row for each day with a score or an event."""
    words = WORDS[language]
    columns = [words["day"], words["score"], words["band"], words["event"]]
    return table(arc_sentence(spec, language), columns, _rows(spec, language))


def arc_csv(spec: Arc) -> str:
    """Return the arc as comma-separated lines: day, score (empty if missed), band, events."""
    missed = WORDS["en"]["missed"]
    rows = ([d, "" if s == missed else s, b, e] for d, s, b, e in _rows(spec, "en"))
    return csv(["day", f"{spec.instrument.id}_points", "band", "events"], rows)


def _bands(spec: Arc, pen: Pen, x: Scale, y: Scale, language: Language) -> Iterator[str]:
    """Tints that deepen with severity, the lower edge as a number, the word at the right."""
    left, right = float(x.at_a), float(x.at_b)
    for index, band in enumerate(spec.instrument.bands):
        top = y(min(band.high + 1, spec.instrument.highest))
        bottom = y(band.low)
        if index % 2:
            yield pen.rect("c-band", left, top, right - left, bottom - top, "0.06")
        yield pen.line("c-grid", [(left, bottom), (right, bottom)], width=0.5)
        yield pen.text("c-muted", left - 4, bottom + 4, str(band.low), anchor="end")
        middle = (top + bottom) / 2 + 4
        yield pen.text("c-muted", right + 6, middle, band.text[language])
    yield pen.text("c-muted", left - 4, TOP + 4, str(spec.instrument.highest), anchor="end")


def _days(spec: Arc, pen: Pen, x: Scale, language: Language) -> Iterator[str]:
    floor = TOP + PLOT
    first = -(-spec.first_day // LABEL_DAYS) * LABEL_DAYS
    for day in range(first, spec.last_day + 1, LABEL_DAYS):
        yield pen.line("c-grid", [(x(day), floor), (x(day), floor + 4)], width=1)
        yield pen.text("c-text", x(day), floor + 18, str(day), anchor="middle")
    yield pen.text("c-muted", x.at_b, floor + 34, WORDS[language]["days"], anchor="end")
    if spec.today is not None and x.holds(spec.today):
        at = x(spec.today)
        yield pen.rect("c-future", at, TOP, float(x.at_b) - at, PLOT, "0.08")
        yield pen.line("c-now", [(at, TOP), (at, floor)], width=1)
        yield pen.text("c-now", at + 4, floor - 4, WORDS[language]["today"])


def _lines(spec: Arc, pen: Pen, x: Scale, y: Scale, language: Language) -> Iterator[str]:
    """The response line of this baseline and the remission line of the instrument, with words."""
    words = WORDS[language]
    remission = spec.instrument.thresholds["remission_below"].value
    lines = [(Decimal(remission) - Decimal("0.5"), words["remission"].format(n=remission))]
    if spec.response_at is not None:
        at = Decimal(spec.response_at) + Decimal("0.5")
        lines.append((at, words["response"].format(n=spec.response_at)))
    above: float | None = None
    for value, label in sorted(lines, reverse=True):
        row = y(value)
        yield pen.line("c-limit", [(x.at_a, row), (x.at_b, row)], width=1, dash="6 4")
        crowded = above is not None and row - above < LINE_GAP
        yield pen.text(
            "c-limit",
            float(x.at_b) - 4,
            row + TEXT_PX if crowded else row - 3,
            label,
            anchor="end",
        )
        above = row


def _scores(spec: Arc, pen: Pen, x: Scale, y: Scale) -> Iterator[str]:
    """Dots joined in order; a missed questionnaire breaks the line and lies hollow on the axis."""
    run: list[tuple[float, float]] = []
    for score in spec.scores:
        if score.total is None:
            yield from _joined(pen, run)
            run = []
            yield pen.dot("c-score", x(score.day), y(spec.instrument.lowest), 4, hollow=True)
            continue
        at = (x(score.day), y(score.total))
        run.append(at)
        yield pen.dot("c-score", *at, 4, hollow=score.prorated)
    yield from _joined(pen, run)


def _joined(pen: Pen, run: Sequence[tuple[float, float]]) -> Iterator[str]:
    if len(run) > 1:
        yield pen.line("c-score", run)


def _marks(spec: Arc, pen: Pen, x: Scale) -> Iterator[str]:
    """Doses and boosters above with their number over them, everything else on the row below."""
    for mark in spec.marks:
        at = x(mark.day)
        if mark.kind in ("dose", "booster"):
            yield pen.text("c-mark", at, TOP - 36, mark.text, anchor="middle")
            yield pen.text("c-mark", at, TOP - 24, GLYPHS[mark.kind], anchor="middle")
        else:
            yield pen.text("c-mark", at, TOP - 6, GLYPHS[mark.kind] + mark.text, anchor="middle")


def _rows(spec: Arc, language: Language) -> Iterator[list[str]]:
    words = WORDS[language]
    days = {score.day for score in spec.scores} | {mark.day for mark in spec.marks}
    for day in sorted(days):
        totals = [score.total for score in spec.scores if score.day == day]
        scores = ", ".join(words["missed"] if t is None else str(t) for t in totals)
        bands = ", ".join(spec.instrument.band(t).text[language] for t in totals if t is not None)
        events = [f"{words[m.kind]} {m.text}".strip() for m in spec.marks if m.day == day]
        yield [str(day), scores, bands, ", ".join(events)]
