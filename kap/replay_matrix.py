"""Old answers against new: how a registry moves when it is decided again under another version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from kap.protocol import BY_RANK, Protocol
from kap.replay import Disagreement, RegistryReader, disagreements
from kap.replay_columns import Ranks, ReplayError, stage_facts
from kap.replay_file import BadRow, ChartBlock
from kap.rule import Answer
from kap.verdict import ask

EXAMPLES = 3  # ids kept of each pair of different answers
FIRST_SAMPLE = 256  # charts of the first block, and of each later one, that are
SAMPLE = 8  # answered one by one too
BAD_KEPT = 20  # bad rows that are named; all are counted
SIDE = len(Answer) + 1


@dataclass(frozen=True, slots=True)
class Transition:
    """How many charts went from one answer to another, and the first few of them."""

    old: Answer
    new: Answer
    count: int
    examples: tuple[str, ...] = ()

    @property
    def direction(self) -> str:
        """ "same", "looser" (a lower answer than before) or "stricter"."""
        if self.old is self.new:
            return "same"
        return "looser" if self.new.rank < self.old.rank else "stricter"


@dataclass(slots=True)
class Replay:
    """A registry decided again, as far as it was read."""

    read: int = 0
    bad_count: int = 0
    sampled: int = 0
    absent: tuple[str, ...] = ()  # facts that the file does not hold
    bad: list[BadRow] = field(default_factory=list)
    disagreed: list[tuple[str, Disagreement]] = field(default_factory=list)
    _counts: np.ndarray[tuple[int], np.dtype[np.int64]] = field(
        default_factory=lambda: np.zeros(SIDE * SIDE, np.int64)
    )
    _examples: dict[int, list[str]] = field(default_factory=dict)

    def add(self, ids: tuple[str, ...], old: Ranks, new: Ranks) -> None:
        """Count the charts of a block by their two answers; keep a few ids of what changed."""
        cells = old.astype(np.int64) * SIDE + new
        counts = np.bincount(cells, minlength=SIDE * SIDE)
        for cell in np.flatnonzero(counts):
            kept = self._examples.setdefault(int(cell), [])
            if cell // SIDE != cell % SIDE and len(kept) < EXAMPLES:
                first = np.flatnonzero(cells == cell)[: EXAMPLES - len(kept)]
                kept += [ids[place] for place in first]
        self._counts += counts
        self.read += len(ids)

    @property
    def transitions(self) -> tuple[Transition, ...]:
        """Each pair of answers that occurs, from the lowest old answer on."""
        return tuple(
            Transition(
                BY_RANK[cell // SIDE],
                BY_RANK[cell % SIDE],
                int(self._counts[cell]),
                tuple(self._examples[cell]),
            )
            for cell in map(int, np.flatnonzero(self._counts))
        )


def replayed(
    blocks: Iterable[ChartBlock], stage: str, new: Protocol, old: Protocol | None
) -> Replay:
    """Return a registry decided again, block by block.

    The old answers are those of `old`; without it those that the file gives, and ReplayError where
    it gives none.
    """
    readers = [RegistryReader(protocol, stage) for protocol in (new, old) if protocol is not None]
    found = Replay()
    for block in blocks:
        answers = [
            reader.answers(facts) for reader, facts in zip(readers, block.facts, strict=True)
        ]
        sample = min(SAMPLE if found.read else FIRST_SAMPLE, len(block.ids))
        found.add(block.ids, answers[1] if old is not None else _told(block), answers[0])
        found.bad_count += len(block.bad)
        found.bad += block.bad[: BAD_KEPT - len(found.bad)]
        found.sampled += sample
        if block.ids:
            found.absent = tuple(n for n in readers[0].facts if n not in block.facts[0].facts)
        for reader, facts, ranks in zip(readers, block.facts, answers, strict=True):
            wrong = [
                *disagreements(reader, facts, ranks[:sample]),
                *_asked(block, reader, ranks[:sample]),
            ]
            found.disagreed += [(block.ids[one.place], one) for one in wrong]
    return found


def _told(block: ChartBlock) -> Ranks:
    missing = np.flatnonzero(block.told == 0)
    if missing.size:
        chart = block.ids[missing[0]]
        raise ReplayError(f"{chart}: the file gives no old answer; name a version with --old")
    return block.told


def _asked(block: ChartBlock, reader: RegistryReader, ranks: Ranks) -> list[Disagreement]:
    """Return where `kap.ask` of the chart itself answers otherwise."""
    found = []
    for place, rank in enumerate(ranks.tolist()):
        if place in block.charts:
            _, chart, at = block.charts[place]
            said = ask(reader.protocol, reader.stage.name, chart, at).answer.rank
            if said != rank:
                found.append(Disagreement(place, "kap.ask", rank, said))
    return found


def derived_otherwise(stage: str, new: Protocol, old: Protocol) -> tuple[str, ...]:
    """Return the facts of a stage that two versions are seen to derive from a chart otherwise.

    A file of derived facts holds them as they were derived once; these need the charts. Operators,
    parameters and validities are compared; tables of codes are not.
    """
    shared = set(stage_facts(new, stage)) & set(stage_facts(old, stage))
    return tuple(sorted(n for n in shared if _way(new, stage, n) != _way(old, stage, n)))


def _way(protocol: Protocol, stage: str, name: str) -> tuple[object, ...]:
    row: Mapping[str, object] = protocol.derived.get(name, {})
    cells = [cell if isinstance(cell, list) else [cell] for cell in row.values()]
    named = [word for cell in cells for word in cell if isinstance(word, str)]
    held, limits = protocol.parameters, protocol.stage(stage).limits
    values = [(word, held[word].value, held[word].unit) for word in named if word in held]
    valid = [(root, limits[root].amount, limits[root].unit) for root in protocol.plan.roots[name]]
    below = [_way(protocol, stage, word) for word in named if word in protocol.derived]
    return dict(row), values, valid, below
