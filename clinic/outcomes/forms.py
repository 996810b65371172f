"""What staff type on the course page."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils.translation import gettext_lazy as _

from clinic.course.forms import KeyedForm
from clinic.course.models import Session
from clinic.people.models import Site
from kap import instrument as instruments


class PlanForm(KeyedForm):
    """The next encounter: kind, wall time at the site, length, one of the site's rooms."""

    kind = forms.ChoiceField(label=_("Kind"), choices=Session.Kind.choices)
    day = forms.DateField(label=_("Day"), widget=forms.DateInput(attrs={"type": "date"}))
    time = forms.TimeField(
        label=_("Time at the site"), widget=forms.TimeInput(attrs={"type": "time"})
    )
    minutes = forms.IntegerField(label=_("Length (min)"), min_value=10, max_value=480)
    room = forms.ChoiceField(label=_("Room"), required=False)

    def __init__(self, *args: Any, site: Site, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zone = site.tz
        rooms = site.rooms.order_by("name").values_list("name", flat=True)
        field = self.fields["room"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", _("no room yet")), *((name, name) for name in rooms)]

    def clean(self) -> dict[str, Any]:
        """Turn the site's wall time into an instant; a time that the clock skips does not exist."""
        data = super().clean() or {}
        if "day" in data and "time" in data:
            data["start"] = self._instant(datetime.combine(data["day"], data["time"]))
        return data

    def _instant(self, wall: datetime) -> datetime:
        instant = wall.replace(tzinfo=self.zone).astimezone(ZoneInfo("UTC"))
        if instant.astimezone(self.zone).replace(tzinfo=None) != wall:
            self.add_error("time", _("The clocks change: this time does not exist that day."))
        return instant


class SendForm(KeyedForm):
    """Which instrument to send."""

    instrument = forms.ChoiceField(label=_("Questionnaire"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["instrument"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [
            (each, instruments.load(each).title["en"]) for each in instruments.available()
        ]
