"""The protocol answers every row of every clinical table as the table says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kap.protocol import load, parse_protocol
from kap.rule import STAGES
from tests.spec.render import pages, stale
from tests.spec.table import BOTH, NOW, Row, Table, asked, behind, moment, person, tables

PROTOCOLS = Path(__file__).parents[2] / "kap" / "protocols"
LINES = [(each, table, row) for table in tables() for each in table.protocols for row in table.rows]


def _name(line: tuple[str, Table, Row]) -> str:
    protocol, table, row = line
    return f"{protocol} {table.topic}: {' | '.join(row.cells.values())}"


@pytest.mark.parametrize("line", LINES, ids=map(_name, LINES))
def test_the_protocol_says_what_the_table_says(line: tuple[str, Table, Row]) -> None:
    protocol, table, row = line
    verdict = asked(load(protocol), table, row)
    assert (verdict.answer, behind(verdict)) == (row.verdict, set(row.because))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("protocol", BOTH)
def test_a_clean_person_passes_every_stage(protocol: str, stage: str) -> None:
    table = Table("people", "clean", stage, "", {}, ())
    assert asked(load(protocol), table, Row({}, "eligible", ())).answer == "eligible"


@pytest.mark.parametrize("protocol", BOTH)
def test_every_rule_decides_some_row(protocol: str) -> None:
    told = {rule.rstrip("?") for drug, _, row in LINES if drug == protocol for rule in row.because}
    rules = {rule.id for rule in load(protocol).rules if rule.level != "N"}
    assert told == rules


@pytest.mark.parametrize("protocol", BOTH)
def test_a_protocol_without_its_soft_stop_fails_the_table(protocol: str) -> None:
    """The negative control: the rows notice when a rule is gone."""
    file = PROTOCOLS / protocol / f"{load(protocol).version}.toml"
    text = file.read_text(encoding="utf-8")
    start = text.index("[rule.BP-SOFT]")
    without = parse_protocol(text[:start] + text[text.index("[rule.", start + 1) :])
    lines = [(t, r) for drug, t, r in LINES if drug == protocol and r.because == ("BP-SOFT",)]
    assert lines
    assert all(asked(without, table, row).answer != row.verdict for table, row in lines)


def test_docs_spec_shows_the_tables_as_they_are() -> None:
    assert stale() == []


def test_a_page_that_was_changed_by_hand_is_noticed(tmp_path: Path) -> None:
    for name, text in pages().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert stale(tmp_path) == []
    (tmp_path / "blood_pressure.md").write_text("142/90 is fine", encoding="utf-8")
    (tmp_path / "left_over.md").write_text("", encoding="utf-8")
    assert stale(tmp_path) == ["blood_pressure.md", "left_over.md"]


def test_a_cell_that_names_no_time_is_refused() -> None:
    with pytest.raises(AssertionError, match="names no time"):
        moment("yesterday")
    assert (NOW - moment("47 h 59 min ago")).total_seconds() == (47 * 60 + 59) * 60


def test_a_row_changes_nothing_but_what_it_tells() -> None:
    table = replace(tables()[0], stage="screening")
    assert person(table.stage) == person(table.stage)
    assert person(table.stage)["facts"] is not person(table.stage)["facts"]
