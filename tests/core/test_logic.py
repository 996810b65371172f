"""Unknown is an answer: Kleene's three values."""

from __future__ import annotations

import itertools

import pytest

from kap.logic import Truth, at_least

F, U, T = Truth.FALSE, Truth.UNKNOWN, Truth.TRUE


def test_and_is_the_lesser_and_or_the_greater_of_two() -> None:
    for a, b in itertools.product(Truth, repeat=2):
        assert (a & b).value == min(a.value, b.value)
        assert (a | b).value == max(a.value, b.value)


def test_not_swaps_the_ends_and_leaves_unknown() -> None:
    assert [~F, ~U, ~T] == [T, U, F]


@pytest.mark.parametrize("truth", list(Truth))
def test_a_truth_is_never_taken_for_yes_or_no(truth: Truth) -> None:
    with pytest.raises(TypeError, match="unknown"):
        bool(truth)


def test_none_is_unknown() -> None:
    assert [Truth.of(None), Truth.of(True), Truth.of(False)] == [U, T, F]


@pytest.mark.parametrize(
    ("n", "truths", "expected"),
    [(1, [F, U], U), (1, [T, U], T), (2, [T, U], U), (2, [T, F], F), (2, [U, U], U), (0, [], T)],
)
def test_counting_is_known_once_the_unknown_cannot_change_it(
    n: int, truths: list[Truth], expected: Truth
) -> None:
    assert at_least(n, truths) is expected
