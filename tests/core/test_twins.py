"""A number that stands in two files is the same in both.

A protocol is frozen once released and its digest covers all its rules read; instruments, the course
and the ceilings also serve without it. So some numbers have a twin, held equal here.
"""

import inspect
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from importlib import resources

import pytest

from kap import instrument
from kap.ceilings import ceilings
from kap.course import default_doses
from kap.dose import plan_infusion
from kap.protocol import available, load, parse_protocol

PROTOCOLS = [f"{name}/{version}.toml" for name, version in available() if name == "iv-ketamine"]


def twins() -> Iterator[tuple[str, Decimal | int]]:
    """Return each parameter that has a twin, and the number of the twin."""
    points = {key: held.value for key, held in instrument.load("phq9").thresholds.items()}
    yield "response_change", -points["response_drop_percent"]
    yield "remission_phq9", points["remission_below"]
    yield "worse_rise", points["worsening_rise"]
    course = tomllib.loads(resources.files("kap").joinpath("course.toml").read_text("utf-8"))
    after = {row["id"]: row["after_doses"] for row in course["checkpoint"]}
    yield "series_size", default_doses()
    yield "cp_a_first", after["CP-A"][0]
    yield "cp_a_last", after["CP-A"][-1]
    yield "cp_b_first", after["CP-B"][0]
    yield "stop_first", after["STOP-6"][0]
    yield "stop_last", after["STOP-8"][0]
    held = ceilings()
    yield "weight_min", held.weight_low
    yield "weight_max", held.weight_high
    yield "bmi_min", held.bmi_low
    yield "bmi_max", held.bmi_high
    steps = inspect.signature(plan_infusion).parameters
    yield "syringe_step", steps["syringe_step_ml"].default
    yield "pump_step", steps["pump_step_ml_h"].default


def text(path: str) -> str:
    return resources.files("kap").joinpath("protocols").joinpath(path).read_text("utf-8")


def apart(protocol) -> list[str]:
    """Return the parameters that differ from their twins."""
    return [name for name, value in twins() if protocol.parameters[name].value != value]


@pytest.mark.parametrize("path", PROTOCOLS)
def test_a_number_of_the_protocol_and_its_twin_are_the_same(path):
    assert apart(parse_protocol(text(path))) == []


@pytest.mark.parametrize("name", [name for name, _ in twins()])
def test_a_number_that_leaves_its_twin_is_found(name):
    """The negative control: one parameter of the protocol altered."""
    value = load("iv-ketamine").parameters[name].value
    written = f"{name} = {{ value = {value}"
    altered = text(PROTOCOLS[-1]).replace(written, f"{name} = {{ value = {value + 1}")
    assert apart(parse_protocol(altered)) == [name]
