"""Two versions of a protocol: what was rewritten, and for which patients the answer moved.

What was rewritten is read from the files, entry by entry; whom it moves is found by the solver
(`kap.proof_moved`). That holds over derived facts: what was rewritten of their derivations is
listed apart, and not weighed (docs/algorithms/proof.md, section 4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kap.proof_moved import LOOSER, STRICTER, Moved, moved
from kap.protocol import Protocol
from kap.protocol_file import read_toml
from kap.rule import Rule

# What decides, but stands before the facts that a rule reads.
DERIVATIONS = (
    *("derived", "codes", "class_facts", "equivalents", "minimum_dose", "medication"),
    *("validity", "jump"),
)
_SILENT = {"protocol": ("version", "note"), "rule": ("examples",), "medication": ("examples",)}
# The parts of a rule that move no answer.
_WORDS = ("why", "source", "mark", "note", "reask", "unverified", "audience", "title", "hold")


@dataclass(frozen=True, slots=True)
class Rewritten:
    """One entry of the file that differs: `how` is "added", "removed" or "altered".

    `parts` are (part, before, after) as they are written; "" where there is none.
    """

    section: str
    name: str
    how: str
    parts: tuple[tuple[str, str, str], ...] = ()

    def text(self) -> str:
        """Return the difference on one line."""
        said = "; ".join(f"{part}: {old or '-'} -> {new or '-'}" for part, old, new in self.parts)
        return f"{self.how:<8} {self.section}.{self.name}" + (f"  {said}" if said else "")


def rewritten(old_text: str, new_text: str) -> tuple[Rewritten, ...]:
    """Return what differs between two protocol files, entry by entry, in the order of the files."""
    old, new = read_toml(old_text), read_toml(new_text)
    return tuple(
        change
        for section in dict.fromkeys([*old, *new])
        for change in _entries(section, old.get(section, {}), new.get(section, {}))
    )


def _entries(section: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Rewritten]:
    silent = _SILENT.get(section, ())
    for name in dict.fromkeys([*old, *new]):
        if section == "protocol" and name in silent:
            continue
        if name not in old or name not in new:
            yield Rewritten(section, name, "added" if name in new else "removed")
            continue
        before, after = (_parts(side[name], silent) for side in (old, new))
        parts = tuple(
            (part, before.get(part, ""), after.get(part, ""))
            for part in dict.fromkeys([*before, *after])
            if before.get(part) != after.get(part)
        )
        if parts:
            yield Rewritten(section, name, "altered", parts)


def _parts(value: Any, silent: tuple[str, ...], above: str = "") -> dict[str, str]:
    """Return the leaves of an entry by their path."""
    if not isinstance(value, dict):
        return {above or "value": _written(value)}
    found: dict[str, str] = {}
    for key, part in value.items():
        if key not in silent:
            found |= _parts(part, silent, f"{above}.{key}" if above else key)
    return found


def _written(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_written(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_written(item)}" for key, item in value.items()) + "}"
    return " ".join(str(value).split())


@dataclass(frozen=True, slots=True)
class Difference:
    """All that differs between two versions.

    `causes` says for each rule that moved an answer what was rewritten of it, and of the parameters
    that it names. `stages` are those that both versions have: the others are not weighed.
    """

    rewritten: tuple[Rewritten, ...]
    moved: tuple[Moved, ...]
    causes: Mapping[str, tuple[str, ...]]
    stages: tuple[str, ...]

    @property
    def looser(self) -> tuple[Moved, ...]:
        """Patients whose answer is lower than before, or open to an override that was not."""
        return tuple(one for one in self.moved if one.way == LOOSER)

    @property
    def stricter(self) -> tuple[Moved, ...]:
        """Patients whose answer is higher than before."""
        return tuple(one for one in self.moved if one.way == STRICTER)

    @property
    def unweighed(self) -> tuple[Rewritten, ...]:
        """What was rewritten before the facts that a rule reads: listed, not weighed."""
        return tuple(change for change in self.rewritten if change.section in DERIVATIONS)


def difference(old: Protocol, new: Protocol, old_text: str, new_text: str) -> Difference:
    """Return what differs between two versions; the texts are those of their files.

    ImportError without the extra `proof`; Unproven where the solver finds no answer.
    """
    changes = rewritten(old_text, new_text)
    stages = tuple(name for name in old.stages if name in new.stages)
    found = moved(old, new, stages)
    causes = {one.rule_id: _causes(one.rule_id, changes, (old, new)) for one in found}
    return Difference(changes, found, causes, stages)


def _causes(
    rule_id: str, changes: tuple[Rewritten, ...], versions: tuple[Protocol, Protocol]
) -> tuple[str, ...]:
    rules = [rule for version in versions for rule in version.rules if rule.id == rule_id]
    named = {name for rule in rules for name in _parameters(rule)}
    found = (_cause(change, rule_id, named) for change in changes)
    return tuple(text for texts in found for text in texts)


def _cause(change: Rewritten, rule_id: str, named: set[str]) -> Iterator[str]:
    own = change.section == "rule" and change.name == rule_id
    if own or (change.section == "medication" and f"M-{change.name}" == rule_id):
        if not change.parts:
            yield change.how
        for part, old, new in change.parts:
            if not part.startswith(_WORDS):
                yield f"{part} {old or '-'} -> {new or '-'}"
    elif change.section == "param" and change.name in named:
        for part, old, new in change.parts:
            if part in ("value", "unit"):
                yield f"param.{change.name} {part} {old} -> {new}"
    elif change.section == "stage":
        yield from (f"stage.{change.name} {p} {old or '-'} -> {new or '-'}"
                    for p, old, new in change.parts if p == "includes")  # fmt: skip


def _parameters(rule: Rule) -> set[str]:
    trees = [e for e in (rule.expression, rule.only_if) if e is not None]
    return {name for tree in trees for name in tree.params}
