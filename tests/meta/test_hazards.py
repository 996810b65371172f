"""Each hazard has a control, and tests that exist and run; each table of hazards says the same."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HAZARDS = ROOT / "docs" / "hazards"
TABLES = [HAZARDS / "README.md", ROOT / "SAFETY.md"]
KEYS = {"id", "hazard", "cause", "severity", "control", "not_yet", "tests"}
SEVERITY = re.compile(r"S[1-5] \(proposed, unsigned\)")


def hazards() -> list[Path]:
    return sorted(HAZARDS.glob("*.toml"))


def problems(name: str, told: dict[str, Any]) -> list[str]:
    """Return what a hazard's file lacks; `name` is the file's, without its ending."""
    found = [f"{key}: missing or unknown" for key in sorted(told.keys() ^ KEYS)]
    found += [f"{key}: empty" for key in sorted(KEYS - {"not_yet"}) if told.get(key) in ("", [])]
    if told.get("id") != name or not re.fullmatch(r"HZ-\d\d", name):
        found.append(f"id: {told.get('id')} in {name}.toml")
    if not SEVERITY.fullmatch(str(told.get("severity"))):
        found.append(f"severity: {told.get('severity')!r}; nobody has signed one yet")
    return found


def missing(test: str) -> bool:
    """Return whether a linked test does not exist, or is skipped.

    A test is `file.py::name`; a clinical table or alarm case, which `tests/spec` asks row by row,
    is `file.toml::title`.
    """
    file, _, name = test.partition("::")
    path = ROOT / file
    if not path.is_file() or not path.is_relative_to(ROOT / "tests"):
        return True
    if path.suffix == ".toml":
        told = tomllib.loads(path.read_text())
        return name not in [row["title"] for row in told.get("table", told.get("case", []))]
    return name not in running(path.read_text())


def running(source: str) -> set[str]:
    """Return the names of the tests of a file that are not skipped."""
    return {
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not any("skip" in ast.unparse(mark) for mark in node.decorator_list)
    }


@pytest.mark.parametrize("path", hazards(), ids=lambda path: path.stem)
def test_a_hazard_says_cause_control_and_tests_that_exist(path: Path) -> None:
    told = tomllib.loads(path.read_text())
    assert problems(path.stem, told) == []
    assert [test for test in told["tests"] if missing(test)] == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_each_hazard_has_its_row_and_each_row_its_file(table: Path) -> None:
    rows = re.findall(
        r"^\| \[(HZ-\d\d)\]\([\w/]*HZ-\d\d\.toml\) (S\d) \|", table.read_text(), re.MULTILINE
    )
    files = [tomllib.loads(path.read_text()) for path in hazards()]
    assert rows == [(told["id"], told["severity"][:2]) for told in files]


GOOD = {
    "id": "HZ-11",
    "hazard": "h",
    "cause": "c",
    "severity": "S5 (proposed, unsigned)",
    "control": ["c"],
    "not_yet": "",
    "tests": ["t"],
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tests": []}, "tests: empty"),
        ({"control": []}, "control: empty"),
        ({"severity": "S5"}, "severity: 'S5'; nobody has signed one yet"),
        ({"id": "HZ-12"}, "id: HZ-12 in HZ-11.toml"),
        ({"colour": "red"}, "colour: missing or unknown"),
    ],
)
def test_a_hazard_without_its_parts_would_be_found(change: dict[str, Any], said: str) -> None:
    assert problems("HZ-11", GOOD) == []
    assert said in problems("HZ-11", GOOD | change)


def test_a_test_that_does_not_exist_or_is_skipped_would_be_found() -> None:
    here = "tests/meta/test_hazards.py"
    assert not missing(f"{here}::test_a_test_that_does_not_exist_or_is_skipped_would_be_found")
    assert missing(f"{here}::test_nothing")
    assert missing("tests/meta/test_nothing.py::test_nothing")
    assert missing("kap/logic.py::Truth")
    assert missing("tests/spec/blood_pressure.toml::No such table")
    assert running("@pytest.mark.skip\ndef test_a(): ...\ndef test_b(): ...") == {"test_b"}
