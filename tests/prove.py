"""`python -m tests.prove`: prove every protocol, read every chart twice, write docs/reliability.md.

The suite asks a part of the same; the exit code is 1 when an obligation fails or a chart differs.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from kap.proof import Proof, prove
from kap.protocol import available, load
from tests.reliability import write
from tests.spec import independent
from tests.spec.table import KETAMINE

TITLE = "Proofs, and a second reading of the reference"
SHOWN = 10  # charts that differ
TEXT = """\
Each obligation is put to a solver for every version of every protocol; what it says and what it
does not is in [proof](algorithms/proof.md). The second reading is a program written from the
clinical reference alone (pressure, suicide tier, interval, dose cap and the absolute
contraindications at a start), which never saw the protocol files; it and the protocol are asked
about the same charts, every combination of the values that matter, and must give the same answers.
"""


@dataclass(frozen=True)
class Proven:
    """One proof and how long it took."""

    proof: Proof
    seconds: float


@dataclass(frozen=True)
class Read:
    """How many charts the second reading was asked about, and some of those that differ."""

    protocol: str
    charts: int
    differ: tuple[str, ...]
    seconds: float


def main() -> int:
    """Prove, ask, print and write the section; 0 when everything holds."""
    proven = [_proven(*version) for version in available()]
    second = _read()
    section = "\n".join([TEXT, *_ground(), *_proofs(proven), *_second(second)])
    sys.stdout.write(section + "\n")
    write(TITLE, section)
    return 0 if all(one.proof.holds for one in proven) and not second.differ else 1


def _proven(protocol_id: str, version: str) -> Proven:
    tell(f"proving {protocol_id}@{version}")
    started = time.monotonic()
    return Proven(prove(load(protocol_id, version)), time.monotonic() - started)


def _read() -> Read:
    protocol, charts = load(KETAMINE), independent.count()
    tell(f"{charts:,} charts for the second reading: some minutes")
    started = time.monotonic()
    differ = tuple(str(row) for row in islice(independent.differing(protocol), SHOWN))
    name = f"{protocol.id}@{protocol.version}"
    return Read(name, charts, differ, time.monotonic() - started)


def tell(text: str) -> None:
    """Tell whoever waits what goes on."""
    sys.stderr.write(text + "\n")


def _ground() -> Iterator[str]:
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
    made = f"{platform.machine()}, Python {platform.python_version()}"
    yield from _table(
        ("what", "value"), [("date (UTC)", now), ("command", "`make prove`"), ("machine", made)]
    )


def _proofs(proven: Iterable[Proven]) -> Iterator[str]:
    rows = []
    for one in proven:
        held = sum(obligation.holds for obligation in one.proof.obligations)
        asked = sum(obligation.asked for obligation in one.proof.obligations)
        name = f"{one.proof.protocol_id}@{one.proof.version}"
        of = f"{held} of {len(one.proof.obligations)}"
        rows.append((name, of, f"{asked:,}", f"{one.seconds:.1f}", one.proof.solver))
    yield from _table(("protocol", "obligations hold", "questions", "seconds", "solver"), rows)


def _second(read: Read) -> Iterator[str]:
    said = "none differs" if not read.differ else f"{len(read.differ)} or more DIFFER"
    yield (
        f"{read.charts:,} charts at the start of {read.protocol}, {said};"
        f" {read.seconds:,.0f} seconds on one core."
    )
    yield ""
    yield from (f"* {row}" for row in read.differ)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


if __name__ == "__main__":
    raise SystemExit(main())
