"""How many questions one second of processor time answers: `kap.ask` at screening, answer only.

Nothing of the explanation is rendered, as in a dry run over many charts.
"""

from __future__ import annotations

import json
import statistics
from decimal import Decimal
from pathlib import Path
from time import process_time

import kap
from kap.moment import instant
from kap.protocol import Protocol

EXAMPLE = Path(__file__).parents[2] / "examples" / "eligible.json"
STAGE = "screening"
RUNS, CALLS = 5, 2_000


def measure() -> dict[str, float]:
    """Return calls a second, best and median of 5 runs, for the full example and an empty chart."""
    protocol = kap.load("iv-ketamine")
    told = json.loads(EXAMPLE.read_text(encoding="utf-8"), parse_float=Decimal)
    at = kap.Moment.at(instant(told.pop("asked_at")))
    full, empty = kap.Chart.from_json(told, protocol.facts), kap.Chart()
    # A chart that stops short of an answer would be quicker: what is measured is the whole way.
    assert kap.ask(protocol, STAGE, full, at).answer == "eligible"
    found = {}
    for name, chart in (("full", full), ("empty", empty)):
        rates = [_rate(protocol, chart, at) for _ in range(RUNS)]
        found[f"ask_{name}_best_per_s"] = round(max(rates), 1)
        found[f"ask_{name}_median_per_s"] = round(statistics.median(rates), 1)
    return found


def _rate(protocol: Protocol, chart: kap.Chart, at: kap.Moment) -> float:
    start = process_time()
    for _ in range(CALLS):
        kap.ask(protocol, STAGE, chart, at)
    return CALLS / (process_time() - start)
