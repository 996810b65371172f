"""Is treatment helping: response, remission, worsening, relapse.

Scores are whole points. A percentage drop is compared by multiplication, so no rounding can move a
patient across a threshold. Every threshold comes from the instrument's TOML file or the protocol's
parameters. What is not known stays unknown: a missing score, or a baseline of 0, gives no drop.
Definitions: clinical reference section 10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise

from kap.instrument import Instrument
from kap.logic import Truth
from kap.rule import Parameter

WHOLE_PERCENT = 100  # what "per cent" means, not a clinical number


class Outcome(StrEnum):
    """The one word for how a patient is against their baseline."""

    REMITTED = "remitted"
    RESPONDED = "responded"
    PARTIAL = "partial"
    UNCHANGED = "unchanged"
    WORSE = "worse"
    RELAPSED = "relapsed"
    UNKNOWN = "unknown"


class Relapse(StrEnum):
    """Where a responder stands: none, one reading that may be a relapse, or two that confirm it."""

    NONE = "none"
    POSSIBLE = "possible"
    CONFIRMED = "confirmed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reading:
    """A total of one instrument, on a day of the clinic's own calendar."""

    on: date
    score: int


@dataclass(frozen=True, slots=True)
class RelapseLimits:
    """What makes a relapse: points, points above the best reading, and the days between two.

    `repeat_within` is how many days after a possible relapse the repeat must be taken.
    """

    score: int
    rise: int
    gap_min: int
    gap_max: int
    repeat_within: int


@dataclass(frozen=True, slots=True)
class RelapseState:
    """`since` is the day of the reading that made it so; the repeat window is for POSSIBLE only."""

    state: Relapse
    since: date | None = None
    repeat_from: date | None = None
    repeat_until: date | None = None


def responded(by: Instrument, baseline: int | None, latest: int | None) -> Truth:
    """Return whether the score fell by at least the response percentage of the baseline."""
    return _fell_by(by.thresholds["response_drop_percent"].value, baseline, latest)


def partly_responded(by: Instrument, baseline: int | None, latest: int | None) -> Truth:
    """Return whether it fell by the partial percentage or more, and yet is no response."""
    enough = _fell_by(by.thresholds["partial_drop_percent"].value, baseline, latest)
    return enough & ~responded(by, baseline, latest)


def remitted(by: Instrument, latest: int | None) -> Truth:
    """Return whether the latest score is below the remission threshold; needs no baseline."""
    return Truth.of(None if latest is None else latest < by.thresholds["remission_below"].value)


def worsened(by: Instrument, baseline: int | None, latest: int | None) -> Truth:
    """Return whether the score rose above the baseline by the points that call for a review."""
    rise = by.thresholds["worsening_rise"].value
    return Truth.of(None if baseline is None or latest is None else latest - baseline >= rise)


def changed_meaningfully(by: Instrument, before: int | None, after: int | None) -> Truth:
    """Return whether two scores differ by the smallest change that matters, in either direction.

    That is the minimal clinically important difference. The sources give no reliable-change index
    for the PHQ-9, so none is claimed.
    """
    least = by.thresholds["meaningful_change"].value
    return Truth.of(None if before is None or after is None else abs(after - before) >= least)


def response(by: Instrument, baseline: int | None, latest: int | None) -> Outcome:
    """Return the outcome word for a latest score against a baseline, best word first.

    UNKNOWN without a baseline, without a latest score, or with a baseline of 0. RELAPSED is never
    returned here: it takes two readings and a response before them (see `relapse`).
    """
    if responded(by, baseline, latest) is Truth.UNKNOWN:
        return Outcome.UNKNOWN
    words = (
        (Outcome.REMITTED, remitted(by, latest)),
        (Outcome.RESPONDED, responded(by, baseline, latest)),
        (Outcome.PARTIAL, partly_responded(by, baseline, latest)),
        (Outcome.WORSE, worsened(by, baseline, latest)),
    )
    return next((word for word, holds in words if holds is Truth.TRUE), Outcome.UNCHANGED)


def response_line(by: Instrument, baseline: int) -> int:
    """Return the highest whole score that is still a response to this baseline, in points."""
    kept = WHOLE_PERCENT - by.thresholds["response_drop_percent"].value
    return baseline * kept // WHOLE_PERCENT


def relapse_limits(parameters: Mapping[str, Parameter], by: Instrument) -> RelapseLimits:
    """Return the limits: the protocol's parameters, and the instrument's days to the repeat."""
    return RelapseLimits(
        score=_whole(parameters["relapse_phq9"]),
        rise=_whole(parameters["relapse_rise"]),
        gap_min=_whole(parameters["relapse_gap_min"]),
        gap_max=_whole(parameters["relapse_gap_max"]),
        repeat_within=by.thresholds["relapse_repeat_within_days"].value,
    )


def relapse(limits: RelapseLimits, responder: Truth, readings: Sequence[Reading]) -> RelapseState:
    """Return where a responder stands after these readings, oldest first, all after the series.

    Two consecutive readings, gap_min to gap_max days apart, both high: confirmed. The last one high
    and no such pair: possible, to be repeated. A non-responder cannot relapse; a person of whom the
    response is not known, or who has no reading, is unknown.
    """
    if responder is Truth.FALSE:
        return RelapseState(Relapse.NONE)
    if responder is Truth.UNKNOWN or not readings:
        return RelapseState(Relapse.UNKNOWN)
    best = min(reading.score for reading in readings)
    last = readings[-1]
    if not _is_high(limits, best, last):
        return RelapseState(Relapse.NONE)
    if _confirms(limits, best, readings):
        return RelapseState(Relapse.CONFIRMED, since=last.on)
    return RelapseState(
        Relapse.POSSIBLE,
        since=last.on,
        repeat_from=last.on + timedelta(days=limits.gap_min),
        repeat_until=last.on + timedelta(days=limits.repeat_within),
    )


def first_relapse(
    limits: RelapseLimits, responder: Truth, readings: Sequence[Reading]
) -> date | None:
    """Return the day a relapse was first confirmed, or None; later recovery does not undo it."""
    for count in range(len(readings) + 1):
        found = relapse(limits, responder, readings[:count])
        if found.state is Relapse.CONFIRMED:
            return found.since
    return None


def _confirms(limits: RelapseLimits, best: int, readings: Sequence[Reading]) -> bool:
    last_pairs = list(pairwise(readings))[-1:]
    return any(
        limits.gap_min <= (late.on - early.on).days <= limits.gap_max
        and _is_high(limits, best, early)
        for early, late in last_pairs
    )


def _is_high(limits: RelapseLimits, best: int, reading: Reading) -> bool:
    return reading.score >= limits.score and reading.score - best >= limits.rise


def _fell_by(percent: int, baseline: int | None, latest: int | None) -> Truth:
    """Compare without division: latest <= baseline x (100 - percent) / 100."""
    if not baseline or latest is None:
        return Truth.UNKNOWN
    return Truth.of(latest * WHOLE_PERCENT <= baseline * (WHOLE_PERCENT - percent))


def _whole(parameter: Parameter) -> int:
    assert isinstance(parameter.value, Decimal)
    return int(parameter.value)
