"""The commonest facts of a stage, read in one pass before its rules are asked.

Most facts are a yes or no that somebody told and no list touches, or a row of medicines that nobody
takes. Those are read here in one loop; whatever is less plain is left to its own deriver, which
would give the plain ones the same values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from kap.coding import Touch
from kap.evidence import ALWAYS, Limit, Look
from kap.known import Reason
from kap.value import FALSE, TRUE, Said, Value, unknown


class PlainFact(NamedTuple):
    """A yes-or-no fact that is told, and the reviewed lists that may speak about it too."""

    slot: int
    name: str
    touches: tuple[Touch, ...] = ()


class PlainRow(NamedTuple):
    """A row of medicines by its tag ("" for medicines that no row knows)."""

    slot: int
    tag: str
    rows: Touch


class _Told(NamedTuple):
    slot: int
    name: str
    limit: int  # its place among the limits
    never: Value


class _Group(NamedTuple):
    """Facts about which the same lists speak, and whose validity is the same."""

    lists: tuple[str, ...]
    touches: tuple[Touch, ...]
    facts: tuple[_Told, ...]


@dataclass(frozen=True, slots=True)
class FirstPass:
    """What one stage reads in one pass, built once."""

    limits: tuple[Limit, ...]
    alone: tuple[_Told, ...]
    groups: tuple[_Group, ...]
    rows: tuple[PlainRow, ...]

    @classmethod
    def of(
        cls, facts: Iterable[PlainFact], rows: Iterable[PlainRow], limits: Mapping[str, Limit]
    ) -> FirstPass:
        """Return the pass over these facts and rows, each valid as long as `limits` says."""
        found: dict[tuple[tuple[Touch, ...], Limit], list[_Told]] = {}
        places: dict[Limit, int] = {}
        for slot, name, touches in facts:
            limit = limits[name]
            place = places.setdefault(limit, len(places))
            never = unknown(Reason.NEVER_ASKED, (name,))
            found.setdefault((touches, limit), []).append(_Told(slot, name, place, never))
        return cls(
            limits=tuple(places),
            alone=tuple(
                told for (touches, _), held in found.items() if not touches for told in held
            ),
            groups=tuple(
                _Group(tuple(touch.list for touch in touches), touches, tuple(held))
                for (touches, _), held in found.items()
                if touches
            ),
            rows=tuple(rows),
        )

    def read(self, look: Look) -> None:
        """Fill the slots of what is plain in this chart."""
        cuts = [_cut(look, limit) for limit in self.limits]
        values, told = look.values, look.told
        for slot, name, place, never in self.alone:
            readings = told.get(name)
            if not readings:
                values[slot] = never
                continue
            latest = readings[-1]
            by_clock, cut = cuts[place]
            if (latest.observed_at if by_clock else latest.day) >= cut:
                if latest.value is False:
                    values[slot] = Said(FALSE, (latest,))
                elif latest.value is True:
                    values[slot] = Said(TRUE, (latest,))
        for group in self.groups:
            _read_group(group, look, cuts)
        for slot, tag, rows in self.rows:
            taken, rest = look.rows(rows)
            values[slot] = taken.get(tag, rest)


def _read_group(group: _Group, look: Look, cuts: list[tuple[bool, date]]) -> None:
    """Read the facts that the lists do not touch, unless what was told is out of date or true."""
    touched = [found for touch in group.touches if (found := look.matches(touch))]
    shown = look.untouched(group.lists, group.facts[0].name)
    values, told = look.values, look.told
    for slot, name, place, _ in group.facts:
        if touched and any(name in matched for matched in touched):
            continue
        readings = told.get(name)
        if not readings:
            reason = shown.reason
            values[slot] = shown if reason is None else unknown(reason, (name,))
            continue
        latest = readings[-1]
        by_clock, cut = cuts[place]
        fresh = (latest.observed_at if by_clock else latest.day) >= cut
        if fresh and latest.value is False:
            values[slot] = Said(FALSE, (latest,))


def _cut(look: Look, limit: Limit) -> tuple[bool, date]:
    return (False, date.min) if limit is ALWAYS else (limit.by_clock, look.cutoff(limit))
