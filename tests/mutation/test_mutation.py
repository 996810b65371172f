"""The mutators make the mutants that they say, and a mutant that lives is reported."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kap.condition import All, parse
from kap.protocol import load
from kap.protocol_file import read_toml
from tests.mutation import tree as trees
from tests.mutation.code import changes, mutated
from tests.mutation.data import KINDS, Mutant, mutants
from tests.mutation.found import Found, reasons, reckon
from tests.mutation.judge import Bench
from tests.mutation.report import body
from tests.reliability import written

PROTOCOLS = Path(__file__).parents[2] / "kap" / "protocols"


@pytest.fixture(scope="module")
def data() -> Mapping[str, Any]:
    version = load("iv-ketamine").version
    return read_toml((PROTOCOLS / "iv-ketamine" / f"{version}.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def made(data: Mapping[str, Any]) -> dict[tuple[str, str], Mutant]:
    return {(m.kind, m.name): m for m in mutants(data, load("iv-ketamine"))}


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench.of("iv-ketamine")


# --- conditions ---------------------------------------------------------------------------------


def test_each_leaf_is_turned_once_and_a_double_not_is_none() -> None:
    tree = parse("a and not b and (c < param.d or e in param.f)").tree
    assert [str(new) for _, new in trees.flipped(tree)] == [
        "not a and not b and (c < param.d or e in param.f)",
        "a and b and (c < param.d or e in param.f)",
        "a and not b and (c >= param.d or e in param.f)",
        "a and not b and (c < param.d or not e in param.f)",
    ]


def test_a_branch_is_dropped_and_what_is_left_alone_needs_no_and() -> None:
    tree = parse("a and (b or c and d)").tree
    assert [str(new) for _, new in trees.dropped(tree, All)] == [
        "b or (c and d)",
        "a",
        "a and (b or d)",
        "a and (b or c)",
    ]


# --- protocols ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "path", "value"),
    [
        ("truth flipped", "CI-AVM: not `arteriovenous_malformation`",
         "rule CI-AVM when", "not arteriovenous_malformation"),
        ("AND branch dropped", "CI-ANEUR: without `not aneurysm_excluded`",
         "rule CI-ANEUR when", "aneurysm"),
        ("OR branch dropped", "CI-ICP: without `raised_icp`",
         "rule CI-ICP when", "space_occupying_lesion or head_injury_recent"),
        ("unknown as no", "CI-AVM: `arteriovenous_malformation`",
         "derived mutant unknown_as_no", "arteriovenous_malformation"),
        ("unknown as no", "I-LFT: needs no ast_uln", "rule I-LFT needs", ["alt_uln"]),
        ("verdict milder", "CI-AVM: refer_to_specialist",
         "rule CI-AVM verdict", "refer_to_specialist"),
        ("unit swapped", "min_interval_h: h as min", "param min_interval_h unit", "min"),
        ("derivation off", "bp_gap_max +1", "param bp_gap_max value", 16),
        ("validity widened", "ecg_valid + 1 d", "param ecg_valid value", 366),
        ("fact retargeted", "CI-AVM: `arteriovenous_malformation` reads asrm_on_file",
         "rule CI-AVM when", "asrm_on_file"),
    ],
)  # fmt: skip
def test_a_mutant_is_what_it_says(
    made: dict[tuple[str, str], Mutant], kind: str, name: str, path: str, value: object
) -> None:
    found: Any = made[kind, name].data
    for key in path.split():
        found = found[key]
    assert found == value


def test_a_threshold_moves_by_one_step_of_its_fact(made: dict[tuple[str, str], Mutant]) -> None:
    mutant = made["threshold one step off", "BP-SOFT: `systolic_mean > param.bp_go_sbp` up"]
    assert "systolic_mean > param.mutant" in mutant.data["rule"]["BP-SOFT"]["when"]
    assert str(mutant.data["param"]["mutant"]["value"]) == "140.5"  # a mean of two is in halves


def test_an_answer_that_stays_valid_longer_is_in_the_next_class(
    made: dict[tuple[str, str], Mutant],
) -> None:
    table = made["validity widened", "start: capacity, mind_valid"].data["validity"]["start"]
    assert "capacity" not in table["same-day"]
    assert table["mind_valid"] == ["capacity"]


def test_a_deleted_rule_is_gone_and_nothing_else(
    data: Mapping[str, Any], made: dict[tuple[str, str], Mutant]
) -> None:
    left = made["rule deleted", "CI-AVM"].data
    assert data["rule"].keys() - left["rule"].keys() == {"CI-AVM"}
    assert {key: left[key] for key in left if key != "rule"} == {
        key: data[key] for key in data if key != "rule"
    }


def test_every_kind_is_made(made: dict[tuple[str, str], Mutant]) -> None:
    assert {kind for kind, _ in made} == set(KINDS)


def test_a_protocol_without_a_mistake_survives(bench: Bench, data: Mapping[str, Any]) -> None:
    """The negative control: the judges find nothing where nothing is wrong."""
    assert bench.killer(Mutant("none", "none", data, None)) == ""


@pytest.mark.parametrize(
    ("kind", "name", "judge"),
    [
        ("rule deleted", "CI-AVM", "tables"),
        ("truth flipped", "CI-AVM: not `arteriovenous_malformation`", "examples"),
        ("unknown as no", "NOW-BP: `systolic_mean >= param.bp_crisis_sbp`", "law of the unknown"),
        ("unknown as no", "I-CORE: needs no audit_c", "single rules"),
        ("unit swapped", "min_interval_h: h as min", "loader"),
        ("validity widened", "start: capacity, mind_valid", "tables"),
    ],
)
def test_a_mutant_is_noticed(
    bench: Bench, made: dict[tuple[str, str], Mutant], kind: str, name: str, judge: str
) -> None:
    assert bench.killer(made[kind, name]) == judge


# --- modules ------------------------------------------------------------------------------------

SOURCE = '''
"""The text of a docstring is left alone."""
LIMIT: int | None = 3

def f(a, b=True):
    if a < LIMIT and not b:
        raise ValueError("a sentence is left alone")
    return max(a + 1, 0)
'''


def test_a_module_is_changed_in_every_way_once() -> None:
    found = changes(ast.parse(SOURCE))
    assert len({change.name for change in found}) == len(found)
    assert {change.name for change in found} >= {
        "`3` -> `4`",
        "f: `True` -> `False`",
        "f: `a < LIMIT` -> `a <= LIMIT`",
        "f: `a < LIMIT and (not b)` -> `a < LIMIT or not b`",
        "f: `not b` -> `b`",
        "f: `raise ValueError('a sentence is left alone')` -> `pass`",
        "f: `max(a + 1, 0)` -> `min(a + 1, 0)`",
        "f: `a + 1` -> `a - 1`",
        "f: `return max(a + 1, 0)` -> `return None`",
    }
    assert not [change for change in found if "docstring" in change.name or "|" in change.name]


def test_a_changed_module_differs_in_that_one_place() -> None:
    found = changes(ast.parse(SOURCE))
    (place,) = (i for i, c in enumerate(found) if c.name == "f: `a + 1` -> `a - 1`")
    was, now = ast.unparse(ast.parse(SOURCE)), ast.unparse(mutated(SOURCE, place))
    assert now == was.replace("a + 1", "a - 1") != was


# --- survivors ----------------------------------------------------------------------------------

LIVES = Found("kap.logic", "comparison", "Truth.__or__: turned", "")
DIES = Found("kap.logic", "constant", "at_least: 2 as 3", "core/test_logic.py")


def test_a_mutant_that_lives_without_a_reason_fails_the_run_and_is_on_the_page() -> None:
    reckoning = reckon([LIVES, DIES], {}, ["kap.logic"])
    assert not reckoning.holds
    assert reckoning.unexplained == (LIVES,)
    page = body("code", [LIVES, DIES], reckoning, {})
    assert "| kap.logic | comparison: Truth.__or__: turned | **no reason given** |" in page
    assert "2 made, 1 killed, 1 survive." in page


def test_a_reason_is_enough_only_while_its_mutant_lives() -> None:
    known = {LIVES.key: "the same object either way", DIES.key: "nobody counts to 2"}
    assert reckon([LIVES], {LIVES.key: "the same"}, ["kap.logic"]).holds
    assert reckon([LIVES, DIES], known, ["kap.logic"]).stale == (DIES.key,)
    assert reckon([LIVES, DIES], known, ["kap.dose"]).holds  # logic was not asked as a whole


def test_every_reason_is_a_sentence() -> None:
    assert [name for (_, name), reason in reasons().items() if len(reason.split()) < 4] == []


# --- the page -----------------------------------------------------------------------------------


def test_a_section_is_written_anew_and_the_others_stay() -> None:
    page = written(written("", "Mutants", "10 made"), "Faults", "none lost")
    again = written(page, "Mutants", "12 made")
    assert again == page.replace("10 made", "12 made")
    assert again.index("## Mutants") < again.index("## Faults")
