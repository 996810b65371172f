"""Why a model says nothing: a value with its reason, and the error that carries it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Code = Literal[
    "age_missing",
    "analyte",
    "card",
    "device",
    "dose_out_of_range",
    "not_a_number",
    "not_drawn",
    "out_of_range",
    "rate",
    "route",
    "salt",
    "substance",
    "times",
    "variability",
    "weight_missing",
]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What cannot be computed or shown: a code, what it is about, the value, and the way out."""

    code: Code
    what: str
    value: str
    way_out: str

    def __str__(self) -> str:
        """Return the refusal as one sentence with the value and the way out."""
        return f"{self.what}: {self.value}; {self.way_out}"


class PkError(ValueError):
    """Something that a model was asked and refuses; `refusal` says what, with value and range."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


def refused(code: Code, what: str, value: object, way_out: str) -> PkError:
    """Return the error of one refusal."""
    return PkError(Refusal(code, what, str(value), way_out))
