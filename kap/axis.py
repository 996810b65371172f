"""The pen and the ruler of every picture: SVG elements, colours, scales, ticks.

Pure: the same input gives the same bytes. Coordinates are pixels rounded to 0.1. No `style=""`
(the page forbids it): shapes carry a class and draw in `currentColor`, so that one CSS rule
a class (`.c-hr { color: … }`) paints lines and fills alike. For a notebook or a file, where no
style sheet follows, the same shapes carry hexadecimal colours instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Literal

Colours = Literal["vars", "literal"]
Theme = Literal["day", "dim", "board"]
Language = Literal["en", "fr"]
Number = int | float | Decimal

TEXT_PX = 12  # axis text is never smaller, and never scaled
LABEL_PX = 14

# Contrast-checked palette: class -> colour by theme.
PALETTE: dict[str, dict[Theme, str]] = {
    "c-paper": {"day": "#FFFFFF", "dim": "#17120E", "board": "#0E1418"},
    "c-text": {"day": "#1B2A33", "dim": "#D9C7B0", "board": "#F2F5F7"},
    "c-muted": {"day": "#4A5B66", "dim": "#A08F7C", "board": "#B3BEC6"},
    "c-grid": {"day": "#7C8A94", "dim": "#7A6B5B", "board": "#6F7C85"},
    "c-now": {"day": "#1B2A33", "dim": "#D9C7B0", "board": "#F2F5F7"},
    "c-future": {"day": "#7C8A94", "dim": "#7A6B5B", "board": "#6F7C85"},
    "c-stale": {"day": "#4A5B66", "dim": "#A08F7C", "board": "#B3BEC6"},
    "c-limit": {"day": "#4A5B66", "dim": "#A08F7C", "board": "#B3BEC6"},
    "c-band": {"day": "#4B2E83", "dim": "#B77FD6", "board": "#B78CFF"},
    "c-hr": {"day": "#0F6B2F", "dim": "#4FB56A", "board": "#3DDC64"},
    "c-spo2": {"day": "#00708A", "dim": "#4CC3D2", "board": "#33D6E6"},
    "c-nibp": {"day": "#1B2A33", "dim": "#EFE3D0", "board": "#FFFFFF"},
    "c-rr": {"day": "#8A5A00", "dim": "#D9BE3F", "board": "#FFE14D"},
    "c-mark": {"day": "#1B2A33", "dim": "#D9C7B0", "board": "#F2F5F7"},
    "c-score": {"day": "#0B5563", "dim": "#C88A4A", "board": "#5CC8D7"},
}


def px(value: Number) -> str:
    """Return a coordinate in pixels, rounded to 0.1, without a trailing zero or a minus zero."""
    text = f"{round(float(value), 1):.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def plain(value: Number) -> str:
    """Return a number as a person writes it: no exponent, no trailing zero."""
    text = format(Decimal(str(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def told(value: Number, language: Language) -> str:
    """Return a number for reading: a decimal comma in French."""
    return plain(value).replace(".", ",") if language == "fr" else plain(value)


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight line from values to pixels. `a` lands on `at_a`, `b` on `at_b`."""

    a: Number
    b: Number
    at_a: Number
    at_b: Number

    def __call__(self, value: Number) -> float:
        """Return the pixel of a value; a value outside a..b lands outside, it is not clipped."""
        share = (float(value) - float(self.a)) / (float(self.b) - float(self.a))
        return float(self.at_a) + share * (float(self.at_b) - float(self.at_a))

    def holds(self, value: Number) -> bool:
        """Return whether a value lies on the scale, its ends included."""
        return self.a <= value <= self.b


@dataclass(frozen=True, slots=True)
class Pen:
    """How shapes get their colour: by class alone, or by hexadecimal values of one theme."""

    colours: Colours = "vars"
    theme: Theme = "day"

    def ink(self, role: str) -> str:
        """Return the colour of a role such as "c-hr"."""
        return "currentColor" if self.colours == "vars" else PALETTE[role][self.theme]

    def line(self, role: str, points: Iterable[tuple[Number, Number]], **more: Number | str) -> str:
        """Return a polyline in the colour of its role."""
        at = " ".join(f"{px(x)},{px(y)}" for x, y in points)
        return f'<polyline class="{role}" points="{at}" {self._stroke(role, more)}/>'

    def path(self, role: str, d: str, **more: Number | str) -> str:
        """Return an open path in the colour of its role."""
        return f'<path class="{role}" d="{d}" {self._stroke(role, more)}/>'

    def rect(
        self, role: str, x: Number, y: Number, w: Number, h: Number, opacity: str = "1"
    ) -> str:
        """Return a filled box."""
        box = f'x="{px(x)}" y="{px(y)}" width="{px(w)}" height="{px(h)}"'
        return f'<rect class="{role}" {box} fill="{self.ink(role)}" fill-opacity="{opacity}"/>'

    def dot(self, role: str, x: Number, y: Number, r: Number, *, hollow: bool = False) -> str:
        """Return a round marker; hollow for a value typed by hand or missing."""
        place = f'cx="{px(x)}" cy="{px(y)}" r="{px(r)}"'
        return f'<circle class="{role}" {place} {self._body(role, hollow)}/>'

    def square(self, role: str, x: Number, y: Number, side: Number, *, hollow: bool) -> str:
        """Return a square marker centred on a point."""
        half = float(side) / 2
        box = f'x="{px(float(x) - half)}" y="{px(float(y) - half)}"'
        size = f'width="{px(side)}" height="{px(side)}"'
        return f'<rect class="{role}" {box} {size} {self._body(role, hollow)}/>'

    def text(
        self,
        role: str,
        x: Number,
        y: Number,
        words: str,
        *,
        anchor: str = "start",
        size: int = TEXT_PX,
    ) -> str:
        """Return a line of text; `anchor` is start, middle or end; size in px, never under 12."""
        place = f'x="{px(x)}" y="{px(y)}" font-size="{size}" text-anchor="{anchor}"'
        ink = f'fill="{self.ink(role)}"'
        return f'<text class="{role}" {place} {ink}>{escape(words, quote=False)}</text>'

    def hatch(self, role: str, x: Number, y: Number, w: Number, h: Number) -> str:
        """Return slanted lines that fill a box: here the value is not known."""
        left, top, wide, high = float(x), float(y), float(w), float(h)
        strokes = []
        step = 8
        for start in range(0, int(wide + high), step):
            x1, y1 = max(0.0, start - high), min(high, float(start))
            x2, y2 = min(wide, float(start)), max(0.0, start - wide)
            strokes.append(f"M{px(left + x1)} {px(top + y1)}L{px(left + x2)} {px(top + y2)}")
        return self.path(role, "".join(strokes), width=1)

    def _stroke(self, role: str, more: dict[str, Number | str]) -> str:
        width = more.pop("width", 2)
        dash = more.pop("dash", "")
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        return f'fill="none" stroke="{self.ink(role)}" stroke-width="{px(float(width))}"{dashed}'

    def _body(self, role: str, hollow: bool) -> str:
        fill = self.ink("c-paper") if hollow and self.colours == "literal" else "none"
        inside = fill if hollow else self.ink(role)
        return f'fill="{inside}" stroke="{self.ink(role)}" stroke-width="1.5"'


def svg(
    body: Iterable[str], *, width: int, height: int, label: str, pen: Pen, language: Language
) -> str:
    """Return a whole picture of a fixed size in px, with one sentence for those who cannot see it.

    No `viewBox`: text is drawn at its own size, and a narrow place gets a narrower picture.
    """
    paper = ""
    if pen.colours == "literal":
        paper = pen.rect("c-paper", 0, 0, width, height)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" lang="{language}" '
        f'width="{width}" height="{height}" aria-label="{escape(label)}" '
        f'font-family="Atkinson Hyperlegible, Arial, sans-serif">'
    )
    return "\n".join([head, *filter(None, (paper,)), *body, "</svg>"])


def table(caption: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return an HTML table whose first column heads its rows; all words are escaped."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    lines = []
    for first, *rest in rows:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        lines.append(f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>')
    body = "\n".join(lines)
    return (
        f'<table class="chart-table"><caption>{escape(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
    )


def csv(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return comma-separated lines; cells are quoted where needed, and none starts a formula."""
    return "".join(",".join(map(_cell, row)) + "\r\n" for row in [list(columns), *rows])


def _cell(text: str) -> str:
    # A spreadsheet runs a cell that starts like a formula; a quote in front keeps it text.
    is_number = text.removeprefix("-").replace(".", "", 1).isdecimal()
    safe = f"'{text}" if text[:1] in ("=", "+", "-", "@") and not is_number else text
    return '"' + safe.replace('"', '""') + '"' if set(safe) & set(',"\r\n') else safe
