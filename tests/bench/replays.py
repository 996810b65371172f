"""How many charts a second the registry reader answers, from memory and from a Parquet file; and
how long `kap screen` takes from nothing to its answer.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

import kap
from kap.protocol import Protocol
from kap.replay import RegistryReader
from kap.replay_columns import (
    ChartColumns,
    CodeColumn,
    FactColumn,
    KnownColumn,
    TruthColumn,
    numbers,
    pack,
    stage_facts,
)
from kap.replay_file import ChartBlock
from kap.replay_parquet import passed_on, read_parquet

STAGE = "screening"
CHARTS = 2_000_000
FILE_CHARTS = 500_000
UNKNOWN_SHARE = 0.15
STARTS = 7
EXAMPLE = Path(__file__).parents[2] / "examples" / "eligible.json"


def measure() -> dict[str, float]:
    """Return charts a second of one core (memory), of the wall clock (file), and seconds."""
    protocol = kap.load("iv-ketamine")
    reader = RegistryReader(protocol, STAGE)
    charts = drawn(protocol, CHARTS)
    began = process_time()
    answers = reader.answers(charts)
    found = {"replay_per_s": CHARTS / (process_time() - began)}
    # A registry all of one answer would be no measure of anything.
    assert len(np.unique(answers)) > 2
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "charts.parquet"
        part = drawn(protocol, FILE_CHARTS)
        ids = tuple(map(str, range(FILE_CHARTS)))
        block = ChartBlock(ids, (part,), np.zeros(FILE_CHARTS, np.uint8), {}, ())
        for _ in passed_on(path, protocol, STAGE, [block]):
            pass
        began = perf_counter()
        for one in read_parquet(path, (protocol,), STAGE):
            reader.answers(one.facts[0])
        found["replay_file_per_s"] = FILE_CHARTS / (perf_counter() - began)
    return found | {"screen_start_s": min(_start() for _ in range(STARTS))}


def drawn(protocol: Protocol, count: int) -> ChartColumns:
    """Return charts of the stage's derived facts, drawn apart from each other."""
    dice = np.random.default_rng(20261124)
    facts: dict[str, FactColumn] = {}
    for name in stage_facts(protocol, STAGE):
        kind = protocol.plan.columns[name].kind
        known = dice.random(count, np.float32) >= UNKNOWN_SHARE
        if kind == "bool":
            yes = dice.random(count, np.float32) < 0.01
            facts[name] = TruthColumn(pack(known & yes), pack(known & ~yes))
        elif kind == "number":
            steps = dice.integers(0, 300, count)
            facts[name] = numbers(name, steps, steps, pack(known))
        elif kind == "code":
            places = np.where(known, dice.integers(0, 3, count), -1).astype(np.int32)
            facts[name] = CodeColumn(places, ("TRD", "PTSD", "something else"))
        else:
            facts[name] = KnownColumn(pack(known))
    return ChartColumns(count, facts)


def _start() -> float:
    program = "import sys; from kap.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "screen", str(EXAMPLE)]
    began = perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - began
