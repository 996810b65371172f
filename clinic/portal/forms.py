"""An instrument as a form: an item left open stays unanswered, never zero."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from kap.instrument import Instrument


class QuestionnaireForm(forms.Form):
    """One field an item; the answers are the instrument's own words."""

    def __init__(self, *args: Any, instrument: Instrument, language: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instrument = instrument
        for item in instrument.items:
            self.fields[f"q{item.number}"] = forms.TypedChoiceField(
                label=item.text[language],
                choices=[(choice.value, choice.text[language]) for choice in item.choices],
                coerce=int,
                empty_value=None,
                required=False,
                widget=forms.RadioSelect,
                error_messages={"invalid_choice": _("Choose one of the answers shown.")},
            )

    def answers(self) -> dict[int, int | None]:
        """Return the answers by item number; None where nothing was chosen."""
        return {
            item.number: self.cleaned_data.get(f"q{item.number}") for item in self.instrument.items
        }
