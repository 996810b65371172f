"""Model cards: every number as the page of sources has it, read strictly, refused when altered."""

import tomllib
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest

from kap.pk import cards as card_module
from kap.pk.card import Variability
from kap.pk.card_file import read_card
from kap.pk.cards import available, load_card
from kap.pk.person import Covariates, random_effects, values
from kap.pk.refusal import PkError

# Typed again from the page: parameter, printed value, unit, exponent of weight.
PAGE = {
    "perezruixo2021_nasal": """FRn 0.54 1 0; later_device 0.62 1 0; ka_n 2.93 /h 0; Dsw 0.53 h 0
        ka_sw 1.45 /h 0; Fgut 0.64 1 0; Vc 192 L 0; Q1 84.3 L/h 0; Vp1 143 L 0; Q2 37.6 L/h 0
        Vp2 417 L 0; Qh 151 L/h 0; Vh 101 L 0; kel 1.11 /h 0; kmet 2.77 /h 0; Vcn 70 L 0
        CLn 38 L/h 0; Vpn 115 L 0; Q3 26.1 L/h 0""",
    "simons2022_iv": """V1 11.6 L 1; V2 39.0 L 1; V3 174 L 1; CL 1.48 L/min 0.75
        Q2 2.43 L/min 0.75; Q3 1.21 L/min 0.75; MTT 20.1 min 0; share_n 0.8 1 0; Vpn 221 L 1
        CLn 1.00 L/min 0.75; Qn 2.63 L/min 0.75; MTT_hnk 1.12 min 0; share_hnk 0.7 1 0
        V_hnk 4.4 L 1; Vp_hnk 87.5 L 1; CL_hnk 0.933 L/min 0.75; Q_hnk 1.70 L/min 0.75""",
    "otto2021_iv": """V1 133 L 1; V2 187 L 0; V3 98.8 L 0; CL 95.2 L/h 0.75; Q2 23.2 L/h 0
        Q3 157 L/h 0; Vn 98.638 L 1; CLn 57.72 L/h 0.75; Vpn 160.04 L 0; Qn 42.778 L/h 0""",
    "kamp2020_iv": """V1 25 L 1; V2 56 L 1; V3 157 L 1; CL 84 L/h 0.75; Q2 161 L/h 0.75
        Q3 79 L/h 0.75""",
    "herd2007_iv": "V1 38.7 L 1; V2 102 L 1; CL 90 L/h 0.75; Q2 215 L/h 0.75",
    "hornik2018_iv": "V1 32.8 L 1; V2 152 L 1; CL 38.9 L/h 0.75; Q2 54.9 L/h 0.75",
    "domino_iv": """V1 0.063 L/kg 0; k10 .4381 /min 0; k12 .5921 /min 0; k13 .5900 /min 0
        k21 .2470 /min 0; k31 .0146 /min 0""",
    "clements1981_iv": "V1 1.7522 L/kg 0; k10 .0109 /min 0; k12 .0186 /min 0; k21 .0137 /min 0",
    "hijazi2003_iv": "V1 1.08 L/kg 0; k10 .0333 /min 0; k12 .0088 /min 0; k21 .0030 /min 0",
}
# Substance, matrix, status, clinical screen, age, weight.
REGISTRY = {
    "perezruixo2021_nasal": "esketamine plasma verified once_signed 18-86 39-170",
    "simons2022_iv": "esketamine arterial verified no 19-32 53-93",
    "otto2021_iv": "esketamine venous peer no - -",
    "kamp2020_iv": "ketamine_racemate arterial peer no 18-inf -",
    "domino_iv": "ketamine_racemate not_verified peer no 18-inf -",
    "clements1981_iv": "ketamine_racemate not_verified peer no 18-inf -",
    "hijazi2003_iv": "ketamine_racemate not_verified abstract no - -",
    "herd2007_iv": "ketamine_racemate not_verified abstract no 1-14 10.8-74.8",
    "hornik2018_iv": "ketamine_racemate not_verified peer no 1-18 2-176",
}


def cv(value):
    return np.log(1 + value**2)


# Variances of the random effects.
SPREAD = {
    "perezruixo2021_nasal": {
        "FRn": 0.708**2,
        "ka_n": cv(0.615),
        "ka_sw": cv(1.32),
        "Vc": cv(0.275),
        "Vp1": cv(0.493),
        "Qh": cv(0.232),
        "Vh": cv(0.346),
        "kel": cv(1.20),
        "Vcn": cv(0.316),
        "CLn": cv(0.254),
    },
    "simons2022_iv": {
        "V1": 0.057,
        "CL": 0.029,
        "Q3": 0.026,
        "CLn": 0.050,
        "MTT": 0.021,
        "V_hnk": 1.22,
        "CL_hnk": 0.103,
        "Q_hnk": 0.287,
    },
    "otto2021_iv": {"V1": 0.0842, "CL": 0.0260, "Vn": 0.0404, "CLn": 0.1032},
    "herd2007_iv": {"V1": cv(0.64), "V2": cv(0.517), "CL": cv(0.381), "Q2": cv(0.19)},
}


def printed(text: str) -> dict[str, tuple[float, str, float]]:
    rows = [row.split() for line in text.splitlines() for row in line.split(";")]
    return {name: (float(value), unit, float(power)) for name, value, unit, power in rows}


def test_all_nine_cards_are_shipped() -> None:
    assert set(available()) == set(PAGE) == set(REGISTRY)


@pytest.mark.parametrize("card_id", PAGE)
def test_every_parameter_is_the_pages(card_id: str) -> None:
    found = load_card(card_id).parameters.values()
    ours = {p.name: (p.printed, p.unit, p.weight_exponent) for p in found}
    assert ours == printed(PAGE[card_id])


@pytest.mark.parametrize("card_id", REGISTRY)
def test_every_card_says_what_it_is(card_id: str) -> None:
    card = load_card(card_id)
    spans = [card.ranges.get(name) for name in ("age_y", "weight_kg")]
    told = ["-" if span is None else f"{span[0]:g}-{span[1]:g}" for span in spans]
    row = [card.substance, card.matrix, card.status, card.clinical_screen, *told]
    assert " ".join(row) == REGISTRY[card_id]
    assert card.signed_by == ""
    assert all([card.population, card.citation, card.warnings, card.weight_scaling])
    assert len(card.digest) == 64


@pytest.mark.parametrize("card_id", PAGE)
def test_every_variance_is_the_pages(card_id: str) -> None:
    spread = load_card(card_id).variability
    diagonal = {name: spread.covariance[i][i] for i, name in enumerate(spread.names)}
    assert diagonal == pytest.approx(SPREAD.get(card_id, {}), rel=1e-12)


def test_volume_and_clearance_vary_together_where_the_paper_says_so() -> None:
    spread = load_card("otto2021_iv").variability
    table = np.array(spread.covariance)
    assert table[0, 1] == table[1, 0] == 0.0226
    assert table[2, 3] == table[3, 2] == 0.0446
    assert np.count_nonzero(table) == 8
    assert spread.root() @ spread.root().T == pytest.approx(table)


def test_the_rest_of_the_numbers_is_the_pages() -> None:
    nasal, simons, otto = map(load_card, ("perezruixo2021_nasal", "simons2022_iv", "otto2021_iv"))
    assert nasal.routes["nasal"].total_mg == (14, 112)
    assert nasal.routes["nasal"].device_mg == 28
    assert nasal.routes["iv"].total_mg == (0, 28)
    assert nasal.variability.not_reported == ("kmet",)
    assert [dict(a.residual) for a in nasal.analytes.values()] == [
        {"residual_log_sd": 0.276},
        {"residual_log_sd": 0.422},
    ]
    assert [a.residual["residual_sd"] for a in otto.analytes.values()] == [0.236, 0.143]
    assert simons.analytes["parent"].residual == {"residual_sd": 0.11}
    assert simons.analytes["s_norketamine"].scale == pytest.approx(1000 / 237.73)
    assert [m.transits for m in simons.metabolites] == [2, 2]
    assert [m.transits for m in otto.metabolites] == [0]


def test_the_metabolite_of_the_nasal_card_is_never_for_a_clinic() -> None:
    for card_id in available():
        for analyte in load_card(card_id).analytes.values():
            assert analyte.clinical == (
                card_id == "perezruixo2021_nasal" and analyte.id == "parent"
            )


# -- what a covariate does -------------------------------------------------------------------------


def one(card_id: str, person: Covariates) -> dict[str, float]:
    card = load_card(card_id)
    nobody = np.zeros((1, len(card.variability.names)))
    return {name: float(v[0]) for name, v in values(card, person, nobody).items()}


def test_race_as_stated_changes_what_the_paper_says() -> None:
    other = one("perezruixo2021_nasal", Covariates(40, 70, "other"))
    asian = one("perezruixo2021_nasal", Covariates(40, 70, "asian"))
    japanese = one("perezruixo2021_nasal", Covariates(40, 70, "japanese"))
    assert one("perezruixo2021_nasal", Covariates(40, 70)) == other
    assert {n: asian[n] / other[n] for n in other if asian[n] != other[n]} == pytest.approx(
        {"kel": 0.36, "CLn": 0.81}
    )
    assert {n: japanese[n] / other[n] for n in other if japanese[n] != other[n]} == pytest.approx(
        {"kel": 0.36, "CLn": 0.81, "FRn": 1.34}
    )


@pytest.mark.parametrize(("age", "litres_per_h"), [(18, 151), (60, 151), (86, 151 - 2.19 * 26)])
def test_liver_flow_falls_above_sixty(age: float, litres_per_h: float) -> None:
    found = one("perezruixo2021_nasal", Covariates(age, 70))
    assert found["Qh"] * 60 == pytest.approx(litres_per_h)


def test_weight_scales_what_the_card_says_and_nothing_else() -> None:
    light, heavy = (one("otto2021_iv", Covariates(30, kg)) for kg in (70, 140))
    assert {name: heavy[name] / light[name] for name in light} == pytest.approx(
        {"V1": 2, "CL": 2**0.75, "Vn": 2, "CLn": 2**0.75}
        | dict.fromkeys(("V2", "V3", "Q2", "Q3", "Vpn", "Qn"), 1)
    )
    assert one("domino_iv", Covariates(30, 80))["V1"] == pytest.approx(0.063 * 80)
    assert one("perezruixo2021_nasal", Covariates(30, 150)) == one(
        "perezruixo2021_nasal", Covariates(30, 50)
    )


def test_a_sampled_share_is_a_share() -> None:
    card = load_card("perezruixo2021_nasal")
    z = np.linspace(-4, 4, 9)[:, None] * np.ones(len(card.variability.names))
    share = values(card, Covariates(40, 70, "japanese"), random_effects(card, z))["FRn"]
    assert share[4] == pytest.approx(0.54 * 1.34)
    assert share[-1] == 1
    assert (np.diff(share[:5]) > 0).all()
    logit = np.log(share[3] / 1.34 / (1 - share[3] / 1.34))
    assert logit == pytest.approx(np.log(0.54 / 0.46) - 0.708)


@pytest.mark.parametrize("normals", [np.zeros(4), np.zeros((2, 3))])
def test_normals_of_another_shape_are_refused(normals: np.ndarray) -> None:
    with pytest.raises(PkError, match="a column for each of V1, CL, Vn, CLn"):
        random_effects(load_card("otto2021_iv"), normals)


def test_normals_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(PkError, match="normals: not all finite"):
        random_effects(load_card("otto2021_iv"), [[0, 0, np.nan, 0]])


def test_a_card_without_variability_has_no_population() -> None:
    with pytest.raises(
        PkError, match="domino_iv: variability: not reported; ask for the typical curve alone"
    ):
        random_effects(load_card("domino_iv"), np.zeros((5, 1)))
    assert Variability((), (), frozenset(), ()).root().shape == (0, 0)


# -- reading strictly ------------------------------------------------------------------------------


def shipped(card_id: str) -> str:
    return resources.files("kap.pk").joinpath("models", f"{card_id}.toml").read_text()


WRONG = [
    ("otto2021_iv", 'id = "', "id = ", "not readable|Invalid|mend the TOML"),
    ("otto2021_iv", "[range]", "[rang]", "allowed are card, structure"),
    ("otto2021_iv", "[card]", "[[card]]", "card: .*write a table"),
    ("otto2021_iv", 'status = "peer"', 'status = "signed"', "verified, abstract, peer"),
    ("otto2021_iv", 'salt = "base"', 'salt = "hcl"', "write one of base"),
    ("otto2021_iv", 'title = "', 'tilte = "', "card.tilte"),
    ("otto2021_iv", 'population = "48', 'population = ""\nx = "48', "card.x"),
    ("otto2021_iv", 'version = "2026.1"', 'version = ""', "card.version: ''; write a text"),
    ("otto2021_iv", 'signed_by = ""', "signed_by = 1", "card.signed_by"),
    ("otto2021_iv", 'warnings = ["', 'warnings = "x" #', "list of texts"),
    ("otto2021_iv", "value = 133", "value = -133", "parameter.V1.value: -133.0; write 0 or more"),
    ("otto2021_iv", "value = 133", "value = nan", "parameter.V1.value: nan; write a number"),
    ("otto2021_iv", "value = 133", "value = true", "write a number"),
    ("otto2021_iv", 'unit = "L"', 'unit = "mL"', "parameter.V1.unit: 'mL'"),
    ("otto2021_iv", "V2 = {", "V4 = {", "write V2 as well"),
    ("otto2021_iv", "V3 = {", "V2b = {", "the other of V3 and Q3"),
    ("otto2021_iv", "Qn = {", 'X = { value = 1, unit = "1" }\nQn = {', "nothing reads it"),
    ("otto2021_iv", "[analyte.parent]", "[analyte.first]", "write parent first"),
    ("otto2021_iv", "clinical = false", 'clinical = "no"', "write true or false"),
    ("otto2021_iv", 'matrix = "venous"', 'matrix = "saliva"', "analyte.parent.matrix"),
    ("otto2021_iv", "transits = 0", "transits = -1", "whole number from 0 on"),
    ("otto2021_iv", "transits = 0", "transits = 1", "mean_transit: None"),
    ("otto2021_iv", 'kind = "mammillary"', 'kind = "tree"', "mammillary, micro, nasal"),
    ("otto2021_iv", 'between = ["V1", "CL"]', 'between = ["V1", "V2"]', "between: 'V2'"),
    ("otto2021_iv", "V1 = 0.0842", "V9 = 0.0842", "omega2.V9"),
    ("simons2022_iv", "age_y = [19, 32]", "age_y = [32, 19]", "the lower end first"),
    ("simons2022_iv", "age_y = [19, 32]", "age_y = 19", r"write \[low, high\]"),
    ("simons2022_iv", "[dose.iv]", "[dose.oral]", "dose.oral"),
    ("simons2022_iv", 'share = "share_n"', 'share = "half"', "metabolite.share"),
    ("perezruixo2021_nasal", 'not_reported = ["kmet"]', 'not_reported = ["km"]', "not_reported"),
    ("perezruixo2021_nasal", 'race = ["japanese"]', 'race = ["french"]', "effect.race"),
    ("perezruixo2021_nasal", "device_mg = 28", "device = 28", "dose.nasal.device"),
]


@pytest.mark.parametrize(("card_id", "right", "wrong", "said"), WRONG)
def test_a_card_that_is_not_sound_is_refused(
    card_id: str, right: str, wrong: str, said: str
) -> None:
    text = shipped(card_id)
    assert right in text
    with pytest.raises(PkError, match=said):
        read_card(text.replace(right, wrong, 1), "0" * 64)


def test_a_shipped_card_reads_as_it_is() -> None:
    for card_id in available():
        text = shipped(card_id)
        assert read_card(text, load_card(card_id).digest) == load_card(card_id)
        assert tomllib.loads(text)["card"]["id"] == card_id


def test_an_unknown_card_or_version_is_refused() -> None:
    with pytest.raises(PkError, match="model: 'propofol'; use one of clements1981_iv, domino_iv"):
        load_card("propofol")
    with pytest.raises(PkError, match=r"domino_iv@1: domino_iv@2026\.1"):
        load_card("domino_iv", "1")
    assert load_card("domino_iv", "2026.1") is not None


def test_an_altered_card_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = card_module._sums()
    monkeypatch.setattr(card_module, "_sums", lambda: sums | {"otto2021_iv.toml": "0" * 64})
    card_module.load_card.cache_clear()
    with pytest.raises(PkError, match="is not in SHA256SUMS"):
        load_card("otto2021_iv")


def test_an_analyte_that_was_not_measured_is_refused() -> None:
    with pytest.raises(PkError, match="domino_iv: analyte: 'norketamine'; ask for parent"):
        load_card("domino_iv").analyte("norketamine")
    assert replace(load_card("domino_iv"), version="2").analyte("parent").matrix == "not_verified"
