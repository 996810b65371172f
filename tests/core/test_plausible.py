"""What is possible alone and impossible together is refused where a chart is handed in."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from kap.chart import Chart, ChartError, Fact, Reason
from kap.facts import vocabulary
from kap.plausible import refuse_impossible

NOW = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)


def chart(*readings: tuple[str, str | None]) -> Chart:
    """Return a chart of weights and heights, a day apart, the last one yesterday."""
    units = {"weight": "kg", "height": "cm"}
    facts = [
        Fact(
            name,
            None if value is None else Decimal(value),
            "" if value is None else units[name],
            observed_at=NOW - timedelta(days=len(readings) - place),
            reason=Reason.DECLINED if value is None else None,
        )
        for place, (name, value) in enumerate(readings)
    ]
    return Chart().with_facts(*facts)


@pytest.mark.parametrize(
    ("weight", "height", "bmi"),
    [
        ("31.9", "200", "7.97"),
        ("120.1", "100", "120.1"),
        ("20", "230", "3.78"),
        ("400", "180", "123"),
    ],
)
def test_a_weight_and_height_of_no_living_person_are_refused(weight, height, bmi):
    with pytest.raises(ChartError, match=f"{weight} kg with a height of {height} cm .* {bmi}"):
        refuse_impossible(chart(("weight", weight), ("height", height)), vocabulary())


@pytest.mark.parametrize(("weight", "height"), [("32", "200"), ("120", "100"), ("68", "172")])
def test_both_bounds_are_still_possible(weight, height):
    refuse_impossible(chart(("weight", weight), ("height", height)), vocabulary())


@pytest.mark.parametrize("told", [("weight", "400"), ("height", "230")])
def test_one_without_the_other_says_nothing(told):
    refuse_impossible(chart(told), vocabulary())
    other = "height" if told[0] == "weight" else "weight"
    refuse_impossible(chart(told, (other, None)), vocabulary())


def test_a_slip_that_was_put_right_closes_nothing_and_a_later_slip_does():
    slip, right, tall = ("weight", "20"), ("weight", "68"), ("height", "190")
    refuse_impossible(chart(tall, slip, right), vocabulary())
    with pytest.raises(ChartError, match="20 kg"):
        refuse_impossible(chart(tall, right, slip), vocabulary())
