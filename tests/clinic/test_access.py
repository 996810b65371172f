"""Who may open what: role by route, site by site, signed in with a second factor, locked out."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import get_resolver, reverse

from clinic.audit.models import Event
from clinic.course.models import Consent, Decision, Fact
from clinic.people import access
from clinic.people.access import Permit, PolicyError
from tests import world as ground
from tests.pages import text_of
from tests.world import PASSWORD, STAFF, World

TORONTO = [name for name, (site, _roles) in STAFF.items() if site == "toronto"]
LOGIN = "/account/login/"


@pytest.fixture
def addresses(world: World) -> dict[str, str]:
    """The addresses of intake about Marie, and of the program about nobody."""
    ground.known_well(world.course)
    row = ground.accept(world.course)
    course = {"course_id": world.course.pk}
    where: dict[str, dict[str, Any]] = {
        "home": {},
        "today:today": {},
        "today:booked": {},
        "today:patients": {},
        "today:audit": {},
        "intake:referrals": {},
        "intake:referral": {"referral_id": ground.refer().pk},
        "intake:worklist": {},
        "intake:screening": course,
        "intake:review_list": {**course, "kind": "medications"},
        "intake:review": course,
        "intake:decision": {"decision_id": row.pk},
        "intake:decision_file": {"decision_id": row.pk},
        "intake:consent": course,
        "outcomes:course": course,
        "devices:quarantine": {},
    }
    return {view: reverse(view, kwargs=kwargs) for view, kwargs in where.items()}


@pytest.mark.parametrize("name", TORONTO)
def test_each_role_opens_what_the_policy_says_and_nothing_else(
    world: World, addresses: dict[str, str], name: str
) -> None:
    client, held = world.client(name), set(STAFF[name][1])
    opened = {view: client.get(address).status_code for view, address in addresses.items()}
    expected = {}
    for view in addresses:
        roles = set(access.policy()[view, "GET"].roles)
        may = bool(roles & (held | {access.ANYONE, access.SIGNED_IN}))
        expected[view] = (302 if view == "home" else 200) if may else 404
    assert opened == expected


def test_the_matrix_of_roles_is_not_all_of_one_colour(addresses: dict[str, str]) -> None:
    for view in ("intake:review", "intake:worklist", "today:audit"):
        roles = set(access.policy()[view, "GET"].roles)
        assert any(roles & set(held) for _site, held in STAFF.values())
        assert any(not roles & set(held) for _site, held in STAFF.values())
    assert addresses


def test_the_public_is_sent_to_sign_in_and_comes_back(
    client: Client, addresses: dict[str, str]
) -> None:
    for view, address in addresses.items():
        if view != "home":
            assert client.get(address)["Location"] == f"{LOGIN}?next={address}", view


def without_reference(response: Any) -> str:
    """Return an error page without what is new each time: its reference, the form's token."""
    body = re.sub(r"<code>[0-9a-f]{8}</code>", "", response.content.decode())
    return re.sub(r'value="[A-Za-z0-9]{64}"', "", body)


PATIENT_PAGES = [
    ("intake:screening", "course_id"),
    ("intake:review", "course_id"),
    ("intake:consent", "course_id"),
    ("intake:decision", "decision_id"),
    ("intake:decision_file", "decision_id"),
    ("intake:referral", "referral_id"),
    ("outcomes:course", "course_id"),
]


@pytest.mark.parametrize(("view", "key"), PATIENT_PAGES)
def test_another_sites_patient_and_an_unknown_one_answer_alike(
    world: World, addresses: dict[str, str], view: str, key: str
) -> None:
    charlie = world.client("charlie")
    theirs = charlie.get(addresses[view])
    nobodys = charlie.get(reverse(view, kwargs={key: uuid4()}))
    assert (theirs.status_code, nobodys.status_code) == (404, 404)
    assert without_reference(theirs) == without_reference(nobodys)
    assert "Marie" not in text_of(theirs)
    holder = "cora" if view == "intake:referral" else "alice"
    assert world.client(holder).get(addresses[view]).status_code == 200  # it is there


@pytest.mark.parametrize(
    ("view", "key"),
    [
        ("intake:record_facts", "course_id"),
        ("intake:review", "course_id"),
        ("intake:consent", "course_id"),
    ],
)
def test_nothing_is_written_about_another_sites_patient(world: World, view: str, key: str) -> None:
    address = reverse(view, kwargs={key: world.course.pk})
    sent = world.client("charlie").post(address, {"key": str(uuid4()), "weight": "70"})
    assert sent.status_code == 404
    with world.acting("alice"):
        assert not Decision.objects.exists()
        assert not Consent.objects.exists()


def test_charlie_sees_nobody_of_toronto_on_any_list(world: World) -> None:
    charlie = world.client("charlie")
    for view in ("today:today", "today:patients", "intake:worklist", "intake:referrals"):
        assert "Marie" not in text_of(charlie.get(reverse(view))), view
    assert "Marie" in text_of(world.client("bob").get(reverse("today:patients")))


def test_a_patient_enrolled_at_two_sites_shows_each_its_own_course(world: World) -> None:
    from clinic.course import actions
    from clinic.database import now
    from clinic.people.models import Enrolment

    marie = world.patient
    with world.acting("charlie") as by:
        there = Enrolment.add(patient=marie, site_id="vancouver", mrn="VAN-1", recorded_at=now())
        course = actions.open_course(enrolment=there, indication="TRD", by=by)
    alice = world.client("alice")
    assert alice.get(reverse("intake:screening", args=[course.pk])).status_code == 404
    assert alice.get(reverse("intake:screening", args=[world.course.pk])).status_code == 200


@pytest.fixture
def charlie_at_both(world: World) -> World:
    """Nurse and prescriber at Vancouver, and at Toronto a nurse."""
    from clinic.people.actions import give_role

    with world.acting("ada") as by:
        give_role(staff=world.staff("charlie"), site=world.site, role="nurse", by=by)
    return world


def told_by_charlie(world: World) -> str:
    """Return the role in which a fact that Charlie records of Toronto's Marie is kept."""
    address = reverse("intake:record_facts", args=[world.course.pk])
    form = {"key": str(uuid4()), "teller": "staff", "smoker": "no", "pregnant": "no"}
    assert world.client("charlie").post(address, form).status_code == 302
    with world.acting("bob"):
        return (
            Fact.objects.filter(patient=world.patient, name="pregnant")
            .latest("recorded_at")
            .author_role
        )


def test_a_role_holds_at_its_own_site_only(charlie_at_both: World) -> None:
    client, course = charlie_at_both.client("charlie"), charlie_at_both.course
    page = client.get(reverse("intake:screening", args=[course.pk]))
    assert page.status_code == 200
    assert "Review the answer" not in text_of(page)
    assert client.get(reverse("intake:review", args=[course.pk])).status_code == 404
    assert told_by_charlie(charlie_at_both) == "nurse"


def test_without_its_row_an_address_would_lend_a_role_to_another_site(
    charlie_at_both: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "ROWS", {})
    address = reverse("intake:screening", args=[charlie_at_both.course.pk])
    assert "Review the answer" in text_of(charlie_at_both.client("charlie").get(address))


def test_whatever_an_address_names_has_a_site() -> None:
    named = {part for view in access.routes() for part in _parts(view)}
    assert {part for part in named if part.endswith("_id")} - {"staff_id"} == set(access.ROWS)


def _parts(view: str) -> set[str]:
    found = get_resolver()
    *spaces, name = view.split(":")
    for space in spaces:
        found = found.namespace_dict[space][1]
    return {part for _, pattern, *_ in found.reverse_dict.getlist(name) for part in _names(pattern)}


def _names(pattern: str) -> set[str]:
    return set(re.findall(r"\(\?P<(\w+)>", pattern))


def test_a_method_the_policy_does_not_name_is_refused(world: World) -> None:
    address = reverse("intake:record_facts", args=[world.course.pk])
    assert world.client("bob").get(address).status_code == 405
    assert world.client("bob").put(address).status_code == 405
    assert world.client("bob").head(reverse("intake:worklist")).status_code == 200


def test_an_unknown_address_is_not_found(client: Client) -> None:
    page = client.get("/intake/nowhere")
    assert page.status_code == 404
    assert "This page was not found" in text_of(page)


def test_nobody_signs_up(client: Client) -> None:
    assert client.get("/account/signup/").status_code == 404


# -- a page that shows patients and audits nothing is a defect -------------------------------------


@pytest.mark.django_db
def test_an_answer_that_should_be_audited_and_is_not_is_refused() -> None:
    by = ground.author("bob")
    page = HttpResponse("Marie")
    with pytest.raises(PolicyError, match="wrote no audit"):
        access.run(by, Permit(("nurse",), True, "treatment"), lambda: page)
    assert access.run(by, Permit(("nurse",), False, "treatment"), lambda: page) is page
    refused = HttpResponse("no", status=404)
    assert access.run(by, Permit(("nurse",), True, "treatment"), lambda: refused) is refused


def test_what_a_failing_page_wrote_is_rolled_back_with_its_audit(world: World) -> None:
    def fail() -> HttpResponse:
        ground.tell(world.course, weight="70")
        raise RuntimeError("a test's")

    with world.acting("bob"):
        before = Event.objects.count()
    with pytest.raises(RuntimeError):
        access.run(ground.author("bob"), Permit(("nurse",), True, "treatment"), fail)
    with world.acting("bob"):
        assert Event.objects.count() == before


# -- signing in ------------------------------------------------------------------------------------


def sign_in(client: Client, name: str = "bob", password: str = PASSWORD) -> Any:
    return client.post(LOGIN, {"login": name, "password": password})


def test_staff_sign_in_with_name_and_password(world: World, client: Client) -> None:
    assert world
    assert sign_in(client)["Location"] == "/today/"
    assert "Bob" in text_of(client.get("/today/"))
    assert client.post("/account/logout/").status_code == 302
    assert client.get("/today/")["Location"].startswith(LOGIN)


def test_after_failures_the_right_password_is_refused_too(
    world: World, client: Client, settings: Any
) -> None:
    for _ in range(settings.AXES_FAILURE_LIMIT):
        sign_in(client, password="wrong, and long enough")
    locked = sign_in(client)
    assert locked.status_code == 429
    assert "Too many attempts" in text_of(locked)
    assert client.get("/today/")["Location"].startswith(LOGIN)
    assert sign_in(Client(), "nina").status_code == 302  # nobody else is locked
    assert world


def test_one_failure_less_does_not_lock(world: World, client: Client, settings: Any) -> None:
    for _ in range(settings.AXES_FAILURE_LIMIT - 1):
        sign_in(client, password="wrong, and long enough")
    assert sign_in(client).status_code == 302
    assert world


def test_outside_demo_mode_staff_add_a_second_factor_before_anything_else(
    world: World, settings: Any
) -> None:
    bob = world.client("bob")
    settings.MODE = "clinical"
    for view in ("today:today", "intake:worklist"):
        assert bob.get(reverse(view))["Location"] == reverse("mfa_index"), view
    sent = bob.post(reverse("intake:record_facts", args=[world.course.pk]), {"weight": "70"})
    assert sent["Location"] == reverse("mfa_index")
    settings.MODE = "demo"
    assert bob.get(reverse("intake:worklist")).status_code == 200


def test_with_a_second_factor_staff_work_outside_demo_mode(world: World, settings: Any) -> None:
    from allauth.mfa.models import Authenticator

    settings.MODE = "clinical"
    Authenticator.objects.create(
        user=world.staff("bob").user, type=Authenticator.Type.TOTP, data={"secret": "x"}
    )
    assert world.client("bob").get(reverse("intake:worklist")).status_code == 200


def test_the_second_factor_is_no_bar_to_the_public(world: World, settings: Any) -> None:
    settings.MODE = "clinical"
    assert Client().get("/self-check/toronto/").status_code == 200
    assert world


# -- the second person -----------------------------------------------------------------------------


def second(world: World, name: str, password: str = PASSWORD) -> Any:
    request = RequestFactory().post("/")
    request.user = world.staff("alice").user
    return access.second_person(
        request, username=name, password=password, roles=("nurse",), site="toronto"
    )


def test_the_second_person_signs_with_their_own_password(world: World) -> None:
    assert second(world, "bob") == world.staff("bob")


@pytest.mark.parametrize(
    ("name", "password", "said"),
    [
        ("bob", "wrong", "do not match"),
        ("nobody", PASSWORD, "do not match"),
        ("alice", PASSWORD, "another person"),
        ("tess", PASSWORD, "does not hold the role"),
        ("charlie", PASSWORD, "at this site"),
    ],
)
def test_who_cannot_be_the_second_person_is_told_why(
    world: World, name: str, password: str, said: str
) -> None:
    with pytest.raises(PermissionError, match=said):
        second(world, name, password)


@pytest.mark.django_db
def test_a_worker_serves_every_site_and_a_person_without_the_role_none() -> None:
    assert access.worker("test").sites == ("toronto", "vancouver")
    assert access.staff_author(ground.staff("bob"), ("prescriber",)) is None
