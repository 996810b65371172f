"""What is typed at intake: a patient from a referral, reviewed lists, a decision, a consent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from clinic.course.forms import ANSWERS, KeyedForm, Number
from clinic.course.models import Decision
from clinic.database import now

STATUSES = (
    ("active", _("active")),
    ("past", _("past")),
    ("refuted", _("ruled out")),
    ("family", _("in the family")),
)
KINDS = (("allergy", _("allergy")), ("intolerance", _("intolerance")))
ROWS = 4


class OpenPatientForm(forms.Form):
    """Who the person is, and what is to be treated."""

    legal_name = forms.CharField(label=_("Legal name"), max_length=200)
    preferred_name = forms.CharField(label=_("Preferred name"), max_length=120, required=False)
    birth_date = forms.DateField(
        label=_("Date of birth"), widget=forms.DateInput(attrs={"type": "date"})
    )
    language = forms.ChoiceField(label=_("Language"), choices=settings.LANGUAGES)
    indication = forms.ChoiceField(label=_("Indication"), choices=())
    same_person = forms.BooleanField(
        label=_("I checked: it is another person than the one enrolled with this name and date."),
        required=False,
    )

    def __init__(self, *args: Any, indications: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["indication"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "—"), *((each, each) for each in indications)]

    def clean_birth_date(self) -> date:
        """Refuse a date that no living person was born on."""
        born: date = self.cleaned_data["birth_date"]
        if not date(1900, 1, 1) <= born <= now().date():
            raise forms.ValidationError(
                _("%(day)s is no date of birth; check the year.") % {"day": born}
            )
        return born


class ConditionRow(forms.Form):
    """One diagnosis."""

    code = forms.RegexField(
        label=_("ICD-10"),
        regex=r"^[A-TV-Za-tv-z]\d[0-9A-Za-z](\.[0-9A-Za-z]{1,4})?$",
        required=False,
        error_messages={"invalid": _("Write an ICD-10 code such as F33.2, or leave it empty.")},
    )
    name = forms.CharField(label=_("In words"), max_length=200, required=False)
    status = forms.ChoiceField(label=_("Status"), choices=[("", "—"), *STATUSES], required=False)
    onset = forms.RegexField(
        label=_("Since"),
        regex=r"^\d{4}(-\d{2}(-\d{2})?)?$",
        required=False,
        error_messages={"invalid": _("Write 2014, 2014-05 or 2014-05-02.")},
    )
    needs = ("status",)


class MedicationRow(forms.Form):
    """One medicine as it is taken."""

    name = forms.CharField(label=_("Medicine"), max_length=120, required=False)
    atc = forms.RegexField(
        label=_("ATC"),
        regex=r"^[A-Za-z]\d{2}[A-Za-z]{2}\d{2}$",
        required=False,
        error_messages={"invalid": _("Write a full ATC code such as N06AB06, or leave it empty.")},
    )
    mg_per_day = Number(label=_("mg per day"), required=False, max_digits=10, decimal_places=3)
    prn = forms.ChoiceField(
        label=_("Only when needed"), choices=[("", "—"), *ANSWERS[:2]], required=False
    )
    since = ConditionRow.base_fields["onset"]
    needs = ("name",)


class AllergyRow(forms.Form):
    """One allergy or intolerance."""

    name = forms.CharField(label=_("Substance"), max_length=120, required=False)
    code = forms.CharField(label=_("Code (ATC)"), max_length=20, required=False)
    kind = forms.ChoiceField(label=_("Kind"), choices=[("", "—"), *KINDS], required=False)
    needs = ("kind",)


class TrialRow(forms.Form):
    """One antidepressant as it was tried."""

    name = forms.CharField(label=_("Medicine"), max_length=120, required=False)
    atc = MedicationRow.base_fields["atc"]
    mg_per_day = MedicationRow.base_fields["mg_per_day"]
    weeks = forms.IntegerField(label=_("Weeks"), min_value=0, max_value=1000, required=False)
    adherent = forms.ChoiceField(
        label=_("Taken as prescribed"), choices=[("", "—"), *ANSWERS[:2]], required=False
    )
    stopped_for_intolerance = forms.ChoiceField(
        label=_("Stopped for side effects"), choices=[("", "—"), *ANSWERS[:2]], required=False
    )
    current_episode = forms.ChoiceField(
        label=_("In this episode"), choices=[("", "—"), *ANSWERS[:2]], required=False
    )
    needs = ("name",)


ROW_FORMS = {
    "conditions": ConditionRow,
    "medications": MedicationRow,
    "allergies": AllergyRow,
    "antidepressant_trials": TrialRow,
}
YES_NO = {"prn", "adherent", "stopped_for_intolerance", "current_episode"}


if TYPE_CHECKING:
    RowsBase = forms.BaseFormSet[forms.Form]
else:
    RowsBase = forms.BaseFormSet  # generic for the type checker only


class ListFormSet(RowsBase):
    """The rows of a list; a row that says something says what the core needs."""

    def clean(self) -> None:
        """Refuse a row that is half filled in."""
        for form in self.forms:
            data = getattr(form, "cleaned_data", {})
            if not any(value not in (None, "") for value in data.values()):
                continue
            for name in form.needs:  # type: ignore[attr-defined]  # our own row forms
                if not data.get(name):
                    form.add_error(name, _("Fill this in, or empty the whole row."))

    def items(self) -> list[dict[str, Any]]:
        """Return the rows that say something, as the columns of the list's items."""
        return [
            {name: _value(name, value) for name, value in form.cleaned_data.items()}
            for form in self.forms
            if any(value not in (None, "") for value in form.cleaned_data.values())
        ]


def _value(name: str, value: Any) -> Any:
    if name in YES_NO:
        return {"yes": True, "no": False}.get(value)
    return value.upper() if name in ("atc", "code") and isinstance(value, str) else value


def row_formset(kind: str) -> type[ListFormSet]:
    """Return the formset of a list's rows, with a few empty ones below those that are known."""
    made = forms.formset_factory(ROW_FORMS[kind], formset=ListFormSet, extra=ROWS, max_num=60)
    return cast("type[ListFormSet]", made)


class ReviewedForm(KeyedForm):
    """Whether the list is complete, which alone makes what is not on it a no."""

    complete = forms.ChoiceField(
        label=_("Is this list complete?"),
        choices=[
            ("yes", _("Yes: I went through it with the person, and nothing is missing")),
            ("no", _("No: there may be more")),
        ],
        widget=forms.RadioSelect,
    )


class DecisionForm(KeyedForm):
    """What the prescriber does with the Verdict, and why. Approve is there only when it may be."""

    kind = forms.ChoiceField(label=_("Decision"), widget=forms.RadioSelect)
    reason = forms.CharField(
        label=_("Reason"), max_length=2000, widget=forms.Textarea(attrs={"rows": 2})
    )
    facts_hash = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def __init__(self, *args: Any, acceptable: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["kind"]
        assert isinstance(field, forms.ChoiceField)
        approve = [(Decision.Kind.ACCEPTED, _("Approve"))] if acceptable else []
        field.choices = [
            *approve,
            (Decision.Kind.ASKED, _("Ask for what is missing")),
            (Decision.Kind.DECLINED, _("Decline")),
        ]


class ConsentForm(KeyedForm):
    """Signed by the person, after the questions were answered in their own words."""

    signer = forms.CharField(label=_("Signed: the person's full name"), max_length=200)
    agree = forms.BooleanField(label=_("The person read this, or had it read, and agrees."))

    def __init__(self, *args: Any, questions: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.questions = list(questions)
        for number, question in enumerate(self.questions, start=1):
            self.fields[f"teach_back_{number}"] = forms.CharField(
                label=question,
                max_length=2000,
                widget=forms.Textarea(attrs={"rows": 2}),
                help_text=_("In the person's own words."),
            )
        self.order_fields([*(f"teach_back_{n}" for n in range(1, len(self.questions) + 1))])

    def teach_back(self) -> str:
        """Return each question with what the person said."""
        return "\n\n".join(
            f"{question}\n{self.cleaned_data[f'teach_back_{number}']}"
            for number, question in enumerate(self.questions, start=1)
        )


class WithdrawForm(forms.Form):
    """Who withdraws. No reason is asked."""

    signer = forms.CharField(label=_("Withdrawn by"), max_length=200)
