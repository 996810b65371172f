"""Every rule keeps the law of the unknown, and a rule that takes unknown for "no" is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kap.protocol import Protocol, available, built, load
from kap.protocol_file import read_toml
from tests.mutation.data import MADE, taken_for_no
from tests.mutation.unknown_as_no import allowed
from tests.spec.pivots import Broken, broken

PROTOCOLS = Path(__file__).parents[2] / "kap" / "protocols"


@pytest.mark.parametrize("version", available(), ids="@".join)
def test_what_turns_a_rule_by_being_known_leaves_it_open_by_being_unknown(
    version: tuple[str, str],
) -> None:
    protocol = load(*version)
    assert list(broken(protocol, protocol.plan.rules)) == []


def test_a_rule_that_takes_an_unknown_symptom_for_no_is_found() -> None:
    """The negative control: 184 mm[Hg], and nobody asked about the symptom."""
    protocol = load("iv-ketamine")
    path = PROTOCOLS / protocol.id / f"{protocol.version}.toml"
    data = read_toml(path.read_text(encoding="utf-8"))
    wrong = [m for m in taken_for_no(data, protocol) if m.name == "NOW-BP: `bp_symptom`"]
    with allowed():
        (found,) = broken_of(built(wrong[0].data), "NOW-BP")
    assert (found.fact, found.how) == ("bp_symptom", "turns it, and may be unknown all the same")


def broken_of(protocol: Protocol, rule_id: str) -> Iterator[Broken]:
    return broken(protocol, [p for p in protocol.plan.rules if p.rule.id == rule_id], (MADE,))
