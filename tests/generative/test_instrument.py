"""Every PHQ-9 there can be, against one line of arithmetic."""

from itertools import chain, combinations, islice, product

from hypothesis import given
from hypothesis import strategies as st

from kap import instrument
from kap.instrument import score

PHQ9 = instrument.load("phq9")
NUMBERS = range(1, 10)


def band_by_fives(total: int) -> str:
    return ["minimal", "mild", "moderate", "moderately_severe", "severe", "severe"][total // 5]


def test_a_complete_form_scores_as_the_sum_of_its_answers():
    # Every fifth of the 4^9 forms (5 and 4 share no factor, so each answer of each item comes up
    # beside each other), and one form for every total.
    bands = [band_by_fives(total) for total in range(28)]
    fifths = islice(product(range(4), repeat=9), 0, None, 5)
    ladder = [[min(3, max(0, total - 3 * place)) for place in range(9)] for total in range(28)]
    for form in chain(fifths, ladder):
        result = score(PHQ9, dict(enumerate(form, start=1)))
        assert (result.total, result.band.id) == (sum(form), bands[sum(form)])


answers = st.lists(st.none() | st.integers(0, 3), min_size=9, max_size=9)


@given(answers)
def test_a_total_is_prorated_half_up_or_not_given_at_all(form):
    result = score(PHQ9, dict(zip(NUMBERS, form, strict=True)))
    known = [a for a in form if a is not None]
    if form[8] is None or len(known) < 7:
        assert result.total is None
    else:
        assert abs(2 * result.total * len(known) - 2 * sum(known) * 9) <= len(known)
        assert result.prorated == (len(known) < 9)
    assert result.opens_safety == (form[8] is None or form[8] >= 1)


@given(answers, st.integers(0, 8))
def test_a_worse_answer_never_lowers_the_total(form, place):
    if form[place] in (None, 3):
        return
    worse = [*form[:place], form[place] + 1, *form[place + 1 :]]
    before = score(PHQ9, dict(zip(NUMBERS, form, strict=True))).total
    after = score(PHQ9, dict(zip(NUMBERS, worse, strict=True))).total
    assert (before is None) == (after is None)
    assert before is None or after >= before


def test_every_set_of_missing_items_is_scored_or_refused_as_the_rule_says():
    for size in range(10):
        for gone in combinations(NUMBERS, size):
            form = {n: 2 for n in NUMBERS if n not in gone}
            assert (score(PHQ9, form).total == 18) == (size <= 2 and 9 not in gone)
