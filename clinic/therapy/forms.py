"""A note as a form: its parts are data of the core."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from kap import therapy


class NoteForm(forms.Form):
    """The parts of a note, in order, and the modality as a coded tag."""

    key = forms.UUIDField(widget=forms.HiddenInput)
    amends = forms.UUIDField(widget=forms.HiddenInput, required=False)
    modality = forms.ChoiceField(label=_("Modality"))

    def __init__(self, *args: Any, kind: therapy.Kind, language: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        modality = self.fields["modality"]
        assert isinstance(modality, forms.ChoiceField)
        modality.choices = [(m.id, m.text[language]) for m in therapy.modalities().values()]
        for part in therapy.note_parts():
            self.fields[part.id] = forms.CharField(
                label=part.text[language],
                required=kind in part.required_for,
                max_length=20_000,
                widget=forms.Textarea(attrs={"rows": 3}),
                help_text=_("Seen by you alone.") if part.is_private else "",
            )

    def parts(self) -> dict[str, str]:
        """Return the parts that were written."""
        return {part.id: self.cleaned_data.get(part.id, "") for part in therapy.note_parts()}
