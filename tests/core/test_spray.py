"""The spray: whole devices, exact milligrams, the ceiling, and the clocks of the devices given."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from kap import spray as spray_module
from kap.ceilings import DoseError, ceilings
from kap.chart import Chart
from kap.known import Source
from kap.moment import Moment
from kap.protocol import load
from kap.spray import ShortGap, Spray, Sprayed, devices_for, plan_spray
from kap.verdict import ask
from tests.spec.table import NOW, SPRAY, person

ONE = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
PROTOCOL = load(SPRAY)
DEVICE = PROTOCOL.parameters["device_mg"].value


def minutes(count: float) -> datetime:
    return ONE + timedelta(minutes=count)


@pytest.mark.parametrize(("devices", "mg"), [(1, 28), (2, 56), (3, 84)])
def test_a_dose_is_whole_devices_of_twenty_eight_milligrams(devices, mg):
    ordered = plan_spray(devices=devices, device_mg=DEVICE)
    assert (ordered.dose_mg, ordered.dose_ug, ordered.route) == (mg, mg * 1000, "NASAL")
    assert devices_for(dose_mg=mg, device_mg=DEVICE) == devices
    assert ordered.lines()[0].text == f"{devices} × 28 mg = {mg} mg"


def test_four_devices_are_above_the_ceiling():
    with pytest.raises(DoseError, match=r"4 × 28 mg: the ceiling is 84 mg \(ESK-DOSE\)"):
        plan_spray(devices=4, device_mg=DEVICE)


@pytest.mark.parametrize("devices", [0, -1, "1.5", 1.0])
def test_no_part_of_a_device_is_ordered(devices):
    with pytest.raises(DoseError):
        plan_spray(devices=devices, device_mg=DEVICE)


@pytest.mark.parametrize("mg", ["42", "27.999", "28.001"])
def test_no_dose_is_between_two_devices(mg):
    with pytest.raises(DoseError, match="whole number of 28"):
        devices_for(dose_mg=mg, device_mg=DEVICE)


def test_a_ceiling_that_is_lowered_is_kept(monkeypatch):
    """The negative control: the ceiling is read from its file, not from here."""
    held = ceilings()
    lower = replace(held, routes={"NASAL": replace(held.route("NASAL"), mg_max=Decimal(56))})
    monkeypatch.setattr(spray_module, "ceilings", lambda: lower)
    assert plan_spray(devices=2, device_mg=DEVICE).devices == 2
    with pytest.raises(DoseError, match="the ceiling is 56 mg"):
        plan_spray(devices=3, device_mg=DEVICE)


def test_the_protocol_is_never_looser_than_the_ceiling():
    limit = ceilings().route("NASAL").mg_max
    assert max(PROTOCOL.parameters["spray_doses"].value) <= limit
    assert all(mg % DEVICE == 0 for mg in PROTOCOL.parameters["spray_doses"].value)


def test_the_order_tells_the_gates_its_drug_its_devices_and_its_dose():
    told = {fact.name: fact for fact in plan_spray(devices=2, device_mg=DEVICE).facts(ONE)}
    assert {name: fact.value for name, fact in told.items()} == {
        "ordered_drug": "N06AX27",
        "devices": Decimal(2),
        "dose_mg": Decimal(56),
    }
    assert {fact.source for fact in told.values()} == {Source.RECORD}


@pytest.mark.parametrize(("device_mg", "answer"), [(28, "eligible"), (21, "defer")])
def test_the_gate_judges_what_the_order_tells(device_mg, answer):
    chart = Chart.from_json({"facts": {}, **person("order", SPRAY)})
    facts = plan_spray(devices=2, device_mg=device_mg).facts(NOW)
    assert ask(PROTOCOL, "order", chart.with_facts(*facts), Moment.at(NOW)).answer == answer


# --- what was given -----------------------------------------------------------------------------


def test_the_chart_begins_with_the_first_device_and_the_clock_with_the_last():
    given = Sprayed.of([minutes(5), minutes(0)])
    assert (given.chart_start, given.clock_start) == (minutes(0), minutes(5))
    assert given.due((40, 70)) == (minutes(45), minutes(75))


def test_a_device_that_is_entered_late_moves_every_due_time():
    before = Sprayed.of([minutes(0), minutes(5)])
    after = Sprayed.of([minutes(0), minutes(5), minutes(20)])
    steps = PROTOCOL.tables["schedule"]["blood_pressure"]["minutes"]
    moved = [b - a for a, b in zip(before.due(steps), after.due(steps), strict=True)]
    assert moved == [timedelta(minutes=15)] * len(steps)


def test_a_short_gap_is_a_finding_and_five_minutes_are_none():
    least = timedelta(minutes=int(PROTOCOL.parameters["device_gap_min"].value))
    given = Sprayed.of([minutes(0), minutes(5), minutes(9.9)])
    assert given.short_gaps(least) == (ShortGap(minutes(5), minutes(9.9)),)
    assert given.short_gaps(least)[0].apart == timedelta(minutes=4, seconds=54)


def test_what_was_given_is_counted_even_above_the_order():
    ordered = Spray(devices=1, device_ug=28_000)
    assert Sprayed.of([minutes(0), minutes(5)]).delivered_ug(ordered) == 56_000


@pytest.mark.parametrize("given", [[], [datetime(2026, 11, 24, 18, 0)]])  # noqa: DTZ001 - refused
def test_devices_without_a_time_are_refused(given):
    with pytest.raises(DoseError, match="with an offset"):
        Sprayed.of(given)
