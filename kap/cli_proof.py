"""`kap protocol prove` and `diff`: what holds of a protocol, and whom a new version moves."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from kap.cli_protocol import given_protocol
from kap.terminal import BAD_DATA, NO, OK, Problem, read_text, tell, tell_json

if TYPE_CHECKING:
    from kap.proof import Proof
    from kap.proof_diff import Difference
    from kap.proof_moved import Moved
    from kap.protocol import Protocol


def prove_protocol(asked: argparse.Namespace) -> int:
    """Prove a protocol, shipped or from a file; exit code 1 with the patients in whom it fails."""
    from kap.certificate import file_of
    from kap.proof import prove, write_certificate
    from kap.prover import Unproven

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
        try:
            path.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise Problem(f"{path}: {error.strerror}; name another folder", BAD_DATA) from error
    if asked.json:
        return tell_json(_as_json(proof), code)
    return tell(_lines(proof), code)


def _progress(name: str) -> None:
    print(f"  {name} ...", file=sys.stderr)


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
    for overlap in proof.overlaps:
        yield f"apart  {overlap.fact} in {' and '.join(overlap.rules)}: {overlap.why}"
    for scale in proof.scales:
        yield f"scale  {scale.name} ({', '.join(scale.rules)}): {scale.cover}"
    yield LIMIT


# --- two versions -------------------------------------------------------------------------------


def diff_protocols(asked: argparse.Namespace) -> int:
    """Say what differs between two versions; exit code 1 when some patient's answer is looser."""
    from kap.proof_diff import difference
    from kap.prover import Unproven

    old, new = given_protocol(asked.old), given_protocol(asked.new)
    texts = _text_of(asked.old, old), _text_of(asked.new, new)
    try:
        found = difference(old, new, *texts)
    except ImportError as error:
        raise Problem("comparing needs Z3: pip install 'afterglow[proof]'", BAD_DATA) from error
    except Unproven as error:
        raise Problem(f"the solver gave up ({error}); nothing is claimed", BAD_DATA) from error
    code = NO if found.looser else OK
    if asked.json:
        return tell_json(_difference_json(old, new, found), code)
    return tell(_difference_lines(old, new, found), code)


def _text_of(asked: str, protocol: Protocol) -> str:
    if asked.endswith(".toml"):
        return read_text(asked)
    path = f"protocols/{protocol.id}/{protocol.version}.toml"
    return resources.files("kap").joinpath(path).read_text(encoding="utf-8")


def _difference_json(old: Protocol, new: Protocol, found: Difference) -> dict[str, object]:
    from dataclasses import asdict

    from kap.certificate import LIMIT

    sides = {
        name: {"id": p.id, "version": p.version, "digest": p.digest}
        for name, p in (("old", old), ("new", new))
    }
    ids = {"looser": len(found.looser), "stricter": len(found.stricter)}
    return sides | asdict(found) | ids | {"limit": LIMIT}


def _difference_lines(old: Protocol, new: Protocol, found: Difference) -> Iterator[str]:
    from kap.certificate import LIMIT

    yield f"{old.id}@{old.version}  {old.digest}"
    yield f"{new.id}@{new.version}  {new.digest}"
    yield from (change.text() for change in found.rewritten)
    for same in _alike(found):
        first, stages = same[0], ", ".join(one.stage for one in same)
        why = "; ".join(found.causes[first.rule_id]) or "what stands around it"
        facts = ", ".join(f"{name} {text}" for name, text in first.facts.items())
        yield f"{first.way.upper():<8} {first.rule_id} at {stages}: {why}"
        yield f"         {facts}"
        yield f"         {_OVERRIDDEN[first.lifted]}{first.before} -> {first.after}"
    yield (
        f"looser for nobody at {', '.join(found.stages)}"
        if not found.looser
        else (f"looser at {', '.join(dict.fromkeys(one.stage for one in found.looser))}")
    )
    if found.unweighed:
        names = ", ".join(f"{change.section}.{change.name}" for change in found.unweighed)
        yield f"rewritten before the facts, and not weighed here: {names}"
    yield LIMIT


_OVERRIDDEN = {
    "": "",
    "P": "once a prescriber overrides: ",
    "PR": "once a prescriber and a second person override: ",
}


def _alike(found: Difference) -> list[list[Moved]]:
    """Return what moved, with the stages at which the same rule moves the same answer together."""
    rows: dict[tuple[str, ...], list[Moved]] = {}
    for one in (*found.looser, *found.stricter):
        key = (one.way, one.rule_id, one.lifted, one.before, one.after)
        rows.setdefault(key, []).append(one)
    return list(rows.values())
