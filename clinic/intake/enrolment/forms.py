"""What is typed to offer an enrolment and to open one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from clinic.course.forms import KeyedForm
from clinic.people.models import Site


def _choose(field: forms.Field, sites: Iterable[Site]) -> None:
    assert isinstance(field, forms.ChoiceField)
    field.choices = [(site.pk, site.name) for site in sites]


class OfferForm(KeyedForm):
    """Which site, and what the patient agreed to."""

    to = forms.ChoiceField(label=_("Site"), widget=forms.RadioSelect)
    consent = forms.CharField(
        label=_("The patient's consent: when, how, and what they agreed that the site is told"),
        min_length=10,
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def __init__(self, *args: Any, sites: Iterable[Site], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _choose(self.fields["to"], sites)


class EnrolForm(KeyedForm):
    """The code that the patient brings, and what is to be treated."""

    site = forms.ChoiceField(label=_("Site"), widget=forms.RadioSelect)
    code = forms.CharField(
        label=_("Code that the patient brings"),
        max_length=40,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    indication = forms.ChoiceField(label=_("Indication"))

    def __init__(
        self, *args: Any, sites: Iterable[Site], indications: Iterable[str], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        _choose(self.fields["site"], sites)
        field = self.fields["indication"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "—"), *((each, each) for each in indications)]
