"""The audit log: one event for each patient, in the same transaction, in a chain that tells."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import transaction
from django.urls import reverse

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.audit.models import Event, Receipt, Seal
from clinic.course.models import Fact
from clinic.postgres import Server
from tests import world as ground
from tests.pages import text_of
from tests.world import World


def events(world: World, action: str) -> list[Event]:
    with world.acting("dee"):
        return list(Event.objects.filter(action=action).order_by("id"))


# -- what is written -------------------------------------------------------------------------------


def test_a_change_and_its_event_are_one_transaction(world: World) -> None:
    before = len(events(world, "fact.record"))
    ground.tell(world.course, weight="70")
    assert len(events(world, "fact.record")) == before + 1

    @transaction.atomic
    def tell_and_fail() -> None:
        ground.tell(world.course, weight="71")
        raise RuntimeError("a test's")

    with pytest.raises(RuntimeError):
        tell_and_fail()
    assert len(events(world, "fact.record")) == before + 1
    with world.acting("bob"):
        assert [f.value for f in Fact.objects.filter(name="weight")] == ["70"]


def test_an_event_names_who_what_whose_and_holds_no_value(world: World) -> None:
    ground.tell(world.course, weight="70")
    event = events(world, "fact.record")[-1]
    assert event.actor == world.author("bob").id
    assert (event.role, event.site_id, event.purpose) == ("nurse", "toronto", "treatment")
    assert event.patient_id == world.patient.pk
    assert (event.object_kind, event.object_id) == ("course.Course", str(world.course.pk))
    assert event.detail == {"names": ["weight"]}
    assert "70" not in str(event.detail)
    assert "Marie" not in audit.canonical(event).decode()


@pytest.mark.parametrize(
    ("name", "view", "action"),
    [
        ("bob", "intake:screening", "screening.view"),
        ("alice", "intake:review", "review.view"),
        ("tess", "intake:consent", "consent.view"),
    ],
)
def test_reading_one_patient_is_one_event(world: World, name: str, view: str, action: str) -> None:
    world.client(name).get(reverse(view, args=[world.course.pk]))
    (event,) = events(world, action)
    assert (event.patient_id, event.actor) == (world.patient.pk, world.author(name).id)


def test_a_list_is_one_event_for_each_patient_it_shows(world: World) -> None:
    _enrolment, second = ground.open_person("Second Person")
    ground.open_person("Third Person", by="charlie")
    world.client("bob").get(reverse("today:patients"))
    seen = [event.patient_id for event in events(world, "patient.list")]
    assert len(seen) == 2
    assert set(seen) == {world.patient.pk, second.patient_id}


def test_a_list_that_shows_nobody_says_so(world: World) -> None:
    world.client("charlie").get(reverse("intake:worklist"))
    with world.acting("charlie"):
        (event,) = Event.objects.filter(action="worklist.view")
        assert (event.patient_id, event.detail) == (None, {"found": 0})


def test_one_request_has_one_number(world: World) -> None:
    ground.open_person("Second Person")
    world.client("bob").get(reverse("today:patients"))
    assert len({event.request for event in events(world, "patient.list")}) == 1


def test_an_event_of_another_site_is_not_read(world: World) -> None:
    ground.tell(world.course, weight="70")
    with world.acting("charlie"):
        assert not Event.objects.filter(action="fact.record").exists()


def test_the_privacy_officer_reads_the_log_and_that_is_logged(world: World) -> None:
    ground.tell(world.course, weight="70")
    page = world.client("pri").get(reverse("today:audit"), {"action": "fact"})
    assert "fact.record" in text_of(page)
    assert len(events(world, "audit.view")) == 1


# -- receipts --------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_key_is_answered_once_and_only_for_the_same_request() -> None:
    body = {"weight": ["70"]}
    assert audit.receipt(principal="staff:1", key="k", body=body) is None
    audit.keep_receipt(principal="staff:1", key="k", body=body, result={"led_to": "/there"})
    assert audit.receipt(principal="staff:1", key="k", body=body) == {"led_to": "/there"}
    assert audit.receipt(principal="staff:2", key="k", body=body) is None
    with pytest.raises(audit.OtherRequest, match="make a new one"):
        audit.receipt(principal="staff:1", key="k", body={"weight": ["71"]})
    assert "70" not in str(Receipt.objects.values_list().get())


# -- the chain -------------------------------------------------------------------------------------


def write(action: str, site: str = "toronto") -> None:
    audit.record(by=Author("staff:1", "", "nurse", (site,)), action=action, patient=None)


@pytest.mark.django_db
def test_every_event_is_sealed_once_in_a_chain_for_each_site() -> None:
    with ground.acting("dee"):
        for action in ("one", "two"):
            write(action)
        assert audit.seal() == 2
        assert audit.seal() == 0
        write("three")
        assert audit.seal() == 1
        chain = list(Seal.objects.filter(site_id="toronto").order_by("seq"))
        assert [link.seq for link in chain] == [1, 2, 3]
        assert chain[1].hash == audit.link(chain[0].hash, chain[1].event)
        assert audit.verify(["toronto", "vancouver", ""]) == []


@pytest.fixture
def sealed(clone_database: str) -> str:
    """A database of this test alone with five sealed events of Toronto, committed."""
    ground.install()
    with ground.acting("dee"):
        for action in ("one", "two", "three", "four", "five"):
            write(action)
    with ground.acting("dee"):
        assert audit.seal() == 5
    return clone_database


def broken() -> list[tuple[int, str]]:
    with ground.acting("dee"):
        return [(found.seq, found.why) for found in audit.verify(["toronto"])]


def tamper(server: Server, database: str, *statements: Any) -> None:
    """Change rows as nobody may: the superuser, with every trigger off."""
    with psycopg.connect(server.url("postgres", database)) as superuser:
        superuser.execute("SET session_replication_role = replica")
        for statement in statements:
            superuser.execute(statement)


EVENT = "(SELECT event_id FROM audit_seal WHERE seq = {})"
EDITED = f"UPDATE audit_event SET actor = 'staff:2' WHERE id = {EVENT.format(3)}"
DETAILED = f"UPDATE audit_event SET detail = '{{\"a\": 1}}' WHERE id = {EVENT.format(2)}"
MOVED_IN_TIME = (
    "UPDATE audit_event SET recorded_at = recorded_at + interval '1 s'"
    f" WHERE id = {EVENT.format(5)}"
)
TAKEN_OUT = "DELETE FROM audit_seal WHERE seq = 3"
CLOSED_UP = "UPDATE audit_seal SET seq = seq - 1 WHERE seq > 3"
SWAPPED = (
    "UPDATE audit_seal SET seq = -2 WHERE seq = 2",
    "UPDATE audit_seal SET seq = 2 WHERE seq = 3",
    "UPDATE audit_seal SET seq = 3 WHERE seq = -2",
)
PUT_IN = (
    "ALTER TABLE audit_seal DROP CONSTRAINT audit_seal_seq",
    "UPDATE audit_seal SET seq = seq + 1 WHERE seq >= 3",
    "INSERT INTO audit_event (recorded_at, site_id, actor, role, purpose, action, object_kind,"
    " object_id, outcome, request, detail)"
    " SELECT recorded_at, site_id, 'staff:9', role, purpose, action, object_kind, object_id,"
    f" outcome, request, detail FROM audit_event WHERE id = {EVENT.format(2)}",
    "INSERT INTO audit_seal (site_id, seq, event_id, hash)"
    " SELECT 'toronto', 3, max(id), repeat('0', 64) FROM audit_event",
)


@pytest.mark.parametrize(
    ("statements", "place"),
    [
        ((EDITED,), 3),
        ((DETAILED,), 2),
        ((MOVED_IN_TIME,), 5),
        ((TAKEN_OUT,), 3),
        ((TAKEN_OUT, CLOSED_UP), 3),
        (SWAPPED, 2),
        (PUT_IN, 3),
    ],
    ids=["edited", "detail", "time", "taken out", "closed up", "swapped", "put in"],
)
def test_the_chain_tells_where_it_was_tampered_with(
    server: Server, sealed: str, statements: tuple[str, ...], place: int
) -> None:
    assert broken() == []
    tamper(server, sealed, *statements)
    ((found, why),) = broken()
    assert found == place
    assert str(place) in why or "is not what was sealed" in why


def test_a_chain_nobody_touched_holds(server: Server, sealed: str) -> None:
    tamper(server, sealed, "UPDATE audit_receipt SET key = 'other'")
    assert broken() == []


def test_a_broken_chain_is_shown_to_the_privacy_officer(
    server: Server, sealed: str, settings: Any
) -> None:
    settings.MODE = "demo"
    pri = ground.signed_in("pri")
    whole = text_of(pri.get(reverse("today:audit")))
    tamper(server, sealed, EDITED)
    torn = text_of(pri.get(reverse("today:audit")))
    assert "is not what was sealed" not in whole
    assert "is not what was sealed" in torn


def test_two_sealers_at_once_seal_each_event_once(server: Server, sealed: str) -> None:
    with ground.acting("dee"):
        write("six")
    with psycopg.connect(server.url("ag_worker", sealed)) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [audit.SEALER_LOCK])
        with ground.acting("dee"):
            assert audit.seal() == 0
    with ground.acting("dee"):
        assert audit.seal() == 1


def test_an_event_without_a_site_has_a_chain_too(sealed: str) -> None:
    assert sealed
    with ground.acting("dee"):
        audit.record(by=Author("anonymous", "", "patient", ()), action="help.view", key=uuid4().hex)
        assert audit.seal() == 1
        assert audit.verify([""]) == []
