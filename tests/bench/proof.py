"""How long the proof of each protocol version takes: `kap.proof.prove`, once, on one core."""

from __future__ import annotations

from time import process_time

from kap.proof import prove
from kap.protocol import available, load


def measure() -> dict[str, float]:
    """Return seconds of processor time for each version; AssertionError for one not proven."""
    found = {}
    for name, version in available():
        protocol = load(name, version)
        began = process_time()
        proof = prove(protocol)
        found[f"{name}@{version}"] = process_time() - began
        assert proof.holds, f"{name}@{version} is not proven"
    return found
