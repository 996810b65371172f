"""The vocabulary refuses what cannot be, and counts in whole steps."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from fractions import Fraction
from importlib import resources
from typing import Any

import pytest

from kap.facts import FactError, read_vocabulary, steps_up, vocabulary
from kap.protocol import available, load
from tests.core.small_protocol import FACTS

ASK = 'ask = { en = "a", fr = "b" }\n'


def test_the_shipped_vocabulary_asks_every_question_in_both_languages() -> None:
    assert vocabulary()
    assert all(kind.ask["en"] and kind.ask["fr"] for kind in vocabulary().values())


def test_a_possible_value_on_a_step_is_accepted() -> None:
    assert FACTS["weight"].accept(Decimal("70.1"), "kg") == Decimal("70.1")
    assert FACTS["weight"].steps(Decimal("70.1")) == 701


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        ("70", None, "has no unit"),
        ("154", "[lb_av]", "is in '\\[lb_av\\]'"),
        ("1200", "kg", "impossible"),
        ("34.9", "kg", "impossible"),
        ("NaN", "kg", "no number"),
        ("70.05", "kg", "finer than its step"),
    ],
)
def test_an_impossible_weight_is_refused_with_the_way_out(
    value: str, unit: str | None, said: str
) -> None:
    with pytest.raises(FactError, match=f"weight: .*{said}"):
        FACTS["weight"].accept(Decimal(value), unit)


def test_what_is_no_number_has_no_steps() -> None:
    with pytest.raises(FactError, match="no number"):
        FACTS["aneurysm"].steps(Decimal(1))
    with pytest.raises(FactError, match="impossible"):
        FACTS["aneurysm"].accept(Decimal(1), "")


def test_ratios_are_rounded_up_to_a_step() -> None:
    assert steps_up(Fraction(1, 40), Fraction(1, 40)) == 1
    assert steps_up(Fraction(10001, 400000), Fraction(1, 10000)) == 251
    assert steps_up(Fraction(-1, 3), Fraction(1)) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[fact.x]\ntype = "bool"\n', "ask needs en and fr"),
        ('[fact.x]\ntype = "maybe"\n' + ASK, "type 'maybe'"),
        ('[fact.x]\ntype = "bool"\nunit = "kg"\n' + ASK, "a number needs"),
        ('[fact.x]\ntype = "number"\nunit = "kg"\nstep = 1\n' + ASK, "a number needs"),
        ('[fact.x]\ntype = "number"\nunit = "1"\nstep = 0\nlow = 0\nhigh = 1\n' + ASK, "step > 0"),
        (
            '[fact.x]\ntype = "number"\nunit = "1"\nstep = 1\nlow = 1\nhigh = 1\n' + ASK,
            "low < high",
        ),
        ('[fact.x]\ntype = "bool"\ncolour = 1\n' + ASK, "unknown key colour"),
        ('[fact.X]\ntype = "bool"\n' + ASK, "lower case"),
        ('[fact.x]\ntype = "list"\n' + ASK, "lists are exactly"),
        ('[fact.x]\ntype = "bool"\ndirection = "left"\n' + ASK, "direction 'left'"),
        ('[fact.x]\ntype = "bool"\nanswered_by = ["cat"]\n' + ASK, "answered_by cat"),
    ],
)
def test_an_unsound_entry_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(FactError, match=said):
        read_vocabulary(text)


# Codes that were read in their source; any other stays out until somebody reads it.
READ_CODES = {"phq9": "44261-6", "phq9_item9": "44260-8"}


def _rows() -> dict[str, dict[str, Any]]:
    text = resources.files("kap").joinpath("facts.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["fact"]


def lacks(rows: dict[str, dict[str, Any]]) -> list[str]:
    """Return what an entry lacks: type, who may answer, direction, a question in both languages."""
    found = []
    for name, row in rows.items():
        keys = ("type", "answered_by") + (("direction",) if row["type"] != "list" else ())
        keys += ("unit", "step", "low", "high") if row["type"] == "number" else ()
        found += [f"{name}: {key}" for key in keys if row.get(key) in (None, "", [])]
        for language, ends in (("en", "?"), ("fr", "?")):
            asked = row["ask"][language].strip()
            if not asked or (row["type"] != "list" and not asked.endswith(ends)):
                found.append(f"{name}: a question in {language}")
    return found


def test_each_fact_says_all_that_an_asker_needs() -> None:
    assert lacks(_rows()) == []


@pytest.mark.parametrize("key", ["answered_by", "direction", "unit"])
def test_an_entry_without_one_of_them_is_found(key: str) -> None:
    """The negative control."""
    rows = {"weight": {k: v for k, v in _rows()["weight"].items() if k != key}}
    assert lacks(rows) == [f"weight: {key}"]


def test_only_codes_that_were_read_are_written() -> None:
    coded = {n: r[k] for n, r in _rows().items() for k in ("loinc", "snomed") if k in r}
    assert coded == READ_CODES


def test_every_fact_that_a_shipped_protocol_reads_stands_in_the_vocabulary() -> None:
    for protocol_id, version in available():
        protocol = load(protocol_id, version)
        roots = {root for found in protocol.plan.roots.values() for root in found}
        assert roots - set(vocabulary()) == set()
