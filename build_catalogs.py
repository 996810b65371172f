"""The build's own step: compile the catalogs of translated text with babel, no system gettext.

hatch calls `CustomBuildHook` for a wheel and for an editable install
`python build_catalogs.py`          take up new strings of pages and code, compile
`python build_catalogs.py --check`  say what is missing from a catalog, change nothing
"""

import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LOCALES = Path("clinic", "locale")
SOURCES = Path("clinic")
KEYWORDS = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
    "npgettext_lazy": ((1, "c"), 2, 3),
}


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]  # hatch gives the argument
    """Compile before the files are gathered, so that the wheel holds the `.mo` files."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # hatch's form
        """Compile every catalog of the project."""
        compile_all(Path(self.root))


def catalogs(root: Path) -> list[Path]:
    """Return the `.po` files of the project, none where there is no locale folder."""
    return sorted((root / LOCALES).glob("*/LC_MESSAGES/django.po"))


def read(path: Path) -> Catalog:
    """Return one catalog; its language is its folder's name."""
    with path.open("rb") as file:
        return read_po(file, locale=path.parents[1].name, abort_invalid=True)


def compile_all(root: Path) -> None:
    """Write each `.mo` beside its `.po`, if it is another one than is there."""
    for path in catalogs(root):
        made, compiled = BytesIO(), path.with_suffix(".mo")
        write_mo(made, read(path))
        if not compiled.exists() or compiled.read_bytes() != made.getvalue():
            compiled.write_bytes(made.getvalue())


# -- what pages and code say -----------------------------------------------------------------------


def said(root: Path) -> Catalog:
    """Return a catalog of every string that a page or a module gives to gettext."""
    found = Catalog(project="afterglow", fuzzy=False)
    for path, line, message, context in _messages(root):
        found.add(message, locations=[(path, line)], context=context)
    return found


def _messages(root: Path) -> Iterator[tuple[str, int, Any, str | None]]:
    for path in sorted((root / SOURCES).rglob("*")):
        if path.suffix in {".py", ".html", ".txt"} and "locale" not in path.parts:
            name = path.relative_to(root).as_posix()
            for line, message, _, context in extract("python", _as_python(path), KEYWORDS):
                yield name, line, message, context


def _as_python(path: Path) -> BytesIO:
    """Return a module as it is, and a template as the calls of gettext it stands for."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        from django.utils.translation.template import templatize  # the build has no Django

        text = templatize(text, origin=str(path))
    return BytesIO(text.encode())


def missing(root: Path) -> list[str]:
    """Return one line for each string that a catalog lacks, or has untranslated or in doubt."""
    lines = []
    for path in catalogs(root):
        catalog = read(path)
        for message in said(root):
            known = catalog.get(message.id, message.context)
            if message.id and (known is None or known.fuzzy or not _whole(known.string)):
                lines.append(
                    f"{path.relative_to(root)}: {message.id!r} ({message.locations[0][0]})"
                )
    return lines


def _whole(translation: Any) -> bool:
    return all(translation) if isinstance(translation, tuple) else bool(translation)


def take_up(root: Path) -> None:
    """Add new strings to each catalog, drop those that nobody says any more, and compile."""
    for path in catalogs(root):
        catalog = read(path)
        catalog.update(said(root), no_fuzzy_matching=True, update_creation_date=False)
        catalog.obsolete.clear()
        with path.open("wb") as file:
            write_po(file, catalog, width=99, sort_by_file=True, include_lineno=False)
    compile_all(root)


def main(arguments: list[str]) -> int:
    """Run the command line; return 1 if `--check` finds a string missing."""
    root = Path(__file__).resolve().parent
    if "--check" not in arguments:
        take_up(root)
        return 0
    lines = missing(root)
    print("\n".join(lines) or "every string has its translation")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
