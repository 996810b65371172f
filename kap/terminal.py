"""Reading what a person typed or a file holds, and telling them the result: the edge of `kap.cli`.

Every refusal says what is wrong, then the way out, and carries its exit code.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

OK, NO, USAGE, MORE_INFORMATION, BAD_DATA = 0, 1, 2, 3, 4


class Problem(Exception):
    """Something to tell the person at the terminal: what is wrong, then the way out."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def read_text(file: str) -> str:
    """Return a file's text; `-` is standard input. Problem when it cannot be read."""
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise Problem(f"{file}: {reason}; give a readable file, or -", BAD_DATA) from error
    except UnicodeDecodeError as error:
        raise Problem(f"{file}: not UTF-8 at byte {error.start}; save it so", BAD_DATA) from error


def read_json(file: str) -> Mapping[str, Any]:
    """Return a JSON object with exact numbers; Problem names line and column."""
    try:
        data = json.loads(read_text(file), parse_float=Decimal, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise Problem(
            f"{file}: line {error.lineno}, column {error.colno}: {error.msg}; mend the JSON there",
            BAD_DATA,
        ) from error
    if not isinstance(data, dict):
        raise Problem(f"{file}: not a JSON object; write {{ ... }}", BAD_DATA)
    return data


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key written twice: the second would silently win."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Problem(f"key {key!r} stands twice in one object; keep one", BAD_DATA)
        found[key] = value
    return found


def amount(option: str, text: str, unit: str) -> Decimal:
    """Return the number of a text that ends in this very unit: no unit, no number."""
    if not text.endswith(unit):
        raise Problem(f"{option} {text!r}: write it with its unit, as in 40{unit}", USAGE)
    return number(option, text.removesuffix(unit).strip())


def number(option: str, text: str) -> Decimal:
    """Return an exact number; Problem when the text is none."""
    if not text.replace(".", "", 1).isdecimal():
        raise Problem(f"{option}: {text!r} is no number; write it as 0.5", USAGE)
    return Decimal(text)


# --- telling ------------------------------------------------------------------------------------


def may_colour() -> bool:
    """Return whether colour is wanted: a terminal, and no NO_COLOR."""
    return is_terminal() and "NO_COLOR" not in os.environ


def is_terminal() -> bool:
    """Return whether a person reads this, and not a pipe."""
    return sys.stdout.isatty()


def tell(lines: Iterable[str], code: int) -> int:
    """Print lines and return the exit code."""
    for line in lines:
        print(line.rstrip())
    return code


def tell_json(data: Any, code: int) -> int:
    """Print JSON and return the exit code."""
    print(json.dumps(data, ensure_ascii=False, indent=2, default=str))
    return code
