"""Operators on reviewed lists: classes of medicines, equivalents, adequate trials, single codes."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

from kap.coding import resolve
from kap.evidence import FALSE, MEDICATIONS, TRUE, Look, Value, number, unknown
from kap.facts import steps_up
from kap.known import Reason
from kap.logic import Truth
from kap.workshop import Derived, Row, Workshop


def any_code(key: str, row: Row, shop: Workshop) -> Derived:
    return Derived("bool", shop.coded(row["name"], row), (row[key],))


def class_of(key: str, row: Row, shop: Workshop) -> Derived:
    prefixes, daily = shop.medicines(row["class"]), bool(row.get("daily", False))

    def taken(item: Any) -> Truth:
        kind = resolve(prefixes, item.atc.upper())
        belongs = {"assert": Truth.TRUE, "ask": Truth.UNKNOWN}.get(kind, Truth.FALSE)
        return belongs & ~Truth.of(item.prn) if daily else belongs

    def read(look: Look) -> Value:
        listed = look.chart.medications
        truths = [] if listed is None else [(taken(item), item) for item in listed.items]
        reason = look.list_reason(MEDICATIONS)
        sure = tuple(item for truth, item in truths if truth is Truth.TRUE)
        if sure and reason is not Reason.TOO_OLD:
            return Value(truth=TRUE, evidence=sure)
        open_items = tuple(item for truth, item in truths if truth is Truth.UNKNOWN)
        if reason is not None or open_items:
            return unknown(reason or Reason.UNCODED, (MEDICATIONS,), open_items)
        return Value(truth=FALSE, evidence=(listed,))

    return Derived("bool", read, (row[key],))


def sum_equivalent(key: str, row: Row, shop: Workshop) -> Derived:
    table, prefixes = shop.table(row["table"]), shop.medicines(row["class"])
    step = shop.own_step(row["name"], "mg/d")

    def share(item: Any) -> Fraction | None:
        """Return the item's part in mg/d of the reference drug; None when it cannot be said."""
        equals = table.get(item.atc.upper())
        if equals is None:
            return None if resolve(prefixes, item.atc.upper()) in ("assert", "ask") else Fraction(0)
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
    table, prefixes = shop.table("minimum_dose"), shop.medicines(row["class"])

    def adequate(item: Any) -> Truth:
        if item.current_episode is False or item.stopped_for_intolerance is True:
            return Truth.FALSE
        if item.judged is not None:
            return Truth.of(item.judged) & Truth.of(item.current_episode)
        kind = resolve(prefixes, item.atc.upper())
        known = {"assert": Truth.TRUE, "ask": Truth.UNKNOWN}.get(kind, Truth.FALSE)
        return (
            known
            & _reached(item.mg_per_day, table.get(item.atc.upper()))
            & _reached(item.weeks, weeks)
            & Truth.of(item.adherent)
            & Truth.of(item.current_episode)
            & ~Truth.of(item.stopped_for_intolerance)
        )

    def read(look: Look) -> Value:
        listed = look.chart.antidepressant_trials
        judged = [] if listed is None else [(adequate(item), item) for item in listed.items]
        reason = look.list_reason(row[key])
        sure = {item.atc for truth, item in judged if truth is Truth.TRUE}
        if len(sure) >= count and reason is not Reason.TOO_OLD:
            return Value(truth=TRUE, evidence=tuple(i for t, i in judged if t is Truth.TRUE))
        doubtful = tuple(item for truth, item in judged if truth is Truth.UNKNOWN)
        could_be = len(sure) + len({i.atc or id(i) for i in doubtful if i.atc not in sure})
        if reason is not None or could_be >= count:
            return unknown(reason or Reason.NOT_KNOWN, (row[key],), doubtful)
        return Value(truth=FALSE, evidence=(listed,))

    return Derived("bool", read, (row[key],))


def _reached(amount: Decimal | None, least: Decimal | None) -> Truth:
    return Truth.UNKNOWN if amount is None or least is None else Truth.of(amount >= least)
