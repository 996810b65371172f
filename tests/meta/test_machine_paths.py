"""No tracked file names the machine it was written on, or a host that packages come from."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Put together here, so that this file does not hold what it looks for.
FOLDERS = ["/" + name + "/" for name in ("work", "root")]
HOSTS = [".".join(name) for name in (("pypi", "org"), ("registry", "npmjs"), ("deb", "debian"))]
HOSTS += ["python" + "hosted", "files.python" + "hosted"]
FORBIDDEN = re.compile("|".join(re.escape(text) for text in [*FOLDERS, *HOSTS]).encode())


def tracked() -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def test_no_tracked_file_names_this_machine_or_a_package_host() -> None:
    found = {
        str(path.relative_to(ROOT)): match.group().decode()
        for path in tracked()
        if (match := FORBIDDEN.search(path.read_bytes()))
    }
    assert found == {}


@pytest.mark.parametrize("text", [*FOLDERS, *HOSTS])
def test_a_file_that_named_them_would_be_found(text: str) -> None:
    assert FORBIDDEN.search(f"see {text}x for more".encode())
    assert len(tracked()) > 20
