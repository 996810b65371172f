"""The alarm cases as a page of docs/spec: each a table of what happens and what is said."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "cases.toml"
CASES: list[dict[str, Any]] = tomllib.loads(FILE.read_text(encoding="utf-8"))["case"]
NAME = "alarms.md"
ABOUT = """\
What the alarms of the hour say, step by step, under the limits of {protocol}. The clock ticks \
each second between two steps. No clinician has reviewed these cases yet.

"cuff 182/96" is one reading of the monitor's cuff, "typed 215/90" one that a person wrote down, \
"spo2 89 until 14:00:20" one value a second. An alarm that is raised but mute says "muted"."""


def page(protocol: str) -> list[str]:
    """Return the lines of the page, below its mark; `protocol` names whose limits they are."""
    told = [line for case in CASES for line in _case(case)]
    return ["# Alarms", "", ABOUT.format(protocol=protocol), "", *told]


def link() -> str:
    """Return the page's line in the table of contents."""
    return f"* [Alarms]({NAME}): " + "; ".join(case["title"] for case in CASES)


def _case(case: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {case['number']}. {case['title']}"
    yield ""
    if given := _given(case):
        yield f"Given: {given}."
        yield ""
    yield "| at | what happens | what the alarms say |"
    yield "| --- | --- | --- |"
    for at, action, said in case["steps"]:
        yield f"| {at} | {action.replace('_', ' ')} | {'<br>'.join(map(_words, said))} |"
    yield ""


def _given(case: Mapping[str, Any]) -> str:
    """Return what a case takes for granted, in words: "before" has the readings before the dose."""
    given = []
    if "before" in case:
        given.append(f"before the dose {', '.join(case['before'])}")
    if "spo2_offset" in case:
        given.append(f"a signed SpO2 offset of {case['spo2_offset']}")
    if "technical" in case:
        given.append(f"technical alarms of {_words(', '.join(case['technical']))}")
    return "; ".join(given)


def _words(said: str) -> str:
    return said.replace("_", " ")
