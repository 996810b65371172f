"""A dosing session is a log; its state is the fold of the log, in one total order.

Everything said about the hour (delivered mg, minutes, phase, the clock of going home) is derived
here, never typed twice. What does not fit becomes an anomaly.
Source: docs/algorithms/session-log.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from kap.dose import Segment, delivered_ug
from kap.log import KINDS, Anomaly, Event, corrected
from kap.observation import Observation

__all__ = [
    "KINDS",
    "Anomaly",
    "Event",
    "OpenAlarm",
    "Phase",
    "Pumped",
    "SessionState",
    "fold",
    "may_follow",
    "why_not",
]


class Phase(StrEnum):
    """Where a session is."""

    PLANNED = "planned"
    ARRIVED = "arrived"
    CHECKED = "checked"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    DISCHARGED = "discharged"


class InSyringe(Protocol):
    """What the fold needs of a dose plan or a stored order: whole ug, ul and ul/h."""

    @property
    def dose_ug(self) -> int: ...
    @property
    def final_ul(self) -> int: ...
    @property
    def rate_ul_h(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Pumped:
    """A stretch in which the pump ran at one rate. `end` None: it is running."""

    start: datetime
    end: datetime | None
    rate_ul_h: int

    def until(self, at: datetime) -> Segment:
        """Return the stretch as it was at `at`; a stretch not yet begun is empty."""
        end = at if self.end is None else min(self.end, at)
        return Segment(max(0, (end - self.start) // timedelta(milliseconds=1)), self.rate_ul_h)


@dataclass(frozen=True, slots=True)
class OpenAlarm:
    """An alarm that the log has opened and not closed."""

    signal: str
    level: str
    raised_at: datetime
    is_acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class SessionState:
    """What the log says. Amounts are asked with the instant for which they are wanted."""

    phase: Phase = Phase.PLANNED
    arrived_at: datetime | None = None
    authorised_at: datetime | None = None
    started_at: datetime | None = None
    stopped_at: datetime | None = None  # the earliest stop: the dose ends here
    clock_stop: datetime | None = None  # the latest: the wait before going home starts here
    clock_start: datetime | None = None  # the latest start: the interval to the next counts from it
    discharged_at: datetime | None = None
    pumped: tuple[Pumped, ...] = ()
    infusate: InSyringe | None = None
    rate_ul_h: int = 0
    scores: Mapping[str, Event] = field(default_factory=dict)
    alarms: Mapping[str, OpenAlarm] = field(default_factory=dict)
    music: str = ""
    nurse: str = ""
    gates: tuple[str, ...] = ()
    latest: Mapping[str, Observation] = field(default_factory=dict)
    anomalies: tuple[Anomaly, ...] = ()

    def delivered_ug(self, at: datetime) -> int:
        """Return what the pump has given by `at`, in whole micrograms, never above the dose."""
        if self.infusate is None:
            return 0
        return delivered_ug(
            dose_ug=self.infusate.dose_ug,
            final_ul=self.infusate.final_ul,
            segments=[one.until(at) for one in self.pumped],
        )

    def waste_ug(self, at: datetime) -> int:
        """Return what of the dose is still in the syringe or bag, in whole micrograms."""
        return (self.infusate.dose_ug if self.infusate else 0) - self.delivered_ug(at)

    def running(self, at: datetime) -> timedelta:
        """Return how long the pump has run by `at`, pauses left out."""
        return timedelta(milliseconds=sum(one.until(at).ms for one in self.pumped))

    def running_minutes(self, at: datetime) -> int:
        """Return whole minutes of running by `at`."""
        return self.running(at) // timedelta(minutes=1)

    @property
    def has_two_stops(self) -> bool:
        """Whether stops disagree: a person must pick."""
        return self.stopped_at != self.clock_stop


def fold(
    events: Iterable[Event],
    observations: Iterable[Observation] = (),
    plan: InSyringe | None = None,
) -> SessionState:
    """Return the state that a log and its readings give; the same for every order of the input.

    `plan` is the dose plan or stored order whose syringe is running; None before there is one.
    """
    log = corrected(events)
    state = SessionState(
        infusate=plan, rate_ul_h=plan.rate_ul_h if plan else 0, anomalies=log.anomalies
    )
    for line in log.events:
        state = _next(state, line)
    newest: dict[str, Observation] = {}
    for seen in sorted(observations, key=Observation.order):
        newest[seen.vital] = seen
    state = _with_held(state, log.held)
    return replace(
        state,
        latest=MappingProxyType(newest),
        scores=MappingProxyType(dict(state.scores)),
        alarms=MappingProxyType(dict(state.alarms)),
        anomalies=tuple(sorted(state.anomalies, key=lambda odd: (odd.event_id, odd.reason))),
    )


def _with_held(state: SessionState, held: Iterable[tuple[str, datetime]]) -> SessionState:
    """Times whose correction waits for a second signature still count for the waits."""
    for kind, when in held:
        if kind == "stopped":
            state = replace(state, clock_stop=_later(state.clock_stop, when))
        else:
            state = replace(state, clock_start=_later(state.clock_start, when))
    return state


def _later(known: datetime | None, when: datetime) -> datetime:
    return when if known is None else max(known, when)


# --- which line may follow which -----------------------------------------------------------------

_FOLLOWS: Mapping[str, tuple[Phase, ...]] = {
    "arrived": (Phase.PLANNED,),
    "checked": (Phase.ARRIVED, Phase.CHECKED),
    "authorised": (Phase.CHECKED,),
    "started": (Phase.CHECKED,),
    "paused": (Phase.RUNNING,),
    "resumed": (Phase.PAUSED,),
    "rate_changed": (Phase.RUNNING, Phase.PAUSED),
    "stopped": (Phase.RUNNING, Phase.PAUSED),
    "gate_signed": (Phase.STOPPED,),
    "discharged": (Phase.STOPPED,),
}
_WAY_OUT: Mapping[str, str] = {
    "arrived": "the arrival is recorded once",
    "checked": "record the arrival first; after the start nothing is checked again",
    "authorised": "finish the checks first",
    "started": "needs the checks and an authorisation, and happens once a day",
    "paused": "only a running infusion can be paused",
    "resumed": "only a paused infusion can be resumed",
    "rate_changed": "only before the stop can a rate change",
    "stopped": "there is no running infusion; correct the recorded stop instead",
    "gate_signed": "the gate is signed after the stop",
    "discharged": "goes home after the stop, once",
}


def why_not(state: SessionState, kind: str) -> str:
    """Return why a line of this kind may not be written now; empty when it may.

    A stop is asked here too, but the clinic records a stop in every state (INV-13): what does not
    fit is an anomaly. Unknown kinds are refused.
    """
    if kind not in KINDS:
        return f"{kind!r} is no line of a log; use one of {', '.join(KINDS)}"
    if state.phase not in _FOLLOWS.get(kind, (state.phase,)):
        return f"{kind} does not follow {state.phase.value}: {_WAY_OUT[kind]}"
    if kind == "started" and state.authorised_at is None:
        return "started needs an authorisation first"
    return ""


def may_follow(state: SessionState, kind: str) -> bool:
    """Return whether a line of this kind may be written now."""
    return not why_not(state, kind)


# --- one line -----------------------------------------------------------------------------------


def _next(state: SessionState, line: Event) -> SessionState:
    odd = why_not(state, line.kind)
    if odd:
        state = replace(state, anomalies=(*state.anomalies, Anomaly(line.id, odd)))
    step = _STEPS.get(line.kind)
    return state if step is None else step(state, line, not odd)


def _arrived(state: SessionState, line: Event, fits: bool) -> SessionState:
    return replace(state, phase=Phase.ARRIVED, arrived_at=line.observed_at) if fits else state


def _checked(state: SessionState, _line: Event, fits: bool) -> SessionState:
    return replace(state, phase=Phase.CHECKED) if fits else state


def _authorised(state: SessionState, line: Event, fits: bool) -> SessionState:
    return replace(state, authorised_at=line.observed_at) if fits else state


def _started(state: SessionState, line: Event, _fits: bool) -> SessionState:
    """A start that was not allowed still runs drug into a vein: it counts, and is an anomaly."""
    state = replace(state, clock_start=line.observed_at)
    if state.started_at is not None or state.phase in (Phase.STOPPED, Phase.DISCHARGED):
        return state
    running = Pumped(line.observed_at, None, state.rate_ul_h)
    return replace(state, phase=Phase.RUNNING, started_at=line.observed_at, pumped=(running,))


def _halted(state: SessionState, at: datetime) -> tuple[Pumped, ...]:
    return tuple(replace(one, end=at) if one.end is None else one for one in state.pumped)


def _paused(state: SessionState, line: Event, fits: bool) -> SessionState:
    if not fits:
        return state
    return replace(state, phase=Phase.PAUSED, pumped=_halted(state, line.observed_at))


def _resumed(state: SessionState, line: Event, fits: bool) -> SessionState:
    if not fits:
        return state
    again = Pumped(line.observed_at, None, state.rate_ul_h)
    return replace(state, phase=Phase.RUNNING, pumped=(*state.pumped, again))


def _rate_changed(state: SessionState, line: Event, fits: bool) -> SessionState:
    rate = line.data.get("rate_ul_h")
    if not isinstance(rate, int) or isinstance(rate, bool) or rate <= 0:
        return _odd(state, line, f"rate_ul_h is {rate!r}; write whole microlitres an hour above 0")
    if not fits:
        return state
    pumped = state.pumped
    if state.phase is Phase.RUNNING:
        pumped = (*_halted(state, line.observed_at), Pumped(line.observed_at, None, rate))
    return replace(state, rate_ul_h=rate, pumped=pumped)


def _stopped(state: SessionState, line: Event, fits: bool) -> SessionState:
    """The dose ends with the earliest stop, the clock of going home starts with the latest."""
    if state.started_at is None:
        return state
    state = replace(state, clock_stop=line.observed_at)
    if not fits:
        return state
    return replace(
        state,
        phase=Phase.STOPPED,
        stopped_at=line.observed_at,
        pumped=_halted(state, line.observed_at),
    )


def _scored(state: SessionState, line: Event, _fits: bool) -> SessionState:
    return replace(state, scores={**state.scores, _word(line, "instrument"): line})


def _alarm_raised(state: SessionState, line: Event, _fits: bool) -> SessionState:
    signal, level = _word(line, "signal"), _word(line, "level")
    known = state.alarms.get(signal)
    since = known.raised_at if known else line.observed_at
    return replace(state, alarms={**state.alarms, signal: OpenAlarm(signal, level, since)})


def _alarm_acknowledged(state: SessionState, line: Event, _fits: bool) -> SessionState:
    known = state.alarms.get(_word(line, "signal"))
    if known is None:
        return _odd(state, line, "acknowledges an alarm that is not open")
    return replace(
        state, alarms={**state.alarms, known.signal: replace(known, is_acknowledged=True)}
    )


def _alarm_closed(state: SessionState, line: Event, _fits: bool) -> SessionState:
    signal = _word(line, "signal")
    if signal not in state.alarms:
        return _odd(state, line, "closes an alarm that is not open")
    return replace(state, alarms={k: v for k, v in state.alarms.items() if k != signal})


def _music(state: SessionState, line: Event, _fits: bool) -> SessionState:
    return replace(state, music=_word(line, "phase"))


def _handed_over(state: SessionState, line: Event, _fits: bool) -> SessionState:
    return replace(state, nurse=_word(line, "to"))


def _gate_signed(state: SessionState, line: Event, fits: bool) -> SessionState:
    return replace(state, gates=(*state.gates, _word(line, "gate"))) if fits else state


def _discharged(state: SessionState, line: Event, fits: bool) -> SessionState:
    if not fits:
        return state
    return replace(state, phase=Phase.DISCHARGED, discharged_at=line.observed_at)


def _word(line: Event, key: str) -> str:
    return str(line.data.get(key, ""))


def _odd(state: SessionState, line: Event, reason: str) -> SessionState:
    return replace(state, anomalies=(*state.anomalies, Anomaly(line.id, reason)))


_Step = Callable[[SessionState, Event, bool], SessionState]
_STEPS: Mapping[str, _Step] = {
    "arrived": _arrived,
    "checked": _checked,
    "authorised": _authorised,
    "started": _started,
    "paused": _paused,
    "resumed": _resumed,
    "rate_changed": _rate_changed,
    "stopped": _stopped,
    "scored": _scored,
    "alarm_raised": _alarm_raised,
    "alarm_acknowledged": _alarm_acknowledged,
    "alarm_closed": _alarm_closed,
    "music": _music,
    "handed_over": _handed_over,
    "gate_signed": _gate_signed,
    "discharged": _discharged,
}
