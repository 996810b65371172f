"""The alarm of one signal: what a reading, or the passing of time, changes.

Silence is an event too: ask `at` once a second, not only `after` a reading. Nothing here rings; it
returns what changed. Source: docs/algorithms/alarm.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Protocol, Self, TypeVar

from kap.alarm_event import CAUSES, VALUE_CORRECTED, WITHIN_LIMITS, AlarmEvent, Change, check_cause
from kap.limit import AlarmError, Level, Limit, Signal, Threshold, signals
from kap.moment import instant
from kap.observation import Observation, StaleLimits, vitals
from kap.watch import Watch, iso, time_of

__all__ = [
    "CAUSES",
    "Alarm",
    "AlarmError",
    "AlarmEvent",
    "Change",
    "Level",
    "Limit",
    "Signal",
    "Threshold",
    "Watch",
    "loudest",
    "signals",
]


@dataclass(frozen=True, slots=True)
class Alarm:
    """One signal's alarm in one session. Make it with `Alarm.of(signal)`.

    `level` is what is shown: the present level, or a high one that nobody has acknowledged yet.
    Its state travels as JSON (`to_json`, `from_json`); the limits do not.
    """

    signal: Signal
    watches: tuple[Watch, ...]
    since: datetime | None = None
    is_sounding: bool = False
    silent_until: datetime | None = None
    latched: Level = Level.NONE  # the highest high level that is not acknowledged
    known: Level = Level.NONE  # the level at the last acknowledgement, and never above the present
    heard: Mapping[str, Decimal] = field(
        default_factory=dict
    )  # limit -> value at the acknowledgement
    raised_by: datetime | None = None  # the sample whose value brought the latched level
    reds: tuple[datetime, ...] = ()  # readings in red that a second one may still confirm
    repeat_of: str = ""
    repeat_by: datetime | None = None
    is_overdue: bool = False
    has_symptom: bool = False
    late_for: datetime | None = None
    cause: str = ""

    @classmethod
    def of(cls, signal: Signal) -> Self:
        """Return the quiet alarm of a signal."""
        return cls(signal, tuple(Watch(limit) for limit in signal.limits))

    @property
    def present(self) -> Level:
        """The level that the last readings give, whether or not somebody acknowledged more."""
        found = [watch.level for watch in self.watches]
        if self.repeat_by is not None:
            found.append(Level.AMBER)
        if self.is_overdue:
            found.append(Level.RED)
        if self.has_symptom:
            found.extend(self._with_symptom(watch) for watch in self.watches if watch.level)
        return max(found, default=Level.NONE)

    @staticmethod
    def _with_symptom(watch: Watch) -> Level:
        """Any symptom with raised pressure is critical; with low pressure it is red."""
        return Level.CRITICAL if watch.limit.is_high else max(watch.level, Level.RED)

    @property
    def level(self) -> Level:
        """The level that is shown: high latches until it is acknowledged."""
        return max(self.present, self.latched)

    @property
    def is_open(self) -> bool:
        """Whether there is anything to show."""
        return self.level is not Level.NONE

    @property
    def leading(self) -> Watch:
        """The limit that speaks loudest; the first one when none does."""
        return max(self.watches, key=lambda watch: watch.level)

    def is_value_unknown(self, at: datetime, limits: StaleLimits) -> bool:
        """Return whether the leading value is too old to be shown. The alarm stays open then."""
        age = self.leading.age(at)
        feed = vitals()[self.leading.limit.vital].feed
        return age is None or age > limits.of(feed).stale

    # --- what changes it ---

    def after(self, seen: Observation) -> tuple[Alarm, AlarmEvent | None]:
        """Return the alarm once `seen` is taken into account, and what changed."""
        if seen.vital not in self.signal.vitals:
            return self, None
        return self._settled(self._taken(seen), seen.sampled_at)

    def at(self, moment: datetime) -> tuple[Alarm, AlarmEvent | None]:
        """Return the alarm at `moment`, and what the passing of time changed."""
        now = self
        if self.repeat_by is not None and moment >= self.repeat_by and not self.is_overdue:
            now = replace(now, is_overdue=True)
        now, event = self._settled(now, moment)
        if event is None and now.silent_until is not None and moment >= now.silent_until:
            now = replace(now, is_sounding=True, silent_until=None)
            event = now._event(Change.SOUNDS_AGAIN, moment)
        return now, event

    def acknowledge(self, at: datetime, cause: str = "") -> tuple[Alarm, AlarmEvent | None]:
        """Return the alarm silenced for at most the protocol's minutes, and its event.

        It re-arms on time, on a higher level, on a worse value and on a new condition. An alarm
        that is silent already is not silenced for longer. AlarmError for a cause not on the list.
        """
        check_cause(cause)
        if not self.is_sounding:
            return self, None
        heard = {w.limit.name: w.value for w in self.watches if w.level and w.value is not None}
        now = replace(
            self,
            is_sounding=False,
            silent_until=at + self.signal.silence,
            latched=Level.NONE,
            known=self.present,
            heard=MappingProxyType(heard),
            late_for=None,
            cause=cause or self.cause,
        )
        return now, now._event(Change.ACKNOWLEDGED, at)

    def with_cause(self, cause: str) -> Alarm:
        """Return the alarm with the cause that a person gives. AlarmError if not on the list.

        "artefact" hides nothing: the value stays, and the next low sample counts as any other.
        """
        check_cause(cause)
        return replace(self, cause=cause)

    def with_symptom(self, present: bool, at: datetime) -> tuple[Alarm, AlarmEvent | None]:
        """Return the alarm knowing that a symptom is or is no longer there (blood pressure)."""
        return self._settled(replace(self, has_symptom=present), at)

    def corrected(
        self, wrong: Observation, right: Observation | None, at: datetime
    ) -> tuple[Alarm, AlarmEvent | None]:
        """Return the alarm once a value is struck and, where known, the right one taken.

        What a struck value alone had raised is closed, "value corrected"; the event stays in the
        log, and so does what was done about it.
        """
        now = self._struck(wrong)
        if right is not None and right.vital in self.signal.vitals:
            now = now._taken(right)
        return self._settled(now, at, closing=VALUE_CORRECTED)

    # --- the steps ---

    def _taken(self, seen: Observation) -> Alarm:
        concerned = [watch for watch in self.watches if watch.limit.vital == seen.vital]
        if any(watch.at is not None and seen.sampled_at < watch.at for watch in concerned):
            return self._taken_late(seen, concerned)
        now = self._repeated(seen, concerned)
        is_confirmed = now._confirms(seen.sampled_at)
        watches = tuple(
            watch.after(seen, is_confirmed=is_confirmed) if watch in concerned else watch
            for watch in now.watches
        )
        if any(one.level >= Level.RED and one.limit.vital == seen.vital for one in watches):
            now = replace(now, repeat_by=None, repeat_of="", is_overdue=False)
        return replace(now, watches=watches)

    def _taken_late(self, seen: Observation, concerned: Iterable[Watch]) -> Alarm:
        """A reading older than the last: only a critical one, that counts at once, still speaks."""
        worst = max(watch.limit.level_of(seen.value) for watch in concerned)
        if worst < Level.CRITICAL or seen.feed == "stream":
            return self
        return replace(self, latched=worst, late_for=seen.sampled_at, raised_by=seen.sampled_at)

    def _confirms(self, at: datetime) -> bool:
        """Whether a red at `at` is the second one: 2 to 5 minutes after another, or overdue."""
        least, most = self.signal.repeat
        return self.is_overdue or any(least <= at - first <= most for first in self.reds)

    def _repeated(self, seen: Observation, concerned: Iterable[Watch]) -> Alarm:
        """Keep the readings in red, and when the repeat of the first is due."""
        at, (least, most) = seen.sampled_at, self.signal.repeat
        now = self
        if self.repeat_by is not None and at > self.repeat_by:
            now = replace(now, is_overdue=True)
        is_repeat = now.repeat_by is not None and at - (now.repeat_by - most) >= least
        found = [
            (watch.limit.level_of(seen.value), watch.level)
            for watch in concerned
            if watch.limit.needs_repeat
        ]
        if any(level >= Level.RED for level, _ in found):
            fresh = tuple(one for one in now.reds if at - one <= most)
            now = replace(now, reds=(*fresh, at))
            is_first = any(level is Level.RED and held < Level.RED for level, held in found)
            if now.repeat_by is None and is_first:
                now = replace(now, repeat_by=at + most, repeat_of=seen.vital)
        elif is_repeat and now.repeat_of == seen.vital:
            now = replace(now, repeat_by=None, repeat_of="", is_overdue=False)
        return now

    def _struck(self, wrong: Observation) -> Alarm:
        """Forget a value that was wrong, and what it alone had raised."""
        at = wrong.sampled_at
        watches = tuple(
            Watch(watch.limit)
            if watch.limit.vital == wrong.vital and (watch.at, watch.value) == (at, wrong.value)
            else watch
            for watch in self.watches
        )
        now = replace(self, watches=watches, reds=tuple(one for one in self.reds if one != at))
        if self.raised_by == at:
            now = replace(now, latched=Level.NONE, late_for=None, raised_by=None)
        if self.repeat_by == at + self.signal.repeat[1]:
            now = replace(now, repeat_by=None, repeat_of="", is_overdue=False)
        return now

    def _settled(
        self, now: Alarm, at: datetime, closing: str = WITHIN_LIMITS
    ) -> tuple[Alarm, AlarmEvent | None]:
        """Compare with what was before: one change, the loudest."""
        before, present = self.level, now.present
        known = min(now.known, present)
        if present >= Level.RED and present > known and present > now.latched:
            now = replace(now, latched=present, raised_by=now.leading.at)
        now = replace(now, known=known)
        level = now.level
        if level > before:
            change = Change.WORSENED if before else Change.RAISED
            return now._sounding(at)._with_event(change, at)
        if level is Level.NONE:
            if self.since is None:
                return now, None
            event = replace(now._event(Change.CLOSED, at), cause=now.cause or closing)
            return replace(
                Alarm.of(now.signal),
                watches=now.watches,
                reds=now.reds,
                has_symptom=now.has_symptom,
            ), event
        if now._is_worse_than_heard():
            return now._sounding(at)._with_event(Change.SOUNDS_AGAIN, at)
        return now._with_event(Change.EASED, at) if level < before else (now, None)

    def _is_worse_than_heard(self) -> bool:
        """Whether, while silenced, a value worsened by its step or a new limit speaks."""
        if self.silent_until is None:
            return False
        return any(
            watch.limit.name not in self.heard
            or watch.limit.is_worse(watch.value, self.heard[watch.limit.name])
            for watch in self.watches
            if watch.level and watch.value is not None
        )

    def _sounding(self, at: datetime) -> Alarm:
        """A new condition: it sounds and wants a new acknowledgement."""
        high = self.present if self.present >= Level.RED else Level.NONE
        return replace(
            self,
            since=self.since or at,
            is_sounding=True,
            silent_until=None,
            known=Level.NONE,
            latched=max(self.latched, high),
        )

    def _with_event(self, change: Change, at: datetime) -> tuple[Alarm, AlarmEvent]:
        return self, self._event(change, at)

    def _event(self, change: Change, at: datetime) -> AlarmEvent:
        leading = self.leading
        return AlarmEvent(
            change,
            self.signal.name,
            self.level,
            at,
            limit=leading.limit.name if leading.level else "",
            value=leading.value,
            note=self.note,
            cause=self.cause,
        )

    @property
    def note(self) -> str:
        """What the row says beside the level: "repeat_due" and so on; empty for nothing."""
        notes = {
            "late": self.late_for is not None,
            "symptom": self.has_symptom and bool(self.leading.level),
            "repeat_overdue": self.is_overdue,
            "repeat_due": self.repeat_by is not None,
        }
        return next((name for name, holds in notes.items() if holds), "")

    # --- as JSON ---

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON: times as ISO texts, numbers as texts. The limits stay out."""
        return {
            "watches": {watch.limit.name: watch.to_json() for watch in self.watches},
            "since": iso(self.since),
            "is_sounding": self.is_sounding,
            "silent_until": iso(self.silent_until),
            "latched": int(self.latched),
            "known": int(self.known),
            "heard": {name: str(value) for name, value in self.heard.items()},
            "raised_by": iso(self.raised_by),
            "reds": [one.isoformat() for one in self.reds],
            "repeat_of": self.repeat_of,
            "repeat_by": iso(self.repeat_by),
            "is_overdue": self.is_overdue,
            "has_symptom": self.has_symptom,
            "late_for": iso(self.late_for),
            "cause": self.cause,
        }

    @classmethod
    def from_json(cls, signal: Signal, data: Mapping[str, Any]) -> Self:
        """Return the alarm of `signal` whose state `to_json` gave; {} is a quiet one.

        The limits are those of `signal` now: a baseline that was learned in between counts.
        """
        if not data:
            return cls.of(signal)
        return cls(
            signal,
            tuple(
                Watch.from_json(limit, data["watches"].get(limit.name)) for limit in signal.limits
            ),
            since=time_of(data["since"]),
            is_sounding=data["is_sounding"],
            silent_until=time_of(data["silent_until"]),
            latched=Level(data["latched"]),
            known=Level(data["known"]),
            heard=MappingProxyType({name: Decimal(v) for name, v in data["heard"].items()}),
            raised_by=time_of(data["raised_by"]),
            reds=tuple(instant(one) for one in data["reds"]),
            repeat_of=data["repeat_of"],
            repeat_by=time_of(data["repeat_by"]),
            is_overdue=data["is_overdue"],
            has_symptom=data["has_symptom"],
            late_for=time_of(data["late_for"]),
            cause=data["cause"],
        )


class Ringing(Protocol):
    """What `loudest` compares: an alarm, or a technical one."""

    @property
    def level(self) -> Level: ...
    @property
    def is_sounding(self) -> bool: ...


_R = TypeVar("_R", bound=Ringing)


def loudest(alarms: Iterable[_R]) -> _R | None:
    """Return the open alarm that is heard (sounding before silenced, then by level); or None."""
    rows = [one for one in alarms if one.level]
    return max(rows, key=lambda one: (one.is_sounding, one.level), default=None)
