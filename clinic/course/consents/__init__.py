"""Consent texts as versioned data: the words that are signed."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class Wording:
    """One scope's text in one version, and the questions answered in the person's own words.

    `verified` says whether a clinician or lawyer reviewed it.
    """

    scope: str
    version: str
    verified: bool
    text: dict[str, str]
    teach_back: dict[str, tuple[str, ...]]


@cache
def wording(scope: str) -> Wording:
    """Return the text of a scope in its shipped version."""
    name = f"{scope}.toml"
    data = tomllib.loads(resources.files(__name__).joinpath(name).read_text(encoding="utf-8"))
    languages = ("en", "fr")
    return Wording(
        scope,
        data["version"],
        data["verified"],
        {language: data[language].strip() for language in languages},
        {language: tuple(data["teach_back"][language]) for language in languages},
    )
