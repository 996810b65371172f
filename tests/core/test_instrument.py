"""The PHQ-9 as data, and what a set of answers comes to."""

from importlib import resources

import pytest

from kap import instrument
from kap.instrument import InstrumentError, score

PHQ9 = instrument.load("phq9")
ALL_ONES = dict.fromkeys(range(1, 10), 1)


def without(*numbers: int) -> dict[int, int | None]:
    return {n: v for n, v in ALL_ONES.items() if n not in numbers}


def text() -> str:
    return resources.files("kap").joinpath("instruments/phq9.toml").read_text(encoding="utf-8")


def test_nine_answers_add_up_to_the_total_and_its_band():
    result = score(PHQ9, dict(zip(range(1, 10), [1, 1, 2, 0, 1, 1, 0, 0, 0], strict=True)))
    assert (result.total, result.band.id, result.prorated) == (6, "mild", False)
    assert (result.missing, result.safety_items, result.opens_safety) == ((), (), False)


@pytest.mark.parametrize(
    ("total", "band"),
    [
        (0, "minimal"),
        (4, "minimal"),
        (5, "mild"),
        (9, "mild"),
        (10, "moderate"),
        (14, "moderate"),
        (15, "moderately_severe"),
        (19, "moderately_severe"),
        (20, "severe"),
        (27, "severe"),
    ],
)
def test_each_band_starts_and_ends_where_the_form_says(total, band):
    assert PHQ9.band(total).id == band


@pytest.mark.parametrize("total", [-1, 28])
def test_a_total_the_form_cannot_give_has_no_band(total):
    with pytest.raises(InstrumentError, match="0 to 27"):
        PHQ9.band(total)


def test_two_missing_answers_are_prorated_and_flagged():
    result = score(PHQ9, without(1, 2))
    assert (result.total, result.prorated, result.missing) == (9, True, (1, 2))


def test_a_prorated_half_goes_up_and_not_to_the_even_number():
    # 4 points in 8 answers: 4 x 9 / 8 = 4.5, which half-even rounding would make 4.
    answers = {1: None, 2: 1, 3: 1, 4: 1, 5: 1, 6: 0, 7: 0, 8: 0, 9: 0}
    assert score(PHQ9, answers).total == 5


def test_three_missing_answers_give_no_total():
    result = score(PHQ9, without(1, 2, 3))
    assert (result.total, result.band, result.prorated) == (None, None, False)
    assert result.why_no_total == "too_many_missing"


def test_a_missing_item_nine_gives_no_total_and_opens_the_safety_path():
    result = score(PHQ9, without(9))
    assert (result.total, result.why_no_total) == (None, "item_missing")
    assert (result.safety_items, result.opens_safety) == ((9,), True)


@pytest.mark.parametrize("answer", [1, 2, 3])
def test_any_answer_to_item_nine_but_never_opens_the_safety_path(answer):
    assert score(PHQ9, {**ALL_ONES, 9: answer}).safety_items == (9,)


def test_item_nine_is_the_one_that_may_open_the_safety_path():
    assert [item.number for item in PHQ9.safety_items] == [9]


def test_item_nine_answered_never_does_not_open_the_safety_path():
    assert score(PHQ9, {**ALL_ONES, 9: 0}).safety_items == ()


def test_no_answer_at_all_is_not_a_score_of_zero():
    assert score(PHQ9, {}).total is None


def test_the_difficulty_item_never_counts():
    assert score(PHQ9, {**ALL_ONES, 10: 3}).total == score(PHQ9, ALL_ONES).total == 9
    assert PHQ9.item(10).choices[3].text["en"] == "Extremely difficult"


@pytest.mark.parametrize("value", [4, -1, True, "1"])
def test_an_answer_the_form_does_not_offer_is_refused_by_name(value):
    with pytest.raises(InstrumentError, match=r"item 3 of phq9: .* use one of 0, 1, 2, 3"):
        score(PHQ9, {**ALL_ONES, 3: value})


def test_an_item_the_form_does_not_have_is_refused():
    with pytest.raises(InstrumentError, match="no item 11; its items are 1 to 10"):
        score(PHQ9, {11: 0})


def test_the_codes_are_those_that_were_read_in_loinc():
    codes = "44250-9 44255-8 44259-0 44254-1 44251-7 44258-2 44252-5 44253-3 44260-8"
    assert " ".join(item.loinc for item in PHQ9.scored_items) == codes
    answers = "LA6568-5 LA6569-3 LA6570-1 LA6571-9"
    assert " ".join(c.loinc for c in PHQ9.items[0].choices) == answers
    assert (PHQ9.panel_loinc, PHQ9.total_loinc) == ("44249-1", "44261-6")


def test_every_item_and_answer_has_words_in_both_languages():
    for item in PHQ9.items:
        assert all(item.text[lang] for lang in ("en", "fr"))
        assert all(choice.text[lang] for choice in item.choices for lang in ("en", "fr"))


def test_french_wording_is_honestly_marked_as_unverified():
    assert not PHQ9.wordings["fr"].verified
    assert "NOT verified" in PHQ9.wordings["fr"].provenance
    assert not PHQ9.licence_checked


def test_an_instrument_that_is_not_shipped_is_named():
    with pytest.raises(InstrumentError, match="no instrument 'madrs'; shipped: phq9"):
        instrument.load("madrs")


def test_bands_with_a_hole_are_refused():
    with pytest.raises(InstrumentError, match="without a hole"):
        instrument.read(text().replace("low = 5\n", "low = 6\n"))


def test_bands_that_stop_short_of_the_highest_total_are_refused():
    with pytest.raises(InstrumentError, match="0 to 27"):
        instrument.read(text().replace("high = 27\n", "high = 26\n"))


def test_two_items_with_one_link_are_refused():
    with pytest.raises(InstrumentError, match="share a link_id"):
        instrument.read(text().replace('"phq9-2"', '"phq9-1"'))
