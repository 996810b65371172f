"""What is proven of a protocol; that each obligation can fail; that the encoder reads as `ask`."""

import json
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from functools import cache
from importlib import resources
from itertools import islice, product
from math import ceil, floor
from types import MappingProxyType

import pytest
import z3

from kap import cli
from kap.certificate import (
    STATEMENTS,
    check_certificate,
    file_of,
    read_certificate,
)
from kap.chart import Chart
from kap.compiled import linear
from kap.condition import Comparison, Member, Sum, walk
from kap.encode import Patients, State
from kap.evidence import Look
from kap.lift import Lift
from kap.proof import prove, write_certificate
from kap.proof_gate import is_lifted
from kap.proof_risk import direction_of, exceptions
from kap.protocol import available, load, parse_protocol
from kap.prover import Unproven
from kap.rule import ProtocolError
from kap.value import UNKNOWN, Value, number
from kap.verdict import ask
from tests.core.small_protocol import (
    AGAIN,
    AT,
    CODES,
    DERIVED,
    HEADER,
    NOW,
    PARAMS,
    RULES,
    STAGES,
    TO_DO,
    chart,
    rule,
    small,
    told,
)

BASE = HEADER + PARAMS + STAGES + DERIVED + CODES
SHIPPED = [f"{name}@{version}" for name, version in available()]


def shipped(text):
    return load(*text.split("@"))


@cache
def proof_of(text):
    return prove(shipped(text))


def failing(protocol):
    return {o.name: o.fails for o in prove(protocol).obligations if not o.holds}


# --- what is shipped ---


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_version_is_proven_and_carries_the_certificate_of_it(name):
    protocol, proof = shipped(name), proof_of(name)
    assert [o.name for o in proof.obligations if not o.holds] == []
    assert {o.name for o in proof.obligations if o.asked} == set(STATEMENTS)
    written, kept = write_certificate(proof), read_certificate(protocol)
    for found in (written, kept):
        del found["solver"], found["hash"]
    assert json.loads(json.dumps(written)) == kept


def test_a_certificate_says_what_it_does_not_cover_and_names_no_day():
    kept = read_certificate(shipped(SHIPPED[0]))
    assert "not over their derivations" in kept["limit"]
    assert set(kept) == {
        "protocol", "version", "digest", "ceilings", "solver", "obligations", "apart", "overlaps",
        "scales", "limit", "hash",
    }  # fmt: skip


def test_each_exception_says_why_and_is_needed_by_a_shipped_version():
    needed = {row for name in SHIPPED for row in proof_of(name).apart}
    assert needed == set(exceptions())
    assert all(row.why for row in exceptions())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c | {"limit": "none"}, "altered"),
        (lambda c: c | {"digest": "0" * 64}, "altered"),
    ],
)
def test_an_altered_certificate_is_refused(change, words):
    protocol = shipped(SHIPPED[0])
    with pytest.raises(ProtocolError, match=words):
        check_certificate(protocol, change(read_certificate(protocol)))


def test_a_certificate_of_another_text_or_of_fewer_obligations_is_refused():
    bare, other = prove(small(BASE + RULES)), small(BASE + RULES.replace("41", "40"))
    with pytest.raises(ProtocolError, match="says nothing of: dose"):  # it names no ceiling
        check_certificate(small(BASE + RULES), write_certificate(bare))
    one = replace(bare, obligations=tuple(replace(o, asked=o.asked or 1) for o in bare.obligations))
    written = write_certificate(one)
    check_certificate(small(BASE + RULES), written)
    with pytest.raises(ProtocolError, match="another text"):
        check_certificate(other, written)
    fewer = write_certificate(replace(one, obligations=one.obligations[1:]))
    with pytest.raises(ProtocolError, match="says nothing of: absolute"):
        check_certificate(small(BASE + RULES), fewer)


def test_a_version_without_a_certificate_has_none_to_read():
    with pytest.raises(ProtocolError, match=r"small@1\.0 has no certificate"):
        read_certificate(small(BASE + RULES))


# --- each obligation can fail ---


def test_the_small_protocol_holds():
    assert failing(small(BASE + RULES)) == {}


def test_an_absolute_that_lets_start_is_found_with_its_patient():
    soft = rule("A-SOFT", "A", 'when = "aneurysm"', "eligible_with_conditions", TO_DO)
    found = failing(small(BASE + soft))
    assert set(found) == {"absolute", "override"}
    (patient,) = found["absolute"]
    assert (patient.stage, patient.about) == ("start", "A-SOFT")
    assert patient.facts == {"aneurysm": "true"}


def test_a_start_that_leaves_the_order_out_is_found():
    apart = BASE.replace('includes = ["screening", "order"]', 'includes = ["screening"]')
    found = failing(small(apart + RULES))
    assert [f.about for f in found["included"]] == ["INT-48"]


def passing_unknowns(protocol):
    """The protocol as if an unknown rule had nothing to say: the error that hurts people."""
    stages = {
        name: replace(stage, ranks=tuple((one, 1, three) for one, _, three in stage.ranks))
        for name, stage in protocol.stages.items()
    }
    return replace(protocol, stages=MappingProxyType(stages))


def test_an_unknown_taken_for_no_is_found_at_every_gate():
    found = failing(passing_unknowns(small(BASE + RULES)))
    assert {"absolute", "unknown", "refine"} <= set(found)
    assert {f.stage for f in found["unknown"]} == {"order", "start", "discharge"}
    assert "aneurysm" in {f.about for f in found["refine"]}
    (patient,) = [f for f in found["absolute"] if f.about == "CI-ANEUR"]
    assert patient.facts == {"aneurysm": "unknown"}


def test_an_answer_that_falls_as_the_risk_grows_is_found():
    turned = rule("A-TURNED", "A", 'when = "not aneurysm"', "contraindicated")
    backwards = rule("A-LOW", "A", 'when = "systolic_latest < param.soft_sbp"', "contraindicated")
    calm = rule("A-CALM", "A", 'when = "steady"', "contraindicated")
    falls = [f.about for f in failing(small(BASE + turned + backwards + calm))["monotone"]]
    assert set(falls) == {"aneurysm", "systolic_latest", "steady"}


WEIGHTS = """[param]
light = { value = 60, unit = "kg", source = "clinic policy", mark = "D" }
heavy = { value = 80, unit = "kg", source = "clinic policy", mark = "D" }
"""
ARMS = [
    ("weight >= param.light and weight <= param.heavy", {"weight"}),
    ("not (weight < param.light or weight > param.heavy)", {"weight"}),
    ("weight < param.light or weight > param.heavy", set()),
    ("weight > param.heavy", set()),
]


@pytest.mark.parametrize(("when", "falls"), ARMS)
def test_a_two_sided_fact_is_worse_on_each_arm_and_never_in_the_middle(when, falls):
    middle = rule("A-MIDDLE", "A", f'when = "{when}"', "contraindicated")
    found = failing(small(BASE.replace("[param]", WEIGHTS) + RULES + middle))
    assert {f.about for f in found.get("monotone", ())} == falls
    for patient in found.get("monotone", ()):
        below, own, above = (
            float(patient.facts[name].removesuffix(" kg"))
            for name in ("weight below", "weight", "weight above")
        )
        assert below < 60 <= own <= 80 < above


def test_a_rule_that_can_never_speak_is_found():
    never = rule("A-NEVER", "A", 'when = "aneurysm and not aneurysm"', "contraindicated")
    assert [f.about for f in failing(small(BASE + never))["alive"]] == ["A-NEVER"]


def test_a_rule_that_speaks_and_is_unknown_at_once_is_found(monkeypatch):
    both = State(z3.BoolVal(True), z3.BoolVal(True))
    monkeypatch.setattr(Patients, "state", lambda *_: both)
    assert "total" in failing(small(BASE + RULES))


def test_a_protocol_under_which_nobody_could_start_is_found():
    closed = rule("A-ALL", "A", 'require = "aneurysm and not aneurysm"', "defer", AGAIN)
    assert set(failing(small(BASE + closed))) >= {"open"}


LOOSE = [
    ("dose_max = { value = 1.0,", "dose_max = { value = 1.1,", "mg_per_kg"),
    ("rate_max = { value = 0.025,", "rate_max = { value = 0.026,", "mg_per_kg_min"),
    ("min_minutes = { value = 40,", "min_minutes = { value = 39,", "minutes"),
    ("or bolus", "or (bolus and aneurysm)", "bolus"),
    ("or bolus", "", "bolus: no rule reads it"),
]


@pytest.mark.parametrize(("text", "looser", "fact"), LOOSE)
def test_a_dose_above_the_hard_ceiling_is_found_whatever_a_protocol_says(text, looser, fact):
    whole = resources.files("kap").joinpath("protocols/iv-ketamine/2026.1.toml").read_text("utf-8")
    assert text in whole
    loose = parse_protocol(whole.replace(text, looser))
    assert fact in {f.about for f in failing(loose)["dose"]}


def test_an_override_that_reached_an_absolute_is_found(monkeypatch):
    protocol = small(BASE + RULES)
    monkeypatch.setattr("kap.lift.refusal", lambda *_: "")
    found = failing(protocol)
    assert set(found) == {"override"}
    reached = {(f.stage, f.about) for f in found["override"]}
    assert ("start", "CI-ANEUR") in reached
    assert ("screening", "CI-ANEUR: an override reaches it") in reached
    assert ("order", "INT-48: an override reaches it") in reached


LIFTED_CHARTS = [
    (),
    ("aneurysm",),
    ("left_handed", "psychosis", "chest_pain"),
    ("aneurysm", "left_handed", "chest_pain"),
]


@pytest.mark.parametrize("true", LIFTED_CHARTS)
def test_whatever_is_lifted_the_encoder_answers_as_the_overrides_do(true):
    """Every set of overrides, of rules of every level, over charts that are known in part."""
    protocol = small(BASE + RULES)
    verdict = ask(protocol, "start", chart(*(told(name, True) for name in true)), AT)
    found = {f.rule_id: f for f in verdict.findings}
    patients, stage = Patients(protocol), protocol.stage("start")
    for planned in stage.rules:
        state = found[planned.rule.id].state if planned.rule.id in found else "quiet"
        patients._states[planned.rule.id] = State(
            z3.BoolVal(state == "spoke"), z3.BoolVal(state == "unknown")
        )
    liftable = {rule_id for rule_id in found if is_lifted(protocol.rule(rule_id))}
    assert {found[rule_id].level for rule_id in liftable} == {"R", "P"} & {
        f.level for f in found.values()
    }
    for chosen in product((False, True), repeat=len(found)):
        named = [rule_id for rule_id, is_named in zip(found, chosen, strict=True) if is_named]
        lifts = [Lift(n, NOW + timedelta(hours=1), "dr-1", "dr-2", "why", "letter") for n in named]
        lifted = {n: z3.BoolVal(n in named) for n in liftable}
        ranks = [r for r in range(1, 8) if holds(patients.at_least(stage, r, lifted))]
        assert max(ranks) == verdict.after(lifts, AT).rank


def holds(formula):
    return z3.is_true(z3.simplify(formula))


def test_an_exception_that_nothing_needs_is_found(monkeypatch):
    row = replace(
        exceptions()[0], fact="aneurysm", stages=("start", "nowhere"), rules=("CI-ANEUR",)
    )
    monkeypatch.setattr("kap.proof_risk.exceptions", lambda: (row,))
    found = failing(small(BASE + RULES))
    assert [f.about for f in found["monotone"]] == ["aneurysm: an exception that nothing needs"]


def test_no_certificate_is_written_of_what_does_not_hold():
    soft = rule("A-SOFT", "A", 'when = "aneurysm"', "eligible_with_conditions", TO_DO)
    with pytest.raises(ProtocolError, match=r"not proven \(absolute, override\)"):
        write_certificate(prove(small(BASE + soft)))


def test_a_solver_that_gives_up_proves_nothing(monkeypatch):
    monkeypatch.setattr(z3.Solver, "check", lambda _self, *_claims: z3.unknown)
    with pytest.raises(Unproven):
        prove(small(BASE + RULES))


def test_where_the_risk_of_a_derived_fact_lies():
    protocol = small(BASE + RULES)
    said = {name: direction_of(protocol, name) for name in (
        "aneurysm", "systolic_latest", "days_since_cv_event", "hours_to_planned", "symptom",
        "takes_bzd", "weight",
    )}  # fmt: skip
    assert said == {
        "aneurysm": "up", "systolic_latest": "up", "days_since_cv_event": "down",
        "hours_to_planned": "none", "symptom": "up", "takes_bzd": "none", "weight": "two-sided",
    }  # fmt: skip

    mixed = DERIVED.replace('of = ["chest_pain", "dyspnoea"]', 'of = ["chest_pain", "steady"]')
    both = small(HEADER + PARAMS + STAGES + mixed + CODES + RULES)
    assert direction_of(both, "symptom") == "none"


# --- the encoder reads as the evaluator ---


def test_a_patient_found_is_told_in_units_and_words():
    needs = rule("I-DATE", "I", 'needs = ["birth_date"]', "need_more_information")
    patients = Patients(small(BASE + RULES + needs))
    fact, solver = patients.facts, z3.Solver()
    solver.add(patients.possible())
    solver.add(fact["indication"].known, fact["indication"].code == 0, fact["birth_date"].known)
    solver.add(fact["systolic_mean"].known, fact["systolic_mean"].low == 281)
    solver.add(fact["systolic_mean"].high == 290, z3.Not(fact["age"].known), fact["aneurysm"].false)
    assert solver.check() == z3.sat
    names = ["indication", "birth_date", "systolic_mean", "age", "aneurysm"]
    assert patients.told(solver.model(), names) == {
        "indication": "another code",
        "birth_date": "known",
        "systolic_mean": "140.5 to 145 mm[Hg]",
        "age": "unknown",
        "aneurysm": "false",
    }
    stage = patients.protocol.stage("start")
    assert z3.is_true(patients.at_least(stage, 1))


def edges(protocol, planned, name):
    """Whole steps on and beside every threshold that a rule compares a number with."""
    column, found = protocol.plan.columns[name], {1, 2}
    for tree in (e.tree for e in (planned.rule.expression, planned.rule.only_if) if e):
        for node in walk(tree):
            if isinstance(node, Member) and node.fact.name == name:
                listed = protocol.parameters[node.param.name].value
                found |= {floor(Fraction(n) / column.step) + d for n in listed for d in (-1, 0, 1)}
            elif isinstance(node, Comparison):
                form = linear(Sum(node.left, "-", node.right), protocol.plan.names)
                if name in form.terms:
                    edge = -form.constant / (form.terms[name] * column.step)
                    found |= {floor(edge) + d for d in (-1, 0, 1)} | {ceil(edge) + 1}
    return sorted(found)


def values_of(protocol, planned, name, codes):
    column = protocol.plan.columns[name]
    if column.kind == "bool":
        return [
            Value(truth=truth) if truth != UNKNOWN else Value(reason="x") for truth in (0, 1, 2)
        ]
    if column.kind == "number":
        steps = edges(protocol, planned, name)
        spread = [number(steps[0], steps[-1])]
        return [Value(reason="x"), *(number(step, step) for step in steps), *spread]
    if column.kind == "code":
        return [Value(reason="x"), *(Value(code=code) for code in [*codes, "none of these"])]
    return [Value(reason="x"), Value(truth=2)]


def bound(patients, name, value):
    """What Z3 is told so that a variable has this value."""
    fact = patients.facts[name]
    if fact.kind == "bool":
        return [
            (fact.true, z3.BoolVal(value.truth == 2)),
            (fact.false, z3.BoolVal(value.truth == 0)),
        ]
    known = [(fact.known, z3.BoolVal(value.reason is None))]
    if fact.kind == "number":
        ends = (value.low or 0, value.high or 0)
        return [*known, (fact.low, z3.IntVal(ends[0])), (fact.high, z3.IntVal(ends[1]))]
    if fact.kind == "code":
        return [*known, (fact.code, z3.IntVal(patients.codes.get(value.code, 0)))]
    return known


def both_read(protocol, most):
    """Yield for many patients what the evaluator and what the encoder make of each rule."""
    patients = Patients(protocol)
    stage = next(iter(protocol.stages.values()))
    for planned in protocol.plan.rules:
        names = planned.rule.facts
        choices = [values_of(protocol, planned, n, sorted(patients.codes)[:3]) for n in names]
        total = 1
        for choice in choices:
            total *= len(choice)
        stride = max(1, total // most) | 1
        state = patients.state(planned)
        for chosen in islice(product(*choices), 0, None, stride):
            look = Look(Chart(), AT, protocol.plan.derivers, stage.limits, stage.now)
            held = []
            for name, value in zip(names, chosen, strict=True):
                look.values[protocol.plan.columns[name].slot] = value
                held += bound(patients, name, value)
            speaks, unknown = (
                holds(z3.substitute(part, held)) for part in (state.speaks, state.unknown)
            )
            read = 2 if speaks else 1 if unknown else 0
            yield planned.rule.id, planned.speaks(look), read


def test_every_patient_of_the_small_protocol_is_read_alike():
    found = list(both_read(small(BASE + RULES), 10**9))
    assert [row for row in found if row[1] != row[2]] == []
    assert {row[1] for row in found} == {0, 1, 2}


@pytest.mark.parametrize("name", SHIPPED[1:])
def test_patients_on_and_beside_every_threshold_are_read_alike(name):
    found = list(both_read(shipped(name), 24))
    assert [row for row in found if row[1] != row[2]] == []
    assert {row[1] for row in found} == {0, 1, 2}


# --- the command ---


def test_the_command_proves_says_the_limit_and_writes_the_certificate(capsys, tmp_path):
    name, version = SHIPPED[0].split("@")
    (tmp_path / name).mkdir()
    assert cli.main(["protocol", "prove", SHIPPED[0], "--write", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "holds  absolute: nothing may start while a rule of level A speaks or is unknown" in said
    assert said.rstrip().endswith("not over their derivations (codes, dates, counts).")
    kept = resources.files("kap").joinpath("protocols", file_of(shipped(SHIPPED[0])))
    written = json.loads((tmp_path / name / f"{version}.certificate.json").read_text("utf-8"))
    assert written["digest"] == json.loads(kept.read_text("utf-8"))["digest"]


def test_a_folder_that_cannot_be_written_is_named(capsys, tmp_path):
    assert cli.main(["protocol", "prove", SHIPPED[0], "--write", str(tmp_path / "none")]) == 4
    said = capsys.readouterr().err
    assert "No such file or directory; name another folder" in said
    assert "Traceback" not in said


def test_the_command_shows_the_patient_in_whom_a_file_fails(capsys, tmp_path):
    text = resources.files("kap").joinpath("protocols/iv-ketamine/2026.1.toml").read_text("utf-8")
    loosened = text.replace('[rule.CI-ANEUR]', '[rule.CI-ANEUR-X]').replace(
        '[stage.start]\nincludes = ["screening", "order"]', '[stage.start]\nincludes = ["order"]'
    ).replace('[stage.order]\nincludes = ["screening"]', "[stage.order]")  # fmt: skip
    file = tmp_path / "loose.toml"
    file.write_text(loosened, "utf-8")
    assert cli.main(["protocol", "prove", str(file), "--json", "--write", str(tmp_path)]) == 1
    proof = json.loads(capsys.readouterr().out)
    assert proof["holds"] is False
    included = next(o for o in proof["obligations"] if o["name"] == "included")
    assert "CI-ANEUR-X" in {f["about"] for f in included["fails"]}
    assert cli.main(["protocol", "prove", str(file)]) == 1
    said = capsys.readouterr().out
    assert "FAILS  included" in said
    assert "at start, CI-ANEUR-X" in said


def test_a_file_that_is_no_protocol_a_missing_solver_and_a_tired_one_are_told_in_words(
    capsys, tmp_path, monkeypatch
):
    file = tmp_path / "none.toml"
    file.write_text("[protocol]\n", "utf-8")
    assert cli.main(["protocol", "prove", str(file)]) == 4
    assert "none.toml" in capsys.readouterr().err
    monkeypatch.setattr(z3.Solver, "check", lambda _self, *_claims: z3.unknown)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert cli.main(["protocol", "prove", SHIPPED[0]]) == 4
    assert "nothing is claimed" in capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "z3", None)
    assert cli.main(["protocol", "prove", SHIPPED[0]]) == 4
    assert "proving needs Z3" in capsys.readouterr().err
