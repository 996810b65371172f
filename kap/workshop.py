"""What a derived fact is, and what its builder may ask about the protocol and the vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any
from typing import Protocol as Shape

from kap.dates import DateRead
from kap.evidence import Deriver, Look
from kap.facts import FactType


@dataclass(frozen=True, slots=True)
class Derived:
    """One derived fact: kind ("bool", "number"), unit, step, what it reads, its guard."""

    kind: str
    read: Deriver
    reads: tuple[str, ...]
    unit: str = ""
    step: Fraction = Fraction(1)
    guard: str = ""
    is_since: bool = False


class Workshop(Shape):
    """What a builder may ask about the protocol and the vocabulary."""

    def fact(self, name: str, *types: str) -> FactType: ...
    def amount(self, param: str, *units: str) -> tuple[Decimal, str]: ...
    def slot(self, name: str, kind: str) -> int: ...
    def shape(self, name: str) -> tuple[str, Fraction]: ...
    def date(self, name: str) -> Callable[[Look], DateRead]: ...
    def medicines(self, name: str) -> Mapping[str, str]: ...
    def table(self, name: str) -> Mapping[str, Decimal]: ...
    def own_step(self, name: str, unit: str) -> Fraction: ...
    def coded(self, name: str, row: Mapping[str, Any]) -> Deriver: ...


Row = Mapping[str, Any]
Builder = Callable[[str, Row, Workshop], Derived]
