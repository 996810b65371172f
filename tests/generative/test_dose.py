"""Every dose that can be asked: never above what was asked, never above a ceiling."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from kap.ceilings import ceilings
from kap.dose import (
    Asked,
    DoseError,
    Segment,
    check_ceilings,
    delivered_ug,
    dosing_weight,
    plan_infusion,
    recompute,
)

IV = ceilings().route("IV")


def steps(low, high, step):
    """Decimals from low to high in steps."""
    step = Decimal(step)
    count = int((Decimal(high) - Decimal(low)) / step)
    return st.integers(0, count).map(lambda n: Decimal(low) + n * step)


orders = st.fixed_dictionaries(
    {
        "mg_per_kg": steps("0.05", "1.3", "0.0005"),
        "weight_kg": steps(30, 210, "0.05"),
        "minutes": st.integers(30, 240),
        "vial_mg_per_ml": st.sampled_from([Decimal(10), Decimal(50), Decimal("12.5")]),
        "final_ml": steps(2, 250, "0.5"),
    }
)


def allowed(order):
    """The plan, or None when the order is refused."""
    try:
        return plan_infusion(**order)
    except DoseError:
        return None


@given(orders)
def test_a_dose_is_never_more_than_asked_nor_than_a_ceiling(order):
    plan = allowed(order)
    if plan is None:
        return
    asked = Fraction(order["mg_per_kg"]) * Fraction(order["weight_kg"]) * 1000
    assert plan.dose_ug <= plan.asked_ug <= asked
    exact = Fraction(plan.dose_ug, 1000) / Fraction(plan.weight_kg)
    assert exact <= Fraction(plan.mg_per_kg_given) <= Fraction(IV.mg_per_kg_max)
    assert exact / plan.minutes <= Fraction(plan.mg_per_kg_min_given)
    assert plan.mg_per_kg_min_given <= IV.mg_per_kg_min_max
    assert plan.minutes >= IV.minutes_min


@given(orders)
def test_what_is_drawn_and_added_is_what_is_in_the_syringe(order):
    plan = allowed(order)
    if plan is None:
        return
    assert plan.draw_ml + plan.diluent_ml == plan.final_ml
    assert plan.draw_ml * plan.vial_mg_per_ml * 1000 == plan.dose_ug
    mark_ug = Decimal("0.01") * plan.vial_mg_per_ml * 1000
    assert plan.asked_ug - plan.dose_ug < mark_ug
    slowest = plan.final_ml * 60 / plan.rate_ml_h
    assert slowest >= plan.minutes


@given(orders)
def test_both_computations_give_the_same_plan(order):
    plan = allowed(order)
    if plan is None:
        return
    asked = Asked(
        plan.mg_per_kg,
        plan.weight_kg,
        Decimal(plan.minutes),
        plan.vial_mg_per_ml,
        plan.final_ml,
        Decimal("0.01"),
        Decimal("0.1"),
        "IV",
    )
    assert recompute(asked) == plan
    check_ceilings(recompute(asked), ceilings())


def test_the_orders_tried_are_both_allowed_and_refused():
    seen = set()

    @given(orders)
    def look(order):
        seen.add(allowed(order) is None)

    look()
    assert seen == {True, False}


segments = st.lists(
    st.builds(Segment, ms=st.integers(0, 7_200_000), rate_ul_h=st.integers(0, 200_000)), max_size=8
)


@given(segments, st.integers(1, 200_000), st.integers(1, 500_000))
def test_what_was_delivered_grows_and_never_passes_the_dose(parts, dose_ug, final_ul):
    given_so_far = [
        delivered_ug(dose_ug=dose_ug, final_ul=final_ul, segments=parts[:count])
        for count in range(len(parts) + 1)
    ]
    assert given_so_far == sorted(given_so_far)
    assert 0 <= given_so_far[0] <= given_so_far[-1] <= dose_ug


@given(st.integers(0, 3_600_000), st.integers(0, 3_600_000), st.integers(1, 200_000))
def test_a_pause_splits_a_run_and_changes_no_dose(first, second, rate):
    whole = [Segment(first + second, rate)]
    split = [Segment(first, rate), Segment(777_000, 0), Segment(second, rate)]
    told = {"dose_ug": 34_000, "final_ul": 50_000}
    assert delivered_ug(**told, segments=whole) == delivered_ug(**told, segments=split)


@given(steps(35, 200, "0.1"), st.integers(153, 210), st.booleans())
def test_an_adjusted_weight_lies_between_the_ideal_and_the_actual(weight, height, male):
    try:
        found = dosing_weight(weight, height, male)
    except DoseError:
        return
    if found.ideal_kg is None:
        assert found.kg == weight
    else:
        assert found.ideal_kg <= found.kg + Decimal("0.001") <= weight + Decimal("0.001")
