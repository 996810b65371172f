"""Inputs that more than one phase asks with. Nothing is preselected; a number is kept as typed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from django import forms
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from clinic.course.actions import Reading
from clinic.ui import words
from kap.facts import FactType
from kap.finding import Finding

NOT_KNOWN, DECLINED = "not_known", "declined"  # why nothing is known, as the core says it
ANSWERS = (
    ("yes", gettext_lazy("Yes")),
    ("no", gettext_lazy("No")),
    (NOT_KNOWN, gettext_lazy("Not known")),
    (DECLINED, gettext_lazy("Declines to say")),
)


class Number(forms.DecimalField):
    """An exact number; a comma is a decimal sign only where it cannot be one of thousands."""

    def to_python(self, value: Any) -> Any:
        """Return the Decimal that was typed; refuse what two people could read in two ways."""
        text = str(value or "").strip().replace("\u202f", "").replace(" ", "")
        if "," in text:
            if len(text.rpartition(",")[2]) == 3:
                raise forms.ValidationError(
                    _("%(value)s can be read in two ways; write it with a point") % {"value": text}
                )
            text = text.replace(",", ".")
        number: Decimal | None = super().to_python(text)
        return number


class KeyedForm(forms.Form):
    """A form that writes: its key makes a second press or a replay harmless."""

    # Without an id: a page has several such forms.
    key = forms.UUIDField(widget=forms.HiddenInput(attrs={"id": False}), initial=uuid4)


class SecondSigner(KeyedForm):
    """Another person, on the same device, with their own password."""

    second_username = forms.CharField(
        label=gettext_lazy("Second checker: user name"),
        max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    second_password = forms.CharField(
        label=gettext_lazy("Second checker: password"),
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )


TELLERS = (
    ("staff", gettext_lazy("recorded by staff")),
    ("self", gettext_lazy("told by the person")),
    ("device", gettext_lazy("from a device")),
)


class FactsForm(KeyedForm):
    """One input for each fact asked, by its type, as it is today; an empty one says nothing."""

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
        """Return the instant: the day and time at the site that were typed, or now."""
        typed, day = self.cleaned_data["taken_at"], self.cleaned_data.get("taken_on")
        if typed is None and day is None:
            return self.at
        local = self.at.astimezone(self.zone)
        taken = datetime.combine(day or local.date(), typed or time(12), tzinfo=self.zone)
        if typed is None and taken > local:
            taken = local
        if taken > local:
            raise forms.ValidationError(
                _("%(time)s is still to come; give the time it was taken")
                % {"time": taken.strftime("%Y-%m-%d %H:%M")}
            )
        return taken.astimezone(self.at.tzinfo)

    def clean(self) -> dict[str, Any]:
        """Refuse a form without one answer: it would say nothing."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors and not any(
            data.get(kind.name) not in (None, "") for kind in self.kinds
        ):
            raise forms.ValidationError(_("Nothing was answered; answer at least one question"))
        return data

    def readings(self, told_by_record: Collection[str] = ()) -> list[Reading]:
        """Return what was answered, in the vocabulary's units."""
        data = self.cleaned_data
        return [
            reading_of(
                kind,
                data[kind.name],
                data["taken_at"],
                "record" if kind.name in told_by_record else data.get("teller", "staff"),
            )
            for kind in self.kinds
            if data[kind.name] not in (None, "")
        ]


class HistoryForm(FactsForm):
    """The same of any day, and who says it."""

    taken_on = forms.DateField(
        label=gettext_lazy("Observed on (empty: today)"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    teller = forms.ChoiceField(label=gettext_lazy("Source"), choices=TELLERS)
    field_order = ("key", "taken_on", "taken_at", "teller")  # the instant is cleaned with its day


def field_of(kind: FactType, language: str) -> forms.Field:
    """Return the input of one fact, by its type, with its question and unit as people write it."""
    label = kind.ask[language]
    if kind.type == "bool":
        return forms.ChoiceField(
            label=label, choices=ANSWERS, required=False, widget=forms.RadioSelect
        )
    if kind.type == "number":
        step = kind.step or Decimal(1)
        return Number(
            label=f"{label} ({words.unit(kind.unit)})" if kind.unit != "1" else label,
            required=False,
            min_value=kind.low,
            max_value=kind.high,
            decimal_places=max(0, -int(step.normalize().as_tuple().exponent)),
        )
    if kind.type == "date":
        return forms.DateField(
            label=label, required=False, widget=forms.DateInput(attrs={"type": "date"})
        )
    return forms.CharField(label=label, required=False, max_length=60)


def reading_of(kind: FactType, value: Any, at: datetime, source: str) -> Reading:
    """Return an answer as a reading in the vocabulary's unit."""
    if kind.type == "bool" and value in (NOT_KNOWN, DECLINED):
        return Reading(kind.name, None, at, source=source, reason=value)
    if kind.type == "bool":
        return Reading(kind.name, value == "yes", at, source=source)
    if kind.type == "number":
        return Reading(kind.name, f"{value:f}", at, unit=kind.unit, source=source)
    told = value if isinstance(value, str) else value.isoformat()
    return Reading(kind.name, told, at, source=source)


class LiftForm(KeyedForm):
    """One finding lifted for this day: a reason; for level R a second person."""

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
        label=gettext_lazy("Second person (level R): user name"),
        required=False,
        max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    second_password = forms.CharField(
        label=gettext_lazy("Second person: password"),
        required=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )

    def __init__(
        self, *args: Any, findings: Iterable[Finding], zone: ZoneInfo, at: datetime, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["rule_id"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(f.rule_id, f"{f.rule_id} ({f.level}): {f.why}") for f in findings]
        self.zone, self.at = zone, at

    def last(self) -> date:
        """Return the last day of the override: this one."""
        return self.at.astimezone(self.zone).date()

    def until(self) -> datetime:
        """Return the instant at which the last day ends at the site."""
        return datetime.combine(self.last() + timedelta(days=1), time(), tzinfo=self.zone)


class DatedLiftForm(LiftForm):
    """The same until a day that is chosen."""

    last_day = forms.DateField(
        label=gettext_lazy("Holds until the end of this day (at the site)"),
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    field_order = ("key", "rule_id", "reason", "last_day")

    def clean_last_day(self) -> date:
        """Refuse a day that is over: such an override would lift nothing."""
        day: date = self.cleaned_data["last_day"]
        if day < super().last():
            raise forms.ValidationError(
                _("%(day)s is over; give today or a later day") % {"day": day.isoformat()}
            )
        return day

    def last(self) -> date:
        """Return the day that was chosen."""
        day: date = self.cleaned_data["last_day"]
        return day
