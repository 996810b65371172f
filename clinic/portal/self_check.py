"""«Am I a candidate?»: the safe subset of the clinic's own protocol, asked of anyone.

Nothing is stored until a person agrees to be contacted. The words are never «approved».
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from django import forms
from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from clinic.audit.author import Author
from clinic.course.forms import ANSWERS, NOT_KNOWN
from clinic.course.queries import moment
from clinic.database import now
from clinic.people import access
from clinic.people.access import ClinicRequest
from clinic.people.models import Site
from clinic.portal import actions
from kap.chart import Chart
from kap.facts import FactType, vocabulary
from kap.protocol import load
from kap.rule import Answer
from kap.verdict import RESTRICTED, Verdict, ask


def questions() -> list[FactType]:
    """Return what the public may be asked, in the protocol's order."""
    known = vocabulary()
    return [known[name] for name in load(actions.PROTOCOL).selfcheck_facts]


class SelfCheckForm(forms.Form):
    """One question each; left open or «don't know» stays unknown, never «no»."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        language = (get_language() or "en")[:2]
        for kind in questions():
            self.fields[kind.name] = _field(kind, language)

    def chart(self, at: datetime) -> Chart:
        """Return the answers as a chart that this person told about themselves."""
        readings = {
            name: {"observed_at": at.isoformat(), "source": "self"} | _told(value)
            for name, value in self.cleaned_data.items()
            if value not in (None, "")
        }
        return Chart.from_json({"facts": readings})


def _field(kind: FactType, language: str) -> forms.Field:
    if kind.type == "date":
        return forms.DateField(
            label=kind.ask[language], required=False, widget=forms.DateInput(attrs={"type": "date"})
        )
    return forms.ChoiceField(
        label=kind.ask[language], required=False, choices=ANSWERS[:3], widget=forms.RadioSelect
    )


def _told(value: Any) -> dict[str, Any]:
    if value == NOT_KNOWN:
        return {"value": None, "reason": NOT_KNOWN}
    return {"value": value == "yes" if isinstance(value, str) else value.isoformat()}


class ContactForm(forms.Form):
    """Who agrees to be called, and how."""

    key = forms.UUIDField(widget=forms.HiddenInput)
    name = forms.CharField(label=_("Your name"), max_length=200)
    email = forms.EmailField(label=_("E-mail"), required=False)
    phone = forms.CharField(label=_("Phone"), max_length=40, required=False)
    language = forms.ChoiceField(label=_("Language for the call"), choices=settings.LANGUAGES)
    message = forms.CharField(
        label=_("Anything we should know when we call (not for emergencies)"),
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    agree = forms.BooleanField(
        label=_("I agree that the clinic keeps these answers and contacts me.")
    )

    def clean(self) -> dict[str, Any]:
        """Ask for one way to reach the person."""
        data = super().clean() or {}
        if not data.get("email") and not data.get("phone"):
            self.add_error("email", _("Give an e-mail address or a phone number."))
        return data


@dataclass(frozen=True)
class Words:
    """The answer in plain words: which of the three, and why."""

    kind: str  # "likely" | "talk" | "not_now" | "help_now"
    verdict: Verdict

    @property
    def reasons(self) -> list[Mapping[str, str]]:
        """Return why, in both languages, for what is true; never the protocol's codes."""
        return [
            {"en": finding.why, "fr": finding.why_fr or finding.why}
            for finding in self.verdict.seen_by("patient").findings
            if finding.state == "spoke" and finding.why != RESTRICTED
        ]


KINDS = {
    Answer.REFER_NOW: "help_now",
    Answer.CONTRAINDICATED: "not_now",
    Answer.REFER_TO_SPECIALIST: "talk",
    Answer.DEFER: "not_now",
}


def words(chart: Chart, at: datetime, site: Site) -> Words:
    """Return the protocol's answer to what was told, in four kinds of plain words.

    Most of a screening is unknown here, so that «need more information» is expected. The answer is
    «likely» only when each question was answered, no rule spoke, and no answer points to a risk:
    a risk that the protocol cannot judge yet is for a clinician to look at.
    """
    verdict = ask(load(actions.PROTOCOL), "screening", chart, moment(at, site))
    spoke = [finding for finding in verdict.findings if finding.state == "spoke"]
    if spoke:
        worst = max((finding.verdict for finding in spoke), key=lambda answer: answer.rank)
        return Words(KINDS.get(worst, "talk"), verdict)
    return Words(
        "likely" if all(_is_calm(kind, chart) for kind in questions()) else "talk", verdict
    )


def _is_calm(kind: FactType, chart: Chart) -> bool:
    """Return whether a question was answered, and its answer points to no risk."""
    readings = chart.facts.get(kind.name, ())
    told = readings[-1].value if readings else None
    risk = {"up": True, "down": False}.get(kind.direction)
    return told is not None and told is not risk


def start(request: ClinicRequest, site: str) -> HttpResponse:
    """Ask the questions; answer them on the same page. Nothing is stored."""
    place = get_object_or_404(Site, pk=site)
    form = SelfCheckForm(request.POST if request.method == "POST" else None)
    page: dict[str, Any] = {"site": place, "form": form, "language": (get_language() or "en")[:2]}
    if request.method == "POST" and form.is_valid():
        at = now()
        page["words"] = words(form.chart(at), at, place)
        page["contact"] = ContactForm(initial={"key": uuid4(), "language": page["language"]})
        return render(request, "portal/self_check_answer.html", page)
    return render(request, "portal/self_check.html", page, status=400 if form.errors else 200)


def agree(request: ClinicRequest, site: str) -> HttpResponse:
    """Keep the answers, now that the person agreed to be contacted."""
    place = get_object_or_404(Site, pk=site)
    form, contact, at = SelfCheckForm(request.POST), ContactForm(request.POST), now()
    if not (form.is_valid() and contact.is_valid()):
        page = {
            "site": place,
            "form": form,
            "contact": contact,
            "language": (get_language() or "en")[:2],
        }
        if form.is_valid():
            page["words"] = words(form.chart(at), at, place)
        return render(request, "portal/self_check_answer.html", page, status=400)
    request.by = Author(
        "self",
        "",
        "patient",
        (place.code,),
        purpose="referral",
        request=request.by.request,
        trail=request.by.trail,
    )
    access.enter(request.by)
    data = contact.cleaned_data
    actions.refer(
        site=place,
        key=data["key"],
        name=data["name"],
        email=data["email"],
        phone=data["phone"],
        language=data["language"],
        message=data["message"],
        chart=form.chart(at),
        by=request.by,
    )
    return redirect("self_check:thanks", site=place.pk)


def thanks(request: ClinicRequest, site: str) -> HttpResponse:
    """Say what happens next."""
    return render(
        request, "portal/self_check_thanks.html", {"site": get_object_or_404(Site, pk=site)}
    )
