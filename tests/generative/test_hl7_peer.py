"""An independent reader, the package `hl7`, finds in valid messages what ours finds, and we its."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kap.observation import Observation, vital
from kap.wire.hl7_text import read_time
from kap.wire.hl7v2 import PatientId, Simulator, accept, header, read, respond, write
from kap.wire.mdc import metrics
from tests.core.test_hl7v2 import ARRIVED, DEMO, PACIFIC, SAMPLE, framed
from tests.generative.test_hl7v2 import CODES, SIGNS

START = datetime(2027, 1, 15, 14, 0, tzinfo=PACIFIC)
# What is read back without a delimiter's meaning: chart numbers and control ids of any signs.
words = st.text(SIGNS.replace(" ", ""), min_size=1, max_size=12)


@st.composite
def observations(draw: st.DrawFn) -> list[Observation]:
    """Readings that a monitor may send, a second apart."""
    found = []
    for number, code in enumerate(draw(st.lists(st.sampled_from([*CODES, "temperature"])))):
        one = vital(code)
        value = Decimal(draw(st.integers(int(one.low) + 1, int(one.high) - 1)))
        if one.decimals:
            value += Decimal(draw(st.integers(0, 9))) / 10
        at = START + timedelta(seconds=number)
        found.append(Observation(code, value, one.unit, observed_at=at, received_at=ARRIVED))
    return found


def peer_reads(message: bytes) -> list[tuple[str | None, Decimal, str, datetime]]:
    """Return the values that the package finds: vital, value, unit's id and time."""
    told = hl7.parse(message.decode())
    found = []
    for number in range(1, len(told.segments("OBX")) + 1):

        def part(field: int, component: int = 1, number: int = number) -> str:
            text: str = told.extract_field("OBX", number, field, 1, component)
            return text

        if part(11) != "X":
            row = metrics()[part(3)]
            assert part(3, 2) == row.id
            found.append((row.vital, Decimal(part(5)), part(6, 2), read_time(part(14), None)))
    return found


def we_read(message: bytes) -> list[tuple[str | None, Decimal, str, datetime]]:
    """Return the same of our reader."""
    unit_ids = {row.vital: row.units[0].id for row in metrics().values()}
    told = read(message, received_at=ARRIVED, policy=DEMO)
    assert told.problems == ()
    return [
        (one.vital, one.value, unit_ids[one.vital], one.observed_at) for one in told.observations
    ]


def written(seen: list[Observation], control_id: str = "1", patient: str = "7001") -> bytes:
    who = PatientId(patient, "KAP-VAN", "MR")
    return write(seen, device=Simulator(), patient=who, control_id=control_id, sent_at=START)


@given(observations())
def test_both_find_the_same_readings(seen: list[Observation]) -> None:
    message = written(seen)
    assert peer_reads(message) == we_read(message)
    assert len(we_read(message)) == len(seen)


@given(words, words)
def test_both_find_the_same_names_and_numbers_whatever_signs_they_hold(
    control_id: str, patient: str
) -> None:
    message = written([], control_id, patient)
    told, ours = hl7.parse(message.decode()), read(message, received_at=ARRIVED, policy=DEMO)
    assert told.extract_field("MSH", 1, 10) == ours.control_id == control_id
    assert told.extract_field("PID", 1, 3, 1, 1) == ours.patient_ids[0].value == patient
    assert told.extract_field("PID", 1, 3, 1, 4, 1) == ours.patient_ids[0].authority
    assert told.extract_field("MSH", 1, 3, 1, 2) == ours.sender.split("^")[1]


@given(observations())
def test_what_the_package_writes_we_read(seen: list[Observation]) -> None:
    """Parsed and written again by the package: the same message, whoever puts it on the wire."""
    message = written(seen)
    again = str(hl7.parse(message.decode())).encode()
    assert we_read(again) == we_read(message)


@given(words)
def test_the_package_understands_our_acknowledgements(control_id: str) -> None:
    head = header(written([], control_id))
    for code, made in (
        ("CA", accept(head, "CA", control_id="9", at=ARRIVED)),
        ("AE", respond(head, "AE", control_id="9", at=ARRIVED)),
    ):
        told = hl7.parse(made.decode())
        assert (told.extract_field("MSA", 1, 1), told.extract_field("MSA", 1, 2)) == (
            code,
            control_id,
        )
        assert told.extract_field("MSH", 1, 5) == head.sender.split("^")[0]


def test_they_would_differ_over_a_changed_value() -> None:
    """The negative control: the comparison sees one digit."""
    whole = framed(*SAMPLE)
    assert peer_reads(whole) == we_read(whole)
    assert peer_reads(whole.replace(b"|121|", b"|122|")) != we_read(whole)
    with pytest.raises(hl7.exceptions.ParseException):
        peer_reads(whole[3:])
