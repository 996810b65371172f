"""What is typed at the bedside. Nothing is preselected; a number is kept as typed, exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from clinic.course.forms import KeyedForm, Number, SecondSigner
from clinic.dosing.models import Device


class OrderForm(KeyedForm):
    """A dose as the prescriber asks for it. Weight is not typed here: it is a fact with a date."""

    mg_per_kg = Number(
        label=gettext_lazy("Dose (mg/kg)"),
        min_value=Decimal("0.001"),
        max_digits=6,
        decimal_places=3,
    )
    minutes = forms.IntegerField(label=gettext_lazy("Over (min)"), min_value=1, max_value=600)
    vial_mg_per_ml = Number(
        label=gettext_lazy("Vial concentration (mg/mL)"),
        min_value=Decimal("0.01"),
        max_digits=6,
        decimal_places=2,
    )
    final_ml = Number(
        label=gettext_lazy("Final volume, drug and diluent (mL)"),
        min_value=Decimal("0.01"),
        max_digits=7,
        decimal_places=2,
    )


class StartForm(SecondSigner):
    """The second check: the pump rate keyed anew by the second person, not copied."""

    rate_ml_h = Number(
        label=gettext_lazy("Pump rate as set by the second checker (mL/h)"),
        min_value=Decimal("0.1"),
        max_digits=6,
        decimal_places=1,
    )


class EventForm(KeyedForm):
    """One line of the log as it is tapped or typed."""

    kind = forms.CharField(max_length=30)
    text = forms.CharField(max_length=300, required=False)
    corrects = forms.UUIDField(required=False)


def scores(scales: Mapping[str, Iterable[int]], labels: Mapping[str, str]) -> type[KeyedForm]:
    """Return a form of scores, each a row of buttons from which nothing is chosen beforehand."""
    fields: dict[str, Any] = {
        name: forms.TypedChoiceField(
            label=labels[name],
            coerce=int,
            required=False,
            empty_value=None,
            widget=forms.RadioSelect,
            choices=[(str(n), str(n)) for n in steps],
        )
        for name, steps in scales.items()
    }
    return type("ScoreForm", (KeyedForm,), fields)


class VitalsForm(KeyedForm):
    """A set read off the monitor by hand. An empty field is not measured, never normal."""

    def __init__(self, *args: Any, vitals: Iterable[Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.vitals = list(vitals)
        for vital in self.vitals:
            self.fields[vital.code] = Number(
                label=f"{vital.code} ({vital.unit})",
                required=False,
                min_value=vital.low,
                max_value=vital.high,
                decimal_places=vital.decimals,
            )

    def given(self) -> dict[str, Decimal]:
        """Return the values that were typed, by vital."""
        data = self.cleaned_data
        return {v.code: data[v.code] for v in self.vitals if data.get(v.code) is not None}


class AlarmForm(KeyedForm):
    """Acknowledge an alarm, or close it with its cause."""

    signal = forms.CharField(max_length=30)
    do = forms.ChoiceField(choices=[("acknowledge", ""), ("close", "")])
    cause = forms.CharField(max_length=60, required=False)


class BindForm(KeyedForm):
    """A monitor bound to the person in the chair, after two identifiers were read from them."""

    device = forms.ModelChoiceField(
        queryset=Device.objects.none(),
        label=gettext_lazy("Monitor"),
        empty_label=None,
        widget=forms.RadioSelect,
    )
    mrn = forms.CharField(
        label=gettext_lazy("Chart number, read from the wristband"), max_length=20
    )
    birth_date = forms.DateField(
        label=gettext_lazy("Date of birth, as the person says it (YYYY-MM-DD)")
    )

    def __init__(self, *args: Any, devices: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["device"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = devices


class LeaveForm(KeyedForm):
    """Somebody goes against advice: recorded as such, never as a discharge."""

    reason = forms.CharField(
        label=gettext_lazy("What was said and done"), max_length=1000, widget=forms.Textarea
    )


class ConditionForm(forms.Form):
    """Somebody puts their name to one condition being met."""

    text = forms.CharField(max_length=500)
