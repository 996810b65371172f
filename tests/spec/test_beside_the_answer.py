"""How long answers stay valid, and which notes stand beside an answer, as the tables say."""

from __future__ import annotations

from pathlib import Path

import pytest

from kap.protocol import Protocol, load, parse_protocol
from tests.spec.beside_the_answer import (
    otherwise_measured,
    otherwise_noted,
    otherwise_ruled,
    otherwise_valid,
)
from tests.spec.table import BOTH, KETAMINE

PROTOCOLS = Path(__file__).parents[2] / "kap" / "protocols"


@pytest.mark.parametrize("protocol", BOTH)
def test_every_answer_stays_valid_as_long_as_the_table_says(protocol: str) -> None:
    assert list(otherwise_valid(load(protocol))) == []


@pytest.mark.parametrize("protocol", BOTH)
def test_each_note_is_brought_up_where_the_table_says_and_nowhere_else(protocol: str) -> None:
    assert list(otherwise_noted(load(protocol))) == []


@pytest.mark.parametrize("protocol", BOTH)
def test_each_patient_of_a_single_rule_is_answered_as_the_table_says(protocol: str) -> None:
    assert list(otherwise_ruled(load(protocol))) == []


@pytest.mark.parametrize("protocol", BOTH)
def test_each_number_that_no_rule_reads_has_the_unit_of_the_table(protocol: str) -> None:
    assert list(otherwise_measured(load(protocol))) == []


def altered(old: str, new: str) -> Protocol:
    """Return the ketamine protocol with one text changed."""
    path = PROTOCOLS / KETAMINE / f"{load(KETAMINE).version}.toml"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    return parse_protocol(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("ecg_valid = { value = 365", "ecg_valid = { value = 366", "screening: qtc, 365 d"),
        ("bp_valid_start = { value = 60", "bp_valid_start = { value = 61", "start: spo2, 60 min"),
        ('"pregnancy_test_positive"]', '"pregnancy_test_positive", "x"]', "screening: x"),
    ],
)
def test_an_answer_that_stays_valid_too_long_is_found(old: str, new: str, found: str) -> None:
    """The negative control."""
    assert found in list(otherwise_valid(altered(old, new)))


def test_a_note_that_is_gone_is_found() -> None:
    """The negative control."""
    assert list(otherwise_noted(altered('atc = ["N05AN01"]\ntitle', 'atc = ["N09"]\ntitle')))


def test_a_rule_that_needs_less_is_found() -> None:
    """The negative control."""
    less = altered('"sud_active", "audit_c"]', '"sud_active"]')
    assert [line.split(":")[0] for line in otherwise_ruled(less)] == ["I-CORE"]


def test_a_number_in_another_unit_is_found() -> None:
    """The negative control."""
    written = 'dose_usual = { value = 0.5, unit = "mg'
    wrong = altered(f'{written}/kg"', f'{written}"')
    assert list(otherwise_measured(wrong)) == ["dose_usual: mg, not mg/kg"]
