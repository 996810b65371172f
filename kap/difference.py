"""What differs between two answers: facts, lists, and the rules that began or ceased to speak."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from kap.chart import Chart
from kap.facts import LISTS
from kap.finding import Finding, ReadValue
from kap.verdict import Verdict


@dataclass(frozen=True, slots=True)
class FactDifference:
    """One fact as it was read (None: that answer did not read it) and as it is read now."""

    name: str
    was: ReadValue | None
    now: ReadValue


@dataclass(frozen=True, slots=True)
class ListDifference:
    """What a reviewed list holds now and did not, and the reverse; `was` and `is` complete."""

    name: str
    added: tuple[Any, ...]
    removed: tuple[Any, ...]
    was_complete: bool
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs. `began` and `ceased` speak, or spoke; `opened` and `settled` are unknown."""

    facts: tuple[FactDifference, ...]
    lists: tuple[ListDifference, ...]
    began: tuple[Finding, ...]
    ceased: tuple[Finding, ...]
    opened: tuple[Finding, ...]
    settled: tuple[Finding, ...]

    @property
    def is_nothing(self) -> bool:
        """Whether both answers read the same and said the same."""
        found = (self.facts, self.lists, self.began, self.ceased, self.opened, self.settled)
        return not any(found)


def difference(was: Verdict, was_chart: Chart, now: Verdict, now_chart: Chart) -> Difference:
    """Return what differs between two verdicts of one stage and the charts they were asked about.

    A rule that spoke and is now unknown ceased to speak, and opened. A second reading with the same
    value is no difference.
    """
    spoke, speaks = _of(was, "spoke"), _of(now, "spoke")
    open_then, open_now = _of(was, "unknown"), _of(now, "unknown")
    return Difference(
        facts=tuple(_facts(was, now)),
        lists=tuple(_lists(was_chart, now_chart, now)),
        began=_without(speaks, spoke),
        ceased=_without(spoke, speaks),
        opened=_without(open_now, open_then),
        settled=_without(open_then, open_now),
    )


def _of(verdict: Verdict, state: str) -> dict[str, Finding]:
    return {found.rule_id: found for found in verdict.findings if found.state == state}


def _without(some: dict[str, Finding], others: dict[str, Finding]) -> tuple[Finding, ...]:
    return tuple(found for rule_id, found in some.items() if rule_id not in others)


def _facts(was: Verdict, now: Verdict) -> Iterator[FactDifference]:
    before = {read.name: read for read in was.facts_read}
    for read in now.facts_read:
        old = before.get(read.name)
        if read.name not in LISTS and _said(old) != _said(read):
            yield FactDifference(read.name, old, read)


def _said(read: ReadValue | None) -> tuple[str, str, str]:
    """Return what a reading says; a fact that was never read says as much as one never asked."""
    return ("unknown", "", "never_asked") if read is None else (read.text, read.unit, read.reason)


def _lists(was: Chart, now: Chart, verdict: Verdict) -> Iterator[ListDifference]:
    read = {value.name for value in verdict.facts_read}
    for name in LISTS:
        if name not in read:
            continue
        old, new = getattr(was, name), getattr(now, name)
        before, after = _items(old), _items(new)
        found = ListDifference(
            name=name,
            added=tuple(item for item in after if item not in before),
            removed=tuple(item for item in before if item not in after),
            was_complete=old is not None and old.complete,
            is_complete=new is not None and new.complete,
        )
        if found.added or found.removed or found.was_complete != found.is_complete:
            yield found


def _items(reviewed: Any) -> tuple[Any, ...]:
    """Return the items of a list without their keys: a list gone through again holds new rows."""
    return () if reviewed is None else tuple(replace(item, id="") for item in reviewed.items)
