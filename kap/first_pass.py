"""The commonest facts of a stage, read in one pass before its rules are asked.

Most facts are a yes or no that somebody told and no list touches, or a row of medicines that nobody
takes. Those are read here in one loop, and given values that were made once; whatever is less plain
is left to its own deriver, which would give the plain ones the same values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from kap.coding import Touch
from kap.evidence import ALWAYS, Limit, Look
from kap.known import Reason
from kap.value import FALSE, TRUE, Latest, Value, unknown

UNLIMITED = Limit(0, "always")  # of what only lists say: it is as old as they are


class PlainFact(NamedTuple):
    """A yes-or-no fact that is told, or that only lists say, and the lists that may speak of it."""

    slot: int
    name: str
    touches: tuple[Touch, ...] = ()


class PlainRow(NamedTuple):
    """A row of medicines by its tag ("" for medicines that no row knows)."""

    slot: int
    tag: str
    rows: Touch


class _Told(NamedTuple):
    """A fact with the values that a chart may give it, each made once."""

    slot: int
    name: str
    no: Value
    yes: Value
    open: Mapping[Reason, Value]


class _Alone(NamedTuple):
    """Facts that no list touches, and whose validity is the same."""

    limit: Limit
    facts: tuple[_Told, ...]


class _Rows(NamedTuple):
    """Rows of medicines that one list speaks about: slot and tag of each."""

    touch: Touch
    held: tuple[tuple[int, str], ...]


class _Group(NamedTuple):
    """Facts about which the same lists speak, and whose validity is the same."""

    lists: tuple[str, ...]
    touches: tuple[Touch, ...]
    limit: Limit
    facts: tuple[_Told, ...]


@dataclass(frozen=True, slots=True)
class FirstPass:
    """What one stage reads in one pass, built once."""

    alone: tuple[_Alone, ...]
    groups: tuple[_Group, ...]
    rows: tuple[_Rows, ...]

    @classmethod
    def of(
        cls, facts: Iterable[PlainFact], rows: Iterable[PlainRow], limits: Mapping[str, Limit]
    ) -> FirstPass:
        """Return the pass over these facts and rows, each valid as long as `limits` says."""
        found: dict[tuple[tuple[Touch, ...], Limit], list[_Told]] = {}
        for slot, name, touches in facts:
            found.setdefault((touches, limits.get(name, UNLIMITED)), []).append(_told(slot, name))
        return cls(
            alone=tuple(
                _Alone(limit, tuple(held))
                for (touches, limit), held in found.items()
                if not touches
            ),
            groups=tuple(
                _Group(tuple(touch.list for touch in touches), touches, limit, tuple(held))
                for (touches, limit), held in found.items()
                if touches
            ),
            rows=_by_touch(rows),
        )

    def read(self, look: Look) -> None:
        """Fill the slots of what is plain in this chart."""
        for alone in self.alone:
            _read_alone(alone, look)
        for group in self.groups:
            _read_group(group, look)
        values = look.values
        for rows, held in self.rows:
            taken, rest = look.rows(rows)
            for slot, tag in held:
                values[slot] = taken.get(tag, rest) if taken else rest


def _by_touch(rows: Iterable[PlainRow]) -> tuple[_Rows, ...]:
    found: dict[Touch, list[tuple[int, str]]] = {}
    for slot, tag, touch in rows:
        found.setdefault(touch, []).append((slot, tag))
    return tuple(_Rows(touch, tuple(held)) for touch, held in found.items())


def _told(slot: int, name: str) -> _Told:
    reasons = {reason: unknown(reason, (name,)) for reason in Reason}
    return _Told(slot, name, Latest(FALSE, name), Latest(TRUE, name), reasons)


def _read_alone(alone: _Alone, look: Look) -> None:
    """Read what was told and is in date; an answer that was declined is left to its deriver."""
    by_clock, cut = _cut(look, alone.limit)
    values, told = look.values, look.told
    for slot, name, no, yes, still_open in alone.facts:
        readings = told.get(name)
        if not readings:
            values[slot] = still_open[Reason.NEVER_ASKED]
            continue
        latest = readings[-1]
        if (latest.observed_at if by_clock else latest.day) >= cut:
            if latest.value is False:
                values[slot] = no
            elif latest.value is True:
                values[slot] = yes


def _read_group(group: _Group, look: Look) -> None:
    """Read the facts that the lists do not touch, unless what was told is out of date or true."""
    touched = [found for touch in group.touches if (found := look.matches(touch))]
    shown = look.untouched(group.lists, group.facts[0].name)
    by_clock, cut = _cut(look, group.limit)
    values, told, reason = look.values, look.told, shown.reason
    for slot, name, no, _, still_open in group.facts:
        if touched and any(name in matched for matched in touched):
            continue
        readings = told.get(name)
        if not readings:
            values[slot] = shown if reason is None else still_open[reason]
            continue
        latest = readings[-1]
        if latest.value is False and (latest.observed_at if by_clock else latest.day) >= cut:
            values[slot] = no


def _cut(look: Look, limit: Limit) -> tuple[bool, date]:
    return (
        (False, date.min) if limit in (ALWAYS, UNLIMITED) else (limit.by_clock, look.cutoff(limit))
    )
