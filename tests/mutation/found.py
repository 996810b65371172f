"""What a run found: each mutant and what noticed it, beside the survivors that have a reason."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).parent / "survivors.toml"


@dataclass(frozen=True, slots=True)
class Found:
    """One mutant: the protocol or module, its kind, its name, and what noticed it ("": nothing)."""

    area: str
    kind: str
    name: str
    killer: str

    @property
    def key(self) -> tuple[str, str]:
        """What a survivor is called in survivors.toml: the area, and the kind with the name."""
        return self.area, f"{self.kind}: {self.name}"


Reasons = dict[tuple[str, str], str]


def reasons(path: Path = FILE) -> Reasons:
    """Return why each known survivor lives."""
    rows = tomllib.loads(path.read_text(encoding="utf-8")).get("survivor", [])
    return {
        (area, name): row["reason"] for row in rows for area in row["in"] for name in row["mutants"]
    }


@dataclass(frozen=True, slots=True)
class Reckoning:
    """Survivors with a reason, those without one, and reasons for what does not survive."""

    explained: tuple[tuple[Found, str], ...]
    unexplained: tuple[Found, ...]
    stale: tuple[tuple[str, str], ...]

    @property
    def holds(self) -> bool:
        """Whether every survivor has its reason, and every reason its survivor."""
        return not self.unexplained and not self.stale


def reckon(found: Collection[Found], known: Reasons, areas: Iterable[str]) -> Reckoning:
    """Return what a whole run over `areas` comes to."""
    living = [mutant for mutant in found if not mutant.killer]
    names, asked = {mutant.key for mutant in living}, set(areas)
    return Reckoning(
        explained=tuple((m, known[m.key]) for m in living if m.key in known),
        unexplained=tuple(m for m in living if m.key not in known),
        stale=tuple(key for key in known if key[0] in asked and key not in names),
    )
