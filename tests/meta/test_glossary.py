"""GLOSSARY.md and the code use the same words: public classes of `kap`, models of `clinic`.

Its rows are `| word | meaning | where |`. Where is a module in backticks for a word that is a class
there ("Care card" is `CareCard`), or `-` for a word that is only spoken.
"""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest
from django.apps import apps

import kap

GLOSSARY = Path(__file__).resolve().parents[2] / "GLOSSARY.md"
ROW = re.compile(r"^\| *(?P<word>[^|]+?) *\| *(?P<meaning>[^|]+?) *\| *(?P<where>[^|]+?) *\|$")


def squeezed(word: str) -> str:
    """Return "Care card" and "CareCard" as the same word."""
    return re.sub(r"[^a-z0-9]", "", word.lower())


def words(text: str) -> set[tuple[str, str]]:
    """Return (word, module) of each row that names a module."""
    rows = [match for line in text.splitlines() if (match := ROW.match(line))]
    return {
        (squeezed(row["word"]), module)
        for row in rows
        for module in re.findall(r"`((?:kap|clinic)[\w.]*)`", row["where"])
    }


def public_classes() -> set[tuple[str, str]]:
    """Return (class, module) of each public class of kap, errors aside."""
    modules = [
        importlib.import_module(found.name) for found in pkgutil.walk_packages(kap.__path__, "kap.")
    ]
    return {
        (squeezed(name), module.__name__)
        for module in modules
        for name, value in inspect.getmembers(module, inspect.isclass)
        if value.__module__ == module.__name__
        and not name.startswith("_")
        and not issubclass(value, Exception)
    }


def models() -> set[tuple[str, str]]:
    """Return (model, app) of each model of the clinic."""
    ours = [model for model in apps.get_models() if model.__module__.startswith("clinic.")]
    return {(squeezed(model.__name__), model._meta.app_config.name) for model in ours}


def test_each_class_has_its_word_and_each_word_its_class() -> None:
    code, page = public_classes() | models(), words(GLOSSARY.read_text())
    assert {"no word in GLOSSARY.md": code - page, "no class": page - code} == {
        "no word in GLOSSARY.md": set(),
        "no class": set(),
    }


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (
            "| Care card | what the patient keeps | `clinic.therapy` |",
            {("carecard", "clinic.therapy")},
        ),
        ("| Gate | a stage shown as a checklist | - |", set()),
        ("| word | meaning | where |", set()),
        (
            "| Fact | told | `kap.chart`, `clinic.course` |",
            {("fact", "kap.chart"), ("fact", "clinic.course")},
        ),
    ],
)
def test_a_row_says_a_word_and_where_it_lives(row: str, found: set[tuple[str, str]]) -> None:
    assert words(row) == found


def test_a_new_class_would_be_missed() -> None:
    assert len(public_classes()) > 10
    assert public_classes() - words("") == public_classes()
