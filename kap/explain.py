"""Why this answer and not another: what would change it, what to ask next, when to ask again.

Everything is found by asking again with something else supposed, never by reasoning beside the
protocol; nothing is stored. Suppositions are about derived facts, as the rules name them
(docs/algorithms/screening.md section 7).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from itertools import combinations, product
from math import ceil, floor

from kap.chart import Chart
from kap.compiled import Column
from kap.condition import Comparison, FactName, Known, Member, difference, walk
from kap.derive import OPERATORS
from kap.evidence import Look
from kap.facts import LISTS
from kap.finding import Renderer, decimal_text
from kap.known import ReviewedList
from kap.moment import Moment
from kap.protocol import Protocol, Stage
from kap.rule import Answer, Rule
from kap.value import FALSE, TRUE, UNKNOWN, Value, number
from kap.verdict import Verdict, suppose

MOST_FACTS = 3
HORIZON_D = 400
_OVER_TIME = ("days_since", "hours_since", "age", "count_in")
OTHER_CODE = "something else"
NOTHING_MORE = "complete as it stands"


@dataclass(frozen=True, slots=True)
class Supposed:
    """One fact as it is and as it is supposed to be; both as texts, in `unit`."""

    fact: str
    now: str
    then: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A smallest set of facts which, supposed together, give a lower (better) answer."""

    facts: tuple[Supposed, ...]
    answer: Answer


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one reply to a question would lead to."""

    reply: str
    answer: Answer
    settled: int


@dataclass(frozen=True, slots=True)
class Ask:
    """The unknown most worth asking next: its replies, and where each would lead."""

    fact: str
    unit: str
    question: Mapping[str, str]
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class AskAgain:
    """When a rule that spoke will have nothing more to say if nothing else changes.

    `when` is a local date, or a UTC instant to the minute; None: time alone does not lift it within
    `HORIZON_D` days. `text` is the rule's own word.
    """

    rule_id: str
    text: str
    when: date | datetime | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What `explain` found. `changes` empty: it takes more than `MOST_FACTS` facts."""

    verdict: Verdict
    changes: tuple[Change, ...]
    ask: Ask | None
    again: tuple[AskAgain, ...]

    @property
    def takes_more(self) -> bool:
        """Whether no set of up to three facts would give a lower answer."""
        return not self.changes and self.verdict.answer is not Answer.ELIGIBLE


def explain(protocol: Protocol, stage: str, chart: Chart, at: Moment) -> Explanation:
    """Return what would change the answer of `ask`, what to ask next, and when to ask again.

    ProtocolError and ChartError as `kap.verdict.ask` raises them.
    """
    seen = _Seen(protocol, protocol.stage(stage), chart, at)
    return Explanation(seen.verdict, seen.changes(), seen.ask(), seen.again())


class _Seen:
    """One question and its answer, to be asked again in many ways."""

    def __init__(self, protocol: Protocol, stage: Stage, chart: Chart, at: Moment) -> None:
        self.protocol = protocol
        self.stage = stage
        self.chart = chart
        self.at = at
        self.verdict = suppose(protocol, stage.name, chart, at, {})
        self.rules = {planned.rule.id: planned.rule for planned in stage.rules}
        self.shown = Renderer(protocol, stage, self.look(at, {}))

    def again_with(self, values: Mapping[str, Value]) -> tuple[Answer, int]:
        """Return the answer with these facts supposed, and how many rules are then unknown."""
        look = self.look(self.at, values)
        truths = [planned.speaks(look) for planned in self.stage.rules]
        return self.stage.answer(truths), truths.count(UNKNOWN)

    def look(self, at: Moment, values: Mapping[str, Value]) -> Look:
        """Return a look at this chart at a moment, with facts supposed."""
        plan = self.protocol.plan
        look = Look(self.chart, at, plan.derivers, self.stage.limits, self.stage.now)
        for name, value in values.items():
            look.values[plan.columns[name].slot] = value
        return look

    def replies(self, name: str) -> tuple[tuple[str, Value], ...]:
        """Return what a fact could be instead: one value for each band that a rule tells apart.

        None for a fact that cannot be supposed (a date).
        """
        column = self.protocol.plan.columns[name]
        now = self.shown.value(name)
        if column.kind == "bool":
            said = (("true", TRUE), ("false", FALSE))
            return tuple((text, Value(truth=t)) for text, t in said if t != now.truth)
        if column.kind == "number":
            return tuple(
                (decimal_text(steps * column.step), number(steps, steps))
                for steps in self._bands(name, column)
            )
        if column.kind == "code":
            codes = sorted({*self._codes(name), OTHER_CODE})
            return tuple((code, Value(code=code)) for code in codes if code != now.code)
        if column.kind == "list":
            return () if now.reason is None else (("reviewed", Value(truth=TRUE)),)
        return ()

    def _codes(self, name: str) -> Iterator[str]:
        for node in self._nodes(name):
            assert isinstance(node, Member)  # a code is never compared
            yield from map(str, self._listed(node))

    def _listed(self, node: Member) -> tuple[Decimal | str, ...]:
        listed = self.shown.parameters[node.param.name]
        assert isinstance(listed, tuple)
        return listed

    def _bands(self, name: str, column: Column) -> Iterator[int]:
        """Yield one number of steps in each band between thresholds, but not in today's."""
        kind = self.protocol.facts.get(name)
        edges = sorted(set(self._edges(name, column)))
        low = high = None
        if kind is not None and kind.low is not None and kind.high is not None:
            low, high = kind.steps(kind.low), kind.steps(kind.high)
            edges = [edge for edge in edges if low < edge <= high]
        if not edges:
            return
        value = self.shown.value(name).low
        bands = zip([None, *edges], [*edges, None], strict=True)
        for first, after in bands:
            starts = first is None or (value is not None and value >= first)
            if value is not None and starts and (after is None or value < after):
                continue
            below = value is None or (after is not None and value >= after)
            # the end of the band that lies nearer to today's value
            if first is None or (below and after is not None):
                assert after is not None
                yield after - 1
            else:
                yield first

    def _edges(self, name: str, column: Column) -> Iterator[int]:
        """Yield where a comparison may change: the first step of the next band."""
        names = {n.name for node in self._nodes(name) for n in walk(node) if type(n) is FactName}
        known: dict[str, Known] = {other: self.shown.known(other) for other in names}
        parameters = self.shown.parameters
        for node in self._nodes(name):
            if isinstance(node, Member):
                for item in self._listed(node):
                    steps = Fraction(item) / column.step
                    yield from (ceil(steps), floor(steps) + 1)
                continue
            at_0 = difference(node, {**known, name: 0}, parameters)
            at_1 = difference(node, {**known, name: column.step}, parameters)
            if at_0 is None or at_1 is None or at_0[0] == at_1[0]:
                continue
            slope = at_1[0] - at_0[0]
            edge = -at_0[0] / slope
            if node.op in (("<", ">=") if slope > 0 else ("<=", ">")):
                yield ceil(edge)
            elif node.op in ("==", "!="):
                yield from (ceil(edge), floor(edge) + 1)
            else:
                yield floor(edge) + 1

    def _nodes(self, name: str) -> Iterator[Comparison | Member]:
        for rule in self.rules.values():
            for tree in (e.tree for e in (rule.expression, rule.only_if) if e is not None):
                for node in walk(tree):
                    if isinstance(node, Comparison | Member) and FactName(name) in walk(node):
                        yield node

    # --- what would change it ---

    def changes(self) -> tuple[Change, ...]:
        """Return the smallest sets of up to three facts that lower the answer."""
        if self.verdict.answer is Answer.ELIGIBLE:
            return ()
        holding = [
            set(self.rules[finding.rule_id].facts)
            for finding in self.verdict.findings
            if finding.verdict is self.verdict.answer
        ]
        names = sorted(set().union(*holding))
        found: list[Change] = []
        for size in range(1, MOST_FACTS + 1):
            for chosen in combinations(names, size):
                smaller = any({s.fact for s in change.facts} <= set(chosen) for change in found)
                if not smaller and all(facts & set(chosen) for facts in holding):
                    found += self._best(chosen)
        return tuple(found)

    def _best(self, chosen: tuple[str, ...]) -> list[Change]:
        best: Change | None = None
        for replies in product(*(self.replies(name) for name in chosen)):
            values = {name: value for name, (_, value) in zip(chosen, replies, strict=True)}
            answer, _ = self.again_with(values)
            if answer.rank < (self.verdict if best is None else best).answer.rank:
                texts = tuple(text for text, _ in replies)
                best = Change(tuple(map(self._supposed, chosen, texts)), answer)
        return [] if best is None else [best]

    def _supposed(self, name: str, then: str) -> Supposed:
        now = self.shown.read_value(name)
        return Supposed(name, now.text, then, now.unit)

    # --- what to ask next ---

    def ask(self) -> Ask | None:
        """Return the unknown most worth asking, or None when nothing is unknown.

        First what settles most rules whatever the reply (a list is reviewed with one reply: it
        holds all there is), then what alone may lead to the highest answer, then the alphabet.
        """
        names = self._open()
        roots = {root for name in names for root in self.protocol.plan.roots[name]}
        lists = [self._reviewed(name) for name in LISTS if name in roots]
        asks = [ask for ask in (*lists, *map(self._asked, names)) if ask.outcomes]
        return min(asks, key=_worth, default=None)

    def _reviewed(self, name: str) -> Ask:
        if self.shown.look.list_reason(name) is None:
            return Ask(name, "", {}, ())
        held = getattr(self.chart, name)
        reviewed = ReviewedList(self.at.utc, True, () if held is None else held.items)
        chart = replace(self.chart, **{name: reviewed})  # type: ignore[arg-type]
        seen = _Seen(self.protocol, self.stage, chart, self.at)
        outcome = Outcome(NOTHING_MORE, seen.verdict.answer, self.unknown - seen.unknown)
        return Ask(name, "", self._question(name), (outcome,))

    def _open(self) -> tuple[str, ...]:
        rules = [self.rules[f.rule_id] for f in self.verdict.findings if f.state == "unknown"]
        return tuple(dict.fromkeys(n for rule in rules for n in self.shown.open_facts(rule)))

    @cached_property
    def unknown(self) -> int:
        """How many rules are unknown as things are."""
        return self.again_with({})[1]

    def _question(self, name: str) -> Mapping[str, str]:
        kind = self.protocol.facts.get(name)
        return {} if kind is None else dict(kind.ask)

    def _asked(self, name: str) -> Ask:
        outcomes = []
        for reply, value in self.replies(name):
            answer, unknown = self.again_with({name: value})
            outcomes.append(Outcome(reply, answer, self.unknown - unknown))
        unit = self.protocol.plan.columns[name].unit
        return Ask(name, unit, self._question(name), tuple(outcomes))

    # --- when to ask again ---

    def again(self) -> tuple[AskAgain, ...]:
        """Return for each rule that holds the answer when time alone will lift it."""
        return tuple(
            AskAgain(finding.rule_id, finding.reask, self._lifted(self.rules[finding.rule_id]))
            for finding in self.verdict.findings
            if finding.state == "spoke" and finding.verdict.rank >= Answer.DEFER.rank
        )

    def _lifted(self, rule: Rule) -> date | datetime | None:
        moving = [name for name in rule.facts if self._operator(name) in _OVER_TIME]
        still = {name: self.shown.value(name) for name in rule.facts if name not in moving}
        for days in range(1, HORIZON_D + 1 if moving else 1):
            late = Moment(self.at.utc + timedelta(days), self.at.local_date + timedelta(days))
            if not self._speaks(rule, still, late):
                by_clock = any(self._operator(name) == "hours_since" for name in moving)
                return self._minute(rule, still, late) if by_clock else late.local_date
        return None

    def _minute(self, rule: Rule, still: Mapping[str, Value], late: Moment) -> datetime:
        """Return the first instant, to the minute, in the day before `late` with the rule quiet."""
        speaks, quiet = late.utc - timedelta(days=1), late.utc
        while quiet - speaks > timedelta(minutes=1):
            middle = speaks + (quiet - speaks) / 2
            if self._speaks(rule, still, Moment(middle, late.local_date)):
                speaks = middle
            else:
                quiet = middle
        return quiet

    def _operator(self, name: str) -> str:
        return next((key for key in self.protocol.derived.get(name, {}) if key in OPERATORS), "")

    def _speaks(self, rule: Rule, still: Mapping[str, Value], at: Moment) -> bool:
        """Return whether a rule is not quiet at another moment, all but the time staying put."""
        planned = next(planned for planned in self.stage.rules if planned.rule is rule)
        return planned.speaks(self.look(at, still)) != FALSE


def _worth(ask: Ask) -> tuple[int, int, str]:
    ranks = [outcome.answer.rank for outcome in ask.outcomes]
    return -min(outcome.settled for outcome in ask.outcomes), -max(ranks), ask.fact
