"""`kap`: the questions of the core, asked from a terminal. Reads the clock; decides nothing.

Exit codes: 0 eligible, or eligible with conditions, or done; 1 any other answer, or a result that
is not good; 2 wrong usage; 3 more information is needed; 4 bad data. A command's module is loaded
only when the command is given, so that each starts in well under half a second.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from kap.terminal import OK, USAGE, Problem

if TYPE_CHECKING:
    from kap.moment import Moment

DEFAULT_PROTOCOL = "iv-ketamine"
SUBSTANCES = ("ketamine_racemate", "esketamine", "arketamine")

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    asked = _parser().parse_args(argv)
    command: Command = asked.command
    try:
        return command(asked)
    except Problem as problem:
        if asked.debug:
            raise
        print(f"kap: {problem}", file=sys.stderr)
        return problem.code
    except BrokenPipeError:
        # The reader closed the pipe (`kap facts | head`): nothing is wrong, nothing more to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


# --- what may be asked --------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kap", description="What medicine says, from a terminal.")
    parser.set_defaults(debug=False)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_screen(commands)
    _add_facts(commands)
    _add_dose(commands)
    _add_score(commands)
    _add_series(commands)
    _add_pk(commands)
    _add_protocol(commands)
    _add_replay(commands)
    return parser


def _command(commands: Any, name: str, run: Command, words: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=words, description=words)
    parser.set_defaults(command=run)
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.add_argument("--debug", action="store_true", help="show the trace of an error")
    return parser


def _add_screen(commands: Any) -> None:
    parser = _command(commands, "screen", _screen, "ask a protocol about a chart")
    parser.add_argument("file", metavar="FILE", help="chart as JSON; - reads standard input")
    parser.add_argument("--protocol", default=DEFAULT_PROTOCOL, metavar="ID[@VERSION]")
    parser.add_argument("--stage", default="screening", help="screening, order, start, ...")
    parser.add_argument("--at", metavar="INSTANT", help="with an offset; default: now")
    parser.add_argument(
        "--what-if",
        action="append",
        default=[],
        metavar="FACT=VALUE",
        help="as if a fact, told or derived, were so: true, false, unknown, a number or a code",
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="what would change the answer, what to ask next, when to ask again",
    )


def _add_facts(commands: Any) -> None:
    parser = _command(
        commands, "facts", _lazy("kap.cli_measure", "list_facts"), "list what a chart may say"
    )
    parser.add_argument("--language", choices=["en", "fr"], default="en")


def _add_dose(commands: Any) -> None:
    parser = _command(
        commands, "dose", _lazy("kap.cli_measure", "work_out_dose"), "work out an infusion"
    )
    parser.add_argument("weight", metavar="WEIGHT", help="with unit, as in 68kg")
    parser.add_argument("--mg-per-kg", required=True, metavar="N")
    parser.add_argument("--over", required=True, metavar="TIME", help="as in 40min")
    parser.add_argument("--vial", required=True, metavar="STRENGTH", help="as in 10mg/mL")
    parser.add_argument("--final", required=True, metavar="VOLUME", help="as in 50mL")


def _add_score(commands: Any) -> None:
    parser = _command(
        commands, "score", _lazy("kap.cli_measure", "score_answers"), "score a questionnaire"
    )
    parser.add_argument("instrument", help="as in phq9")
    parser.add_argument("answers", help="in order, with commas; _ for an item not answered")


def _add_series(commands: Any) -> None:
    series = commands.add_parser("series", help="place a series").add_subparsers(
        required=True, metavar="COMMAND"
    )
    parser = _command(
        series,
        "plan",
        _lazy("kap.cli_measure", "plan_series"),
        "dates of a series that keep the interval",
    )
    parser.add_argument(
        "--start",
        required=True,
        type=_instant,
        metavar="INSTANT",
        help="of the first dose, with the site's offset, as in 2026-08-10T09:00:00-04:00; "
        "the offset holds for the whole series",
    )
    parser.add_argument("--doses", type=_count, metavar="N")
    parser.add_argument("--pattern", help="three-a-week or two-a-week")
    parser.add_argument("--protocol", default=DEFAULT_PROTOCOL, metavar="ID[@VERSION]")


def _add_pk(commands: Any) -> None:
    pk = commands.add_parser("pk", help="what published models say of a dose").add_subparsers(
        required=True, metavar="COMMAND"
    )
    _command(pk, "models", _lazy("kap.cli_pk", "list_models"), "the models, and what each is")
    one = _command(pk, "simulate", _simulate, "one model's levels; never this patient's")
    one.add_argument("--model", required=True, metavar="ID", help="as in domino_iv")
    one.add_argument("--analyte", default="parent", help="parent, or a metabolite of the model")
    one.add_argument("--population", type=_whole, metavar="N", help="percentiles of N people")
    one.add_argument("--seed", type=int, default=1, metavar="N", help="decides the people")
    one.add_argument("--substance", choices=SUBSTANCES, help="default: the model's own")
    _add_regimen(one)
    many = _command(pk, "compare", _lazy("kap.cli_pk", "compare"), "all models on one regimen")
    many.add_argument("--substance", choices=SUBSTANCES, default=SUBSTANCES[0])
    _add_regimen(many)


def _add_regimen(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kg", metavar="N", help="weight in kg")
    parser.add_argument("--age", metavar="N", help="age in years")
    parser.add_argument("--sex", choices=["f", "m"], help="no model reads it")
    parser.add_argument(
        "--race",
        choices=["asian", "japanese", "other", "not_stated"],
        default="not_stated",
        help="as the person states it",
    )
    parser.add_argument("--dose", metavar="MG", help="into the vein, as in 35mg")
    parser.add_argument("--over", metavar="TIME", help="as in 40min")
    parser.add_argument("--salt", choices=["base", "hcl"], default="base", help="of --dose")
    parser.add_argument("--devices", type=_whole, metavar="N", help="nasal devices of 28 mg")
    parser.add_argument("--every", default="5", metavar="MIN", help="between devices")
    parser.add_argument(
        "--at", default="10,40,60,120", metavar="MIN,...", help="minutes asked about"
    )
    parser.add_argument("--plot", metavar="FILE.svg", help="draw it")


def _add_protocol(commands: Any) -> None:
    words = "look at protocols"
    protocol = commands.add_parser("protocol", help=words).add_subparsers(
        required=True, metavar="COMMAND"
    )
    _command(
        protocol,
        "list",
        _lazy("kap.cli_protocol", "protocol_list"),
        "shipped protocols with their digests",
    )
    show = _command(
        protocol,
        "show",
        _lazy("kap.cli_protocol", "protocol_show"),
        "parameters and rules of a protocol",
    )
    show.add_argument("protocol", metavar="ID[@VERSION]")
    check = _command(
        protocol,
        "check",
        _lazy("kap.cli_protocol", "protocol_check"),
        "load a protocol and run its examples",
    )
    check.add_argument("protocol", metavar="ID[@VERSION] or FILE.toml")
    _add_versions(protocol)


def _add_versions(protocol: Any) -> None:
    """Add what is asked of a version over many patients: prove, diff, replay."""
    prove = _command(
        protocol,
        "prove",
        _lazy("kap.cli_proof", "prove_protocol"),
        "prove over all patients what must hold of a protocol",
    )
    prove.add_argument("protocol", metavar="ID[@VERSION] or FILE.toml")
    prove.add_argument("--write", metavar="FOLDER", help="keep the certificate below it")
    diff = _command(
        protocol,
        "diff",
        _lazy("kap.cli_proof", "diff_protocols"),
        "what differs between two versions, and for which patients the answer moved",
    )
    diff.add_argument("old", metavar="OLD", help="ID[@VERSION] or FILE.toml")
    diff.add_argument("new", metavar="NEW", help="ID[@VERSION] or FILE.toml")
    again = _command(
        protocol, "replay", _replay_charts, "decide a registry again under another version"
    )
    again.add_argument("protocol", metavar="NEW", help="ID[@VERSION] or FILE.toml")
    again.add_argument("--charts", required=True, metavar="FILE", help=".jsonl or .parquet")
    again.add_argument("--stage", default="screening", help="screening, order, start, ...")
    again.add_argument(
        "--old", metavar="ID[@VERSION]", help="default: the answers that the file gives"
    )
    again.add_argument("--save", metavar="FILE.parquet", help="keep the derived facts")


def _add_replay(commands: Any) -> None:
    parser = _command(
        commands,
        "replay",
        _lazy("kap.cli_protocol", "replay_decision"),
        "answer a stored decision again",
    )
    parser.add_argument("file", metavar="DECISION.json")


def _instant(text: str) -> datetime:
    from kap.moment import MomentError, instant

    try:
        return instant(text)
    except MomentError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number of doses; write 6")


def _whole(text: str) -> int:
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0; write 3")


# --- running ------------------------------------------------------------------------------------


def _lazy(module: str, name: str) -> Command:
    """Return a command that loads its module when it is run."""

    def run(asked: argparse.Namespace) -> int:
        command: Command = getattr(importlib.import_module(module), name)
        return command(asked)

    return run


def _screen(asked: argparse.Namespace) -> int:
    from kap.cli_protocol import screen

    return screen(asked, _moment)


def _replay_charts(asked: argparse.Namespace) -> int:
    from time import monotonic

    from kap.cli_replay import replay_charts

    return replay_charts(asked, monotonic)


def _simulate(asked: argparse.Namespace) -> int:
    from time import monotonic

    import numpy as np

    from kap.cli_pk import simulate

    # The one place where chance comes in, and the seed decides it.
    return simulate(
        asked,
        monotonic,
        lambda seed, people, columns: np.random.default_rng(seed).standard_normal(
            (people, columns)
        ),
    )


def _moment(text: str | None) -> Moment:
    from kap.moment import Moment, MomentError, instant

    if text is None:
        # The one place where the core's questions meet a clock: a person asks "now".
        return Moment.at(datetime.now().astimezone())
    try:
        return Moment.at(instant(text))
    except MomentError as error:
        raise Problem(f"the moment asked about: {error}", USAGE) from error
