"""The borders between packages hold, and each notices when it is crossed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEPT_OUT = shutil.ignore_patterns("__pycache__", "*.po", "*.mo", "static", "templates")

# Contract, file that crosses it, what is added there.
CROSSINGS = [
    ("pure", "kap/logic.py", "import django"),
    ("pure", "kap/logic.py", "import clinic.zones"),
    ("pure", "kap/facts.py", "import socket"),
    ("pure", "kap/facts.py", "from urllib.request import urlopen"),
    ("pure", "kap/chart.py", "import asyncio"),
    ("pure", "kap/chart.py", "import threading"),
    ("pure", "kap/chart.py", "import logging"),
    ("acyclic", "kap/logic.py", "from kap import condition"),
    ("wire", "kap/verdict.py", "from kap import wire"),
    ("wire", "clinic/dosing/apps.py", "from kap import wire"),
    ("pk", "kap/dose.py", "import kap.pk.solve"),
    ("pk", "kap/trend.py", "from kap.pk import card"),
    ("pk", "clinic/dosing/views.py", "from kap.pk.cards import load_card"),
    ("gates", "kap/alarm.py", "from kap.pk.solve import solve"),
    ("gates", "kap/observation.py", "import kap.pk.solve"),  # through others: the alarm reads it
    ("gates", "clinic/dosing/queries.py", "import kap.pk.card"),
    ("layers", "clinic/people/apps.py", "import clinic.course.models"),
    ("layers", "clinic/intake/apps.py", "import clinic.dosing.models"),
    ("layers", "clinic/course/apps.py", "import clinic.demo"),
    ("layers", "clinic/ui/apps.py", "import clinic.audit.models"),
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in ("kap", "clinic"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=KEPT_OUT)
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def broken_contracts(folder: Path) -> set[str]:
    """Return the contracts that import-linter finds broken in `folder`, by their first word."""
    program = "from importlinter.cli import lint_imports_command as run; run()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"],
        check=False,
        cwd=folder,
        env={"PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    ends = [line for line in done.stdout.splitlines() if line.endswith((" KEPT", " BROKEN"))]
    assert len(ends) == 6, done.stdout + done.stderr
    broken = {line.split(":")[0] for line in ends if line.endswith(" BROKEN")}
    assert bool(broken) == bool(done.returncode)
    return broken


def test_every_border_holds(copy: Path) -> None:
    assert broken_contracts(copy) == set()


@pytest.mark.parametrize(("contract", "file", "crossing"), CROSSINGS)
def test_a_border_notices_who_crosses_it(
    copy: Path, contract: str, file: str, crossing: str
) -> None:
    with (copy / file).open("a") as source:
        source.write(f"\n\n{crossing}\n")
    assert contract in broken_contracts(copy)


def test_an_app_without_a_layer_is_noticed(copy: Path) -> None:
    (copy / "clinic" / "newcomer").mkdir()
    (copy / "clinic" / "newcomer" / "__init__.py").touch()
    assert broken_contracts(copy) == {"layers"}


# -- what ruff keeps -------------------------------------------------------------------------------

BANNED_IN_THE_CORE = [
    "import datetime\nx = datetime.datetime.now(datetime.UTC)",
    "from datetime import UTC, datetime\nx = datetime.now(UTC)",
    "from datetime import date\nx = date.today()",
    "import time\nx = time.monotonic()",
    "from time import time\nx = time()",
    "import random\nx = random.random()",
    "from random import choice\nx = choice([1])",
    "import numpy as np\nx = np.random.default_rng()",
    "import uuid\nx = uuid.uuid4()",
]


def banned(source: str, name: str) -> bool:
    """Return whether ruff bans `source` in the file `name`, by the repository's own rules."""
    command = [sys.executable, "-m", "ruff", "check", "--quiet", "--no-cache", "--stdin-filename"]
    done = subprocess.run(
        [*command, str(ROOT / name), "-"],
        check=False,
        cwd=ROOT,
        input=source,
        capture_output=True,
        text=True,
    )
    return "TID251" in done.stdout


@pytest.mark.parametrize("source", BANNED_IN_THE_CORE)
def test_the_core_asks_neither_clock_nor_dice(source: str) -> None:
    assert banned(source, "kap/alarm.py")
    assert banned(source, "kap/wire/hl7v2.py")


@pytest.mark.parametrize("source", BANNED_IN_THE_CORE)
def test_the_command_line_may_ask_the_clock(source: str) -> None:
    assert not banned(source, "kap/cli.py")


def test_the_core_may_reckon_with_time_it_was_given() -> None:
    assert not banned("from datetime import timedelta\nx = timedelta(hours=2)", "kap/alarm.py")
