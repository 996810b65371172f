"""The code table of monitors (IEEE 11073-10101): which number is which vital, in which unit."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from importlib import resources

from kap.observation import vital


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit on the wire: (value - minus) * times / over is the value in `ucum`, exactly."""

    code: str
    id: str
    ucum: str
    shown: str = ""
    minus: Decimal = Decimal(0)
    times: Decimal = Decimal(1)
    over: Decimal = Decimal(1)

    @property
    def is_converted(self) -> bool:
        """Whether a value in this unit is changed when it is read."""
        return bool(self.shown)

    def convert(self, value: Decimal, decimals: int) -> Decimal:
        """Return `value` in `ucum`: as it is, or converted and rounded to `decimals`, half to even.

        One decimal more than the vital keeps, so that no limit is crossed by rounding.
        """
        if not self.is_converted:
            return value
        exact = (value - self.minus) * self.times / self.over
        return exact.quantize(Decimal(1).scaleb(-decimals - 1), ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table: code, reference id, the units it may come in, the vital it is."""

    code: str
    id: str
    units: tuple[Unit, ...]
    vital: str | None


@cache
def metrics() -> Mapping[str, Metric]:
    """Return the rows by MDC code."""
    text = resources.files("kap.wire").joinpath("mdc.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text, parse_float=Decimal)
    units = {code: _unit(code, row) for code, row in data["unit"].items()}
    rows = {
        code: Metric(
            code, row["id"], tuple(units[str(unit)] for unit in row["units"]), row.get("vital")
        )
        for code, row in data["metric"].items()
    }
    for row in rows.values():
        if row.vital is not None:
            vital(row.vital)  # refuses a row that names no vital sign
    return rows


def _unit(code: str, row: Mapping[str, str | int | Decimal]) -> Unit:
    return Unit(
        code,
        str(row["id"]),
        str(row["ucum"]),
        str(row.get("shown", "")),
        Decimal(row.get("minus", 0)),
        Decimal(row.get("times", 1)),
        Decimal(row.get("over", 1)),
    )


def metric_of(vital_code: str) -> Metric:
    """Return the row that is written for a vital sign; KeyError when the wire has none."""
    for row in metrics().values():
        if row.vital == vital_code:
            return row
    raise KeyError(f"{vital_code} has no code on the wire")
