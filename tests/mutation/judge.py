"""Who notices that a protocol is wrong: the loader, an example, a table, the second reading, Z3.

The quickest is asked first. Nothing of the mutant is told to a judge but the protocol itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from kap.chart import Chart
from kap.examples import check
from kap.facts import FactError
from kap.known import ChartError
from kap.moment import Moment
from kap.proof import prove
from kap.protocol import Protocol, built
from kap.prover import Unproven
from kap.rule import ProtocolError
from kap.verdict import Verdict, ask
from tests.mutation.data import MADE, Mutant
from tests.mutation.unknown_as_no import allowed
from tests.spec.beside_the_answer import (
    otherwise_measured,
    otherwise_noted,
    otherwise_ruled,
    otherwise_valid,
)
from tests.spec.independent import differing
from tests.spec.pivots import broken
from tests.spec.table import KETAMINE, NOW, Row, Table, behind, chart, tables

AT = Moment.at(NOW)
ONE_IN = 149
Asked = tuple[Table, Row, Chart]


@dataclass(frozen=True)
class Bench:
    """The rows of the clinical tables of one drug, their people made once."""

    rows: tuple[Asked, ...]

    @classmethod
    def of(cls, drug: str) -> Bench:
        """Return the bench of the protocols of `drug`."""
        held = (table for table in tables() if drug in table.protocols)
        return cls(tuple((t, row, chart(t, row, drug)) for t in held for row in t.rows))

    def killer(self, mutant: Mutant) -> str:
        """Return the first judge that notices; "" when none does."""
        with allowed():
            try:
                protocol = built(mutant.data)
            except ProtocolError:
                return "loader"
            return next((name for name, notices in self._asked(mutant, protocol) if notices()), "")

    def _asked(
        self, mutant: Mutant, protocol: Protocol
    ) -> Iterator[tuple[str, Callable[[], bool]]]:
        yield "examples", lambda: _fails_an_example(protocol, mutant.rules)
        yield "single rules", lambda: _is_ruled_otherwise(protocol, mutant.rules)
        yield "law of the unknown", lambda: _breaks_the_law(protocol, mutant.rules)
        yield "tables", lambda: self.fails_a_row(protocol)
        yield "second reading", lambda: _is_read_otherwise(protocol)
        yield "obligations", lambda: _is_unproven(protocol)

    def fails_a_row(self, protocol: Protocol) -> bool:
        """Return whether a row of a table is answered otherwise, or for other reasons."""
        said: list[tuple[Row, Verdict]] = []
        for table, row, person in self.rows:
            try:
                verdict = ask(protocol, table.stage, person, AT)
            except (ChartError, FactError, ProtocolError):
                return True
            if verdict.answer != row.verdict:
                return True
            said.append((row, verdict))
        beside = (otherwise_valid, otherwise_noted, otherwise_measured)
        if any(any(differs(protocol)) for differs in beside):
            return True
        return any(behind(verdict) != set(row.because) for row, verdict in said)


def _fails_an_example(protocol: Protocol, rules: frozenset[str] | None) -> bool:
    if rules is None:
        return bool(check(protocol))
    held = tuple(rule for rule in protocol.rules if rule.id in rules)
    return bool(check(replace(protocol, rules=held)))


def _is_ruled_otherwise(protocol: Protocol, rules: frozenset[str] | None) -> bool:
    return any(otherwise_ruled(protocol, rules))


def _breaks_the_law(protocol: Protocol, rules: frozenset[str] | None) -> bool:
    held = (p for p in protocol.plan.rules if rules is None or p.rule.id in rules)
    return any(broken(protocol, held, (MADE,)))


def _is_read_otherwise(protocol: Protocol) -> bool:
    return protocol.id == KETAMINE and any(islice(differing(protocol, ONE_IN), 1))


def _is_unproven(protocol: Protocol) -> bool:
    try:
        return not prove(protocol).holds
    except Unproven:
        return False
