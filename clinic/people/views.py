"""Pages that belong to nobody's phase: the front door, health, language."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, render
from django.utils import translation

from clinic import database
from clinic.people.models import Site


def home(request: HttpRequest) -> HttpResponse:
    """Return the public front page, or Today for staff."""
    if request.user.is_authenticated:
        return redirect("today:today")
    return render(request, "people/home.html", {"sites": Site.objects.order_by("code")})


def healthz(_request: HttpRequest) -> JsonResponse:
    """Return what was checked at start-up, asked again now: 503 when one of them fails."""
    checks = database.checks(connection)
    ok = database.may_serve(checks)
    body = {
        "ok": ok,
        "mode": settings.MODE,
        "checks": [
            {"name": c.name, "ok": c.ok, "value": c.value, "needed": c.needed} for c in checks
        ],
    }
    return JsonResponse(body, status=200 if ok else 503)


def set_language(request: HttpRequest) -> HttpResponse:
    """Remember the language asked for in a cookie and go back to the page it was asked on."""
    language = request.POST.get("language", "")
    response = HttpResponseRedirect(_own_path(request.POST.get("next", "/")))
    if translation.check_for_language(language):
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME, language, max_age=31_536_000, samesite="Lax"
        )
    return response


def _own_path(address: str) -> str:
    parts = urlsplit(address)
    return address if not parts.netloc and address.startswith("/") and address[1:2] != "/" else "/"


def page(request: HttpRequest) -> dict[str, Any]:
    """Return what every page shows: the mode, and who is signed in with which roles where."""
    by = getattr(request, "by", None)
    return {"mode": settings.MODE, "by": by, "demo": settings.MODE == "demo"}
