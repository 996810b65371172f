"""The vocabulary refuses what cannot be, and counts in whole steps."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from kap.facts import FactError, read_vocabulary, steps_up, vocabulary
from tests.core.small_protocol import FACTS

ASK = 'ask = { en = "a", fr = "b" }\n'


def test_the_shipped_vocabulary_asks_every_question_in_both_languages() -> None:
    assert vocabulary()
    assert all(kind.ask["en"] and kind.ask["fr"] for kind in vocabulary().values())


def test_a_possible_value_on_a_step_is_accepted() -> None:
    assert FACTS["weight"].accept(Decimal("70.1"), "kg") == Decimal("70.1")
    assert FACTS["weight"].steps(Decimal("70.1")) == 701


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        ("70", None, "has no unit"),
        ("154", "[lb_av]", "is in '\\[lb_av\\]'"),
        ("1200", "kg", "impossible"),
        ("34.9", "kg", "impossible"),
        ("NaN", "kg", "no number"),
        ("70.05", "kg", "finer than its step"),
    ],
)
def test_an_impossible_weight_is_refused_with_the_way_out(
    value: str, unit: str | None, said: str
) -> None:
    with pytest.raises(FactError, match=f"weight: .*{said}"):
        FACTS["weight"].accept(Decimal(value), unit)


def test_what_is_no_number_has_no_steps() -> None:
    with pytest.raises(FactError, match="no number"):
        FACTS["aneurysm"].steps(Decimal(1))
    with pytest.raises(FactError, match="impossible"):
        FACTS["aneurysm"].accept(Decimal(1), "")


def test_ratios_are_rounded_up_to_a_step() -> None:
    assert steps_up(Fraction(1, 40), Fraction(1, 40)) == 1
    assert steps_up(Fraction(10001, 400000), Fraction(1, 10000)) == 251
    assert steps_up(Fraction(-1, 3), Fraction(1)) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[fact.x]\ntype = "bool"\n', "ask needs en and fr"),
        ('[fact.x]\ntype = "maybe"\n' + ASK, "type 'maybe'"),
        ('[fact.x]\ntype = "bool"\nunit = "kg"\n' + ASK, "a number needs"),
        ('[fact.x]\ntype = "number"\nunit = "kg"\nstep = 1\n' + ASK, "a number needs"),
        ('[fact.x]\ntype = "number"\nunit = "1"\nstep = 0\nlow = 0\nhigh = 1\n' + ASK, "step > 0"),
        (
            '[fact.x]\ntype = "number"\nunit = "1"\nstep = 1\nlow = 1\nhigh = 1\n' + ASK,
            "low < high",
        ),
        ('[fact.x]\ntype = "bool"\ncolour = 1\n' + ASK, "unknown key colour"),
        ('[fact.X]\ntype = "bool"\n' + ASK, "lower case"),
        ('[fact.x]\ntype = "list"\n' + ASK, "lists are exactly"),
        ('[fact.x]\ntype = "bool"\ndirection = "left"\n' + ASK, "direction 'left'"),
        ('[fact.x]\ntype = "bool"\nanswered_by = ["cat"]\n' + ASK, "answered_by cat"),
    ],
)
def test_an_unsound_entry_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(FactError, match=said):
        read_vocabulary(text)
