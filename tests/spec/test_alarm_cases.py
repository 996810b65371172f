"""The alarm cases of the clinical reference, section 19, told step by step."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.spec.alarm.bedside import TABLES, Bedside
from tests.spec.alarm.page import CASES, page


def told(case: dict[str, Any], tables: Any = TABLES) -> list[list[str]]:
    bedside = Bedside(case, tables)
    return [bedside.run(at, action) for at, action, _ in case["steps"]]


def expected(case: dict[str, Any]) -> list[list[str]]:
    return [said for _, _, said in case["steps"]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['number']} {case['title']}")
def test_the_alarms_say_what_the_case_says(case: dict[str, Any]) -> None:
    assert told(case) == expected(case)


@pytest.mark.parametrize(
    ("number", "table", "name", "value"),
    [
        ("1c", "alarm_param", "red_repeat_max", {"value": 6, "unit": "min"}),
        ("1f", "alarm_param", "red_repeat_min", {"value": 30, "unit": "s"}),
        ("3a", "alarm_param", "persistence_gap", {"value": 5, "unit": "s"}),
        ("3b", "alarm_param", "persistence_gap", {"value": 30, "unit": "s"}),
        ("4", "alarm_param", "persistence_critical", {"value": 60, "unit": "s"}),
        ("5a", "alarm_param", "worsening_bp", {"value": 30, "unit": "mm[Hg]"}),
        ("5b", "alarm_param", "silence", {"value": 10, "unit": "min"}),
        ("6", "alarm_param", "hysteresis_hold", {"value": 10, "unit": "s"}),
    ],
)
def test_another_number_in_the_protocol_fails_the_case(
    number: str, table: str, name: str, value: dict[str, Any]
) -> None:
    (case,) = [one for one in CASES if one["number"] == number]
    tables = deepcopy({key: dict(rows) for key, rows in TABLES.items()})
    tables[table][name] = value
    assert told(case, tables) != expected(case)


def test_the_page_says_every_step_of_every_case() -> None:
    text = "\n".join(page("iv-ketamine"))
    for case in CASES:
        assert f"## {case['number']}. {case['title']}" in text
        for at, action, said in case["steps"]:
            row = f"| {at} | {action} | {'<br>'.join(said)} |"
            assert row.replace("_", " ") in text
    assert "before the dose 118/76, 122/80" in text
    assert "technical alarms of spo2, heart rate, link" in text
    assert "a signed SpO2 offset of -3" in text
