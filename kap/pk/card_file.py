"""A model card's TOML, read strictly: every key is known and every name is there."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from kap.pk.card import (
    PARENT,
    Analyte,
    DoseRange,
    Effect,
    Metabolite,
    ModelCard,
    PkParameter,
    Variability,
)
from kap.pk.dosing import SUBSTANCES
from kap.pk.refusal import PkError, refused

Table = Mapping[str, Any]

# Unit -> its factor to L, L/min, 1/min, min or 1; and whether it is for each kg.
UNITS = {
    "1": (1.0, False),
    "L": (1.0, False),
    "L/kg": (1.0, True),
    "L/min": (1.0, False),
    "L/h": (1 / 60, False),
    "/min": (1.0, False),
    "/h": (1 / 60, False),
    "min": (1.0, False),
    "h": (60.0, False),
}
MG_PER_L_IN_NG_PER_ML = 1000.0

_SECTIONS = ("card", "structure", "analyte", "range", "dose", "parameter", "variability", "effect")
_TEXTS = (
    *("id", "version", "title", "substance", "population", "status", "status_why"),
    *("clinical_screen", "clinical_screen_why", "citation", "weight_scaling"),
)
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "substance": SUBSTANCES,
    "salt": ("base",),
    "status": ("verified", "abstract", "peer"),
    "clinical_screen": ("once_signed", "no"),
}
MATRICES = ("arterial", "venous", "plasma", "not_verified")
RACES = ("asian", "japanese", "other", "not_stated")

# What each structure must have as parameters; V3 and Q3, k13 and k31 go together.
NEEDS: Mapping[str, tuple[str, ...]] = {
    "mammillary": ("V1", "V2", "CL", "Q2"),
    "micro": ("V1", "k10", "k12", "k21"),
    "nasal": (
        *("FRn", "later_device", "ka_n", "Dsw", "ka_sw", "Fgut", "Vc", "Q1", "Vp1", "Q2", "Vp2"),
        *("Qh", "Vh", "kel", "kmet", "Vcn", "CLn", "Vpn", "Q3"),
    ),
}
OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "mammillary": ("V3", "Q3"),
    "micro": ("k13", "k31"),
    "nasal": (),
}


def read_card(text: str, digest: str) -> ModelCard:
    """Return the card that a TOML text holds. PkError names the place, the value, the way out."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise _bad("card", problem, "mend the TOML") from None
    _only("card file", data, _SECTIONS)
    head = _table("card", data.get("card"))
    _only("card", head, (*_TEXTS, "salt", "signed_by", "warnings"))
    for key in _TEXTS:
        _text(f"card.{key}", head.get(key))
    for key, allowed in _CHOICES.items():
        _choice(f"card.{key}", head.get(key), allowed)
    structure = _table("structure", data.get("structure"))
    parameters = _parameters(_table("parameter", data.get("parameter")))
    analytes = _analytes(_table("analyte", data.get("analyte")))
    metabolites = _metabolites(structure, parameters, analytes)
    _demand_parameters(structure["kind"], parameters, metabolites)
    return ModelCard(
        **{key: head[key] for key in _TEXTS},
        digest=digest,
        signed_by=_signature(head.get("signed_by")),
        warnings=_texts("card.warnings", head.get("warnings")),
        kind=structure["kind"],
        metabolites=metabolites,
        analytes=analytes,
        ranges=_ranges(_table("range", data.get("range"))),
        routes=_routes(_table("dose", data.get("dose"))),
        parameters=parameters,
        variability=_variability(_table("variability", data.get("variability", {})), parameters),
        effects=_effects(data.get("effect", []), parameters),
    )


# --- parts --------------------------------------------------------------------------------------


def _parameters(rows: Table) -> dict[str, PkParameter]:
    found = {}
    for name, row in rows.items():
        where = f"parameter.{name}"
        _only(where, _table(where, row), ("value", "unit", "weight_exponent"))
        factor, each_kg = UNITS[_choice(f"{where}.unit", row.get("unit"), UNITS)]
        value = _number(f"{where}.value", row.get("value"))
        if value < 0:
            raise _bad(f"{where}.value", value, "write 0 or more")
        exponent = _number(f"{where}.weight_exponent", row.get("weight_exponent", 0))
        found[name] = PkParameter(name, value * factor, value, row["unit"], exponent, each_kg)
    return found


def _analytes(rows: Table) -> dict[str, Analyte]:
    found = {}
    residuals = ("residual_sd", "residual_log_sd")
    for name, row in rows.items():
        where = f"analyte.{name}"
        _only(
            where,
            _table(where, row),
            ("name", "matrix", "unit", "g_per_mol", "clinical", *residuals),
        )
        unit = _choice(f"{where}.unit", row.get("unit"), ("ng/mL", "nmol/mL"))
        scale = MG_PER_L_IN_NG_PER_ML
        if unit == "nmol/mL":
            scale /= _number(f"{where}.g_per_mol", row.get("g_per_mol"))
        if not isinstance(row.get("clinical"), bool):
            raise _bad(f"{where}.clinical", row.get("clinical"), "write true or false")
        found[name] = Analyte(
            name,
            _text(f"{where}.name", row.get("name")),
            _choice(f"{where}.matrix", row.get("matrix"), MATRICES),  # type: ignore[arg-type]
            unit,
            scale,
            row["clinical"],
            {key: _number(f"{where}.{key}", row[key]) for key in residuals if key in row},
        )
    if next(iter(found), None) != PARENT:
        raise _bad("analyte", ", ".join(found), f"write {PARENT} first")
    return found


def _metabolites(
    structure: Table, parameters: Mapping[str, PkParameter], analytes: Mapping[str, Analyte]
) -> tuple[Metabolite, ...]:
    _only("structure", structure, ("kind", "metabolite"))
    _choice("structure.kind", structure.get("kind"), NEEDS)
    found = []
    for row in structure.get("metabolite", []):
        where = "structure.metabolite"
        named = ("central", "peripheral", "clearance", "exchange")
        _only(where, row, ("analyte", "transits", "mean_transit", "share", *named))
        _choice(f"{where}.analyte", row.get("analyte"), analytes)
        transits = row.get("transits")
        if not isinstance(transits, int) or isinstance(transits, bool) or transits < 0:
            raise _bad(f"{where}.transits", transits, "write a whole number from 0 on")
        for key in (*named, *(["mean_transit"] if transits else [])):
            _choice(f"{where}.{key}", row.get(key), parameters)
        if "share" in row:
            _choice(f"{where}.share", row["share"], parameters)
        found.append(
            Metabolite(
                row["analyte"],
                transits,
                row.get("mean_transit", ""),
                row.get("share", ""),
                *(row[key] for key in named),
            )
        )
    return tuple(found)


def _demand_parameters(
    kind: str, parameters: Mapping[str, PkParameter], metabolites: tuple[Metabolite, ...]
) -> None:
    """Refuse a parameter that is missing, or that nothing reads."""
    missing = [name for name in NEEDS[kind] if name not in parameters]
    pair = [name for name in OPTIONAL[kind] if name in parameters]
    if missing or len(pair) == 1:
        needed = ", ".join(missing) or f"the other of {' and '.join(OPTIONAL[kind])}"
        raise _bad("parameter", ", ".join(parameters), f"write {needed} as well")
    read = {*NEEDS[kind], *pair}
    for one in metabolites:
        read |= {one.mean_transit, one.share, one.central, one.peripheral}
        read |= {one.clearance, one.exchange}
    odd = [name for name in parameters if name not in read]
    if odd:
        raise _bad(f"parameter.{odd[0]}", "nothing reads it", "take it out")


def _ranges(rows: Table) -> dict[str, tuple[float, float]]:
    _only("range", rows, ("age_y", "weight_kg"))
    return {name: _range(f"range.{name}", row) for name, row in rows.items()}


def _range(where: str, row: Any) -> tuple[float, float]:
    """Return (low, high); one number alone is a range without an upper end."""
    if not isinstance(row, list) or len(row) not in (1, 2):
        raise _bad(where, row, "write [low, high], or [low]")
    low = _number(where, row[0])
    high = _number(where, row[1]) if len(row) == 2 else math.inf
    if low > high:
        raise _bad(where, row, "write the lower end first")
    return low, high


def _routes(rows: Table) -> dict[str, DoseRange]:
    _only("dose", rows, ("iv", "nasal"))
    found = {}
    for name, row in rows.items():
        _only(f"dose.{name}", row, ("total_mg", "device_mg"))
        total = _range(f"dose.{name}.total_mg", row["total_mg"]) if "total_mg" in row else None
        device = _number(f"dose.{name}.device_mg", row["device_mg"]) if "device_mg" in row else None
        found[name] = DoseRange(total, device)
    return found


def _variability(rows: Table, parameters: Mapping[str, PkParameter]) -> Variability:
    _only("variability", rows, ("not_reported", "logit_sd", "cv", "omega2", "covariance"))
    variance: dict[str, float] = {}
    for kind in ("logit_sd", "cv", "omega2"):
        for name, row in rows.get(kind, {}).items():
            where = f"variability.{kind}.{name}"
            _choice(where, name, [one for one in parameters if one not in variance])
            variance[name] = _variance(kind, _number(where, row))
    names = tuple(variance)
    table = [[variance[a] if a == b else 0.0 for b in names] for a in names]
    for row in rows.get("covariance", []):
        _only("variability.covariance", row, ("between", "value"))
        first, second = (names.index(_choice("between", one, names)) for one in row["between"])
        table[first][second] = table[second][first] = _number("covariance", row["value"])
    missing = _texts("variability.not_reported", rows.get("not_reported", []))
    for name in missing:
        _choice("variability.not_reported", name, parameters)
    logit = frozenset(rows.get("logit_sd", {}))
    return Variability(names, tuple(map(tuple, table)), logit, missing)


def _variance(kind: str, value: float) -> float:
    """Return the variance of the random effect: ln(1 + CV^2), SD squared, or as printed."""
    if kind == "cv":
        return math.log1p(value**2)
    return value**2 if kind == "logit_sd" else value


def _effects(rows: Any, parameters: Mapping[str, PkParameter]) -> tuple[Effect, ...]:
    found = []
    for row in rows:
        _only("effect", row, ("parameter", "race", "factor", "age_above_y", "each_year"))
        name = _choice("effect.parameter", row.get("parameter"), parameters)
        if "race" in row:
            races = tuple(_choice("effect.race", one, RACES) for one in row["race"])
            factor = _number("effect.factor", row.get("factor"))
            found.append(Effect(name, races, factor))  # type: ignore[arg-type]
        else:
            above = _number("effect.age_above_y", row.get("age_above_y"))
            slope = _number("effect.each_year", row.get("each_year"))
            printed = parameters[name]
            factor = printed.value / printed.printed
            found.append(Effect(name, age_above_y=above, each_year=slope * factor))
    return tuple(found)


# --- what a value must be -----------------------------------------------------------------------


def _bad(where: str, value: object, way_out: str) -> PkError:
    return refused("card", where, repr(value), way_out)


def _only(where: str, row: Table, allowed: Iterable[str]) -> None:
    odd = [key for key in row if key not in allowed]
    if odd:
        raise _bad(f"{where}.{odd[0]}", "unknown key", f"allowed are {', '.join(allowed)}")


def _table(where: str, row: Any) -> Table:
    if isinstance(row, dict):
        return row
    raise _bad(where, row, "write a table")


def _text(where: str, value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value
    raise _bad(where, value, "write a text")


def _signature(value: Any) -> str:
    """Return who signed the card: "" until somebody has."""
    return value if value == "" else _text("card.signed_by", value)


def _texts(where: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(_text(where, one) for one in value)
    raise _bad(where, value, "write a list of texts")


def _choice(where: str, value: Any, allowed: Iterable[str]) -> str:
    if isinstance(value, str) and value in allowed:
        return value
    raise _bad(where, value, f"write one of {', '.join(allowed)}")


def _number(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _bad(where, value, "write a number")
    return float(value)
