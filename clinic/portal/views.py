"""The patient's own pages: one questionnaire by a link, the care card, help."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.translation import get_language

from clinic.audit import actions as audit
from clinic.course import queries as course_queries
from clinic.course.actions import Refused
from clinic.database import now
from clinic.outcomes import actions, queries
from clinic.outcomes.models import QuestionnaireLink
from clinic.people import access
from clinic.people.access import ClinicRequest
from clinic.people.models import Site
from clinic.portal.forms import QuestionnaireForm
from kap import instrument as instruments
from kap.instrument import Instrument


def help_page(request: ClinicRequest) -> HttpResponse:
    """Return where to turn, at any hour."""
    return render(request, "portal/help.html", {"sites": Site.objects.order_by("code")})


def _link(request: ClinicRequest, token: str) -> QuestionnaireLink:
    """Return the link behind a token and make the patient the author of this request."""
    found = queries.find_link(actions.hashed(token))
    if found is None:
        raise Http404
    request.by = queries.author_of_link(*found, by=request.by)
    access.enter(request.by)
    return queries.link_of(found[0])


def _language(request: ClinicRequest, link: QuestionnaireLink) -> str:
    """Return the patient's language until they choose another on the page."""
    if "django_language" not in request.COOKIES:
        translation.activate(link.patient.language)
        request.LANGUAGE_CODE = link.patient.language
    return (get_language() or "en")[:2]


def questionnaire(request: ClinicRequest, token: str) -> HttpResponse:
    """Ask the questions one a screen; keep the answers once."""
    link = _link(request, token)
    language = _language(request, link)
    instrument = instruments.load(link.instrument)
    if hasattr(link, "response"):
        if request.method == "POST":
            audit.record(by=request.by, action="questionnaire.repeat", about=link.response)
        return redirect("portal:thanks", token=token)
    if now() >= link.expires_at:
        return render(request, "portal/expired.html", {"site": link.site}, status=410)
    form = QuestionnaireForm(request.POST or None, instrument=instrument, language=language)
    if request.method == "POST" and form.is_valid():
        return _answer(request, link, form, language, token)
    page = _page(link, instrument, form, language)
    return render(request, "portal/questionnaire.html", page, status=400 if form.errors else 200)


def _answer(
    request: ClinicRequest,
    link: QuestionnaireLink,
    form: QuestionnaireForm,
    language: str,
    token: str,
) -> HttpResponse:
    try:
        actions.answer_questionnaire(
            link=link, answers=form.answers(), language=language, by=request.by
        )
    except Refused as refused:
        return render(
            request, "portal/refused.html", {"why": refused, "site": link.site}, status=409
        )
    return redirect("portal:thanks", token=token)


def _page(
    link: QuestionnaireLink, instrument: Instrument, form: QuestionnaireForm, language: str
) -> dict[str, Any]:
    wording = instrument.wordings[language]
    return {
        "form": form,
        "instrument": instrument,
        "title": instrument.title[language],
        "stem": wording.stem,
        "site": link.site,
        "count": len(instrument.items),
    }


def thanks(request: ClinicRequest, token: str) -> HttpResponse:
    """Thank; and where a safety item asks for it, show the care card before anything else."""
    link = _link(request, token)
    _language(request, link)
    if not hasattr(link, "response"):
        return redirect("portal:questionnaire", token=token)
    answers = {int(number): value for number, value in link.response.answers.items()}
    score = instruments.score(instruments.load(link.instrument), answers)
    if score.opens_safety:
        return _care(request, link, token, request.GET.get("said"))
    return render(request, "portal/thanks.html", {"site": link.site, "token": token})


def _care(
    request: ClinicRequest, link: QuestionnaireLink, token: str, said: str | None
) -> HttpResponse:
    minutes = course_queries.safety_wait(link.course).seconds // 60
    page = {"site": link.site, "token": token, "said": said, "minutes": minutes}
    return render(request, "portal/care.html", page)


def safe(request: ClinicRequest, token: str) -> HttpResponse:
    """Keep the answer to «are you safe right now?» and show what happens next."""
    link = _link(request, token)
    _language(request, link)
    said = request.POST.get("safe", "")
    try:
        actions.answer_safety(link=link, safe=said, by=request.by)
    except Refused as refused:
        return render(
            request, "portal/refused.html", {"why": refused, "site": link.site}, status=400
        )
    return _care(request, link, token, said)
