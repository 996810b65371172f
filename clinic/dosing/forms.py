"""What is typed at the bedside. Nothing is preselected; a number is kept as typed, exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from clinic.course.actions import Reading
from clinic.course.forms import KeyedForm, Number, SecondSigner, field_of, reading_of
from clinic.dosing.models import Device
from kap.facts import FactType


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


class FactsForm(forms.Form):
    """One input for each fact asked, by its type; an empty one says nothing at all."""

    taken_at = forms.TimeField(
        label=gettext_lazy("Taken at (24 h, this site's time; empty: now)"),
        required=False,
        widget=forms.TimeInput(attrs={"placeholder": "hh:mm", "autocomplete": "off"}),
    )

    def __init__(
        self, *args: Any, kinds: Iterable[FactType], zone: ZoneInfo, at: datetime, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.kinds, self.zone, self.at = list(kinds), zone, at
        language = (get_language() or "en")[:2]
        for kind in self.kinds:
            self.fields[kind.name] = field_of(kind, language)

    def asked(self) -> list[forms.BoundField]:
        """Return the inputs of the facts alone."""
        return [self[kind.name] for kind in self.kinds]

    def clean_taken_at(self) -> datetime:
        """Return the instant: the time of today at the site that was typed, or now."""
        typed = self.cleaned_data["taken_at"]
        if typed is None:
            return self.at
        local = self.at.astimezone(self.zone)
        taken = datetime.combine(local.date(), typed, tzinfo=self.zone)
        if taken > local:
            raise forms.ValidationError(
                _("%(time)s is still to come; give the time it was taken today")
                % {"time": typed.strftime("%H:%M")}
            )
        return taken

    def clean(self) -> dict[str, Any]:
        """Refuse a form without one answer: it would say nothing."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors and not any(
            data.get(kind.name) not in (None, "") for kind in self.kinds
        ):
            raise forms.ValidationError(_("Nothing was answered; answer at least one question"))
        return data

    def readings(self, told_by_record: Iterable[str] = ()) -> list[Reading]:
        """Return what was answered, in the vocabulary's units."""
        data, records = self.cleaned_data, set(told_by_record)
        given = [(kind, data[kind.name]) for kind in self.kinds]
        return [
            reading_of(kind, value, data["taken_at"], "record" if kind.name in records else "staff")
            for kind, value in given
            if value not in (None, "")
        ]


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


class LiftForm(forms.Form):
    """One finding lifted by a prescriber: a reason, an end; for level R a second person."""

    rule_id = forms.ChoiceField(label=gettext_lazy("Finding"), widget=forms.RadioSelect)
    reason = forms.CharField(
        label=gettext_lazy("Reason (at least 20 letters)"),
        min_length=20,
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    clearance = forms.CharField(
        label=gettext_lazy("Clearance document, where one is named"), required=False, max_length=200
    )
    second_username = forms.CharField(
        label=gettext_lazy("Second person (level R): user name"), required=False, max_length=150
    )
    second_password = forms.CharField(
        label=gettext_lazy("Second person: password"),
        required=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )

    def __init__(
        self, *args: Any, findings: Iterable[Any], zone: ZoneInfo, at: datetime, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["rule_id"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(f.rule_id, f"{f.rule_id} ({f.level}): {f.why}") for f in findings]
        self.zone, self.at = zone, at

    def clean(self) -> dict[str, Any]:
        """Give the override its end: the end of this local day, for it is about this session."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        day = self.at.astimezone(self.zone).date() + timedelta(days=1)
        data["until"] = datetime.combine(day, time(), tzinfo=self.zone)
        return data
