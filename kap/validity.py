"""How long each fact and list stays valid, stage by stage: the `[validity.*]` tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kap.evidence import ALWAYS, SAME_DAY, Limit
from kap.protocol_file import Table, only, texts
from kap.rule import Parameter, ProtocolError


def read_limits(
    data: Table, parameters: Mapping[str, Parameter], stages: tuple[str, ...]
) -> dict[str, dict[str, Limit]]:
    """Return for each stage how long each fact and list stays valid."""
    tables = data.get("validity", {})
    only("validity", tables, ("default", *stages))
    default = _limits("default", tables.get("default", {}), parameters)
    return {stage: default | _limits(stage, tables.get(stage, {}), parameters) for stage in stages}


def _limits(stage: str, row: Table, parameters: Mapping[str, Parameter]) -> dict[str, Limit]:
    found: dict[str, Limit] = {}
    for key, names in row.items():
        limit = _limit(f"validity.{stage}", key, parameters)
        for name in texts(f"validity.{stage}.{key}", names):
            if name in found:
                raise ProtocolError(f"validity.{stage}: {name} stands twice")
            found[name] = limit
    return found


def _limit(where: str, key: str, parameters: Mapping[str, Parameter]) -> Limit:
    if key in _WORDS:
        return _WORDS[key]
    found = parameters.get(key)
    if found is None or isinstance(found.value, tuple) or found.value != int(found.value):
        raise ProtocolError(f"{where}.{key}: name a whole-number parameter, always or same-day")
    if found.unit not in ("s", "min", "h", "d", "wk", "mo", "a"):
        raise ProtocolError(f"{where}.{key}: {found.unit!r} is no time")
    return Limit(int(found.value), found.unit)


_WORDS = {"always": ALWAYS, "same-day": SAME_DAY}


def check_limits(roots: Mapping[str, tuple[str, ...]], limits: Mapping[str, Any]) -> None:
    """Refuse a protocol that reads a fact without saying how long it stays valid."""
    read = {root for found in roots.values() for root in found}
    for name in sorted(read):
        if name not in limits:
            raise ProtocolError(f"validity.default: {name} is read, but has no validity")
