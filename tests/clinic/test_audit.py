"""The audit log: one event for each patient, in the same transaction, in a chain that tells."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from clinic.audit import actions as audit
from clinic.audit import chain
from clinic.audit.author import Author
from clinic.audit.models import Event, Head, Receipt, Seal, Walk
from clinic.course.models import Fact
from clinic.postgres import Server
from tests import world as ground
from tests.conftest import signed_in_as
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
    assert "Marie" not in chain.canonical(event).decode()


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


@pytest.fixture
def watched(server: Server, clone_database: str) -> Iterator[str]:
    """A database of this test alone with the world's staff, where the watch seals and walks."""
    ground.install()
    with signed_in_as(server, "ag_worker", clone_database):
        yield clone_database


def seal() -> int:
    with ground.acting("dee"):
        return audit.seal()


def walk(links: int = 100) -> None:
    with ground.acting("dee"):
        audit.walk(links=links)


def test_every_event_is_sealed_once_in_a_chain_for_each_site(watched: str) -> None:
    assert watched
    with ground.acting("dee"):
        for action in ("one", "two"):
            write(action)
        assert audit.seal() == 2
        assert audit.seal() == 0
        write("three")
        assert audit.seal() == 1
        links = list(Seal.objects.filter(site_id="toronto").order_by("seq"))
        assert [each.seq for each in links] == [1, 2, 3]
        assert links[1].hash == chain.link(links[0].hash, links[1].event)
        assert chain.verify(["toronto", "vancouver", ""]) == []


def test_a_batch_is_sealed_in_as_many_queries_as_one_event(watched: str) -> None:
    assert watched
    taken = []
    for events_written in (1, 40):
        with ground.acting("dee"):
            for _ in range(events_written):
                write("one")
        with ground.acting("dee"), CaptureQueriesContext(connection) as queries:
            assert audit.seal() == events_written
        taken.append(len(queries))
    assert taken[0] == taken[1]


def test_a_backlog_is_sealed_in_parts_that_are_one_chain(
    watched: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert watched
    monkeypatch.setattr(audit, "SEALED_AT_ONCE", 2)
    with ground.acting("dee"):
        for action in ("one", "two", "three"):
            write(action)
    assert [seal(), seal(), seal()] == [2, 1, 0]
    assert broken() == []


@pytest.fixture
def sealed(watched: str) -> str:
    """A database of this test alone with five sealed events of Toronto, committed."""
    with ground.acting("dee"):
        for action in ("one", "two", "three", "four", "five"):
            write(action)
    assert seal() == 5
    return watched


def broken() -> list[tuple[int, str]]:
    with ground.acting("dee"):
        return [(found.seq, found.why) for found in chain.verify(["toronto"])]


def seen() -> chain.Chain:
    """What the audit page sees of Toronto's chain."""
    with ground.acting("dee"):
        (found,) = chain.since_walk(["toronto"])
    return found


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
CUT_OFF = (
    "CREATE TEMP TABLE last ON COMMIT DROP AS SELECT event_id FROM audit_seal WHERE seq > 3",
    "DELETE FROM audit_seal WHERE seq > 3",
    "DELETE FROM audit_event WHERE id IN (SELECT event_id FROM last)",
)
HEAD_PUT_BACK = (
    "UPDATE audit_head SET seq = 3, hash = (SELECT hash FROM audit_seal WHERE seq = 3)"
    " WHERE site_id = 'toronto'"
)
HEAD_GONE = "DELETE FROM audit_head"
RESEALED = "UPDATE audit_seal SET hash = repeat('a', 64) WHERE seq = 5"
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
        (CUT_OFF, 4),
        ((HEAD_PUT_BACK,), 4),
        ((HEAD_GONE,), 1),
        ((RESEALED,), 5),
    ],
    ids=[
        "edited",
        "detail",
        "time",
        "taken out",
        "closed up",
        "swapped",
        "put in",
        "cut off",
        "head put back",
        "head gone",
        "sealed anew",
    ],
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


def test_what_is_sealed_after_a_cut_does_not_hide_it(server: Server, sealed: str) -> None:
    tamper(server, sealed, *CUT_OFF)
    with ground.acting("dee"):
        write("six")
    assert seal() == 1
    ((place, why),) = broken()
    assert (place, why) == (4, "link 4 of 6 is missing")


def test_a_cut_with_its_head_put_back_is_told_only_by_a_head_noted_elsewhere(
    server: Server, sealed: str
) -> None:
    """What the database alone can't tell, and what can."""
    noted = seen().noted
    tamper(server, sealed, *CUT_OFF, HEAD_PUT_BACK)
    assert broken() == []
    with pytest.raises(CommandError, match="toronto: the head noted at link 5 is not in the chain"):
        call_command("audit", "verify", "--head", noted, stdout=StringIO())


@pytest.mark.parametrize("role", ["ag_app", "ag_worker"])
def test_nobody_at_work_shortens_a_head(server: Server, sealed: str, role: str) -> None:
    for statement in (HEAD_PUT_BACK, HEAD_GONE, "TRUNCATE audit_head"):
        with psycopg.connect(server.url(role, sealed)) as there:
            there.execute("SELECT set_config('afterglow.sites', 'toronto', true)")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                there.execute(statement)


def test_not_even_the_owner_takes_a_head_back_by_mistake(server: Server, sealed: str) -> None:
    with (
        psycopg.connect(server.url("ag_migrate", sealed)) as owner,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="only grows"),
    ):
        owner.execute(HEAD_PUT_BACK)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO audit_seal (site_id, seq, event_id, hash)"
        " SELECT 'toronto', 6, max(id), '' FROM audit_event",
        "INSERT INTO audit_head VALUES ('', 9, '', now())",
        "UPDATE audit_head SET seq = 9",
        "INSERT INTO audit_walk (site_id, seq, hash, whole_seq, whole_hash, broken_why)"
        " VALUES ('toronto', 0, '', 5, '', '')",
    ],
)
def test_the_program_that_serves_pages_neither_seals_nor_says_what_was_looked_at(
    server: Server, sealed: str, statement: str
) -> None:
    with psycopg.connect(server.url("ag_app", sealed)) as app:
        app.execute("SELECT set_config('afterglow.sites', 'toronto', true)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
            app.execute(statement)


# -- what was looked at ----------------------------------------------------------------------------


def test_a_page_looks_at_every_link_until_the_watch_has(sealed: str) -> None:
    assert sealed
    assert (seen().before, seen().just_now) == (0, 5)
    walk()
    with ground.acting("dee"):
        write("six")
    assert seen().unsealed == 1
    seal()
    assert (seen().before, seen().just_now, seen().unsealed) == (5, 1, 0)
    assert seen().before_from is not None


def test_a_walk_in_parts_is_whole_only_at_the_head(sealed: str) -> None:
    assert sealed
    for before in (0, 0, 5):
        walk(links=2)
        assert seen().before == before
    assert Walk.objects.count() == 0  # outside a site nothing is seen
    with ground.acting("dee"):
        assert Walk.objects.get().seq == 0  # and it begins anew


def test_a_page_finds_a_change_of_what_came_after_the_walk(server: Server, sealed: str) -> None:
    walk()
    with ground.acting("dee"):
        write("six")
    seal()
    tamper(server, sealed, f"UPDATE audit_event SET actor = 'x' WHERE id = {EVENT.format(6)}")
    assert seen().broken == chain.Broken("toronto", 6, "event 6 is not what was sealed")


def test_a_page_finds_that_the_link_up_to_which_was_walked_is_another(
    server: Server, sealed: str
) -> None:
    walk()
    tamper(server, sealed, RESEALED)
    assert seen().broken == chain.Broken("toronto", 5, "event 5 is not what was sealed")


def test_an_old_change_is_found_by_the_next_walk_and_stays_said(
    server: Server, sealed: str
) -> None:
    walk()
    tamper(server, sealed, EDITED)
    assert seen().broken is None  # as the page says, it looked at links 1 to 5 before
    walk(links=2)
    assert seen().broken is None
    walk(links=2)
    assert seen().broken == chain.Broken("toronto", 3, "event 3 is not what was sealed")
    tamper(server, sealed, "UPDATE audit_event SET actor = 'staff:1'")
    walk()
    assert seen().broken is not None
    call_command("audit", "verify", stdout=StringIO())
    assert seen().broken is None


def test_a_walk_finds_a_head_that_is_not_the_last_link(server: Server, sealed: str) -> None:
    tamper(server, sealed, "UPDATE audit_head SET hash = repeat('b', 64)")
    walk()
    assert seen().broken == chain.Broken("toronto", 5, "link 5 is not the one that was sealed last")


def test_the_command_says_what_holds_and_fails_where_it_does_not(
    server: Server, sealed: str
) -> None:
    said = StringIO()
    head = seen().noted
    call_command("audit", "verify", "--head", head, stdout=said)
    assert said.getvalue() == f"{head}  5 links hold\n"
    assert (seen().before, seen().just_now) == (5, 0)
    tamper(server, sealed, EDITED)
    with pytest.raises(CommandError, match="toronto: event 3 is not what was sealed"):
        call_command("audit", "verify", stdout=StringIO())
    assert seen().broken is not None
    with pytest.raises(CommandError, match="is no head; write SITE:NUMBER:HASH"):
        call_command("audit", "verify", "--head", "5", stdout=StringIO())


def test_the_page_looks_at_every_link_when_asked_to(
    server: Server, sealed: str, settings: Any
) -> None:
    settings.MODE = "demo"
    walk()
    tamper(server, sealed, EDITED)
    pri = ground.signed_in("pri")
    newer = text_of(pri.get(reverse("today:audit")))
    assert "links 1 to 5, since" in newer
    assert "is not what was sealed" not in newer
    assert "is not what was sealed" in text_of(pri.get(reverse("today:audit"), {"walk": "all"}))


def test_two_sealers_at_once_seal_each_event_once(server: Server, sealed: str) -> None:
    with ground.acting("dee"):
        write("six")
    with psycopg.connect(server.url("ag_worker", sealed)) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [audit.SEALER_LOCK])
        assert seal() == 0
    assert seal() == 1


def test_an_event_without_a_site_has_a_chain_too(sealed: str) -> None:
    assert sealed
    with ground.acting("dee"):
        audit.record(by=Author("anonymous", "", "patient", ()), action="help.view", key=uuid4().hex)
        assert audit.seal() == 1
        assert chain.verify([""]) == []
        assert Head.objects.get(site_id="").seq == 1
