"""The language of `when`: what it reads, what it refuses, and that two readers agree."""

from __future__ import annotations

import itertools
import operator
from decimal import Decimal
from fractions import Fraction

import pytest

from kap.compiled import Column, Names, ParameterValue, compile_formula
from kap.condition import ConditionError, Known, evaluate, parse, unsettled
from kap.logic import Truth
from kap.value import Value

F, U, T = Truth.FALSE, Truth.UNKNOWN, Truth.TRUE
PARAMS = {
    "hard": Decimal(160),
    "factor": Decimal("1.2"),
    "minus": Decimal("-1"),
    "nought": Decimal(0),
    "codes": ("TRD", "OCD"),
    "doses": (Decimal(28), Decimal(56)),
    "odd": Decimal("0.5"),
    "one": Decimal(1),
}
UNITS = {
    "hard": "mm",
    "factor": "1",
    "minus": "1",
    "nought": "1",
    "codes": "1",
    "doses": "mm",
    "odd": "mm",
    "one": "mm",
}
COLUMNS = {
    "a": Column(0, "bool"),
    "b": Column(1, "bool"),
    "x": Column(2, "number", "mm", Fraction(1, 2)),
    "y": Column(3, "number", "mm", Fraction(1)),
    "n": Column(4, "number", "1"),
    "code": Column(5, "code"),
    "day": Column(6, "other"),
}
NAMES = Names(COLUMNS, {name: ParameterValue(PARAMS[name], UNITS[name]) for name in PARAMS})


class Seen:
    """Slots filled from plain values, for the fast reader."""

    def __init__(self, values: dict[str, Known]) -> None:
        self.slots = {COLUMNS[name].slot: self._value(name, v) for name, v in values.items()}
        self.values = [self.slots.get(slot) for slot in range(len(COLUMNS))]

    @staticmethod
    def _value(name: str, value: Known) -> Value:
        if isinstance(value, Truth):
            return Value(truth=value.value)
        if isinstance(value, str):
            return Value(code=value)
        assert value is not None
        low, high = value if isinstance(value, tuple) else (value, value)
        step = COLUMNS[name].step
        return Value(low=int(Fraction(low) / step), high=int(Fraction(high) / step))

    def value(self, slot: int) -> Value:
        return self.slots.get(slot, Value())


def both(text: str, **values: Known) -> Truth:
    """Return the truth of `text` after checking that the slow and the fast reader agree."""
    tree = parse(text).tree
    slow = evaluate(tree, values, PARAMS)
    assert Truth(compile_formula(tree, NAMES)(Seen(values))) is slow
    return slow


def ends(low: int, high: int) -> tuple[Fraction, Fraction]:
    return Fraction(low), Fraction(high)


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("a and b", {"a": F}, F),
        ("a and b", {"a": T}, U),
        ("a and b", {"a": T, "b": T}, T),
        ("a or b", {"a": T}, T),
        ("a or b", {"a": F}, U),
        ("a or b", {"a": F, "b": F}, F),
        ("not a", {}, U),
        ("not (a and b)", {"a": F}, T),
        ("x < param.hard", {"x": Decimal("159.5")}, T),
        ("x < param.hard", {"x": 160}, F),
        ("x <= param.hard", {"x": 160}, T),
        ("x > param.hard", {"x": 160}, F),
        ("x >= param.hard", {"x": 160}, T),
        ("x >= param.hard", {}, U),
        ("x == param.hard", {"x": 160}, T),
        ("x != param.hard", {"x": 160}, F),
        ("x == param.hard", {"x": 161}, F),
        ("x == param.hard", {"x": ends(150, 170)}, U),
        ("x != param.hard", {"x": ends(170, 180)}, T),
        ("x == param.hard", {}, U),
        ("x < param.hard", {"x": ends(150, 159)}, T),
        ("x < param.hard", {"x": ends(150, 170)}, U),
        ("x < param.hard", {"x": ends(160, 170)}, F),
        ("x > param.hard", {"x": ends(150, 170)}, U),
        ("x <= y * param.factor", {"x": 120, "y": 100}, T),
        ("x <= y * param.factor", {"x": Decimal("120.5"), "y": 100}, F),
        ("x <= y * param.factor", {"x": 120}, U),
        ("x <= y * param.factor", {"x": 120, "y": ends(99, 101)}, U),
        ("x <= y * param.factor", {"x": 120, "y": ends(100, 101)}, T),
        ("x <= y * param.factor", {"x": 120, "y": ends(98, 99)}, F),
        ("x - y >= param.hard", {"x": 260, "y": 100}, T),
        ("x - y >= param.hard", {"x": 260, "y": ends(100, 101)}, U),
        ("x + y == param.hard", {"x": 60, "y": 100}, T),
        ("n * param.minus < 5", {"n": -4}, T),
        ("n * param.minus < 5", {"n": -5}, F),
        ("5 < n", {"n": 6}, T),
        ("5 - (n + 1) == 0", {"n": 4}, T),
        ("x == param.odd", {"x": Decimal("0.5")}, T),
        ("x == param.odd", {"x": ends(0, 1)}, U),
        ("code in param.codes", {"code": "OCD"}, T),
        ("code in param.codes", {"code": "KAP"}, F),
        ("code in param.codes", {}, U),
        ("y in param.doses", {"y": 56}, T),
        ("y in param.doses", {"y": 57}, F),
        ("y in param.doses", {"y": ends(29, 55)}, F),
        ("y in param.doses", {"y": ends(28, 55)}, U),
        ("y in param.doses", {"y": ends(27, 30)}, U),
        ("y in param.doses", {"y": ends(27, 28)}, U),
        ("y in param.doses", {"y": ends(56, 60)}, U),
        ("y in param.doses", {}, U),
    ],
)
def test_slow_and_fast_reader_agree(text: str, values: dict[str, Known], expected: Truth) -> None:
    assert both(text, **values) is expected


LIMITS = {"x": "param.odd", "y": "param.hard", "n": "5"}
EDGES = {"x": 1, "y": 160, "n": 5}  # the same in steps
OPERATORS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def every(truths: set[bool]) -> Truth:
    """Return what is so of all the numbers that a number may be."""
    return Truth.of(truths.pop()) if len(truths) == 1 else U


@pytest.mark.parametrize("sign", OPERATORS)
@pytest.mark.parametrize("name", LIMITS)
def test_a_comparison_is_known_when_all_that_a_number_may_be_agree(name: str, sign: str) -> None:
    compared, edge, step = OPERATORS[sign], EDGES[name], COLUMNS[name].step
    for low in range(edge - 3, edge + 4):
        for high in range(low, edge + 4):
            seen = low * step, high * step
            expected = every({compared(number, edge) for number in range(low, high + 1)})
            assert both(f"{name} {sign} {LIMITS[name]}", **{name: seen}) is expected


@pytest.mark.parametrize("sign", OPERATORS)
def test_sums_and_negative_factors_are_compared_by_their_ends(sign: str) -> None:
    compared = OPERATORS[sign]
    for low, high, other in itertools.product(range(-3, 4), range(-3, 4), range(-2, 3)):
        if low <= high:
            numbers = range(low, high + 1)
            turned = every({compared(-number, 1) for number in numbers})
            assert both(f"n * param.minus {sign} 1", n=ends(low, high)) is turned
            seen: dict[str, Known] = {"y": ends(low, high), "x": other}
            added = every({compared(number + other, 1) for number in numbers})
            assert both(f"y + x {sign} param.one", **seen) is added
            assert both(f"x + y {sign} param.one", **seen) is added
            halves = [Fraction(number, 2) for number in range(2 * low, 2 * high + 1)]
            of_halves = every({compared(half + other, 1) for half in halves})
            ranged: dict[str, Known] = {"x": ends(low, high), "y": other}
            assert both(f"x + y {sign} param.one", **ranged) is of_halves
            taken = every({compared(other - number, 1) for number in numbers})
            assert both(f"x - y {sign} param.one", **seen) is taken


@pytest.mark.parametrize("sign", ["<", "<=", ">", ">="])
def test_a_limit_between_two_steps_is_above_the_one_and_below_the_other(sign: str) -> None:
    for number in range(-2, 4):
        expected = Truth.of(OPERATORS[sign](number, Fraction(1, 2)))
        assert both(f"y {sign} param.odd", y=number) is expected


def test_a_number_stands_in_no_list_of_codes() -> None:
    assert evaluate(parse("n in param.codes").tree, {"n": 5}, PARAMS) is F


def test_an_expression_is_shown_without_what_follows_from_it() -> None:
    assert "facts=" not in repr(parse("a"))


def test_a_text_may_be_as_long_and_as_deep_as_is_said() -> None:
    assert parse("a" * 2000).facts == ("a" * 2000,)
    assert parse("(" * 60 + "a" + ")" * 60).facts == ("a",)
    with pytest.raises(ConditionError, match=f"^'{'b' * 40}', column 1: longer than 2000"):
        parse("b" * 2001)
    with pytest.raises(ConditionError, match=r"^'not not .{32}', column 1: nested more than 60"):
        parse("not " * 61 + "a")


def test_an_expression_lists_its_facts_and_parameters_once() -> None:
    read = parse("a and x < param.hard and (x * param.factor > y or a) and code in param.codes")
    assert read.facts == ("a", "x", "y", "code")
    assert read.params == ("hard", "factor", "codes")


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "not a and (b or x < 5)",
        "not (a or b)",
        "x - (y + 1) <= param.hard",
        "(a and b) and a",
        "code in param.codes",
        "x * param.factor > 0.75",
    ],
)
def test_what_is_written_back_reads_as_the_same(text: str) -> None:
    assert str(parse(text)) == text
    assert parse(str(parse(text))).tree == parse(text).tree


def test_lines_and_spaces_do_not_matter() -> None:
    assert str(parse("  a\n  and b ")) == "a and b"


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", 1),
        ("a and", 6),
        ("A", 1),
        ("a and é", 7),
        ("a < b < c", 1),
        ("f(a)", 1),
        ("a if b else a", 1),
        ("x < 1e3", 5),
        ("x < 0x1", 5),
        ("x < 1_000", 5),
        ("x < 5j", 5),
        ("x < -1", 5),
        ("x * y > 1", 5),
        ("param.hard * x > 1", 1),
        ("x in y", 6),
        ("a and and b", 7),
        ("x not in param.codes", 1),
        ("x is a", 1),
        ("(a and b) < 1", 2),
        ("5", 1),
        ("param", 1),
        ("param < 1", 1),
        ("x < other.thing", 5),
        ("x < param.hard.more", 5),
        ("x < param._a", 5),
        ("_a", 1),
        ("(a)(b)", 1),
        ("5 in param.codes", 1),
        ("a\x00", 2),
        ("x / y > 1", 3),
        ("a" * 2001, 1),
        ("(" * 61 + "a" + ")" * 61, 1),
        ("not " * 61 + "a", 1),
        ("x" + " + x" * 61 + " < 5", 1),
    ],
)
def test_everything_else_is_refused_with_its_column(text: str, column: int) -> None:
    with pytest.raises(ConditionError, match=f"column {column}: "):
        parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("z", "no fact is called 'z'"),
        ("x", "x is a number, not a bool"),
        ("a < 5", "a is a bool, not a number"),
        ("day < 5", "day is a other"),
        ("x < 5", "do not mix"),
        ("x + n < y", "do not mix"),
        ("x < param.gone", "no parameter is called param.gone"),
        ("x in param.hard", "needs a parameter that holds a list"),
        ("x < param.doses", "is a list"),
        ("n in param.doses", "looked up in 'mm'"),
        ("n in param.codes", "list that holds texts"),
        ("code in param.doses", "list that holds numbers"),
        ("x * param.hard > y", "a factor has the unit '1'"),
        ("5 < 6", "compares no fact"),
        ("param.hard < param.odd", "compares no fact"),
        ("x - x < y", "names x twice"),
        ("x < y - x", "names x twice"),
        ("n * param.nought < 5", "is not 0"),
        ("y == param.odd", "y == param.odd: lies between two steps"),
        ("param.odd != y", "between two steps"),
        ("y * param.factor == param.hard", "between two steps"),
    ],
)
def test_what_means_nothing_is_refused_at_load(text: str, said: str) -> None:
    with pytest.raises(ConditionError, match=said):
        compile_formula(parse(text).tree, NAMES)


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("a and b", {"a": T}, ("b",)),
        ("a and b", {"a": F}, ()),
        ("(a and b) or x < param.hard", {"a": F}, ("x",)),
        ("not b", {}, ("b",)),
        ("a", {"a": U}, ("a",)),
        ("x < y", {"x": U, "y": 5}, ("x",)),
        ("x < y", {"y": 5}, ("x",)),
        ("x < y", {"y": ends(4, 6), "x": 5}, ("y",)),
        ("b or b", {}, ("b",)),
    ],
)
def test_only_what_would_settle_it_is_asked(
    text: str, values: dict[str, Known], expected: tuple[str, ...]
) -> None:
    assert unsettled(parse(text).tree, values, PARAMS) == expected


def test_the_slow_reader_refuses_to_compare_a_list() -> None:
    with pytest.raises(ConditionError, match="lists are for `in`"):
        evaluate(parse("x < param.codes").tree, {"x": 5}, PARAMS)
