"""A dose: the arithmetic, the rounding, the ceilings, the dosing weight, what was delivered."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from kap import ceilings as ceilings_module
from kap import dose
from kap.ceilings import CeilingError, ceiling_check_sql, ceilings, read_ceilings
from kap.dose import (
    DoseError,
    Segment,
    check_ceilings,
    delivered_ug,
    dosing_weight,
    plan_infusion,
)
from kap.facts import vocabulary
from kap.known import Source

USUAL = {
    "mg_per_kg": "0.5",
    "weight_kg": "68.0",
    "minutes": 40,
    "vial_mg_per_ml": 10,
    "final_ml": 50,
}
MORNING = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)


def plan(**other):
    return plan_infusion(**{**USUAL, **other})


def test_half_a_milligram_per_kilogram_over_forty_minutes():
    usual = plan()
    assert (usual.asked_ug, usual.dose_ug) == (34_000, 34_000)
    assert (usual.draw_ml, usual.diluent_ml) == (Decimal("3.40"), Decimal("46.60"))
    assert usual.rate_ml_h == Decimal("75.0")
    assert usual.mg_per_kg_given == Decimal("0.5")
    assert usual.mg_per_kg_min_given == Decimal("0.0125")


def test_the_draw_rounds_down_to_the_syringe_and_the_dose_with_it():
    rounded = plan(weight_kg="68.19")
    assert rounded.asked_ug == 34_095
    assert rounded.draw_ml == Decimal("3.40")
    assert rounded.dose_ug == 34_000


def test_the_rate_rounds_down_to_the_pump_so_that_it_is_never_faster():
    assert plan(minutes=41).rate_ml_h == Decimal("73.1")  # 73.17


def test_what_is_given_rounds_up_so_that_a_guard_never_sees_too_little():
    rounded = plan(weight_kg="68.19")  # 34 mg over 68.19 kg is 0.49860...
    assert rounded.mg_per_kg_given == Decimal("0.4987")
    assert rounded.mg_per_kg_min_given == Decimal("0.0125")


def test_the_ceiling_itself_is_allowed_and_a_hair_above_is_not():
    assert plan(mg_per_kg="1.0").mg_per_kg_min_given == Decimal("0.025")
    with pytest.raises(DoseError, match=r"1\.0001 mg/kg: the ceiling is 1\.0 mg/kg"):
        plan(mg_per_kg="1.0001")


def test_the_order_row_holds_whole_numbers():
    usual = plan(weight_kg="68.05")
    assert usual.weight_g == 68_050
    assert usual.vial_ug_per_ml == 10_000
    assert usual.draw_ul == 3_400
    assert usual.final_ul == 50_000
    assert usual.rate_ul_h == 75_000
    assert usual.dose_mg == 34


def test_the_arithmetic_can_be_read_aloud():
    rows = {line.name: line.text for line in plan().lines()}
    assert rows["asked"] == "0.5 mg/kg × 68 kg = 34 mg"
    assert rows["draw"] == "34 mg ÷ 10 mg/mL → 3.4 mL"
    assert rows["diluent"] == "50 mL − 3.4 mL = 46.6 mL"
    assert rows["rate"] == "50 mL × 60 ÷ 40 min → 75 mL/h"
    assert rows["given"] == "34 mg ÷ 68 kg → 0.5 mg/kg"


def test_the_rules_read_the_rounded_dose():
    told = {fact.name: fact for fact in plan(weight_kg="68.19").facts(MORNING)}
    assert told["mg_per_kg"].value == Decimal("0.4987")
    assert told["dose_mg"].value == 34
    assert told["bolus"].value is False
    assert {fact.source for fact in told.values()} == {Source.RECORD}
    for name, fact in told.items():
        if fact.unit:
            vocabulary()[name].accept(fact.value, fact.unit)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"mg_per_kg": 0.5}, "binary float"),
        ({"weight_kg": 68.0}, "binary float"),
        ({"mg_per_kg": 0}, "above 0"),
        ({"mg_per_kg": "-0.5"}, "above 0"),
        ({"final_ml": "2000000"}, "at most"),
        ({"mg_per_kg": "0.50000000001"}, "9 decimals"),
        ({"mg_per_kg": "abc"}, "no number"),
        ({"minutes": "40.5"}, "whole number of 1"),
        ({"weight_kg": "68.0005"}, r"whole number of 0\.001"),
        ({"final_ml": "50.0005"}, r"whole number of 0\.001"),
        ({"vial_mg_per_ml": "10.05"}, "one mark of the syringe"),
        ({"final_ml": 3}, "the draw alone is 3.4 mL"),
        ({"mg_per_kg": "0.001", "vial_mg_per_ml": 50}, "less than one mark"),
        ({"final_ml": 4, "minutes": 50_000}, "slower than one step of the pump"),
        ({"weight_kg": "34.999"}, "between 35 and 200"),
        ({"weight_kg": "200.001"}, "between 35 and 200"),
        ({"minutes": 39}, "the least is 40 min"),
        ({"route": "IM"}, "no protocol orders this route"),
    ],
)
def test_a_dose_that_does_not_exist_says_why(wrong, why):
    with pytest.raises(DoseError, match=why):
        plan(**wrong)


def test_the_least_and_the_greatest_weight_are_weights():
    assert plan(weight_kg=35).weight_kg == 35
    assert plan(weight_kg=200).weight_kg == 200


def test_a_draw_that_fills_the_syringe_needs_no_diluent():
    full = plan(final_ml="3.4")
    assert (full.draw_ml, full.diluent_ml) == (Decimal("3.40"), 0)


def test_an_error_carries_value_limit_rule_and_way_out():
    with pytest.raises(DoseError) as refused:
        plan(mg_per_kg="1.2")
    error = refused.value
    assert (error.value, error.rule, error.way_out) == ("1.2 mg/kg", "DOSE-MAX", "lower it")
    assert "1.0 mg/kg" in error.limit


def test_a_rate_above_the_ceiling_is_refused_even_where_time_and_dose_pass():
    usual = plan()
    fast = replace(usual, mg_per_kg_min_given=Decimal("0.0251"))
    with pytest.raises(DoseError, match="mg/kg/min"):
        check_ceilings(fast, ceilings())


def test_a_route_without_a_least_time_asks_for_none():
    held = ceilings()
    free = replace(held, routes={"IV": replace(held.route("IV"), minutes_min=None)})
    check_ceilings(replace(plan(), minutes=1), free)
    with pytest.raises(DoseError, match="the least is 40 min"):
        check_ceilings(replace(plan(), minutes=1), held)


def test_two_computations_that_differ_give_no_dose(monkeypatch):
    honest = dose.recompute
    monkeypatch.setattr(
        dose, "recompute", lambda asked: replace(honest(asked), dose_ug=honest(asked).dose_ug + 1)
    )
    with pytest.raises(DoseError, match="two computations"):
        plan()


# --- the ceilings -------------------------------------------------------------------------------


def test_another_file_than_the_pinned_one_is_refused():
    with pytest.raises(CeilingError, match="restore it"):
        read_ceilings(b"[weight]\n", pinned=ceilings_module.PINNED)


def test_an_unknown_route_names_those_that_exist():
    with pytest.raises(CeilingError, match="use one of IV"):
        ceilings().route("rectal")


def test_only_intravenous_has_an_orderable_protocol():
    assert [row.code for row in ceilings().routes.values() if row.is_orderable] == ["IV"]
    assert ceilings().route("IM").mg_max == 150
    assert ceilings().route("IN").mg_max is None


def test_the_check_of_the_database_is_made_of_the_same_numbers():
    sql = ceiling_check_sql(ceilings())
    assert sql == (
        "(route = 'IV' AND weight_g BETWEEN 35000 AND 200000"
        " AND mg_per_kg <= 1.0 AND dose_ug <= 1.0 * weight_g"
        " AND dose_ug <= 0.025 * weight_g * minutes AND minutes >= 40)"
    )


def test_a_stricter_ceiling_makes_a_stricter_check():
    held = ceilings()
    strict = replace(held.route("IV"), mg_per_kg_max=Decimal("0.9"), mg_max=Decimal(100))
    sql = ceiling_check_sql(replace(held, routes={"IV": strict}))
    assert "dose_ug <= 0.9 * weight_g" in sql
    assert "dose_ug <= 100 * 1000" in sql


# --- the dosing weight --------------------------------------------------------------------------


def test_below_a_body_mass_index_of_thirty_the_actual_weight_counts():
    found = dosing_weight("68.0", 170, None)
    assert (found.kg, found.basis, found.ideal_kg) == (Decimal("68.0"), "actual", None)
    assert found.bmi == Decimal("23.5")


def test_from_thirty_on_the_weight_is_adjusted_and_both_are_shown():
    found = dosing_weight(120, 170, True)
    assert found.ideal_kg == Decimal("66.016")  # 50 + 0.91 x 17.6
    assert found.kg == Decimal("87.609")  # 66.016 + 0.4 x 53.984, rounded down to a gram
    assert (found.basis, found.actual_kg) == ("adjusted", 120)
    assert dosing_weight(120, 170, False).kg == Decimal("84.909")


def test_an_index_of_exactly_thirty_is_adjusted():
    assert dosing_weight("76.8", 160, True).basis == "adjusted"
    assert dosing_weight("76.799", 160, True).basis == "actual"


@pytest.mark.parametrize(
    ("weight", "height", "male", "why"),
    [
        (80, "152.3", True, "the prescriber picks"),
        (120, 170, None, "sex not known"),
        (34, 160, True, "between 35 and 200 kg"),
        (201, 190, True, "between 35 and 200 kg"),
        (35, 175, True, "between 12 and 70 kg/m2"),
        (190, 160, True, "between 12 and 70 kg/m2"),
        (68.0, 170, True, "binary float"),
        (68, 0, True, "above 0"),
    ],
)
def test_a_weight_that_cannot_be_used_says_why(weight, height, male, why):
    with pytest.raises(DoseError, match=why):
        dosing_weight(weight, height, male)


# --- what was delivered ------------------------------------------------------------------------


def test_the_whole_time_at_the_planned_rate_gives_the_whole_dose():
    forty = Segment(ms=40 * 60_000, rate_ul_h=75_000)
    assert delivered_ug(dose_ug=34_000, final_ul=50_000, segments=[forty]) == 34_000


def test_half_the_time_gives_half_and_a_pause_gives_nothing():
    parts = [Segment(10 * 60_000, 75_000), Segment(5 * 60_000, 0), Segment(10 * 60_000, 75_000)]
    assert delivered_ug(dose_ug=34_000, final_ul=50_000, segments=parts) == 17_000


def test_an_empty_syringe_gives_no_more():
    day = Segment(24 * 3_600_000, 75_000)
    assert delivered_ug(dose_ug=34_000, final_ul=50_000, segments=[day]) == 34_000


def test_an_hour_has_3600000_milliseconds_and_not_one_less():
    half = [Segment(ms=1_800_000, rate_ul_h=50_000)]
    assert delivered_ug(dose_ug=200_000_000, final_ul=50_000, segments=half) == 100_000_000
