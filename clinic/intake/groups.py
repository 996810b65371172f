"""The vocabulary in groups, as a screening is asked: the suicide screen first, then the body."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from typing import Protocol, TypeVar

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

TITLES: dict[str, Promise] = {
    "suicide": _("Suicide screen"),
    "now": _("Safety now"),
    "vitals": _("Vital signs"),
    "person": _("Person"),
    "diagnosis": _("Diagnosis and past treatment"),
    "mind": _("Mind"),
    "substances": _("Substances"),
    "heart": _("Heart and blood vessels"),
    "nerves": _("Brain, eyes, nerves"),
    "labs": _("Liver, kidney, bladder, metabolism"),
    "pregnancy": _("Pregnancy and allergy"),
    "breathing": _("Breathing and airway"),
    "medicines": _("Medicines: what a list cannot say"),
    "day": _("The day of a dose"),
    "course": _("The course"),
}


@cache
def groups() -> dict[str, tuple[str, ...]]:
    """Return the facts of each group, in the order shown."""
    text = resources.files("clinic.intake").joinpath("groups.toml").read_text(encoding="utf-8")
    return {name: tuple(row["facts"]) for name, row in tomllib.loads(text).items()}


class Named(Protocol):
    """A fact's type, or an input called after it."""

    @property
    def name(self) -> str:
        """The fact's name."""


Some = TypeVar("Some", bound=Named)


def grouped(rows: Iterable[Some]) -> Iterator[tuple[Promise, list[Some]]]:
    """Yield each group that has rows, with its title and its rows in the group's order."""
    by_name = {row.name: row for row in rows}
    for group, names in groups().items():
        if found := [by_name[name] for name in names if name in by_name]:
            yield TITLES[group], found
