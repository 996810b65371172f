"""A protocol: everything medicine says about one drug, by id and version, with its digest.

`load()` refuses an unsound or altered file. The digest covers everything that decides.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from kap.compiled import Closure
from kap.evidence import Limit, Look
from kap.facts import FactType, vocabulary
from kap.first_pass import FirstPass
from kap.plan import Plan, PlannedRule, build_plan
from kap.protocol_file import (
    OTHER_SECTIONS,
    Table,
    choice,
    only,
    read_parameters,
    read_rules,
    read_toml,
    table,
    texts,
)
from kap.rule import STAGES, Answer, Parameter, ProtocolError, Rule
from kap.validity import check_limits, read_limits

__all__ = ["Parameter", "Protocol", "ProtocolError", "Rule", "available", "load", "parse_protocol"]

# At these stages something may be given or somebody goes home: no unknown of level R or P passes.
STRICT_STAGES = frozenset({"order", "start", "discharge"})


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage made ready: its rules, how long each fact is valid, which facts mean now."""

    name: str
    rules: tuple[PlannedRule, ...]
    limits: Mapping[str, Limit]
    now: frozenset[str]
    # for each rule the rank of its answer when it is quiet, unknown, or speaks
    ranks: tuple[tuple[int, int, int], ...]
    first_pass: FirstPass
    asked: tuple[tuple[int, Closure], ...]  # `plain` and `speaks` of each rule
    words: Mapping[Answer, str]  # the label of each answer; without one its code, spaced

    def truths(self, look: Look) -> list[int]:
        """Return what each rule makes of `look`: 2 speaks, 1 unknown, 0 quiet."""
        values = look.values
        return [
            speaks(look) if plain < 0 else (values[plain] or look.value(plain)).truth
            for plain, speaks in self.asked
        ]

    def answer(self, truths: Sequence[int]) -> Answer:
        """Return the highest of what the rules make of the answer; `truths` in their order."""
        loud = [ranks[truth] for ranks, truth in zip(self.ranks, truths, strict=True) if truth]
        return BY_RANK[max(loud, default=Answer.ELIGIBLE.rank)]


BY_RANK = {answer.rank: answer for answer in Answer}


@dataclass(frozen=True, slots=True)
class Protocol:
    """One version of one drug's protocol. `digest` is the SHA-256 (hex) of all that decides."""

    id: str
    version: str
    digest: str
    drug: str
    title: str
    parameters: Mapping[str, Parameter]
    derived: Mapping[str, Mapping[str, Any]]
    rules: tuple[Rule, ...]
    stages: Mapping[str, Stage]
    selfcheck_facts: tuple[str, ...]
    facts: Mapping[str, FactType] = field(repr=False)
    tables: Mapping[str, Any] = field(
        repr=False
    )  # alarm, alarm_param, schedule, source: as written
    plan: Plan = field(repr=False, compare=False)
    dated: tuple[Parameter, ...] = field(repr=False)  # those that hold only between dates

    def stage(self, name: str) -> Stage:
        """Return a stage; ProtocolError when this protocol has none of that name."""
        if name not in self.stages:
            raise ProtocolError(f"{self.id} has no stage {name!r}; it has {', '.join(self.stages)}")
        return self.stages[name]

    def labels(self, stage: str, answer: Answer) -> str:
        """Return the words for `answer` at `stage`; without a label the code, spaced."""
        return self.stage(stage).words[answer]

    def rule(self, rule_id: str) -> Rule:
        """Return one rule; ProtocolError when there is none of that id."""
        for rule in self.rules:
            if rule.id == rule_id:
                return rule
        raise ProtocolError(f"{self.id} {self.version} has no rule {rule_id!r}")

    def demand_effective(self, day: date) -> None:
        """Refuse a day on which one of the parameters does not hold."""
        for parameter in self.dated:
            if not parameter.is_effective(day):
                raise ProtocolError(
                    f"param.{parameter.name} is not in effect on {day}; use another version"
                )


def parse_protocol(
    text: str,
    facts: Mapping[str, FactType] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Protocol:
    """Return the protocol that a TOML text writes; ProtocolError names what is unsound.

    `files` are the bytes of those that `[protocol] files` lists; by default the shipped ones.
    """
    return built(read_toml(text), facts, files)


def built(
    data: Table,
    facts: Mapping[str, FactType] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Protocol:
    """Return the protocol of tables that are read already, as `parse_protocol` does of a text."""
    known = vocabulary() if facts is None else facts
    parameters = read_parameters(data)
    rules = read_rules(data)
    plan = build_plan(data, known, parameters, rules)
    return Protocol(
        id=data["protocol"]["id"],
        version=data["protocol"]["version"],
        digest=_digest(data, plan, known, files),
        drug=data["protocol"]["drug"],
        title=data["protocol"]["title"],
        parameters=MappingProxyType(parameters),
        derived=MappingProxyType(dict(data.get("derived", {}))),
        rules=rules,
        stages=_stages(data, plan, parameters),
        selfcheck_facts=_selfcheck(data, known),
        facts=known,
        tables=MappingProxyType({name: data.get(name, {}) for name in OTHER_SECTIONS}),
        plan=plan,
        dated=tuple(p for p in parameters.values() if p.effective_from or p.effective_to),
    )


def _selfcheck(data: Table, known: Mapping[str, FactType]) -> tuple[str, ...]:
    only("selfcheck", data.get("selfcheck", {}), ("facts",))
    return texts("selfcheck.facts", data.get("selfcheck", {}).get("facts", []), known)


# --- stages -------------------------------------------------------------------------------------


def _stages(data: Table, plan: Plan, parameters: Mapping[str, Parameter]) -> Mapping[str, Stage]:
    rows = {choice("stage", name, STAGES): row for name, row in data.get("stage", {}).items()}
    only("labels", data.get("labels", {}), tuple(rows))
    limits = read_limits(data, parameters, tuple(rows))
    for planned in plan.rules:
        texts(f"rule.{planned.rule.id}.stages", list(planned.rule.stages), rows)
    for name in rows:
        check_limits(plan.roots, limits[name])
    return MappingProxyType({name: _stage(name, rows, data, plan, limits[name]) for name in rows})


def _stage(name: str, rows: Table, data: Table, plan: Plan, limits: Mapping[str, Limit]) -> Stage:
    where = f"stage.{name}"
    only(where, table(where, rows[name]), ("includes", "now", "note"))
    held = _included(name, rows, ())
    rules = tuple(p for p in plan.rules if held & set(p.rule.stages))
    labels = table(f"labels.{name}", data.get("labels", {}).get(name, {}))
    only(f"labels.{name}", labels, tuple(Answer))
    return Stage(
        name=name,
        rules=rules,
        limits=limits,
        now=frozenset(texts(f"{where}.now", rows[name].get("now", []))),
        ranks=tuple(_ranks(planned.rule, name) for planned in rules),
        first_pass=plan.first_pass(rules, limits),
        asked=tuple((planned.plain, planned.speaks) for planned in rules),
        words={answer: labels.get(answer) or answer.replace("_", " ") for answer in Answer},
    )


def _included(name: str, rows: Table, above: tuple[str, ...]) -> set[str]:
    if name in above:
        raise ProtocolError(f"stage.{name} includes itself")
    below = texts(f"stage.{name}.includes", rows[name].get("includes", []), rows)
    return {name}.union(*(_included(part, rows, (*above, name)) for part in below))


def _ranks(rule: Rule, stage: str) -> tuple[int, int, int]:
    return Answer.ELIGIBLE.rank, unknown_answer(rule, stage).rank, rule.verdict.rank


def unknown_answer(rule: Rule, stage: str) -> Answer:
    """Return what an unknown rule makes of the answer (clinical reference, section 1)."""
    if rule.level == "N":
        return Answer.ELIGIBLE
    closes = rule.level in ("A", "I") or rule.kind == "require" or stage in STRICT_STAGES
    return Answer.NEED_MORE_INFORMATION if closes else Answer.ELIGIBLE_WITH_CONDITIONS


# --- digest -------------------------------------------------------------------------------------


def _digest(
    data: Table, plan: Plan, facts: Mapping[str, FactType], files: Mapping[str, bytes] | None
) -> str:
    listed = texts("protocol.files", data["protocol"].get("files", []))
    named = {root for found in plan.roots.values() for root in found} | set(plan.roots)
    deciding = {
        "protocol": data,
        "facts": {name: _deciding(facts[name]) for name in sorted(named) if name in facts},
        "files": {name: _file_digest(name, files) for name in listed},
    }
    return hashlib.sha256(canonical(deciding)).hexdigest()


def _deciding(kind: FactType) -> list[Any]:
    return [kind.type, kind.unit, kind.step, kind.low, kind.high, kind.direction]


def _file_digest(name: str, files: Mapping[str, bytes] | None) -> str:
    if files is not None and name in files:
        return hashlib.sha256(files[name]).hexdigest()
    shipped = resources.files("kap").joinpath(name)
    if "/" in name or not shipped.is_file():
        raise ProtocolError(f"protocol.files: {name!r} is no file of the package kap")
    return hashlib.sha256(shipped.read_bytes()).hexdigest()


def canonical(value: Any) -> bytes:
    """Return one form of a value: JSON with sorted keys, no spaces, exact numbers as text."""
    written = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain
    )
    return written.encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, date):
        return value.isoformat()
    raise ProtocolError(f"{value!r} has no canonical form")


# --- shipped files ------------------------------------------------------------------------------


def available() -> tuple[tuple[str, str], ...]:
    """Return (id, version) of every shipped protocol, oldest version first."""
    folder = resources.files("kap").joinpath("protocols")
    found = [
        (drug.name, file.name.removesuffix(".toml"))
        for drug in folder.iterdir()
        if drug.is_dir()
        for file in drug.iterdir()
        if file.name.endswith(".toml")
    ]
    return tuple(sorted(found, key=lambda pair: (pair[0], _order(pair[1]))))


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


@cache
def load(protocol_id: str, version: str | None = None) -> Protocol:
    """Return a shipped protocol (the newest without `version`).

    ProtocolError when there is none, when its bytes are not those of SHA256SUMS, or when unsound.
    """
    versions = [found for name, found in available() if name == protocol_id]
    wanted = version or (versions[-1] if versions else "")
    if wanted not in versions:
        shipped = ", ".join(f"{name}@{found}" for name, found in available())
        raise ProtocolError(f"no protocol {protocol_id}@{version or 'newest'}; shipped: {shipped}")
    folder = resources.files("kap").joinpath("protocols")
    path = f"{protocol_id}/{wanted}.toml"
    content = folder.joinpath(path).read_bytes()
    sums = folder.joinpath("SHA256SUMS").read_text(encoding="utf-8")
    check_sum(path, content, sums)
    return named(path, parse_protocol(content.decode()))


def named(path: str, protocol: Protocol) -> Protocol:
    """Return `protocol` if it says that it is what its path says."""
    if path != f"{protocol.id}/{protocol.version}.toml":
        raise ProtocolError(f"{path} says it is {protocol.id}@{protocol.version}")
    return protocol


def check_sum(path: str, content: bytes, sums: str) -> None:
    """Refuse a released file that was altered: `sums` has lines of "<sha256>  <path>"."""
    rows = (line.split(maxsplit=1) for line in sums.splitlines() if line.strip())
    wanted = {name.strip(): digest for digest, name in rows}.get(path)
    if wanted is not None and wanted != hashlib.sha256(content).hexdigest():
        raise ProtocolError(f"{path} is not the released file: its SHA-256 is not in SHA256SUMS")
