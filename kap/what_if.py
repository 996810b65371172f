"""What if: a protocol asked with something supposed that is not on file. Nothing is stored.

The command line and the review page suppose by this one function.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from kap.chart import Chart
from kap.examples import given
from kap.facts import FactError
from kap.known import ChartError
from kap.moment import Moment, MomentError
from kap.protocol import Protocol
from kap.rule import ProtocolError
from kap.verdict import Verdict, suppose

Supposition = bool | Decimal | str


class WhatIfError(ValueError):
    """Something supposed that cannot be; says the fact, the value, and what it may be."""


def what_if(
    protocol: Protocol,
    stage: str,
    chart: Chart,
    at: Moment,
    supposed: Mapping[str, Supposition],
) -> Verdict:
    """Return the verdict of `stage` as it would be with `supposed` laid over what is on file.

    A fact that is told is supposed as a reading of this moment, in the vocabulary's unit; a derived
    one as a value. "unknown" supposes that it is not known. Raises WhatIfError.
    """
    try:
        for name, value in supposed.items():
            kind = protocol.facts.get(name)
            if kind is not None and isinstance(value, Decimal):
                kind.accept(value, kind.unit)
        told, values = given(protocol, supposed, at)
        facts = (fact for readings in told.facts.values() for fact in readings)
        named = {column.slot: name for name, column in protocol.plan.columns.items()}
        derived = {named[slot]: value for slot, value in values.items()}
        return suppose(protocol, stage, chart.with_facts(*facts), at, derived)
    except (ProtocolError, FactError, MomentError, ChartError) as error:
        raise WhatIfError(str(error)) from error
