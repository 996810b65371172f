"""`python -m tests.bench`: measure, print, and write docs/benchmarks.md.

`--quick` (a few repetitions), `--only stream` (from socket to screen alone), `--only pages` and
`--only core` (other engines, registries, questions) print and write nothing: the page is of one
whole run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import ask, beds, engines, ground, pages, proof, replays, report, stream
from tests.browser.chromium import chromium

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
NURSE = "nina"
GIB = 2**30


@dataclass(frozen=True)
class Size:
    """How much is measured: requests a page, seconds a rate, open session pages."""

    requests: int = 40
    seconds: int = 15
    beds: int = 20
    rates: tuple[int, ...] = (10, 60, 240)


QUICK = replace(Size(), requests=3, seconds=4)


def measure(size: Size) -> report.Run:
    """Return everything measured, on a demonstration made for this run."""
    browser = chromium()
    facts = {"machine": platform.machine(), "load average before": _load()}
    asked = ask.measure()
    say("the proof of each protocol version")
    proofs = proof.measure()
    say("other engines, and a registry in columns")
    others, again = engines.measure(), replays.measure()
    with ground.folder():
        starts = {"first start of a demonstration (migrate, seed, static files)": _first_start()}
        starts["`clinic serve` until /healthz, with its database server"] = _serve_time()
        from clinic.database import running_server

        with running_server():
            os.environ["CLINIC_PROCESS"] = "owner"  # this process; its children take theirs away
            import django

            django.setup()
            main_pages = pages.main_pages()
            facts |= _machine()
            with ground.process("serve") as serving:
                starts["`clinic serve` until /healthz"] = ground.until_healthy(serving)
                say(f"pages, {size.requests} requests each")
                found = pages.measure(main_pages, size.requests)
                # Afterwards: twenty more people would stand on the lists that were timed.
                rates = _rates(beds.prepare(pages.SITE, size.beds), size, browser)
    facts["load average after"] = _load()
    return report.Run(facts, found, rates, asked, starts, others, again, proofs)


def measure_stream(size: Size) -> list[stream.Rate]:
    """Return what each rate came to from socket to screen, on a demonstration made for it."""
    browser = chromium()
    with ground.folder():
        _first_start()
        from clinic.database import running_server

        with running_server():
            os.environ["CLINIC_PROCESS"] = "owner"  # as above
            import django

            django.setup()
            with ground.process("serve") as serving:
                ground.until_healthy(serving)
                return _rates(beds.prepare(pages.SITE, size.beds), size, browser)


def measure_pages(size: Size) -> list[pages.PageTime]:
    """Return what each page took, on a demonstration made for it."""
    with ground.folder():
        _first_start()
        from clinic.database import running_server

        with running_server():
            os.environ["CLINIC_PROCESS"] = "owner"  # as above
            import django

            django.setup()
            main_pages = pages.main_pages()
            with ground.process("serve") as serving:
                ground.until_healthy(serving)
                return pages.measure(main_pages, size.requests)


def _first_start() -> float:
    say("a demonstration's first start: this takes a few minutes")
    began = time.perf_counter()
    ground.run("migrate", "-v0")
    ground.run("seed", role="owner")
    ground.run("collectstatic", "--noinput", "-v0")
    return time.perf_counter() - began


def _serve_time() -> float:
    with ground.process("serve") as serving:
        return ground.until_healthy(serving)


def _rates(made: list[beds.Bed], size: Size, browser: str) -> list[stream.Rate]:
    say(f"{size.beds} open pages, {size.seconds} s a rate")
    cookies = ground.Visitor().sign_in(NURSE).cookies
    with ground.process("mllp"), ground.process("watch"):
        ground.until_open(int(os.environ["MLLP_PORT"]))
        work = stream.measure(
            made, cookies, chromium=browser, rates=size.rates, seconds=size.seconds
        )
        return asyncio.run(work)


def _load() -> str:
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def _machine() -> dict[str, str]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        postgres = cursor.fetchone()[0]
    connection.close()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": str(os.cpu_count()),
        "memory": f"{memory / GIB:.0f} GiB",
        "Python": platform.python_version(),
        "PostgreSQL": postgres,
    }


def say(text: str) -> None:
    """Tell whoever waits what is being measured."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measure; a whole run is written down."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="a few repetitions, nothing written")
    parser.add_argument(
        "--only", choices=["stream", "pages", "core"], help="one part alone, nothing written"
    )
    given = parser.parse_args()
    size = QUICK if given.quick else Size()
    if given.only == "core":
        lines = [*report.engines(engines.measure()), *report.replays(replays.measure())]
        lines += report.proofs(proof.measure())
        print("\n".join([*lines, str(ask.measure())]))
        return
    if given.only == "pages":
        print("\n".join(report.pages(measure_pages(size))))
        return
    if given.only:
        print("\n".join(report.rates(measure_stream(size))))
        return
    run = measure(size)
    told = {"date (UTC)": f"{datetime.now(UTC):%Y-%m-%d %H:%M}", "command": "`make bench`"}
    if given.quick:
        told["command"] = "`python -m tests.bench --quick`"
    text = report.page(replace(run, ground=told | dict(run.ground)))
    print(text)
    if not given.quick:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
