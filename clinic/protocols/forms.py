"""What is typed to propose, sign, withdraw, or move a course."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from clinic.course.forms import KeyedForm
from clinic.course.models import ProtocolVersion


class ReasonForm(forms.Form):
    """Why: kept as written."""

    reason = forms.CharField(
        label=_("Reason"), max_length=1000, widget=forms.Textarea(attrs={"rows": 2})
    )


class SignForm(forms.Form):
    """The signer's own password, once more."""

    password = forms.CharField(
        label=_("Your password, once more"),
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class MoveForm(KeyedForm):
    """Which version, and why."""

    to = forms.ChoiceField(label=_("Version"), widget=forms.RadioSelect)
    reason = forms.CharField(
        label=_("Reason"), max_length=1000, widget=forms.Textarea(attrs={"rows": 2})
    )

    def __init__(self, *args: Any, versions: Iterable[ProtocolVersion], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["to"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(each.pk, f"{each.name} · {each.digest[:12]}") for each in versions]
