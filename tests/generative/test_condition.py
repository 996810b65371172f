"""Kleene's laws, and that learning a fact never changes what was already known."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from kap.compiled import compile_formula
from kap.condition import (
    All,
    AnyOf,
    Comparison,
    ConditionError,
    FactName,
    Formula,
    Known,
    Member,
    Not,
    Number,
    ParamName,
    Product,
    Sum,
    evaluate,
    parse,
    unsettled,
)
from kap.logic import Truth, at_least
from tests.core.test_condition import COLUMNS, NAMES, PARAMS, Seen

truths = st.sampled_from(list(Truth))
bools = st.sampled_from(["a", "b"]).map(FactName)
millimetres = st.one_of(
    st.sampled_from(["x", "y"]).map(FactName),
    st.just(ParamName("hard")),
    st.sampled_from(["x", "y"]).map(lambda n: Product(FactName(n), ParamName("factor"))),
)
lengths = st.recursive(
    millimetres, lambda t: st.builds(Sum, t, st.sampled_from(["+", "-"]), t), max_leaves=3
)
counts = st.one_of(
    st.just(FactName("n")),
    st.integers(0, 9).map(lambda n: Number(Decimal(n))),
)
orders = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])


def _compares_a_fact(node: Comparison) -> bool:
    try:
        compile_formula(node, NAMES)
    except ConditionError:
        return False
    return True


atoms = st.one_of(
    bools,
    st.builds(Comparison, lengths, orders, lengths).filter(_compares_a_fact),
    st.builds(Comparison, st.just(FactName("n")), orders, counts).filter(_compares_a_fact),
    st.just(Member(FactName("code"), ParamName("codes"))),
    st.just(Member(FactName("y"), ParamName("doses"))),
)


def _joined(inner: st.SearchStrategy[Formula]) -> st.SearchStrategy[Formula]:
    parts = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(All, parts), st.builds(AnyOf, parts), st.builds(Not, inner))


formulas = st.recursive(atoms, _joined, max_leaves=6)
exact: dict[str, st.SearchStrategy[Known]] = {
    "a": st.sampled_from([Truth.FALSE, Truth.TRUE]),
    "b": st.sampled_from([Truth.FALSE, Truth.TRUE]),
    "x": st.integers(0, 500).map(lambda steps: Fraction(steps, 2)),
    "y": st.integers(0, 250).map(Fraction),
    "n": st.integers(0, 9).map(Fraction),
    "code": st.sampled_from(["TRD", "OCD", "KAP"]),
}
patients = st.fixed_dictionaries(exact)
hidden = st.sets(st.sampled_from(sorted(exact)))

Evaluator = Callable[[Formula, dict[str, Known]], Truth]


def slow(node: Formula, values: dict[str, Known]) -> Truth:
    return evaluate(node, values, PARAMS)


def fast(node: Formula, values: dict[str, Known]) -> Truth:
    return Truth(compile_formula(node, NAMES)(Seen(values)))


def unknown_is_no(node: Formula, values: dict[str, Known]) -> Truth:
    """A broken evaluator, two-valued: what is not known is taken for false."""
    if isinstance(node, All):
        return min((unknown_is_no(p, values) for p in node.parts), key=lambda t: t.value)
    if isinstance(node, AnyOf):
        return max((unknown_is_no(p, values) for p in node.parts), key=lambda t: t.value)
    if isinstance(node, Not):
        return ~unknown_is_no(node.part, values)
    found = evaluate(node, values, PARAMS)
    return Truth.FALSE if found is Truth.UNKNOWN else found


def is_monotone(
    read: Evaluator, node: Formula, all_known: dict[str, Known], less: set[str]
) -> bool:
    """Return whether what `read` knew without the facts `less` is still so with them."""
    before = read(node, {name: value for name, value in all_known.items() if name not in less})
    return before is Truth.UNKNOWN or read(node, all_known) is before


@given(truths, truths, truths)
def test_kleenes_laws_hold(a: Truth, b: Truth, c: Truth) -> None:
    assert (a & b) is (b & a)
    assert (a | b) is (b | a)
    assert ((a & b) & c) is (a & (b & c))
    assert (a & (b | c)) is ((a & b) | (a & c))
    assert (a & (a | b)) is a
    assert ~(a & b) is (~a | ~b)
    assert ~~a is a


@given(st.lists(truths), st.integers(0, 6))
def test_counting_is_what_every_way_of_settling_agrees_on(found: list[Truth], n: int) -> None:
    sure, possible = found.count(Truth.TRUE), len(found) - found.count(Truth.FALSE)
    agreed = {count >= n for count in range(sure, possible + 1)}
    assert at_least(n, found) is Truth.of(agreed.pop() if len(agreed) == 1 else None)


@settings(max_examples=300)
@given(formulas)
def test_what_is_written_back_reads_as_the_same(node: Formula) -> None:
    assert parse(str(node)).tree == parse(str(parse(str(node)))).tree
    assert str(parse(str(node)).tree) == str(node)


@settings(max_examples=300)
@given(formulas, patients, hidden)
def test_the_two_readers_agree(node: Formula, known: dict[str, Known], less: set[str]) -> None:
    values = {name: value for name, value in known.items() if name not in less}
    assert slow(node, values) is fast(node, values)


@settings(max_examples=300)
@given(formulas, patients, hidden)
def test_learning_a_fact_never_changes_a_known_truth(
    node: Formula, known: dict[str, Known], less: set[str]
) -> None:
    assert is_monotone(slow, node, known, less)
    assert is_monotone(fast, node, known, less)


def test_a_reader_that_takes_unknown_for_no_is_caught() -> None:
    node = parse("not a").tree
    assert not is_monotone(unknown_is_no, node, {"a": Truth.TRUE}, {"a"})
    assert is_monotone(slow, node, {"a": Truth.TRUE}, {"a"})


@settings(max_examples=300)
@given(formulas, patients, hidden)
def test_settling_what_is_named_settles_the_condition(
    node: Formula, known: dict[str, Known], less: set[str]
) -> None:
    values = {name: value for name, value in known.items() if name not in less}
    asked = unsettled(node, values, PARAMS)
    assert set(asked) <= less
    assert bool(asked) is (slow(node, values) is Truth.UNKNOWN)
    learnt = values | {name: known[name] for name in asked}
    assert slow(node, learnt) is not Truth.UNKNOWN
    assert set(COLUMNS) >= set(known)
