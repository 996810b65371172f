"""HL7 v2 as text: bytes to segments, fields, components; escapes decoded once, after splitting.

Strict on purpose: what is damaged is refused with its reason, never repaired or guessed.
Source: interoperability reference 10.2; docs/algorithms/live-feed.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

# MSH-18 -> codec. Absent means ASCII. Nothing else is decoded.
CHARSETS = {"": "ascii", "ASCII": "ascii", "UNICODE UTF-8": "utf-8", "8859/1": "iso-8859-1"}
LARGEST = 256 * 1024
_CONTROL = re.compile(r"[\x00-\x0c\x0e-\x1f\x7f]")  # all but the CR that ends a segment

# HL7 table 0357: the codes of ERR-3.
SEQUENCE, MISSING, WRONG_TYPE, NOT_IN_TABLE = "100", "101", "102", "103"
NO_SUCH_TYPE, NO_SUCH_PROCESSING, NO_SUCH_VERSION = "200", "202", "203"


class Hl7Error(ValueError):
    """A message that cannot be read as a whole. `is_refused`: a kind that is not served (CR).

    The text names segment and field, never a value: it may hold a patient's data.
    """

    def __init__(self, reason: str, *, code: str = SEQUENCE, is_refused: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.code, self.is_refused = reason, code, is_refused


@dataclass(frozen=True, slots=True)
class Marks:
    """The five delimiters that a message declares in MSH-1 and MSH-2."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"

    def decode(self, text: str) -> str:
        """Return `text` with its escape sequences decoded, once. Hl7Error for one not known."""
        if self.escape not in text:
            return text
        parts = text.split(self.escape)
        if len(parts) % 2 == 0:
            raise Hl7Error("an escape sequence is not closed", code=WRONG_TYPE)
        parts[1::2] = [self._decoded(inner) for inner in parts[1::2]]
        return "".join(parts)

    def _decoded(self, inner: str) -> str:
        plain = {
            "F": self.field,
            "S": self.component,
            "R": self.repetition,
            "E": self.escape,
            "T": self.subcomponent,
        }
        if inner in plain:
            return plain[inner]
        if re.fullmatch(r"X(?:2[0-9A-F]|[3-6][0-9A-F]|7[0-9A-E])+", inner):
            return bytes.fromhex(inner[1:]).decode("ascii")
        raise Hl7Error("an escape sequence that is not known", code=WRONG_TYPE)

    def encode(self, text: str) -> str:
        """Return `text` with delimiters escaped, to be written."""
        codes = {
            self.escape: "E",
            self.field: "F",
            self.component: "S",
            self.repetition: "R",
            self.subcomponent: "T",
        }
        return "".join(
            f"{self.escape}{codes[one]}{self.escape}" if one in codes else one for one in text
        )


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment; fields are numbered as HL7 numbers them (MSH-1 is the field separator)."""

    name: str
    fields: tuple[str, ...]
    marks: Marks

    def raw(self, number: int) -> str:
        """Return a field as sent; empty when it is absent."""
        place = number - 1 if self.name == "MSH" else number
        return self.fields[place] if place < len(self.fields) else ""

    def text(self, number: int, component: int = 1, subcomponent: int = 1) -> str:
        """Return one part of a field's first repetition, decoded; empty when it is absent."""
        return self.part(self.first(number), component, subcomponent)

    def first(self, number: int) -> str:
        """Return the first repetition of a field as sent."""
        return self.repetitions(number)[0]

    def repetitions(self, number: int) -> list[str]:
        """Return the repetitions of a field as sent."""
        return self.raw(number).split(self.marks.repetition)

    def part(self, repetition: str, component: int, subcomponent: int = 1) -> str:
        """Return one decoded part of a repetition; empty when it is absent."""
        inside = _at(repetition.split(self.marks.component), component)
        return self.marks.decode(_at(inside.split(self.marks.subcomponent), subcomponent))


def _at(parts: Sequence[str], number: int) -> str:
    return parts[number - 1] if number <= len(parts) else ""


def split(message: bytes) -> tuple[Segment, ...]:
    """Return the segments of a message (no frame around it). Hl7Error when it is none."""
    if len(message) > LARGEST:
        raise Hl7Error(f"longer than {LARGEST} bytes")
    if not message.startswith(b"MSH"):
        raise Hl7Error("does not begin with MSH")
    marks = _marks(message)
    lines = _decoded(message, marks).rstrip("\r").split("\r")
    segments = tuple(_segment(line, marks) for line in lines)
    if any(one.name == "MSH" for one in segments[1:]):
        raise Hl7Error("more than one MSH")
    return segments


def _marks(message: bytes) -> Marks:
    declared = message[3:8].decode("ascii", errors="replace")
    ended = message[8:9].decode("ascii", errors="replace")
    good = len(set(declared)) == 5 and all(33 <= ord(one) < 127 for one in declared)
    if not good or any(one.isalnum() for one in declared) or ended != declared[0]:
        raise Hl7Error("MSH-1 and MSH-2 are no five different delimiters")
    return Marks(*declared)


def _decoded(message: bytes, marks: Marks) -> str:
    header = message.split(b"\r", 1)[0].decode("iso-8859-1")
    charset = Segment("MSH", tuple(header.split(marks.field)), marks).raw(18)
    if charset not in CHARSETS:
        raise Hl7Error("MSH-18 names a character set that is not served", code=NOT_IN_TABLE)
    try:
        text = message.decode(CHARSETS[charset], errors="strict")
    except UnicodeDecodeError:
        raise Hl7Error("bytes that are not of the character set of MSH-18") from None
    if _CONTROL.search(text):
        raise Hl7Error("a control character inside a segment")
    return text


def _segment(line: str, marks: Marks) -> Segment:
    if not re.fullmatch(r"[A-Z][A-Z0-9]{2}", line[:3]) or line[3:4] not in ("", marks.field):
        raise Hl7Error("a line that is no segment")
    return Segment(line[:3], tuple(line.split(marks.field)), marks)


_TIME = re.compile(r"([0-9]{14})(?:\.([0-9]{1,6}))?([+-][0-9]{4})?")
_FIRST_YEAR, _LAST_YEAR = 1900, 9000


def read_time(text: str, default: timezone | None) -> datetime:
    """Return the instant of an HL7 time, to the second at least, in UTC.

    Without zone offset it is read with `default`, or refused when there is none. Hl7Error.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise Hl7Error("no time to the second", code=WRONG_TYPE)
    try:
        wall = datetime.strptime(found[1], "%Y%m%d%H%M%S")  # noqa: DTZ007  the zone follows
    except ValueError:
        raise Hl7Error("a time that does not exist", code=WRONG_TYPE) from None
    if not _FIRST_YEAR <= wall.year <= _LAST_YEAR:
        raise Hl7Error("a year that is not ours", code=WRONG_TYPE)
    zone = default if found[3] is None else _offset(found[3])
    if zone is None:
        raise Hl7Error("a time without zone offset", code=MISSING)
    fraction = timedelta(microseconds=int((found[2] or "0").ljust(6, "0")))
    return (wall.replace(tzinfo=zone) + fraction).astimezone(UTC)


def _offset(text: str) -> timezone:
    hours, minutes = int(text[1:3]), int(text[3:5])
    if hours > 14 or minutes > 59:
        raise Hl7Error("a zone offset that does not exist", code=WRONG_TYPE)
    ahead = timedelta(hours=hours, minutes=minutes)
    return timezone(-ahead if text[0] == "-" else ahead)


def write_time(at: datetime) -> str:
    """Return an HL7 time with the offset that `at` carries, and milliseconds if it has any."""
    digits = at.strftime("%Y%m%d%H%M%S")
    thousandths = f".{at.microsecond // 1000:03d}" if at.microsecond >= 1000 else ""
    return f"{digits}{thousandths}{at.strftime('%z')[:5]}"
