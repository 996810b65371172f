"""Invented people at every phase of a course, and the charts and scores they would have.

Seeded: the same seed, moment and clock give the same people. The cast is `kap/synth.toml`; what is
drawn lies in the ranges written there. Nobody is drawn from a real person, nobody has a health
number. Monitor traces are in `kap.trace`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cache
from importlib import resources
from typing import Any

from kap.chart import Chart
from kap.course import Dose, Scored, default_doses, dose_facts, score_facts
from kap.dice import Dice
from kap.facts import FactType, vocabulary
from kap.instrument import Instrument, load
from kap.moment import elapsed

# Gives the instant, with the site's own offset, of a wall time at a site on a date.
WallClock = Callable[[str, date, time], datetime]

INFUSION_MIN = 40  # how long an invented infusion runs; orders have their own minutes
SESSION_AGO_MIN = 21  # how far a running one has got
DISCHARGED_AGO_MIN = 180  # when today's finished one began
RHYTHM_D = (2, 2, 3)  # days between doses, Monday to Wednesday to Friday to Monday


@dataclass(frozen=True, slots=True)
class Filled:
    """A questionnaire as answered: instant, and the answer of each item (None: not answered)."""

    answered_at: datetime
    answers: Mapping[int, int | None]
    total: int


@dataclass(frozen=True, slots=True)
class Person:
    """One invented patient. `chart` is in the input format of `kap screen`.

    `given` or `family` may be empty: some people have one name. `expects` is the answer at
    screening. `doses` are given or running; their facts are not in `chart` (see `known_at`).
    """

    id: str
    given: str
    family: str
    site: str
    language: str
    sex: str
    birth_date: date
    phase: str
    indication: str
    expects: str
    referred_at: datetime
    consented_at: datetime | None
    doses: tuple[Dose, ...]
    scores: tuple[Filled, ...]
    chart: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The whole name, as on the patient strip."""
        return f"{self.given} {self.family}".strip()

    def known_at(self, at: datetime) -> Chart:
        """Return the chart with the facts the clinic itself would record from doses and scores."""
        scored = [Scored(filled.answered_at, filled.total) for filled in self.scores]
        return Chart.from_json(self.chart).with_facts(
            *dose_facts(self.doses, series_length=default_doses(), at=at, booster_scheduled=False),
            *score_facts(load("phq9"), self.doses, scored, at=at),
        )


def phases() -> tuple[str, ...]:
    """Return the phases of a course that the cast covers, in order."""
    return tuple(_data()["phase"])


def day_of() -> Mapping[str, Any]:
    """Return what an invented person tells on the morning of a dose, by fact name."""
    return {**dict.fromkeys(_data()["same_day"]["facts"], False), **_data()["day_of"]}


def recovered() -> Mapping[str, Any]:
    """Return the scores of an invented person an hour after a dose, by vital code."""
    return dict(_data()["recovered"])


def going_home() -> Mapping[str, Any]:
    """Return what is told of an invented person who is ready to leave, by fact name."""
    return dict(_data()["going_home"])


def people(seed: int, now: datetime, wall: WallClock) -> tuple[Person, ...]:
    """Return the cast as it stands at `now` (an instant with an offset)."""
    return tuple(
        _person(number, row, Dice(f"{seed}:{number}"), now, wall)
        for number, row in enumerate(_data()["person"], start=1)
    )


def fixed_offsets(offsets: Mapping[str, int]) -> WallClock:
    """Return a wall clock of fixed whole-hour offsets by site, for tests and examples.

    A clinic hands over its own clock, which knows when clocks change.
    """

    def wall(site: str, day: date, at: time) -> datetime:
        return datetime.combine(day, at, timezone(timedelta(hours=offsets[site])))

    return wall


def _person(
    number: int, row: Mapping[str, Any], dice: Dice, now: datetime, wall: WallClock
) -> Person:
    phase = _data()["phase"][row["phase"]]
    site, today = row["site"], _local_date(row["site"], now, wall)
    doses = _doses(phase, site, dice, now, wall)
    first = doses[0].started_at.date() if doses else today
    dosed_today = bool(doses) and not phase["ago_d"]
    birth = _birth(row["age"], today, dice)
    return Person(
        id=f"syn-{number:02d}",
        given=row["name"][0],
        family=row["name"][1],
        site=site,
        language=row["language"],
        sex=row["sex"],
        birth_date=birth,
        phase=row["phase"],
        indication=row.get("indication", "TRD"),
        expects=row["expects"],
        referred_at=wall(site, first - timedelta(days=34), time(10, dice.below(60))),
        consented_at=_consented(row["phase"], site, first, wall),
        doses=doses,
        scores=tuple(_scores(row, phase["shape"], site, first, today, dice, wall)),
        chart=_chart(
            row,
            birth,
            dice,
            intake=wall(site, today - timedelta(days=2), time(9, 30)),
            today=_asked_today(doses if dosed_today else (), site, now, wall),
            doses=doses,
            dosed_today=dosed_today,
        ),
    )


def _asked_today(doses: Sequence[Dose], site: str, now: datetime, wall: WallClock) -> datetime:
    """An hour before today's dose, else an hour ago, with the site's offset."""
    reference = (doses[-1].started_at if doses else now).replace(second=0, microsecond=0)
    offset = wall(site, _local_date(site, now, wall), time(12)).tzinfo
    return elapsed(reference, timedelta(hours=-1)).astimezone(offset)


def _local_date(site: str, now: datetime, wall: WallClock) -> date:
    offset = wall(site, now.date(), now.time().replace(tzinfo=None)).utcoffset()
    assert offset is not None
    return (now.astimezone(UTC) + offset).date()


def _birth(age: int, today: date, dice: Dice) -> date:
    return date(today.year - age - 1, today.month, 1) + timedelta(days=dice.between(40, 319))


def _consented(phase: str, site: str, first: date, wall: WallClock) -> datetime | None:
    order = phases()
    if order.index(phase) < order.index("consented"):
        return None
    return wall(site, first - timedelta(days=5), time(14, 0))


def _doses(
    phase: Mapping[str, Any], site: str, dice: Dice, now: datetime, wall: WallClock
) -> tuple[Dose, ...]:
    """The doses of a phase, oldest first, counted back from now in the rhythm of a series."""
    count = phase["doses"]
    if not count:
        return ()
    starts = _starts_back(_last_series_start(phase, site, dice, now, wall), count, site, wall)
    minutes = timedelta(minutes=INFUSION_MIN)
    doses = [Dose(start, elapsed(start, minutes)) for start in starts]
    if phase.get("running"):
        doses[-1] = Dose(starts[-1])
    if "booster" in phase:
        day = _local_date(site, now, wall) - timedelta(days=phase["booster"])
        start = wall(site, day, time(10, 0))
        doses.append(Dose(start, elapsed(start, minutes), is_booster=True))
    return tuple(doses)


def _last_series_start(
    phase: Mapping[str, Any], site: str, dice: Dice, now: datetime, wall: WallClock
) -> datetime:
    day = _local_date(site, now, wall) - timedelta(days=phase["ago_d"])
    slot = wall(site, day, time(dice.choice((9, 10, 11, 13)), dice.choice((0, 15, 30))))
    if phase["ago_d"]:
        return slot
    ago = SESSION_AGO_MIN if phase.get("running") else DISCHARGED_AGO_MIN
    return (now - timedelta(minutes=ago)).astimezone(slot.tzinfo).replace(second=0, microsecond=0)


def _starts_back(last: datetime, count: int, site: str, wall: WallClock) -> list[datetime]:
    """Starts that end with `last`, never closer than the shortest step in elapsed time."""
    starts = [last]
    for step in range(count - 1):
        later = starts[-1]
        day = later.date() - timedelta(days=RHYTHM_D[step % len(RHYTHM_D)])
        start = wall(site, day, time(9, 0))
        if later.astimezone(UTC) - start.astimezone(UTC) < timedelta(days=RHYTHM_D[0]):
            start = wall(site, day - timedelta(days=1), time(9, 0))
        starts.append(start)
    return starts[::-1]


# --- scores -------------------------------------------------------------------------------------


def _scores(
    row: Mapping[str, Any],
    shape: str,
    site: str,
    first: date,
    today: date,
    dice: Dice,
    wall: WallClock,
) -> Iterator[Filled]:
    """PHQ-9 answers: two before the first dose, then one a week, in the shape of the phase."""
    if shape == "none":
        return
    phq9, start = load("phq9"), dice.between(16, 22)
    before = [first - timedelta(days=18), first - timedelta(days=2)]
    weekly = range(5, (today - first).days + 1, 7)
    after = [first + timedelta(days=n) for n in weekly] if shape != "baseline" else []
    totals = [start + 1, start, *_shape(shape, start, len(after), dice)]
    for day, total in zip(before + after, totals, strict=True):
        ninth = row.get("item9", 0) if day == (before + after)[-1] else 0
        answered = wall(site, day, time(8, dice.below(60)))
        yield _filled(phq9, answered, total, ninth, dice)


def _shape(shape: str, start: int, weeks: int, dice: Dice) -> list[int]:
    """Totals by week: a fall that levels out; flat; or a fall and two last readings that rise."""
    if shape == "flat":
        return [max(0, start - dice.between(0, 2)) for _ in range(weeks)]
    floor = start // 2 - dice.between(2, 4) if shape != "falling" else start // 2 + 1
    fall = [max(floor, start - 5 * week + dice.between(0, 1)) for week in range(1, weeks + 1)]
    if shape == "relapse":
        fall[-2:] = [max(floor + 6, 12), max(floor + 7, 13)]
    return fall


def _filled(phq9: Instrument, at: datetime, total: int, ninth: int, dice: Dice) -> Filled:
    """Answers that come to `total`, the safety item kept at `ninth`."""
    scored = [item.number for item in phq9.scored_items]
    answers = dict.fromkeys(scored, 0)
    answers[scored[-1]] = ninth
    most = max(phq9.items[0].values)
    for _ in range(total - ninth):
        open_items = [n for n in scored[:-1] if answers[n] < most]
        answers[dice.choice(open_items)] += 1
    difficulty = phq9.items[-1].number
    return Filled(at, {**answers, difficulty: min(most, total // 7)}, total)


# --- charts -------------------------------------------------------------------------------------


def _chart(
    row: Mapping[str, Any],
    birth: date,
    dice: Dice,
    *,
    intake: datetime,
    today: datetime,
    doses: Sequence[Dose],
    dosed_today: bool,
) -> dict[str, Any]:
    """What was asked at intake, and again today: of a dosing day only where one is."""
    if row["phase"] == "referred":
        return {"facts": _readings({"birth_date": birth.isoformat(), "aneurysm": False}, intake)}
    told = {**_benign(row, birth), **_drawn(dice), **row.get("told", {})}
    for name in row.get("untold", ()):
        told.pop(name, None)
    facts = _readings(told, intake)
    for name in ("systolic", "diastolic"):
        if name in facts:
            facts[name] = _pair(facts[name][0], intake, dice)
    facts |= _readings({name: told[name] for name in _data()["same_day"]["facts"]}, today)
    for group, is_due in (
        ("after_dose", bool(doses)),
        ("after_series", len(doses) >= default_doses()),
        ("day_of", dosed_today),
    ):
        if is_due:
            facts |= _readings(_data()[group], today)
    return {"facts": facts, **_lists(row, intake)}


def _benign(row: Mapping[str, Any], birth: date) -> dict[str, Any]:
    """Yes-or-no facts answered the way that carries no risk, and who the person is."""
    left_out = set(_data()["left_out"]["facts"])
    told: dict[str, Any] = {
        name: kind.direction == "down"
        for name, kind in vocabulary().items()
        if kind.type == "bool" and name not in left_out and kind.answered_by != ("record",)
    }
    told |= {
        "birth_date": birth.isoformat(),
        "sex_male": row["sex"] == "M",
        "indication": row.get("indication", "TRD"),
        "childbearing_potential": row["sex"] == "F" and row["age"] < 50,
    }
    if told["childbearing_potential"]:
        told["pregnancy_test_positive"] = False
    return told


def _drawn(dice: Dice) -> dict[str, Any]:
    """Numbers in ordinary ranges; the weight follows from height and body mass index."""
    drawn = {
        name: _between(vocabulary()[name], low, high, dice)
        for name, (low, high) in _data()["usual"].items()
    }
    square = (drawn["height"] / 100) ** 2
    weight = _on_step("weight", drawn["bmi"] * square, ROUND_FLOOR)
    drawn |= {"weight": weight, "bmi": _on_step("bmi", weight / square, ROUND_CEILING)}
    return {name: str(value) for name, value in drawn.items()}


def _on_step(name: str, value: Decimal, rounding: str) -> Decimal:
    return value.quantize(vocabulary()[name].step or Decimal(1), rounding)


def _between(kind: FactType, low: Any, high: Any, dice: Dice) -> Decimal:
    step = Decimal(kind.step or 1)
    steps = int((Decimal(str(high)) - Decimal(str(low))) / step)
    return Decimal(str(low)) + step * dice.below(steps + 1)


def _readings(told: Mapping[str, Any], at: datetime) -> dict[str, list[Any]]:
    readings = {}
    for name, value in told.items():
        kind = vocabulary()[name]
        reading = {"value": value, "observed_at": at.isoformat(), "source": "staff"}
        if kind.type == "number":
            reading["unit"] = kind.unit
        readings[name] = [reading]
    return readings


def _pair(reading: Mapping[str, Any], at: datetime, dice: Dice) -> list[dict[str, Any]]:
    """Two rested readings ten minutes apart."""
    second = elapsed(at, timedelta(minutes=10))
    value = str(int(reading["value"]) + dice.between(-3, 3))
    return [dict(reading), {**reading, "value": value, "observed_at": second.isoformat()}]


def _lists(row: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    indication = row.get("indication", "TRD")
    codes = [_data()["condition"][indication], *row.get("conditions", ())]
    trials = _data()["trials"].get(indication, ())
    held = {"adherent": True, "stopped_for_intolerance": False, "current_episode": True}
    return {
        "conditions": _reviewed(
            at, [{"system": "ICD-10", "code": code, "status": "active"} for code in codes]
        ),
        "medications": _reviewed(
            at, [{"atc": "N06AB06", "name": "sertraline", "mg_per_day": 100}, *_medicines(row)]
        ),
        "allergies": _reviewed(at, []),
        "antidepressant_trials": _reviewed(at, [{**trial, **held} for trial in trials]),
    }


def _medicines(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"atc": atc, "name": name, "mg_per_day": mg, "prn": prn}
        for atc, name, mg, prn in row.get("medications", ())
    ]


def _reviewed(at: datetime, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"reviewed_at": at.isoformat(), "complete": True, "items": list(items)}


@cache
def _data() -> Mapping[str, Any]:
    text = resources.files("kap").joinpath("synth.toml").read_text(encoding="utf-8")
    return tomllib.loads(text, parse_float=Decimal)
