"""`python -m tests.mutation`: make the mutants, ask who notices, write docs/reliability.md.

`--only data` and `--only code` are one section of the page, `--only kap.dose` or `iv-ketamine` one
area of it and `--quick` one mutant of 25: both print and write nothing. The exit code is 1 when a
mutant lives without a reason in survivors.toml, or a reason stands there for one that does not.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import numpy  # noqa: F401  # in memory before a child is made: the tests of each mutant need it
import pytest  # noqa: F401  # as above

from tests.mutation import jobs
from tests.mutation.found import Found, reasons, reckon
from tests.mutation.report import SECTIONS, body, lines
from tests.reliability import write

RESULTS = Path(__file__).parents[2] / "build" / "mutation.jsonl"


def main() -> int:
    """Run what the command line asks for; return 0 when every survivor is accounted for."""
    asked = _arguments()
    areas = jobs.names(asked.only)
    if not areas:
        raise SystemExit(f"--only {asked.only}: one of code, data, {', '.join(jobs.names())}")
    asked.keep.parent.mkdir(exist_ok=True)
    with asked.keep.open("w", encoding="utf-8") as file:
        held = [_part(part, areas, asked, file) for part in ("code", "data")]
    return 0 if all(held) else 1


def _part(part: str, areas: tuple[str, ...], asked: argparse.Namespace, file: TextIO) -> bool:
    """Run what belongs to `part`, and write its section if that is all of it."""
    mine = tuple(area for area in areas if area in jobs.names(part))
    started, found = time.monotonic(), []
    for result in _results(part, mine, asked):
        file.write(json.dumps(asdict(result)) + "\n")
        file.flush()
        found.append(result)
    reckoning = reckon(found, reasons(), () if asked.quick else mine)
    sys.stdout.writelines(f"{line}\n" for line in lines(found, reckoning))
    if mine == jobs.names(part) and not asked.quick:
        ground = _ground(time.monotonic() - started, asked)
        write(SECTIONS[part][0], body(part, found, reckoning, ground))
    return reckoning.holds


def _results(part: str, areas: tuple[str, ...], asked: argparse.Namespace) -> Iterator[Found]:
    every = jobs.EVERY if asked.quick else 1
    if part == "data":
        return jobs.run(jobs.data_jobs(areas, every), jobs.of_data, asked.workers)
    for area in areas:
        jobs.first_of(area)
    return jobs.run(jobs.code_jobs(areas, every), jobs.of_code, asked.workers)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a sample, and no page")
    parser.add_argument("--only", default="", help="areas, with commas; `code` or `data`")
    parser.add_argument("--workers", type=int, default=jobs.cores(), help="how many at once")
    parser.add_argument("--keep", type=Path, default=RESULTS, help="where results go, line by line")
    return parser.parse_args()


def _ground(seconds: float, asked: argparse.Namespace) -> dict[str, str]:
    only = f" ARGS='--only {asked.only}'" if asked.only else ""
    return {
        "date (UTC)": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        "command": f"`make mutate{only}`",
        "machine": platform.machine(),
        "cores": f"{jobs.cores()}, {asked.workers} used",
        "Python": platform.python_version(),
        "took": f"{seconds / 60:.0f} min",
    }


if __name__ == "__main__":
    raise SystemExit(main())
