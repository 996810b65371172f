"""The command line: what it says, and the exit code that a script can trust."""

import io
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from kap import cli, synth, terminal
from kap.chart import Chart, Moment
from kap.protocol import load
from kap.terminal import Problem
from kap.verdict import ask, decision

NOW = datetime(2026, 11, 24, 16, 30, tzinfo=UTC)
AT = "2026-11-24T11:30:00-05:00"
WALL = synth.fixed_offsets({"toronto": -5, "vancouver": -7})
CAST = {person.phase: person for person in synth.people(1, NOW, WALL)}
ANSWERED_AS = {person.expects: person for person in synth.people(1, NOW, WALL)}
DOSE = ["dose", "68kg", "--mg-per-kg", "0.5", "--over", "40min", "--vial", "10mg/mL"]


@pytest.fixture
def chart(tmp_path):
    """Write a person's chart, changed as asked, and return its path."""

    def write(person=ANSWERED_AS["eligible"], **more) -> str:
        path = tmp_path / "chart.json"
        path.write_text(json.dumps(person.known_at(NOW).to_json() | more), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def file(tmp_path):
    def write(content: str | bytes, name: str = "given.json") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


@pytest.fixture
def kap(capsys):
    """Run a command; return its exit code, what it said, and what it complained of."""

    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


# --- screen -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("eligible", 0),
        ("eligible_with_conditions", 0),
        ("need_more_information", 3),
        ("contraindicated", 1),
    ],
)
def test_the_exit_code_tells_a_script_the_answer(kap, chart, answer, code):
    given, said, complaint = kap("screen", chart(ANSWERED_AS[answer]), "--at", AT, "--json")
    assert (json.loads(said)["answer"], given, complaint) == (answer, code, "")
    assert json.loads(said)["exit_code"] == code
    assert json.loads(said)["signed"] is False


def test_a_verdict_in_words_names_its_rules_its_unknowns_and_its_protocol(kap, chart):
    code, said, _ = kap("screen", chart(CAST["screening-unknown"]), "--at", AT)
    assert said.startswith("SCREENING  chart  iv-ketamine 2026.2   NEED MORE INFORMATION  (")
    assert "exit 3" in said.splitlines()[0]
    assert " ┃ CI-DEL" in said
    assert "capacity (never asked):" in said
    assert "Unsigned protocol: for demonstration only." in said
    assert "local date 2026-11-24" in said
    assert code == 3


def test_conditions_are_listed_with_owner_and_due_stage(kap, chart):
    _, said, _ = kap("screen", chart(ANSWERED_AS["eligible_with_conditions"]), "--at", AT)
    assert "To do:" in said
    assert "(prescriber, by order)" in said
    assert "▲" in said
    assert "✗" not in said


def test_a_contraindication_has_its_sign(kap, chart):
    _, said, _ = kap("screen", chart(ANSWERED_AS["contraindicated"]), "--at", AT)
    assert "✗" in said


def test_a_list_that_contradicts_an_answer_is_said(kap, chart):
    person = next(p for p in synth.people(1, NOW, WALL) if "Harjit" in p.name)
    data = json.loads(json.dumps(person.known_at(NOW).to_json()))
    data["facts"]["aneurysm"][0]["value"] = False
    _, said, _ = kap("screen", chart(person, facts=data["facts"]), "--at", AT)
    assert "Told and listed disagree" in said


def test_another_stage_may_be_asked(kap, chart):
    code, said, _ = kap("screen", chart(), "--at", AT, "--stage", "order")
    assert said.startswith("ORDER")
    assert code == 3


def test_what_if_changes_the_answer_and_says_that_it_is_not_on_file(kap, chart):
    code, said, _ = kap("screen", chart(), "--at", AT, "--what-if", "pregnant=true")
    assert code == 1
    assert "What if: pregnant=true. Not what is on file." in said


@pytest.mark.parametrize(
    ("supposed", "code"),
    [
        ("systolic_mean=138", 0),  # a derived fact
        ("systolic_mean=165", 1),
        ("bmi=24.5", 0),
        ("indication=PTSD", 0),
        ("capacity=unknown", 3),
        ("intoxicated=false", 0),
    ],
)
def test_what_if_takes_told_and_derived_facts_of_every_type(kap, chart, supposed, code):
    assert kap("screen", chart(), "--at", AT, "--what-if", supposed)[0] == code


@pytest.mark.parametrize(
    "supposed", ["systolic", "=3", "weight=", "no_such_fact=true", "weight=900", "birth_date=x"]
)
def test_what_if_that_cannot_be_is_wrong_usage(kap, chart, supposed):
    code, _, complaint = kap("screen", chart(), "--at", AT, "--what-if", supposed)
    assert code == 2
    assert complaint.startswith("kap: ")


def test_the_local_date_is_that_of_the_offset(kap, chart):
    late = "2026-11-24T23:30:00-05:00"
    _, said, _ = kap("screen", chart(), "--at", late, "--json")
    assert json.loads(said)["at"] == {
        "utc": "2026-11-25T04:30:00+00:00",
        "local_date": "2026-11-24",
    }


def test_an_instant_without_offset_is_refused(kap, chart):
    code, _, complaint = kap("screen", chart(), "--at", "2026-11-24T11:30:00")
    assert (code, "no offset" in complaint) == (2, True)


def test_a_chart_may_carry_the_moment_it_is_meant_for(kap, chart):
    code, said, _ = kap("screen", chart(asked_at=AT))
    assert code == 0
    assert "As of 2026-11-24 16:30 UTC" in said
    over = kap("screen", chart(asked_at=AT), "--at", "2027-11-24T11:30:00-05:00")
    assert over[0] == 3


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("eligible", "eligible"),
        ("conditions", "eligible_with_conditions"),
        ("contraindicated", "contraindicated"),
        ("unknown", "need_more_information"),
    ],
)
def test_an_example_gives_the_answer_of_its_name_on_any_day(kap, name, answer):
    told = json.loads(kap("screen", f"examples/{name}.json", "--json")[1])
    assert (told["answer"], told["at"]["local_date"]) == (answer, "2026-11-24")
    later = kap("screen", f"examples/{name}.json", "--at", "2028-01-03T09:00:00-05:00", "--json")[1]
    assert json.loads(later)["at"]["local_date"] == "2028-01-03"


def test_a_moment_that_is_no_text_is_bad_data(kap, chart):
    assert kap("screen", chart(asked_at=7))[0] == 4


def test_without_a_moment_the_question_is_asked_now(kap, chart):
    _, said, _ = kap("screen", chart(), "--json")
    asked = datetime.fromisoformat(json.loads(said)["at"]["utc"])
    assert abs(datetime.now(UTC) - asked) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"facts": {\n  "weight": }}', "line 2, column 13"),
        ("[1]", "not a JSON object"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        ('{"facts": {}, "facts": {}}', "key 'facts' stands twice"),
        ('{"facts": {"wieght": {"value": 3}}}', "no such fact"),
        ('{"weird": 1}', "weird"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_the_place_and_the_way_out(
    kap, file, content, complaint
):
    code, said, told = kap("screen", file(content), "--at", AT)
    assert (code, said) == (4, "")
    assert complaint in told


def test_a_weight_that_no_height_of_it_can_carry_is_refused_with_the_way_out(kap, file):
    seen = {"observed_at": AT, "source": "staff"}
    height = {"value": 165, "unit": "cm", **seen}
    pounds = {"facts": {"weight": {"value": 397, "unit": "kg", **seen}, "height": height}}
    code, _, complaint = kap("screen", file(json.dumps(pounds)), "--at", AT)
    assert (code, "a BMI of 145.82 kg/m2, which is impossible" in complaint) == (4, True)
    pounds["facts"]["weight"]["value"] = 180
    assert kap("screen", file(json.dumps(pounds)), "--at", AT)[0] != 4


def test_a_file_that_is_not_there_is_bad_data(kap):
    code, _, complaint = kap("screen", "nowhere.json")
    assert (code, "No such file" in complaint) == (4, True)


def test_a_chart_is_read_from_standard_input(kap, chart, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(Path(chart()).read_text(encoding="utf-8")))
    assert kap("screen", "-", "--at", AT)[0] == 0


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--protocol", "iv-ketamin", "no protocol iv-ketamin@newest; shipped: esketamine-spray@"),
        ("--protocol", "iv-ketamine@1.0", "no protocol iv-ketamine@1.0"),
        ("--stage", "tomorrow", "has no stage 'tomorrow'"),
    ],
)
def test_a_protocol_or_stage_that_does_not_exist_is_wrong_usage(
    kap, chart, option, value, complaint
):
    code, _, told = kap("screen", chart(), "--at", AT, option, value)
    assert (code, complaint in told) == (2, True)


def test_debug_shows_the_trace_and_its_absence_does_not(kap):
    with pytest.raises(Problem, match="No such file"):
        kap("screen", "nowhere.json", "--debug")
    assert "Traceback" not in kap("screen", "nowhere.json")[2]


@pytest.mark.parametrize("answer", ["eligible", "need_more_information", "contraindicated"])
def test_colour_is_for_a_terminal_only_and_never_alone(kap, chart, monkeypatch, answer):
    words = ["screen", chart(ANSWERED_AS[answer]), "--at", AT]
    plain = kap(*words)[1]
    assert "\x1b" not in plain
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(terminal, "is_terminal", lambda: True)
    coloured = kap(*words)[1]
    assert "\x1b[1;3" in coloured
    assert answer.replace("_", " ").upper() in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert kap(*words)[1] == plain


# --- replay -------------------------------------------------------------------------------------


@pytest.fixture
def stored(file):
    """Write a stored decision, with parts of its verdict replaced."""

    def write(**changed) -> str:
        known = ANSWERED_AS["eligible"].known_at(NOW)
        verdict = ask(load("iv-ketamine", "2026.1"), "screening", known, Moment(NOW, NOW.date()))
        kept = json.loads(json.dumps(decision(verdict, known)))
        return file(json.dumps(kept | {"verdict": kept["verdict"] | changed}))

    return write


def test_a_stored_decision_gives_the_same_answer_again(kap, stored):
    code, said, _ = kap("replay", stored())
    assert (code, "the same answer" in said) == (0, True)
    assert json.loads(kap("replay", stored(), "--json")[1])["same"] is True


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"answer": "defer"}, "NOT THE SAME"),
        ({"digest": "0" * 64}, "the protocol file changed"),
        ({"facts_hash": "0" * 64}, "the chart stored beside it"),
    ],
)
def test_a_decision_that_no_longer_follows_is_told(kap, stored, changed, words):
    code, said, _ = kap("replay", stored(**changed))
    assert (code, words in said) == (1, True)


@pytest.mark.parametrize(
    "content",
    ["{}", '{"verdict": {}, "chart": {}}', '{"verdict": 3}'],
)
def test_a_file_that_holds_no_decision_is_bad_data(kap, file, content):
    assert kap("replay", file(content))[0] == 4


def test_a_decision_of_an_unknown_protocol_or_with_a_broken_chart_is_bad_data(kap, stored, file):
    assert kap("replay", stored(version="1999.1"))[0] == 4
    broken = json.loads(Path(stored()).read_text(encoding="utf-8")) | {"chart": {"weird": 1}}
    assert kap("replay", file(json.dumps(broken)))[0] == 4


# --- protocol -----------------------------------------------------------------------------------


def test_shipped_protocols_are_listed_with_their_digests(kap):
    code, said, _ = kap("protocol", "list")
    digest = load("iv-ketamine").digest
    assert (code, "iv-ketamine@2026.1" in said, digest in said) == (0, True, True)
    assert digest in {row["digest"] for row in json.loads(kap("protocol", "list", "--json")[1])}


def test_a_protocol_shows_each_number_with_its_source_and_mark(kap):
    code, said, _ = kap("protocol", "show", "iv-ketamine@2026.1")
    assert code == 0
    assert "param min_interval_h = 48 h  [D] clinic policy" in said
    assert "param mdd_indications = TRD 1  [S]" in said
    assert "CI-ANEUR [A] contraindicated" in said
    shown = json.loads(kap("protocol", "show", "iv-ketamine", "--json")[1])
    assert shown["parameters"]["min_interval_h"]["value"] == "48"


def test_a_protocol_is_checked_against_its_own_examples(kap):
    code, said, _ = kap("protocol", "check", "iv-ketamine")
    assert (code, "all hold" in said) == (0, True)
    assert json.loads(kap("protocol", "check", "iv-ketamine", "--json")[1])["failures"] == []


def shipped_text() -> str:
    return Path("kap/protocols/iv-ketamine/2026.1.toml").read_text(encoding="utf-8")


def test_a_protocol_file_whose_example_fails_is_told(kap, file):
    wrong = shipped_text().replace("min_interval_h = { value = 48", "min_interval_h = { value = 4")
    code, said, _ = kap("protocol", "check", file(wrong, "changed.toml"))
    assert (code, "INT-48" in said, " fail" in said) == (1, True, True)


def test_an_unsound_protocol_file_is_bad_data(kap, file):
    code, _, complaint = kap("protocol", "check", file("[protocol]\n", "broken.toml"))
    assert (code, "broken.toml" in complaint) == (4, True)


# --- dose, score, series, facts -----------------------------------------------------------------


def test_a_dose_shows_its_arithmetic(kap):
    code, said, _ = kap(*DOSE, "--final", "50mL")
    assert code == 0
    assert "0.5 mg/kg × 68 kg = 34 mg" in said
    assert "75 mL/h" in said
    assert json.loads(kap(*DOSE, "--final", "50mL", "--json")[1])["dose_ug"] == 34000


def test_a_dose_above_the_ceiling_is_refused_with_its_rule(kap):
    words = [word if word != "0.5" else "3.4" for word in DOSE]
    code, _, complaint = kap(*words, "--final", "50mL")
    assert (code, "DOSE-MAX" in complaint) == (1, True)


@pytest.mark.parametrize(
    ("place", "wrong"), [(1, "150lb"), (1, "68"), (3, "half"), (5, "40"), (7, "10"), (1, "-68kg")]
)
def test_an_amount_without_its_unit_or_number_is_wrong_usage(kap, place, wrong):
    words = [*DOSE[:place], wrong, *DOSE[place + 1 :]] if wrong != "-68kg" else [
        "dose", *DOSE[2:], "--final", "50mL", "--", wrong
    ]  # fmt: skip
    more = [] if "--final" in words else ["--final", "50mL"]
    code, _, complaint = kap(*words, *more)
    assert (code, complaint.startswith("kap: ")) == (2, True)


def test_a_final_volume_must_be_given(kap, capsys):
    with pytest.raises(SystemExit) as stopped:
        kap(*DOSE)
    assert stopped.value.code == 2
    assert "--final" in capsys.readouterr().err


def test_a_score_is_the_total_and_its_band(kap):
    assert kap("score", "phq9", "1,1,2,0,1,1,0,0,0")[:2] == (0, "phq9 2026.1: 6, mild\n")
    scored = json.loads(kap("score", "phq9", "1,1,2,0,1,1,0,0,0", "--json")[1])
    assert (scored["total"], scored["band"]["id"]) == (6, "mild")


def test_a_score_with_missing_answers_is_prorated_or_not_given(kap):
    _, said, _ = kap("score", "phq9", "1,1,_,1,1,1,1,1,0")
    assert "8, mild, prorated" in said
    assert "Not answered: 3" in said
    code, said, _ = kap("score", "phq9", "_,,-,1,1,1,1,1,0")
    assert (code, "no total (too many missing)" in said) == (1, True)


def test_a_safety_item_is_said_beside_the_total_and_not_when_it_is_nought(kap):
    assert "Safety: item 9." in kap("score", "phq9", "0,0,0,0,0,0,0,0,1,2")[1]
    assert "Safety" not in kap("score", "phq9", "3,3,3,3,3,3,3,3,0")[1]


@pytest.mark.parametrize("answers", ["1,1", "9,0,0,0,0,0,0,0,0", "a,0,0,0,0,0,0,0,0"])
def test_answers_that_the_form_does_not_take_are_bad_data(kap, answers):
    assert kap("score", "phq9", answers)[0] == 4


def test_an_instrument_that_is_not_shipped_is_wrong_usage(kap):
    code, _, complaint = kap("score", "madrs", "1")
    assert (code, "shipped: phq9" in complaint) == (2, True)


START = "2026-08-10T09:00:00-04:00"


def test_a_series_is_six_dates_at_the_time_and_offset_of_the_first(kap):
    code, said, _ = kap("series", "plan", "--start", START)
    assert code == 0
    assert said.splitlines()[0] == "1  Mon 2026-08-10 09:00-04:00"
    assert len(said.splitlines()) == 6


def test_the_starts_of_a_series_keep_48_hours(kap):
    plan = ["series", "plan", "--start", "2026-03-06T09:00:00-05:00", "--json"]
    starts = [datetime.fromisoformat(text) for text in json.loads(kap(*plan)[1])]
    assert starts[0] == datetime.fromisoformat("2026-03-06T09:00:00-05:00")
    assert min(b - a for a, b in pairwise(starts)) >= timedelta(hours=48)


def test_a_series_takes_its_doses_and_pattern(kap):
    plan = ["series", "plan", "--start", "2026-08-10T13:30:00-07:00", "--doses", "2"]
    _, said, _ = kap(*plan, "--pattern", "two-a-week")
    assert [line.split()[2:] for line in said.splitlines()] == [
        ["2026-08-10", "13:30-07:00"],
        ["2026-08-13", "13:30-07:00"],
    ]
    code, _, complaint = kap(*plan, "--pattern", "daily")
    assert (code, "no pattern 'daily'" in complaint) == (2, True)


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--start", "10/08", "is no instant"),
        ("--start", "2026-08-10T09:00:00", "has no offset"),
        ("--doses", "0", "is no number of doses"),
    ],
)
def test_an_instant_or_count_that_is_none_is_wrong_usage(kap, capsys, option, value, complaint):
    with pytest.raises(SystemExit) as stopped:
        kap("series", "plan", "--start", START, option, value)
    assert stopped.value.code == 2
    assert complaint in capsys.readouterr().err


def test_every_fact_is_listed_with_its_question_in_either_language(kap):
    code, said, _ = kap("facts")
    assert (code, "20 to 400 kg" in said) == (0, True)
    assert "aneurysm" in said
    assert kap("facts", "--language", "fr")[1] != said
    assert json.loads(kap("facts", "--json")[1])["weight"]["step"] == "0.1"


# --- as a program -------------------------------------------------------------------------------

PROGRAM = [sys.executable, "-c", "import sys; from kap.cli import main; sys.exit(main())"]


def test_the_program_starts_quickly_and_prints_no_colour_into_a_pipe(chart):
    started = time.perf_counter()
    done = subprocess.run(
        [*PROGRAM, "screen", chart(), "--at", AT], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert time.perf_counter() - started < 5  # a crash barrier; the benchmark measures the start


def test_a_closed_pipe_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = subprocess.run(
            [*PROGRAM, "facts"], stdout=closed, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_goes_away_ends_a_command_in_silence(monkeypatch, tmp_path):
    def gone(*_: object) -> int:
        raise BrokenPipeError

    with open(tmp_path / "pipe", "w", encoding="utf-8") as somewhere:
        monkeypatch.setattr("kap.cli_measure.list_facts", gone)
        monkeypatch.setattr(sys, "stdout", somewhere)
        assert cli.main(["facts"]) == 0


def test_a_chart_that_the_command_line_reads_is_the_one_the_core_reads(chart):
    data = terminal.read_json(chart())
    assert Chart.from_json(data) == ANSWERED_AS["eligible"].known_at(NOW)
