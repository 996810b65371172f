"""Specimens for the gallery: each component in its states, with invented people.

The people and their answers are those of `kap.synth` and the shipped protocol, so that the gallery
shows what pages will show. Nothing here is stored, and no number here decides anything.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from django import forms
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _

from clinic import database
from clinic.ui.instants import french
from kap.arc import Arc, ArcMark, ArcScore, arc
from kap.axis import Language
from kap.dose import DosePlan, plan_infusion
from kap.instrument import load as instrument
from kap.moment import Moment
from kap.picture import trend
from kap.protocol import load as protocol
from kap.rule import Answer
from kap.synth import fixed_offsets, people
from kap.trend import Mark, Point, Pressure, Trend
from kap.verdict import Verdict, ask

SEED = 1
SITE = SimpleNamespace(
    pk="toronto", name="Toronto", zone="America/Toronto", phone="555-0100", address=""
)
PATIENT = SimpleNamespace(
    legal_name="Marie-Ève Archambault-Desrosiers",
    preferred_name="Marie",
    pronouns="",
    birth_date=date(1979, 3, 4),
    zone="America/Vancouver",
)
THEMES = ("day", "dim", "board")


class Specimen(forms.Form):
    """A form of every kind of field, sent with mistakes."""

    weight = forms.DecimalField(
        label=_("Weight (kg)"), help_text=_("On the scale, today."), max_digits=5
    )
    escort = forms.ChoiceField(
        label=_("Who goes home with the person?"),
        choices=[("named", _("named")), ("none", _("nobody")), ("unknown", _("not known"))],
        widget=forms.RadioSelect,
    )
    agreed = forms.BooleanField(label=_("Instructions were given in writing"))
    words = forms.CharField(label=_("In their words"), widget=forms.Textarea, required=False)


def specimens(theme: str) -> dict[str, Any]:
    """Return what the gallery shows, in one theme."""
    at = database.now()
    language: Language = "fr" if french() else "en"
    wrong = Specimen({"weight": "68,O", "words": "…"})
    return {
        "theme": theme if theme in THEMES else THEMES[0],
        "themes": THEMES,
        "site": SITE,
        "someone": PATIENT,
        "now": at,
        "answers": answers(at),
        "lines": [line.text for line in _plan().lines()],
        "form": Specimen(),
        "wrong": wrong,
        "trend": mark_safe(trend(_trend(), language=language)),  # kap escapes every text
        "arc": mark_safe(arc(_arc(), language=language)),  # kap escapes every text
    }


def answers(at: datetime) -> tuple[Verdict, ...]:
    """Return one screening of an invented person for each answer that the cast has."""
    rules = protocol("iv-ketamine")
    found: dict[Answer, Verdict] = {}
    for person in people(SEED, at, fixed_offsets({"toronto": -5, "vancouver": -7})):
        verdict = ask(rules, "screening", person.known_at(at), Moment(at, at.date()))
        found.setdefault(verdict.answer, verdict)
    return tuple(sorted(found.values(), key=lambda verdict: verdict.answer.rank))


def _plan() -> DosePlan:
    return plan_infusion(
        mg_per_kg="0.5", weight_kg="68", minutes=40, vial_mg_per_ml=50, final_ml=50
    )


def _trend() -> Trend:
    minutes = [Decimal(minute) for minute in range(23)]
    return Trend(
        heart_rate=[Point(m, 78 + m / 2 + m % 3) for m in minutes],
        spo2=[Point(m, Decimal(97 - int(m) % 2)) for m in minutes],
        respiratory_rate=[Point(m, Decimal(14 + int(m) % 3)) for m in minutes],
        pressures=[
            Pressure(Decimal(m), Decimal(128 + m), Decimal(78 + m // 3), Decimal(95 + m // 2))
            for m in (0, 5, 10, 15, 20)
        ],
        marks=[Mark(Decimal(0), "start", "start"), Mark(Decimal(18), "alarm", "SYS", "**")],
        now=Decimal(26),
        stale_from=Decimal(22),
        sample_seconds=60,
    )


def _arc() -> Arc:
    totals = ((-7, 19), (0, 18), (4, 15), (9, 12), (14, 8), (30, 6), (44, None), (60, 7))
    return Arc(
        instrument=instrument("phq9"),
        scores=[ArcScore(day, total) for day, total in totals],
        marks=[ArcMark(day, "dose", str(n)) for n, day in enumerate((0, 2, 4, 7, 9, 11), start=1)],
        response_at=9,
        today=62,
    )
