"""Operators on reviewed lists: classes of medicines, equivalents, adequate trials, single codes."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from kap.coding import resolver
from kap.evidence import MEDICATIONS, Look
from kap.facts import steps_up
from kap.known import Reason
from kap.value import FALSE, TRUE, UNKNOWN, Said, Value, number, unknown
from kap.workshop import Derived, Row, Workshop


def any_code(key: str, row: Row, shop: Workshop) -> Derived:
    return Derived("bool", shop.coded(row["name"], row), (row[key],))


def class_of(key: str, row: Row, shop: Workshop) -> Derived:
    says, daily = resolver(shop.medicines(row["class"])), bool(row.get("daily", False))

    def taken(item: Any) -> int:
        belongs = _SAID.get(says(item.atc.upper()), FALSE)
        return min(belongs, TRUE - _truth(item.prn)) if daily else belongs

    def read(look: Look) -> Value:
        listed = look.chart.medications
        truths = [] if listed is None else [(taken(item), item) for item in listed.items]
        reason = look.list_reason(MEDICATIONS)
        sure = tuple([item for truth, item in truths if truth == TRUE])
        if sure and reason is not Reason.TOO_OLD:
            return Said(TRUE, sure)
        open_items = tuple([item for truth, item in truths if truth == UNKNOWN])
        if reason is not None or open_items:
            return unknown(reason or Reason.UNCODED, (MEDICATIONS,), open_items)
        return Said(FALSE, (listed,))

    return Derived("bool", read, (row[key],))


def sum_equivalent(key: str, row: Row, shop: Workshop) -> Derived:
    table, says = shop.table(row["table"]), resolver(shop.medicines(row["class"]))
    step = shop.own_step(row["name"], "mg/d")

    def share(item: Any) -> Fraction | None:
        """Return the item's part in mg/d of the reference drug; None when it cannot be said."""
        equals = table.get(item.atc.upper())
        if equals is None:
            return None if says(item.atc.upper()) in _SAID else Fraction(0)
        if item.mg_per_day is None:
            return None
        return Fraction(item.mg_per_day) * Fraction(table["reference"]) / Fraction(equals)

    def read(look: Look) -> Value:
        reason = look.list_reason(MEDICATIONS)
        if reason is not None:
            return unknown(reason, (MEDICATIONS,))
        listed = look.chart.medications
        shares = [(share(item), item) for item in (listed.items if listed else ())]
        lost = tuple(item for part, item in shares if part is None)
        if lost:
            return unknown(Reason.UNCODED, (MEDICATIONS,), lost)
        total = steps_up(sum((part or Fraction(0) for part, _ in shares), Fraction(0)), step)
        return number(total, total, tuple(item for part, item in shares if part))

    return Derived("number", read, (row[key],), "mg/d", step)


def trials_adequate(key: str, row: Row, shop: Workshop) -> Derived:
    count = int(shop.amount(row["n"], "1")[0])
    weeks = shop.amount(row["weeks"], "wk")[0]
    table = dict(shop.table("minimum_dose"))
    strict = shop.table("minimum_dose.strict") if "strict" in row else {}
    if strict and shop.amount(row["strict"], "1")[0]:
        table |= strict
    says = resolver(shop.medicines(row["class"]))

    @lru_cache(maxsize=4096)
    def medicine(atc: str) -> tuple[int, Decimal | None]:
        code = atc.upper()
        return _SAID.get(says(code), FALSE), table.get(code)

    def adequate(item: Any) -> int:
        if item.current_episode is False or item.stopped_for_intolerance is True:
            return FALSE
        truth = TRUE if item.current_episode else UNKNOWN
        if item.judged is not None:
            return truth if item.judged else FALSE
        counts, least = medicine(item.atc)
        if item.stopped_for_intolerance is None or item.adherent is None:
            truth = UNKNOWN
        if item.adherent is False:
            return FALSE
        return min(truth, counts, _reached(item.mg_per_day, least), _reached(item.weeks, weeks))

    def read(look: Look) -> Value:
        listed = look.chart.antidepressant_trials
        judged = [] if listed is None else [(adequate(item), item) for item in listed.items]
        reason = look.list_reason(row[key])
        sure = {item.atc for truth, item in judged if truth == TRUE}
        if len(sure) >= count and reason is not Reason.TOO_OLD:
            return Said(TRUE, tuple([i for t, i in judged if t == TRUE]))
        doubtful = tuple(item for truth, item in judged if truth == UNKNOWN)
        could_be = len(sure) + len({i.atc or id(i) for i in doubtful if i.atc not in sure})
        if reason is not None or could_be >= count:
            return unknown(reason or Reason.NOT_KNOWN, (row[key],), doubtful)
        return Said(FALSE, (listed,))

    return Derived("bool", read, (row[key],))


# Truths as numbers: 0 false, 1 unknown, 2 true; Kleene's "and" is the least, "not" is 2 - it.
_SAID = {"assert": TRUE, "ask": UNKNOWN}


def _truth(known: bool | None) -> int:
    return UNKNOWN if known is None else TRUE if known else FALSE


def _reached(amount: Decimal | None, least: Decimal | None) -> int:
    return UNKNOWN if amount is None or least is None else _truth(amount >= least)
