"""What is in date now and will not be at a later moment: what to ask again before a booked day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from kap.chart import Chart
from kap.evidence import Limit, Look
from kap.facts import LISTS
from kap.finding import Renderer
from kap.moment import Moment, before
from kap.protocol import Protocol


@dataclass(frozen=True, slots=True)
class Lapse:
    """A fact or list that is in date until `when`: a local date, or an instant in UTC."""

    fact: str
    when: date | datetime

    @property
    def day(self) -> date:
        """The date of `when`."""
        return self.when.date() if isinstance(self.when, datetime) else self.when


def lapses(
    protocol: Protocol, stage: str, chart: Chart, at: Moment, until: Moment
) -> tuple[Lapse, ...]:
    """Return what is in date now and will not be `until` then, the earliest first.

    Only what the stage reads, and only the latest reading of each; ProtocolError for no such stage.
    """
    ready = protocol.stage(stage)
    look = Look(chart, at, protocol.plan.derivers, ready.limits, ready.now)
    later = Look(chart, until, protocol.plan.derivers, ready.limits, ready.now)
    found = []
    for name in Renderer(protocol, ready, look).roots:
        seen = _seen(look, name)
        if seen is None or not look.is_fresh(name, *seen) or later.is_fresh(name, *seen):
            continue
        found.append(_lapse(name, ready.limits[name], *seen))
    return tuple(sorted(found, key=lambda lapse: (lapse.day, lapse.fact)))


def reads(protocol: Protocol, stage: str) -> frozenset[str]:
    """Return the raw facts and the lists that a stage reads; ProtocolError for no such stage."""
    rules = (planned.rule for planned in protocol.stage(stage).rules)
    roots = protocol.plan.roots
    return frozenset(root for rule in rules for name in rule.facts for root in roots[name])


def _seen(look: Look, name: str) -> tuple[datetime, date] | None:
    if name in LISTS:
        listed = getattr(look.chart, name)
        reviewed = None if listed is None else listed.reviewed_at
        return None if reviewed is None else (reviewed, reviewed.date())
    told = look.readings(name)
    return (told[-1].observed_at, told[-1].day) if told else None


def _lapse(name: str, limit: Limit, observed_at: datetime, day: date) -> Lapse:
    if limit.by_clock:
        return Lapse(name, observed_at + limit.length + timedelta.resolution)
    end = day
    while before(end, limit.amount, limit.unit) <= day:
        end += timedelta(days=1)
    return Lapse(name, end)
