"""The tests of a mutant, run in a process of its own that dies with it.

The parent has the libraries in memory and nothing of `kap` or the tests, so that a child reads the
module anew, wrong, and everything that is built when a module is first read is built from it.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
_QUIET = ("-x", "-q", "--no-header", "--noconftest")
TOO_LONG = "too long"
NOT_READ = "reading the module"


class _Wrong(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module, and gives another tree for it."""

    def __init__(self, module: str, path: Path, tree: ast.Module) -> None:
        self.module, self.path, self.tree = module, path, tree

    def find_spec(self, fullname: str, _path: Any = None, _target: Any = None) -> ModuleSpec | None:
        if fullname != self.module:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, origin=str(self.path))

    def create_module(self, _spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self.path)
        exec(compile(self.tree, str(self.path), "exec"), module.__dict__)


class _First:
    """Remembers the first test that failed."""

    def __init__(self) -> None:
        self.failed = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid


def killer(module: str, path: Path, tree: ast.Module, tests: Sequence[str], limit_s: float) -> str:
    """Return what failed first: a test, the module itself, `TOO_LONG`; "" when nothing did."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _in_the_child(_Wrong(module, path, tree), tests, writer)
    os.close(writer)
    try:
        return _told(child, reader, limit_s)
    finally:
        os.close(reader)


def _in_the_child(wrong: _Wrong, tests: Sequence[str], writer: int) -> None:
    said = NOT_READ
    try:
        os.chdir(ROOT)
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        sys.meta_path.insert(0, wrong)
        first = _First()
        code = pytest.main([*_QUIET, *tests], plugins=[first])
        said = "" if code == pytest.ExitCode.OK else first.failed or NOT_READ
    finally:
        os.write(writer, f"{said}\n".encode())
        os._exit(0)


def _told(child: int, reader: int, limit_s: float) -> str:
    """Return what a child says; one that says nothing in time is killed."""
    end, said = time.monotonic() + limit_s, b""
    while not said.endswith(b"\n"):
        ready, _, _ = select.select([reader], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return TOO_LONG
        part = os.read(reader, 4096)
        if not part:
            break
        said += part
    os.waitpid(child, 0)
    return said.decode().strip() if said else NOT_READ
