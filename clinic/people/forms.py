"""What an administrator types about a colleague, and a colleague about themselves."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from clinic.people.models import Role


class PersonForm(forms.Form):
    """A colleague's name and licence number."""

    name = forms.CharField(label=_("Name, as colleagues read it"), max_length=120)
    licence_number = forms.CharField(
        label=_("Licence number, where the role has one"), max_length=40, required=False
    )


class InviteForm(PersonForm):
    """A new colleague: the address is also the user name."""

    mail = forms.EmailField(label=_("E-mail address (also the user name)"), max_length=150)
    roles = forms.MultipleChoiceField(
        label=_("Roles at this site"),
        choices=Role.Name.choices,
        widget=forms.CheckboxSelectMultiple,
    )
    field_order = ("mail", "name", "licence_number", "roles")


class RolesForm(forms.Form):
    """The roles that a colleague holds at a site; none at all ends every one."""

    roles = forms.MultipleChoiceField(
        label=_("Roles at this site"),
        choices=Role.Name.choices,
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
