"""A monitor's HL7: what is read, what is set aside, what is refused, how it is answered."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from kap.observation import Observation, vital
from kap.wire import mdc
from kap.wire.hl7_text import Marks, Segment
from kap.wire.hl7v2 import (
    Hl7Error,
    PatientId,
    Policy,
    Simulator,
    accept,
    accept_wanted,
    application_wanted,
    header,
    is_original_mode,
    read,
    respond,
    write,
)

PACIFIC = timezone(timedelta(hours=-8))
ARRIVED = datetime(2027, 1, 15, 22, 5, 1, tzinfo=UTC)
DEMO = Policy(processing=frozenset({"P", "T"}))

# The sample of the interoperability reference, 10.1: constructed, nobody's data.
SAMPLE = [
    r"MSH|^~\&|BEDMON^00A0B1FFFEC2D3E4^EUI-64|VAN|KAP|CLINIC|20270115140500-0800||"
    "ORU^R01^ORU_R01|DOC-A1|T|2.6|||AL|NE|CAN|UNICODE UTF-8|en^English^ISO639||"
    "IHE_PCD_ORU_R01^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO",
    "PID|1||DOC-7001^^^KAP-VAN&2.999.2.1&ISO^MR||EXAMPLE^ROWAN^^^^^L||19790622|U",
    "OBR|1|DOC-A1^BEDMON^00A0B1FFFEC2D3E4^EUI-64|DOC-A1^BEDMON^00A0B1FFFEC2D3E4^EUI-64|"
    "182777000^monitoring of patient^SCT|||20270115140500-0800",
    "OBX|1||69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC|1.0.0.0|||||||X|||||||"
    "BEDMON^^00A0B1FFFEC2D3E4^EUI-64",
    "OBX|2||69854^MDC_DEV_METER_PRESS_BLD_VMD^MDC|1.2.0.0|||||||X",
    "OBX|3|NM|150301^MDC_PRESS_CUFF_SYS^MDC|1.2.1.1|121|266016^MDC_DIM_MMHG^MDC|||||R|||"
    "20270115140310-0800",
    "OBX|4|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.3.1.1|97|262688^MDC_DIM_PERCENT^MDC|||||R|||"
    "20270115140459-0800",
    "OBX|5|NM|149530^MDC_PULS_OXIM_PULS_RATE^MDC|1.3.1.2|68|264864^MDC_DIM_BEAT_PER_MIN^MDC"
    "|||||R|||20270115140459-0800",
]
HEAD, PID, OBR, SYSTOLIC = SAMPLE[0], SAMPLE[1], SAMPLE[2], SAMPLE[5]


def framed(*lines):
    return "".join(f"{line}\r" for line in lines).encode()


def reading(*obx, policy=DEMO, head=HEAD):
    return read(framed(head, PID, OBR, *obx), received_at=ARRIVED, policy=policy)


def msh(number, text):
    """The sample's header with another field."""
    fields = HEAD.split("|")
    fields[number - 1] = text
    return "|".join(fields)


def obx(number, text, line=SYSTOLIC):
    """The sample's systolic with another field."""
    fields = line.split("|")
    fields[number] = text
    return "|".join(fields)


def test_the_sample_gives_three_readings_each_with_its_own_time():
    message = read(framed(*SAMPLE), received_at=ARRIVED, policy=DEMO)
    told = [(one.vital, one.value, one.unit, one.observed_at) for one in message.observations]
    assert told == [
        ("systolic", 121, "mm[Hg]", datetime(2027, 1, 15, 22, 3, 10, tzinfo=UTC)),
        ("spo2", 97, "%", datetime(2027, 1, 15, 22, 4, 59, tzinfo=UTC)),
        ("heart_rate", 68, "/min", datetime(2027, 1, 15, 22, 4, 59, tzinfo=UTC)),
    ]
    assert {one.received_at for one in message.observations} == {ARRIVED}
    assert (message.control_id, message.processing_id) == ("DOC-A1", "T")
    assert message.sender == "BEDMON^00A0B1FFFEC2D3E4^EUI-64"
    assert message.patient_ids == (PatientId("DOC-7001", "KAP-VAN", "MR"),)
    assert (message.problems, message.absent, message.set_aside) == ((), (), ())


def test_what_is_written_is_read_back_the_same():
    message = read(framed(*SAMPLE), received_at=ARRIVED, policy=DEMO)
    written = write(
        message.observations,
        device=Simulator(),
        patient=message.patient_ids[0],
        control_id=message.control_id,
        sent_at=datetime(2027, 1, 15, 14, 5, tzinfo=PACIFIC),
    )
    again = read(written, received_at=ARRIVED, policy=DEMO)
    assert again.observations == message.observations
    assert again.patient_ids == message.patient_ids
    assert again.sender == message.sender
    assert written.decode().split("\r")[0] == HEAD


def test_a_vital_that_the_wire_has_no_code_for_is_not_written():
    score = Observation("nausea", Decimal(3), "1", ARRIVED, ARRIVED)
    with pytest.raises(KeyError, match="no code on the wire"):
        write(
            [score],
            device=Simulator(),
            patient=PatientId("1", "A", "MR"),
            control_id="1",
            sent_at=ARRIVED,
        )


def test_an_empty_time_is_that_of_the_order_and_never_the_arrival():
    (seen,) = reading(obx(14, "")).observations
    assert seen.observed_at == datetime(2027, 1, 15, 22, 5, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "field", "kind"),
    [
        (obx(3, "150301^MDC_PRESS_CUFF_DIA^MDC"), 3, "code"),
        (obx(3, "150302^MDC_PRESS_CUFF_SYS^MDC"), 3, "code"),
        (obx(3, "150301^MDC_PRESS_CUFF_SYS^LN"), 3, "code"),
        (obx(3, "999999^MDC_SOMETHING^MDC"), 3, "code"),
        (obx(6, "262688^MDC_DIM_PERCENT^MDC"), 6, "unit"),
        (obx(6, "266016^MDC_DIM_PERCENT^MDC"), 6, "unit"),
        (obx(6, ""), 6, "unit"),
        (obx(5, "high"), 5, "value"),
        (obx(5, "1e2"), 5, "value"),
        (obx(5, "NaN"), 5, "value"),
        (obx(5, "١٢١"), 5, "value"),
        (obx(5, "301"), 5, "value"),
        (obx(5, "-121"), 5, "value"),
        (obx(2, "ST"), 2, "value"),
        (obx(11, "P"), 11, "status"),
        (obx(11, ""), 11, "status"),
        (obx(14, "20270115140310"), 14, "time"),
        (obx(14, "202701151403-0800"), 14, "time"),
        (obx(14, "20270231140310-0800"), 14, "time"),
        (obx(14, "20270115140310-1500"), 14, "time"),
        (obx(14, "18990115140310-0800"), 14, "time"),
        (obx(3, r"150301^\Z\^MDC"), 0, "structure"),
        (obx(3, r"150301^MDC\F^MDC"), 0, "structure"),
    ],
)
def test_a_bad_value_is_named_and_the_good_ones_survive(line, field, kind):
    message = reading(line, SAMPLE[6])
    assert [one.vital for one in message.observations] == ["spo2"]
    (problem,) = message.problems
    assert (problem.segment, problem.number) == ("OBX", 1)
    assert (problem.field, problem.kind) == (field, kind)
    assert problem.code in ("101", "102", "103")
    assert "121" not in problem.reason


def test_an_order_without_time_leaves_a_value_without_time():
    fields = OBR.split("|")
    fields[7] = ""
    message = read(
        framed(HEAD, PID, "|".join(fields), obx(14, "")), received_at=ARRIVED, policy=DEMO
    )
    assert [(one.field, one.kind) for one in message.problems] == [(7, "time")]


def test_a_value_before_any_order_is_a_problem():
    message = read(framed(HEAD, PID, SYSTOLIC), received_at=ARRIVED, policy=DEMO)
    assert message.observations == ()
    assert [one.reason for one in message.problems] == ["an OBX without an OBR before it"]


def test_no_offset_is_read_only_where_the_device_is_known_for_it():
    line = obx(14, "20270115140310")
    local = Policy(processing=DEMO.processing, zone=PACIFIC)
    assert reading(line, policy=local).observations[0].observed_at == datetime(
        2027, 1, 15, 22, 3, 10, tzinfo=UTC
    )
    assert reading(line).observations == ()


@pytest.mark.parametrize("line", [obx(5, ""), obx(11, "X"), obx(5, "-32768")])
def test_no_value_is_a_technical_state_and_no_sample(line):
    policy = Policy(processing=DEMO.processing, sentinels=frozenset({Decimal(-32768)}))
    message = reading(line, policy=policy)
    assert (message.observations, message.problems) == ((), ())
    assert [one.vital for one in message.absent] == ["systolic"]


def test_a_sentinel_of_another_device_is_an_impossible_value():
    assert [one.field for one in reading(obx(5, "-32768")).problems] == [5]


def test_a_known_code_that_no_vital_reads_is_set_aside():
    pump = obx(3, "158014^MDC_FLOW_FLUID_PUMP_CURRENT^MDC")
    message = reading(pump)
    assert message.set_aside == ("MDC_FLOW_FLUID_PUMP_CURRENT",)
    assert (message.observations, message.problems) == ((), ())


def test_kilopascals_are_converted_exactly_and_the_original_is_kept():
    line = obx(5, "24.0", obx(6, "265987^MDC_DIM_KILO_PASCAL^MDC"))
    (seen,) = reading(line).observations
    assert (seen.value, seen.unit, seen.original) == (Decimal("180.0"), "mm[Hg]", "24.0 kPa")


def test_fahrenheit_is_converted():
    line = obx(5, "98.6", obx(6, "268160^MDC_DIM_FAHR^MDC", obx(3, "150344^MDC_TEMP^MDC")))
    (seen,) = reading(line).observations
    assert (seen.value, seen.unit, seen.original) == (Decimal("37.00"), "Cel", "98.6 °F")


def test_other_vendors_cuffs_are_read_by_their_own_row():
    line = obx(3, "150021^MDC_PRESS_BLD_NONINV_SYS^MDC")
    assert reading(line).observations[0].vital == "systolic"


def test_the_skew_of_a_device_stays_with_its_readings():
    policy = Policy(processing=DEMO.processing, skew_ms=2_000)
    (seen,) = reading(SYSTOLIC, policy=policy).observations
    assert seen.sampled_at == seen.observed_at - timedelta(seconds=2)


def test_fractions_of_a_second_are_kept_and_written():
    line = obx(14, "20270115140310.250-0800")
    (seen,) = reading(line).observations
    assert seen.observed_at.microsecond == 250_000
    written = write(
        [seen],
        device=Simulator(),
        patient=PatientId("1", "A", "MR"),
        control_id="1",
        sent_at=ARRIVED,
    )
    assert read(written, received_at=ARRIVED, policy=DEMO).observations == (seen,)


# --- the message as a whole -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "why", "is_refused"),
    [
        ((msh(9, "ADT^A01"), PID), "only ORU", True),
        ((msh(9, ""), PID), "only ORU", True),
        ((msh(11, "P"), PID), "only T", True),
        ((msh(12, "3.0"), PID), "version", True),
        ((msh(10, ""), PID), "MSH-10 is empty", False),
        ((msh(3, ""), PID), "MSH-3 is empty", False),
        ((msh(18, "UNICODE UTF-16"), PID), "MSH-18", False),
        ((HEAD, PID, PID), "more than one PID", False),
        ((HEAD, PID, HEAD), "more than one MSH", False),
        ((HEAD, "hello"), "no segment", False),
        ((HEAD, "", PID), "no segment", False),
        ((HEAD, PID, "OBXX|1"), "no segment", False),
        ((PID,), "does not begin with MSH", False),
        (("MSH|^^\\&|x", PID), "five different delimiters", False),
        (("MSH|a~\\&|x", PID), "five different delimiters", False),
        (("MSH|^~\\&x|", PID), "five different delimiters", False),
        (("MSH",), "five different delimiters", False),
        ((HEAD, "PID|1\n2"), "control character", False),
        ((HEAD, "PID|1\x7f2"), "control character", False),
        ((msh(10, r"\Q\ "), PID), "not known", False),
    ],
)
def test_a_message_that_cannot_be_read_is_one_error(lines, why, is_refused):
    policy = Policy(processing=frozenset({"T"}))
    with pytest.raises(Hl7Error, match=why) as refused:
        read(framed(*lines), received_at=ARRIVED, policy=policy)
    assert refused.value.is_refused is is_refused
    assert "EXAMPLE" not in refused.value.reason


def test_clinical_mode_serves_no_message_of_a_simulator():
    with pytest.raises(Hl7Error, match="only P is served here"):
        read(framed(*SAMPLE), received_at=ARRIVED)


def test_a_message_above_the_limit_is_refused_unread():
    with pytest.raises(Hl7Error, match="longer than"):
        read(b"MSH" + b"x" * 300_000, received_at=ARRIVED)


def test_bytes_that_are_not_of_their_character_set_are_refused():
    for charset, raw in (("UNICODE UTF-8", b"\xff"), ("", "é".encode()), ("ASCII", b"\xe9")):
        line = f"{msh(18, charset)}\r".encode() + b"PID|1||" + raw + b"\r"
        with pytest.raises(Hl7Error, match="character set"):
            read(line, received_at=ARRIVED, policy=DEMO)


def test_latin_1_is_read_where_it_is_declared():
    line = f"{msh(18, '8859/1')}\r".encode() + b"PID|1||Andr\xe9^^^KAP^MR\r"
    message = read(line, received_at=ARRIVED, policy=DEMO)
    assert message.patient_ids == (PatientId("André", "KAP", "MR"),)


def test_a_message_without_patient_names_nobody():
    assert read(framed(HEAD, OBR), received_at=ARRIVED, policy=DEMO).patient_ids == ()
    assert read(framed(HEAD, "PID|1"), received_at=ARRIVED, policy=DEMO).patient_ids == ()


def test_a_patient_may_have_two_identifiers():
    pid = "PID|1||A1^^^KAP-VAN^MR~9876^^^BC^JHN"
    found = read(framed(HEAD, pid), received_at=ARRIVED, policy=DEMO).patient_ids
    assert found == (PatientId("A1", "KAP-VAN", "MR"), PatientId("9876", "BC", "JHN"))


def test_other_delimiters_are_taken_from_the_header():
    lines = [line.translate(str.maketrans("|^&", "#*$")) for line in SAMPLE]
    message = read(framed(*lines), received_at=ARRIVED, policy=DEMO)
    assert len(message.observations) == 3
    assert message.sender == "BEDMON^00A0B1FFFEC2D3E4^EUI-64"


def test_escapes_are_decoded_once_after_splitting():
    pid = r"PID|1||A\S\1\T\2\R\3\F\4\E\F\E\5\X4A\^^^KAP^MR"
    found = read(framed(HEAD, pid), received_at=ARRIVED, policy=DEMO).patient_ids
    assert found == (PatientId("A^1&2~3|4\\F\\5J", "KAP", "MR"),)


def test_what_is_written_is_escaped():
    marks = Marks()
    for text in ("a|b^c~d\\e&f", "\\F\\", ""):
        assert marks.decode(marks.encode(text)) == text
    assert "|" not in marks.encode("a|b")


def test_a_field_that_is_not_there_is_empty():
    line = Segment("OBX", ("OBX", "1"), Marks())
    assert line.raw(9) == ""
    assert line.text(1, 3, 2) == ""


def test_the_header_is_read_whatever_the_rest_is():
    head = header(framed(HEAD, PID, PID))
    assert (head.control_id, head.type, head.version) == ("DOC-A1", "ORU^R01", "2.6")
    with pytest.raises(Hl7Error):
        header(b"MSH")


# --- the code table -------------------------------------------------------------------------


def test_every_row_of_a_vital_comes_in_a_unit_that_gives_the_vitals_own():
    for row in mdc.metrics().values():
        if row.vital is not None:
            assert {unit.ucum for unit in row.units} == {vital(row.vital).unit}


def test_a_code_has_its_mark_in_the_table():
    assert mdc.metrics()["150301"].id == "MDC_PRESS_CUFF_SYS"
    assert mdc.metric_of("heart_rate").id == "MDC_PULS_OXIM_PULS_RATE"


# --- answers --------------------------------------------------------------------------------


def sent(accept_mode, application_mode):
    fields = HEAD.split("|")
    fields[14], fields[15] = accept_mode, application_mode
    return header(framed("|".join(fields)))


@pytest.mark.parametrize(
    ("modes", "ok", "wanted"),
    [
        (("", ""), True, (False, True)),
        (("", ""), False, (False, True)),
        (("AL", "NE"), True, (True, False)),
        (("AL", "NE"), False, (True, False)),
        (("NE", "AL"), True, (False, True)),
        (("ER", "SU"), True, (False, True)),
        (("ER", "SU"), False, (True, False)),
        (("SU", "ER"), True, (True, False)),
        (("AL", ""), True, (True, False)),
        (("", "AL"), True, (False, True)),
        (("??", "AL"), True, (False, True)),
    ],
)
def test_each_mode_wants_its_own_acknowledgements(modes, ok, wanted):
    head = sent(*modes)
    assert (accept_wanted(head, ok=ok), application_wanted(head, ok=ok)) == wanted
    assert is_original_mode(head) == (modes == ("", ""))


def test_an_acknowledgement_echoes_the_message_and_swaps_the_parties():
    answer = accept(sent("AL", "NE"), "CA", control_id="A-1", at=ARRIVED).decode().split("\r")
    assert answer[0] == (
        r"MSH|^~\&|KAP|CLINIC|BEDMON^00A0B1FFFEC2D3E4^EUI-64|VAN|20270115220501+0000||"
        "ACK^R01^ACK|A-1|T|2.6||||||UNICODE UTF-8"
    )
    assert answer[1] == "MSA|CA|DOC-A1"


def test_an_error_segment_says_where_and_what_kind_and_no_value():
    message = reading(obx(5, "999"), obx(3, r"150301^\Z\^MDC"))
    answer = respond(
        message.header, "AE", control_id="A-2", at=ARRIVED, problems=message.problems
    ).decode()
    assert "MSA|AE|DOC-A1\r" in answer
    assert "ERR||OBX^1^5|102^^HL70357|E||||outside the possible range of its row\r" in answer
    assert "ERR||OBX^2^|102^^HL70357|E||||an escape sequence that is not known\r" in answer
    assert "999" not in answer.replace("A-2", "")
    assert "EXAMPLE" not in answer


def test_an_acknowledgement_is_a_message_that_can_be_read():
    answer = respond(sent("", ""), "AA", control_id="A|1", at=ARRIVED)
    assert header(answer).control_id == "A|1"
    assert header(answer).type == "ACK^R01"


@pytest.mark.parametrize(("answer", "code"), [(accept, "AA"), (respond, "CA"), (respond, "")])
def test_a_code_of_the_other_kind_is_refused(answer, code):
    with pytest.raises(ValueError, match="use"):
        answer(sent("AL", "NE"), code, control_id="1", at=ARRIVED)
