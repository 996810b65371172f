"""Who may do what, where: `policy.toml` enforced, and the transaction's security set from it.

One entry per view and method; deny by default; a route without an entry, or an entry without a
route, stops the program at start. A person's effective sites are those where they hold a role that
the entry names: row-level security then hides every other site's rows, so that a stranger's patient
and an unknown address answer 404 alike.
"""

from __future__ import annotations

import tomllib
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from allauth.account.middleware import AccountMiddleware
from allauth.core.exceptions import ImmediateHttpResponse, ReauthenticationRequired
from asgiref.sync import iscoroutinefunction
from django.apps import apps
from django.conf import settings
from django.db import connection, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.translation import gettext as _

from clinic.audit.author import Author
from clinic.people.models import Role, Site, Staff

POLICY = Path(__file__).parent.parent / "policy.toml"
ROLES = frozenset(Role.Name.values) | {"patient", "app", "device", "worker"}
ANYONE = "anyone"
SIGNED_IN = "signed_in"


class PolicyError(RuntimeError):
    """The policy and the routes disagree: the program does not start."""


@dataclass(frozen=True)
class Permit:
    """One entry: the roles that may use one method of one view, and whether it must be audited."""

    roles: tuple[str, ...]
    audited: bool
    purpose: str


@cache
def policy() -> Mapping[tuple[str, str], Permit]:
    """Return the permits of `policy.toml` by (view name, method)."""
    entries = tomllib.loads(POLICY.read_text())
    return {
        (view, method): _permit(view, method, entry)
        for view, methods in entries.items()
        for method, entry in methods.items()
    }


def _permit(view: str, method: str, entry: Mapping[str, Any]) -> Permit:
    unknown = set(entry["roles"]) - ROLES - {ANYONE, SIGNED_IN}
    if unknown or method not in {"GET", "POST"}:
        raise PolicyError(f"policy.toml [{view}] {method}: unknown {sorted(unknown) or method}")
    return Permit(
        tuple(entry["roles"]), bool(entry.get("audited", False)), entry.get("purpose", "treatment")
    )


def routes(
    patterns: list[URLPattern | URLResolver] | None = None, space: str = ""
) -> Iterator[str]:
    """Yield the full name of every route of the program."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            yield from routes(pattern.url_patterns, inner)
        else:
            yield f"{space}{pattern.name}"


def check() -> None:
    """Raise PolicyError unless routes and entries are the same set."""
    have, declared = set(routes()), {view for view, _method in policy()}
    problems = [f"route {name} has no entry" for name in sorted(have - declared)]
    problems += [f"entry {name} has no route" for name in sorted(declared - have)]
    if problems:
        raise PolicyError("policy.toml: " + "; ".join(problems))


def enter(by: Author) -> None:
    """Tell the database whose transaction this is; it lasts until the transaction ends."""
    values = {
        "afterglow.actor": by.id,
        "afterglow.sites": ",".join(by.sites),
        "afterglow.purpose": by.purpose,
        "afterglow.request": str(by.request),
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT " + ", ".join(["set_config(%s, %s, true)"] * len(values)),
            [part for pair in values.items() for part in pair],
        )


@contextmanager
def acting(by: Author) -> Iterator[Author]:
    """Run one transaction as `by`: for processes, commands and tests."""
    with transaction.atomic():
        enter(by)
        yield by


def worker(name: str) -> Author:
    """Return the author of a background process, which serves every site."""
    sites = tuple(Site.objects.order_by("code").values_list("code", flat=True))
    return Author(f"worker:{name}", name, "worker", sites, purpose="operations")


def worker_at(name: str, site: Site) -> Author:
    """Return the author of a background process while it serves one site."""
    return Author(f"worker:{name}", name, "worker", (site.pk,), purpose="operations")


def owner() -> Author:
    """Return the author of a command that the owner of the database runs, for every site."""
    sites = tuple(Site.objects.order_by("code").values_list("code", flat=True))
    return Author("owner:command", "owner", "owner", sites, purpose="operations")


def staff_author(
    staff: Staff, allowed: tuple[str, ...], purpose: str = "treatment", at: str = ""
) -> Author | None:
    """Return `staff` acting in an allowed role, at the sites where they hold one; else None.

    With `at` only in the roles held at that site.
    """
    held = [
        role
        for role in staff.held
        if (role.role in allowed or SIGNED_IN in allowed) and at in ("", role.site_id)
    ]
    if not held:
        return None
    first = min(held, key=lambda r: allowed.index(r.role) if r.role in allowed else len(allowed))
    sites = {role.site_id for role in held}
    return Author(
        id=f"staff:{staff.pk}",
        name=staff.name,
        role=first.role,
        roles=frozenset(role.role for role in staff.held if role.site_id in sites),
        sites=tuple(sorted(sites)),
        purpose=purpose,
        request=uuid.uuid4(),
    )


def author_of(request: HttpRequest, permit: Permit) -> Author | None:
    """Return who makes the request under this permit, or None when the permit is not theirs."""
    staff = getattr(request.user, "staff", None) if request.user.is_authenticated else None
    if staff is not None and (found := staff_author(staff, permit.roles, permit.purpose)):
        return found
    if ANYONE in permit.roles:
        return Author("anonymous", "", "patient", (), purpose=permit.purpose)
    return None


# What each part of an address names. A role holds at one site only: on the page of a row, whoever
# works at several sites acts in the roles that they hold at the row's.
ROWS = {
    "consent_id": "course.Consent",
    "course_id": "course.Course",
    "decision_id": "course.Decision",
    "proposal_id": "course.Proposal",
    "quarantine_id": "interop.Quarantine",
    "referral_id": "course.Referral",
    "response_id": "outcomes.Response",
    "session_id": "course.Session",
    "signature_id": "course.Signature",
    "task_id": "course.Task",
}


def narrowed(by: Author, request: HttpRequest, permit: Permit, named: Mapping[str, Any]) -> Author:
    """Return the author as far as the row that the address names allows: at its site alone.

    An address that names no row, or none that is theirs, narrows nothing: the view answers it.
    """
    if len(by.sites) < 2:
        return by
    with acting(by):
        site = named.get("site") or _site_of(named)
    if site not in by.sites:
        return by
    staff = getattr(request.user, "staff", None)
    found = staff and staff_author(staff, permit.roles, permit.purpose, at=site)
    return found or by


def _site_of(named: Mapping[str, Any]) -> str | None:
    for part, model in ROWS.items():
        if part in named:
            rows = apps.get_model(model)._default_manager.filter(pk=named[part])
            site: str | None = rows.values_list("site_id", flat=True).first()
            return site
    return None


class AccessMiddleware:
    """Find the permit, open the transaction, set its security, run the view, demand its audit."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.answer_allauth = AccountMiddleware(get_response).process_exception

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        name = request.resolver_match.view_name if request.resolver_match else ""
        method = "GET" if request.method == "HEAD" else str(request.method)
        permit = policy().get((name, method))
        if permit is None:
            return _refuse_method(name)
        if not permit.roles:
            raise Http404
        by = author_of(request, permit)
        if by is None:
            return _send_away(request)
        if needs_second_factor(request) and not name.startswith(("account_", "mfa_")):
            return redirect("mfa_index")
        by = narrowed(by, request, permit, kwargs)
        request.by = by  # type: ignore[attr-defined]  # the author travels with the request
        if iscoroutinefunction(view):
            return None  # a live stream opens its own short transactions
        try:
            return run(by, permit, lambda: view(request, *args, **kwargs))
        except (ImmediateHttpResponse, ReauthenticationRequired) as asked:
            # Raised past allauth's own middleware, because the view runs here.
            answer: HttpResponse = self.answer_allauth(request, asked)
            return answer


def run(by: Author, permit: Permit, view: Callable[[], HttpResponse]) -> HttpResponse:
    """Run the view in one transaction as `by`; a clinical page that audits nothing is a defect."""
    with acting(by):
        response = view()
        if hasattr(response, "render") and callable(response.render):
            response = response.render()
        if permit.audited and response.status_code < 400 and not by.trail:
            raise PolicyError(f"a {response.status_code} answer showed patients and wrote no audit")
    return response


def _refuse_method(name: str) -> HttpResponse:
    allowed = [method for view, method in policy() if view == name]
    if not allowed:
        raise Http404
    return HttpResponseNotAllowed(allowed)


def _send_away(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        raise Http404
    return redirect(f"{settings.LOGIN_URL}?next={request.path}")


def needs_second_factor(request: HttpRequest) -> bool:
    """Return whether this person must still add a passkey or TOTP: staff, outside demo mode."""
    if settings.MODE == "demo" or not request.user.is_authenticated:
        return False
    from allauth.mfa.utils import is_mfa_enabled

    return not is_mfa_enabled(request.user)


def second_person(
    request: HttpRequest, *, username: str, password: str, roles: tuple[str, ...], site: str
) -> Staff:
    """Return the second signer, signed on the same device with their own password.

    Raises PermissionError, in words for the person at the screen, when it is the same person,
    a wrong password, or somebody without the role at this site.
    """
    from django.contrib.auth import authenticate

    user = authenticate(request, username=username, password=password)
    staff = getattr(user, "staff", None)
    if staff is None:
        raise PermissionError(_("The second signer's name and password do not match."))
    if request.user == user:
        raise PermissionError(_("The second signer must be another person."))
    if not staff.roles.filter(site_id=site, role__in=roles).exists():
        raise PermissionError(
            _("The second signer does not hold the role this needs at this site.")
        )
    found: Staff = staff
    return found


def confirm_person(request: HttpRequest, password: str) -> Staff:
    """Return the person signed in, who gave their own password once more.

    Raises PermissionError, in words for the person at the screen; failures count for the lock-out.
    """
    from django.contrib.auth import authenticate

    found = authenticate(request, username=request.user.get_username(), password=password)
    if found is None or found != request.user:
        raise PermissionError(_("This is not your password; type it again."))
    staff: Staff = found.staff
    return staff


class ClinicRequest(HttpRequest):
    """A request as the access layer hands it to a view: with its author."""

    by: Author
