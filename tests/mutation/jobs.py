"""All mutants as jobs, run one after the other or on several cores, with a bar that moves.

The code comes first: its mutants need a process that has read nothing of `kap` yet.
"""

from __future__ import annotations

import ast
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.mutation.code import changes, mutated
from tests.mutation.forked import NOT_READ, TOO_LONG, killer
from tests.mutation.found import Found
from tests.mutation.modules import KAP, OWN, REST

DRUGS = ("iv-ketamine", "esketamine-spray")
EVERY = 25  # of a sample
SLACK = 8  # times what the tests take without a mutant, before they are stopped
LEAST_S = 10.0

Job = tuple[str, int]


def names(only: str = "") -> tuple[str, ...]:
    """Return the areas that are mutated: modules of `kap`, then protocols."""
    every = (*(f"kap.{module}" for module in OWN), *DRUGS)
    held = {"code": every[: -len(DRUGS)], "data": DRUGS, "": every}
    return held.get(only, tuple(name for name in every if name in only.split(",")))


def code_jobs(areas: Iterable[str], every: int) -> list[Job]:
    """Return the jobs of the modules among `areas`; `every` 1 is all of them."""
    modules = [area for area in areas if area.startswith("kap.")]
    return [(m, place) for m in modules for place in range(0, len(_changes(m)), every)]


def data_jobs(areas: Iterable[str], every: int) -> list[Job]:
    """Return the jobs of the protocols among `areas`."""
    drugs = [area for area in areas if not area.startswith("kap.")]
    return [(drug, place) for drug in drugs for place in range(0, len(_mutants(drug)), every)]


def run(jobs: list[Job], do: Callable[[Job], Found], workers: int) -> Iterator[Found]:
    """Yield what each job found, with a bar on the standard error."""
    started = time.monotonic()
    done: Iterable[Found]
    if workers == 1:
        done = map(do, jobs)
    else:
        done = get_context("fork").Pool(workers).imap_unordered(do, jobs, chunksize=4)
    for count, found in enumerate(done, start=1):
        _bar(count, len(jobs), time.monotonic() - started, found.area)
        yield found


def _bar(count: int, of: int, seconds: float, area: str) -> None:
    moves = sys.stderr.isatty()
    if moves or count == of or count % 100 == 0:
        filled = "#" * (30 * count // of)
        left = seconds / count * (of - count)
        line = f"[{filled:<30}] {count:,} of {of:,}, {left / 60:.0f} min left, {area}"
        sys.stderr.write(f"\r{line:<78}" + ("" if moves and count < of else "\n"))


# --- code ---------------------------------------------------------------------------------------


def _path(area: str) -> Path:
    return KAP / f"{area.removeprefix('kap.')}.py"


@cache
def _source(area: str) -> str:
    return _path(area).read_text(encoding="utf-8")


@cache
def _changes(area: str) -> list[Any]:
    return changes(ast.parse(_source(area)))


def _tests(area: str) -> tuple[tuple[str, ...], ...]:
    """Return the tests of a module: its own, then all the others that may notice."""
    own = OWN[area.removeprefix("kap.")]
    rest = tuple(test for test in REST if test not in own)
    return tuple(f"tests/{t}" for t in own), tuple(f"tests/{t}" for t in rest)


@cache
def _limits_s(area: str) -> tuple[float, ...]:
    """Return how long the tests of a module, and the others, may take."""
    return _limit_s(area, _tests(area)[0]), _limit_s("kap.logic", _tests("kap.logic")[1])


@cache
def _limit_s(area: str, tests: tuple[str, ...]) -> float:
    """Return how long these tests may take; SystemExit when they fail without a mutant."""
    tree, started = ast.parse(_source(area)), time.monotonic()
    failed = killer(area, _path(area), tree, tests, 600)
    if failed:
        raise SystemExit(f"{area} without a mutant: {failed}")
    return max(LEAST_S, SLACK * (time.monotonic() - started))


def of_code(job: Job) -> Found:
    """Return what noticed one mutant of a module: the file of the first test that failed."""
    area, place = job
    change = _changes(area)[place]
    tree, path = mutated(_source(area), place), _path(area)
    for tests, limit in zip(_tests(area), _limits_s(area), strict=True):
        noticed = killer(area, path, tree, tests, limit)
        if noticed:
            return Found(area, change.kind, change.name, _shown(noticed))
    return Found(area, change.kind, change.name, "")


def _shown(noticed: str) -> str:
    if noticed in (TOO_LONG, NOT_READ):
        return noticed
    return noticed.split("::")[0].removeprefix("tests/")


def first_of(area: str) -> None:
    """Measure the limits of an area before its mutants are shared out."""
    _limits_s(area)


# --- data ---------------------------------------------------------------------------------------


@cache
def _mutants(drug: str) -> tuple[Any, ...]:
    from kap.protocol import load
    from kap.protocol_file import read_toml
    from tests.mutation.data import mutants

    protocol = load(drug)
    file = KAP / "protocols" / drug / f"{protocol.version}.toml"
    return tuple(mutants(read_toml(file.read_text(encoding="utf-8")), protocol))


@cache
def _bench(drug: str) -> Any:
    from tests.mutation.judge import Bench

    return Bench.of(drug)


def of_data(job: Job) -> Found:
    """Return what noticed one mutant of a protocol."""
    drug, place = job
    mutant = _mutants(drug)[place]
    return Found(drug, mutant.kind, mutant.name, _bench(drug).killer(mutant))


def cores() -> int:
    """Return how many cores there are."""
    return os.cpu_count() or 1
