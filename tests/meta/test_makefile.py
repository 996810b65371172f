"""`make` alone sets up, serves and tests, with the make of macOS too; it says what is missing."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = ("setup", "demo", "test", "check", "fix", "bench", "mutate", "tour", "help")
MAKE = shutil.which("make") or "make"
NEWER_THAN_3_81 = re.compile(r"\.ONESHELL|\.RECIPEPREFIX|!=|::=|\$\((file|guile|let|intcmp) ")


@pytest.mark.parametrize("target", TARGETS)
def test_each_target_is_there_and_is_explained(target: str) -> None:
    said = subprocess.run([MAKE, "help"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert re.search(rf"^{target} +\w", said.stdout, re.MULTILINE)
    dry = subprocess.run([MAKE, "-n", target], cwd=ROOT, check=False, capture_output=True)
    assert dry.returncode == 0


def test_the_make_of_macos_understands_it() -> None:
    assert NEWER_THAN_3_81.search(MAKEFILE) is None
    assert NEWER_THAN_3_81.search(".ONESHELL:\n")


def test_ci_runs_the_tests_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines == ["#!/bin/sh", "set -e", 'cd "$(dirname "$0")/.."', "make test"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "bin").mkdir()
    return tmp_path


def setup_with(clone: Path, python3: str) -> list[str]:
    """Return what `make setup` says where `python3` is the only Python, without make's own line."""
    if python3:
        (clone / "bin" / "python3").write_text(f"#!/bin/sh\n{python3}\n")
        (clone / "bin" / "python3").chmod(0o755)
    done = subprocess.run(
        [MAKE, "-s", "setup"],
        check=False,
        cwd=clone,
        env={"PATH": str(clone / "bin")},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert done.stdout == ""
    return [line for line in done.stderr.splitlines() if not line.startswith("make")]


@pytest.mark.parametrize("python3", ["", "exit 1"])
def test_without_python_3_11_one_line_says_so(clone: Path, python3: str) -> None:
    assert setup_with(clone, python3) == ["Afterglow needs Python 3.11 or newer: install python3"]


def test_without_venv_one_line_says_so(clone: Path) -> None:
    said = setup_with(clone, 'case "$*" in *venv*) echo "ensurepip is not there"; exit 1;; esac')
    assert said == ["python3 makes no environments: apt-get install python3-venv"]
