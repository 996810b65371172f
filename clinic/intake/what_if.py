"""What if: up to three facts supposed on the review page. Parsed here, asked once, kept nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from clinic.course import queries as course_queries
from clinic.course.forms import Number
from clinic.course.models import Course
from clinic.ui import words
from kap.chart import Chart
from kap.difference import Difference, difference
from kap.facts import FactError, FactType, vocabulary
from kap.moment import MomentError, span
from kap.rule import Answer
from kap.verdict import Verdict
from kap.what_if import Supposition, what_if

MOST = 3
UNKNOWN = "unknown"
SAID = {
    "yes": True,
    "true": True,
    "oui": True,
    "no": False,
    "false": False,
    "non": False,
}


def label_of(kind: FactType) -> str:
    """Return the question of a fact in the language of the page, with its unit."""
    question = kind.ask[(get_language() or "en")[:2]]
    unit = words.unit(kind.unit)
    return f"{question} ({unit})" if kind.type == "number" and unit else question


def askable(verdict: Verdict) -> list[FactType]:
    """Return the facts that the stage of `verdict` reads and that somebody may be asked."""
    known = vocabulary()
    read = (known[value.name] for value in verdict.facts_read if value.name in known)
    return [kind for kind in read if kind.type not in ("list", "instant")]


class WhatIfForm(forms.Form):
    """Up to three pairs of a question and a value. An empty pair says nothing."""

    def __init__(self, *args: Any, kinds: Iterable[FactType], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kinds = {label_of(kind): kind for kind in kinds}
        for place in range(1, MOST + 1):
            self.fields[f"fact_{place}"] = forms.CharField(
                label=_("Question %(n)s") % {"n": place},
                required=False,
                max_length=300,
                widget=forms.TextInput({"list": "what-if-facts", "autocomplete": "off"}),
            )
            self.fields[f"value_{place}"] = forms.CharField(
                label=_("Supposed answer %(n)s") % {"n": place},
                required=False,
                max_length=60,
                widget=forms.TextInput({"list": "what-if-values", "autocomplete": "off"}),
            )

    def pairs(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        """Return the inputs in pairs."""
        return [(self[f"fact_{n}"], self[f"value_{n}"]) for n in range(1, MOST + 1)]

    def clean(self) -> dict[str, Any]:
        """Keep what is supposed in `supposed`; say what cannot be, and what may."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        self.supposed: dict[str, Supposition] = {}
        for place in range(1, MOST + 1):
            self._pair(place, data.get(f"fact_{place}", ""), data.get(f"value_{place}", ""))
        if not self.errors and not self.supposed:
            raise forms.ValidationError(_("Choose a question of the list and suppose an answer"))
        return data

    def _pair(self, place: int, asked: str, value: str) -> None:
        if not asked and not value:
            return
        kind = self._kind(asked)
        if kind is None:
            told = _("«%(asked)s» is no question of this stage; choose one of the list")
            self.add_error(f"fact_{place}", told % {"asked": asked})
        elif kind.name in self.supposed:
            self.add_error(f"fact_{place}", _("This question is there already; suppose it once"))
        else:
            try:
                self.supposed[kind.name] = supposition(kind, value)
            except forms.ValidationError as error:
                self.add_error(f"value_{place}", error)

    def _kind(self, asked: str) -> FactType | None:
        wanted = asked.strip().casefold()
        for label, kind in self.kinds.items():
            if wanted in (label.casefold(), kind.name):
                return kind
        return None


def supposition(kind: FactType, text: str) -> Supposition:
    """Return what was typed as a value of the fact; a unit may follow a number.

    ValidationError names the value, the question and what it may be.
    """
    typed = text.strip()
    if typed.casefold() in (UNKNOWN, str(words.VALUES[UNKNOWN]).casefold()):
        return UNKNOWN
    if kind.type == "bool":
        if (said := SAID.get(typed.casefold())) is not None:
            return said
        raise _no(typed, kind, _("write yes, no or unknown"))
    if kind.type == "number":
        return _number(kind, typed)
    if kind.type == "date":
        try:
            span(typed)
        except MomentError:
            raise _no(typed, kind, _("write a date such as 2026-08-12")) from None
    if not typed:
        raise _no(typed, kind, _("write the supposed answer"))
    return typed


def _number(kind: FactType, typed: str) -> Decimal:
    bare = typed
    for unit in (kind.unit, words.unit(kind.unit)):
        bare = bare.removesuffix(unit).strip() if unit else bare
    range_told = _("it is a number from %(low)s to %(high)s %(unit)s, in steps of %(step)s") % {
        "low": words.number(str(kind.low)),
        "high": words.number(str(kind.high)),
        "unit": words.unit(kind.unit),
        "step": words.number(str(kind.step)),
    }
    try:
        value = Number(required=False).to_python(bare)
        if value is None:
            raise _no(typed, kind, range_told)
        return kind.accept(value, kind.unit)
    except (FactError, forms.ValidationError):
        raise _no(typed, kind, range_told) from None


def _no(typed: str, kind: FactType, way_out: str) -> forms.ValidationError:
    told = _("«%(value)s» is no answer to «%(asked)s»: %(way_out)s")
    return forms.ValidationError(
        told % {"value": typed, "asked": label_of(kind), "way_out": way_out}
    )


@dataclass(frozen=True)
class WhatIf:
    """The answer as it would be, the same `after` the overrides in force, what differs."""

    verdict: Verdict
    after: Answer
    differs: Difference


def asked(
    course: Course, real: Verdict, chart: Chart, at: datetime, supposed: Mapping[str, Supposition]
) -> WhatIf:
    """Return the answer with what is supposed laid over what is on file; writes nothing."""
    protocol, moment = course_queries.protocol_of(course), course_queries.moment(at, course.site)
    then = what_if(protocol, real.stage, chart, moment, supposed)
    after = course_queries.answer_after(course, then, at)
    return WhatIf(then, after, difference(real, chart, then, chart))
