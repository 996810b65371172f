"""Amounts with units: what adds up, what multiplies, and what is refused."""

from decimal import Decimal

import pytest

from kap import quantity
from kap.quantity import (
    Quantity,
    UnitError,
    exact,
    kg,
    mg,
    mg_per_kg,
    mg_per_ml,
    minutes,
    ml,
    ml_per_h,
    mmhg,
    ng_per_ml,
    parse,
    read_number,
)


def test_a_dose_is_mg_per_kg_times_kg():
    assert mg_per_kg("0.5") * kg("68.0") == mg(34)
    assert mg_per_ml(10) * ml("3.4") == mg(34)
    assert str(mg_per_kg("0.5") * kg("68.0")) == "34 mg"


def test_amounts_of_one_unit_add_compare_and_scale():
    assert mg(30) + mg(4) == mg(34)
    assert mg(34) - mg(4) == mg(30)
    assert mg(2) * 3 == mg(6)
    assert mg(30) < mg(34)
    assert mg(34) <= mg(34)
    assert mg(35) > mg(34)
    assert mg(34) >= mg(34)


@pytest.mark.parametrize(
    "mix",
    [
        lambda: mg(34) + kg(68),
        lambda: mg(34) - ml(1),
        lambda: mg(34) < kg(68),
        lambda: mg(34) >= mmhg(120),
        lambda: mg(34) + 4,
        lambda: mg(34) * mg(2),
        lambda: ml_per_h(75) * minutes(40),
    ],
)
def test_mixed_units_are_refused(mix):
    with pytest.raises(UnitError):
        mix()


def test_an_error_shows_both_amounts_and_the_way_out():
    with pytest.raises(UnitError, match="34 mg and 68 kg: convert one of them first"):
        mg(34) + kg(68)


@pytest.mark.parametrize(
    "number", [0.5, True, None, "half", "", Decimal("NaN"), "Infinity", "1_0", " 5", "٥", "1e3"]
)
def test_only_exact_numbers_make_an_amount(number):
    with pytest.raises(UnitError):
        mg(number)


def test_a_binary_float_is_told_how_to_be_written():
    with pytest.raises(UnitError, match=r"write Decimal\('0\.5'\)"):
        exact(0.5, "mg")


def test_an_unknown_unit_names_those_that_are_known():
    with pytest.raises(UnitError, match="use one of mg, ug"):
        Quantity(Decimal(1), "grain")


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (mg("34.50"), "34.5 mg"),
        (mg("0.5"), "0.5 mg"),
        (mg(100), "100 mg"),
        (Quantity(Decimal(34000), "ug"), "34\u2009000 mcg"),
        (Quantity(Decimal("34000.50"), "ug"), "34\u2009000.5 mcg"),
        (mmhg(142), "142 mmHg"),
        (ng_per_ml("75.0"), "75 ng/mL"),
        (Quantity(Decimal(9), "1"), "9"),
    ],
)
def test_an_amount_is_shown_as_the_nurse_reads_it(amount, shown):
    assert str(amount) == shown


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("35 mg", mg(35)),
        ("6,8 mL", ml("6.8")),
        ("0,125mL", ml("0.125")),
        (" 142 mmHg ", mmhg(142)),
        ("142 mm[Hg]", mmhg(142)),
        ("34000 mcg", Quantity(Decimal(34000), "ug")),
    ],
)
def test_a_text_is_read_with_point_or_comma(text, amount):
    assert parse(text) == amount


@pytest.mark.parametrize("text", ["35", "mg", "35 grain", "1,234 mg", "1.2.3 mg", "--3 mg"])
def test_a_text_without_a_sure_meaning_is_refused(text):
    with pytest.raises(UnitError):
        parse(text)


def test_an_ambiguous_comma_shows_both_readings():
    with pytest.raises(UnitError, match=r"may be 1234 or 1\.234"):
        read_number("1,234")


def test_every_unit_is_read_back_as_it_is_shown():
    for code, shown in quantity.UNITS.items():
        if shown:
            assert parse(f"2 {shown}") == Quantity(Decimal(2), code)
