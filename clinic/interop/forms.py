"""The one form of the quarantine page."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _


class ResolveForm(forms.Form):
    """What was done about a message that could not be read."""

    note = forms.CharField(
        label=_("What was done about it?"),
        max_length=300,
        error_messages={"required": _("Say in a few words what was done about this message.")},
    )
