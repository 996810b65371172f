"""The shipped protocol is complete as a text: sources, two languages, patients of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from kap.chart import Chart
from kap.examples import check
from kap.facts import vocabulary
from kap.moment import Moment, instant
from kap.protocol import Protocol, load, parse_protocol
from kap.verdict import ask
from tests.spec.table import Row, Table, asked

ROOT = Path(__file__).parents[2]
FILE = ROOT / "kap" / "protocols" / "iv-ketamine" / "2026.1.toml"
SELF_CHECK_QUESTIONS = 12


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return load("iv-ketamine", "2026.1")


def test_every_example_patient_is_answered_as_the_rule_says(protocol: Protocol) -> None:
    assert check(protocol) == []


def test_a_threshold_one_step_off_fails_an_example() -> None:
    """The negative control: the example patients stand on both sides of the threshold."""
    text = FILE.read_text(encoding="utf-8")
    moved = text.replace("cv_block_d = { value = 42", "cv_block_d = { value = 43")
    assert moved != text
    assert [failure.split(":")[0] for failure in check(parse_protocol(moved))] == [
        "CI-MI",
        "CI-MI-R",
    ]


def _provenance(protocol: Protocol) -> Iterator[tuple[str, str, str]]:
    """Return (name, source, mark) of every parameter and rule."""
    for parameter in protocol.parameters.values():
        yield parameter.name, parameter.source, parameter.mark
    for rule in protocol.rules:
        yield rule.id, rule.source, rule.mark


def test_every_source_that_is_cited_is_listed(protocol: Protocol) -> None:
    cited = {n for _, source, _ in _provenance(protocol) for n in re.findall(r"S:\d+b?", source)}
    assert cited - set(protocol.tables["source"]) == set()
    assert "S:10b" in cited


def test_a_mark_s_names_a_source_that_was_read(protocol: Protocol) -> None:
    found = [
        name for name, source, mark in _provenance(protocol) if mark == "S" and "S:" not in source
    ]
    assert found == []


def test_every_reason_and_condition_is_written_in_french(protocol: Protocol) -> None:
    for rule in protocol.rules:
        assert rule.why_fr, rule.id
        assert bool(rule.reask) == bool(rule.reask_fr), rule.id
        assert all(part.text_fr for part in (*rule.conditions, *rule.tasks)), rule.id


def test_every_question_is_asked_in_both_languages() -> None:
    assert [name for name, kind in vocabulary().items() if not kind.ask["fr"].strip()] == []
    assert [name for name, kind in vocabulary().items() if not kind.ask["en"].strip()] == []


def test_the_self_check_asks_only_what_a_person_can_answer(protocol: Protocol) -> None:
    asked = [vocabulary()[name] for name in protocol.selfcheck_facts]
    assert len(asked) == SELF_CHECK_QUESTIONS
    assert [kind.name for kind in asked if "patient" not in kind.answered_by] == []


def test_every_alarm_number_has_its_provenance(protocol: Protocol) -> None:
    tables = protocol.tables
    rows = (*tables["alarm"].values(), *tables["alarm_param"].values())
    assert rows
    assert [row for row in (*rows, *tables["schedule"].values()) if not row.get("source")] == []
    assert {row["mark"] for row in rows} <= {"S", "M", "D"}


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("eligible", "eligible"),
        ("contraindicated", "contraindicated"),
        ("unknown", "need_more_information"),
        ("conditions", "eligible_with_conditions"),
    ],
)
def test_the_example_files_are_answered_as_they_are_named(
    name: str, answer: str, protocol: Protocol
) -> None:
    text = (ROOT / "examples" / f"{name}.json").read_text(encoding="utf-8")
    told = json.loads(text, parse_float=Decimal)
    at = Moment.at(instant(told.pop("asked_at")))
    assert ask(protocol, "screening", Chart.from_json(told), at).answer == answer


@pytest.mark.parametrize(
    ("weeks", "notes"),
    [(3, set()), (4, {"IND-TRIALS-NEAR"}), (5, {"IND-TRIALS-NEAR"}), (6, set())],
)
def test_trials_of_four_or_five_weeks_are_flagged_as_borderline(
    weeks: int, notes: set[str], protocol: Protocol
) -> None:
    table = Table("", "", "screening", "", {"tried": "antidepressant_trials"}, ())
    row = Row({"tried": f"N06AB06 150 mg {weeks} wk; N06AX16 225 mg 12 wk"}, "", ())
    spoke = {found.rule_id for found in asked(protocol, table, row).findings}
    assert spoke & {"IND-TRIALS-NEAR"} == notes
