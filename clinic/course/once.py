"""A form sent twice is written once: a double click, a replay, a page gone back to."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, resolve_url

from clinic.course import actions
from clinic.course.actions import Refused
from clinic.people.access import ClinicRequest

View = Callable[..., HttpResponse]
# What two sendings of one form may differ in, and what no receipt may hold, not even hashed.
NOT_KEPT = {"csrfmiddlewaretoken", "second_password"}


def once(back: str) -> Callable[[View], View]:
    """Return a decorator: the same form sent again leads where it led before, and writes nothing.

    The form's hidden `key` names it. Other answers under a used key are refused in words on the
    page `back`, whose address takes what the view's takes.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def run(request: ClinicRequest, **where: Any) -> HttpResponse:
            key = request.POST.get("key", "")
            if request.method != "POST" or not key:
                return view(request, **where)
            body = {name: told for name, told in request.POST.lists() if name not in NOT_KEPT}
            body["address"] = [request.get_full_path()]
            try:
                led_to = actions.repeated(key=key, body=body, by=request.by)
            except Refused as refused:
                messages.error(request, str(refused))
                return redirect(resolve_url(back, **where))
            if led_to:
                return redirect(led_to)
            response = view(request, **where)
            if response.status_code == 302:
                actions.keep(key=key, body=body, led_to=response["Location"], by=request.by)
            return response

        return run

    return decorate
