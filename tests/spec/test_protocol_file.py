"""The shipped protocol is complete as a text: sources, two languages, patients of its own."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from kap.chart import Chart
from kap.condition import Comparison, FactName, ParamName, walk
from kap.examples import check, run
from kap.facts import vocabulary
from kap.limit import signals
from kap.moment import Moment, instant
from kap.observation import stale_limits
from kap.protocol import Protocol, available, load, parse_protocol
from kap.rule import Rule
from kap.verdict import ask
from tests.spec.table import Row, Table, asked

ROOT = Path(__file__).parents[2]
FILE = ROOT / "kap" / "protocols" / "iv-ketamine" / "2026.1.toml"
SHIPPED = available()
SELF_CHECK_QUESTIONS = 12


@pytest.fixture(scope="module", params=SHIPPED, ids="@".join)
def protocol(request: pytest.FixtureRequest) -> Protocol:
    return load(*request.param)


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
    cited = {n for _, source, _ in _provenance(protocol) for n in re.findall(r"S:\d+[bc]?", source)}
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
def test_the_example_files_are_answered_as_they_are_named(name: str, answer: str) -> None:
    protocol = load("iv-ketamine", "2026.1")
    text = (ROOT / "examples" / f"{name}.json").read_text(encoding="utf-8")
    told = json.loads(text, parse_float=Decimal)
    at = Moment.at(instant(told.pop("asked_at")))
    assert ask(protocol, "screening", Chart.from_json(told), at).answer == answer


@pytest.mark.parametrize(
    ("weeks", "notes"),
    [(3, set()), (4, {"IND-TRIALS-NEAR"}), (5, {"IND-TRIALS-NEAR"}), (6, set())],
)
def test_trials_of_four_or_five_weeks_are_flagged_as_borderline(
    weeks: int, notes: set[str]
) -> None:
    protocol = load("iv-ketamine")
    table = Table("", "", "screening", "", {"tried": "antidepressant_trials"}, ())
    row = Row({"tried": f"N06AB06 150 mg {weeks} wk; N06AX16 225 mg 12 wk"}, "", ())
    spoke = {found.rule_id for found in asked(protocol, table, row).findings}
    assert spoke & {"IND-TRIALS-NEAR"} == notes


def _plain(rule: Rule) -> Iterator[tuple[str, str]]:
    """Return (fact, parameter) of each comparison of a rule that reads one fact and one number."""
    for formula in filter(None, (rule.expression, rule.only_if)):
        for node in walk(formula.tree):
            if isinstance(node, Comparison):
                sides = node.left, node.right
                if isinstance(sides[0], FactName) and isinstance(sides[1], ParamName):
                    yield sides[0].name, sides[1].name


def _unshown(protocol: Protocol) -> list[str]:
    """Return the thresholds at which no pair of example patients changes what the rule says."""
    missing = []
    for rule in protocol.rules:
        told = {
            frozenset(e.given.items()): run(protocol, rule, e)
            for e in rule.examples
            if not rule.medication
        }
        for fact, param in _plain(rule):
            limit = protocol.parameters[param].value
            pairs = (
                (dict(a), dict(b))
                for a, said in told.items()
                for b, other in told.items()
                if said != other and dict(a).get(fact) == limit and fact in dict(b)
            )
            if not any({**a, fact: 0} == {**b, fact: 0} for a, b in pairs):
                missing.append(f"{rule.id}: {fact} at {param}")
    return missing


@pytest.mark.parametrize("name", ["iv-ketamine", "esketamine-spray"])
def test_two_example_patients_stand_on_either_side_of_each_threshold(name: str) -> None:
    assert _unshown(load(name)) == []


@pytest.mark.parametrize("name", ["iv-ketamine", "esketamine-spray"])
def test_every_rule_has_a_patient_about_whom_it_cannot_say(name: str) -> None:
    protocol = load(name)
    silent = [
        rule.id
        for rule in protocol.rules
        if not rule.medication
        and "unknown" not in {run(protocol, rule, example) for example in rule.examples}
    ]
    assert silent == []


def test_a_threshold_without_its_patients_is_found() -> None:
    """The negative control: 2026.1, whose patients do not stand at every threshold."""
    assert "BP-SOFT: systolic_mean at bp_go_sbp" in _unshown(load("iv-ketamine", "2026.1"))


def test_every_shipped_file_is_frozen_by_its_sum() -> None:
    folder = ROOT / "kap" / "protocols"
    rows = (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    assert sorted(row.split()[1] for row in rows) == sorted(f"{i}/{v}.toml" for i, v in SHIPPED)
    for digest, name in (row.split() for row in rows):
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_the_alarms_and_the_age_of_values_are_read_from_every_protocol(protocol: Protocol) -> None:
    found = signals(protocol.tables, baseline={}, spo2_offset=Decimal(0))
    assert {"blood_pressure", "spo2", "heart_rate", "moaas", "distress"} <= set(found)
    assert stale_limits(protocol.tables["alarm_param"])
