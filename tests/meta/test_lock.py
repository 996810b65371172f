"""The lock holds every package by its hash, names no address, and is what is asked for."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.txt"
PINNED = re.compile(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[0-9][0-9a-z.!+]*( ; [^\\]+)?( \\)?")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def problems(lock: str) -> list[str]:
    """Return lines that are neither a pinned package nor a hash, and packages without one."""
    lines = lock.splitlines()
    wrong = [line for line in lines if not (PINNED.fullmatch(line) or HASH.fullmatch(line))]
    following = [*lines[1:], ""]
    bare = [
        line
        for line, after in zip(lines, following, strict=True)
        if PINNED.fullmatch(line) and not (line.endswith(" \\") and HASH.fullmatch(after))
    ]
    return wrong + bare


def pinned(lock: str) -> dict[str, list[str]]:
    """Return the versions of each package in the lock: one, or one for each of some Pythons."""
    found: dict[str, list[str]] = {}
    for line in lock.splitlines():
        if PINNED.fullmatch(line):
            name, version = line.split(" ")[0].split("==")
            found.setdefault(canonicalize_name(name), []).append(version)
    return found


def unmet(asked: list[str], lock: str) -> list[str]:
    """Return the requirements of pyproject.toml that the lock does not meet."""
    versions = pinned(lock)
    wanted = [Requirement(text) for text in asked]
    return [
        str(one)
        for one in wanted
        if not (found := versions.get(canonicalize_name(one.name), []))
        or not all(one.specifier.contains(version) for version in found)
    ]


def asked() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    build = project["build-system"]["requires"]
    extras = project["project"]["optional-dependencies"]
    return [*build, *project["project"]["dependencies"], *extras["clinic"], *extras["dev"]]


def test_the_lock_holds_nothing_but_packages_and_their_hashes() -> None:
    assert problems(LOCK.read_text()) == []


def test_the_lock_is_what_the_project_asks_for() -> None:
    assert unmet(asked(), LOCK.read_text()) == []


GOOD = f"numpy==2.4.6 ; python_full_version < '3.12' \\\n    --hash=sha256:{'0' * 64}\n"


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://example.org/simple",
        "--find-links wheels",
        "numpy @ https://example.org/numpy.whl",
        "-e .",
        "numpy>=2.0",
        "numpy==2.4.6",
        "numpy==2.4.6 \\",
        "# from example.org",
        "    --hash=md5:00",
    ],
)
def test_an_address_or_a_package_without_a_hash_is_refused(line: str) -> None:
    assert problems(GOOD) == []
    assert problems(f"{GOOD}{line}\n") == [line]
    assert line in problems(f"{line}\n{GOOD}")


@pytest.mark.parametrize("requirement", ["django>=5.2", "numpy>=2.5"])
def test_a_lock_older_than_the_project_is_refused(requirement: str) -> None:
    assert unmet(["numpy>=2.0"], GOOD) == []
    assert unmet([requirement], GOOD) == [requirement]
