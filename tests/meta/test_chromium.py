"""The browser tests find a Chromium, or bring one, or end with one line; they never skip."""

import os
from pathlib import Path

import pytest

from tests.browser import chromium


def test_the_first_way_that_finds_one_is_taken() -> None:
    asked = []

    def way(name: str, found: str | None) -> chromium.Callable[[], str | None]:
        return lambda: asked.append(name) or found  # type: ignore[func-returns-value]  # append is None

    ways = (way("machine", None), way("playwright", "/there"), way("apt", "/never"))
    assert chromium.chromium(ways) == "/there"
    assert asked == ["machine", "playwright"]


def test_without_any_the_run_ends_with_one_line() -> None:
    with pytest.raises(SystemExit) as end:
        chromium.chromium((lambda: None,))
    assert str(end.value).startswith("no Chromium")
    assert "\n" not in str(end.value)


def test_a_chromium_on_the_machine_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(chromium, "MAC_APPLICATIONS", ())
    assert chromium.on_machine() is None
    (tmp_path / "chromium-browser").touch(mode=0o755)
    assert chromium.on_machine() == str(tmp_path / "chromium-browser")


def test_an_application_of_macos_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(chromium, "MAC_APPLICATIONS", (str(tmp_path),))
    assert chromium.on_machine() == str(tmp_path)


def test_chromium_asks_nothing_of_the_network() -> None:
    assert {
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
    } <= set(chromium.FLAGS)
    assert ("--no-sandbox" in chromium.FLAGS) == (os.geteuid() == 0)
