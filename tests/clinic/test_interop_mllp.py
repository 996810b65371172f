"""Monitors on a real socket: what is read, what is set aside, and what is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import IntegrityError, OperationalError, connection
from django.test import override_settings

from clinic.audit.models import Event
from clinic.dosing import actions
from clinic.dosing.models import Device, Observation
from clinic.dosing.together import Together
from clinic.interop import mllp
from clinic.interop.management.commands import mllp as command
from clinic.interop.models import Message, Quarantine
from clinic.people import access
from kap.observation import Observation as Reading
from kap.wire.hl7_text import split
from kap.wire.hl7_write import Simulator, write
from kap.wire.hl7v2 import PatientId
from tests import world
from tests.clinic import hour

UNITS = {"systolic": "mm[Hg]", "diastolic": "mm[Hg]", "heart_rate": "/min", "spo2": "%"}
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[list[str]]]


@pytest.fixture
def bedside(running: hour.Hour) -> Iterator[hour.Hour]:
    """Marie's infusion with her monitor bound, and a listener that serves the simulator too."""
    hour.owner_adds_device(hour.MONITOR)
    with access.acting(world.author("bob")) as by:
        actions.bind(
            session=running.session,
            device=Device.objects.get(sender=hour.MONITOR),
            mrn=running.enrolment.mrn,
            birth_date=running.session.patient.birth_date,
            key=uuid4(),
            by=by,
        )
    with override_settings(MODE="demo"):
        yield running
    command.threads.close()


def message(
    mrn: str,
    control_id: str = "",
    device: Simulator | None = None,
    seconds_ago: int = 0,
    processing_id: str = "T",
    **values: int,
) -> bytes:
    """Return what the monitor would send."""
    at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    seen = [
        Reading(name, Decimal(value), UNITS[name], observed_at=at, received_at=at)
        for name, value in (values or {"heart_rate": 80, "spo2": 97}).items()
    ]
    return write(
        seen,
        device=device or Simulator(),
        patient=PatientId(mrn, "KAP-TOR", "MR"),
        control_id=control_id or uuid4().hex[:12],
        sent_at=at,
        processing_id=processing_id,
    )


def codes(data: bytes) -> list[str]:
    """Return the acknowledgement codes in what was received."""
    replies = mllp.Frames(65_536).feed(data)
    return [one.text(1) for reply in replies for one in split(reply) if one.name == "MSA"]


def talk(*pieces: bytes, caps: mllp.Caps | None = None, wait: float = 1.0) -> list[str]:
    """Send pieces over a real socket and return the codes that came back."""

    async def conversation() -> bytes:
        listener = mllp.Listener(command.store, caps or mllp.Caps())
        server = await listener.start("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        heard = b""
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        while not reader.at_eof():
            try:
                heard += await asyncio.wait_for(reader.read(65_536), wait)
            except (TimeoutError, ConnectionError):
                break
        writer.close()
        server.close()
        await server.wait_closed()
        return heard

    return codes(asyncio.run(conversation()))


def stored(session: object) -> list[tuple[str, Decimal]]:
    """Return what the session's record holds."""
    with access.acting(world.author("bob")):
        rows = Observation.objects.filter(session=session).order_by("seq")
        return [(row.vital, row.value) for row in rows]


def set_aside() -> list[str]:
    """Return why messages were quarantined."""
    with access.acting(access.worker("test")):
        return list(Quarantine.objects.order_by("recorded_at").values_list("reason", flat=True))


def test_a_good_message_becomes_readings_and_is_acknowledged(bedside: hour.Hour) -> None:
    assert talk(mllp.framed(message(bedside.enrolment.mrn, systolic=120, heart_rate=80))) == ["CA"]
    assert stored(bedside.session) == [("systolic", Decimal(120)), ("heart_rate", Decimal(80))]
    assert set_aside() == []
    with access.acting(access.worker("test")):
        [event] = Event.objects.filter(action="observation.record")
        assert event.detail["digest"] == Message.objects.get().digest


def test_a_message_in_many_pieces_and_two_in_one_are_read_alike(bedside: hour.Hour) -> None:
    one = mllp.framed(message(bedside.enrolment.mrn, heart_rate=81))
    assert talk(one[:1], one[1:40], one[40:-1], one[-1:]) == ["CA"]
    two = [mllp.framed(message(bedside.enrolment.mrn, heart_rate=n)) for n in (82, 83)]
    assert talk(b"".join(two)) == ["CA", "CA"]
    assert [value for _, value in stored(bedside.session)] == [81, 82, 83]


def test_junk_between_frames_is_no_data_and_junk_within_one_is_kept(bedside: hour.Hour) -> None:
    good = mllp.framed(message(bedside.enrolment.mrn, heart_rate=84))
    assert talk(b"GET / HTTP/1.1\r\n\r\n" + good) == ["CA"]
    assert talk(mllp.framed(b"\xff\xfe not HL7 at all")) == ["AE"]
    assert len(stored(bedside.session)) == 1
    assert len(set_aside()) == 1
    with access.acting(access.worker("test")):
        raw = {bytes(row.raw) for row in Message.objects.all()}
    assert b"\xff\xfe not HL7 at all" in raw


def test_the_same_bytes_again_are_acknowledged_and_stored_once(bedside: hour.Hour) -> None:
    frame = mllp.framed(message(bedside.enrolment.mrn, heart_rate=85))
    assert talk(frame, frame) == ["CA", "CA"]
    assert talk(frame) == ["CA"]
    assert len(stored(bedside.session)) == 1


def test_other_bytes_under_a_used_control_id_are_set_aside(bedside: hour.Hour) -> None:
    talk(mllp.framed(message(bedside.enrolment.mrn, control_id="X1", heart_rate=86)))
    assert talk(mllp.framed(message(bedside.enrolment.mrn, control_id="X1", heart_rate=99))) == [
        "CA"
    ]
    assert [value for _, value in stored(bedside.session)] == [86]
    assert "control id" in set_aside()[0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"device": Simulator(name="STRANGER", eui64="0011223344556677")}, "unknown sender"),
        ({"mrn": "TOR-99999"}, "patient id"),
    ],
)
def test_a_stranger_or_another_person_is_set_aside_not_shown(
    bedside: hour.Hour, change: dict[str, object], why: str
) -> None:
    given = {"mrn": bedside.enrolment.mrn, "heart_rate": 87, **change}
    assert talk(mllp.framed(message(**given))) == ["CA"]  # type: ignore[arg-type]
    assert stored(bedside.session) == []
    assert why in set_aside()[0]


def test_after_release_the_monitors_values_belong_to_nobody(bedside: hour.Hour) -> None:
    with access.acting(world.author("bob")) as by:
        actions.release(session=bedside.session, by=by)
    assert talk(mllp.framed(message(bedside.enrolment.mrn, heart_rate=88))) == ["CA"]
    assert stored(bedside.session) == []
    assert "bound to no session" in set_aside()[0]


def test_a_wrong_unit_sets_that_value_aside_and_keeps_the_good_one(bedside: hour.Hour) -> None:
    sent = message(bedside.enrolment.mrn, heart_rate=89, spo2=96)
    sent = sent.replace(b"262688^MDC_DIM_PERCENT^MDC", b"266016^MDC_DIM_MMHG^MDC")
    assert talk(mllp.framed(sent)) == ["CA"]
    assert stored(bedside.session) == [("heart_rate", Decimal(89))]
    assert len(set_aside()) == 1


def test_original_mode_is_answered_by_what_was_understood(bedside: hour.Hour) -> None:
    def original(sent: bytes) -> bytes:
        return mllp.framed(sent.replace(b"|AL|NE|", b"|||"))

    assert talk(original(message(bedside.enrolment.mrn, heart_rate=90))) == ["AA"]
    assert talk(original(message("TOR-99999", heart_rate=90))) == ["AE"]
    assert talk(original(message(bedside.enrolment.mrn, heart_rate=90, processing_id="D"))) == [
        "AR"
    ]


def test_a_clinic_does_not_take_a_simulators_message(bedside: hour.Hour) -> None:
    with override_settings(MODE="clinical"):
        assert talk(mllp.framed(message(bedside.enrolment.mrn, heart_rate=91))) == ["CR"]
    assert stored(bedside.session) == []


def test_nothing_is_acknowledged_while_the_database_is_away(
    bedside: hour.Hour, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = mllp.framed(message(bedside.enrolment.mrn, heart_rate=92))

    def away(**_: object) -> None:
        raise OperationalError("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(command.actions, "receive_all", away)
        assert talk(frame) == []
    assert talk(frame) == ["CA"]  # the sender sends again: nothing was lost
    assert len(stored(bedside.session)) == 1


def test_a_reader_that_breaks_loses_nothing(
    bedside: hour.Hour, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RecursionError

    monkeypatch.setattr("kap.wire.hl7v2.read", broken)
    assert talk(mllp.framed(message(bedside.enrolment.mrn, heart_rate=93))) == ["CA"]
    assert "RecursionError" in set_aside()[0]


def test_a_frame_above_the_cap_or_too_slow_ends_the_connection_not_the_listener(
    bedside: hour.Hour,
) -> None:
    small = mllp.Caps(frame_bytes=100)
    assert talk(mllp.framed(message(bedside.enrolment.mrn)), caps=small) == []
    slow = mllp.Caps(completion_s=0.1)
    assert talk(mllp.VT + b"MSH|", caps=slow, wait=0.5) == []
    assert talk(mllp.framed(message(bedside.enrolment.mrn)), caps=slow) == ["CA"]


def test_a_connection_above_the_limit_is_refused(bedside: hour.Hour) -> None:
    none = mllp.Caps(connections=0)
    assert talk(mllp.framed(message(bedside.enrolment.mrn)), caps=none) == []


def test_the_simulator_sends_a_scenario_over_the_socket(bedside: hour.Hour) -> None:
    async def scene() -> str:
        server = await command.serve(0)
        port = server.sockets[0].getsockname()[1]
        said = StringIO()
        await asyncio.to_thread(
            call_command,
            "simulate",
            "--scenario",
            "hypertension",
            "--sender",
            hour.MONITOR,
            "--mrn",
            bedside.enrolment.mrn,
            "--port",
            str(port),
            "--seconds",
            "3",
            "--rate",
            "50",
            stdout=said,
        )
        server.close()
        return said.getvalue()

    assert asyncio.run(scene()) == "sent 3, accepted 3, refused 0\n"
    assert len(stored(bedside.session)) >= 9


# -- what waits together --------------------------------------------------------------------------


def arrivals(*raws: bytes) -> list[mllp.Arrival]:
    return [mllp.Arrival(raw, "127.0.0.1:1") for raw in raws]


def answers(found: list[mllp.Answers]) -> list[str]:
    """Return one code a message; "-" where nothing was answered."""
    return [codes(b"".join(map(mllp.framed, replies)))[0] if replies else "-" for replies in found]


def rates(session: object) -> list[Decimal]:
    return [value for _, value in stored(session)]


def test_messages_that_wait_together_are_stored_by_one_commit(bedside: hour.Hour) -> None:
    sent = [message(bedside.enrolment.mrn, heart_rate=n) for n in (81, 82, 83)]
    assert answers(command.take(arrivals(*sent))) == ["CA"] * 3
    assert rates(bedside.session) == [81, 82, 83]
    with access.acting(access.worker("test")), connection.cursor() as cursor:
        cursor.execute("SELECT count(*), count(DISTINCT xmin::text) FROM interop_message")
        assert cursor.fetchone() == (3, 1)
        events = Event.objects.filter(action="observation.record")
        assert {event.detail["digest"] for event in events} == {
            row.digest for row in Message.objects.all()
        }


def refuses_ninety_nine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the record break on one value, as a row that a constraint refuses would."""
    record = actions.record_heard

    def breaks(*, heard: Sequence[actions.Heard]) -> object:
        if any(seen.value == 99 for one in heard for seen in one.seen):
            raise IntegrityError("a constraint refused a row")
        return record(heard=heard)

    monkeypatch.setattr("clinic.interop.actions.dosing.record_heard", breaks)


def test_a_message_that_cannot_be_recorded_costs_its_neighbours_nothing(
    bedside: hour.Hour, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuses_ninety_nine(monkeypatch)
    sent = [message(bedside.enrolment.mrn, heart_rate=n) for n in (81, 99, 83)]
    assert answers(command.take(arrivals(*sent))) == ["CA"] * 3
    assert rates(bedside.session) == [81, 83]
    assert set_aside() == ["could not be interpreted (IntegrityError)"]
    with access.acting(access.worker("test")):
        assert {bytes(row.raw) for row in Message.objects.all()} == set(sent)


def test_without_taking_each_by_itself_the_neighbours_are_lost(
    bedside: hour.Hour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: one transaction alone stores none of them, and answers none."""
    refuses_ninety_nine(monkeypatch)
    monkeypatch.setattr(command, "_alone", lambda _arrival: [None])
    sent = [message(bedside.enrolment.mrn, heart_rate=n) for n in (81, 99, 83)]
    assert answers(command.take(arrivals(*sent))) == ["-"] * 3
    assert stored(bedside.session) == []


def test_a_stranger_among_them_is_set_aside_alone(bedside: hour.Hour) -> None:
    sent = [
        message(bedside.enrolment.mrn, heart_rate=81),
        message("TOR-99999", heart_rate=82),
        b"\xff\xfe not HL7 at all",
        message(bedside.enrolment.mrn, heart_rate=84),
    ]
    assert answers(command.take(arrivals(*sent))) == ["CA", "CA", "AE", "CA"]
    assert rates(bedside.session) == [81, 84]
    assert len(set_aside()) == 2


def test_the_same_bytes_twice_at_once_are_stored_once(bedside: hour.Hour) -> None:
    raw = message(bedside.enrolment.mrn, heart_rate=85)
    assert answers(command.take(arrivals(raw, raw))) == ["CA", "CA"]
    assert rates(bedside.session) == [85]


def test_other_bytes_under_one_control_id_at_once_are_set_aside(bedside: hour.Hour) -> None:
    sent = [message(bedside.enrolment.mrn, control_id="X1", heart_rate=n) for n in (86, 98)]
    assert answers(command.take(arrivals(*sent))) == ["CA", "CA"]
    assert rates(bedside.session) == [86]
    assert "control id" in set_aside()[0]


def test_a_database_that_goes_away_while_each_is_taken_answers_none_of_the_rest(
    bedside: hour.Hour, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[int] = []

    def goes(*, arrived: Sequence[mllp.Arrival], **_: object) -> None:
        met.append(len(arrived))
        raise (IntegrityError if len(arrived) > 1 else OperationalError)

    sent = [message(bedside.enrolment.mrn, heart_rate=n) for n in (81, 82)]
    with monkeypatch.context() as patch:
        patch.setattr(command.actions, "receive_all", goes)
        assert command.take(arrivals(*sent)) == [None, None]
    assert met == [2, 1, 1]
    assert answers(command.take(arrivals(*sent))) == ["CA", "CA"]  # sent again: nothing was lost


class DeadlockDetected(OperationalError):
    sqlstate = "40P01"


def test_whoever_waited_in_a_circle_is_taken_again_and_nothing_is_set_aside(
    bedside: hour.Hour, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, met = actions.record_heard, []

    def meets(*, heard: Sequence[actions.Heard]) -> object:
        met.append(len(heard))
        if len(met) == 1:
            raise DeadlockDetected
        return record(heard=heard)

    monkeypatch.setattr("clinic.interop.actions.dosing.record_heard", meets)
    assert answers(command.take(arrivals(message(bedside.enrolment.mrn, heart_rate=87)))) == ["CA"]
    assert met == [1, 1]
    assert (rates(bedside.session), set_aside()) == ([87], [])


def test_a_program_error_answers_nothing_and_the_listener_lives_on(
    bedside: hour.Hour, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = mllp.framed(message(bedside.enrolment.mrn, heart_rate=88))

    def broken(**_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(command.actions, "receive_all", broken)
        assert talk(frame) == []
        patch.setattr(command, "take", broken)
        assert talk(frame) == []
    assert talk(frame) == ["CA"]


def test_what_comes_during_a_commit_shares_the_next_one() -> None:
    rounds: list[int] = []

    async def scene() -> list[mllp.Answers]:
        async def store(arrived: Sequence[mllp.Arrival]) -> list[mllp.Answers]:
            rounds.append(len(arrived))
            await asyncio.sleep(0.05)
            return [(one.raw,) for one in arrived]

        together = Together[mllp.Arrival, mllp.Answers](store)
        first = asyncio.create_task(together.ask(mllp.Arrival(b"0", "")))
        await asyncio.sleep(0.01)
        rest = [asyncio.create_task(together.ask(mllp.Arrival(b"%d" % n, ""))) for n in range(1, 5)]
        await asyncio.sleep(0.01)
        rest.pop(0).cancel()  # a sender that went away
        return [await first, *[await one for one in rest]]

    assert asyncio.run(scene()) == [(b"0",), (b"2",), (b"3",), (b"4",)]
    assert rounds == [1, 4]


def test_an_error_is_told_to_the_one_whose_it_is() -> None:
    async def scene() -> list[int | BaseException]:
        async def halve(asked: Sequence[int]) -> list[int | Exception]:
            if 13 in asked:
                raise RuntimeError
            return [one // 2 if one % 2 == 0 else ValueError(one) for one in asked]

        together = Together[int, int](halve, pause=0.01)
        found = await asyncio.gather(*map(together.ask, (4, 5)), return_exceptions=True)
        return [*found, *await asyncio.gather(together.ask(13), return_exceptions=True)]

    two, odd, broken = asyncio.run(scene())
    assert two == 2
    assert isinstance(odd, ValueError)
    assert isinstance(broken, RuntimeError)
