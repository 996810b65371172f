"""The commands of `kap` that measure and plan: facts, dose, score, series plan."""

from __future__ import annotations

import argparse
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from kap.cli_protocol import shipped
from kap.terminal import (
    BAD_DATA,
    NO,
    OK,
    USAGE,
    Problem,
    amount,
    number,
    tell,
    tell_json,
)

if TYPE_CHECKING:
    from kap.instrument import Score

NOT_ANSWERED = ("_", "-", "")


def list_facts(asked: argparse.Namespace) -> int:
    """List the vocabulary."""
    from kap.facts import vocabulary

    kinds = vocabulary().values()
    if asked.json:
        rows = {
            kind.name: {
                "type": kind.type,
                "unit": kind.unit,
                "step": _shown(kind.step),
                "low": _shown(kind.low),
                "high": _shown(kind.high),
                "answered_by": list(kind.answered_by),
                "ask": dict(kind.ask),
            }
            for kind in kinds
        }
        return tell_json(rows, OK)
    return tell(
        (
            f"{kind.name:<32}{kind.type:<8}"
            f"{f'{kind.low} to {kind.high} {kind.unit}' if kind.unit else '':<28}"
            f"{kind.ask.get(asked.language, '')}"
            for kind in kinds
        ),
        OK,
    )


def work_out_dose(asked: argparse.Namespace) -> int:
    """Work out an infusion and show its arithmetic."""
    from kap.dose import DoseError, plan_infusion

    try:
        plan = plan_infusion(
            mg_per_kg=number("--mg-per-kg", asked.mg_per_kg),
            weight_kg=amount("WEIGHT", asked.weight, "kg"),
            minutes=amount("--over", asked.over, "min"),
            vial_mg_per_ml=amount("--vial", asked.vial, "mg/mL"),
            final_ml=amount("--final", asked.final, "mL"),
        )
    except DoseError as error:
        raise Problem(str(error), NO) from error
    if asked.json:
        from dataclasses import asdict

        return tell_json(asdict(plan), OK)
    return tell((f"{line.name:<18}{line.text}" for line in plan.lines()), OK)


def score_answers(asked: argparse.Namespace) -> int:
    """Score a questionnaire."""
    from kap import instrument
    from kap.instrument import InstrumentError

    try:
        form = instrument.load(asked.instrument)
    except InstrumentError as error:
        raise Problem(str(error), USAGE) from error
    answers = asked.answers.split(",")
    least, most = len(form.scored_items), len(form.items)
    if not least <= len(answers) <= most:
        raise Problem(
            f"{len(answers)} answers; {form.id} takes {least} to {most}, with _ for one not given",
            BAD_DATA,
        )
    try:
        given = zip((i.number for i in form.items), map(_answer, answers), strict=False)
        found = instrument.score(form, dict(given))
    except (InstrumentError, ValueError) as error:
        raise Problem(f"{asked.answers}: {error}", BAD_DATA) from error
    return _tell_score(found, asked)


def _tell_score(found: Score, asked: argparse.Namespace) -> int:
    code = NO if found.total is None else OK
    if asked.json:
        from dataclasses import asdict

        return tell_json(asdict(found), code)
    lines = [f"{found.instrument_id} {found.version}: no total ({_words(found.why_no_total)})"]
    if found.band is not None:
        prorated = ", prorated" if found.prorated else ""
        lines = [
            f"{found.instrument_id} {found.version}: {found.total}, "
            f"{found.band.text['en']}{prorated}"
        ]
    if found.missing:
        lines.append(f"Not answered: {', '.join(map(str, found.missing))}")
    if found.opens_safety:
        items = ", ".join(map(str, found.safety_items))
        lines.append(f"Safety: item {items}. A clinician talks to this person now. 9-8-8, 24 h.")
    return tell(lines, code)


def plan_series(asked: argparse.Namespace) -> int:
    """Place a series on the calendar, each dose at the time and offset of the first.

    Only the clinic knows the site's zone: across a change of clocks its own planner moves the slot.
    """
    from kap import course
    from kap.course import CourseError

    first: datetime = asked.start
    parameter = shipped(asked.protocol).parameters["min_interval_h"]
    assert isinstance(parameter.value, Decimal)
    try:
        starts = course.plan_series(
            first.date(),
            doses=asked.doses or course.default_doses(),
            on=course.pattern(asked.pattern),
            min_interval_h=int(parameter.value),
            slot_at=lambda day: datetime.combine(day, first.timetz()),
        )
    except CourseError as error:
        raise Problem(str(error), USAGE) from error
    told = [start.astimezone(first.tzinfo) for start in starts]
    if asked.json:
        return tell_json([start.isoformat() for start in told], OK)
    shown = ((n, start.isoformat(" ", "minutes"), start) for n, start in enumerate(told, 1))
    return tell((f"{n}  {start:%a} {text}" for n, text, start in shown), OK)


def _answer(text: str) -> int | None:
    return None if text.strip() in NOT_ANSWERED else int(text)


def _shown(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _words(code: str) -> str:
    return code.replace("_", " ")
