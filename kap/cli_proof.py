"""`kap protocol prove`: put a protocol's obligations to the solver, and write its certificate."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kap.cli_protocol import shipped
from kap.terminal import BAD_DATA, NO, OK, Problem, read_text, tell, tell_json

if TYPE_CHECKING:
    from kap.proof import Proof
    from kap.protocol import Protocol


def prove_protocol(asked: argparse.Namespace) -> int:
    """Prove a protocol, shipped or from a file; exit code 1 with the patients in whom it fails."""
    from kap.certificate import file_of
    from kap.proof import Unproven, prove, write_certificate

    protocol = given_protocol(asked.protocol)
    try:
        proof = prove(protocol, _progress if sys.stderr.isatty() else lambda _name: None)
    except ImportError as error:
        raise Problem("proving needs Z3: pip install 'afterglow[proof]'", BAD_DATA) from error
    except Unproven as error:
        raise Problem(f"the solver gave up ({error}); nothing is claimed", BAD_DATA) from error
    code = OK if proof.holds else NO
    if asked.write and proof.holds:
        path = Path(asked.write) / file_of(protocol)
        text = json.dumps(write_certificate(proof), indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
    if asked.json:
        return tell_json(_as_json(proof), code)
    return tell(_lines(proof), code)


def _progress(name: str) -> None:
    print(f"  {name} ...", file=sys.stderr)


def given_protocol(text: str) -> Protocol:
    """Return a shipped protocol by ID[@VERSION], or that of a TOML file."""
    from kap.protocol import parse_protocol
    from kap.rule import ProtocolError

    if not text.endswith(".toml"):
        return shipped(text)
    try:
        return parse_protocol(read_text(text))
    except ProtocolError as error:
        raise Problem(f"{text}: {error}", BAD_DATA) from error


def _as_json(proof: Proof) -> dict[str, object]:
    from dataclasses import asdict

    from kap.certificate import LIMIT

    return asdict(proof) | {"holds": proof.holds, "limit": LIMIT}


def _lines(proof: Proof) -> Iterator[str]:
    from kap.certificate import LIMIT

    yield f"{proof.protocol_id}@{proof.version}  {proof.digest}  {proof.solver}"
    for obligation in proof.obligations:
        said = "holds" if obligation.holds else "FAILS"
        yield f"{said}  {obligation.name}: {obligation.statement} ({obligation.asked} asked)"
        for found in obligation.fails:
            facts = ", ".join(f"{name} {value}" for name, value in found.facts.items())
            yield f"       at {found.stage}, {found.about}: {facts}".rstrip(": ")
    for apart in proof.apart:
        yield f"apart  {apart.fact} at {', '.join(apart.stages)}: {apart.why}"
    yield LIMIT
