"""The commands of `kap` that ask a protocol: screen, replay, protocol list, show, check."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kap.terminal import (
    BAD_DATA,
    MORE_INFORMATION,
    NO,
    OK,
    USAGE,
    Problem,
    may_colour,
    read_json,
    read_text,
    tell,
    tell_json,
)

if TYPE_CHECKING:
    from kap.chart import Chart
    from kap.explain import Explanation
    from kap.moment import Moment
    from kap.protocol import Protocol
    from kap.verdict import Verdict


def screen(asked: argparse.Namespace, moment: Callable[[str | None], Moment]) -> int:
    """Ask a protocol about a chart.

    `moment` reads --at, or the clock. A chart may carry `asked_at`, the instant it is meant for: it
    counts when --at is not given, so that a file kept for years gives the answer of its day.
    """
    from kap.chart import Chart, ChartError
    from kap.plausible import refuse_impossible

    protocol, data = shipped(asked.protocol), dict(read_json(asked.file))
    meant_for = _asked_at(asked.file, data.pop("asked_at", None))
    try:
        chart = Chart.from_json(data, protocol.facts)
        refuse_impossible(chart, protocol.facts)
    except ChartError as error:
        raise Problem(f"{asked.file}: {error}", BAD_DATA) from error
    at = moment(asked.at or meant_for)
    if asked.explain and asked.what_if:
        raise Problem("--explain and --what-if: one at a time", USAGE)
    verdict = _ask(protocol, asked.stage, chart, at, asked.what_if)
    if not asked.explain:
        return _tell_verdict(verdict, asked)
    from kap.explain import explain

    return _tell_verdict(verdict, asked, explain(protocol, asked.stage, chart, at))


def _ask(protocol: Protocol, stage: str, chart: Chart, at: Moment, said: Sequence[str]) -> Verdict:
    """Return the verdict, with what is supposed laid over what is on file."""
    from kap.what_if import WhatIfError, what_if

    try:
        return what_if(protocol, stage, chart, at, _supposed(said))
    except WhatIfError as error:
        raise Problem(str(error), USAGE) from error


def _asked_at(file: str, told: object) -> str | None:
    if told is None or isinstance(told, str):
        return told
    raise Problem(f"{file}: asked_at: {told!r}; write an instant with its offset", BAD_DATA)


def _tell_verdict(
    verdict: Verdict, asked: argparse.Namespace, found: Explanation | None = None
) -> int:
    from kap.verdict_text import verdict_lines

    code = _exit_code(verdict)
    more, extra = _explained(found)
    if asked.json:
        more |= {"exit_code": code, "what_if": asked.what_if, "signed": False}
        return tell_json(verdict.to_json() | more, code)
    lines = verdict_lines(
        verdict, name=asked.file, exit_code=code, supposed=asked.what_if, colour=may_colour()
    )
    return tell([*lines, *extra], code)


def _explained(found: Explanation | None) -> tuple[dict[str, Any], list[str]]:
    if found is None:
        return {}, []
    from kap.explain_text import explanation_json, explanation_lines

    return {"explanation": explanation_json(found)}, list(explanation_lines(found))


def protocol_list(asked: argparse.Namespace) -> int:
    """List the shipped protocols."""
    from kap.protocol import available

    found = [shipped(f"{name}@{version}") for name, version in available()]
    if asked.json:
        return tell_json([_headed(protocol) for protocol in found], OK)
    return tell(
        (f"{p.id}@{p.version}  {len(p.rules)} rules  {p.digest}  {p.title}" for p in found), OK
    )


def protocol_show(asked: argparse.Namespace) -> int:
    """Show the parameters and rules of a protocol."""
    protocol = shipped(asked.protocol)
    if asked.json:
        from dataclasses import asdict

        parameters = {name: asdict(p) for name, p in protocol.parameters.items()}
        rules = [
            {"id": r.id, "level": r.level, "stages": r.stages, "verdict": r.verdict, "why": r.why}
            | {"source": r.source, "mark": r.mark}
            for r in protocol.rules
        ]
        return tell_json(_headed(protocol) | {"parameters": parameters, "rules": rules}, OK)
    lines = [f"{protocol.id}@{protocol.version}  {protocol.title}", f"digest {protocol.digest}", ""]
    lines += [
        f"param {p.name} = {_listed(p.value)} {p.unit}  [{p.mark}] {p.source}"
        for p in protocol.parameters.values()
    ]
    lines += [
        "",
        *(f"{r.id} [{r.level}] {r.verdict}: {r.why} [{r.mark}] {r.source}" for r in protocol.rules),
    ]
    return tell(lines, OK)


def protocol_check(asked: argparse.Namespace) -> int:
    """Load a protocol, shipped or from a file, and run its in-file examples."""
    from kap.examples import check

    protocol = given_protocol(asked.protocol)
    failures = check(protocol)
    code = NO if failures else OK
    if asked.json:
        return tell_json(_headed(protocol) | {"failures": failures}, code)
    examples = sum(len(rule.examples) for rule in protocol.rules)
    said = f"{protocol.id}@{protocol.version}: {len(protocol.rules)} rules, {examples} examples, "
    return tell([*failures, said + (f"{len(failures)} fail" if failures else "all hold")], code)


def replay_decision(asked: argparse.Namespace) -> int:
    """Answer a stored decision again and say whether it is the same."""
    from kap.chart import ChartError
    from kap.protocol import load
    from kap.rule import ProtocolError
    from kap.verdict import replay

    stored = read_json(asked.file)
    try:
        told, now = replay(stored, load)
    except (KeyError, TypeError) as error:
        raise Problem(
            f"{asked.file}: no stored decision ({error}); it holds `verdict` and `chart`", BAD_DATA
        ) from error
    except (ChartError, ProtocolError, ValueError) as error:
        raise Problem(f"{asked.file}: {error}", BAD_DATA) from error
    same = (told.answer, told.digest, told.facts_hash) == (now.answer, now.digest, now.facts_hash)
    code = OK if same else NO
    if asked.json:
        return tell_json({"same": same, "stored": told.to_json(), "now": now.to_json()}, code)
    lines = [f"stored: {told.answer} at {told.stage} by {told.protocol_id}@{told.version}"]
    lines.append(f"now:    {now.answer}; {'the same answer' if same else 'NOT THE SAME'}")
    if told.digest != now.digest:
        lines.append(f"the protocol file changed: {told.digest} was, {now.digest} is")
    if told.facts_hash != now.facts_hash:
        lines.append("the chart stored beside it is not what the verdict read")
    return tell(lines, code)


def given_protocol(text: str) -> Protocol:
    """Return a shipped protocol by ID[@VERSION], or that of a TOML file."""
    from kap.protocol import parse_protocol
    from kap.rule import ProtocolError

    if not text.endswith(".toml"):
        return shipped(text)
    try:
        return parse_protocol(read_text(text))
    except ProtocolError as error:
        raise Problem(f"{text}: {error}", BAD_DATA) from error


def shipped(text: str) -> Protocol:
    """Return a shipped protocol by ID or ID@VERSION."""
    from kap.protocol import load
    from kap.rule import ProtocolError

    protocol_id, _, version = text.partition("@")
    try:
        return load(protocol_id, version or None)
    except ProtocolError as error:
        raise Problem(str(error), USAGE) from error


def _supposed(texts: Sequence[str]) -> dict[str, bool | Decimal | str]:
    """Return facts and the values they are supposed to have."""
    supposed = {}
    for text in texts:
        name, sign, word = text.partition("=")
        if not (name and sign and word):
            raise Problem(f"--what-if {text!r}: write FACT=VALUE, as in spo2=97", USAGE)
        supposed[name] = _value(word)
    return supposed


def _value(word: str) -> bool | Decimal | str:
    if word in ("true", "false"):
        return word == "true"
    digits = word.removeprefix("-").replace(".", "", 1)
    return Decimal(word) if digits.isdecimal() else word


def _exit_code(verdict: Verdict) -> int:
    codes = {
        "eligible": OK,
        "eligible_with_conditions": OK,
        "need_more_information": MORE_INFORMATION,
    }
    return codes.get(verdict.answer, NO)


def _headed(protocol: Protocol) -> dict[str, Any]:
    return {
        "id": protocol.id,
        "version": protocol.version,
        "title": protocol.title,
        "digest": protocol.digest,
        "stages": list(protocol.stages),
        "signed": False,
    }


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
