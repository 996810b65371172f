"""Pages of the program itself: what failed, and the gallery of components."""

from __future__ import annotations

from http import HTTPStatus
from uuid import uuid4

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from clinic.ui.gallery import specimens


def gallery(request: HttpRequest) -> HttpResponse:
    """Show each component in its states, with invented people."""
    return render(request, "ui/gallery.html", specimens(request.GET.get("theme", "")))


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001  # Django names it
    """Answer 400: what was sent could not be read."""
    return _failed(
        request,
        HTTPStatus.BAD_REQUEST,
        _("What was sent could not be read"),
        _("Nothing was saved. Go back, look at the form and send it again."),
    )


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001  # Django names it
    """Answer 403: this person may not do this."""
    return _failed(
        request,
        HTTPStatus.FORBIDDEN,
        _("You may not do this"),
        _("Nothing was changed. Somebody with the role it needs can; ask your administrator."),
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001  # Django names it
    """Answer 404: nothing of this address is open to this person."""
    return _failed(
        request,
        HTTPStatus.NOT_FOUND,
        _("This page was not found"),
        _("It does not exist, or is not open to you. Nothing was changed."),
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500: the program failed; the request's transaction was rolled back."""
    return _failed(
        request,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        _("The program failed"),
        _(
            "What you sent last was not saved; everything saved before is safe. Try again; "
            "if it fails again, chart on paper and tell your administrator the reference."
        ),
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001  # Django names it
    """Answer 403 to a form without a valid token: an old page, or another site's."""
    return _failed(
        request,
        HTTPStatus.FORBIDDEN,
        _("This page was too old to send"),
        _("Nothing was saved. Go back, reload the page and send it again."),
    )


def _failed(request: HttpRequest, status: HTTPStatus, what: str, safe: str) -> HttpResponse:
    """Render the error page. The reference names this answer alone and holds no patient data."""
    by = getattr(request, "by", None)
    reference = str(by.request if by else uuid4())[:8]
    page = {"status": int(status), "what": what, "safe": safe, "reference": reference}
    response = render(request, "ui/error.html", page, status=status)
    response["X-Reference"] = reference
    return response
