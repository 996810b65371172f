"""The mistake that everything here is built against: what nobody knows is taken for "no".

No protocol can write it. While `allowed()` holds, a derived fact can: `{ unknown_as_no = "text" }`
is the condition of the text, and false where that is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kap.compiled import Names, ParameterValue, compile_formula
from kap.condition import parse
from kap.derive import OPERATORS, Operator
from kap.evidence import Look
from kap.value import FALSE, TRUE, Value
from kap.workshop import Derived, Row

KEY = "unknown_as_no"


def _build(key: str, row: Row, shop: Any) -> Derived:
    read = parse(row[key])
    for name in read.facts:
        shop.column(name)
    held = {name: ParameterValue(p.value, p.unit) for name, p in shop.parameters.items()}
    closure = compile_formula(read.tree, Names(shop.columns, held))

    def value(look: Look) -> Value:
        return Value(truth=TRUE if closure(look) == TRUE else FALSE)

    return Derived("bool", value, read.facts)


@contextmanager
def allowed() -> Iterator[None]:
    """Let a protocol take unknown for "no" while the context is open."""
    operators: Any = OPERATORS
    operators[KEY] = Operator(_build)
    try:
        yield
    finally:
        del operators[KEY]
