"""The certificate beside a protocol: what was proven of it, over which text, and with what limit.

Reading one needs no solver. It names no date and no machine: the same proof writes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from kap.protocol import Protocol, canonical
from kap.rule import ProtocolError

LIMIT = "Holds over derived facts, not over their derivations (codes, dates, counts)."

STATEMENTS = {
    "absolute": "nothing may start while a rule of level A speaks or is unknown",
    "override": "no set of overrides lets anything start while an A is not quiet, or reaches an A",
    "dose": "where anything may start, the dose is known to be within its route's hard ceilings",
    "included": "every level A rule of screening and order is asked at start",
    "unknown": "an unknown rule of level A, I, R or P closes the gates order, start and discharge",
    "refine": "where a gate is open with a fact unknown, it is open with every value of it",
    "monotone": "with all facts known, moving one along its risk direction never lowers the answer;"
    " a two-sided one on each arm",
    "bands": "the bands of a number do not overlap, and each scale speaks exactly where it covers",
    "total": "a rule never speaks and is unknown at once, so every chart has exactly one answer",
    "open": "there are patients, all of whose facts are known, with whom a dose may start",
    "alive": "every rule speaks of some patient, so that removing it changes that verdict",
}


def sealed(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a certificate's body with its hash."""
    return {**body, "hash": hashlib.sha256(canonical(body)).hexdigest()}


def file_of(protocol: Protocol) -> str:
    """Return the path of a protocol's certificate, from the folder of protocols."""
    return f"{protocol.id}/{protocol.version}.certificate.json"


def read_certificate(protocol: Protocol) -> dict[str, Any]:
    """Return the certificate shipped beside a protocol.

    ProtocolError when there is none, or `check_certificate` refuses it.
    """
    file = resources.files("kap").joinpath("protocols", file_of(protocol))
    if not file.is_file():
        raise ProtocolError(f"{protocol.id}@{protocol.version} has no certificate; prove it first")
    found = json.loads(file.read_text(encoding="utf-8"))
    check_certificate(protocol, found)
    return dict(found)


def check_certificate(protocol: Protocol, found: Mapping[str, Any]) -> None:
    """Refuse a certificate of another digest, one altered, or one that leaves an obligation out."""
    name = f"{protocol.id}@{protocol.version}"
    body = {key: value for key, value in found.items() if key != "hash"}
    if dict(found) != sealed(body):
        raise ProtocolError(f"the certificate of {name} was altered")
    if found.get("digest") != protocol.digest:
        raise ProtocolError(f"the certificate of {name} is of another text: prove it again")
    proven = {row["name"] for row in found["obligations"] if row["asked"]}
    if not proven >= set(STATEMENTS):
        lacking = ", ".join(sorted(set(STATEMENTS) - proven))
        raise ProtocolError(f"the certificate of {name} says nothing of: {lacking}")
