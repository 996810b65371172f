"""`clinic device`: a monitor is registered, listed and retired, and then heard no more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from clinic.audit.models import Event
from clinic.course.actions import Refused
from clinic.dosing import actions
from clinic.dosing.models import Device, Observation
from clinic.dosing.views import free_devices
from clinic.interop import actions as interop
from clinic.interop.models import Quarantine
from clinic.people import access
from kap.observation import Observation as Reading
from kap.wire.hl7_write import Simulator, write
from kap.wire.hl7v2 import PatientId
from tests import world
from tests.clinic import hour
from tests.clinic.conftest import as_owner
from tests.clinic.test_people_commands import TORONTO, changed

ADD = ["add", hour.MONITOR, "--site", "toronto", "--room", "1", "--name", "Monitor 1"]


def written() -> list[tuple[str, str]]:
    rows = Event.objects.filter(action__startswith="device.").order_by("id")
    return [(row.action, row.actor) for row in rows]


@pytest.mark.usefixtures("empty")
def test_a_monitor_is_registered_once_and_listed(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("site", *TORONTO)
    call_command("device", "list")
    assert "no monitor yet; clinic device add registers one" in capsys.readouterr().out
    call_command("device", *ADD)
    call_command("device", *ADD)
    call_command("device", "list", "--site", "toronto")
    line = f"toronto 1: Monitor 1, sends as {hour.MONITOR}"
    assert capsys.readouterr().out.splitlines() == [line] * 3
    assert written() == [("device.add", "owner:command")]


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"site": "tornto"}, "no site 'tornto'; there are: toronto"),
        ({"room": "9"}, "toronto has no room '9'; there are: 1, 2"),
        ({"name": " "}, "as it stands on the monitor"),
    ],
)
def test_a_monitor_that_cannot_be_is_refused(told: dict[str, str], said: str) -> None:
    call_command("site", *TORONTO)
    with pytest.raises(CommandError, match=said):
        call_command("device", *changed(ADD, **told))
    for sender in ("", "BED MON", "x" * 81):
        with pytest.raises(CommandError, match="MSH-3 as the monitor sends it"):
            call_command("device", "add", sender, *ADD[2:])
    assert not Device.objects.exists()
    assert written() == []


@pytest.mark.usefixtures("empty")
def test_without_a_site_or_a_room_the_way_out_is_said() -> None:
    with pytest.raises(CommandError, match="none; run clinic site add"):
        call_command("device", *ADD)
    call_command("site", *TORONTO[:-4])
    with pytest.raises(CommandError, match="none yet; add one with clinic site add"):
        call_command("device", *ADD)


@pytest.mark.usefixtures("empty")
def test_a_sender_is_one_monitor_until_it_is_retired(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("site", *TORONTO)
    call_command("device", *ADD, "--authority", "KAP-TOR")
    moved = changed(ADD, room="2", name="Monitor 2")
    with pytest.raises(CommandError, match="in room 1 of toronto already, with another room, name"):
        call_command("device", *moved)
    call_command("device", "retire", hour.MONITOR)
    call_command("device", "retire", hour.MONITOR)
    call_command("device", *moved)
    capsys.readouterr()
    call_command("device", "list")
    first, second = capsys.readouterr().out.splitlines()
    assert ", people as KAP-TOR numbers them, retired 20" in first
    assert second == f"toronto 2: Monitor 2, sends as {hour.MONITOR}"
    assert [action for action, _ in written()] == ["device.add", "device.retire", "device.add"]


@pytest.mark.usefixtures("empty")
def test_a_monitor_that_nobody_registered_cannot_be_retired() -> None:
    with pytest.raises(CommandError, match="no monitor sends as 'X'; clinic device list"):
        call_command("device", "retire", "X")


# -- in use ----------------------------------------------------------------------------------------


@pytest.fixture
def bedside(running: hour.Hour) -> Iterator[hour.Hour]:
    """Marie's infusion, and a monitor of the room that is bound to nobody."""
    hour.owner_adds_device(hour.MONITOR)
    with override_settings(MODE="demo"):
        yield running


def bind(running: hour.Hour, device: Device) -> None:
    with access.acting(world.author("bob")) as by:
        actions.bind(
            session=running.session,
            device=device,
            mrn=running.enrolment.mrn,
            birth_date=running.session.patient.birth_date,
            key=uuid4(),
            by=by,
        )


def sends(running: hour.Hour) -> list[str]:
    """Let the monitor send one pulse; return why its messages are set aside."""
    at = datetime.now(UTC)
    raw = write(
        [Reading("heart_rate", Decimal(80), "/min", observed_at=at, received_at=at)],
        device=Simulator(),
        patient=PatientId(running.enrolment.mrn, "KAP-TOR", "MR"),
        control_id=uuid4().hex[:12],
        sent_at=at,
        processing_id="T",
    )
    with access.acting(access.worker("mllp")) as by:
        interop.receive(raw=raw, peer="test", by=by)
        return [row.reason for row in Quarantine.objects.all()]


def test_a_bound_monitor_is_not_retired_and_a_retired_one_is_neither_bound_nor_heard(
    bedside: hour.Hour,
) -> None:
    with access.acting(world.author("bob")):
        device = Device.objects.get(sender=hour.MONITOR)
        assert list(free_devices(bedside.session)) == [device]
    bind(bedside, device)
    assert sends(bedside) == []
    with as_owner(), pytest.raises(CommandError, match="bound to a session; release it"):
        call_command("device", "retire", hour.MONITOR)
    with access.acting(world.author("bob")) as by:
        actions.release(session=bedside.session, by=by)
    with as_owner():
        call_command("device", "retire", hour.MONITOR)
    with access.acting(world.author("bob")):
        assert not free_devices(bedside.session).exists()
    with pytest.raises(Refused, match="retired; choose another"):
        bind(bedside, device)
    [why] = sends(bedside)
    assert "unknown sender" in why
    with access.acting(world.author("bob")):
        assert Observation.objects.filter(vital="heart_rate", source="device").count() == 1
