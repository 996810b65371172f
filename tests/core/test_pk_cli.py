"""`kap pk`: what it says, its exit codes, and the pictures; a lane never lacks its caption."""

import io
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from kap import cli
from kap.pk.cards import available, load_card
from kap.pk.display import CAPTION
from kap.pk.dosing import Bolus, Mass, Rate, segments
from kap.pk.drawing import Lane, lane, lane_sentence, lane_table, when_given
from kap.pk.person import Covariates
from kap.pk.solve import solve

WHO = ("--kg", "70", "--age", "40", "--sex", "f")
GIVEN = ("--dose", "35mg", "--over", "40min")
DOMINO = ("pk", "simulate", "--model", "domino_iv", *WHO, *GIVEN)
SPRAY = ("pk", "simulate", "--model", "perezruixo2021_nasal", *WHO, "--devices", "3")
YOUNG = ("--kg", "70", "--age", "25")


@pytest.fixture
def kap(capsys):
    """Run a command; return its exit code, what it said, and what it complained of."""

    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_models_are_listed_with_what_they_are(kap) -> None:
    code, said, _ = kap("pk", "models")
    assert code == 0
    assert [line.split()[0] for line in said.splitlines()] == list(available())
    assert "domino_iv             ketamine_racemate  not verified  peer" in said


def test_models_as_json_are_whole(kap) -> None:
    rows = {row["id"]: row for row in json.loads(kap("pk", "models", "--json")[1])}
    domino = rows["domino_iv"]
    assert domino["parameters"]["V1"] == {"value": 0.063, "unit": "L/kg", "weight_exponent": 0.0}
    assert domino["ranges"] == {"age_y": [18, None]}
    assert domino["digest"] == load_card("domino_iv").digest
    assert rows["perezruixo2021_nasal"]["routes"] == ["iv", "nasal"]
    assert [a["unit"] for a in rows["simons2022_iv"]["analytes"]] == ["ng/mL", "nmol/mL", "nmol/mL"]


def test_one_model_is_simulated_with_everything_it_must_say(kap) -> None:
    code, said, _ = kap(*DOMINO, "--at", "10,40,60,120")
    assert code == 0
    rows = [line.split() for line in said.splitlines()[:5]]
    assert rows[0] == ["min", "typical", "ng/mL"]
    expected = solve(
        load_card("domino_iv"),
        Covariates(40, 70),
        segments(
            [
                Rate(0, 35 / 40, "ketamine_racemate", "base"),
                Rate(40, 0, "ketamine_racemate", "base"),
            ],
            40,
        ),
        [10.0, 40.0, 60.0, 120.0],
    ).values
    assert [float(row[1]) for row in rows[1:]] == pytest.approx(list(expected), rel=0.05)
    for words in ("status peer; not signed", "variability: not reported", CAPTION["en"]):
        assert words in said


def test_json_carries_full_numbers_notes_and_caption(kap) -> None:
    found = json.loads(kap(*SPRAY, "--at", "40", "--population", "300", "--json")[1])
    low, middle, high = (found["percentiles"][q][0] for q in ("5", "50", "95"))
    assert low < middle < high
    assert (found["unit"], found["given_mg"], found["caption"]) == ("ng/mL", 84, CAPTION["en"])
    assert found["typical"][0] == pytest.approx(100.7, abs=0.5)
    assert any("kmet" in note for note in found["notes"])


def test_the_seed_decides_the_people(kap) -> None:
    asked = (*SPRAY, "--population", "3000", "--at", "40", "--json")
    one, again, other = (kap(*asked, "--seed", seed)[1] for seed in ("7", "7", "8"))
    assert one == again
    assert json.loads(one)["percentiles"] != json.loads(other)["percentiles"]


def test_hydrochloride_is_converted_only_when_it_is_said(kap) -> None:
    base = json.loads(kap(*DOMINO, "--json")[1])
    salt = json.loads(kap(*DOMINO, "--salt", "hcl", "--json")[1])
    assert salt["given_mg"] / base["given_mg"] == pytest.approx(0.86703, abs=1e-5)


def test_a_metabolite_may_be_asked_of_the_library(kap) -> None:
    asked = ("pk", "simulate", "--model", "simons2022_iv", *YOUNG, *GIVEN)
    code, said, _ = kap(*asked, "--analyte", "s_norketamine")
    assert code == 0
    assert said.splitlines()[0].endswith("nmol/mL")


REFUSED = [
    (("--model", "propofol", *WHO, *GIVEN), 2, "model: 'propofol'; use one of"),
    (("--model", "domino_iv", *WHO, *GIVEN, "--analyte", "x"), 2, "analyte: 'x'"),
    (("--model", "domino_iv", "--kg", "seventy", *GIVEN), 2, "--kg: 'seventy' is no number"),
    (("--model", "domino_iv", "--age", "40", *GIVEN), 1, "weight: not told"),
    (("--model", "domino_iv", "--age", "40", "--kg", "0", *GIVEN), 1, "0 kg"),
    (("--model", "simons2022_iv", *WHO, *GIVEN), 1, "its range is 19 to 32 y"),
    (("--model", "domino_iv", *WHO, "--dose", "35", "--over", "40min"), 2, "with its unit"),
    (("--model", "domino_iv", *WHO, "--dose", "35mg"), 2, "--dose 35mg --over 40min"),
    (("--model", "domino_iv", *WHO, "--dose", "35mg", "--over", "0min"), 2, "more than 0min"),
    (("--model", "domino_iv", *WHO, *GIVEN, "--at", "40,10"), 2, "ascending order"),
    (("--model", "perezruixo2021_nasal", *WHO, "--devices", "2", "--every", "-1"), 2, "'-1' is no"),
    (("--model", "domino_iv", *WHO, *GIVEN, "--at", "nan"), 2, "is no number"),
    (("--model", "domino_iv", *WHO, *GIVEN, "--substance", "esketamine"), 1, "not halved"),
    (("--model", "domino_iv", *WHO, *GIVEN, "--population", "9"), 1, "variability: not reported"),
    (("--model", "domino_iv", *WHO, *GIVEN, "--plot", "/no/such/x.svg"), 4, "No such file"),
]


@pytest.mark.parametrize(("words", "code", "complaint"), REFUSED)
def test_what_cannot_be_simulated_is_said(kap, words, code, complaint) -> None:
    found, said, complained = kap("pk", "simulate", *words)
    assert (found, said) == (code, "")
    assert complaint in complained


def test_a_number_of_people_is_a_whole_number(capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main([*DOMINO, "--population", "many"])
    assert "is no whole number above 0" in capsys.readouterr().err


def test_a_person_who_waits_sees_a_bar(kap, monkeypatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    seen, later = Terminal(), iter(range(0, 100, 2))
    monkeypatch.setattr("time.monotonic", lambda: float(next(later)))
    monkeypatch.setattr("sys.stderr", seen)
    kap(*SPRAY, "--population", "2500", "--at", "40")
    assert "82%" in seen.getvalue()


# -- all models ------------------------------------------------------------------------------------


def test_all_models_on_one_regimen(kap) -> None:
    code, said, _ = kap("pk", "compare", *WHO, *GIVEN)
    told = [line.split()[0] for line in said.splitlines()[1:5]]
    assert (code, told) == (0, ["clements1981_iv", "domino_iv", "hijazi2003_iv", "kamp2020_iv"])
    assert said.count("refused: ") == 5
    assert "between models, not between patients" in said
    assert CAPTION["en"] in said


def test_all_models_as_json(kap) -> None:
    found = json.loads(
        kap("pk", "compare", *YOUNG, *GIVEN, "--substance", "esketamine", "--json")[1]
    )
    assert {name: row["matrix"] for name, row in found["levels"].items()} == {
        "otto2021_iv": "venous",
        "simons2022_iv": "arterial",
    }
    assert "28 mg" in found["refused"]["perezruixo2021_nasal"]


def test_where_no_model_fits_it_is_said(kap) -> None:
    code, said, complained = kap("pk", "compare", *GIVEN)
    assert (code, said) == (1, "")
    assert "weight: not told" in complained
    code, _, complained = kap("pk", "compare", *WHO, "--dose", "35mg")
    assert (code, "--over 40min" in complained) == (2, True)


# -- pictures --------------------------------------------------------------------------------------


def texts(svg: str) -> str:
    """Return the words of a picture; ET refuses what is no XML."""
    return " ".join(" ".join(ET.fromstring(svg).itertext()).split())


def test_a_picture_is_drawn_with_its_band_and_its_caption(kap, tmp_path) -> None:
    file = tmp_path / "band.svg"
    assert kap(*SPRAY, "--at", "0,360", "--population", "50", "--plot", str(file))[0] == 0
    said = texts(file.read_text())
    for words in ("Not a measurement", "discharge, dose or alarm.", "5 to 95 %", "esketamine"):
        assert words in said
    assert "UNVERIFIED" not in said
    assert file.read_text().count('class="c-band"') == 240
    assert file.read_text().count('class="c-mark"') == 3


def test_models_that_were_only_read_elsewhere_are_drawn_under_a_banner(kap, tmp_path) -> None:
    file = tmp_path / "many.svg"
    assert kap("pk", "compare", *WHO, *GIVEN, "--plot", str(file))[0] == 0
    said = texts(file.read_text())
    assert "UNVERIFIED MODEL" in said
    assert "kamp2020_iv (arterial)" in said
    assert "c-band" not in file.read_text()
    one = tmp_path / "one.svg"
    kap(*DOMINO, "--plot", str(one))
    assert "UNVERIFIED MODEL" in texts(one.read_text())


def spec(**more) -> Lane:
    t_min = np.linspace(0, 60, 61)
    return Lane("A model", "ng/mL", t_min, lines=(("one", np.linspace(0, 180, 61)),), **more)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_no_lane_lacks_its_caption(language) -> None:
    for one in (spec(), spec(is_unverified=True), spec(now=30.0)):
        for said in (texts(lane(one, language=language)), lane_sentence(one, language)):
            assert CAPTION[language] in said
        assert CAPTION[language] in lane_table(one, language=language).replace("&#x27;", "'")


def test_the_future_is_dotted_and_the_past_is_not() -> None:
    def lines(one: Lane) -> list[str]:
        return re.findall(r'<polyline class="(c-score|c-future)"', lane(one))

    assert lines(spec()) == ["c-score"]
    assert lines(spec(now=30.0)) == ["c-score", "c-future"]
    assert lines(spec(now=-5.0)) == ["c-future"]
    assert '"c-now"' in lane(spec(now=30.0))
    assert '"c-now"' not in lane(spec(now=90.0))


def test_a_lane_says_its_peak_and_its_rows() -> None:
    assert lane_sentence(spec()).startswith("A model. one: highest 180 ng/mL at 60 min.")
    assert lane_sentence(spec(), "fr").startswith("A model. one : maximum 180 ng/mL à 60 min.")
    empty = Lane("Nothing", "ng/mL", np.array([0.0, 5000.0]))
    assert "no curve" in lane_sentence(empty)
    assert "<svg" in lane(empty)
    assert lane_table(spec()).count("<tr>") == 25
    assert "&lt; 1" in lane_table(spec())


def test_what_was_given_lies_on_the_axis() -> None:
    mass = Mass(5, "mg", "base", "esketamine")
    pump = [Rate(0, 1, "esketamine", "base"), Rate(10, 0, "esketamine", "base")]
    found = when_given(segments([*pump, Bolus(4, mass)], 60))
    assert found == ((0, 10), (4, 4))
    assert lane(spec(given=found)).count('class="c-mark"') == 2


def test_a_curve_shows_itself_in_a_notebook_and_as_rows() -> None:
    card = load_card("simons2022_iv")
    pump = [Rate(0, 1, "esketamine", "base"), Rate(20, 0, "esketamine", "base")]
    curve = solve(card, Covariates(25, 70), segments(pump, 60), np.linspace(0, 60, 7))
    page = curve._repr_html_()
    assert page.startswith(curve.plot())
    assert "<table" in page
    assert "not signed" in page
    rows = list(curve.records())
    assert len(rows) == 7
    assert rows[2] == {
        "card": "simons2022_iv",
        "version": "2026.1",
        "analyte": "parent",
        "matrix": "arterial",
        "unit": "ng/mL",
        "t_min": 20.0,
        "value": curve.peak()[1],
    }
    with pytest.raises(ValueError, match="read-only"):
        curve.values[0] = 1
