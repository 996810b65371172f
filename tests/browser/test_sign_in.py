"""Sign-in on http://localhost: a password, the set-up of a code, and a passkey, as staff do it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests import world
from tests.browser.conftest import Open
from tests.browser.people import Person


def sign_in(person: Person, name: str) -> None:
    """Sign in with name and password, as the page asks."""
    page = person.go("/account/login/")
    page.fill("[name=login]", name)
    page.fill("[name=password]", world.PASSWORD)
    page.locator(
        "form:has([name=password]) button[type=submit], form:has([name=password]) button"
    ).first.click()
    page.wait_for_url("**/today/")


@contextmanager
def authenticator(person: Person) -> Iterator[None]:
    """Give the browser a passkey holder that says yes, as a finger on a sensor would."""
    devtools = person.context.new_cdp_session(person.page)
    devtools.send("WebAuthn.enable")
    holder = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": holder})
    yield
    devtools.send("WebAuthn.disable")


def test_a_password_signs_in_on_localhost(at: Open) -> None:
    bob = at()
    sign_in(bob, "bob")
    assert "Bob" in bob.page.locator(".who").inner_text()


def test_a_wrong_password_does_not(at: Open) -> None:
    page = at().go("/account/login/")
    page.fill("[name=login]", "tess")
    page.fill("[name=password]", "not this one")
    page.locator("form:has([name=password]) button").first.click()
    page.wait_for_load_state()
    assert page.locator(".who").count() == 0


def test_the_set_up_of_a_code_opens(at: Open) -> None:
    nina = at()
    sign_in(nina, "nina")
    page = nina.go("/account/mfa/totp/activate/")
    if page.locator("[name=password]").count():
        page.fill("[name=password]", world.PASSWORD)
        page.locator("form:has([name=password]) button").first.click()
        page.wait_for_load_state()
    assert page.locator("[name=code]").is_visible()
    assert page.locator("main img").evaluate("image => image.naturalWidth") > 0


def test_a_passkey_is_added_and_signs_in(at: Open) -> None:
    alice = at()
    with authenticator(alice):
        sign_in(alice, "alice")
        page = alice.go("/account/mfa/webauthn/add/")
        if page.locator("[name=password]").count():
            page.fill("[name=password]", world.PASSWORD)
            page.locator("form:has([name=password]) button").first.click()
            page.wait_for_url("**/webauthn/add/**")
        page.fill("[name=name]", "Desk")
        passwordless = page.locator("[name=passwordless]")
        if passwordless.count():
            passwordless.check()
        page.locator("#mfa_webauthn_add").click()
        page.wait_for_url(lambda address: "add" not in address)
        page.locator(".who button").click()
        page.wait_for_load_state()
        page = alice.go("/account/login/")
        page.locator("#passkey_login").click()
        page.wait_for_url("**/today/")
        assert "Alice" in page.locator(".who").inner_text()
