"""The commands of `kap pk`: what published models say of a dose, each with what it is.

Exit code 1 where a card refuses the person, the dose or the question.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kap.pk.card import PARENT, ModelCard
from kap.pk.cards import available, load_card
from kap.pk.curve import about
from kap.pk.display import BETWEEN_MODELS, CAPTION, shown
from kap.pk.dosing import Mass, NasalDevice, Rate, Schedule, segments
from kap.pk.drawing import Lane, described, lane, when_given
from kap.pk.fit import Ok, fit_for
from kap.pk.person import Covariates
from kap.pk.refusal import PkError, Refusal
from kap.pk.solve import solve
from kap.terminal import BAD_DATA, NO, OK, USAGE, Problem, amount, number, tell, tell_json

if TYPE_CHECKING:
    from kap.pk.person import Floats

Clock = Callable[[], float]
Normals = Callable[[int, int, int], "Floats"]

QUANTILES = (5.0, 50.0, 95.0)
PEOPLE_AT_ONCE = 2048
PEOPLE_DRAWN = 1000
DAY_MIN = 24 * 60


# --- kap pk models ------------------------------------------------------------------------------


def list_models(asked: argparse.Namespace) -> int:
    """List the cards with status, matrix and population."""
    cards = [load_card(card_id) for card_id in available()]
    if asked.json:
        return tell_json([_card_row(card) for card in cards], OK)
    return tell(
        (
            f"{card.id:<22}{card.substance:<19}{card.matrix.replace('_', ' '):<14}"
            f"{card.status:<10}{card.population}"
            for card in cards
        ),
        OK,
    )


def _card_row(card: ModelCard) -> dict[str, Any]:
    return {
        "id": card.id,
        "version": card.version,
        "digest": card.digest,
        "title": card.title,
        "substance": card.substance,
        "status": card.status,
        "status_why": card.status_why,
        "clinical_screen": card.clinical_screen,
        "clinical_screen_why": card.clinical_screen_why,
        "signed_by": card.signed_by,
        "population": card.population,
        "citation": card.citation,
        "warnings": card.warnings,
        "ranges": {
            name: [None if math.isinf(end) else end for end in span]
            for name, span in card.ranges.items()
        },
        "routes": sorted(card.routes),
        "analytes": [
            {"id": a.id, "name": a.name, "matrix": a.matrix, "unit": a.unit}
            for a in card.analytes.values()
        ],
        "parameters": {
            p.name: {"value": p.printed, "unit": p.unit, "weight_exponent": p.weight_exponent}
            for p in card.parameters.values()
        },
        "variability": list(card.variability.names),
    }


# --- kap pk simulate ----------------------------------------------------------------------------


def simulate(asked: argparse.Namespace, clock: Clock, normals: Normals) -> int:
    """Print one card's levels at the times asked, with the band of many people if wanted."""
    try:
        card = load_card(asked.model)
        what = card.analyte(asked.analyte)
    except PkError as error:
        raise Problem(str(error), USAGE) from error
    t_min, person = _times(asked.at), _person(asked)
    try:
        schedule = _schedule(asked, card)
        fit = fit_for(card, person, schedule)
        if isinstance(fit, Refusal):
            raise PkError(fit)
        levels = solve(card, person, schedule, t_min, asked.analyte).values
        people = asked.population or 0
        rows = _band(asked, card, t_min, people, clock, normals) if people else {}
        if asked.plot is not None:
            _write(asked.plot, _lane(asked, card, schedule, clock, normals))
    except PkError as error:
        raise Problem(str(error), NO) from error
    notes = [*about(card, asked.analyte), *fit.notes]
    if asked.json:
        found = {
            "card": card.id,
            "version": card.version,
            "digest": card.digest,
            "status": card.status,
            "analyte": asked.analyte,
            "matrix": what.matrix,
            "unit": what.unit,
            "caption": CAPTION["en"],
            "notes": notes,
            "given_mg": schedule.given_mg,
            "t_min": t_min,
            "typical": levels.tolist(),
            "people": asked.population,
            "seed": asked.seed,
            "percentiles": {str(int(q)): row for q, row in rows.items()},
        }
        return tell_json(found, OK)
    return tell(
        [*_level_lines(t_min, levels.tolist(), rows, what.unit), "", *notes, CAPTION["en"]], OK
    )


def _level_lines(
    t_min: list[float], typical: list[float], rows: dict[float, list[float]], unit: str
) -> Iterator[str]:
    heads = "".join(f"{f'{q:g} %':>10}" for q in rows)
    yield f"{'min':>8}{'typical':>10}{heads}  {unit}"
    for n, (minute, value) in enumerate(zip(t_min, typical, strict=True)):
        cells = "".join(f"{shown(row[n]):>10}" for row in rows.values())
        yield f"{minute:>8g}{shown(value):>10}{cells}"


def _band(
    asked: argparse.Namespace,
    card: ModelCard,
    t_min: list[float],
    people: int,
    clock: Clock,
    normals: Normals,
) -> dict[float, list[float]]:
    """Return percentiles of people that the seed decides, with a bar while a person waits."""
    import numpy as np

    from kap.cli_replay import Progress
    from kap.pk.person import random_effects
    from kap.pk.simulate import band, population

    columns = len(card.variability.names)
    random_effects(card, np.zeros((1, columns)))  # a card without variability has no people
    schedule, person = _schedule(asked, card), _person(asked)
    progress = Progress(clock, sys.stderr)
    parts = []
    for first in range(0, people, PEOPLE_AT_ONCE):
        z = normals(
            asked.seed + first // PEOPLE_AT_ONCE, min(PEOPLE_AT_ONCE, people - first), columns
        )
        parts.append(population(card, person, schedule, t_min, z, asked.analyte))
        progress.at((first + len(z)) / people)
    progress.done()
    found = band(np.concatenate(parts), QUANTILES)
    return dict(zip(found.q, found.values.tolist(), strict=True))


def _lane(
    asked: argparse.Namespace, card: ModelCard, schedule: Schedule, clock: Clock, normals: Normals
) -> Lane:
    import numpy as np

    t_min = np.linspace(0, max(_times(asked.at)), 241)
    curve = solve(card, _person(asked), schedule, t_min, asked.analyte)
    spec = curve.lane()
    pair = None
    if asked.population is not None:
        people = min(asked.population, PEOPLE_DRAWN)
        rows = _band(asked, card, t_min.tolist(), people, clock, normals)
        pair = (np.array(rows[5.0]), np.array(rows[95.0]))
    return replace(spec, band=pair, given=when_given(schedule))


# --- kap pk compare -----------------------------------------------------------------------------


def compare(asked: argparse.Namespace) -> int:
    """Print what every card says of one regimen, and why those that refuse do."""
    t_min, person = _times(asked.at), _person(asked)
    told: dict[str, list[float]] = {}
    refusals: dict[str, str] = {}
    for card_id in available():
        card = load_card(card_id)
        schedule = _schedule(asked, card)
        fit = fit_for(card, person, schedule)
        if isinstance(fit, Ok):
            told[card_id] = solve(card, person, schedule, t_min).values.tolist()
        else:
            refusals[card_id] = str(fit)
    if not told:
        raise Problem("; ".join(refusals.values()), NO)
    if asked.plot is not None:
        _write(asked.plot, _compared(asked, list(told)))
    if asked.json:
        rows = {
            card_id: {"matrix": load_card(card_id).matrix, "ng_ml": levels}
            for card_id, levels in told.items()
        }
        found = {"t_min": t_min, "levels": rows, "refused": refusals, "caption": CAPTION["en"]}
        return tell_json(found, OK)
    return tell(_compare_lines(t_min, told, refusals), OK)


def _compare_lines(
    t_min: list[float], told: dict[str, list[float]], refusals: dict[str, str]
) -> Iterator[str]:
    yield f"{'ng/mL at min':<22}{'':<14}" + "".join(f"{minute:>8g}" for minute in t_min)
    for card_id, levels in told.items():
        matrix = load_card(card_id).matrix.replace("_", " ")
        yield f"{card_id:<22}{matrix:<14}" + "".join(f"{shown(level):>8}" for level in levels)
    yield ""
    yield from (f"refused: {text}" for text in refusals.values())
    yield f"Differences are {BETWEEN_MODELS['en']}."
    yield CAPTION["en"]


def _compared(asked: argparse.Namespace, card_ids: list[str]) -> Lane:
    import numpy as np

    t_min = np.linspace(0, max(_times(asked.at)), 241)
    cards = [load_card(card_id) for card_id in card_ids]
    schedule = _schedule(asked, cards[0])
    curves = [solve(card, _person(asked), schedule, t_min) for card in cards]
    return Lane(
        f"{cards[0].analytes[PARENT].name}: {BETWEEN_MODELS['en']}",
        "ng/mL",
        t_min,
        lines=tuple((f"{c.card.id} ({c.matrix.replace('_', ' ')})", c.values) for c in curves),
        given=when_given(schedule),
        words=described([f"{card.id}: status {card.status}." for card in cards]),
        is_unverified=any(card.status != "verified" for card in cards),
    )


# --- what was typed -----------------------------------------------------------------------------


def _times(text: str) -> list[float]:
    found = [float(number("--at", one.strip())) for one in text.split(",")]
    if sorted(found) != found:
        raise Problem(f"--at {text}: write the minutes in ascending order", USAGE)
    return found


def _person(asked: argparse.Namespace) -> Covariates:
    age = None if asked.age is None else float(number("--age", asked.age))
    kg = None if asked.kg is None else float(number("--kg", asked.kg))
    return Covariates(age, kg, asked.race)


def _schedule(asked: argparse.Namespace, card: ModelCard) -> Schedule:
    """Return what was given: an infusion of the substance, or devices."""
    if asked.devices is not None:
        content = Mass(28.0, "mg", "base", "esketamine")
        every = float(number("--every", asked.every))
        used = [NasalDevice(every * n, content, n + 1) for n in range(asked.devices)]
        return segments(used, DAY_MIN)
    if asked.dose is None or asked.over is None:
        raise Problem("write --dose 35mg --over 40min, or --devices 3", USAGE)
    mg, minutes = (
        float(amount("--dose", asked.dose, "mg")),
        float(amount("--over", asked.over, "min")),
    )
    if minutes <= 0:
        raise Problem(f"--over {asked.over}: write more than 0min", USAGE)
    substance = asked.substance or card.substance
    given = Mass(mg, "mg", asked.salt, substance).to_base()
    rate = given.value / minutes
    pump = [Rate(0, rate, substance, "base"), Rate(minutes, 0, substance, "base")]
    return segments(pump, minutes)


def _write(file: str, spec: Lane) -> None:
    try:
        Path(file).write_text(lane(spec, colours="literal") + "\n", encoding="utf-8")
    except OSError as error:
        raise Problem(f"{file}: {error.strerror}; name another file", BAD_DATA) from error
