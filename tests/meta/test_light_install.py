"""Installed bare, the distribution is `kap`: its command line needs NumPy and nothing of Django."""

import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]

# Run by a Python that sees no site-packages; any other package than these is not installed there.
BARE = """
import importlib.abc, sys
site, numpy_home = sys.argv[1:3]
sys.path[:0] = [site, numpy_home]
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        known = {"kap", "clinic", "numpy", *sys.stdlib_module_names}
        if top not in known and not top.startswith("_sysconfigdata"):  # Python's own, by machine
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)
sys.meta_path.insert(0, Missing())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def run_bare(site: Path, program: str) -> subprocess.CompletedProcess[str]:
    numpy_home = str(Path(np.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", BARE + program, str(site), numpy_home],
        check=False,
        capture_output=True,
        text=True,
    )


def test_bare_it_asks_for_numpy_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(opened.read(name).decode())
    asked = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    bare = {one.name for one in asked if not (one.marker and "extra" in str(one.marker))}
    assert bare == {"numpy"}


def test_the_core_and_its_commands_run_without_django(site: Path) -> None:
    done = run_bare(
        site,
        "import kap, kap.cli\n"
        "assert kap.__file__.startswith(site), kap.__file__\n"
        "sys.exit(kap.cli.main(['facts']))",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_clinic_is_not_to_be_had_without_its_extra(site: Path) -> None:
    done = run_bare(site, "import clinic.settings")
    assert done.returncode != 0
    assert "is not installed here" in done.stderr


def test_tests_and_settings_of_tools_stay_out_of_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"kap", "clinic"}
    assert "kap/ruff.toml" not in names
    assert any(name.endswith(".toml") and name.startswith("kap/") for name in names)
