"""Two versions of a protocol: what was rewritten, for whom the answer moved, and what is named."""

import json
import sys
from fractions import Fraction
from functools import cache
from importlib import resources
from itertools import product

import pytest

from kap import cli
from kap.encode import Patients
from kap.known import Reason
from kap.proof_diff import difference, rewritten
from kap.proof_moved import moved
from kap.proof_side import Side, solve
from kap.protocol import load, parse_protocol
from kap.prover import Unproven
from kap.rule import Answer
from kap.value import Value, number
from tests.core.small_protocol import (
    AGAIN,
    TEXT,
    example,
    rule,
    small,
)

HARD = 'when = "systolic_mean >= param.hard_sbp"'
FULL = TEXT + rule("BP-HARD", "A", HARD, "defer", AGAIN, example("systolic_mean = 160", "defer"))


def between(old, new):
    return difference(small(old), small(new), old, new)


def altered(old, new, text=FULL):
    """Return what differs once one part of a version is written otherwise."""
    assert old in text
    return between(text, text.replace(old, new))


def ways(found):
    return {(one.way, one.rule_id) for one in found.moved}


def of(found, rule_id, stage="screening"):
    (one,) = [m for m in found.moved if (m.rule_id, m.stage) == (rule_id, stage)]
    return one


@cache
def shipped_text(version):
    path = f"protocols/iv-ketamine/{version}.toml"
    return resources.files("kap").joinpath(path).read_text(encoding="utf-8")


# --- what is named ---


def test_a_version_moves_nobody_against_itself():
    found = between(FULL, FULL)
    assert (found.rewritten, found.moved, found.unweighed) == ((), (), ())
    assert found.stages == ("screening", "order", "start", "discharge")


@pytest.mark.parametrize(
    ("param", "old", "new", "rule_id", "facts"),
    [
        ("bp_hard_sbp", "160", "170", "CI-HTN-UNC", {"systolic_mean": "160 mm[Hg]"}),
        ("cv_block_d", "42", "41", "CI-MI", {"cv_event": "true", "days_since_cv_event": "41 d"}),
    ],
)
def test_a_loosened_threshold_of_a_shipped_version_is_named(param, old, new, rule_id, facts):
    text = shipped_text("2026.2")
    loosened = text.replace(f"{param} = {{ value = {old},", f"{param} = {{ value = {new},")
    assert loosened != text
    found = difference(load("iv-ketamine", "2026.2"), parse_protocol(loosened), text, loosened)
    assert {one.rule_id for one in found.looser} == {rule_id}
    stages = {"screening", "booking", "day-before", "order", "booster", "start"}
    assert {one.stage for one in found.looser} == stages
    assert found.causes[rule_id] == (f"param.{param} value {old} -> {new}",)
    assert facts.items() <= of(found, rule_id).facts.items()


def test_a_tightened_threshold_is_not_called_loose():
    found = altered("hard_sbp = { value = 160", "hard_sbp = { value = 150")
    assert ways(found) == {("stricter", "BP-HARD")}
    one = of(found, "BP-HARD")
    assert (one.before, one.after) == (Answer.ELIGIBLE_WITH_CONDITIONS, Answer.DEFER)
    assert one.facts == {"systolic_mean": "150 mm[Hg]"}


def test_a_rule_taken_away_is_looser_with_the_patient_it_held():
    found = altered(rule("R-HAND", "R", 'when = "left_handed"', "defer", AGAIN,
                         example("left_handed = true", "defer")), "")  # fmt: skip
    one = of(found, "R-HAND")
    assert (one.way, one.lifted, one.before, one.after) == ("looser", "", "defer", "eligible")
    assert one.facts == {"left_handed": "true"}
    assert found.causes["R-HAND"] == ("removed",)
    assert [(c.section, c.name, c.how) for c in found.rewritten] == [("rule", "R-HAND", "removed")]


def test_a_new_rule_about_a_new_fact_is_stricter():
    more = rule("R-STEADY", "R", 'require = "steady"', "defer", AGAIN,
                example("steady = false", "defer"))  # fmt: skip
    found = between(FULL, FULL + more)
    one = of(found, "R-STEADY")
    assert (one.way, one.facts, one.after) == ("stricter", {"steady": "false"}, "defer")
    assert found.looser == ()
    assert found.causes["R-STEADY"] == ("added",)


@pytest.mark.parametrize(("new", "lifted"), [("P", "P"), ("R", "PR")])
def test_an_absolute_that_becomes_open_to_an_override_is_looser(new, lifted):
    text = FULL.replace('level = "A"\n' + HARD, f'level = "{new}"\n' + HARD)
    found = between(FULL, text)
    one = of(found, "BP-HARD")
    assert (one.way, one.lifted, one.before) == ("looser", lifted, "defer")
    assert one.after.rank < one.before.rank
    assert found.causes["BP-HARD"] == (f"level A -> {new}",)


def test_what_only_an_unknown_shows_is_found_too():
    found = altered('only_if = "symptom"', 'only_if = "symptom and left_handed"')
    one = of(found, "I-AGE")
    assert one.way == "looser"
    assert (one.before, one.facts["age"]) == ("need_more_information", "unknown")
    assert one.facts["left_handed"] == "false"


def test_a_stage_that_no_longer_includes_another_is_looser_and_says_so():
    found = altered('includes = ["screening", "order"]', 'includes = ["order"]', BASE_OF_STAGES)
    assert {one.stage for one in found.looser} == {"start"}
    assert "stage.start includes [screening, order] -> [order]" in found.causes["CI-ANEUR"]


# The order stands alone, so that the start alone brings screening in.
BASE_OF_STAGES = FULL.replace('[stage.order]\nincludes = ["screening"]', "[stage.order]")


def test_a_row_of_medicines_is_weighed_by_its_rule_and_its_codes_are_not():
    row = 'level = "P"\nverdict = "eligible_with_conditions"\nwhy = "BZD taken"'
    stricter = altered(row, row.replace('"P"', '"R"').replace("eligible_with_conditions", "defer"))
    assert of(stricter, "M-BZD").after == "defer"
    assert "verdict eligible_with_conditions -> defer" in stricter.causes["M-BZD"]
    codes = altered('[medication.BZD]\natc = ["N05BA"]', '[medication.BZD]\natc = ["N05BA12"]')
    assert codes.moved == ()
    assert [change.text() for change in codes.unweighed] == [
        "altered  medication.BZD  atc: [N05BA] -> [N05BA12]"
    ]


def test_a_code_that_only_one_version_lists_is_the_same_code_in_both():
    found = altered('value = ["TRD", "PTSD"]', 'value = ["OCD", "TRD", "PTSD"]')
    one = of(found, "IND")
    assert (one.way, one.facts, one.after) == ("looser", {"indication": "OCD"}, "eligible")
    other = altered('value = ["TRD", "PTSD"]', 'value = ["TRD"]')
    assert of(other, "IND").facts == {"indication": "PTSD"}


def test_a_fact_that_is_counted_in_other_steps_is_another_fact():
    """A mean of three has thirds: what it was in halves says nothing about it."""
    found = altered("bp_n = { value = 2", "bp_n = { value = 3")
    assert {one.rule_id for one in found.moved} == {"BP-SOFT", "BP-HARD"}
    assert {one.way for one in found.moved} == {"looser", "stricter"}


def test_texts_and_sources_move_no_answer_and_are_listed():
    found = altered('why = "CI-ANEUR"', 'why = "an aneurysm"')
    assert found.moved == ()
    assert found.rewritten[0].parts == (("why", "CI-ANEUR", "an aneurysm"),)


def test_nobody_is_spared_where_no_patient_was_well():
    """Without one who passes, the patient shown is any one; the difference is found."""
    never = rule("CI-ALL", "A", 'when = "left_handed or not left_handed"', "defer", AGAIN,
                 example("left_handed = true", "defer"))  # fmt: skip
    found = altered("cv_block_d = { value = 42", "cv_block_d = { value = 40", FULL + never)
    assert of(found, "CI-MI").after.rank < of(found, "CI-MI").before.rank


def test_what_is_written_is_compared_leaf_by_leaf():
    new = FULL.replace("rest first", "rest").replace("N05BA12 = 0.5", "N05BA12 = 1")
    changes = {f"{c.section}.{c.name}": c.parts for c in rewritten(FULL, new + "[source]\nx = 'y'")}
    assert changes["equivalents.diazepam"] == (("atc.N05BA12", "0.5", "1"),)
    ((part, before, _),) = changes["rule.BP-SOFT"]
    assert (part, before) == ("conditions", "[{text = rest first, owner = nurse, due = start}]")
    assert changes["source.x"] == ()
    headed = FULL.replace('version = "1.0"', 'version = "1.1"').replace('"Small"', '"Smaller"')
    assert [c.name for c in rewritten(FULL, headed)] == ["title"]


def test_a_number_that_nobody_reaches_moves_nobody():
    """Where another rule holds everybody at a higher answer, a condition moves nothing."""
    never = rule("CI-ALL", "A", 'when = "left_handed or not left_handed"', "defer", AGAIN,
                 example("left_handed = true", "defer"))  # fmt: skip
    old, new = "soft_sbp = { value = 140", "soft_sbp = { value = 150"
    assert ("looser", "BP-SOFT") in ways(altered(old, new))
    assert ways(altered(old, new, FULL + never)) == set()


def test_of_a_parameter_only_what_decides_is_a_cause():
    old = 'hard_sbp = { value = 160, unit = "mm[Hg]", source = "clinic policy"'
    found = altered(old, old.replace("160", "170").replace("clinic policy", "S:1"))
    assert found.causes["BP-HARD"] == ("param.hard_sbp value 160 -> 170",)
    assert len(found.rewritten[0].parts) == 2


# --- what keeps it honest ---


VALUES = {
    "systolic_mean": [None, *(Fraction(n, 2) for n in (279, 280, 281, 319, 320, 321, 339, 340))],
    "left_handed": [None, True, False],
    "psychosis": [None, True, False],
    "aneurysm": [None, True, False],
    "indication": [None, "TRD", "OCD"],
}
EDITS = [
    ("hard_sbp = { value = 160", "hard_sbp = { value = 170"),
    ("soft_sbp = { value = 140", "soft_sbp = { value = 139.5"),
    ('when = "left_handed"', 'when = "left_handed and psychosis"'),
    ('when = "left_handed"', 'when = "left_handed or psychosis"'),
    ('value = ["TRD", "PTSD"]', 'value = ["OCD", "PTSD"]'),
    ('why = "CI-ANEUR"', 'why = "an aneurysm"'),
]


def told(name, value, column):
    if value is None:
        return Value(reason=Reason.NOT_KNOWN, asks=(name,))
    if isinstance(value, bool):
        return Value(truth=2 if value else 0)
    if isinstance(value, str):
        return Value(code=value)
    return number(int(value / column.step), int(value / column.step))


@pytest.mark.parametrize(("old", "new"), EDITS)
def test_whoever_moves_in_a_whole_grid_of_charts_was_found(old, new):
    """Every chart of the grid, read by the scalar reader under both versions."""
    found = altered(old, new)
    sides = [
        Side(Patients(small(t)), small(t).stage("screening")) for t in (FULL, edited(old, new))
    ]
    moves = set()
    for chart in product(*VALUES.values()):
        given = dict(zip(VALUES, chart, strict=True))
        ranks = []
        for side in sides:
            columns = side.patients.columns
            read = {n: told(n, given.get(n, WELL.get(n, False)), columns[n]) for n in side.facts}
            ranks.append(side.answer(read).rank)
        moves |= (
            {"looser"} if ranks[1] < ranks[0] else {"stricter"} if ranks[1] > ranks[0] else set()
        )
    plain = {one.way for one in found.moved if one.stage == "screening" and not one.lifted}
    assert moves <= {one.way for one in found.moved if one.stage == "screening"}
    assert plain == moves


def edited(old, new):
    return FULL.replace(old, new)


WELL = {"age": Fraction(40), "days_since_cv_event": None}


def test_a_scalar_reader_that_disagrees_with_the_solver_proves_nothing(monkeypatch):
    monkeypatch.setattr(Side, "answer", lambda _side, _values: Answer.ELIGIBLE)
    with pytest.raises(Unproven, match="the scalar reader disagrees about BP-HARD"):
        altered("hard_sbp = { value = 160", "hard_sbp = { value = 170")


def test_a_solver_that_gives_up_proves_nothing(monkeypatch):
    monkeypatch.setattr("kap.proof_side.EFFORT", 1)
    with pytest.raises(Unproven):
        altered("hard_sbp = { value = 160", "hard_sbp = { value = 170")


def test_every_patient_that_the_solver_finds_is_read_back_whole():
    """A chart of every kind of fact, known and unknown, as the scalar reader takes it."""
    side = Side(Patients(small(FULL)), small(FULL).stage("start"))
    z3, facts = side.patients.z3, side.patients.facts
    known = [*side.possible(side.facts), facts["indication"].known, facts["cv_event"].true]
    model = solve(side, [*known, facts["indication"].code == 0, z3.Not(facts["aneurysm"].known)])
    values = side.values(model)
    assert (values["indication"].code, values["cv_event"].truth) == ("another code", 2)
    assert values["aneurysm"].reason is not None
    assert side.answer(values).rank >= Answer.NEED_MORE_INFORMATION.rank


def test_a_list_and_a_date_are_known_or_not():
    needs = rule("I-LIST", "I", 'needs = ["medications", "birth_date"]', "need_more_information",
                 example("left_handed = true", "unknown"))  # fmt: skip
    less = needs.replace(', "birth_date"', "")
    one = of(between(FULL + less, FULL + needs), "I-LIST")
    assert (one.way, one.after) == ("stricter", "need_more_information")
    assert one.facts == {"medications": "known", "birth_date": "unknown"}


def test_stages_that_are_not_asked_about_move_nobody():
    loose = small(FULL.replace("hard_sbp = { value = 160", "hard_sbp = { value = 170"))
    assert moved(small(FULL), loose, ()) == ()


# --- the command ---


@pytest.fixture
def file(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def loosened(file):
    text = shipped_text("2026.2")
    return file("new.toml", text.replace("qtc_max = { value = 500", "qtc_max = { value = 501"))


def test_the_command_names_the_loosening_and_fails(capsys, loosened):
    assert cli.main(["protocol", "diff", "iv-ketamine@2026.2", loosened]) == 1
    said = capsys.readouterr().out
    assert "LOOSER   R-QT at screening, booking, day-before, order, booster, start: " in said
    assert "param.qtc_max value 500 -> 501\n         ecg_on_file true, qtc 501 ms" in said
    assert "\n         refer_to_specialist -> eligible\n" in said
    assert "looser at screening, booking" in said
    assert "not over their derivations" in said


def test_the_command_says_the_same_as_json(capsys, loosened):
    assert cli.main(["protocol", "diff", "iv-ketamine@2026.2", loosened, "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["looser"], said["stricter"]) == (6, 0)
    assert said["moved"][0]["facts"]["qtc"] == "501 ms"
    assert said["causes"] == {"R-QT": ["param.qtc_max value 500 -> 501"]}
    assert said["old"]["digest"] != said["new"]["digest"]


def test_the_shipped_version_is_looser_for_nobody_than_the_one_before(capsys):
    assert cli.main(["protocol", "diff", "iv-ketamine@2026.1", "iv-ketamine@2026.2"]) == 0
    said = capsys.readouterr().out
    assert "looser for nobody at screening, booking, day-before, order" in said
    assert "STRICTER P-BPDx at " in said
    assert "once a prescriber overrides: eligible -> refer_to_specialist" in said
    assert "not weighed here: validity.default, derived.two_adequate_trials" in said
    assert "LOOSER" not in said


def test_a_missing_solver_and_a_tired_one_are_told_in_words(capsys, monkeypatch, loosened):
    def tired(*_given):
        raise Unproven("rlimit")

    monkeypatch.setattr("kap.proof_diff.difference", tired)
    assert cli.main(["protocol", "diff", "iv-ketamine", loosened]) == 4
    assert "the solver gave up (rlimit); nothing is claimed" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "z3", None)
    assert cli.main(["protocol", "diff", "iv-ketamine", loosened]) == 4
    assert "comparing needs Z3: pip install 'afterglow[proof]'" in capsys.readouterr().err
