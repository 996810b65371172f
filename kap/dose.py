"""A dose, exactly: mg/kg x kg, the draw, the diluent, the pump's rate. Never a binary float.

What is asked is rounded down to what a syringe and a pump can do, and the guard judges that. Every
plan is computed twice, by code that shares no arithmetic. Source: docs/algorithms/dose.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, Inexact, localcontext
from fractions import Fraction

from kap.ceilings import THOUSANDTH, Ceilings, DoseError, Route, ceilings, positive, whole
from kap.facts import steps_up, vocabulary
from kap.known import Fact, Source
from kap.quantity import shown
from kap.weight import DosingWeight, dosing_weight

__all__ = [
    "Asked",
    "DoseError",
    "DosePlan",
    "DosingWeight",
    "Line",
    "Segment",
    "check_ceilings",
    "delivered_ug",
    "dosing_weight",
    "plan_infusion",
    "recompute",
]

SYRINGE_STEP_ML = Decimal("0.01")
PUMP_STEP_ML_H = Decimal("0.1")
_DIGITS = 60  # every product and every whole quotient below fits: nothing is rounded by accident


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the arithmetic: `name` says which (asked, draw, dose, ...), `text` shows it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class DosePlan:
    """One infusion as asked and as it can be given. Doses are whole micrograms (ug)."""

    weight_kg: Decimal
    mg_per_kg: Decimal
    minutes: int
    vial_mg_per_ml: Decimal
    final_ml: Decimal
    asked_ug: int
    dose_ug: int
    draw_ml: Decimal
    diluent_ml: Decimal
    rate_ml_h: Decimal
    mg_per_kg_given: Decimal
    mg_per_kg_min_given: Decimal
    route: str = "IV"

    @property
    def dose_mg(self) -> Decimal:
        """The dose in milligrams."""
        return Decimal(self.dose_ug).scaleb(-3)

    @property
    def weight_g(self) -> int:
        """The dosing weight in whole grams."""
        return int(self.weight_kg * 1000)

    @property
    def vial_ug_per_ml(self) -> int:
        """The vial's concentration in whole micrograms per millilitre."""
        return int(self.vial_mg_per_ml * 1000)

    @property
    def draw_ul(self) -> int:
        """What is drawn from the vial, in whole microlitres."""
        return int(self.draw_ml * 1000)

    @property
    def final_ul(self) -> int:
        """Drug and diluent together, in whole microlitres."""
        return int(self.final_ml * 1000)

    @property
    def rate_ul_h(self) -> int:
        """The pump's rate in whole microlitres per hour."""
        return int(self.rate_ml_h * 1000)

    def lines(self) -> tuple[Line, ...]:
        """Return the arithmetic as a person checks it, one row a step."""
        mg, asked = shown(self.dose_mg), shown(Decimal(self.asked_ug).scaleb(-3))
        weight, vial, final = (
            shown(self.weight_kg),
            shown(self.vial_mg_per_ml),
            shown(self.final_ml),
        )
        draw, rate = shown(self.draw_ml), shown(self.rate_ml_h)
        return (
            Line("asked", f"{shown(self.mg_per_kg)} mg/kg × {weight} kg = {asked} mg"),
            Line("draw", f"{asked} mg ÷ {vial} mg/mL → {draw} mL"),
            Line("dose", f"{draw} mL × {vial} mg/mL = {mg} mg"),
            Line("diluent", f"{final} mL − {draw} mL = {shown(self.diluent_ml)} mL"),
            Line("rate", f"{final} mL × 60 ÷ {self.minutes} min → {rate} mL/h"),
            Line("given", f"{mg} mg ÷ {weight} kg → {shown(self.mg_per_kg_given)} mg/kg"),
            Line(
                "given_per_minute",
                f"{shown(self.mg_per_kg_given)} mg/kg ÷ {self.minutes} min"
                f" → {shown(self.mg_per_kg_min_given)} mg/kg/min",
            ),
        )

    def facts(self, observed_at: datetime) -> tuple[Fact, ...]:
        """Return what the rules of stage `order` read: the rounded dose, as facts of the record."""
        told: dict[str, Decimal | bool] = {
            "mg_per_kg": self.mg_per_kg_given,
            "mg_per_kg_min": self.mg_per_kg_min_given,
            "minutes": Decimal(self.minutes),
            "dose_mg": self.dose_mg,
            "vial_mg_per_ml": self.vial_mg_per_ml,
            "final_ml": self.final_ml,
            "bolus": False,
        }
        return tuple(
            Fact(
                name, value, vocabulary()[name].unit, observed_at=observed_at, source=Source.RECORD
            )
            for name, value in told.items()
        )


def plan_infusion(
    *,
    mg_per_kg: Decimal | int | str,
    weight_kg: Decimal | int | str,
    minutes: Decimal | int | str,
    vial_mg_per_ml: Decimal | int | str,
    final_ml: Decimal | int | str,
    syringe_step_ml: Decimal = SYRINGE_STEP_ML,
    pump_step_ml_h: Decimal = PUMP_STEP_ML_H,
    route: str = "IV",
) -> DosePlan:
    """Return the infusion that gives `mg_per_kg` of dosing weight over whole `minutes`.

    The draw rounds down to the syringe step, so the dose does; the rate rounds down to the pump
    step; mg/kg and mg/kg/min as given are exact and round up to their fact's step. DoseError when
    an input is not exact, out of range or above a hard ceiling, or when `recompute` disagrees.
    """
    asked = Asked(
        mg_per_kg=positive(mg_per_kg, "mg/kg"),
        weight_kg=whole(weight_kg, "weight in kg", THOUSANDTH),
        minutes=whole(minutes, "minutes", Decimal(1)),
        vial_mg_per_ml=positive(vial_mg_per_ml, "vial concentration in mg/mL"),
        final_ml=whole(final_ml, "final volume in mL", THOUSANDTH),
        syringe_step_ml=positive(syringe_step_ml, "syringe step in mL"),
        pump_step_ml_h=positive(pump_step_ml_h, "pump step in mL/h"),
        route=route,
    )
    whole(asked.vial_mg_per_ml * asked.syringe_step_ml, "mg at one mark of the syringe", THOUSANDTH)
    plan, again = _plan(asked), recompute(asked)
    if plan != again:
        raise DoseError(
            f"{plan}", f"computed again it is {again}", "two computations", "report this defect"
        )
    check_ceilings(plan, ceilings())
    return plan


def check_ceilings(plan: DosePlan, held: Ceilings) -> None:
    """Raise DoseError when the plan, as asked or as rounded, is above a hard ceiling."""
    if not held.weight_low <= plan.weight_kg <= held.weight_high:
        raise DoseError(
            f"{shown(plan.weight_kg)} kg",
            f"a dosing weight lies between {held.weight_low} and {held.weight_high} kg",
            "WEIGHT",
            "check weight and unit (lb or kg)",
        )
    row = held.route(plan.route)
    if not row.is_orderable:
        raise DoseError(plan.route, "no protocol orders this route", "DOSE-MAX", "order IV")
    for value, limit, unit in _above(plan, row):
        if limit is not None and value > limit:
            raise DoseError(
                f"{shown(value)} {unit}", f"the ceiling is {limit} {unit}", "DOSE-MAX", "lower it"
            )
    if row.minutes_min is not None and plan.minutes < row.minutes_min:
        raise DoseError(
            f"{plan.minutes} min",
            f"the least is {row.minutes_min} min",
            "DOSE-MAX",
            "give it longer",
        )


def _above(plan: DosePlan, row: Route) -> list[tuple[Decimal, Decimal | None, str]]:
    return [
        (plan.mg_per_kg, row.mg_per_kg_max, "mg/kg"),
        (plan.mg_per_kg_given, row.mg_per_kg_max, "mg/kg"),
        (plan.mg_per_kg_min_given, row.mg_per_kg_min_max, "mg/kg/min"),
        (plan.dose_mg, row.mg_max, "mg"),
    ]


@dataclass(frozen=True, slots=True)
class Asked:
    """The inputs of a plan, read: exact, above 0, in the units of their names."""

    mg_per_kg: Decimal
    weight_kg: Decimal
    minutes: Decimal
    vial_mg_per_ml: Decimal
    final_ml: Decimal
    syringe_step_ml: Decimal
    pump_step_ml_h: Decimal
    route: str


def _plan(asked: Asked) -> DosePlan:
    """The first computation: whole steps by Decimal division, nothing rounded on the way."""
    with localcontext() as context:
        context.prec, context.traps[Inexact] = _DIGITS, True
        wanted_mg = asked.mg_per_kg * asked.weight_kg
        draw_ml = (
            wanted_mg // (asked.vial_mg_per_ml * asked.syringe_step_ml) * asked.syringe_step_ml
        )
        dose_mg = draw_ml * asked.vial_mg_per_ml
        _check_draw(asked, wanted_mg, draw_ml)
        rate = asked.final_ml * 60 // (asked.minutes * asked.pump_step_ml_h) * asked.pump_step_ml_h
        if not rate:
            raise DoseError(
                f"{asked.final_ml} mL over {asked.minutes} min",
                f"it is slower than one step of the pump, {asked.pump_step_ml_h} mL/h",
                "pump step",
                "dilute to a larger final volume",
            )
        return DosePlan(
            weight_kg=asked.weight_kg,
            mg_per_kg=asked.mg_per_kg,
            minutes=int(asked.minutes),
            vial_mg_per_ml=asked.vial_mg_per_ml,
            final_ml=asked.final_ml,
            asked_ug=int(wanted_mg * 1000),
            dose_ug=int(dose_mg * 1000),
            draw_ml=draw_ml,
            diluent_ml=asked.final_ml - draw_ml,
            rate_ml_h=rate,
            mg_per_kg_given=_up(dose_mg, asked.weight_kg, _step("mg_per_kg")),
            mg_per_kg_min_given=_up(
                dose_mg, asked.weight_kg * asked.minutes, _step("mg_per_kg_min")
            ),
            route=asked.route,
        )


def _check_draw(asked: Asked, wanted_mg: Decimal, draw_ml: Decimal) -> None:
    if not draw_ml:
        raise DoseError(
            f"{shown(wanted_mg)} mg",
            f"it is less than one mark of the syringe, "
            f"{asked.syringe_step_ml} mL of {shown(asked.vial_mg_per_ml)} mg/mL",
            "syringe step",
            "take a weaker vial",
        )
    if draw_ml > asked.final_ml:
        raise DoseError(
            f"{shown(asked.final_ml)} mL",
            f"the draw alone is {shown(draw_ml)} mL",
            "final volume",
            "raise the final volume or take a stronger vial",
        )


def _step(fact: str) -> Decimal:
    step = vocabulary()[fact].step
    assert step is not None  # the vocabulary is checked when it is read
    return step


def _up(amount: Decimal, by: Decimal, step: Decimal) -> Decimal:
    whole, rest = divmod(amount, by * step)
    return (whole + 1 if rest else whole) * step


def recompute(asked: Asked) -> DosePlan:
    """Return the same plan by other arithmetic: whole micro-units and floor division of integers.

    Written apart from the planner on purpose, so that one slip cannot pass twice.
    """
    nano = 10**9
    per_kg, weight, vial, final, mark, tick = (
        int(Fraction(value) * nano)
        for value in (
            asked.mg_per_kg,
            asked.weight_kg,
            asked.vial_mg_per_ml,
            asked.final_ml,
            asked.syringe_step_ml,
            asked.pump_step_ml_h,
        )
    )
    minutes = int(asked.minutes)
    marks = per_kg * weight // (vial * mark)
    ticks = final * 60 // (minutes * tick)
    draw = marks * mark
    dose = draw * vial  # nano x nano of a mg
    return DosePlan(
        weight_kg=asked.weight_kg,
        mg_per_kg=asked.mg_per_kg,
        minutes=minutes,
        vial_mg_per_ml=asked.vial_mg_per_ml,
        final_ml=asked.final_ml,
        asked_ug=per_kg * weight * 1000 // nano**2,
        dose_ug=dose * 1000 // nano**2,
        draw_ml=Decimal(draw).scaleb(-9),
        diluent_ml=Decimal(final - draw).scaleb(-9),
        rate_ml_h=Decimal(ticks * tick).scaleb(-9),
        mg_per_kg_given=_steps_up(Fraction(dose, nano * weight), "mg_per_kg"),
        mg_per_kg_min_given=_steps_up(Fraction(dose, nano * weight * minutes), "mg_per_kg_min"),
        route=asked.route,
    )


def _steps_up(ratio: Fraction, fact: str) -> Decimal:
    return steps_up(ratio, Fraction(_step(fact))) * _step(fact)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch in which the pump ran at one rate: milliseconds, and whole microlitres an hour."""

    ms: int
    rate_ul_h: int


def delivered_ug(*, dose_ug: int, final_ul: int, segments: Iterable[Segment]) -> int:
    """Return what the pump has given, in whole micrograms rounded down; never above `dose_ug`.

    `dose_ug` is what the `final_ul` microlitres in the syringe or bag hold.
    """
    pumped = sum(segment.ms * segment.rate_ul_h for segment in segments)  # ul x ms / h
    return min(dose_ug, dose_ug * pumped // (final_ul * _MS_PER_HOUR))


_MS_PER_HOUR = 3_600_000
