"""A bedside for the alarm cases: the shipped protocol's signals, and a clock of seconds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from kap.alarm import Alarm, AlarmEvent, loudest, signals
from kap.observation import Observation, baseline, stale_limits, vital
from kap.protocol import load
from kap.technical import Technical

SECOND = timedelta(seconds=1)
TABLES = load("iv-ketamine").tables
PARAMS = TABLES["alarm_param"]
LIMITS = stale_limits(PARAMS)


def clock(text: str) -> datetime:
    """Return a time of the day of the cases."""
    return datetime.fromisoformat(f"2026-11-24T{text}+00:00").astimezone(UTC)


class Bedside:
    """What is watched, told step by step; `run` returns what the alarms said."""

    def __init__(self, case: Mapping[str, Any], tables: Mapping[str, Any] = TABLES) -> None:
        self.now = clock(case["steps"][0][0]) - timedelta(minutes=1)
        offset = case.get("spo2_offset")
        means = self._means(case.get("before", ()))
        found = signals(tables, means, None if offset is None else Decimal(offset))
        self.alarms = {name: Alarm.of(one) for name, one in found.items()}
        self.technical: dict[str, Technical] = {}
        self.told: list[str] = []
        self.readings: dict[tuple[datetime, str], Observation] = {}
        self.link_up = True
        for name in case.get("technical", ()):
            self._watch(name)

    def _means(self, before: list[str]) -> dict[str, Decimal | None]:
        found = [
            self._reading(code, value, self.now + number * SECOND)
            for number, pair in enumerate(before)
            for code, value in zip(("systolic", "diastolic"), pair.split("/"), strict=True)
        ]
        return {code: baseline(found, code, None) for code in ("systolic", "diastolic")}

    def _watch(self, name: str) -> None:
        start = self.now + timedelta(minutes=1)
        if name == "baseline":
            self.technical[name], event = Technical.of_baseline(PARAMS, self.now)
            self._tell(event, self.technical[name].is_sounding)
        elif name == "link":
            self.technical[name] = Technical.of_link(PARAMS, start)
        else:
            span = LIMITS.of(vital(name).feed).stale
            self.technical[name] = Technical.of_vital(name, span, PARAMS, start)

    def _tell(self, event: AlarmEvent | None, is_sounding: bool) -> None:
        if event is None:
            return
        words = [event.at.strftime("%H:%M:%S"), event.signal, event.change.value, event.level.word]
        words += [event.note] if event.note else []
        words += (
            [f"because {event.cause}"] if event.change.value == "closed" and event.cause else []
        )
        words += ["muted"] if event.change.value == "raised" and not is_sounding else []
        self.told.append(" ".join(words))

    def _keep(self, name: str, kept: tuple[Any, AlarmEvent | None]) -> None:
        held = self.technical if name in self.technical and name not in self.alarms else self.alarms
        held[name], event = kept
        self._tell(event, kept[0].is_sounding)

    def _keep_technical(self, name: str, kept: tuple[Technical, AlarmEvent | None]) -> None:
        self.technical[name], event = kept
        self._tell(event, kept[0].is_sounding)

    def run(self, at: str, action: str) -> list[str]:
        """Let time pass until `at`, do `action`, and return what was said since the last step."""
        start, self.told = clock(at), self.told if not self.readings and self.told else []
        while self.now < start:
            self.now += SECOND
            if self.now < start:
                self._tick()
        verb, *rest = action.split()
        getattr(self, f"_do_{verb}", lambda *words: self._stream(verb, *words))(*rest)
        self._tick()
        return self.told

    def _tick(self) -> None:
        for name, alarm in self.alarms.items():
            self._keep(name, alarm.at(self.now))
        for name, alarm in self.technical.items():
            heard = alarm.heard(self.now)[0] if name == "link" and self.link_up else alarm
            self._keep_technical(name, heard.at(self.now))

    def _reading(self, code: str, value: str, at: datetime, source: str = "device") -> Observation:
        return Observation(code, Decimal(value), vital(code).unit, at, at, source)

    def _see(self, seen: Observation) -> None:
        self.readings[seen.observed_at, seen.vital] = seen
        for name, alarm in self.alarms.items():
            self._keep(name, alarm.after(seen))
        for name, one in self.technical.items():
            self._keep_technical(name, one.after(seen))

    def _pair(self, pair: str, source: str) -> None:
        for code, value in zip(("systolic", "diastolic"), pair.split("/"), strict=True):
            self._see(self._reading(code, value, self.now, source))

    # --- what a step can say ---

    def _do_wait(self) -> None:
        pass

    def _do_cuff(self, pair: str) -> None:
        self._pair(pair, "device")

    def _do_typed(self, pair: str) -> None:
        self._pair(pair, "staff")

    def _stream(self, code: str, value: str, _until: str, end: str) -> None:
        self._see(self._reading(code, value, self.now))
        while self.now < clock(end):
            self._tick()
            self.now += SECOND
            self._see(self._reading(code, value, self.now))

    def _do_acknowledge(self, name: str, cause: str = "") -> None:
        if name.endswith("/technical"):
            name = name.removesuffix("/technical")
            self._keep_technical(name, self.technical[name].acknowledge(self.now, cause))
        else:
            self._keep(name, self.alarms[name].acknowledge(self.now, cause))

    def _do_artefact(self, name: str) -> None:
        self.alarms[name] = self.alarms[name].with_cause("artefact")
        self._keep_technical(name, self.technical[name].artefact(self.now))

    def _do_symptom(self) -> None:
        self._keep("blood_pressure", self.alarms["blood_pressure"].with_symptom(True, self.now))

    def _do_break(self, reason: str) -> None:
        for name, one in self.technical.items():
            self.technical[name] = one.on_break(reason, self.now) if one.may_break else one

    def _do_elapsed(self, minutes: str) -> None:
        found = {one.break_elapsed(self.now) for one in self.technical.values() if one.may_break}
        assert found == {timedelta(minutes=int(minutes))}

    def _do_link(self, _lost: str) -> None:
        self.link_up = False

    def _do_unknown(self, name: str) -> None:
        assert self.alarms[name].is_value_unknown(self.now, LIMITS)

    def _do_loudest(self, name: str) -> None:
        found = loudest([*self.alarms.values(), *self.technical.values()])
        assert found is self.technical[name.removesuffix("/technical")]

    def _do_correct(self, at: str, code: str, wrong: str, _to: str, right: str) -> None:
        old = self.readings[clock(at), code]
        assert old.value == Decimal(wrong)
        new = self._reading(code, right, old.observed_at, old.source)
        self._keep("blood_pressure", self.alarms["blood_pressure"].corrected(old, new, self.now))
