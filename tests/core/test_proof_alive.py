"""Each rule has its witness: the evaluator answers otherwise of that patient without the rule."""

import json
from collections import Counter
from fractions import Fraction

import pytest

from kap import cli
from kap.chart import Chart
from kap.evidence import Look
from kap.proof import prove
from kap.protocol import available, load
from kap.value import FALSE, TRUE, UNKNOWN, Value, number
from tests.core.small_protocol import AGAIN, AT, TEXT, rule, small

SHIPPED = [f"{name}@{version}" for name, version in available()]


def read(text, column):
    """A fact as a witness tells it, as the scalar reader takes it."""
    if text == "unknown":
        return Value(reason="x")
    if column.kind == "number":
        ends = text.removesuffix(f" {column.unit}").split(" to ")
        steps = [Fraction(end) / column.step for end in (ends[0], ends[-1])]
        assert all(step.denominator == 1 for step in steps)
        return number(int(steps[0]), int(steps[1]))
    if column.kind == "code":
        return Value(code=text)
    return Value(truth=FALSE if text == "false" else TRUE)


def truths(protocol, witness, well):
    """What each rule of the witness's stage makes of that patient."""
    stage = protocol.stage(witness["stage"])
    look = Look(Chart(), AT, protocol.plan.derivers, stage.limits, stage.now)
    for name, text in {**well.get(stage.name, {}), **witness["facts"]}.items():
        column = protocol.plan.columns[name]
        look.values[column.slot] = read(text, column)
    return [planned.speaks(look) for planned in stage.rules]


@pytest.mark.parametrize("name", SHIPPED)
def test_without_its_rule_the_evaluator_judges_every_witness_otherwise(name, capsys):
    assert cli.main(["protocol", "prove", name, "--json"]) == 0
    proof, protocol = json.loads(capsys.readouterr().out), load(*name.split("@"))
    assert {w["rule_id"] for w in proof["witnesses"]} == {r.id for r in protocol.rules}
    changes = Counter()
    for witness in proof["witnesses"]:
        stage = protocol.stage(witness["stage"])
        said = truths(protocol, witness, proof["well"])
        place = [planned.rule.id for planned in stage.rules].index(witness["rule_id"])
        asks = stage.rules[place].rule.kind == "needs"
        assert said[place] == (UNKNOWN if asks else TRUE), witness
        without = [FALSE if row == place else truth for row, truth in enumerate(said)]
        is_other = stage.answer(said).rank > stage.answer(without).rank
        assert is_other == (witness["changes"] == "answer"), witness
        changes[witness["changes"]] += 1
    assert changes["answer"] > 4 * changes["findings"] > 0


@pytest.mark.parametrize("name", SHIPPED)
def test_of_the_patient_who_is_well_no_rule_says_anything(name):
    protocol, proof = load(*name.split("@")), prove(load(*name.split("@")))
    for stage in proof.well:
        assert set(truths(protocol, {"stage": stage, "facts": {}}, proof.well)) == {FALSE}
    assert "start" in {w.stage for w in proof.witnesses}


def test_a_witness_is_found_where_nobody_is_without_a_finding():
    """One rule speaks of everybody; the others are seen beside it, or above it."""
    everybody = rule("P-ALL", "P", 'when = "left_handed or not left_handed"', "defer", AGAIN)
    note = rule("N-LEFT", "N", 'when = "left_handed"', "eligible")
    proof = prove(small(TEXT + everybody + note))
    assert "screening" not in proof.well
    seen = {w.rule_id: w for w in proof.witnesses}
    assert set(seen) == {r.id for r in small(TEXT + everybody + note).rules}
    assert (seen["CI-ANEUR"].changes, seen["CI-ANEUR"].facts["aneurysm"]) == ("answer", "true")
    assert (seen["N-LEFT"].changes, seen["N-LEFT"].facts["left_handed"]) == ("findings", "true")
    assert seen["BP-SOFT"].changes == "findings"
