"""The language of `when`, `require` and `only_if`: read, write back, list facts, evaluate slowly.

A whitelisted subset of Python's expression syntax (docs/algorithms/screening.md section 4). The
evaluator here is the readable reference; `kap/compiled.py` builds the fast one; a test compares.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import reduce

from kap.logic import Truth


class ConditionError(ValueError):
    """A text outside the language; the message names the text and the column (from 1)."""


@dataclass(frozen=True, slots=True)
class FactName:
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Number:
    value: Decimal

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True)
class ParamName:
    name: str

    def __str__(self) -> str:
        return f"param.{self.name}"


@dataclass(frozen=True, slots=True)
class Product:
    fact: FactName
    param: ParamName

    def __str__(self) -> str:
        return f"{self.fact} * {self.param}"


@dataclass(frozen=True, slots=True)
class Sum:
    left: Term
    sign: str
    right: Term

    def __str__(self) -> str:
        right = f"({self.right})" if isinstance(self.right, Sum) else str(self.right)
        return f"{self.left} {self.sign} {right}"


@dataclass(frozen=True, slots=True)
class Comparison:
    left: Term
    op: str
    right: Term

    def __str__(self) -> str:
        return f"{self.left} {self.op} {self.right}"


@dataclass(frozen=True, slots=True)
class Member:
    fact: FactName
    param: ParamName

    def __str__(self) -> str:
        return f"{self.fact} in {self.param}"


@dataclass(frozen=True, slots=True)
class Not:
    part: Formula

    def __str__(self) -> str:
        return f"not {_inside(self.part)}"


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple[Formula, ...]

    def __str__(self) -> str:
        return " and ".join(_inside(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Formula, ...]

    def __str__(self) -> str:
        return " or ".join(_inside(part) for part in self.parts)


Term = FactName | Number | ParamName | Product | Sum
Formula = FactName | Comparison | Member | Not | All | AnyOf
# What a fact is, for the reference evaluator: a truth, an exact number, both ends of a number that
# is known only between them, a code, or None for unknown.
Known = Truth | Decimal | Fraction | int | tuple[Fraction, Fraction] | str | None


def _inside(part: Formula) -> str:
    return f"({part})" if isinstance(part, All | AnyOf) else str(part)


@dataclass(frozen=True, slots=True)
class Expression:
    """A read condition: its text, its syntax tree, and the facts that it names.

    `facts` are in order of appearance, each once; found when it is read, since each verdict asks.
    """

    text: str
    tree: Formula
    facts: tuple[str, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        named = dict.fromkeys(n.name for n in walk(self.tree) if isinstance(n, FactName))
        object.__setattr__(self, "facts", tuple(named))  # frozen

    def __str__(self) -> str:
        return str(self.tree)

    @property
    def params(self) -> tuple[str, ...]:
        """The parameters that the condition names, each once, in order of appearance."""
        return tuple(dict.fromkeys(n.name for n in walk(self.tree) if isinstance(n, ParamName)))


def walk(node: Formula | Term) -> Iterator[Formula | Term]:
    """Yield `node` and everything below it, parents first, left to right."""
    yield node
    for part in _children(node):
        yield from walk(part)


def _children(node: Formula | Term) -> tuple[Formula | Term, ...]:
    match node:
        case All(parts) | AnyOf(parts):
            return parts
        case Not(part):
            return (part,)
        case Comparison(left, _, right) | Sum(left, _, right):
            return (left, right)
        case Product(fact, param) | Member(fact, param):
            return (fact, param)
    return ()


# --- reading ------------------------------------------------------------------------------------

_ALPHABET = re.compile(r"[^a-z0-9_. +\-*<>=!()]")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NUMBER = re.compile(r"\d+(\.\d+)?")
_NESTING = re.compile(r"[(+-]|not ")
_LONGEST = 2000
_DEEPEST = 60
_OPERATORS = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


def parse(text: str) -> Expression:
    """Return the expression that `text` writes; ConditionError names the column and the way out."""
    flat = " ".join(text.split())
    stranger = _ALPHABET.search(flat)
    if stranger:
        raise _error(flat, stranger.start(), f"{stranger.group()!r} is not part of the language")
    if len(flat) > _LONGEST:
        raise _error(flat[:40], 0, f"longer than {_LONGEST} characters; split it into rules")
    if len(_NESTING.findall(flat)) > _DEEPEST:
        raise _error(flat[:40], 0, f"nested more than {_DEEPEST} times; split it into rules")
    try:
        return Expression(flat, _Reader(flat).formula(ast.parse(flat, mode="eval").body))
    except SyntaxError as problem:
        raise _error(flat, (problem.offset or len(flat) + 1) - 1, "cannot be read") from None


def _error(text: str, column: int, problem: str) -> ConditionError:
    return ConditionError(f"{text!r}, column {column + 1}: {problem}")


class _Reader:
    """Turns Python's syntax tree into ours, refusing every node that is not on the list."""

    def __init__(self, text: str) -> None:
        self.text = text

    def formula(self, node: ast.expr) -> Formula:
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                return All(tuple(self.formula(value) for value in values))
            case ast.BoolOp(values=values):
                return AnyOf(tuple(self.formula(value) for value in values))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Not(self.formula(operand))
            case ast.Compare(left=left, ops=[ast.In()], comparators=[right]):
                return Member(self.fact(left), self.param(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _OPERATORS:
                return Comparison(self.term(left), _OPERATORS[type(op)], self.term(right))
            case ast.Name():
                return self.fact(node)
        raise self.refuse(node, "expected a fact, a comparison, `and`, `or`, `not` or `in`")

    def term(self, node: ast.expr) -> Term:
        match node:
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
                sign = "+" if isinstance(op, ast.Add) else "-"
                return Sum(self.term(left), sign, self.term(right))
            case ast.BinOp(left=ast.Name() as fact, op=ast.Mult(), right=param):
                return Product(self.fact(fact), self.param(param))
            case ast.Name():
                return self.fact(node)
            case ast.Attribute():
                return self.param(node)
            case ast.Constant():
                return self.number(node)
        raise self.refuse(node, "expected a fact, a number, param.x, `+`, `-` or fact * param.x")

    def fact(self, node: ast.expr) -> FactName:
        if isinstance(node, ast.Name) and _NAME.fullmatch(node.id) and node.id != "param":
            return FactName(node.id)
        raise self.refuse(node, "expected the name of a fact")

    def param(self, node: ast.expr) -> ParamName:
        match node:
            case ast.Attribute(value=ast.Name(id="param"), attr=name) if _NAME.fullmatch(name):
                return ParamName(name)
        raise self.refuse(node, "expected param.x")

    def number(self, node: ast.Constant) -> Number:
        written = ast.get_source_segment(self.text, node) or ""
        if _NUMBER.fullmatch(written):
            return Number(Decimal(written))
        raise self.refuse(node, "expected a number such as 4 or 0.75")

    def refuse(self, node: ast.expr, problem: str) -> ConditionError:
        return _error(self.text, node.col_offset, problem)


# --- evaluating: the readable reference ---------------------------------------------------------

Parameters = Mapping[str, "Decimal | tuple[Decimal | str, ...]"]


def evaluate(node: Formula, values: Mapping[str, Known], parameters: Parameters) -> Truth:
    """Return the truth of `node`. A fact absent from `values`, or None, is unknown."""
    match node:
        case All(parts):
            return reduce(Truth.__and__, (evaluate(p, values, parameters) for p in parts))
        case AnyOf(parts):
            return reduce(Truth.__or__, (evaluate(p, values, parameters) for p in parts))
        case Not(part):
            return ~evaluate(part, values, parameters)
        case FactName(name):
            found = values.get(name)
            return found if isinstance(found, Truth) else Truth.UNKNOWN
        case Member(FactName(name), ParamName(param)):
            return _member(values.get(name), parameters[param])
        case _:
            return _compare(difference(node, values, parameters), node.op)


def unsettled(
    node: Formula, values: Mapping[str, Known], parameters: Parameters
) -> tuple[str, ...]:
    """Return the facts whose being unknown leaves `node` unknown; none when `node` is known."""
    if evaluate(node, values, parameters) is not Truth.UNKNOWN:
        return ()
    if isinstance(node, All | AnyOf | Not):
        below = (node.part,) if isinstance(node, Not) else node.parts
        names = (name for part in below for name in unsettled(part, values, parameters))
    else:
        found = (part.name for part in walk(node) if isinstance(part, FactName))
        names = (name for name in found if not _is_exact(values.get(name)))
    return tuple(dict.fromkeys(names))


def _is_exact(value: Known) -> bool:
    return value is not None and value is not Truth.UNKNOWN and not isinstance(value, tuple)


Ends = tuple[Fraction, Fraction] | None


def difference(node: Comparison, values: Mapping[str, Known], parameters: Parameters) -> Ends:
    """Return the least and greatest of left - right, or None when a fact is unknown."""
    return _ends(Sum(node.left, "-", node.right), values, parameters)


def _ends(term: Term, values: Mapping[str, Known], parameters: Parameters) -> Ends:
    """Return the least and the greatest that `term` may be, or None when a fact is unknown."""
    match term:
        case Number(value):
            return Fraction(value), Fraction(value)
        case ParamName(name):
            return _exact(parameters[name]), _exact(parameters[name])
        case FactName(name):
            return _pair(values.get(name))
        case Product(FactName(name), ParamName(param)):
            pair, factor = _pair(values.get(name)), _exact(parameters[param])
            return pair and (min(e * factor for e in pair), max(e * factor for e in pair))
        case _:
            a, b = (_ends(side, values, parameters) for side in (term.left, term.right))
            if a is None or b is None:
                return None
            return (a[0] + b[0], a[1] + b[1]) if term.sign == "+" else (a[0] - b[1], a[1] - b[0])


def _exact(value: Decimal | tuple[Decimal | str, ...]) -> Fraction:
    if isinstance(value, tuple):
        raise ConditionError(f"a list of {len(value)} is compared; lists are for `in`")
    return Fraction(value)


def _pair(value: Known) -> Ends:
    if isinstance(value, tuple):
        return value
    if isinstance(value, Decimal | Fraction | int):
        return Fraction(value), Fraction(value)
    return None


def _compare(ends: Ends, op: str) -> Truth:
    if ends is None:
        return Truth.UNKNOWN
    low, high = ends
    match op:
        case "<":
            yes, no = high < 0, low >= 0
        case ">=":
            yes, no = low >= 0, high < 0
        case "<=":
            yes, no = high <= 0, low > 0
        case ">":
            yes, no = low > 0, high <= 0
        case "==":
            yes, no = low == high == 0, low > 0 or high < 0
        case _:
            yes, no = low > 0 or high < 0, low == high == 0
    return Truth.TRUE if yes else Truth.FALSE if no else Truth.UNKNOWN


def _member(value: Known, listed: Decimal | tuple[Decimal | str, ...]) -> Truth:
    assert isinstance(listed, tuple)
    if isinstance(value, str):
        return Truth.of(value in listed)
    pair = _pair(value)
    if pair is None:
        return Truth.UNKNOWN
    possible = [n for n in listed if not isinstance(n, str) and pair[0] <= n <= pair[1]]
    if not possible:
        return Truth.FALSE
    return Truth.TRUE if pair[0] == pair[1] else Truth.UNKNOWN
