"""`kap protocol replay`: decide a registry again under another version, and say who moved."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from kap.cli_protocol import given_protocol
from kap.terminal import BAD_DATA, NO, OK, USAGE, Problem, tell, tell_json

if TYPE_CHECKING:
    from kap.protocol import Protocol
    from kap.replay_file import ChartBlock
    from kap.replay_matrix import Replay

Clock = Callable[[], float]


def replay_charts(asked: argparse.Namespace, clock: Clock) -> int:
    """Replay a file of charts and print the old answers against the new.

    Exit code 1 when the reader of many charts and that of one disagree, 4 when a row was bad.
    """
    from kap.replay_matrix import derived_otherwise, replayed

    new = given_protocol(asked.protocol)
    old = None if asked.old is None else given_protocol(asked.old)
    protocols = (new,) if old is None else (new, old)
    for protocol in protocols:
        _demand_stage(protocol, asked.stage)
    blocks = _blocks(Path(asked.charts), protocols, asked.stage, Progress(clock, sys.stderr))
    try:
        found = replayed(_saved(blocks, asked, new), asked.stage, new, old)
    except OSError as error:
        raise Problem(f"{error.filename}: {error.strerror}; name another file", BAD_DATA) from error
    except ValueError as problem:
        raise Problem(f"{asked.charts}: {problem}", BAD_DATA) from problem
    otherwise = () if old is None else derived_otherwise(asked.stage, new, old)
    code = NO if found.disagreed else BAD_DATA if found.bad_count else OK
    if asked.json:
        return tell_json(_as_json(found, asked, new, old, otherwise), code)
    return tell(_lines(found, asked, new, old, otherwise), code)


def _demand_stage(protocol: Protocol, stage: str) -> None:
    from kap.rule import ProtocolError

    try:
        protocol.stage(stage)
    except ProtocolError as error:
        raise Problem(str(error), USAGE) from error


# --- reading ------------------------------------------------------------------------------------


class Progress:
    """A line on standard error while a person waits: from the first second on, five a second."""

    def __init__(self, clock: Clock, out: IO[str]) -> None:
        self.clock = clock
        self.out = out
        self.due = clock() + 1
        self.shown = False

    def at(self, share: float) -> None:
        """Show a share (0 to 1) of the file as read, if it is time to."""
        now = self.clock()
        if now >= self.due and self.out.isatty():
            filled = int(share * 30)
            self.out.write(f"\r[{'#' * filled}{'.' * (30 - filled)}] {share:4.0%} ")
            self.out.flush()
            self.due, self.shown = now + 0.2, True

    def done(self) -> None:
        """Take the line away."""
        if self.shown:
            self.out.write("\r" + " " * 40 + "\r")
            self.out.flush()


def _blocks(
    path: Path, protocols: tuple[Protocol, ...], stage: str, progress: Progress
) -> Iterator[ChartBlock]:
    read = _parquet_blocks if path.suffix == ".parquet" else _line_blocks
    try:
        yield from read(path, protocols, stage, progress)
    finally:
        progress.done()


def _parquet_blocks(
    path: Path, protocols: tuple[Protocol, ...], stage: str, progress: Progress
) -> Iterator[ChartBlock]:
    from kap.replay_parquet import count_rows, read_parquet

    total, read = count_rows(path), 0
    for block in read_parquet(path, protocols, stage):
        read += len(block.ids)
        progress.at(read / total)
        yield block


def _line_blocks(
    path: Path, protocols: tuple[Protocol, ...], stage: str, progress: Progress
) -> Iterator[ChartBlock]:
    from kap.replay_file import read_lines

    with path.open("rb") as file:
        total = max(1, path.stat().st_size)
        yield from read_lines(_told(file, total, progress), protocols, stage)


def _told(file: IO[bytes], total: int, progress: Progress) -> Iterator[bytes]:
    read = 0
    for line in file:
        read += len(line)
        progress.at(read / total)
        yield line


def _saved(
    blocks: Iterator[ChartBlock], asked: argparse.Namespace, protocol: Protocol
) -> Iterator[ChartBlock]:
    """Pass the blocks on; where --save is given, write their derived facts as they go by."""
    if asked.save is None:
        return blocks
    from kap.replay_parquet import passed_on

    return passed_on(Path(asked.save), protocol, asked.stage, blocks)


# --- telling ------------------------------------------------------------------------------------


def _as_json(
    found: Replay,
    asked: argparse.Namespace,
    new: Protocol,
    old: Protocol | None,
    otherwise: tuple[str, ...],
) -> dict[str, Any]:
    return {
        "new": _named(new),
        "old": None if old is None else _named(old),
        "stage": asked.stage,
        "charts": found.read,
        "transitions": [
            {"old": t.old, "new": t.new, "count": t.count, "direction": t.direction}
            | {"examples": t.examples}
            for t in found.transitions
        ],
        "bad": {"count": found.bad_count, "first": [bad._asdict() for bad in found.bad]},
        "absent": found.absent,
        "derived_otherwise": otherwise,
        "sampled": found.sampled,
        "disagreements": [
            {"id": name, "what": d.what, "by_registry": d.by_registry, "by_chart": d.by_chart}
            for name, d in found.disagreed
        ],
    }


def _named(protocol: Protocol) -> dict[str, str]:
    return {"id": protocol.id, "version": protocol.version, "digest": protocol.digest}


def _lines(
    found: Replay,
    asked: argparse.Namespace,
    new: Protocol,
    old: Protocol | None,
    otherwise: tuple[str, ...],
) -> Iterator[str]:
    before = "the answers in the file" if old is None else f"{old.id}@{old.version}"
    yield f"{found.read:,} charts at {asked.stage}: {before} against {new.id}@{new.version}"
    yield ""
    yield from _table(found)
    for turn in found.transitions:
        if turn.direction != "same":
            some = ", ".join(turn.examples)
            yield f"{turn.direction:<9}{turn.old} -> {turn.new}: {turn.count:,}, as {some}"
    if found.absent:
        yield f"not in the file, unknown in every chart: {', '.join(found.absent)}"
    if otherwise:
        names = ", ".join(otherwise)
        yield f"derived otherwise by the two (facts told as derived stay as told): {names}"
    if found.bad_count:
        yield f"{found.bad_count:,} bad rows were not decided:"
        yield from (f"  row {bad.row}: {bad.why}" for bad in found.bad)
        if found.bad_count > len(found.bad):
            yield f"  and {found.bad_count - len(found.bad):,} more"
    yield f"{found.sampled:,} charts answered one by one as well: " + (
        "DISAGREEMENT" if found.disagreed else "exact agreement"
    )
    for name, wrong in found.disagreed:
        yield f"  {name}: {wrong.what}: {wrong.by_registry} by columns, {wrong.by_chart} by chart"


def _table(found: Replay) -> Iterator[str]:
    """Yield the matrix: a row for each old answer, a column for each new one that occurs."""
    counts = {(turn.old, turn.new): turn.count for turn in found.transitions}
    rows = dict.fromkeys(turn.old for turn in found.transitions)
    heads = sorted({turn.new for turn in found.transitions}, key=lambda answer: answer.rank)
    width = max((len(answer) for answer in (*rows, *heads)), default=0)
    if rows:
        yield "  ".join([f"{'old / new':<{width}}", *(f"{head:>{len(head)}}" for head in heads)])
    for row in rows:
        cells = (f"{counts.get((row, head), 0):>{len(head)},}" for head in heads)
        yield "  ".join([f"{row:<{width}}", *cells])
    yield ""
