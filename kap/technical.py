"""Technical alarms: no value, a stale value, a flagged artefact, no link, no baseline.

A lost signal is never "normal". A deliberate break mutes only its own stale sound; the value stays
`--`, and a lost link is never muted. Source: docs/algorithms/alarm.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from kap.alarm_event import AlarmEvent, Change, check_cause
from kap.limit import AlarmError, Level
from kap.observation import Observation, duration
from kap.watch import iso, time_of

STALE, NO_VALUE, ARTEFACT = "stale", "no_value", "artefact"
NO_LINK, NO_BASELINE = "no_link", "no_baseline"


@dataclass(frozen=True, slots=True)
class Technical:
    """The technical alarm of one vital (or of the link, or of the baseline) in one session.

    `limit` is the age past which a value is stale (None: it does not age); `expected_since` is when
    values were first due. `reason` empty: nothing is wrong. Its level is amber: medium priority.
    """

    signal: str
    limit: timedelta | None
    silence: timedelta
    break_max: timedelta
    expected_since: datetime
    may_break: bool = True
    reason: str = ""
    sampled_at: datetime | None = None
    received_at: datetime | None = None
    since: datetime | None = None
    is_sounding: bool = False
    silent_until: datetime | None = None
    break_from: datetime | None = None
    break_reason: str = ""

    @classmethod
    def of_vital(
        cls, vital: str, limit: timedelta, params: Mapping[str, Any], expected_since: datetime
    ) -> Self:
        """Return the quiet technical alarm of a vital whose values go stale after `limit`."""
        return cls(
            vital,
            limit,
            duration(params, "silence"),
            duration(params, "break_max"),
            expected_since,
        )

    @classmethod
    def of_link(cls, params: Mapping[str, Any], expected_since: datetime) -> Self:
        """Return that of a device's link; tell it `heard` at each message.

        A lost link is never muted: no break, and an acknowledgement buys no silence.
        """
        return cls(
            "link",
            duration(params, "no_link"),
            timedelta(0),
            timedelta(0),
            expected_since,
            may_break=False,
        )

    @classmethod
    def of_baseline(cls, params: Mapping[str, Any], at: datetime) -> tuple[Self, AlarmEvent]:
        """Return the open alarm "no baseline": only the absolute limits hold."""
        quiet = cls("baseline", None, duration(params, "silence"), timedelta(0), at, False)
        opened, event = quiet._raised(NO_BASELINE, at)
        return opened, event

    @property
    def level(self) -> Level:
        """Amber while anything is wrong."""
        return Level.AMBER if self.reason else Level.NONE

    @property
    def is_open(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.reason)

    def age(self, at: datetime) -> timedelta:
        """Return the age of the newest value at `at`, counted from when values were due."""
        times = [one for one in (self.sampled_at, self.received_at) if one is not None]
        return at - min(times, default=self.expected_since)

    def break_elapsed(self, at: datetime) -> timedelta | None:
        """Return how long the break has lasted, for "break 3:00 of 10:00"; None without one."""
        if self.break_from is None or at >= self.break_from + self.break_max:
            return None
        return at - self.break_from

    def after(self, seen: Observation) -> tuple[Self, AlarmEvent | None]:
        """Return the alarm once a valid value has come. An older value changes nothing."""
        if seen.vital != self.signal:
            return self, None
        return self._heard(seen.sampled_at, seen.received_at)

    def heard(self, at: datetime) -> tuple[Self, AlarmEvent | None]:
        """Return the link's alarm once a message came at `at`."""
        return self._heard(at, at)

    def _heard(self, sampled: datetime, received: datetime) -> tuple[Self, AlarmEvent | None]:
        if self.sampled_at is not None and sampled <= self.sampled_at:
            return self, None
        now = replace(self, sampled_at=sampled, received_at=received)
        if now._is_stale(received):
            return now, None
        return now._closed(received)

    def at(self, moment: datetime) -> tuple[Self, AlarmEvent | None]:
        """Return the alarm at `moment`: silence becomes an alarm, and an alarm sounds again."""
        if not self.reason:
            return self._raised(STALE, moment) if self._is_stale(moment) else (self, None)
        if self.is_sounding or self._is_muted(moment):
            return self, None
        return self._with(Change.SOUNDS_AGAIN, moment, is_sounding=True, silent_until=None)

    def no_value(self, at: datetime) -> tuple[Self, AlarmEvent | None]:
        """Return the alarm once the device said that it has no value."""
        return (self, None) if self.reason else self._raised(NO_VALUE, at)

    def artefact(self, at: datetime) -> tuple[Self, AlarmEvent | None]:
        """Return the alarm once a person flagged the last value as an artefact."""
        return self._raised(ARTEFACT, at)

    def known(self, at: datetime) -> tuple[Self, AlarmEvent | None]:
        """Return the alarm once what was missing is known (the baseline)."""
        return self._closed(at)

    def on_break(self, reason: str, at: datetime) -> Self:
        """Return the alarm with a deliberate break from `at`: the stale sound is muted, no more.

        AlarmError for the link, without a reason, or for a renewal with the old reason.
        """
        if not self.may_break:
            raise AlarmError(f"{self.signal} takes no break; restore it")
        if not reason.strip():
            raise AlarmError("a break needs a reason; write one")
        if reason.strip() == self.break_reason:
            raise AlarmError(f"the break {reason!r} was taken; a renewal needs a new reason")
        return replace(self, break_from=at, break_reason=reason.strip(), is_sounding=False)

    def acknowledge(self, at: datetime, cause: str = "") -> tuple[Self, AlarmEvent | None]:
        """Return the alarm silenced for at most the protocol's minutes, and its event."""
        check_cause(cause)
        if not self.is_sounding:
            return self, None
        now, event = self._with(
            Change.ACKNOWLEDGED, at, is_sounding=False, silent_until=at + self.silence
        )
        return now, replace(event, cause=cause)

    def _is_stale(self, at: datetime) -> bool:
        return self.limit is not None and self.age(at) > self.limit

    def _is_muted(self, at: datetime) -> bool:
        on_break = self.break_elapsed(at) is not None and self.reason == STALE
        return on_break or (self.silent_until is not None and at < self.silent_until)

    def _raised(self, reason: str, at: datetime) -> tuple[Self, AlarmEvent]:
        now = replace(self, reason=reason, silent_until=None)
        return now._with(
            Change.RAISED, at, since=self.since or at, is_sounding=not now._is_muted(at)
        )

    def _closed(self, at: datetime) -> tuple[Self, AlarmEvent | None]:
        if not self.reason:
            return self, None
        well = replace(self, reason="", since=None, is_sounding=False, silent_until=None)
        return well, replace(self._event(Change.CLOSED, at), level=Level.NONE)

    def _with(self, change: Change, at: datetime, **told: Any) -> tuple[Self, AlarmEvent]:
        now = replace(self, **told)
        return now, now._event(change, at)

    def _event(self, change: Change, at: datetime) -> AlarmEvent:
        return AlarmEvent(change, f"{self.signal}/technical", self.level, at, note=self.reason)

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON; what was configured stays out."""
        return {
            "reason": self.reason,
            "sampled_at": iso(self.sampled_at),
            "received_at": iso(self.received_at),
            "since": iso(self.since),
            "is_sounding": self.is_sounding,
            "silent_until": iso(self.silent_until),
            "break_from": iso(self.break_from),
            "break_reason": self.break_reason,
        }

    def with_json(self, data: Mapping[str, Any]) -> Self:
        """Return this alarm in the state that `to_json` gave; {} is a quiet one."""
        if not data:
            return self
        return replace(
            self,
            reason=data["reason"],
            sampled_at=time_of(data["sampled_at"]),
            received_at=time_of(data["received_at"]),
            since=time_of(data["since"]),
            is_sounding=data["is_sounding"],
            silent_until=time_of(data["silent_until"]),
            break_from=time_of(data["break_from"]),
            break_reason=data["break_reason"],
        )
