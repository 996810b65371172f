"""How long answers stay valid, and which notes stand beside an answer, as the tables say."""

from __future__ import annotations

from pathlib import Path

import pytest

from kap.protocol import Protocol, load, parse_protocol
from tests.spec.beside_the_answer import otherwise_noted, otherwise_valid
from tests.spec.table import BOTH, KETAMINE

PROTOCOLS = Path(__file__).parents[2] / "kap" / "protocols"


@pytest.mark.parametrize("protocol", BOTH)
def test_every_answer_stays_valid_as_long_as_the_table_says(protocol: str) -> None:
    assert list(otherwise_valid(load(protocol))) == []


@pytest.mark.parametrize("protocol", BOTH)
def test_each_note_is_brought_up_where_the_table_says_and_nowhere_else(protocol: str) -> None:
    assert list(otherwise_noted(load(protocol))) == []


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
