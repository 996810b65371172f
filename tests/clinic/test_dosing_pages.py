"""The pages of the hour over HTTP: what is shown, to whom, what a form does, what is audited."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client, override_settings
from django.urls import reverse

from clinic.audit.models import Event
from clinic.course.models import Fact
from clinic.database import now
from clinic.dosing import actions, queries
from clinic.dosing.models import Infusion, Order, SessionEvent, StartAuthorization
from clinic.interop import actions as interop
from clinic.people import access
from kap.observation import Observation as Reading
from tests import world
from tests.clinic import hour
from tests.clock import Clock
from tests.pages import key

SET = {"mg_per_kg": "0.5", "minutes": "40", "vial_mg_per_ml": "50", "final_ml": "50"}


@pytest.fixture(autouse=True)
def without_second_factor() -> Iterator[None]:
    """In demo mode a password alone signs in; the second factor has tests of its own."""
    with override_settings(MODE="demo"):
        yield


@pytest.fixture
def chair(ready: hour.Hour) -> hour.Hour:
    """Marie in the chair with the day's facts: committed."""
    with access.acting(world.author("bob")):
        ready.ready_for_the_day()
    return ready


def signed_in(name: str) -> Client:
    """Return a browser in which this person is signed in."""
    client = Client()
    client.force_login(world.staff(name).user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def address(view: str, at: hour.Hour) -> str:
    return reverse(f"dosing:{view}", kwargs={"session_id": at.session.pk})


def audited() -> list[str]:
    with access.acting(access.worker("test")):
        return list(Event.objects.order_by("id").values_list("action", flat=True))


def text_of(response: Any) -> str:
    return " ".join(response.content.decode().split())


# -- the order ------------------------------------------------------------------------------------


def test_the_order_page_shows_arithmetic_before_it_is_signed(chair: hour.Hour) -> None:
    alice = signed_in("alice")
    empty = alice.get(address("order", chair))
    assert "76.4 kg" in text_of(empty)
    assert 'name="mg_per_kg" value' not in text_of(empty)  # nothing is filled in
    shown = alice.post(address("order", chair), {**SET, "key": str(uuid4())})
    assert shown.status_code == 200
    assert "0.5 mg/kg × 76.4 kg = 38.2 mg" in text_of(shown)
    assert "Sign 38 mg over 40 min for Marie K." in text_of(shown)
    assert not orders()
    signed = alice.post(address("order", chair), {**SET, "key": str(uuid4()), "sign": "1"})
    assert signed.status_code == 302
    assert len(orders()) == 1
    assert {"order.view", "order.sign"} <= set(audited())


def orders() -> list[Order]:
    with access.acting(world.author("alice")):
        return list(Order.objects.all())


def test_a_tenfold_dose_is_blocked_in_words_and_kept_in_the_form(chair: hour.Hour) -> None:
    alice = signed_in("alice")
    wrong = {**SET, "mg_per_kg": "5", "key": str(uuid4()), "sign": "1"}
    response = alice.post(address("order", chair), wrong)
    assert response.status_code == 400
    assert "DOSE-MAX" in text_of(response)
    assert 'value="5"' in text_of(response)
    assert not orders()


def test_a_second_press_signs_one_order(chair: hour.Hour) -> None:
    alice, same = signed_in("alice"), {**SET, "key": str(uuid4()), "sign": "1"}
    for _ in range(2):
        alice.post(address("order", chair), same)
    assert len(orders()) == 1


@pytest.mark.parametrize(
    ("name", "view", "status"),
    [
        ("bob", "order", 404),
        ("tess", "start", 404),
        ("charlie", "session", 404),
        ("charlie", "start", 404),
        ("charlie", "order", 404),
        ("charlie", "record", 404),
        ("charlie", "chart", 404),
        ("tess", "session", 200),
        ("bob", "session", 200),
        ("omar", "order", 200),
        ("bob", "record", 200),
        ("bob", "discharge", 200),
    ],
)
def test_pages_are_open_to_those_of_the_role_and_site(
    chair: hour.Hour, name: str, view: str, status: int
) -> None:
    assert signed_in(name).get(address(view, chair)).status_code == status


@pytest.mark.parametrize("view", ["event", "vitals", "alarm", "bind"])
def test_another_site_can_write_nothing(running: hour.Hour, view: str) -> None:
    sent = {"key": str(uuid4()), "kind": "said", "text": "x", "heart_rate": "80"}
    assert signed_in("charlie").post(address(view, running), sent).status_code == 404


# -- the start ------------------------------------------------------------------------------------


def test_from_the_checklist_to_the_running_infusion(ready: hour.Hour) -> None:
    with access.acting(world.author("alice")):
        ready.tell(escort_named=True)
        ready.sign()
    bob, page = signed_in("bob"), address("start", ready)
    first = text_of(bob.get(page))
    assert "Was there any alcohol in the last 24 hours?" in first
    assert "Closed until the gate above is open" in first
    assert not re.search(r"<input[^>]* checked", first)  # nothing is preselected
    with access.acting(world.author("bob")):
        ready.tell(minutes_ago=9, systolic=122, diastolic=78)
    day = {name: {True: "yes", False: "no"}.get(value, value) for name, value in world.DAY.items()}  # type: ignore[call-overload]
    vitals = {"systolic": "120", "diastolic": "78", "heart_rate": "68", "spo2": "98"}
    told = bob.post(page, {"do": "facts", "key": key(), **day, "taken_at": ""})
    assert told.status_code == 302, text_of(told)
    assert (
        bob.post(page, {"do": "again", "key": key(), **vitals, "taken_at": ""}).status_code == 302
    )
    wrong = {
        "do": "check",
        "key": str(uuid4()),
        "second_username": "nina",
        "second_password": "not hers",
        "rate_ml_h": "75",
    }
    assert bob.post(page, wrong).status_code == 400
    right = {**wrong, "second_password": world.PASSWORD}
    assert bob.post(page, {**right, "rate_ml_h": "7.5"}).status_code == 400
    assert bob.post(page, {**right, "second_username": "bob"}).status_code == 400
    done = bob.post(page, right)
    assert done.status_code == 302, text_of(done)
    ready_page = text_of(bob.get(page))
    assert "Start 38 mg over 40 min for Marie K." in ready_page
    with access.acting(world.author("bob")):
        authorization = StartAuthorization.objects.get()
    sent = {"do": "start", "key": str(uuid4()), "authorization": str(authorization.pk)}
    with access.acting(world.author("bob")):
        ready.tell(alcohol_24h=True)
    changed = bob.post(page, sent)
    assert changed.status_code == 409
    assert "Something changed since the second check" in text_of(changed)
    with access.acting(world.author("bob")):
        ready.tell(alcohol_24h=False)
    bob.post(page, {**right, "key": str(uuid4())})
    with access.acting(world.author("bob")):
        authorization = StartAuthorization.objects.order_by("-decided_at")[0]
    begun = bob.post(
        page, {"do": "start", "key": str(uuid4()), "authorization": str(authorization.pk)}
    )
    assert begun.status_code == 302
    assert begun["Location"] == address("session", ready)
    assert {"start.view", "fact.record", "start.authorise", "infusion.start"} <= set(audited())


def test_a_reading_pressed_twice_at_the_gate_is_one_reading(chair: hour.Hour) -> None:
    with access.acting(world.author("alice")):
        chair.sign()
    bob, page = signed_in("bob"), address("start", chair)
    sent = {"do": "again", "key": key(), "systolic": "131", "diastolic": "79", "taken_at": ""}
    presses = [bob.post(page, sent) for _press in range(2)]
    assert [(done.status_code, done["Location"]) for done in presses] == [(302, page)] * 2
    other = bob.post(page, sent | {"systolic": "141"}, follow=True)
    assert "sent before with other answers" in text_of(other)
    assert bob.post(page, sent | {"key": key(), "systolic": "133"}).status_code == 302
    with access.acting(world.author("bob")):
        told = Fact.objects.filter(name="systolic", session=chair.session)
        assert [fact.value for fact in told.order_by("-recorded_at")[:2]] == ["133", "131"]
        assert told.filter(value="131").count() == 1


def test_an_empty_checklist_says_so(chair: hour.Hour) -> None:
    with access.acting(world.author("alice")):
        chair.sign()
    response = signed_in("bob").post(
        address("start", chair), {"do": "again", "key": key(), "taken_at": ""}
    )
    assert response.status_code == 400
    assert "Nothing was answered" in text_of(response)


def test_without_an_order_the_start_page_says_the_way_out(chair: hour.Hour) -> None:
    assert "No order is signed" in text_of(signed_in("bob").get(address("start", chair)))


# -- the hour -------------------------------------------------------------------------------------


def test_the_session_page_is_complete_without_script(running: hour.Hour) -> None:
    read(running, 96)
    page = text_of(signed_in("bob").get(address("session", running)))
    for words in ("Marie", "INFUSING", ">96<", "STOP", "EMERGENCY", "Secondary display", "T+0:"):
        assert words in page, words
    assert "<title> Rm 2 · Afterglow</title>" in page.replace("<title>Rm", "<title> Rm")
    assert "Kowalski" not in page.split("</title>")[0]


def read(at: hour.Hour, heart_rate: int, **more: int) -> None:
    """Commit readings of now."""
    with access.acting(world.author("bob")) as by:
        seen = [
            Reading(
                name,
                Decimal(value),
                "/min" if name == "heart_rate" else "mm[Hg]",
                observed_at=now(),
                received_at=now(),
            )
            for name, value in {"heart_rate": heart_rate, **more}.items()
        ]
        actions.record_observations(session=at.session, seen=seen, by=by)


def test_a_tap_is_written_and_answered_to_script_and_page(running: hour.Hour) -> None:
    bob, tap = signed_in("bob"), {"kind": "said", "text": "vomiting", "key": str(uuid4())}
    by_script = bob.post(address("event", running), tap, headers={"X-Live": "1"})
    assert (by_script.status_code, by_script["X-Saved"][:5]) == (204, "Saved")
    assert by_script["X-Key"] != tap["key"]
    assert bob.post(address("event", running), tap).status_code == 302  # a replay is harmless
    with access.acting(world.author("bob")):
        assert SessionEvent.objects.filter(kind="said").count() == 1


def test_what_does_not_fit_is_refused_in_words(running: hour.Hour) -> None:
    bob = signed_in("bob")
    for sent in ({"kind": "resume"}, {"kind": "said", "text": " "}, {"kind": "dance"}):
        given = {**sent, "key": str(uuid4())}
        assert (
            bob.post(address("event", running), given, headers={"X-Live": "1"}).status_code == 400
        )
        assert bob.post(address("event", running), given).status_code == 400


def test_pause_resume_stop_and_undo_by_taps(running: hour.Hour) -> None:
    bob, page = signed_in("bob"), address("event", running)
    for kind in ("pause", "resume", "stop", "emergency"):
        assert bob.post(page, {"kind": kind, "key": str(uuid4())}).status_code == 302
    said = {"kind": "said", "text": "asleep", "key": str(uuid4())}
    bob.post(page, said)
    undo = {"kind": "undo", "key": str(uuid4()), "corrects": said["key"]}
    assert bob.post(page, undo).status_code == 302
    assert "<s>noted · asleep</s>" in text_of(bob.get(address("session", running)))
    with access.acting(world.author("bob")):
        assert Infusion.objects.get().state == "stopped"


def test_a_typed_set_and_scores_are_stored(running: hour.Hour) -> None:
    bob, page = signed_in("bob"), address("vitals", running)
    typed = {"systolic": "172", "diastolic": "98", "key": str(uuid4())}
    assert bob.post(page, typed).status_code == 302
    assert bob.post(page, {"scores": "1", "moaas": "5", "key": str(uuid4())}).status_code == 302
    nothing = bob.post(page, {"key": str(uuid4())}, headers={"X-Live": "1"})
    assert (nothing.status_code, "Nothing was entered" in nothing.content.decode()) == (400, True)
    impossible = bob.post(page, {"systolic": "1720", "key": str(uuid4())}, headers={"X-Live": "1"})
    assert impossible.status_code == 400
    shown = text_of(bob.get(address("session", running)))
    assert "SYS 172 ≥ 160 mmHg" in shown
    acknowledge = {"signal": "blood_pressure", "do": "acknowledge", "key": str(uuid4())}
    assert bob.post(address("alarm", running), acknowledge).status_code == 302
    cause = {**acknowledge, "do": "close", "cause": "artefact"}
    assert bob.post(address("alarm", running), cause).status_code == 302
    odd = {**acknowledge, "do": "close", "cause": "ghosts"}
    assert bob.post(address("alarm", running), odd).status_code == 400
    gone = {**acknowledge, "signal": "spo2"}
    assert bob.post(address("alarm", running), gone).status_code == 400


def test_a_therapist_may_note_but_not_chart_vitals(running: hour.Hour) -> None:
    tess = signed_in("tess")
    said = {"kind": "said", "text": "anxious", "key": str(uuid4())}
    assert tess.post(address("event", running), said).status_code == 302
    assert tess.post(address("vitals", running), {"key": str(uuid4())}).status_code == 404


def test_the_trend_is_a_picture_a_table_and_a_file(running: hour.Hour) -> None:
    read(running, 96, systolic=120, diastolic=80)
    bob = signed_in("bob")
    drawn = text_of(bob.get(address("chart", running)))
    assert "<svg" in drawn
    assert "<table" in drawn
    told = bob.get(address("chart", running), {"csv": "1"}).content.decode()
    assert told.splitlines()[0] == "minute,signal,value,unit,source"
    assert ",heart_rate,96,/min,device" in told
    assert "session.chart" in audited()


def test_binding_needs_both_identifiers(running: hour.Hour) -> None:
    hour.owner_adds_device(hour.MONITOR)
    bob = signed_in("bob")
    with access.acting(world.author("bob")):
        from clinic.dosing.models import Device

        device = str(Device.objects.get().pk)
    wrong = {"device": device, "mrn": "TOR-99999", "birth_date": "1988-05-17", "key": str(uuid4())}
    assert bob.post(address("bind", running), wrong).status_code == 400
    right = {**wrong, "mrn": running.enrolment.mrn}
    assert bob.post(address("bind", running), right).status_code == 302
    with access.acting(world.author("bob")):
        assert queries.bound_to(running.session) is not None


# -- the way home, the record, the board ----------------------------------------------------------


def test_discharge_by_the_page(running: hour.Hour, clock: Clock) -> None:
    bob, page = signed_in("bob"), address("discharge", running)
    assert "has not been stopped" in text_of(bob.get(page))
    bob.post(address("event", running), {"kind": "stop", "key": str(uuid4())})
    clock.step(50 * 60)
    vitals = {
        "systolic_session": "120",
        "diastolic_session": "78",
        "heart_rate_session": "70",
        "spo2_session": "98",
    }
    closed = text_of(bob.get(page))
    assert "Closed: each gate above says why" in closed
    assert bob.post(page, {"do": "sign", "key": str(uuid4())}).status_code == 400
    well = {
        **vitals,
        "moaas": "5",
        "oriented": "yes",
        "aldrete": "10",
        "padss": "10",
        "gait_steady": "yes",
        "dissociation": "0",
        "distress": "0",
        "nausea": "0",
        "sips_tolerated": "yes",
        "escort_present": "yes",
        "instructions_understood": "yes",
        "next_contact_booked": "yes",
        "line_removed": "yes",
        "taken_at": "",
    }
    told = bob.post(page, {"do": "facts", "key": key(), **well})
    assert told.status_code == 302, text_of(told)
    vial = {
        "do": "close",
        "key": str(uuid4()),
        "second_username": "nina",
        "second_password": world.PASSWORD,
    }
    assert bob.post(page, {**vial, "second_password": "x"}).status_code == 400
    assert bob.post(page, vial).status_code == 302
    clock.step(11 * 60)
    opened = text_of(bob.get(page))
    assert "Sign the discharge of Marie K." in opened, opened
    signed = bob.post(page, {"do": "sign", "key": str(uuid4())})
    assert signed.status_code == 302
    record = text_of(bob.get(address("record", running)))
    assert "Record of dosing session 1" in record
    assert "SHA-256" in record
    assert "Discharged" in text_of(bob.get(page))


def test_leaving_against_advice_by_the_page(running: hour.Hour) -> None:
    bob, page = signed_in("bob"), address("discharge", running)
    bob.post(address("event", running), {"kind": "stop", "key": str(uuid4())})
    assert bob.post(page, {"do": "leave", "key": str(uuid4()), "reason": ""}).status_code == 400
    left = bob.post(page, {"do": "leave", "key": str(uuid4()), "reason": "wants to go"})
    assert left.status_code == 302
    assert "Left against advice" in text_of(bob.get(page))


def test_a_prescriber_overrides_by_the_page(running: hour.Hour) -> None:
    bob = signed_in("bob")
    bob.post(address("event", running), {"kind": "stop", "key": str(uuid4())})
    alice, page = signed_in("alice"), address("discharge", running)
    assert "Override one finding" in text_of(alice.get(page))
    lift = {"do": "lift", "key": key(), "rule_id": "GO-TIME", "reason": "too short"}
    assert alice.post(page, lift).status_code == 400
    lift["reason"] = "stopped after one minute, fully awake"
    assert alice.post(page, lift).status_code == 302
    assert "decision.overridden" in audited()


def test_the_board_shows_initials_and_removes_what_is_stale(
    running: hour.Hour, clock: Clock
) -> None:
    read(running, 96, systolic=172, diastolic=98)
    nina = signed_in("nina")
    board = text_of(nina.get(reverse("dosing:board")))
    assert "M.K." in board
    assert "Kowalski" not in board
    assert ">96<" in board
    assert "SYS 172" in board
    clock.step(11)
    rows = text_of(nina.get(reverse("dosing:board_rows")))
    assert ">96<" not in rows
    assert "NO DATA" in rows
    assert "M.K." not in text_of(signed_in("charlie").get(reverse("dosing:board")))
    assert audited().count("board.view") == 3


def test_what_could_not_be_read_is_listed_and_resolved_once(running: hour.Hour) -> None:
    with access.acting(access.worker("mllp")) as by:
        interop.receive(raw=b"junk", peer="test", by=by)
    bob, page = signed_in("bob"), reverse("devices:quarantine")
    assert running
    shown = bob.get(page)
    [row] = shown.context["rows"]
    resolve = reverse("devices:resolve", kwargs={"quarantine_id": row.pk})
    assert bob.post(resolve, {"note": ""}).status_code == 400
    assert bob.post(resolve, {"note": "a test cable"}).status_code == 302
    assert bob.post(resolve, {"note": "again"}).status_code == 400
    assert "No device message waits" in text_of(bob.get(page))
    assert signed_in("tess").get(page).status_code == 404
