"""Damaged messages, two thousand of them, and any others: they raise one error and no other."""

import random
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from kap.observation import Observation, vital
from kap.wire.hl7_text import Marks
from kap.wire.hl7v2 import Hl7Error, PatientId, Simulator, header, read, respond, write
from tests.core.test_hl7v2 import ARRIVED, DEMO, PACIFIC, SAMPLE, framed

WHOLE = framed(*SAMPLE)
BITS = [b"|", b"^", b"~", b"\\", b"&", b"\r", b"\n", b"\x00", b"\xff", b"OBX", b"MSH", b"PID", b"9"]


def damaged(dice: random.Random) -> bytes:
    """The sample after one to four blows: cut, dropped, doubled, replaced, inserted."""
    message = bytearray(WHOLE)
    for _ in range(dice.randint(1, 4)):
        place = dice.randrange(len(message) + 1)
        length = dice.choice([1, 1, 1, 5, 60])
        blow = dice.randrange(5)
        if blow == 0:
            del message[place : place + length]
        elif blow == 1:
            message[place:place] = dice.choice(BITS)
        elif blow == 2:
            message[place : place + 1] = bytes([dice.randrange(256)])
        elif blow == 3:
            message[place:place] = message[place : place + length]
        elif len(message) > 200:
            del message[max(200, place) :]
        if not message:
            return b""
    return bytes(message)


def outcome(message: bytes) -> str:
    """What became of a message; any other exception fails the test."""
    try:
        found = read(message, received_at=ARRIVED, policy=DEMO)
    except Hl7Error as bad:
        return "refused" if bad.is_refused else "unreadable"
    for one in found.observations:
        vital(one.vital).accept(one.value, one.unit)
    respond(found.header, "AE", control_id="1", at=ARRIVED, problems=found.problems)
    return "problems" if found.problems else "read"


def test_two_thousand_damaged_messages_raise_nothing_but_one_error():
    dice = random.Random(20261124)
    seen = Counter(outcome(damaged(dice)) for _ in range(2000))
    # Enough of each kind: damage that nothing notices would prove nothing.
    assert sum(seen.values()) == 2000
    assert min(seen["unreadable"], seen["problems"], seen["read"], seen["refused"]) > 20


@given(st.binary(max_size=200))
def test_any_bytes_at_all_are_read_or_refused(tail):
    for message in (tail, b"MSH" + tail, WHOLE[:120] + tail, WHOLE + tail):
        assert outcome(message) in {"read", "problems", "refused", "unreadable"}
        try:
            header(message)
        except Hl7Error:
            continue


# Letters of two scripts, digits, and every sign that HL7 gives a meaning.
SIGNS = "abXZ059.+- éλ|^~\\&FSTRE"


@given(st.lists(st.text(SIGNS, max_size=12), min_size=12))
def test_any_fields_of_a_reading_are_read_or_named(fields):
    line = "|".join(["OBX", *fields])
    found = read(framed(*SAMPLE[:3], line, SAMPLE[6]), received_at=ARRIVED, policy=DEMO)
    assert [one.vital for one in found.observations][-1] == "spo2"


@given(st.text(SIGNS, max_size=40))
def test_a_text_written_with_escapes_is_read_back(text):
    assert Marks().decode(Marks().encode(text)) == text


CODES = ["systolic", "diastolic", "mean_pressure", "heart_rate", "spo2", "respiratory_rate"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*CODES, "temperature"]), st.integers(0, 1000), st.integers(0, 9)
        ),
        max_size=8,
    ),
    st.text(SIGNS.replace(" ", ""), min_size=1, max_size=12),
    st.text(SIGNS.replace(" ", ""), min_size=1, max_size=12),
)
def test_whatever_the_simulator_writes_is_read_back_exactly(told, control_id, patient):
    start = datetime(2027, 1, 15, 14, 0, tzinfo=PACIFIC)
    readings = []
    for number, (code, share, tenth) in enumerate(told):
        one = vital(code)
        whole = one.low + (one.high - one.low - 1) * share // 1000
        value = whole + (Decimal(tenth) / 10 if one.decimals else 0)
        at = start + timedelta(seconds=number)
        readings.append(Observation(code, value, one.unit, at, ARRIVED))
    who = PatientId(patient, "KAP-VAN", "MR")
    message = write(readings, device=Simulator(), patient=who, control_id=control_id, sent_at=start)
    found = read(message, received_at=ARRIVED, policy=DEMO)
    assert found.problems == ()
    assert list(found.observations) == readings
    assert (found.control_id, found.patient_ids) == (control_id, (who,))
