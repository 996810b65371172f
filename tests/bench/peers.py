"""Other rule engines and expression languages, each told a condition of ours in its own words.

One small function a peer translates our syntax tree; how it is told "not known" is written beside
it. A peer that is not installed (extra `bench`) is named as such.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from kap.condition import All, AnyOf, Comparison, FactName, Formula, Member, Not, Number, ParamName

Known = Mapping[str, bool | float | str]  # the facts of one chart; what is not known is not there
Outcome = str  # "true", "false", "unknown" or "error"
Reads = Callable[[Known], Any]  # makes a chart the peer's own; this is not timed
Rule = Callable[[Any], Outcome]


@dataclass(frozen=True)
class Peer:
    """A package, how an unknown is told to it, and how a condition and a chart are."""

    package: str
    encoding: str
    chart: Reads
    rule: Callable[[Formula, Mapping[str, Any]], Rule]
    version: str


def found() -> tuple[list[Peer], list[str]]:
    """Return the peers that are installed, and the names of those that are not."""
    peers, missing = [], []
    for package, make in _MAKERS.items():
        try:
            chart, rule, encoding = make()
        except ImportError:
            missing.append(package)
            continue
        peers.append(Peer(package, encoding, chart, rule, metadata.version(package)))
    return peers, missing


def _text(node: Formula, words: Mapping[str, str], fact: Callable[[str], str], literal: Any) -> str:
    """Return a condition in a language written with infix operators."""

    def within(part: Formula) -> str:
        return _text(part, words, fact, literal)

    match node:
        case FactName(name):
            return fact(name)
        case Not(part):
            return words["not"].format(within(part))
        case All(parts) | AnyOf(parts):
            word = words["and" if isinstance(node, All) else "or"]
            return "(" + f" {word} ".join(map(within, parts)) + ")"
        case Comparison(FactName(name), op, right):
            return f"({fact(name)} {words.get(op, op)} {literal(right)})"
        case Member(FactName(name), param):
            return f"({fact(name)} in {literal(param)})"
    raise ValueError(f"{node}: not among the rules that every peer is told")


def _value(parameters: Mapping[str, Any], term: object) -> Any:
    match term:
        case Number(value):
            return float(value)
        case ParamName(name):
            held = parameters[name]
            return list(held) if isinstance(held, tuple) else float(held)
    raise ValueError(f"{term}: not among the terms that every peer is told")


def _truth(answer: object) -> Outcome:
    return "unknown" if answer is None else "true" if answer else "false"


# --- one function a peer ----------------------------------------------------------------------


def _json_logic() -> tuple[Reads, Any, str]:
    json_logic = importlib.import_module("json_logic").jsonLogic
    ops = {All: "and", AnyOf: "or"}

    def tree(node: Any, parameters: Mapping[str, Any]) -> Any:
        match node:
            case FactName(name):
                return {"var": name}
            case Not(part):
                return {"!": tree(part, parameters)}
            case All(parts) | AnyOf(parts):
                return {ops[type(node)]: [tree(part, parameters) for part in parts]}
            case Comparison(left, op, right):
                return {op: [tree(left, parameters), _value(parameters, right)]}
            case Member(fact, param):
                return {"in": [tree(fact, parameters), _value(parameters, param)]}
        raise ValueError(node)

    def rule(node: Formula, parameters: Mapping[str, Any]) -> Rule:
        read = tree(node, parameters)
        return lambda chart: _truth(json_logic(read, chart))

    return dict, rule, "the key is not in the data (`var` gives null)"


def _rule_engine() -> tuple[Reads, Any, str]:
    engine = importlib.import_module("rule_engine")
    context = engine.Context(default_value=None)
    words = {"and": "and", "or": "or", "not": "(not {})"}

    def rule(node: Formula, parameters: Mapping[str, Any]) -> Rule:
        def literal(term: object) -> str:
            return repr(_value(parameters, term))

        read = engine.Rule(_text(node, words, str, literal), context=context)

        def run(chart: Any) -> Outcome:
            try:
                return _truth(read.evaluate(chart))
            except engine.EngineError:
                return "error"

        return run

    return dict, rule, "the symbol is absent; `Context(default_value=None)` makes it null"


def _cel() -> tuple[Reads, Any, str]:
    cel = importlib.import_module("celpy")
    environment = cel.Environment()
    words = {"and": "&&", "or": "||", "not": "!({})"}

    def rule(node: Formula, parameters: Mapping[str, Any]) -> Rule:
        def literal(term: object) -> str:
            return str(_value(parameters, term))

        text = _text(node, words, "c.{}".format, literal)
        read = environment.program(environment.compile(text))

        def run(chart: Any) -> Outcome:
            try:
                return _truth(read.evaluate(chart))
            except cel.CELEvalError:
                return "error"

        return run

    def chart(known: Known) -> Any:
        return {"c": cel.json_to_cel(dict(known))}

    return chart, rule, "the member is not in the map (reading it is an error)"


def _fhirpath() -> tuple[Reads, Any, str]:
    fhirpath = importlib.import_module("fhirpathpy")
    words = {"and": "and", "or": "or", "not": "({}).not()", "==": "="}

    def rule(node: Formula, parameters: Mapping[str, Any]) -> Rule:
        def literal(term: object) -> str:
            value = _value(parameters, term)
            if isinstance(value, list):
                return "(" + " | ".join(map(repr, value)) + ")"
            return str(value)

        read = fhirpath.compile(_text(node, words, str, literal))

        def run(chart: Any) -> Outcome:
            answer = read(chart)
            return _truth(answer[0] if answer else None)

        return run

    return dict, rule, "the element is absent (an empty collection)"


def _cql() -> tuple[Reads, Any, str]:
    operators = importlib.import_module("cqlpy.operators")
    types = importlib.import_module("cqlpy.types")
    null = types.Null()
    orders = {
        "<": operators.less,
        "<=": operators.less_or_equal,
        ">": operators.greater,
        ">=": operators.greater_or_equal,
        "==": operators.equal,
        "!=": operators.not_equal,
    }

    def closure(node: Any, parameters: Mapping[str, Any]) -> Callable[[Any], Any]:
        match node:
            case FactName(name):
                return lambda chart: chart.get(name, null)
            case Not(part):
                inner = closure(part, parameters)
                return lambda chart: not inner(chart)
            case All(parts):
                return _python_and([closure(part, parameters) for part in parts])
            case AnyOf(parts):
                return _python_or([closure(part, parameters) for part in parts])
            case Comparison(left, op, right):
                read, order = closure(left, parameters), orders[op]
                bound = types.Decimal(_value(parameters, right))
                return lambda chart: order(read(chart), bound)
            case Member(fact, param):
                read, listed = closure(fact, parameters), _value(parameters, param)
                return lambda chart: operators.in_list(read(chart), listed)
        raise ValueError(node)

    def rule(node: Formula, parameters: Mapping[str, Any]) -> Rule:
        read = closure(node, parameters)

        def run(chart: Any) -> Outcome:
            answer = read(chart)
            return "unknown" if isinstance(answer, types.Null) else _truth(bool(answer))

        return run

    def chart(known: Known) -> Any:
        kinds = {bool: types.Boolean, float: types.Decimal, str: str}
        return {name: kinds[type(value)](value) for name, value in known.items()}

    return chart, rule, "`Null()`, with Python's own `and`, `or`, `not` as its translator writes"


def _python_and(parts: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def run(chart: Any) -> Any:
        answer = None
        for part in parts:
            answer = part(chart)
            if not answer:
                break
        return answer

    return run


def _python_or(parts: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def run(chart: Any) -> Any:
        answer = None
        for part in parts:
            answer = part(chart)
            if answer:
                break
        return answer

    return run


_MAKERS: Mapping[str, Callable[[], tuple[Reads, Any, str]]] = {
    "panzi-json-logic": _json_logic,
    "rule-engine": _rule_engine,
    "cel-python": _cel,
    "fhirpathpy": _fhirpath,
    "cqlpy": _cql,
}
