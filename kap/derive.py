"""The closed set of operators that turn readings, lists and times into facts.

Each builder takes the row of `[derived]` and a workshop (what the protocol knows) and returns a
`Derived`: the kind, unit and step of the fact, the raw facts it reads, and how it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from kap.derive_lists import any_code, class_of, sum_equivalent, trials_adequate
from kap.evidence import Look, steps_of
from kap.facts import FactType, steps_up
from kap.known import Fact, Reason
from kap.moment import before, with_offset, years_between
from kap.rule import ProtocolError
from kap.value import FALSE, TRUE, UNKNOWN, Said, Value, number, unknown
from kap.workshop import Builder, Derived, Row, Workshop

# --- readings in time ---------------------------------------------------------------------------


def _sources(row: Row, key: str, shop: Workshop) -> tuple[FactType, ...]:
    names = [row[key]] if isinstance(row[key], str) else row[key]
    kinds = tuple(shop.fact(name, "number") for name in names)
    if len({(kind.unit, kind.step) for kind in kinds}) != 1:
        raise ProtocolError(f"{key} = {names}: different units or steps do not mix")
    return kinds


def _newest(kinds: tuple[FactType, ...], look: Look) -> tuple[tuple[FactType, Fact], ...]:
    """Return the readings of `kinds` that are told, oldest first."""
    told = [(kind, readings) for kind in kinds if (readings := look.told.get(kind.name))]
    pairs = [(kind, fact) for kind, readings in told for fact in readings]
    return tuple(sorted(pairs, key=lambda pair: pair[1].observed_at) if len(told) > 1 else pairs)


def _nth_last(place: int) -> Callable[[str, Row, Workshop], Derived]:
    def build(key: str, row: Row, shop: Workshop) -> Derived:
        kinds = _sources(row, key, shop)
        names = tuple(kind.name for kind in kinds)

        def read(look: Look) -> Value:
            told = _newest(kinds, look)
            if len(told) < place:
                return unknown(Reason.ONE_READING if told else Reason.NEVER_ASKED, names[:1])
            kind, fact = told[-place]
            if not look.is_current(fact):
                return unknown(Reason.TOO_OLD, names[:1], (fact,))
            if fact.value is None:
                return unknown(fact.reason or Reason.NOT_KNOWN, names[:1], (fact,))
            steps = steps_of(kind, fact)
            return number(steps, steps, (fact,))

        return Derived("number", read, names, *_shape_of(kinds[0]))

    return build


def _shape_of(kind: FactType) -> tuple[str, Fraction]:
    assert kind.step is not None
    return kind.unit, Fraction(kind.step)


def _gap(row: Row, shop: Workshop) -> Callable[[Fact, Fact], bool]:
    """Return whether two readings lie as far apart as `gap` demands, both ends included."""
    (least, unit), (most, other) = (
        shop.amount(param, "s", "min", "h", "d", "wk") for param in row["gap"]
    )
    if unit != other:
        raise ProtocolError(f"gap: {unit!r} and {other!r} do not mix")

    shortest, longest = (_duration(amount, unit) for amount in (least, most))

    def days(first: Fact, second: Fact) -> bool:
        return shortest <= second.day - first.day <= longest

    def clock(first: Fact, second: Fact) -> bool:
        return shortest <= second.observed_at - first.observed_at <= longest

    return days if unit in ("d", "wk") else clock


_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "wk": 604_800}


def _duration(amount: Decimal, unit: str) -> timedelta:
    return timedelta(microseconds=int(amount * _SECONDS[unit] * 1_000_000))


def _mean_of_last(key: str, row: Row, shop: Workshop) -> Derived:
    kind = shop.fact(row[key], "number")
    count = int(shop.amount(row["n"], "1")[0])
    near = _gap(row, shop)
    unit, step = _shape_of(kind)

    def read(look: Look) -> Value:
        told = look.told.get(kind.name, ())
        last = look.last_known(kind.name, count)
        if not last:
            return unknown(_why_none(told), (kind.name,), told[-1:])
        if told[-1].value is None:
            return unknown(told[-1].reason or Reason.NOT_KNOWN, (kind.name,), told[-1:])
        if len(last) < count or not all(map(near, last, last[1:])):
            return unknown(Reason.ONE_READING, (kind.name,), last)
        total = sum([steps_of(kind, fact) for fact in last])
        return number(total, total, last)  # whole steps of step / n

    return Derived("number", read, (kind.name,), unit, step / count)


def _why_none(told: tuple[Fact, ...]) -> Reason:
    if not told:
        return Reason.NEVER_ASKED
    return told[-1].reason or Reason.TOO_OLD


def _lesser_of_pair(key: str, row: Row, shop: Workshop) -> Derived:
    kind = shop.fact(row[key], "number")
    near = _gap(row, shop)

    def read(look: Look) -> Value:
        told = look.readings(kind.name)
        if not told:
            return unknown(Reason.NEVER_ASKED, (kind.name,))
        if told[-1].value is None or not look.is_current(told[-1]):
            return unknown(_why_none(told), (kind.name,), told[-1:])
        pair = told[-2:]
        if len(pair) < 2 or pair[0].value is None or not near(*pair):
            return unknown(Reason.ONE_READING, (kind.name,), pair)
        lesser = min([steps_of(kind, fact) for fact in pair])
        return number(lesser, lesser, pair)

    return Derived("number", read, (kind.name,), *_shape_of(kind))


def _lowest_since(key: str, row: Row, shop: Workshop) -> Derived:
    kind = shop.fact(row[key], "number")
    since, since_name = shop.date(row["since"]), row["since"]

    def read(look: Look) -> Value:
        _, last, evidence, reason = since(look)
        if last is None:
            return unknown(reason or Reason.NOT_KNOWN, (since_name,), evidence)
        told = [f for f in look.readings(kind.name) if f.day >= last]
        known = [fact for fact in told if fact.value is not None]
        if not known:
            return unknown(_why_none(tuple(told)), (kind.name,))
        lowest = min(known, key=lambda fact: steps_of(kind, fact))
        steps = steps_of(kind, lowest)
        return number(steps, steps, (lowest,))

    return Derived("number", read, (kind.name, since_name), *_shape_of(kind))


def _count_in(key: str, row: Row, shop: Workshop) -> Derived:
    name = shop.fact(row[key], *_TOLD).name
    last = shop.fact(row["after"], *_TOLD).name if "after" in row else ""
    window = _window(row, shop)
    guard = _guard(row, shop)

    def read(look: Look) -> Value:
        truth = guard(look) if guard else UNKNOWN
        told = look.readings(name)
        if truth == FALSE and not told:
            return number(0, 0)
        asked = look.last_known(last, 1) if last else ()
        if not told or (last and not asked):
            return unknown(Reason.NEVER_ASKED, (last if told else name,))
        start = None if window is None else before(look.at.local_date, *window)
        later = [f for f in told if not asked or f.observed_at > asked[-1].observed_at]
        within = [f for f in later if start is None or f.day > start]
        counted = tuple([fact for fact in within if fact.value is not False])
        return number(len(counted), len(counted), counted)

    return Derived("number", read, tuple(filter(None, (name, last, row.get("guard")))), "1")


_TOLD = ("bool", "number", "date", "instant", "code")


def _window(row: Row, shop: Workshop) -> tuple[int, str] | None:
    if "window" not in row:
        return None
    amount, unit = shop.amount(row["window"], "d", "wk", "mo", "a")
    return int(amount), unit


def _guard(row: Row, shop: Workshop) -> Callable[[Look], int] | None:
    if "guard" not in row:
        return None
    slot = shop.slot(row["guard"], "bool")
    return lambda look: look.value(slot).truth


# --- times --------------------------------------------------------------------------------------


def _not_asked(guard: Callable[[Look], int] | None, look: Look) -> bool:
    return guard is not None and guard(look) == FALSE


NOT_APPLICABLE = unknown(Reason.NEVER_ASKED, ())  # behind a false guard: nobody needs to be asked
_NOT_ON_FILE = Said(FALSE, ())


def _days_since(key: str, row: Row, shop: Workshop) -> Derived:
    name = row[key]
    since, guard = shop.date(name), _guard(row, shop)
    to = shop.fact(row["to"], "instant").name if "to" in row else ""

    def read(look: Look) -> Value:
        if _not_asked(guard, look):
            return NOT_APPLICABLE
        first, last, evidence, reason = since(look)
        if first is None or last is None:
            return unknown(reason or Reason.NOT_KNOWN, (name,), evidence)
        day: date | Value = _day_of(to, look) if to else look.at.local_date
        if isinstance(day, Value):
            return day
        return number((day - last).days, (day - first).days, evidence)

    reads = tuple(filter(None, (name, to, row.get("guard"))))
    return Derived("number", read, reads, "d", guard=row.get("guard", ""), is_since=True)


def _age(key: str, row: Row, shop: Workshop) -> Derived:
    name = row[key]
    born = shop.date(name)

    def read(look: Look) -> Value:
        first, last, evidence, reason = born(look)
        if first is None or last is None:
            return unknown(reason or Reason.NOT_KNOWN, (name,), evidence)
        today = look.at.local_date
        least = years_between(last, today)
        return number(least, least if first == last else years_between(first, today), evidence)

    return Derived("number", read, (name,), "a")


def _hours_since(key: str, row: Row, shop: Workshop) -> Derived:
    since, guard = shop.fact(row[key], "instant").name, _guard(row, shop)
    to = shop.fact(row["to"], "instant").name if "to" in row else ""
    unit = row.get("unit", "h")
    if unit not in ("h", "min"):
        raise ProtocolError(f"unit {unit!r}: hours_since counts in h or min")

    def read(look: Look) -> Value:
        if _not_asked(guard, look):
            return NOT_APPLICABLE
        start = _instant_of(since, look)
        if isinstance(start, Value):
            return start
        end = _instant_of(to, look) if to else (look.at.utc, ())
        if isinstance(end, Value):
            return end
        seconds = (end[0] - start[0]) // timedelta(seconds=1)
        return number(seconds, seconds, (*start[1], *end[1]))

    reads = tuple(name for name in (since, to, row.get("guard", "")) if name)
    step = Fraction(1, _SECONDS[unit])
    return Derived("number", read, reads, unit, step, row.get("guard", ""), is_since=True)


def _instant_of(name: str, look: Look) -> tuple[datetime, tuple[Any, ...]] | Value:
    if name in look.now:
        return look.at.utc, ()
    told = look.readings(name)
    if not told:
        return unknown(Reason.NEVER_ASKED, (name,))
    latest = told[-1]
    if not isinstance(latest.value, datetime) or not look.is_current(latest):
        return unknown(latest.reason or Reason.TOO_OLD, (name,), (latest,))
    return with_offset(latest.value), (latest,)


def _day_of(name: str, look: Look) -> date | Value:
    """Return the local date of an instant fact: that of the offset in which it is written."""
    if name in look.now:
        return look.at.local_date
    found = _instant_of(name, look)
    return found if isinstance(found, Value) else found[0].date()


# --- counting and comparing facts ---------------------------------------------------------------


def _at_least(key: str, row: Row, shop: Workshop) -> Derived:
    count = row[key] if isinstance(row[key], int) else int(shop.amount(row[key], "1")[0])
    names = tuple(row["of"])
    slots = tuple(shop.slot(name, "bool") for name in names)

    def read(look: Look) -> Value:
        values = [look.values[slot] or look.value(slot) for slot in slots]
        truths = [value.truth for value in values]
        sure = truths.count(TRUE)  # as kap.logic.at_least counts
        truth = TRUE if sure >= count else FALSE
        if truth == FALSE and sure + truths.count(UNKNOWN) >= count:
            truth = UNKNOWN
        if truth == UNKNOWN:
            open_values = [value for value in values if value.truth == UNKNOWN]
            asks = tuple(dict.fromkeys(name for value in open_values for name in value.asks))
            return unknown(open_values[0].reason or Reason.NOT_KNOWN, asks)
        turned = [value for value in values if value.truth == truth]
        return Said(truth, tuple([e for value in turned for e in look.evidence(value)]))

    return Derived("bool", read, names)


def _on_file(key: str, row: Row, shop: Workshop) -> Derived:
    names = (row[key],) if isinstance(row[key], str) else tuple(row[key])
    for name in names:
        shop.fact(name, *_TOLD)

    def read(look: Look) -> Value:
        # However old: an old bad result must be repeated, it does not go away by ageing.
        told = [f for name in names for f in look.told.get(name, ()) if f.value is not None]
        return Said(TRUE, tuple(told)) if told else _NOT_ON_FILE

    return Derived("bool", read, names)


def _change_from(key: str, row: Row, shop: Workshop) -> Derived:
    base, other = row[key], row["of"]
    slots = shop.slot(base, "number"), shop.slot(other, "number")
    shapes = shop.shape(base), shop.shape(other)
    if shapes[0] != shapes[1]:
        raise ProtocolError(f"change_from {base} of {other}: units or steps differ")
    unit, step = shapes[0]
    percent = bool(row.get("percent", False))
    own_step = shop.own_step(row["name"], "%") if percent else step

    def read(look: Look) -> Value:
        first, second = (look.value(slot) for slot in slots)
        for value in (first, second):
            if value.low is None or value.low != value.high:
                return unknown(value.reason or Reason.NOT_KNOWN, value.asks, value.evidence)
        assert first.low is not None
        assert second.low is not None
        evidence = (*first.evidence, *second.evidence)
        if percent and first.low == 0:
            return unknown(Reason.NOT_KNOWN, first.asks, evidence)
        change = second.low - first.low
        if percent:
            change = steps_up(Fraction(100 * change, first.low), own_step)
        return number(change, change, evidence)

    return Derived("number", read, (base, other), "%" if percent else unit, own_step)


# --- the closed set -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator: its builder, the further keys it needs, and those it may have."""

    build: Builder
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()


OPERATORS: Mapping[str, Operator] = {
    "latest": Operator(_nth_last(1)),
    "previous": Operator(_nth_last(2)),
    "mean_of_last": Operator(_mean_of_last, ("n", "gap")),
    "lesser_of_pair": Operator(_lesser_of_pair, ("gap",)),
    "days_since": Operator(_days_since, may=("to", "guard")),
    "hours_since": Operator(_hours_since, may=("to", "unit", "guard")),
    "age": Operator(_age),
    "count_in": Operator(_count_in, may=("window", "after", "guard")),
    "at_least": Operator(_at_least, ("of",)),
    "any_code": Operator(any_code, may=("assert", "ask", "counts")),
    "on_file": Operator(_on_file),
    "change_from": Operator(_change_from, ("of",), ("percent",)),
    "class_of": Operator(class_of, ("class",), ("daily",)),
    "trials_adequate": Operator(trials_adequate, ("n", "weeks", "class"), ("strict",)),
    "sum_equivalent": Operator(sum_equivalent, ("table", "class")),
    "lowest_since": Operator(_lowest_since, ("since",)),
}


def operator_of(name: str, row: Row) -> str:
    """Return the operator of a `[derived]` row; ProtocolError when it is none, or has odd keys."""
    found = [key for key in row if key in OPERATORS]
    if len(found) != 1:
        raise ProtocolError(f"derived.{name}: needs exactly one of {', '.join(OPERATORS)}")
    operator = OPERATORS[found[0]]
    missing = [key for key in operator.needs if key not in row]
    odd = [key for key in row if key not in (*found, *operator.needs, *operator.may)]
    if missing or odd:
        wrong = f"lacks {missing[0]}" if missing else f"unknown key {odd[0]}"
        raise ProtocolError(f"derived.{name}: {found[0]} {wrong}")
    return found[0]
