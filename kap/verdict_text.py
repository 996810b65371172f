"""A verdict as a terminal shows it: words and symbols first, colour never alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath

from kap.finding import Finding, ReadValue, Unknown
from kap.rule import Answer
from kap.verdict import Verdict

SPOKE, UNKNOWN, CONDITION, NOTE = "✗", "?", "▲", "·"
WIDEST = 46  # a column is padded up to this; longer words run on, nothing is cut
DIGEST_SHOWN = 12

COLOUR = {
    Answer.ELIGIBLE: "32",
    Answer.ELIGIBLE_WITH_CONDITIONS: "33",
    Answer.NEED_MORE_INFORMATION: "36",
}
STOP_COLOUR = "31"


def verdict_lines(
    verdict: Verdict, *, name: str, exit_code: int, supposed: Sequence[str] = (), colour: bool
) -> Iterator[str]:
    """Yield the lines of a verdict about the file `name`, the answer in the first."""
    counts = _counts(verdict)
    answer = painted(verdict.label.upper(), verdict.answer, colour)
    head = (
        f"{verdict.stage.upper()}  {PurePath(name).stem}  {verdict.protocol_id} {verdict.version}"
    )
    yield f"{head}   {answer}  {counts}   exit {exit_code}"
    if supposed:
        yield f"What if: {', '.join(supposed)}. Not what is on file."
    yield from _table([_row(finding, verdict) for finding in verdict.findings])
    yield from _block("To do:", [_to_do(c.text, c.owner, c.due) for c in verdict.conditions])
    yield from _block("Tasks:", [_to_do(t.text, t.owner, t.due) for t in verdict.tasks])
    yield from _block("To ask:", [_to_ask(unknown) for unknown in verdict.unknowns])
    yield from _block("Told and listed disagree, the risk wins:", list(verdict.conflicts))
    yield f"As of {verdict.at.utc:%Y-%m-%d %H:%M} UTC, local date {verdict.at.local_date}."
    yield f"Unsigned protocol: for demonstration only. Digest {verdict.digest[:DIGEST_SHOWN]}."


def _counts(verdict: Verdict) -> str:
    """How many rules are quiet, spoke against, or are unknown; a note is none of these."""
    unknown = sum(f.state == "unknown" for f in verdict.findings)
    notes = sum(_symbol(f) == NOTE for f in verdict.findings)
    spoke = len(verdict.findings) - unknown - notes
    noted = f", {notes} noted" if notes else ""
    return f"({len(verdict.quiet)} met, {spoke} not met, {unknown} unknown{noted})"


def painted(words: str, answer: Answer, colour: bool) -> str:
    """Return the words in the colour of an answer, or as they are."""
    return f"\x1b[1;{COLOUR.get(answer, STOP_COLOUR)}m{words}\x1b[0m" if colour else words


def _row(finding: Finding, verdict: Verdict) -> tuple[str, ...]:
    values = "; ".join(_value(read, verdict) for read in finding.values)
    return finding.rule_id, finding.level, finding.why, values, _symbol(finding), _next(finding)


def _symbol(finding: Finding) -> str:
    if finding.state == "unknown":
        return UNKNOWN
    by_answer = {Answer.ELIGIBLE: NOTE, Answer.ELIGIBLE_WITH_CONDITIONS: CONDITION}
    return by_answer.get(finding.verdict, SPOKE)


def _value(read: ReadValue, verdict: Verdict) -> str:
    unit = "" if read.unit == "1" or read.text == "unknown" else read.unit
    shown = f"{read.name} {read.text} {unit}".rstrip()
    notes = [read.reason.replace("_", " ")] if read.reason else []
    if read.observed_at is not None:
        days = (verdict.at.local_date - read.observed_at.date()).days
        notes.append(f"{days} d ago" if days else "today")
    return f"{shown} ({', '.join(notes)})" if notes else shown


def _next(finding: Finding) -> str:
    said = "note" if _symbol(finding) == NOTE else finding.verdict.replace("_", " ")
    return f"{said}; ask again: {finding.reask}" if finding.reask else said


def _to_do(text: str, owner: str, due: str) -> str:
    return f"{text} ({owner.replace('_', ' ')}, by {due})"


def _to_ask(unknown: Unknown) -> str:
    question = unknown.question.get("en", "")
    settles = ", ".join(unknown.settles)
    reason = unknown.reason.replace("_", " ")
    return f"{unknown.fact} ({reason}): {question or 'no question'} Settles {settles}."


def _block(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield title
        yield from (f"  - {line}" for line in lines)


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [min(WIDEST, max(map(len, column))) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f" ┃ {' ┃ '.join(cells)}".rstrip()
