"""Readings that are possible one by one and impossible together: a weight with a height.

Asked where a person hands a chart in. What is recorded already stays readable: an old slip must
never close a record, so reading a chart does not ask this.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from kap.chart import Chart
from kap.facts import FactType
from kap.known import ChartError

HUNDREDTHS, CM2_PER_M2 = 100, 10_000


def refuse_impossible(chart: Chart, facts: Mapping[str, FactType]) -> None:
    """Refuse a last weight (kg) and a last height (cm) that give no possible body mass index.

    ChartError outside the `low` and `high` that facts.toml gives `bmi`. Those bounds say what a
    living person may have; whom to give a dose is the protocol's rule WEIGHT, with narrower ones.
    """
    weight, height = (_last(chart, name) for name in ("weight", "height"))
    low, high = facts["bmi"].low, facts["bmi"].high
    if weight is None or height is None:
        return
    assert low is not None
    assert high is not None  # every number of facts.toml has both
    bmi = Fraction(weight) * CM2_PER_M2 / Fraction(height) ** 2
    if not low <= bmi <= high:
        shown = Decimal(int(bmi * HUNDREDTHS)) / HUNDREDTHS
        raise ChartError(
            f"facts.weight: {weight} kg with a height of {height} cm gives a BMI of {shown} kg/m2, "
            f"which is impossible; it lies between {low} and {high}. "
            "Check both, and their units (lb, inches)"
        )


def _last(chart: Chart, name: str) -> Decimal | None:
    values = [fact.value for fact in chart.facts.get(name, ())]
    known = [value for value in values if isinstance(value, Decimal)]
    return known[-1] if known else None
