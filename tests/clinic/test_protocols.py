"""A protocol version is proposed by one person and signed by another; a course is pinned to it."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.utils import DatabaseError, IntegrityError
from django.urls import reverse

from clinic.audit.models import Event
from clinic.course import queries as course_queries
from clinic.course.actions import Refused, decide
from clinic.course.models import (
    Course,
    Decision,
    Override,
    Proposal,
    ProtocolMove,
    ProtocolVersion,
    Signature,
    Withdrawal,
)
from clinic.database import now
from clinic.dosing import actions as dosing
from clinic.dosing import queries as dosing_queries
from clinic.people.models import Role, Site, Staff
from clinic.postgres import Server
from clinic.protocols import actions, page, queries
from kap import protocol as core
from kap.certificate import read_certificate
from tests import world as ground
from tests.pages import text_of
from tests.world import PASSWORD, STAFF, World

SHIPPED = "iv-ketamine@2026.2"
NEXT = "iv-ketamine@2099.1"


@pytest.fixture
def later(world: World, monkeypatch: pytest.MonkeyPatch) -> ProtocolVersion:
    """A later version beside the shipped one, unsigned: the same rules under another digest."""
    real = core.load
    made = dataclasses.replace(real("iv-ketamine"), version="2099.1", digest="9" * 64)

    def load(protocol_id: str, version: str | None = None) -> core.Protocol:
        return made if version == "2099.1" else real(protocol_id, version)

    for module in (queries, course_queries):
        monkeypatch.setattr(module, "load", load)
    monkeypatch.setattr(page, "file_of", lambda _protocol: "")
    monkeypatch.setattr(actions, "read_certificate", lambda protocol: {"digest": protocol.digest})
    assert world
    return ProtocolVersion.add(
        name=NEXT,
        protocol_id="iv-ketamine",
        version="2099.1",
        digest="9" * 64,
        recorded_at=now(),
    )


@pytest.fixture
def directors(world: World) -> dict[str, Staff]:
    """Dee with her licence number, and a second medical director of Toronto."""
    dee = world.staff("dee")
    dee.licence_number = "CPSO 1"
    user = get_user_model().objects.create_user("dan", password=PASSWORD)
    dan = Staff.objects.create(user=user, name="Dan", licence_number="CPSO 2")
    with world.acting("ada"):
        dee.save(update_fields=["licence_number"])
        Role.objects.create(staff=dan, site_id="toronto", role="medical_director")
    world.acting("alice").__enter__()
    return {"dee": dee, "dan": dan}


def propose(world: World, version: ProtocolVersion, who: str = "alice") -> Proposal:
    with world.acting(who) as by:
        return actions.propose(
            version=version,
            site=Site.objects.get(pk="toronto"),
            proposer=world.staff(who),
            reason="newer evidence",
            by=by,
        )


def signed(world: World, version: ProtocolVersion) -> Signature:
    row = propose(world, version)
    with world.acting("dee") as by:
        return actions.sign(proposal=row, director=world.staff("dee"), by=by)


def standing(version: ProtocolVersion) -> str:
    return queries.state(Site.objects.get(pk="toronto"), version).code


def address(view: str, **where: Any) -> str:
    return reverse(f"protocols:{view}", kwargs=where)


# -- reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", list(STAFF))
def test_anyone_signed_in_reads_the_protocols(world: World, who: str) -> None:
    listed = world.client(who).get(address("list"))
    assert SHIPPED in text_of(listed)
    assert "signed by Dee" in text_of(listed)
    assert world.client(who).get(address("protocol", name=SHIPPED)).status_code == 200


def test_the_public_does_not(world: World, client: Any) -> None:
    assert client.get(address("list")).status_code == 302
    assert world.client("bob").get(address("protocol", name="none@1")).status_code == 404


def test_the_page_shows_every_rule_and_parameter_with_its_provenance(world: World) -> None:
    shown = world.client("bob").get(address("protocol", name=SHIPPED))
    told, text = text_of(shown), core.load("iv-ketamine", "2026.2")
    body = shown.content.decode()
    for rule in text.rules:
        assert f'id="{rule.id}"' in body, rule.id
    for name in text.parameters:
        assert f"<code>{name}</code>" in body, name
    assert "Indication and treatment resistance (2)" in told
    assert "not verified" in told
    assert text.tables["source"]["S:3"] in told
    assert "indication = TRD" in told


def test_a_search_finds_by_words_without_script_and_says_when_nothing_does(world: World) -> None:
    bob = world.client("bob")
    found = bob.get(address("protocol", name=SHIPPED), {"q": "benzodiazepine"})
    body = found.content.decode()
    assert 'id="M-BZD"' in body
    assert 'id="IND-LISTED"' not in body
    none = bob.get(address("protocol", name=SHIPPED), {"q": "no such words"})
    assert "Nothing in this version holds these words" in text_of(none)


def test_the_page_for_paper_has_no_forms(world: World) -> None:
    paper = world.client("dee").get(address("protocol", name=SHIPPED), {"print": ""})
    assert 'class="sheet"' in paper.content.decode()
    assert 'method="post"' not in paper.content.decode()
    assert 'role="search"' not in paper.content.decode()


def test_in_french_the_reasons_are_french(world: World) -> None:
    told = text_of(
        world.client("bob").get(
            address("protocol", name=SHIPPED), headers={"accept-language": "fr"}
        )
    )
    assert "Aucune indication reconnue" in told


def test_a_file_that_is_gone_or_another_one_is_said_and_not_signed(
    world: World, directors: dict[str, Staff], later: ProtocolVersion
) -> None:
    gone = ProtocolVersion.add(
        name="iv-ketamine@1.1",
        protocol_id="iv-ketamine",
        version="1.1",
        digest="1" * 64,
        recorded_at=now(),
    )
    told = text_of(world.client("dee").get(address("protocol", name=gone.pk)))
    assert "The file of iv-ketamine@1.1 is not there" in told
    with pytest.raises(Refused, match="not there"):
        propose(world, gone)
    other = ProtocolVersion(name=NEXT, protocol_id="iv-ketamine", version="2099.1", digest="8")
    with pytest.raises(Refused, match="not the registered one"):
        queries.text_of(other)
    assert directors
    assert later


# -- two people publish ----------------------------------------------------------------------------


def test_one_person_proposes_and_a_director_signs_on_the_pages(
    world: World, directors: dict[str, Staff], later: ProtocolVersion
) -> None:
    assert standing(later) == "unsigned"
    asked = address("propose", name=NEXT, site="toronto")
    for _twice in range(2):
        sent = world.client("phil").post(asked, {"reason": "newer evidence"})
        assert sent.status_code == 302
    world.acting("alice").__enter__()
    assert standing(later) == "proposed"
    row = Proposal.objects.get(protocol=later)
    dee, sign = world.client("dee"), address("sign", proposal_id=row.pk)
    assert "Sign version" in text_of(dee.get(address("protocol", name=NEXT)))
    wrong = dee.post(sign, {"password": "not hers at all"})
    assert wrong.status_code == 400
    assert "This is not your password" in text_of(wrong)
    world.acting("alice").__enter__()
    assert standing(later) == "proposed"
    for _twice in range(2):
        assert dee.post(sign, {"password": PASSWORD}).status_code == 302
    world.acting("alice").__enter__()
    found = Signature.objects.get(protocol=later)
    assert (found.director.name, found.proposer.name) == ("Dee", "Phil")
    assert (found.licence_number, found.digest) == ("CPSO 1", later.digest)
    assert Event.objects.filter(action="protocol.sign", outcome="success").count() == 1
    assert directors


def test_who_may_not_propose_or_sign_does_not_find_the_address(
    world: World, directors: dict[str, Staff], later: ProtocolVersion
) -> None:
    row = propose(world, later)
    for who in ("bob", "ada", "tess", "cora", "pri"):
        client = world.client(who)
        sent = client.post(address("propose", name=NEXT, site="toronto"), {"reason": "x"})
        assert sent.status_code == 404, who
    for who in ("alice", "phil", "charlie"):
        sent = world.client(who).post(address("sign", proposal_id=row.pk), {"password": PASSWORD})
        assert sent.status_code == 404, who
    there = address("propose", name=NEXT, site="vancouver")
    assert world.client("alice").post(there, {"reason": "x"}).status_code == 404
    assert directors


@pytest.mark.usefixtures("directors")
def test_a_version_without_its_certificate_is_not_signed(
    world: World, later: ProtocolVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "read_certificate", read_certificate)
    with pytest.raises(Refused, match=r"iv-ketamine@2099\.1 has no certificate; prove it first"):
        signed(world, later)
    assert not Signature.objects.filter(protocol=later).exists()


def test_a_director_signs_no_proposal_of_their_own(
    world: World, directors: dict[str, Staff], later: ProtocolVersion
) -> None:
    row = propose(world, later, "dee")
    sent = world.client("dee").post(address("sign", proposal_id=row.pk), {"password": PASSWORD})
    assert sent.status_code == 400
    assert "another medical director signs it" in text_of(sent)
    with world.acting("dee") as by:
        made = actions.sign(proposal=row, director=directors["dan"], by=by)
    assert made.director == directors["dan"]


@pytest.mark.parametrize(
    ("changed", "broken"),
    [
        ({"director": "alice"}, "course_signature_two_people"),
        ({"proposer": "phil"}, "course_signature_as_proposed"),
        ({"digest": "7" * 64}, "course_signature_as_proposed"),
        ({"site": "vancouver"}, "course_signature_as_proposed"),
    ],
)
def test_the_database_itself_refuses_what_was_not_proposed_by_another(
    world: World, later: ProtocolVersion, changed: dict[str, str], broken: str
) -> None:
    asked = propose(world, later)
    values: dict[str, Any] = {
        "site_id": changed.get("site", "toronto"),
        "protocol": later,
        "digest": changed.get("digest", later.digest),
        "proposal": asked,
        "proposer": world.staff(changed.get("proposer", "alice")),
        "director": world.staff(changed.get("director", "dee")),
        "licence_number": "1",
        "recorded_at": now(),
    }
    with world.acting("alice"), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('afterglow.sites', 'toronto,vancouver', true)")
        with pytest.raises(IntegrityError, match=broken), transaction.atomic():
            Signature.add(**values)


def test_a_proposal_is_of_the_registered_bytes(world: World, later: ProtocolVersion) -> None:
    with (
        world.acting("alice"),
        pytest.raises(IntegrityError, match="course_proposal_bytes"),
        transaction.atomic(),
    ):
        Proposal.add(
            site_id="toronto",
            protocol=later,
            digest="7" * 64,
            proposer=world.staff("alice"),
            reason="x",
            recorded_at=now(),
        )


def test_a_director_without_a_licence_number_or_the_role_signs_nothing(
    world: World, later: ProtocolVersion
) -> None:
    row = propose(world, later)
    with world.acting("dee") as by:
        with pytest.raises(Refused, match="licence number is not kept"):
            actions.sign(proposal=row, director=world.staff("dee"), by=by)
        with pytest.raises(Refused, match="Only a medical director of this site"):
            actions.sign(proposal=row, director=world.staff("phil"), by=by)


# -- taking it back --------------------------------------------------------------------------------


def test_a_withdrawn_signature_counts_no_more_and_the_version_is_proposed_anew(
    world: World, directors: dict[str, Staff], later: ProtocolVersion
) -> None:
    waiting = propose(world, later, "phil")
    row = signed(world, later)
    with pytest.raises(Refused, match="signed already"):
        propose(world, later)
    back = address("withdraw", signature_id=row.pk)
    assert world.client("alice").post(back, {"reason": "x"}).status_code == 404
    assert world.client("dee").post(back, {"reason": ""}).status_code == 400
    for _twice in range(2):
        assert world.client("dee").post(back, {"reason": "an error in it"}).status_code == 302
    world.acting("alice").__enter__()
    assert Withdrawal.objects.count() == 1
    assert standing(later) == "withdrawn"
    assert "an error in it" in text_of(world.client("bob").get(address("list")))
    with world.acting("dee") as by, pytest.raises(Refused, match="no longer waits"):
        actions.sign(proposal=waiting, director=world.staff("dee"), by=by)
    assert signed(world, later).pk != row.pk
    assert standing(later) == "signed"
    assert directors


def take_back(world: World) -> None:
    row = Signature.objects.get(site_id="toronto", protocol_id=SHIPPED)
    with world.acting("dee") as by:
        actions.withdraw(signature=row, director=world.staff("dee"), reason="x", by=by)
    world.acting("alice").__enter__()


def test_under_a_withdrawn_signature_nothing_is_decided_ordered_or_started(
    world: World, settings: Any
) -> None:
    ground.known_well(world.course)
    ground.accept(world.course)
    first, second = ground.plan_dose(world.course), ground.plan_dose(world.course, number=2)
    ground.eligible_for_start(first)
    order = ground.sign_order(first)
    with world.acting("bob") as by:
        authorization = dosing.authorise(
            session=first,
            order=order,
            second=world.staff("nina"),
            rate_ml_h=order.rate_ul_h / Decimal(1000),
            key=uuid4(),
            by=by,
        )
    settings.MODE = "clinical"
    assert course_queries.may_decide(world.course)
    take_back(world)
    assert not course_queries.may_decide(world.course)
    verdict, chart = course_queries.verdict(world.course, "screening", now())
    assert verdict.findings  # the answer is still shown
    with pytest.raises(Refused, match="not signed"):
        decide(
            course=world.course,
            stage="screening",
            kind="accepted",
            reason="fits",
            by=world.author("alice"),
            verdict=verdict,
            chart=chart,
        )
    with pytest.raises(Refused):
        ground.sign_order(second)
    with world.acting("bob") as by, pytest.raises(Refused, match="nothing starts"):
        dosing.start_infusion(authorization=authorization, key=uuid4(), by=by)


def test_who_was_dosed_before_the_withdrawal_is_still_brought_home(
    world: World, settings: Any
) -> None:
    ground.known_well(world.course)
    ground.accept(world.course)
    ground.start(ground.plan_dose(world.course))
    settings.MODE = "clinical"
    take_back(world)
    assert not course_queries.is_signed(world.course)
    assert course_queries.may_decide(world.course)


# -- moving a course -------------------------------------------------------------------------------


def sent(world: World, client: str = "alice", **told: Any) -> Any:
    where = address("move", course_id=world.course.pk)
    return world.client(client).post(where, {"key": str(uuid4()), "to": NEXT} | told)


def test_a_course_is_moved_by_a_prescriber_with_the_reason(
    world: World, later: ProtocolVersion
) -> None:
    ground.known_well(world.course)
    decision = ground.accept(world.course)
    assert dosing_queries.screening_decision(world.course) == decision
    key = str(uuid4())
    for _twice in range(2):
        assert sent(world, reason="new limits", key=key).status_code == 302
    world.acting("alice").__enter__()
    course = Course.objects.get(pk=world.course.pk)
    assert course.protocol == later
    assert course_queries.protocol_of(course).version == "2099.1"
    row = ProtocolMove.objects.get()
    assert (row.from_protocol_id, row.reason) == (SHIPPED, "new limits")
    assert Decision.objects.get(pk=decision.pk).protocol_id == SHIPPED
    assert dosing_queries.screening_decision(course) is None
    moved = Event.objects.get(action="course.move")
    assert moved.detail == {"before": SHIPPED, "after": NEXT}
    assert moved.patient_id == world.patient.pk
    assert "new limits" in text_of(world.client("dee").get(address("move", course_id=course.pk)))


def test_an_override_does_not_move_with_its_course(world: World, later: ProtocolVersion) -> None:
    assert later
    decision = ground.accept(world.course)
    Override.add(
        site_id="toronto",
        patient=world.patient,
        author="x",
        author_role="prescriber",
        recorded_at=now(),
        decision=decision,
        rule_id="CI-1",
        level="P",
        reason="x",
        expires_at=now() + timedelta(days=1),
    )
    assert len(course_queries.live_overrides(world.course, now())) == 1
    assert sent(world, reason="new limits").status_code == 302
    world.acting("alice").__enter__()
    course = Course.objects.get(pk=world.course.pk)
    assert course_queries.live_overrides(course, now()) == []


def test_nobody_else_moves_it_and_no_version_that_is_not_open(
    world: World, directors: dict[str, Staff], later: ProtocolVersion, settings: Any
) -> None:
    for who in ("bob", "dee", "charlie"):
        assert sent(world, who, reason="x").status_code == 404, who
    assert sent(world, reason="").status_code == 400
    assert sent(world, reason="x", to=SHIPPED).status_code == 400
    assert "A prescriber moves" in text_of(
        world.client("dee").get(address("move", course_id=world.course.pk))
    )
    world.acting("alice").__enter__()
    settings.MODE = "clinical"
    assert later not in queries.open_to(world.course)
    with world.acting("alice") as by, pytest.raises(Refused, match="not signed here"):
        actions.move_course(course=world.course, to=later, reason="x", key=uuid4(), by=by)
    signed(world, later)
    world.acting("alice").__enter__()
    assert later in queries.open_to(world.course)
    assert directors


def test_a_course_is_not_moved_while_its_patient_is_dosed(
    world: World, later: ProtocolVersion
) -> None:
    ground.known_well(world.course)
    ground.accept(world.course)
    ground.start(ground.plan_dose(world.course))
    refused = sent(world, reason="x")
    assert refused.status_code == 400
    assert "once the person has gone home" in text_of(refused)
    assert later
    assert not ProtocolMove.objects.exists()


def test_only_the_row_of_a_move_unpins_a_course(world: World, later: ProtocolVersion) -> None:
    statements = [
        ("UPDATE course_course SET protocol_id = %s", [NEXT]),
        (
            "INSERT INTO course_protocolmove (id, site_id, patient_id, course_id, author,"
            " author_role, recorded_at, from_protocol_id, to_protocol_id, reason)"
            " SELECT gen_random_uuid(), site_id, patient_id, id, 'x', 'x', now(), %s, protocol_id,"
            " 'x' FROM course_course",
            [NEXT],
        ),
    ]
    for statement, values in statements:
        with (
            world.acting("alice"),
            pytest.raises(DatabaseError, match=r"permission denied|the course is not under"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, values)
    assert later


# -- the same without what keeps it ----------------------------------------------------------------


@pytest.fixture
def owner(server: Server, clone_database: str) -> Any:
    """A connection of the tables' owner to a database with sites, staff and signatures."""
    ground.install()
    with psycopg.connect(server.url("ag_migrate", clone_database)) as connection:
        yield connection
        connection.rollback()


# The proposal and its signature by the same person, in two statements.
ASKED = (
    "INSERT INTO course_proposal (id, site_id, protocol_id, digest, proposer_id, reason,"
    " recorded_at) SELECT %(id)s, site_id, protocol_id, digest, proposer_id, 'x', now()"
    " FROM course_signature LIMIT 1"
)
ALONE = (
    "INSERT INTO course_signature (id, site_id, protocol_id, digest, proposal_id, proposer_id,"
    " director_id, licence_number, recorded_at) SELECT gen_random_uuid(), site_id, protocol_id,"
    " digest, id, proposer_id, proposer_id, '1', now() FROM course_proposal WHERE id = %(id)s"
)


def test_without_its_constraint_one_person_would_publish_alone(owner: Any) -> None:
    of = {"id": uuid4()}
    owner.execute(ASKED, of)
    with pytest.raises(psycopg.errors.CheckViolation), owner.transaction():
        owner.execute(ALONE, of)
    owner.execute("SET CONSTRAINTS ALL IMMEDIATE")
    owner.execute("ALTER TABLE course_signature DROP CONSTRAINT course_signature_two_people")
    assert owner.execute(ALONE, of).rowcount == 1
