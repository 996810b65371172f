"""A protocol made ready to be asked: one slot a fact, one closure a rule. Refuses what is unsound.

Built once when a file is loaded: names, kinds, units, guards and validities are all checked here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from kap.coding import Coding, FactCodes, plain_code, row_touch
from kap.compiled import Closure, Column, Names, ParameterValue, compile_formula
from kap.condition import ConditionError, FactName
from kap.dates import DateRead, date_of, dated
from kap.derive import OPERATORS, operator_of
from kap.evidence import (
    MEDICATIONS,
    Deriver,
    Limit,
    Look,
    list_known,
    listed,
    row_taken,
    settle,
    told,
)
from kap.facts import FactType
from kap.first_pass import FirstPass, PlainFact, PlainRow
from kap.guard import insist, stand_behind, true_in
from kap.protocol_file import Table, choice, medication_fact, name_of, only, table, texts
from kap.rule import MARKS, Parameter, ProtocolError, Rule
from kap.workshop import Derived

UNMATCHED = "m_unmatched"


@dataclass(frozen=True, slots=True)
class PlannedRule:
    """A rule with its closure: `speaks(look)` is 2 when it speaks, 1 unknown, 0 quiet.

    `plain` is the slot of a rule that speaks when one fact is true, which needs no call; else -1.
    """

    rule: Rule
    speaks: Closure
    slots: tuple[int, ...]
    plain: int = -1


@dataclass(frozen=True, slots=True)
class Plan:
    """Slots, how each is read, and the raw facts and lists that each name goes back to."""

    columns: Mapping[str, Column]
    derivers: list[Deriver]
    rules: tuple[PlannedRule, ...]
    roots: Mapping[str, tuple[str, ...]]
    names: Names
    plain_facts: tuple[PlainFact, ...]
    plain_rows: tuple[PlainRow, ...]

    def first_pass(self, rules: Iterable[PlannedRule], limits: Mapping[str, Limit]) -> FirstPass:
        """Return what the rules of a stage read in one pass."""
        slots = {slot for planned in rules for slot in planned.slots}
        facts = (fact for fact in self.plain_facts if fact.slot in slots)
        rows = (row for row in self.plain_rows if row.slot in slots)
        return FirstPass.of(facts, rows, limits)


class Workbench:
    """Builds a plan; also the workshop that the operators ask (`kap.derive.Workshop`)."""

    def __init__(
        self, data: Table, facts: Mapping[str, FactType], parameters: Mapping[str, Parameter]
    ) -> None:
        self.data = data
        self.facts = facts
        self.parameters = parameters
        self.columns: dict[str, Column] = {}
        self.derivers: list[Deriver] = []
        self.derived: dict[str, Derived] = {}
        self.reads: dict[str, tuple[str, ...]] = {}
        self.building: list[str] = []
        self.coding = Coding(self._codes())
        self.jumps = self._jumps()
        self.row_tags = self._row_tags()
        self.row_touch = row_touch(self.row_tags)
        self.rows = self._rows()
        self.plain_facts: list[PlainFact] = []
        self.plain_rows: list[PlainRow] = []

    # --- what the operators ask ---

    def fact(self, name: str, *types: str) -> FactType:
        """Return a raw fact of one of `types`."""
        kind = self.facts.get(name)
        if kind is None or kind.type not in types:
            raise ProtocolError(f"{name!r} is no {' or '.join(types)} of facts.toml")
        return kind

    def amount(self, param: str, *units: str) -> tuple[Decimal, str]:
        """Return the value and unit of a parameter that must be a number in one of `units`."""
        found = self.parameters.get(param)
        if found is None or isinstance(found.value, tuple) or found.unit not in units:
            raise ProtocolError(f"param.{param}: needed as one number in {' or '.join(units)}")
        return found.value, found.unit

    def slot(self, name: str, kind: str) -> int:
        """Return the slot of a fact of `kind`."""
        column = self.column(name)
        if column.kind != kind:
            raise ProtocolError(f"{name} is a {column.kind}, not a {kind}")
        return column.slot

    def shape(self, name: str) -> tuple[str, Fraction]:
        """Return unit and step of a number."""
        column = self.column(name)
        return column.unit, column.step

    def date(self, name: str) -> Callable[[Look], DateRead]:
        """Return how the date (or instant) fact is read, onsets of coded diagnoses included."""
        self.fact(name, "date", "instant")
        coded_by = tuple(c.fact for c in self._codes() if c.onset == name)
        self.reads.setdefault(name, (name, "conditions") if coded_by else (name,))
        return date_of(name, coded_by, self.coding)

    def medicines(self, name: str) -> Mapping[str, str]:
        """Return the prefixes of `[class_facts.<name>]`."""
        where = f"class_facts.{name}"
        row = table(where, self.data.get("class_facts", {}).get(name))
        only(where, row, ("atc", "except", "ask", "source", "mark", "note"))
        found = {plain_code(p): "assert" for p in texts(where, row.get("atc", []))}
        found |= {plain_code(p): "ask" for p in texts(where, row.get("ask", []))}
        return found | {plain_code(p): "except" for p in texts(where, row.get("except", []))}

    def table(self, name: str) -> Mapping[str, Decimal]:
        """Return mg by ATC of `[minimum_dose]`, of its `strict` or of `[equivalents.<name>]`."""
        where = name if name.startswith("minimum_dose") else f"equivalents.{name}"
        found_at: Any = self.data
        for part in where.split("."):
            found_at = table(where, found_at.get(part))
        row = {key: cell for key, cell in found_at.items() if key != "strict"}
        only(where, row, ("atc", "reference", "unit", "source", "mark", "note", "unverified"))
        choice(f"{where}.mark", row.get("mark"), MARKS)
        found = {plain_code(c): Decimal(mg) for c, mg in table(where, row.get("atc")).items()}
        if any(mg <= 0 for mg in found.values()):
            raise ProtocolError(f"{where}: every dose is above 0")
        return found | ({"reference": Decimal(row["reference"])} if "reference" in row else {})

    def own_step(self, name: str, unit: str) -> Fraction:
        """Return the step that facts.toml declares for a derived ratio."""
        kind = self.facts.get(name)
        if kind is None or kind.step is None or kind.unit != unit:
            raise ProtocolError(f"derived.{name}: facts.toml must give it a step, in {unit!r}")
        return Fraction(kind.step)

    def coded(self, name: str, row: Mapping[str, Any]) -> Deriver:
        """Return how a fact is read from one list by the codes of an `any_code` row."""
        return listed(name, (row["any_code"],), self.coding, retains=True)

    # --- slots ---

    def column(self, name: str) -> Column:
        """Return the column of a fact, building it when it is first named."""
        if name in self.columns:
            return self.columns[name]
        if name in self.building:
            raise ProtocolError(f"derived.{name} goes round in a circle")
        self.building.append(name)
        kind, unit, step, read, reads = self._built(name)
        self.building.pop()
        self.columns[name] = Column(len(self.derivers), kind, unit, step)
        self.derivers.append(read)
        self.reads[name] = reads
        return self.columns[name]

    def _built(self, name: str) -> tuple[str, str, Fraction, Deriver, tuple[str, ...]]:
        if name in self.data.get("derived", {}):
            return self._built_derived(name)
        if name in self.rows:
            tag = self.rows[name]
            self.plain_rows.append(PlainRow(len(self.derivers), tag, self.row_touch))
            return "bool", "", Fraction(1), row_taken(tag, self.row_touch), (MEDICATIONS,)
        if name not in self.facts:
            raise ProtocolError(f"no fact is called {name!r}: not in facts.toml, not in [derived]")
        kind = self.facts[name]
        if kind.type == "list":
            return "list", "", Fraction(1), list_known(name), (name,)
        read = told(kind, self.jumps.get(name))
        reads: tuple[str, ...] = (name,)
        if kind.type == "date":
            read = dated(name, self.date(name))
            reads = self.reads[name]
        if kind.type == "bool":
            lists = self._coded_lists().get(name, ())
            touches = tuple(self.coding.touches[held] for held in lists)
            self.plain_facts.append(PlainFact(len(self.derivers), name, touches))
            if lists:
                from_lists = listed(name, lists, self.coding, retains=kind.direction == "up")
                read, reads = settle(name, kind.direction, read, from_lists), (name, *lists)
        shown = kind.type if kind.type in ("bool", "number", "code") else "other"
        return shown, kind.unit, Fraction(kind.step or 1), read, reads

    def _built_derived(self, name: str) -> tuple[str, str, Fraction, Deriver, tuple[str, ...]]:
        row = table(f"derived.{name}", self.data["derived"][name_of("derived", name)])
        key = operator_of(name, row)
        try:
            made = OPERATORS[key].build(key, {**row, "name": name}, self)
        except ProtocolError as problem:
            raise ProtocolError(f"derived.{name}: {problem}") from None
        self.derived[name] = made
        read, reads = made.read, made.reads
        kind = self.facts.get(name)
        if kind is None and key == "any_code":
            touch = self.coding.touches[row[key]]
            self.plain_facts.append(PlainFact(len(self.derivers), name, (touch,)))
        if kind is not None:
            if (kind.type, kind.unit) != (made.kind, made.unit) or (
                made.kind == "number" and Fraction(kind.step or 1) != made.step
            ):
                raise ProtocolError(f"derived.{name}: type, unit or step differ from facts.toml")
            read = settle(name, kind.direction, told(kind, None), read)
            reads = (name, *reads)
        return made.kind, made.unit, made.step, read, reads

    # --- tables ---

    def _codes(self) -> list[FactCodes]:
        found = []
        for fact, row in self.data.get("codes", {}).items():
            where = f"codes.{fact}"
            only(where, table(where, row), (*_CODED, "counts", "onset", "source", "mark", "note"))
            self.fact(fact, "bool")
            counts = choice(f"{where}.counts", row.get("counts", "ever"), _COUNTS)
            for key in (key for key in _CODED if key in row):
                prefixes = _prefixes(f"{where}.{key}", row[key])
                onset = row.get("onset", "")
                found.append(FactCodes(fact, _CODED[key], prefixes, counts, onset))
        for name, row in self.data.get("derived", {}).items():
            if "any_code" in row:
                found.append(self._any_code(name, row))
        return found

    def _any_code(self, name: str, row: Table) -> FactCodes:
        where = f"derived.{name}"
        operator_of(name, row)
        lists = choice(f"{where}.any_code", row["any_code"], tuple(_CODED.values()))
        counts = choice(f"{where}.counts", row.get("counts", "ever"), _COUNTS)
        sides = {key: row[key] for key in ("assert", "ask") if key in row}
        return FactCodes(name, lists, _prefixes(where, sides), counts)

    def _coded_lists(self) -> dict[str, tuple[str, ...]]:
        lists: dict[str, tuple[str, ...]] = {}
        for entry in self._codes():
            lists[entry.fact] = (*lists.get(entry.fact, ()), entry.list)
        return lists

    def _row_tags(self) -> dict[str, str]:
        tags: dict[str, str] = {}
        for tag, row in self.data.get("medication", {}).items():
            for prefix in map(plain_code, texts(f"medication.{tag}.atc", row.get("atc"))):
                if prefix in tags or not prefix:
                    raise ProtocolError(
                        f"medication.{tag}: ATC {prefix!r} is empty or stands twice"
                    )
                tags[prefix] = tag
        return tags

    def _rows(self) -> dict[str, str]:
        """Return the tag of each fact that is a row of medicines; "" is what no row knows."""
        found = {medication_fact(tag): tag for tag in self.data.get("medication", {})}
        return found | ({UNMATCHED: ""} if found else {})

    def _jumps(self) -> dict[str, tuple[int, int]]:
        found = {}
        for name, param in self.data.get("jump", {}).items():
            self.fact(name, "number")
            share = Fraction(self.amount(param, "%")[0]) / 100
            found[name] = (share.numerator, share.denominator)
        return found


_CODED = {"icd10": "conditions", "atc": "medications", "allergies": "allergies"}
_COUNTS = ("ever", "now", "family")


def _prefixes(where: str, row: Any) -> dict[str, str]:
    only(where, table(where, row), ("assert", "ask"))
    found = {plain_code(p): side for side in row for p in texts(where, row[side])}
    if not found or "" in found or len(found) != sum(len(row[side]) for side in row):
        raise ProtocolError(f"{where}: each prefix once, none empty, at least one")
    return found


# --- rules --------------------------------------------------------------------------------------


def build_plan(
    data: Table,
    facts: Mapping[str, FactType],
    parameters: Mapping[str, Parameter],
    rules: tuple[Rule, ...],
) -> Plan:
    """Return the plan; ProtocolError names the rule or fact that is unsound."""
    bench = Workbench(data, facts, parameters)
    for name in data.get("derived", {}):
        bench.column(name)
    for rule in rules:
        _name_facts(rule, bench)
    held = {name: ParameterValue(p.value, p.unit) for name, p in parameters.items()}
    names = Names(bench.columns, held)
    planned = tuple(_planned(rule, names, bench.derived) for rule in rules)
    roots = {name: _roots(name, bench.reads) for name in bench.columns}
    return Plan(
        columns=bench.columns,
        derivers=bench.derivers,
        rules=planned,
        roots=roots,
        names=names,
        plain_facts=tuple(bench.plain_facts),
        plain_rows=tuple(bench.plain_rows),
    )


def _name_facts(rule: Rule, bench: Workbench) -> None:
    for name in rule.facts:
        try:
            bench.column(name)
        except ProtocolError as problem:
            raise ProtocolError(f"rule.{rule.id}: {problem}") from None


def _roots(name: str, reads: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    below = [part for part in reads.get(name, ()) if part != name]
    own = (name,) if name in reads.get(name, (name,)) else ()
    found = (root for part in below for root in _roots(part, reads))
    return tuple(dict.fromkeys([*own, *found]))


def _planned(rule: Rule, names: Names, derived: Mapping[str, Derived]) -> PlannedRule:
    slots = tuple(names.columns[name].slot for name in rule.facts)
    try:
        if rule.expression is None:
            return PlannedRule(rule, _missing(rule, names, derived), slots)
        closure = compile_formula(rule.expression.tree, names)
        insist(rule.expression.tree, derived, rule.kind == "require", frozenset())
    except ConditionError as problem:
        raise ProtocolError(f"rule.{rule.id}: {problem}") from None
    if rule.kind == "require":
        return PlannedRule(rule, lambda look: 2 - closure(look), slots)
    plain = slots[0] if isinstance(rule.expression.tree, FactName) else -1
    return PlannedRule(rule, closure, slots, plain)


def _missing(rule: Rule, names: Names, derived: Mapping[str, Derived]) -> Closure:
    """Return the closure of `needs`: unknown while one is missing, where `only_if` is not false."""
    slots = [names.columns[name].slot for name in rule.needs]
    tree = None if rule.only_if is None else rule.only_if.tree
    asked = None if tree is None else compile_formula(tree, names)
    guards = frozenset() if tree is None else true_in(tree)
    for name in rule.needs:
        stand_behind(name, derived, True, guards)
    if tree is not None:
        insist(tree, derived, False, frozenset())

    def closure(look: Any) -> int:
        if asked is not None and not asked(look):
            return 0
        return 1 if any(look.value(slot).reason is not None for slot in slots) else 0

    return closure
